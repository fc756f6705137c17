//! The programs that use channels by themselves, each watched over as long as it lives.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;

use forkyard_ipc::channel::{Channel, Client, Slot as Place};

use super::Station;
use super::bell::Bell;

/// A process in a channel.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stranger {
    pub slot: Place,
    pub life: u64,
}

#[derive(Debug)]
struct Known {
    pidfd: OwnedFd,
    /// Where it is.
    places: Vec<(Station, Place)>,
}

/// Whom the engine watches over, by life.
#[derive(Debug, Default)]
pub(super) struct Deaths {
    known: BTreeMap<u64, Known>,
}

impl Deaths {
    /// Whether nobody is watched over.
    pub(super) fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// Who has come to a channel and is not known there.
    pub(super) fn strangers(&self, channel: &Channel, station: Station) -> Vec<Stranger> {
        let own = std::process::id();
        let others = channel.clients().into_iter().filter(|client| client.pid != own);
        let stranger = |Client { slot, .. }| {
            let life = channel.life(slot)?.word();
            let is_known = self
                .known
                .get(&life)
                .is_some_and(|known| known.places.contains(&(station, slot)));
            (!is_known).then_some(Stranger { slot, life })
        };
        others.filter_map(stranger).collect()
    }

    /// Watches over one from now on; false when it has ended already.
    ///
    /// # Errors
    /// When it cannot be watched now, for want of descriptors.
    pub(super) fn watch(
        &mut self,
        bell: &Bell,
        channel: &Channel,
        station: Station,
        stranger: Stranger,
    ) -> io::Result<bool> {
        let Stranger { slot, life } = stranger;
        if let Some(known) = self.known.get_mut(&life) {
            known.places.push((station, slot));
            return Ok(true);
        }
        let watched = match channel.life(slot) {
            Some(now) if now.word() == life => now.watch()?,
            // It has left in order meanwhile.
            Some(_) | None => return Ok(true),
        };
        let Some(pidfd) = watched else { return Ok(false) };
        bell.add(&pidfd, life)?;
        let known = Known {
            pidfd,
            places: vec![(station, slot)],
        };
        self.known.insert(life, known);
        Ok(true)
    }

    /// Where a process was that has ended; it is not watched any more.
    pub(super) fn bury(&mut self, bell: &Bell, life: u64) -> Vec<(Station, Place)> {
        let Some(Known { pidfd, places }) = self.known.remove(&life) else {
            return Vec::new();
        };
        bell.remove(&pidfd);
        places
    }
}
