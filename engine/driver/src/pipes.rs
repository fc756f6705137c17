//! The pipes between processes: made when the first process that shares one starts, and kept by the
//! engine no longer than somebody who shares an end is still to be started, so that end-of-file and
//! SIGPIPE come as in a shell.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::OwnedFd;

use forkyard_core::id::{PipeId, ProcessId};
use forkyard_core::plan::{Plan, Side, Wire};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};

/// All pipes of a run.
#[derive(Debug)]
pub struct Pipes {
    pipes: Vec<Pipe>,
    /// The ends each process shares.
    shares: BTreeMap<ProcessId, BTreeSet<(PipeId, Side)>>,
}

#[derive(Debug)]
struct Pipe {
    duplex: bool,
    size: Option<u64>,
    made: bool,
    /// The writing end.
    left: End,
    /// The reading end.
    right: End,
}

#[derive(Debug, Default)]
struct End {
    /// The engine's own copy.
    fd: Option<OwnedFd>,
    /// Who is still to be started with it.
    owed: BTreeSet<ProcessId>,
}

impl Pipes {
    /// None is made yet.
    #[must_use]
    pub fn new(plan: &Plan) -> Self {
        let mut pipes: Vec<Pipe> = plan
            .pipes
            .iter()
            .map(|pipe| Pipe {
                duplex: pipe.duplex,
                size: pipe.size,
                made: false,
                left: End::default(),
                right: End::default(),
            })
            .collect();
        let mut shares: BTreeMap<ProcessId, BTreeSet<(PipeId, Side)>> = BTreeMap::new();
        for (index, launch) in plan.launches.iter().enumerate() {
            let process = ProcessId::at(index);
            let wired = launch
                .fds
                .values()
                .filter_map(end_of)
                .chain(launch.connects.iter().copied());
            for (pipe, side) in wired {
                pipes[pipe.index()].end(side).owed.insert(process);
                shares.entry(process).or_default().insert((pipe, side));
            }
        }
        Self { pipes, shares }
    }

    /// A copy of an end for one process; the pipe is made if it is not there yet.
    pub fn end(&mut self, pipe: PipeId, side: Side) -> io::Result<OwnedFd> {
        let pipe = &mut self.pipes[pipe.index()];
        if !pipe.made {
            pipe.make()?;
        }
        match &pipe.end(side).fd {
            Some(fd) => fd.try_clone(),
            None => Err(io::Error::other("its end of the pipe has been closed before")),
        }
    }

    /// The process has been started, or never will be: the copies kept for it are not needed any more.
    pub fn let_go(&mut self, process: ProcessId) {
        for (pipe, side) in self.shares.remove(&process).unwrap_or_default() {
            let end = self.pipes[pipe.index()].end(side);
            end.owed.remove(&process);
            if end.owed.is_empty() {
                end.fd = None;
            }
        }
    }
}

/// The end of a pipe that a descriptor is wired to.
#[must_use]
pub fn end_of(wire: &Wire) -> Option<(PipeId, Side)> {
    match wire {
        Wire::PipeWriter(pipe) => Some((*pipe, Side::Left)),
        Wire::PipeReader(pipe) => Some((*pipe, Side::Right)),
        Wire::Duplex(pipe, side) => Some((*pipe, *side)),
        Wire::Null
        | Wire::Inherit
        | Wire::Log
        | Wire::Stdout
        | Wire::ToQueue(_)
        | Wire::FromQueue(_)
        | Wire::ReadFile(_)
        | Wire::WriteFile(_)
        | Wire::AppendFile(_)
        | Wire::Text(_)
        | Wire::Notify
        | Wire::Tasks
        | Wire::Results => None,
    }
}

impl Pipe {
    fn end(&mut self, side: Side) -> &mut End {
        match side {
            Side::Left => &mut self.left,
            Side::Right => &mut self.right,
        }
    }

    /// Makes both ends; one that nobody is still to be started with is closed at once.
    fn make(&mut self) -> io::Result<()> {
        let (left, right) = if self.duplex {
            socketpair(AddressFamily::Unix, SockType::Stream, None, SockFlag::SOCK_CLOEXEC)?
        } else {
            let (reader, writer) = nix::unistd::pipe2(OFlag::O_CLOEXEC)?;
            if let Some(size) = self.size {
                resize(&writer, size);
            }
            (writer, reader)
        };
        self.left.fd = (!self.left.owed.is_empty()).then_some(left);
        self.right.fd = (!self.right.owed.is_empty()).then_some(right);
        self.made = true;
        Ok(())
    }
}

/// A pipe that the engine reads and a process writes: the reading end, which does not wait, and the writing end, which does.
///
/// # Errors
/// When there is no descriptor or no memory for it.
pub fn to_read() -> io::Result<(OwnedFd, OwnedFd)> {
    let (reader, writer) = nix::unistd::pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
    fcntl(&writer, FcntlArg::F_SETFL(OFlag::empty()))?;
    Ok((reader, writer))
}

/// Asks for a capacity in bytes. The kernel may refuse more than /proc/sys/fs/pipe-max-size, or than the
/// user's share; the pipe works all the same, so that is told and no failure.
pub fn resize(pipe: &OwnedFd, bytes: u64) {
    let wanted = i32::try_from(bytes).unwrap_or(i32::MAX);
    if let Err(errno) = fcntl(pipe, FcntlArg::F_SETPIPE_SZ(wanted)) {
        tracing::warn!("a pipe cannot have {bytes} bytes ({errno}); it keeps the kernel's default");
    }
}
