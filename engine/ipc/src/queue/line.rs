//! The line of ready items, the list of those that somebody has, and the stacks of free descriptors.
//!
//! All of this follows from the states of the descriptors; it is kept so that nobody has to look at all of them.

use std::sync::atomic::Ordering::Relaxed;

use super::layout::{
    ARENA_END, ARENA_PROVIDED, BUSY, CLASS_MAX, Descriptor, FREE, FRESH, HEAD, PROVIDED, READY, RESERVED, State,
    Status, TAIL, TAKEN, Table,
};
use crate::error::Error;
use crate::memory::FIRST;

/// So many descriptors at least are given a place on the disk at once: a page of them.
const PROVIDE_MIN: u32 = 64;
/// And so many at most: 4 MiB of them.
const PROVIDE_MAX: u32 = 1 << 16;

/// A block may be longer than its item needs by this: four times as long.
const CLASS_WASTE: u32 = 2;

/// The arena grows by so many bytes at least.
const ARENA_STEP: u64 = 1 << 18;

/// No arena is longer: four times as long as memory can map.
const ARENA_MAX: u64 = 1 << 48;

const fn stack(class: u32) -> u64 {
    FREE + 4 * class as u64
}

/// The line of ready items.
impl Table<'_> {
    /// At the end.
    #[inline]
    pub fn append(self, index: u32) -> Result<(), Error> {
        let link = index + 1;
        self.descriptor(index).set_next(0);
        match self.follow(self.get(TAIL))? {
            Some(last) if self.get(HEAD) != 0 => self.descriptor(last).set_next(link),
            Some(_) | None => self.set(HEAD, link),
        }
        self.set(TAIL, link);
        self.count_up(READY, self.descriptor(index).weight());
        Ok(())
    }

    /// At its place, which is by number: what comes back is mostly the oldest there is.
    pub fn insert(self, index: u32) -> Result<(), Error> {
        let inserted = self.descriptor(index);
        let number = inserted.first_number();
        let mut before: Option<u32> = None;
        let mut after = self.follow(self.get(HEAD))?;
        let mut steps = 0;
        while let Some(other) = after
            && self.descriptor(other).first_number() < number
        {
            steps += 1;
            if steps > self.count() {
                return Err(self.channel.damaged());
            }
            before = after;
            after = self.follow(self.descriptor(other).next())?;
        }
        inserted.set_next(after.map_or(0, |other| other + 1));
        match before {
            Some(other) => self.descriptor(other).set_next(index + 1),
            None => self.set(HEAD, index + 1),
        }
        if after.is_none() {
            self.set(TAIL, index + 1);
        }
        self.count_up(READY, inserted.weight());
        Ok(())
    }

    /// The first, which stays where it is.
    #[inline]
    pub fn first(self) -> Result<Option<(u32, Status)>, Error> {
        let Some(index) = self.follow(self.get(HEAD))? else {
            return Ok(None);
        };
        let status = self.descriptor(index).status()?;
        match status.state {
            State::Ready => Ok(Some((index, status))),
            State::Free | State::Reserved(_) | State::Taken(_) => Err(self.channel.damaged()),
        }
    }

    /// Takes the first off.
    #[inline]
    pub fn advance(self, first: u32) {
        let descriptor = self.descriptor(first);
        self.set(HEAD, descriptor.next());
        self.count_down(READY, descriptor.weight());
    }
}

/// Items that a slot reserves or has taken.
impl Table<'_> {
    pub fn enlist(self, index: u32, count: u64) -> Result<(), Error> {
        let descriptor = self.descriptor(index);
        let others = self.get(BUSY);
        if let Some(other) = self.follow(others)? {
            self.descriptor(other).set_previous(index + 1);
        }
        descriptor.set_next(others);
        descriptor.set_previous(0);
        self.set(BUSY, index + 1);
        self.count_up(count, descriptor.weight());
        Ok(())
    }

    pub fn delist(self, index: u32, count: u64) -> Result<(), Error> {
        let descriptor = self.descriptor(index);
        let (previous, next) = (descriptor.previous(), descriptor.next());
        match self.follow(previous)? {
            Some(other) => self.descriptor(other).set_next(next),
            None => self.set(BUSY, next),
        }
        if let Some(other) = self.follow(next)? {
            self.descriptor(other).set_previous(previous);
        }
        self.count_down(count, descriptor.weight());
        Ok(())
    }

    /// All that are reserved or taken, with who has them.
    pub fn busy(self) -> Result<Vec<(u32, Status)>, Error> {
        let mut all = Vec::new();
        let mut link = self.get(BUSY);
        while let Some(index) = self.follow(link)? {
            let descriptor = self.descriptor(index);
            all.push((index, descriptor.status()?));
            if all.len() > self.count() as usize {
                return Err(self.channel.damaged());
            }
            link = descriptor.next();
        }
        Ok(all)
    }
}

/// Free descriptors.
impl Table<'_> {
    /// One with a block for `class`, taken off its stack; its state is still free.
    #[inline]
    pub fn provide_for(self, class: u32) -> Result<u32, Error> {
        match self.pop(class)? {
            Some(index) => Ok(index),
            None if class == 0 => self.bare(),
            None => self.with_block(class),
        }
    }

    #[inline]
    fn pop(self, class: u32) -> Result<Option<u32>, Error> {
        let Some(index) = self.follow(self.get(stack(class)))? else {
            return Ok(None);
        };
        let descriptor = self.descriptor(index);
        if descriptor.status()?.state != State::Free || descriptor.block()?.1 != class {
            return Err(self.channel.damaged());
        }
        self.set(stack(class), descriptor.next());
        Ok(Some(index))
    }

    /// Back to its stack.
    #[inline]
    pub fn push(self, index: u32) -> Result<(), Error> {
        let descriptor = self.descriptor(index);
        let stack = stack(descriptor.block()?.1);
        descriptor.set_next(self.get(stack));
        self.set(stack, index + 1);
        Ok(())
    }

    /// One that has no block; else any, whose block is of no use then.
    #[cold]
    fn bare(self) -> Result<u32, Error> {
        let fresh = self.get(FRESH);
        if fresh < self.count() {
            let provided = self.get(PROVIDED);
            if fresh >= provided {
                let more = provided.clamp(PROVIDE_MIN, PROVIDE_MAX);
                self.provide(provided.saturating_add(more).min(self.count()))?;
            }
            self.u32(FRESH).commit(fresh + 1);
            return Ok(fresh);
        }
        for class in 1..=CLASS_MAX {
            if let Some(index) = self.pop(class)? {
                return Ok(index);
            }
        }
        Err(Error::NoSpace)
    }

    #[cold]
    fn with_block(self, class: u32) -> Result<u32, Error> {
        for larger in class + 1..=(class + CLASS_WASTE).min(CLASS_MAX) {
            if let Some(index) = self.pop(larger)? {
                return Ok(index);
            }
        }
        let index = match self.pop(0)? {
            Some(index) => index,
            None => self.bare()?,
        };
        let made = match self.make_block(index, class) {
            Err(Error::NoSpace) => self.discard_blocks().and_then(|()| self.make_block(index, class)),
            made => made,
        };
        match made {
            Ok(()) => Ok(index),
            Err(error) => {
                self.push(index)?;
                Err(error)
            }
        }
    }

    /// A new block at the end of the arena, instead of the one it may have.
    fn make_block(self, index: u32, class: u32) -> Result<(), Error> {
        self.discard_block(index)?;
        let length = 1_u64 << class;
        let arena_end = self.u64(ARENA_END).load(Relaxed);
        let provided = self.u64(ARENA_PROVIDED).load(Relaxed);
        if arena_end > ARENA_MAX || provided > ARENA_MAX {
            return Err(self.channel.damaged());
        }
        let offset = arena_end.max(FIRST).next_multiple_of(length);
        let end = offset + length;
        if end > provided {
            let from = provided.max(offset);
            let to = end.max(from + ARENA_STEP);
            self.channel.memory().provide_block(from, to - from)?;
            self.u64(ARENA_PROVIDED).commit(to);
        }
        self.descriptor(index).set_block(offset, class);
        self.u64(ARENA_END).commit(end);
        Ok(())
    }

    /// Gives the disk back what free descriptors have: the arena's addresses are plenty.
    fn discard_blocks(self) -> Result<(), Error> {
        for class in 1..=CLASS_MAX {
            while let Some(index) = self.pop(class)? {
                self.discard_block(index)?;
                self.push(index)?;
            }
        }
        Ok(())
    }

    fn discard_block(self, index: u32) -> Result<(), Error> {
        let descriptor = self.descriptor(index);
        let (offset, class) = descriptor.block()?;
        if class != 0 {
            descriptor.set_block(0, 0);
            self.channel.memory().discard_block(offset, 1 << class);
        }
        Ok(())
    }
}

/// Everything anew, from what the descriptors say.
impl Table<'_> {
    pub fn rebuild(self) -> Result<(), Error> {
        for word in [HEAD, TAIL, READY, RESERVED, TAKEN, BUSY] {
            self.set(word, 0);
        }
        for class in 0..=CLASS_MAX {
            self.set(stack(class), 0);
        }
        let mut ready = Vec::new();
        let mut arena_end = self.u64(ARENA_END).load(Relaxed);
        for (index, descriptor) in self.used() {
            let (offset, class) = descriptor.block()?;
            if class != 0 {
                arena_end = arena_end.max(offset.saturating_add(1 << class));
            }
            match descriptor.status()?.state {
                State::Free => self.push(index)?,
                State::Reserved(_) => self.enlist(index, RESERVED)?,
                State::Taken(_) => self.enlist(index, TAKEN)?,
                State::Ready => ready.push((descriptor.first_number(), index)),
            }
        }
        self.u64(ARENA_END).commit(arena_end);
        ready.sort_unstable();
        for (_, index) in ready {
            self.append(index)?;
        }
        Ok(())
    }

    /// Off the line for good, its place free for another.
    #[inline]
    pub fn free(self, descriptor: Descriptor<'_>, index: u32) -> Result<(), Error> {
        descriptor.commit(State::Free, 0);
        self.push(index)
    }
}
