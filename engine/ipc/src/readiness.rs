//! Waiting by a descriptor, for programs that wait for many things at once: poll(2), epoll(7), an event loop.
//!
//! The kernel can wait for a descriptor or for a word of memory, not for both: so a thread waits for the word, and makes the
//! descriptor readable.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd, BorrowedFd, FromRawFd as _, OwnedFd};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crate::error::Error;
use crate::patience::Patience;

/// How soon the thread notices that nobody wants to know any more.
const SLICE: Duration = Duration::from_millis(200);

/// A descriptor that is readable when another attempt may succeed.
///
/// Once it is readable, try (`try_get`, `try_put`, …) until there is nothing left, and then [`Readiness::rearm`] it. It may be readable
/// for nothing: others may have been faster. It belongs to the process that made it; a forked child makes its own.
///
/// ```
/// use std::os::fd::AsFd;
///
/// use forkyard_ipc::{Queue, channel::Place};
///
/// let queue = Queue::create(&Place::Memory, 10, 100)?;
/// let items = queue.item_readiness()?;
/// let _to_poll = items.as_fd();
/// queue.put(b"x")?;
/// // poll(2) says that it is readable …
/// while let Some(item) = queue.try_get()? {
///     assert_eq!(item, b"x");
/// }
/// items.rearm()?;
/// # Ok::<(), forkyard_ipc::Error>(())
/// ```
#[derive(Debug)]
pub struct Readiness {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    phase: Mutex<Phase>,
    changed: Condvar,
    bell: File,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The thread is to wait.
    Armed,
    /// The descriptor is readable.
    Told,
    /// Nobody wants to know any more.
    Ended,
}

impl Readiness {
    /// `wait` waits until an attempt may succeed, without making one; false when its patience is at its end. When it
    /// fails, so will an attempt, which is what the caller is to see.
    pub(crate) fn new(wait: impl Fn(Patience) -> Result<bool, Error> + Send + 'static) -> Result<Self, Error> {
        let shared = Arc::new(Shared {
            phase: Mutex::new(Phase::Armed),
            changed: Condvar::new(),
            bell: File::from(bell()?),
        });
        let of_thread = Arc::clone(&shared);
        thread::Builder::new()
            .name("forkyard-wait".to_owned())
            .spawn(move || of_thread.serve(wait))
            .map_err(Error::io("start a thread that waits"))?;
        Ok(Self { shared })
    }

    /// From now on it is readable again only when something new may be had.
    pub fn rearm(&self) -> Result<(), Error> {
        let mut phase = self.shared.phase();
        if *phase == Phase::Told {
            let mut count = [0; 8];
            (&self.shared.bell)
                .read_exact(&mut count)
                .map_err(Error::io("read an eventfd"))?;
            *phase = Phase::Armed;
            self.shared.changed.notify_all();
        }
        Ok(())
    }
}

impl AsFd for Readiness {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.shared.bell.as_fd()
    }
}

impl Drop for Readiness {
    fn drop(&mut self) {
        *self.shared.phase() = Phase::Ended;
        self.shared.changed.notify_all();
    }
}

impl Shared {
    fn phase(&self) -> MutexGuard<'_, Phase> {
        self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, wait: impl Fn(Patience) -> Result<bool, Error>) {
        loop {
            let armed = self.changed.wait_while(self.phase(), |phase| *phase == Phase::Told);
            if *armed.unwrap_or_else(PoisonError::into_inner) == Phase::Ended {
                return;
            }
            if matches!(wait(Patience::For(SLICE)), Ok(false) | Err(Error::Interrupted)) {
                continue;
            }
            let mut phase = self.phase();
            if *phase == Phase::Armed {
                *phase = Phase::Told;
                // Nothing is lost when the descriptor is readable already.
                let _ = (&self.bell).write(&1_u64.to_ne_bytes());
            }
        }
    }
}

fn bell() -> Result<OwnedFd, Error> {
    // SAFETY: the call takes no pointers.
    let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
    if fd < 0 {
        return Err(Error::last("make an eventfd"));
    }
    // SAFETY: the descriptor is new and ours.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd as _;

    use super::*;
    use crate::channel::Place;
    use crate::{Event, Queue};

    /// Whether the descriptor becomes readable within `milliseconds`; -1 is for ever.
    fn is_readable(readiness: &Readiness, milliseconds: i32) -> bool {
        let mut poll = libc::pollfd {
            fd: readiness.as_fd().as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        // SAFETY: one entry is given, which outlives the call.
        unsafe { libc::poll(&raw mut poll, 1, milliseconds) > 0 }
    }

    #[test]
    fn a_queue_is_readable_when_there_is_an_item_and_when_it_has_ended() {
        let queue = Queue::create(&Place::Memory, 2, 10).expect("a queue is made");
        let items = queue.item_readiness().expect("a descriptor");
        assert!(!is_readable(&items, 0), "it is empty");
        queue.put(b"x").expect("it is put");
        assert!(is_readable(&items, -1));
        assert_eq!(queue.get().expect("it is got"), b"x");
        items.rearm().expect("it is armed");
        assert!(!is_readable(&items, 0), "it is empty again");
        queue.close().expect("it is closed");
        assert!(is_readable(&items, -1), "who gets will be told");
    }

    #[test]
    fn a_full_queue_is_readable_when_there_is_room() {
        let queue = Queue::create(&Place::Memory, 1, 10).expect("a queue is made");
        queue.put(b"x").expect("it is put");
        let room = queue.room_readiness().expect("a descriptor");
        assert!(!is_readable(&room, 0), "it is full");
        queue.get().expect("it is got");
        assert!(is_readable(&room, -1));
    }

    #[test]
    fn an_event_is_readable_when_it_is_set() {
        let event = Event::create(&Place::Memory, false).expect("an event is made");
        let set = event.readiness().expect("a descriptor");
        assert!(!is_readable(&set, 0), "it is clear");
        event.set();
        assert!(is_readable(&set, -1));
    }
}
