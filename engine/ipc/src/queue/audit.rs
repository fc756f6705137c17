//! Whether the words of a queue fit together, looked at from scratch.

use std::collections::BTreeSet;

use super::Queue;
use super::layout::{
    BUSY, CLASS_MAX, FREE, FRESH, HEAD, NEXT_NUMBER, READY, RESERVED, SPLIT, State, TAIL, TAKEN, Table,
};
use crate::error::Error;

impl Queue {
    /// Looks whether all words fit together: every item is in exactly one place, the line ascends, the counts are right. For
    /// tests, and for whoever suspects a client.
    ///
    /// # Errors
    /// `Damaged` when not; the channel is marked then.
    pub fn audit(&self) -> Result<(), Error> {
        let _latched = self.channel.latch()?;
        let table = self.table();
        if table.is_sound()? {
            Ok(())
        } else {
            Err(self.channel.damaged())
        }
    }
}

impl Table<'_> {
    fn is_sound(self) -> Result<bool, Error> {
        let line = self.walk(self.get(HEAD))?;
        let busy = self.walk(self.get(BUSY))?;
        let mut free = Vec::new();
        for class in 0..=CLASS_MAX {
            free.extend(self.walk(self.get(FREE + 4 * u64::from(class)))?);
        }
        let mut sound = self.is_line_sound(&line)?;
        let (mut reserved, mut taken) = (0, 0_u64);
        for index in &busy {
            let descriptor = self.descriptor(*index);
            match descriptor.status()?.state {
                State::Reserved(_) => reserved += 1,
                State::Taken(_) => taken += u64::from(descriptor.weight()),
                State::Free | State::Ready => sound = false,
            }
        }
        sound &= reserved == self.get(RESERVED) && taken == u64::from(self.get(TAKEN)) && self.get(SPLIT) == 0;
        for index in &free {
            sound &= self.descriptor(*index).status()?.state == State::Free;
        }
        let all: BTreeSet<u32> = line.iter().chain(&busy).chain(&free).copied().collect();
        sound &= all.len() == line.len() + busy.len() + free.len() && all.len() == self.get(FRESH) as usize;
        Ok(sound && self.are_blocks_apart()?)
    }

    fn is_line_sound(self, line: &[u32]) -> Result<bool, Error> {
        let weights = line.iter().map(|index| u64::from(self.descriptor(*index).weight()));
        let mut sound = weights.sum::<u64>() == u64::from(self.get(READY));
        sound &= line.last().map_or(0, |last| last + 1) == self.get(TAIL) || line.is_empty();
        let next = self.u64(NEXT_NUMBER).load(std::sync::atomic::Ordering::Relaxed);
        let mut before = None;
        for index in line {
            let descriptor = self.descriptor(*index);
            // What it says of its sheaf fits together, or it is damaged.
            descriptor.sheaf()?;
            let number = descriptor.first_number();
            let last = number.saturating_add(u64::from(descriptor.weight()) - 1);
            sound &= descriptor.status()?.state == State::Ready && last < next && before < Some(number);
            before = Some(last);
        }
        Ok(sound)
    }

    fn are_blocks_apart(self) -> Result<bool, Error> {
        let mut blocks = Vec::new();
        for (_, descriptor) in self.used() {
            let (offset, class) = descriptor.block()?;
            if class != 0 {
                blocks.push((offset, offset.saturating_add(1 << class)));
            }
        }
        blocks.sort_unstable();
        Ok(blocks.windows(2).all(|two| two[0].1 <= two[1].0))
    }

    fn walk(self, first: u32) -> Result<Vec<u32>, Error> {
        let mut walked = Vec::new();
        let mut link = first;
        while let Some(index) = self.follow(link)? {
            walked.push(index);
            if walked.len() > self.count() as usize {
                return Err(self.channel.damaged());
            }
            link = self.descriptor(index).next();
        }
        Ok(walked)
    }
}
