//! The sockets of a run: all are opened before anything starts, and kept open for whoever is still to be started with
//! them, so that a connection which comes while a process is down waits for its next life.
//!
//! A process finds its sockets as by `sd_listen_fds(3)`: from descriptor 3 on, counted in `LISTEN_FDS`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use forkyard_core::diagnostic::{Diagnostic, Severity, codes};
use forkyard_core::id::ProcessId;
use forkyard_core::plan::{Listening, Plan, Socket, SocketKind};
use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, bind, socket};
use nix::sys::stat::{Mode, fchmod};

use crate::spawner::reserve_low_descriptors;
use crate::words::io_reason;

/// All sockets of a run. Dropped, they are closed, and the files of Unix sockets are removed.
#[derive(Debug, Default)]
pub struct Sockets {
    opened: Vec<Opened>,
    /// Those of each process that has some, in the order of their descriptors, by their index in `opened`.
    of: BTreeMap<ProcessId, Vec<usize>>,
}

/// One socket, which instances of a process may share.
#[derive(Debug)]
struct Opened {
    /// The engine's own copy.
    fd: Option<OwnedFd>,
    /// What its process calls it.
    name: String,
    /// The process as it is declared, or the only instance that has it.
    owner: String,
    /// Who has it.
    sharers: Vec<ProcessId>,
    /// Who is still to be started with it.
    owed: BTreeSet<ProcessId>,
    /// Where it listens, once the kernel has chosen the port.
    address: String,
    /// The file of a Unix socket.
    file: Option<SocketFile>,
}

/// The file of a Unix socket, and which one it is.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

/// Why an address cannot be had most often.
const TAKEN: &str = "somebody listens there already";

/// What others are told of a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The first process that has it.
    pub process: ProcessId,
    /// The process as it is declared, or its only instance with this socket.
    pub owner: String,
    /// The socket's name.
    pub socket: String,
    /// `127.0.0.1:43121`, or an absolute path.
    pub address: String,
}

/// What instances of one process share when it is the same.
type Key<'a> = (&'a str, &'a str, &'a Listening);

impl Sockets {
    /// Opens all sockets of the plan. Relative paths begin in `folder`.
    ///
    /// # Errors
    /// All that is wrong, with its places; nothing stays open then.
    pub fn open(plan: &Plan, folder: &Path) -> Result<Self, Vec<Diagnostic>> {
        if plan.launches.iter().all(|launch| launch.sockets.is_empty()) {
            return Ok(Self::default());
        }
        // Descriptors of the engine lie above those that its processes get. If there are too few, the run itself will tell.
        let _ = reserve_low_descriptors();
        let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
        let mut sockets = Self::default();
        let mut known: BTreeMap<Key, Option<usize>> = BTreeMap::new();
        let mut found = Vec::new();
        for (index, launch) in plan.launches.iter().enumerate() {
            let process = ProcessId::at(index);
            let declared = declared(&plan.processes[index].name);
            for wanted in &launch.sockets {
                let opened = *known.entry((declared, &wanted.name, &wanted.at)).or_insert_with(|| {
                    let opened = Opened::new(declared, wanted, &folder);
                    opened.map_err(|why| found.push(why)).ok().map(|opened| {
                        sockets.opened.push(opened);
                        sockets.opened.len() - 1
                    })
                });
                if let Some(opened) = opened {
                    sockets.share(opened, process);
                }
            }
        }
        if !found.is_empty() {
            return Err(found);
        }
        sockets.name_owners(plan);
        Ok(sockets)
    }

    fn share(&mut self, opened: usize, process: ProcessId) {
        self.of.entry(process).or_default().push(opened);
        let opened = &mut self.opened[opened];
        opened.sharers.push(process);
        opened.owed.insert(process);
    }

    /// A socket that only one of several instances has goes by the name of the instance.
    fn name_owners(&mut self, plan: &Plan) {
        let mut instances: BTreeMap<&str, usize> = BTreeMap::new();
        for process in &plan.processes {
            *instances.entry(declared(&process.name)).or_default() += 1;
        }
        for opened in &mut self.opened {
            if let [only] = opened.sharers[..]
                && instances.get(opened.owner.as_str()).is_some_and(|count| *count > 1)
            {
                opened.owner.clone_from(&plan.processes[only.index()].name);
            }
        }
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.opened.len()
    }

    /// Copies for a life of the process, in the order of their descriptors, each with its name.
    ///
    /// # Errors
    /// When there are no descriptors left.
    pub fn copies(&self, process: ProcessId) -> io::Result<Vec<(OwnedFd, String)>> {
        let own = self.of.get(&process).into_iter().flatten();
        let copies = own.map(|index| {
            let Opened { fd, name, .. } = &self.opened[*index];
            let closed = || io::Error::other(format!("its socket `{name}` has been closed before"));
            Ok((fd.as_ref().ok_or_else(closed)?.try_clone()?, name.clone()))
        });
        copies.collect()
    }

    /// The process has been started for the last time, or never will be: what was kept open for it alone is closed.
    pub fn let_go(&mut self, process: ProcessId) {
        for index in self.of.get(&process).into_iter().flatten() {
            let opened = &mut self.opened[*index];
            opened.owed.remove(&process);
            if opened.owed.is_empty() {
                opened.fd = None;
            }
        }
    }

    /// Where they listen.
    pub fn endpoints(&self) -> impl Iterator<Item = Endpoint> {
        self.opened.iter().filter_map(|opened| {
            Some(Endpoint {
                process: *opened.sharers.first()?,
                owner: opened.owner.clone(),
                socket: opened.name.clone(),
                address: opened.address.clone(),
            })
        })
    }

    /// The names of the sockets of a process, and where they listen.
    pub fn of(&self, process: ProcessId) -> impl Iterator<Item = (&str, &str)> {
        let own = self.of.get(&process).into_iter().flatten();
        own.map(|index| {
            let opened = &self.opened[*index];
            (opened.name.as_str(), opened.address.as_str())
        })
    }
}

/// The name of the declaration of an instance.
fn declared(name: &str) -> &str {
    name.split_once('.').map_or(name, |(declared, _)| declared)
}

impl Opened {
    fn new(owner: &str, wanted: &Socket, folder: &Path) -> Result<Self, Diagnostic> {
        let opened = match &wanted.at {
            Listening::Internet(address) => internet(*address, wanted.kind),
            // Without what leads nowhere: `./`.
            Listening::Unix(path) => unix(&folder.join(path).components().collect::<PathBuf>(), wanted),
        };
        let (fd, address, file) = opened.map_err(|why| why.told(owner, wanted))?;
        if wanted.kind == SocketKind::Stream {
            listen(fd.as_raw_fd(), wanted.backlog).map_err(|error| Trouble::of(&error).told(owner, wanted))?;
        }
        Ok(Self {
            fd: Some(fd),
            name: wanted.name.clone(),
            owner: owner.to_owned(),
            sharers: Vec::new(),
            owed: BTreeSet::new(),
            address,
            file,
        })
    }
}

impl Drop for Opened {
    /// Nobody else's file is removed: it could have been replaced.
    fn drop(&mut self) {
        if let Some(file) = &self.file
            && identity(&file.path) == Some(file.identity)
        {
            // What cannot be removed is found to be stale by the next run.
            let _ = fs::remove_file(&file.path);
        }
    }
}

/// A socket, where it listens, and its file.
type Made = (OwnedFd, String, Option<SocketFile>);

fn internet(address: SocketAddr, kind: SocketKind) -> Result<Made, Trouble> {
    let made = match kind {
        SocketKind::Stream => TcpListener::bind(address).and_then(|tcp| Ok((tcp.local_addr()?, OwnedFd::from(tcp)))),
        SocketKind::Datagram => UdpSocket::bind(address).and_then(|udp| Ok((udp.local_addr()?, OwnedFd::from(udp)))),
    };
    match made {
        Ok((address, fd)) => Ok((fd, address.to_string(), None)),
        Err(error) => Err(Trouble::at_port(&error, address)),
    }
}

/// The mode is that of the socket before its file is there: at no moment may more users connect.
fn unix(path: &Path, wanted: &Socket) -> Result<Made, Trouble> {
    clear(path)?;
    let address = UnixAddr::new(path).map_err(|errno| match errno {
        Errno::ENAMETOOLONG => Trouble::plain("the whole path is too long for a socket, which has room for 107 bytes"),
        errno => Trouble::of(&errno.into()),
    })?;
    let kind = match wanted.kind {
        SocketKind::Stream => SockType::Stream,
        SocketKind::Datagram => SockType::Datagram,
    };
    let made = socket(AddressFamily::Unix, kind, SockFlag::SOCK_CLOEXEC, None).and_then(|fd| {
        fchmod(&fd, Mode::from_bits_truncate(wanted.mode))?;
        bind(fd.as_raw_fd(), &address).map(|()| fd)
    });
    let fd = made.map_err(|errno| match errno {
        Errno::ENOENT => Trouble::plain("its folder is not there"),
        errno => Trouble::of(&errno.into()),
    })?;
    let file = identity(path).map(|identity| SocketFile {
        path: path.to_owned(),
        identity,
    });
    // What the umask has taken away is given back.
    let permit = fs::set_permissions(path, fs::Permissions::from_mode(wanted.mode));
    permit.map_err(|error| Trouble::of(&error))?;
    Ok((fd, path.display().to_string(), file))
}

/// Removes the file of a socket that is nobody's any more. A datagram to it says whether somebody has it, and disturbs nobody.
fn clear(path: &Path) -> Result<(), Trouble> {
    let there = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        there => there.map_err(|error| Trouble::of(&error))?,
    };
    if !there.file_type().is_socket() {
        return Err(Trouble::plain(
            "there is something else of that name, which is no socket",
        ));
    }
    let asked = UnixDatagram::unbound().and_then(|asking| asking.connect(path));
    match asked {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(|error| Trouble::of(&error))
        }
        // Somebody takes datagrams there, or something else.
        Ok(()) => Err(Trouble::taken(path)),
        Err(error) if error.raw_os_error() == Some(libc::EPROTOTYPE) => Err(Trouble::taken(path)),
        Err(error) => Err(Trouble::of(&error)),
    }
}

/// What no other file has as long as it is there.
fn identity(path: &Path) -> Option<(u64, u64)> {
    let file = fs::symlink_metadata(path).ok()?;
    Some((file.dev(), file.ino()))
}

/// The standard library listens too, and does not ask how many may wait; to say it again is to change it.
fn listen(fd: RawFd, backlog: u32) -> io::Result<()> {
    let backlog = i32::try_from(backlog).unwrap_or(i32::MAX);
    // SAFETY: listen takes two numbers.
    Errno::result(unsafe { libc::listen(fd, backlog) })?;
    Ok(())
}

/// Why nobody can listen somewhere.
struct Trouble {
    why: String,
    help: Option<String>,
}

impl Trouble {
    fn plain(why: &str) -> Self {
        Self {
            why: why.to_owned(),
            help: None,
        }
    }

    /// Of the socket of a path, which whoever listens there may have called by another one.
    fn taken(path: &Path) -> Self {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        Self {
            why: TAKEN.to_owned(),
            help: Some(format!("`ss -lxp | grep '{}'` shows who", name.escape_debug())),
        }
    }

    fn of(error: &io::Error) -> Self {
        Self::plain(&io_reason(error))
    }

    fn at_port(error: &io::Error, address: SocketAddr) -> Self {
        let port = address.port();
        match error.kind() {
            io::ErrorKind::AddrInUse => Self {
                why: TAKEN.to_owned(),
                help: Some(format!("`ss -lntup | grep ':{port} '` shows who; port 0 is any that is free")),
            },
            io::ErrorKind::AddrNotAvailable => Self {
                why: "this machine has no such address".to_owned(),
                help: Some("`ip address` shows those it has; 0.0.0.0 is all of them".to_owned()),
            },
            io::ErrorKind::PermissionDenied => Self {
                why: format!("this user may not listen at port {port}"),
                help: Some("ports below 1024 are for root, where `sysctl net.ipv4.ip_unprivileged_port_start` says nothing else".to_owned()),
            },
            _ => Self::of(error),
        }
    }

    fn told(self, owner: &str, wanted: &Socket) -> Diagnostic {
        let at = match &wanted.at {
            Listening::Internet(address) => address.to_string(),
            Listening::Unix(path) => path.escape_debug().to_string(),
        };
        Diagnostic {
            code: codes::CANNOT_LISTEN,
            severity: Severity::Error,
            place: Some(wanted.place),
            message: format!("`{owner}` cannot listen at {at}: {}", self.why),
            help: self.help,
            related: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(at: Listening, kind: SocketKind) -> Socket {
        Socket {
            name: "s".to_owned(),
            at,
            kind,
            backlog: 16,
            mode: 0o640,
            place: forkyard_core::source::Span::default(),
        }
    }

    fn at_path(folder: &Path) -> Result<Opened, Diagnostic> {
        Opened::new(
            "web",
            &wanted(Listening::Unix("s".to_owned()), SocketKind::Stream),
            folder,
        )
    }

    #[test]
    fn a_port_has_one_owner() {
        let any = Listening::Internet("127.0.0.1:0".parse().expect("an address"));
        for kind in [SocketKind::Stream, SocketKind::Datagram] {
            let first = Opened::new("web", &wanted(any.clone(), kind), Path::new("/")).expect("there are ports");
            let same = Listening::Internet(first.address.parse().expect("an address"));
            let second = Opened::new("other", &wanted(same, kind), Path::new("/")).expect_err("it is taken");
            let expected = format!(
                "`other` cannot listen at {}: somebody listens there already",
                first.address
            );
            assert_eq!(second.message, expected);
        }
    }

    #[test]
    fn the_file_of_a_socket_comes_and_goes_with_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("s");
        let first = at_path(folder.path()).expect("it is free");
        let mode = fs::metadata(&path).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o640);
        let second = at_path(folder.path()).expect_err("it is taken");
        assert_eq!(
            second.message,
            "`web` cannot listen at s: somebody listens there already"
        );
        drop(first);
        assert!(!path.exists());
    }

    #[test]
    fn what_a_dead_run_has_left_is_taken_and_nothing_else() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("s");
        // The library leaves the file when it closes the socket.
        drop(std::os::unix::net::UnixListener::bind(&path).expect("it is free"));
        let opened = at_path(folder.path()).expect("nobody listens there");
        fs::remove_file(&path).expect("it is ours");
        fs::write(&path, "precious").expect("it can be written");
        drop(opened);
        assert_eq!(fs::read_to_string(&path).expect("it is left alone"), "precious");
        let refused = at_path(folder.path()).expect_err("it is no socket");
        assert!(refused.message.ends_with("which is no socket"), "{}", refused.message);
    }
}
