//! What processes tell of themselves, by the protocol of systemd: `sd_notify(3)`. A process finds the address of a
//! datagram socket in `NOTIFY_SOCKET` and sends assignments there, one a line.

use std::io::{self, IoSliceMut};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use nix::sys::socket::{ControlMessageOwned, MsgFlags, UnixAddr, UnixCredentials, recvmsg, setsockopt, sockopt};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// The longest message that is read; what is longer is no message.
const MESSAGE_BYTES_MAX: usize = 4096;

/// One thing that a process says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    /// `READY=1`
    Ready,
    /// `STOPPING=1`
    Stopping,
    /// `STATUS=…`
    Status(String),
    /// `WATCHDOG=1`
    Alive,
    /// `WATCHDOG=trigger`
    Broken,
    /// `EXTEND_TIMEOUT_USEC=…`
    Extend(Duration),
}

/// The socket of one life of a process.
#[derive(Debug)]
pub struct Ear {
    socket: AsyncFd<OwnedFd>,
    address: String,
    /// Whose words are heard: the process's user, the engine's, and root.
    users: Vec<u32>,
}

impl Ear {
    /// A socket at an abstract address that nobody can guess; it ends with the last descriptor, and nothing of it is left in
    /// any directory. Within a runtime.
    ///
    /// # Errors
    /// When there are no descriptors left, say.
    pub fn open(user: Option<u32>) -> io::Result<Self> {
        let name = format!("forkyard/{:032x}", u128::from_le_bytes(crate::directory::random()?));
        let socket = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name)?)?;
        socket.set_nonblocking(true)?;
        setsockopt(&socket, sockopt::PassCred, &true)?;
        // SAFETY: an `OwnedFd` stays open, and the same, until the `AsyncFd` that owns it is dropped.
        let socket = unsafe { AsyncFd::register_with_interest(OwnedFd::from(socket), Interest::READABLE) }?;
        let own = nix::unistd::getuid().as_raw();
        Ok(Self {
            socket,
            address: format!("@{name}"),
            users: [0, own].into_iter().chain(user).collect(),
        })
    }

    /// For `NOTIFY_SOCKET`.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// What is said next, by whom it may be said: a process of one of the users, that is not known to be somebody else's. The
    /// kernel vouches for both, or root, who may say what it likes.
    ///
    /// # Errors
    /// When the socket itself fails.
    pub async fn hear(&self, is_another: impl Fn(i32) -> bool) -> io::Result<Vec<Word>> {
        let may_speak = |sender: &UnixCredentials| self.users.contains(&sender.uid()) && !is_another(sender.pid());
        loop {
            let mut ready = self.socket.readable().await?;
            match ready.try_io(|socket| receive(socket.get_ref())) {
                Ok(Ok((message, Some(sender)))) if may_speak(&sender) => return Ok(words(&message)),
                // Nobody, or somebody who has no say here.
                Ok(Ok(_)) | Err(_) => {}
                Ok(Err(error)) => return Err(error),
            }
        }
    }
}

/// Descriptors that come along are closed by the kernel, for want of room: that is how `sd_notify_barrier(3)` learns that all
/// before it has been read.
fn receive(socket: &OwnedFd) -> io::Result<(Vec<u8>, Option<UnixCredentials>)> {
    let mut bytes = vec![0; MESSAGE_BYTES_MAX];
    let mut control = nix::cmsg_space!(UnixCredentials);
    let mut pieces = [IoSliceMut::new(&mut bytes)];
    let flags = MsgFlags::MSG_CMSG_CLOEXEC;
    let received = recvmsg::<UnixAddr>(socket.as_raw_fd(), &mut pieces, Some(&mut control), flags)?;
    let sender = received.cmsgs().ok().and_then(|mut messages| {
        messages.find_map(|message| match message {
            ControlMessageOwned::ScmCredentials(sender) => Some(sender),
            _ => None,
        })
    });
    let is_whole = !received.flags.contains(MsgFlags::MSG_TRUNC);
    let count = received.bytes;
    bytes.truncate(count);
    Ok((bytes, sender.filter(|_| is_whole)))
}

/// The assignments of a message that are understood.
fn words(message: &[u8]) -> Vec<Word> {
    let text = String::from_utf8_lossy(message);
    let word = |line: &str| {
        let (name, value) = line.split_once('=')?;
        match (name, value) {
            ("READY", "1") => Some(Word::Ready),
            ("STOPPING", "1") => Some(Word::Stopping),
            ("WATCHDOG", "1") => Some(Word::Alive),
            ("WATCHDOG", "trigger") => Some(Word::Broken),
            ("STATUS", status) => Some(Word::Status(status.to_owned())),
            ("EXTEND_TIMEOUT_USEC", micros) => micros.parse().ok().map(Duration::from_micros).map(Word::Extend),
            _ => None,
        }
    };
    text.lines().filter_map(word).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_assignments_of_which_some_are_understood() {
        let message =
            b"READY=1\nSTATUS=all = well\nMAINPID=12\nWATCHDOG=1\nEXTEND_TIMEOUT_USEC=5000\nnonsense\nSTOPPING=1";
        let expected = [
            Word::Ready,
            Word::Status("all = well".to_owned()),
            Word::Alive,
            Word::Extend(Duration::from_millis(5)),
            Word::Stopping,
        ];
        assert_eq!(words(message), expected);
        assert!(words(b"READY=0\nREADY\nWATCHDOG=\n\xff").is_empty());
    }

    #[tokio::test]
    async fn what_is_said_is_heard_and_too_much_of_it_is_not() {
        let ear = Ear::open(None).expect("a socket");
        let name = ear.address().strip_prefix('@').expect("an abstract address");
        let mouth = UnixDatagram::unbound().expect("a socket");
        let address = SocketAddr::from_abstract_name(name).expect("an address");
        let long = vec![b'x'; MESSAGE_BYTES_MAX + 1];
        for message in [&long[..], b"READY=1"] {
            mouth.send_to_addr(message, &address).expect("it is sent");
        }
        assert_eq!(ear.hear(|_| false).await.expect("it is heard"), [Word::Ready]);
    }

    #[tokio::test]
    async fn the_kernel_says_who_speaks_and_others_are_not_heard() {
        let ear = Ear::open(None).expect("a socket");
        let name = ear.address().strip_prefix('@').expect("an abstract address");
        let address = SocketAddr::from_abstract_name(name).expect("an address");
        let mouth = UnixDatagram::unbound().expect("a socket");
        for message in [&b"READY=1"[..], b"STOPPING=1"] {
            mouth.send_to_addr(message, &address).expect("it is sent");
        }
        let asked = std::cell::Cell::new(0);
        let own = i32::try_from(std::process::id()).expect("a pid fits");
        let is_another = |pid| {
            assert_eq!(pid, own);
            asked.set(asked.get() + 1);
            asked.get() == 1
        };
        assert_eq!(ear.hear(is_another).await.expect("it is heard"), [Word::Stopping]);
    }
}
