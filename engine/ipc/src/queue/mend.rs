//! Putting right what the dead have left.

use std::sync::atomic::Ordering::Relaxed;

use super::Counts;
use super::layout::{
    Descriptor, FRESH, INTENT, INTENT_RETURNED, NEXT_NUMBER, PROVIDED, READY, REFUSED, RESERVED, RETURNED, State,
    TAKEN, Table,
};
use crate::channel::{Channel, Slot};
use crate::error::Error;

/// Somebody has died with the latch: the true words are as some step has left them, all others are made anew.
pub(super) fn mend(channel: &Channel) -> Result<(), Error> {
    let table = Table::of(channel);
    let fresh = table.get(FRESH);
    if fresh > table.get(PROVIDED) || fresh > table.count() {
        return Err(channel.damaged());
    }
    table.finish_intent()?;
    table.finish_split()?;
    table.finish_number()?;
    table.rebuild()
}

/// What the slot reserves is free, and what it has taken is ready again.
pub(super) fn bury(channel: &Channel, slot: Slot, _orphaned: bool) -> Result<(), Error> {
    let table = Table::of(channel);
    for (index, status) in table.busy()? {
        let descriptor = table.descriptor(index);
        match status.state {
            State::Reserved(writer) if writer == slot => {
                table.delist(index, RESERVED)?;
                table.free(descriptor, index)?;
            }
            State::Taken(taker) if taker == slot => {
                table.return_item(descriptor, index)?;
                table.delist(index, TAKEN)?;
                table.insert(index)?;
            }
            State::Free | State::Reserved(_) | State::Ready | State::Taken(_) => {}
        }
    }
    Ok(())
}

impl Table<'_> {
    /// The step by which a taken item, or what is left of a sheaf, is ready again, counted exactly once whoever is killed meanwhile.
    pub(super) fn return_item(self, descriptor: Descriptor<'_>, index: u32) -> Result<(), Error> {
        let items = u64::from(descriptor.weight());
        let returned = self.u64(RETURNED).load(Relaxed).wrapping_add(items);
        let deliveries = descriptor.status()?.deliveries;
        self.u64(INTENT_RETURNED).commit(returned);
        self.u32(INTENT).commit(index + 1);
        descriptor.commit(State::Ready, deliveries);
        self.u64(RETURNED).commit(returned);
        self.u32(INTENT).commit(0);
        Ok(())
    }

    fn finish_intent(self) -> Result<(), Error> {
        let Some(index) = self.follow(self.get(INTENT))? else {
            return Ok(());
        };
        if self.descriptor(index).status()?.state == State::Ready {
            self.u64(RETURNED).commit(self.u64(INTENT_RETURNED).load(Relaxed));
        }
        self.u32(INTENT).commit(0);
        Ok(())
    }

    /// A put that became true may not have been counted.
    fn finish_number(self) -> Result<(), Error> {
        let mut next = self.u64(NEXT_NUMBER).load(Relaxed);
        for (_, descriptor) in self.used() {
            match descriptor.status()?.state {
                State::Ready | State::Taken(_) => {
                    let after = descriptor.first_number().wrapping_add(descriptor.weight().into());
                    next = next.max(after);
                }
                State::Free | State::Reserved(_) => {}
            }
        }
        self.u64(NEXT_NUMBER).commit(next);
        Ok(())
    }

    pub(super) fn counts(self) -> Counts {
        let put = self.u64(NEXT_NUMBER).load(Relaxed);
        let (ready, taken) = (u64::from(self.get(READY)), u64::from(self.get(TAKEN)));
        Counts {
            put,
            got: put.wrapping_sub(ready).wrapping_sub(taken),
            returned: self.u64(RETURNED).load(Relaxed),
            ready,
            taken,
            reserved: u64::from(self.get(RESERVED)),
            refused: self.u64(REFUSED).load(Relaxed),
        }
    }
}
