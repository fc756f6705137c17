//! Looking at a process that runs: what each of its threads waits for.

use std::collections::BTreeSet;

use forkyard_core::id::{ProcessId, QueueId};
use forkyard_core::knot::{Blocked, Need, Way};

use super::Scene;
use crate::broker::ClientWait;
use crate::deadlock::threads::{self, Asleep, At};
use crate::deadlock::{Conduit, End, Lives, What};
use crate::yard::{Parked, Place, Sleeper, Slot};

impl Scene<'_> {
    /// What it waits for for certain, each thread on its own; `None`: it is awake, or nobody knows.
    pub(super) fn inspect(&self, process: ProcessId, lives: &impl Lives) -> Option<(Blocked<What>, Asleep)> {
        let (tree, streams) = lives.life(process)?;
        let asleep = threads::asleep(tree)?;
        let needs = self.certain(process, &asleep, streams)?;
        let ways: Vec<Way<What>> = needs.into_iter().map(|need| Way { needs: vec![need] }).collect();
        // What sleeps for no reason that we know of is not ours to judge.
        (!ways.is_empty()).then_some((Blocked { ways }, asleep))
    }

    fn certain(&self, process: ProcessId, asleep: &Asleep, streams: &[Conduit]) -> Option<Vec<Need<What>>> {
        let slot = Slot(process.0);
        let requests: Vec<(&Parked, &ClientWait)> = self
            .parked_of(slot)
            .filter_map(|parked| Some((parked, self.clients.get(&parked.ticket)?)))
            .collect();
        let sleepers = self.sleepers.get(&slot).map_or(&[][..], Vec::as_slice);
        Self::are_all_explained(asleep, &requests, sleepers).then_some(())?;
        let mut needs: Vec<Need<What>> = requests.iter().map(|(parked, _)| self.parked_need(parked)).collect();
        needs.extend(sleepers.iter().map(|sleeper| self.sleeper_need(sleeper)));
        let inherited = threads::inherited_pipes();
        for sleep in &asleep.sleeps {
            match sleep.at {
                At::Socket | At::Word => {}
                At::Empty(pipe) | At::Full(pipe) if inherited.contains(&pipe) => return None,
                At::Empty(pipe) | At::Full(pipe) => match streams.iter().find(|stream| stream.pipe == pipe) {
                    Some(stream) => needs.push(self.stream(process, stream.end)),
                    // Else it is a pipe of its own, in which others of the same tree take part.
                    None => needs.extend(self.pipe(process, sleep.at)),
                },
            }
        }
        Some(needs)
    }

    /// Whether each thread that sleeps at a socket has a request here, and each one at a shared word is one that sleeps at a channel, and none has a
    /// time-out.
    fn are_all_explained(asleep: &Asleep, requests: &[(&Parked, &ClientWait)], sleepers: &[Sleeper]) -> bool {
        let is_timed = requests.iter().any(|(_, client)| client.is_timed)
            || sleepers.iter().any(|sleeper| sleeper.waiting.timed > 0);
        let is_known = |pid: u32| asleep.pids.contains(&pid);
        let pid_of = |client: &ClientWait| client.pid.and_then(|pid| u32::try_from(pid).ok());
        let are_ours = requests.iter().all(|(_, client)| pid_of(client).is_some_and(is_known))
            && sleepers.iter().all(|sleeper| is_known(sleeper.pid));
        let count = |pid: u32, at: At| {
            let sleeps = asleep.sleeps.iter().filter(|sleep| (sleep.pid, sleep.at) == (pid, at));
            sleeps.count()
        };
        let is_explained = |pid: u32| {
            let own = requests.iter().filter(|(_, client)| pid_of(client) == Some(pid));
            let connections: BTreeSet<_> = own.map(|(_, client)| client.connection).collect();
            let waiting = sleepers.iter().filter(|sleeper| sleeper.pid == pid);
            let words: u32 = waiting.map(|sleeper| sleeper.waiting.endless).sum();
            count(pid, At::Socket) == connections.len() && count(pid, At::Word) == words as usize
        };
        !is_timed && are_ours && asleep.pids.iter().all(|pid| is_explained(*pid))
    }

    /// What a process waits for at a stream of the engine's: the engine itself waits there for nobody, but where it serves a queue that is empty or full.
    fn stream(&self, process: ProcessId, end: End) -> Need<What> {
        let waits_for_item = |queue: QueueId| {
            let mut parked = self.parked_of(Slot(process.0));
            parked.any(|parked| parked.place == Place::Take(queue.0) && !self.clients.contains_key(&parked.ticket))
        };
        match end {
            End::From(queue) if waits_for_item(queue) => self.item(queue),
            End::From(queue) => Self::coming(What::Item(queue)),
            End::Into(queue) => self.room(queue),
            End::Tasks => match self.tasks(process) {
                Some(need) => need,
                None => Self::coming(What::Worker(process)),
            },
            End::Sink => Self::coming(What::Worker(process)),
        }
    }
}
