//! The first permits of a semaphore: a word each, in a line of the cache of its own.

use std::sync::atomic::Ordering;

use crate::channel::{Channel, OWN, Slot};
use crate::memory::Word32;

/// How many there are, if there are so many permits at first.
const COUNT: u32 = 8;
const FIRST: u64 = OWN + 128;
const APART: u64 = 64;

/// How many the semaphore has.
#[inline]
pub(super) fn total(channel: &Channel) -> u32 {
    u32::try_from(channel.shape().first).map_or(COUNT, |first| first.min(COUNT))
}

/// True: who holds it; 0 is nobody.
#[inline]
fn token(channel: &Channel, index: u32) -> Word32<'_> {
    channel.u32(FIRST + u64::from(index) * APART)
}

/// All of them, for each slot in another order, so that they seldom meet at one.
#[inline]
fn around(channel: &Channel, slot: Slot) -> impl Iterator<Item = Word32<'_>> {
    let total = total(channel);
    let start = slot.word() % total.max(1);
    (start..total).chain(0..start).map(move |index| token(channel, index))
}

/// Takes one if one is free.
#[inline]
pub(super) fn take(channel: &Channel, me: Slot) -> bool {
    around(channel, me).any(|token| token.load(Ordering::Relaxed) == 0 && token.exchange(0, me.word()).is_ok())
}

/// Gives back so many of a slot's, if it has them: how many.
#[inline]
pub(super) fn give_back(channel: &Channel, slot: Slot, count: u32) -> u32 {
    let mut given = 0;
    for token in around(channel, slot) {
        if given == count {
            break;
        }
        if token.load(Ordering::Relaxed) == slot.word() && token.exchange(slot.word(), 0).is_ok() {
            given += 1;
        }
    }
    given
}

/// How many a slot holds, or nobody.
pub(super) fn count(channel: &Channel, slot: Option<Slot>) -> u32 {
    let word = slot.map_or(0, Slot::word);
    (0..total(channel)).fold(0, |count, index| {
        count + u32::from(token(channel, index).load(Ordering::Acquire) == word)
    })
}
