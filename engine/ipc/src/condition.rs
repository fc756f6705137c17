//! A condition: where those who have a lock wait for others to change something.
//!
//! Who waits has an entry in a table, with a ticket that says who came first, and sleeps on it. To notify is to mark the
//! oldest entries as called. True are the entries. An entry stands until its owner has the lock again: so when he dies before that,
//! his call goes to another one, who need not have been called but for that.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::channel::{Channel, Kind, Latched, Manner, Nap, OWN, Place, Rules, Shape, Slot};
use crate::error::Error;
use crate::face::face;
use crate::futex;
use crate::lock::Lock;
use crate::memory::{PAGE, Word32, Word64};
use crate::patience::{Deadline, Patience};

/// The next ticket. It only need be greater than those in the table.
const TICKET: u64 = OWN;
/// Follows: no entry from here on is used.
const TOP: u64 = OWN + 8;

/// How long an entry is: who waits, and the ticket.
const ENTRY: u64 = 16;
/// So many threads of each process may wait, on the average.
const THREADS: u64 = 4;

/// In an entry, beside the slot: it has been called.
const CALLED: u32 = 1 << 31;

static RULES: Rules = Rules {
    kind: Kind::Condition,
    mend,
    bury,
};

/// A condition between processes, to be used with a [`Lock`].
///
/// ```
/// use forkyard_ipc::{Condition, Lock, channel::Place};
///
/// let (lock, changed) = (Lock::create(&Place::Memory, true)?, Condition::create(&Place::Memory)?);
/// let guard = lock.acquire()?;
/// std::thread::scope(|scope| {
///     let notifier = scope.spawn(|| {
///         let _guard = lock.acquire()?; // not before the other one waits
///         changed.notify(1)
///     });
///     changed.wait(&lock)?;
///     assert_eq!(notifier.join().expect("no panic")?, 1);
///     drop(guard);
///     Ok::<(), forkyard_ipc::Error>(())
/// })?;
/// # Ok::<(), forkyard_ipc::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Condition {
    channel: Arc<Channel>,
}

face!(Condition);

impl Condition {
    /// Makes a condition.
    pub fn create(place: &Place<'_>) -> Result<Self, Error> {
        Self::make(place, Shape::new(Kind::Condition))
    }

    /// The same with a shape that says more; its kind is set here.
    pub fn make(place: &Place<'_>, shape: Shape) -> Result<Self, Error> {
        let shape = Shape {
            kind: Kind::Condition,
            first: u64::from(shape.slots) * THREADS,
            body: (u64::from(shape.slots) * THREADS * ENTRY).next_multiple_of(PAGE),
            ..shape
        };
        Self::over(Channel::create(place, shape, &RULES)?)
    }

    fn over(channel: Arc<Channel>) -> Result<Self, Error> {
        let shape = channel.shape();
        if shape.first > u64::from(u32::MAX) || shape.body < shape.first * ENTRY {
            return Err(channel.damaged());
        }
        Ok(Self { channel })
    }

    /// How many wait and have not been called.
    #[must_use]
    pub fn waiting(&self) -> u32 {
        let waiting = entries(&self.channel).filter(|entry| entry.waits());
        waiting.fold(0, |count, _| count + 1)
    }
}

/// Waiting.
impl Condition {
    /// Gives the lock up, waits to be notified, and has the lock again. It comes back without having been notified only when
    /// a process has died.
    ///
    /// That the lock was orphaned meanwhile is told to whoever acquires it next, and by [`Lock::is_orphaned`].
    ///
    /// # Errors
    /// `NotHeld` when the caller has not got the lock; `Interrupted`, with the lock.
    pub fn wait(&self, lock: &Lock) -> Result<(), Error> {
        self.wait_with(lock, Patience::Block).map(|_| ())
    }

    /// The same; false when nobody has notified us in this time.
    pub fn wait_timeout(&self, lock: &Lock, time: Duration) -> Result<bool, Error> {
        self.wait_with(lock, Patience::For(time))
    }

    /// The same with any patience: `Try` lets others have the lock for a moment, if they are quick.
    pub fn wait_with(&self, lock: &Lock, patience: Patience) -> Result<bool, Error> {
        if self.channel.manner() == Manner::Host {
            return Err(Error::Nonsense("a host cannot wait at a condition"));
        }
        if lock.depth()? == 0 {
            return Err(Error::NotHeld);
        }
        let me = self.channel.me()?;
        let entry = self.enter(me)?;
        let (slept, resumed) = match lock.give_up() {
            Ok(depth) => {
                let slept = self.sleep_until_called(entry, me, Deadline::of(patience));
                (slept, lock.resume(depth))
            }
            Err(error) => (Err(error), Ok(())),
        };
        let called = self.go(entry)?;
        resumed?;
        if called { Ok(true) } else { slept.map(|()| false) }
    }

    fn enter(&self, me: Slot) -> Result<Entry<'_>, Error> {
        let latched = self.channel.latch()?;
        let free = entries(&self.channel).find(|entry| entry.who().load(Ordering::Relaxed) == 0);
        let entry = match free {
            Some(entry) => entry,
            None => self.append(&latched)?,
        };
        let ticket = self.channel.u64(TICKET);
        let ours = ticket.load(Ordering::Relaxed);
        ticket.store(ours.wrapping_add(1), Ordering::Relaxed);
        entry.ticket().store(ours, Ordering::Relaxed);
        entry.who().commit(me.word());
        Ok(entry)
    }

    /// One entry more is in use.
    fn append(&self, _: &Latched<'_>) -> Result<Entry<'_>, Error> {
        let top = self.channel.u32(TOP);
        let index = u64::from(top.load(Ordering::Relaxed));
        if index >= self.channel.shape().first {
            return Err(Error::TooManyClients {
                slots: self.channel.shape().slots,
            });
        }
        top.store(top.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        Ok(Entry {
            channel: &self.channel,
            index,
        })
    }

    fn sleep_until_called(&self, entry: Entry<'_>, me: Slot, deadline: Deadline) -> Result<(), Error> {
        while entry.who().load(Ordering::Acquire) == me.word() {
            let slice = self.channel.slice(false, 0);
            match self.channel.sleep(entry.who(), me.word(), deadline, slice)? {
                Nap::Woken => {}
                Nap::Sliced => self.channel.look_around()?,
                Nap::Over => break,
            }
        }
        Ok(())
    }

    /// The entry is no longer ours: whether it was called.
    fn go(&self, entry: Entry<'_>) -> Result<bool, Error> {
        let _latched = self.channel.latch()?;
        let called = entry.who().load(Ordering::Relaxed) & CALLED != 0;
        entry.who().commit(0);
        lower_top(&self.channel);
        Ok(called)
    }
}

/// Notifying.
impl Condition {
    /// Lets so many of those who wait go on, who has waited longest first: how many these were. Whether the caller must have the
    /// lock is for them and him to agree on.
    pub fn notify(&self, count: u32) -> Result<u32, Error> {
        // Nobody waits, and whoever is about to has still the lock.
        if self.channel.u32(TOP).load(Ordering::Acquire) == 0 {
            return Ok(0);
        }
        let latched = self.channel.latch()?;
        let mut called = Vec::new();
        for _ in 0..count {
            let Some(entry) = oldest(&self.channel, None) else {
                break;
            };
            entry.call();
            called.push(entry);
        }
        drop(latched);
        for entry in &called {
            futex::wake(entry.who(), 1);
        }
        Ok(u32::try_from(called.len()).unwrap_or(u32::MAX))
    }

    /// Lets all who wait go on.
    pub fn notify_all(&self) -> Result<u32, Error> {
        self.notify(u32::MAX)
    }
}

/// Where one waits.
#[derive(Clone, Copy, Debug)]
struct Entry<'a> {
    channel: &'a Channel,
    index: u64,
}

impl<'a> Entry<'a> {
    fn at(self) -> u64 {
        self.channel.shape().body_at() + self.index * ENTRY
    }

    /// The slot of who waits here, perhaps `CALLED`; 0 when nobody does.
    fn who(self) -> Word32<'a> {
        self.channel.u32(self.at())
    }

    fn ticket(self) -> Word64<'a> {
        self.channel.u64(self.at() + 8)
    }

    /// Whether somebody waits here who has not been called.
    fn waits(self) -> bool {
        let who = self.who().load(Ordering::Relaxed);
        who != 0 && who & CALLED == 0
    }

    fn call(self) {
        self.who().commit(self.who().load(Ordering::Relaxed) | CALLED);
    }
}

/// Those that may be in use.
fn entries(channel: &Channel) -> impl Iterator<Item = Entry<'_>> {
    let top = u64::from(channel.u32(TOP).load(Ordering::Acquire)).min(channel.shape().first);
    (0..top).map(|index| Entry { channel, index })
}

/// Who has waited longest, but for one slot.
fn oldest<'a>(channel: &'a Channel, but: Option<Slot>) -> Option<Entry<'a>> {
    let waits =
        |entry: &Entry<'a>| entry.waits() && but.is_none_or(|but| entry.who().load(Ordering::Relaxed) != but.word());
    entries(channel)
        .filter(waits)
        .min_by_key(|entry| entry.ticket().load(Ordering::Relaxed))
}

fn lower_top(channel: &Channel) {
    let used = entries(channel).filter(|entry| entry.who().load(Ordering::Relaxed) != 0);
    let top = used.last().map_or(0, |entry| entry.index + 1);
    channel
        .u32(TOP)
        .store(u32::try_from(top).unwrap_or(u32::MAX), Ordering::Release);
}

/// The top follows from the entries.
#[expect(clippy::unnecessary_wraps, reason = "other kinds may find themselves damaged")]
fn mend(channel: &Channel) -> Result<(), Error> {
    let first = u32::try_from(channel.shape().first).unwrap_or(u32::MAX);
    channel.u32(TOP).store(first, Ordering::Relaxed);
    lower_top(channel);
    Ok(())
}

/// Who was called and has not come to anything is replaced by another one. All are woken, since the dead one may have called
/// some and not come to wake them.
fn bury(channel: &Channel, slot: Slot, _: bool) -> Result<(), Error> {
    for entry in entries(channel) {
        let who = entry.who().load(Ordering::Relaxed);
        if who & !CALLED != slot.word() {
            continue;
        }
        if who & CALLED != 0
            && let Some(other) = oldest(channel, Some(slot))
        {
            other.call();
        }
        entry.who().commit(0);
    }
    mend(channel)?;
    for entry in entries(channel) {
        futex::wake(entry.who(), i32::MAX);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
