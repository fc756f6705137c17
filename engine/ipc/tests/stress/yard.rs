//! The channels that all processes of the test share.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::Arc;

use forkyard_ipc::channel::{Attachment, Channel, Kind, Manner, Place, Shape};
use forkyard_ipc::{Error, Event, Lock, Queue, Semaphore};

use crate::ledger::PERMITS;

/// Two queues, two locks, and so on.
pub struct Yard {
    /// Items of all lengths, taken and acknowledged.
    pub jobs: Queue,
    /// Small items, got.
    pub lines: Queue,
    pub lock: Lock,
    pub reentrant: Lock,
    pub seats: Semaphore,
    pub bell: Event,
    hosted: bool,
    ring: OwnedFd,
}

impl Yard {
    pub fn new(hosted: bool) -> Result<Self, Error> {
        let place = Place::Memory;
        let shape = |kind| Shape {
            hosted,
            slots: 64,
            ..Shape::new(kind)
        };
        let permits = u32::try_from(PERMITS).expect("few permits");
        Ok(Self {
            jobs: Queue::make(&place, 16, 1 << 20, shape(Kind::Queue))?,
            lines: Queue::make(&place, 0, 64, shape(Kind::Queue))?,
            lock: Lock::make(&place, false, shape(Kind::Lock))?,
            reentrant: Lock::make(&place, true, shape(Kind::Lock))?,
            seats: Semaphore::make(&place, permits, true, shape(Kind::Semaphore))?,
            bell: Event::make(&place, false, shape(Kind::Event))?,
            hosted,
            ring: eventfd(),
        })
    }

    pub fn is_hosted(&self) -> bool {
        self.hosted
    }

    /// What wakes the host.
    pub fn ring(&self) -> BorrowedFd<'_> {
        self.ring.as_fd()
    }

    /// The same channels, mapped once more.
    pub fn again(&self, manner: Manner, party: u32) -> Result<Self, Error> {
        let hand = |file: BorrowedFd<'_>| Attachment {
            file: again(file),
            manner,
            party,
            bell: self.hosted.then(|| again(self.ring.as_fd())),
        };
        Ok(Self {
            jobs: Queue::attach(hand(self.jobs.descriptor()))?,
            lines: Queue::attach(hand(self.lines.descriptor()))?,
            lock: Lock::attach(hand(self.lock.descriptor()))?,
            reentrant: Lock::attach(hand(self.reentrant.descriptor()))?,
            seats: Semaphore::attach(hand(self.seats.descriptor()))?,
            bell: Event::attach(hand(self.bell.descriptor()))?,
            hosted: self.hosted,
            ring: again(self.ring.as_fd()),
        })
    }

    pub fn channels(&self) -> [(&'static str, &Arc<Channel>); 6] {
        [
            ("jobs", self.jobs.channel()),
            ("lines", self.lines.channel()),
            ("lock", self.lock.channel()),
            ("reentrant lock", self.reentrant.channel()),
            ("semaphore", self.seats.channel()),
            ("event", self.bell.channel()),
        ]
    }
}

fn again(file: BorrowedFd<'_>) -> OwnedFd {
    file.try_clone_to_owned().expect("there are descriptors left")
}

fn eventfd() -> OwnedFd {
    // SAFETY: the call takes no pointers.
    let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
    assert!(fd >= 0, "an eventfd: {}", io::Error::last_os_error());
    // SAFETY: the descriptor is new and ours.
    unsafe { OwnedFd::from_raw_fd(fd) }
}
