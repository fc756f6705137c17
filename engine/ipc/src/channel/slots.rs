//! The processes that use a channel: one slot each. Whatever is held or taken bears a slot.

use std::collections::BTreeSet;
use std::os::fd::OwnedFd;
use std::sync::atomic::Ordering;
use std::sync::{MutexGuard, TryLockError};

use super::header::{SLOT, SLOTS};
use super::sleep::Waiting;
use super::{Channel, Latched};
use crate::error::Error;
use crate::life::{self, Life};
use crate::memory::{Word32, Word64};

/// The identity of a process in a channel, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(u32);

impl Slot {
    /// As it stands in a word; 0 is nobody.
    #[inline]
    pub(crate) const fn from_word(word: u32) -> Self {
        Self(word)
    }

    #[inline]
    pub(crate) const fn word(self) -> u32 {
        self.0
    }
}

/// Who uses a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    /// Its slot.
    pub slot: Slot,
    /// Its pid.
    pub pid: u32,
    /// Which process of a workflow it belongs to; 0 is none.
    pub party: u32,
    /// Which of its threads wait at the channel.
    pub waiting: Waiting,
}

/// The lives of others, each with a descriptor, so that to look once more costs one system call.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// The stamp of the process that watches.
    of: u32,
    seen: Vec<(Slot, Life, OwnedFd)>,
}

impl Channel {
    fn life_word(&self, slot: Slot) -> Word64<'_> {
        self.u64(SLOTS + u64::from(slot.0 - 1) * SLOT)
    }

    fn party_word(&self, slot: Slot) -> Word32<'_> {
        self.u32(SLOTS + u64::from(slot.0 - 1) * SLOT + 8)
    }

    pub(super) fn waiting_word(&self, slot: Slot) -> Word32<'_> {
        self.u32(SLOTS + u64::from(slot.0 - 1) * SLOT + 12)
    }

    /// The slot of a word that names one; `Damaged` when there is no such slot.
    pub(crate) fn slot(&self, word: u32) -> Result<Option<Slot>, Error> {
        match word {
            0 => Ok(None),
            word if word <= self.shape().slots => Ok(Some(Slot(word))),
            _ => Err(self.damaged()),
        }
    }

    /// All slots there are, used or not.
    pub(crate) fn slots(&self) -> impl Iterator<Item = Slot> + use<> {
        (1..=self.shape().slots).map(Slot)
    }

    /// Who has the slot.
    pub fn life(&self, slot: Slot) -> Option<Life> {
        Life::from_word(self.life_word(slot).load(Ordering::Acquire))
    }

    /// Who uses the channel.
    pub fn clients(&self) -> Vec<Client> {
        let used = self.slots().filter_map(|slot| {
            let life = self.life(slot)?;
            Some(Client {
                slot,
                pid: life.pid(),
                party: self.party_word(slot).load(Ordering::Relaxed),
                waiting: Waiting::of(self.waiting_word(slot).load(Ordering::Relaxed)),
            })
        });
        used.collect()
    }

    /// One client, if the slot is used.
    pub fn party(&self, slot: Slot) -> u32 {
        self.party_word(slot).load(Ordering::Relaxed)
    }

    /// Claims a free slot, or else one of the dead together with what it holds, which is then let go of.
    pub(super) fn claim_slot(&self, life: Life, party: u32) -> Result<Slot, Error> {
        if let Some(slot) = self.try_claim(life, party) {
            return Ok(slot);
        }
        for slot in self.slots() {
            // The slot that has the latch is left to whoever waits for the latch.
            let Some(before) = self.life(slot).filter(|life| !life.is_alive()) else {
                continue;
            };
            if !self.has_latch(slot) && self.life_word(slot).exchange(before.word(), life.word()).is_ok() {
                return self.inherit(slot, party).inspect_err(|_| {
                    // What the dead one held is still in the slot, which must stay his.
                    let _ = self.life_word(slot).exchange(life.word(), before.word());
                });
            }
        }
        Err(Error::TooManyClients {
            slots: self.shape().slots,
        })
    }

    /// Lets go of what is in a slot that was a dead one's.
    fn inherit(&self, slot: Slot, party: u32) -> Result<Slot, Error> {
        let latched = self.latch_as(slot)?;
        // Under the latch, since whoever buries the dead one at this moment wipes its description.
        self.describe(slot, party);
        (self.rules.bury)(self, slot, true)?;
        latched.wake_all(self);
        Ok(slot)
    }

    fn try_claim(&self, life: Life, party: u32) -> Option<Slot> {
        let claimed = self
            .slots()
            .find(|slot| self.life(*slot).is_none() && self.life_word(*slot).exchange(0, life.word()).is_ok())?;
        self.describe(claimed, party);
        Some(claimed)
    }

    fn describe(&self, slot: Slot, party: u32) {
        self.party_word(slot).store(party, Ordering::Release);
        self.waiting_word(slot).store(0, Ordering::Release);
    }

    /// The dead among those who use the channel, as far as this process can see; each is buried.
    pub fn bury_dead(&self) -> Result<(), Error> {
        for slot in self.dead() {
            self.bury(slot)?;
        }
        Ok(())
    }

    fn dead(&self) -> Vec<Slot> {
        let Some(mut watch) = self.watch() else {
            return self.slots().filter(|slot| self.has_died_now(*slot)).collect();
        };
        watch.seen.retain(|(slot, life, _)| self.life(*slot) == Some(*life));
        let known: BTreeSet<Slot> = watch.seen.iter().map(|(slot, ..)| *slot).collect();
        let mut dead = Vec::new();
        for slot in self.slots().filter(|slot| !known.contains(slot)) {
            let Some(life) = self.life(slot) else { continue };
            match life.watch() {
                Ok(Some(pidfd)) => watch.seen.push((slot, life, pidfd)),
                Ok(None) => dead.push(slot),
                Err(_no_descriptor) if life.is_alive() => {}
                Err(_no_descriptor) => dead.push(slot),
            }
        }
        let ended = life::have_ended(watch.seen.iter().map(|(.., pidfd)| pidfd));
        dead.extend(ended.into_iter().map(|index| watch.seen[index].0));
        dead
    }

    /// What this process watches; `None` when another thread looks just now, or did when this process was forked from its
    /// parent, and then for ever.
    fn watch(&self) -> Option<MutexGuard<'_, Watch>> {
        let mut watch = match self.watch.try_lock() {
            Ok(watch) => watch,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        if watch.of != life::stamp() {
            // What its parent watched is not the child's to watch.
            *watch = Watch {
                of: life::stamp(),
                seen: Vec::new(),
            };
        }
        Some(watch)
    }

    fn has_died_now(&self, slot: Slot) -> bool {
        self.life(slot).is_some_and(|life| !life.is_alive())
    }

    /// Whether the process of a slot has died, at one system call for each look but the first. Of a slot that nobody has: no.
    pub(crate) fn has_died(&self, slot: Slot) -> bool {
        let Some(life) = self.life(slot) else { return false };
        let Some(mut watch) = self.watch() else {
            return !life.is_alive();
        };
        if let Some((.., pidfd)) = watch.seen.iter().find(|seen| (seen.0, seen.1) == (slot, life)) {
            return life::has_ended(pidfd);
        }
        match life.watch() {
            Ok(Some(pidfd)) => {
                watch.seen.retain(|(seen, ..)| *seen != slot);
                watch.seen.push((slot, life, pidfd));
                false
            }
            Ok(None) => true,
            Err(_no_descriptor) => !life.is_alive(),
        }
    }

    /// Whether the process of a slot lives. Of a slot that nobody has: no.
    pub(crate) fn is_alive(&self, slot: Slot) -> bool {
        self.life(slot).is_some_and(Life::is_alive)
    }

    /// Takes from a slot whose process has died what it holds, and makes the slot free.
    pub fn bury(&self, slot: Slot) -> Result<(), Error> {
        let latched = self.latch()?;
        self.bury_latched(&latched, slot)
    }

    /// The same for who is known to have died: `life` is what [`Channel::life`] said then.
    pub fn bury_known(&self, slot: Slot, life: u64) -> Result<(), Error> {
        let latched = self.latch()?;
        match self.life(slot).filter(|now| now.word() == life) {
            Some(life) => self.bury_life(&latched, slot, life),
            None => Ok(()),
        }
    }

    pub(super) fn bury_latched(&self, latched: &Latched<'_>, slot: Slot) -> Result<(), Error> {
        let Some(life) = self.life(slot).filter(|life| !life.is_alive()) else {
            return Ok(());
        };
        self.bury_life(latched, slot, life)
    }

    fn bury_life(&self, latched: &Latched<'_>, slot: Slot, life: Life) -> Result<(), Error> {
        (self.rules.bury)(self, slot, true)?;
        self.empty(slot, life);
        latched.wake_all(self);
        Ok(())
    }

    /// Takes from a slot what it holds; the slot stays. `orphaned`: its process has not ended in order.
    pub fn let_go(&self, slot: Slot, orphaned: bool) -> Result<(), Error> {
        let latched = self.latch()?;
        (self.rules.bury)(self, slot, orphaned)?;
        latched.wake_all(self);
        Ok(())
    }

    /// The process leaves in order.
    pub(crate) fn leave(&self, slot: Slot) -> Result<(), Error> {
        let Some(life) = self.life(slot) else { return Ok(()) };
        let latched = self.latch_as(slot)?;
        (self.rules.bury)(self, slot, false)?;
        latched.wake_all(self);
        drop(latched);
        self.empty(slot, life);
        Ok(())
    }

    pub(super) fn empty(&self, slot: Slot, life: Life) {
        self.party_word(slot).store(0, Ordering::Relaxed);
        self.waiting_word(slot).store(0, Ordering::Relaxed);
        // Somebody else may have done it already, and a third have claimed it.
        let _ = self.life_word(slot).exchange(life.word(), 0);
    }
}
