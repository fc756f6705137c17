//! What wakes the engine for its yard: an eventfd to which programs write, and the pidfds of those programs; one descriptor for all.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::{EfdFlags, EventFd};

/// What the eventfd is called among the events; pidfds have the numbers of processes, which are smaller.
const RUNG: u64 = u64::MAX;

/// So many ends are heard of at once.
const EVENTS_MAX: usize = 64;

#[derive(Debug)]
pub(super) struct Bell {
    eventfd: EventFd,
    epoll: Epoll,
}

impl Bell {
    pub(super) fn new() -> io::Result<Self> {
        let eventfd = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        epoll.add(&eventfd, EpollEvent::new(EpollFlags::EPOLLIN, RUNG))?;
        Ok(Self { eventfd, epoll })
    }

    /// The eventfd, for a program to ring.
    pub(super) fn eventfd(&self) -> io::Result<OwnedFd> {
        self.eventfd.as_fd().try_clone_to_owned()
    }

    /// It does not ring any more.
    pub(super) fn hush(&self) {
        // It may not have rung at all.
        let _ = self.eventfd.read();
    }

    /// From now on the end of that process is told.
    pub(super) fn add(&self, pidfd: &OwnedFd, life: u64) -> io::Result<()> {
        Ok(self.epoll.add(pidfd, EpollEvent::new(EpollFlags::EPOLLIN, life))?)
    }

    /// No more.
    pub(super) fn remove(&self, pidfd: &OwnedFd) {
        // It is closed right after that, which does the same where nobody has inherited it.
        let _ = self.epoll.delete(pidfd);
    }

    /// The processes that have ended. Each is told until it is removed.
    pub(super) fn ended(&self) -> Vec<u64> {
        let mut events = [EpollEvent::empty(); EVENTS_MAX];
        let count = loop {
            match self.epoll.wait(&mut events, EpollTimeout::ZERO) {
                Ok(count) => break count,
                Err(Errno::EINTR) => {}
                Err(errno) => {
                    tracing::error!("the ends of clients cannot be seen: {errno}");
                    break 0;
                }
            }
        };
        let lives = events[..count].iter().map(EpollEvent::data);
        lives.filter(|life| *life != RUNG).collect()
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.0.as_fd()
    }
}
