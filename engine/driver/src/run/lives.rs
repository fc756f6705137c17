//! The processes that are being started or are alive, and the watch over each.

use std::cell::Cell;
use std::collections::{BTreeMap, VecDeque};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use forkyard_core::id::{ProcessId, TaskId};
use forkyard_core::machine::{Exit, Why};
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

use super::Happening;
use super::kept::Leader;
use super::looks::Sight;
use super::pumps::Pumps;
use super::wiring::Streams;
use crate::deadlock::{self, Conduit};
use crate::exit::Usage;
use crate::limits::Groups;
use crate::notify::Ear;
use crate::over::Ending;
use crate::spent;
use crate::terminal::Screen;
use crate::tree::Tree;
use crate::yard::Commons;

/// How often a tree that outlives its first process is looked at: the kernel tells the end of adopted orphans by
/// SIGCHLD, but not that of everybody.
const LOOK_FIRST: Duration = Duration::from_millis(5);
const LOOK_LAST: Duration = Duration::from_millis(200);

/// A look that takes longer than that is followed by a rest as long: the engine has other things to do.
const LOOK_SHORT: Duration = Duration::from_millis(1);

/// How long the death of a tree is waited for: SIGKILL needs milliseconds. What survives it hangs in the kernel, or
/// has become another user's whom the engine may not signal.
const DEATH_PATIENCE: Duration = Duration::from_secs(10);

/// How long it is tried again to see who is left: as long as to start a process.
const BLIND_PATIENCE: Duration = Duration::from_secs(10);

/// How often it is looked whether the output of an ended process has been waited for long enough.
const DRAIN_LOOK: Duration = Duration::from_millis(200);

/// How long the output of a process may take to find room in a queue when nobody needs it any more, and when it was
/// stopped for taking too long.
const DRAIN_UNNEEDED: Duration = Duration::from_secs(1);
const DRAIN_LATE: Duration = Duration::from_mins(1);

/// One life of a process.
#[derive(Debug)]
pub struct Life {
    /// Which.
    pub attempt: u32,
    /// The tasks it has, of a worker: the one it works on, and those ahead.
    pub tasks: VecDeque<TaskId>,
    /// How far it has come.
    pub state: State,
    /// What is seen of it.
    pub sight: Rc<Sight>,
    /// Where it tells of itself, until somebody listens.
    pub ear: Option<Ear>,
    /// The way of tasks to a persistent worker.
    pub feed: Option<mpsc::Sender<Vec<u8>>>,
    /// The engine's ends of its streams.
    pub streams: Vec<Conduit>,
    /// The control groups that it is limited by.
    pub groups: Option<Groups>,
    /// Its terminal.
    pub screen: Option<Screen>,
}

/// How far a life has come.
#[derive(Debug)]
pub enum State {
    /// It is being started.
    Starting(Start),
    /// It runs, or its tree does.
    Running(Rc<Body>),
}

/// What the start of a life is to go on with, once the spawner has done its work.
#[derive(Debug, Default)]
pub struct Start {
    /// Its task, of a worker.
    pub task: Option<TaskId>,
    /// Which try it is.
    pub tries: Tries,
    /// The engine's ends of its streams.
    pub streams: Streams,
}

/// What is known of a running process.
#[derive(Debug)]
pub struct Body {
    /// All of its processes.
    pub tree: Tree,
    /// What the machine wants of it.
    pub fate: Cell<Fate>,
    /// How long its output may take to find room in a queue once it has ended; `None`: as long as it takes.
    pub patience: Cell<Option<Duration>>,
}

impl Body {
    /// It is being stopped: its output is not waited for any longer than that is worth.
    pub(super) fn stopping(&self, why: Why) {
        self.patience.set(Some(match why {
            Why::Timeout | Why::NotReady | Why::NotLive | Why::Group => DRAIN_LATE,
            Why::RunStops | Why::NotNeeded => DRAIN_UNNEEDED,
        }));
    }

    /// Asks its tree to stop. Should that fail for want of descriptors, say, the kill after the grace follows.
    pub(super) fn terminate(&self, signal: i32) {
        if let Err(error) = self.tree.terminate(signal) {
            tracing::warn!("a process could not be asked to stop: {error}");
        }
    }
}

/// What the machine wants of a running process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// To do its work.
    Live,
    /// To stop.
    Stop,
    /// To be killed, and whoever of its tree appears.
    Die,
}

/// How often a start has been tried in vain.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tries {
    /// So often since another life came to its end.
    pub count: u32,
    /// So many lives had come to their end at the last try.
    pub gone: u64,
}

/// All lives that have begun and not ended.
#[derive(Debug, Default)]
pub struct Lives {
    present: BTreeMap<ProcessId, Box<Life>>,
    /// So many have come to their end.
    gone: u64,
    /// The run is being stopped: whoever could not be started is not tried again.
    is_stopping: bool,
}

impl Lives {
    /// Sends a signal to all processes that run, with their trees.
    pub(super) fn signal(&self, signal: i32) {
        for life in self.present.values() {
            if let State::Running(body) = &life.state
                && let Err(error) = body.tree.signal(signal)
            {
                tracing::warn!("a process could not be sent signal {signal}: {error}");
            }
        }
    }

    pub(super) fn insert(&mut self, process: ProcessId, life: Life) {
        self.present.insert(process, Box::new(life));
    }

    pub(super) fn remove(&mut self, process: ProcessId) -> Option<Life> {
        self.present.remove(&process).map(|life| *life)
    }

    /// The engine's own terminal has another size: so have those of the processes.
    pub(super) fn resize(&self) {
        self.present
            .values()
            .filter_map(|life| life.screen.as_ref())
            .for_each(Screen::resize);
    }

    /// Its control groups, if it has some.
    pub(super) fn groups(&self, process: ProcessId) -> Option<&Groups> {
        self.present.get(&process)?.groups.as_ref()
    }

    /// A life has come to its end.
    pub(super) fn end(&mut self, process: ProcessId) {
        self.gone += 1;
        self.remove(process);
    }

    /// How many have come to their end.
    pub(super) fn gone(&self) -> u64 {
        self.gone
    }

    pub(super) fn get_mut(&mut self, process: ProcessId) -> Option<&mut Life> {
        self.present.get_mut(&process).map(Box::as_mut)
    }

    /// What the start of a life goes on with; `None` when no such life is being started.
    pub(super) fn take_start(&mut self, process: ProcessId, attempt: u32) -> Option<Start> {
        let life = self.get_mut(process).filter(|life| life.attempt == attempt)?;
        match &mut life.state {
            State::Starting(start) => Some(std::mem::take(start)),
            State::Running(_) => None,
        }
    }

    pub(super) fn task(&self, process: ProcessId) -> Option<TaskId> {
        self.present.get(&process)?.tasks.front().copied()
    }

    /// Why the last look at a life saw nothing.
    pub(super) fn unseen(&self, process: ProcessId) -> Option<Arc<str>> {
        self.present.get(&process)?.sight.why()
    }

    /// The process is being stopped.
    pub(super) fn stopping(&self, process: ProcessId, why: Why) {
        if let Some(State::Running(body)) = self.present.get(&process).map(|life| &life.state) {
            body.stopping(why);
        }
    }

    /// The whole run is being stopped; also those whose first process has ended already are not waited for long.
    pub(super) fn all_stopping(&mut self) {
        self.is_stopping = true;
        for process in self.present.keys() {
            self.stopping(*process, Why::RunStops);
        }
    }

    /// Whether the whole run is.
    pub(super) fn is_stopping(&self) -> bool {
        self.is_stopping
    }

    /// What runs, if this life does.
    pub(super) fn body(&self, process: ProcessId, attempt: u32) -> Option<&Rc<Body>> {
        match self.present.get(&process).map(Box::as_ref) {
            Some(Life {
                attempt: living,
                state: State::Running(body),
                ..
            }) if *living == attempt => Some(body),
            Some(Life {
                state: State::Starting(_) | State::Running(_),
                ..
            })
            | None => None,
        }
    }
}

impl deadlock::Lives for Lives {
    fn life(&self, process: ProcessId) -> Option<(&Tree, &[Conduit])> {
        let life = self.present.get(&process)?;
        match &life.state {
            State::Starting(_) => None,
            State::Running(body) => Some((&body.tree, &life.streams)),
        }
    }
}

/// The watch over one life.
pub struct Watch {
    pub process: ProcessId,
    pub attempt: u32,
    pub body: Rc<Body>,
    /// Told to the pumps once nobody of the tree is left.
    pub ending: Ending,
    /// Notified when a child has ended, direct or adopted.
    pub child_ended: Rc<Notify>,
    pub commons: Commons,
    pub inbox: mpsc::Sender<Happening>,
}

impl Watch {
    /// Tells of the end of the first process, and, when nobody of its tree is left and its output has been taken
    /// in, of that. The pumps work all the while.
    #[expect(
        clippy::manual_async_fn,
        reason = "an async function has room for its arguments twice, and thousands of watches may wait"
    )]
    pub(super) fn over(self, leader: Leader, mut pumps: Pumps) -> impl Future<Output = ()> {
        async move {
            let mut empty = Box::pin(self.until_empty(leader));
            pumps.beside(empty.as_mut()).await;
            // What the end needs is not part of every watch that waits for it.
            Box::pin(self.drain(&mut pumps)).await;
            let Self { process, attempt, .. } = self;
            // Nobody listens when the run is over.
            let _ = Box::pin(self.inbox.send(Happening::Gone { process, attempt })).await;
        }
    }

    /// Resolves when nobody of the tree is left.
    async fn until_empty(&self, leader: Leader) {
        let pid = leader.pid();
        let (exit, usage) = match leader.ended().await {
            Ok(ended) => ended,
            Err(error) => {
                let reason = format!("the exit of pid {pid} cannot be seen: {error}");
                self.fault(reason.into()).await;
                (Exit::Unknown, None)
            }
        };
        Box::pin(self.leader_ended(exit, usage)).await;
        self.ending.tell();
    }

    async fn leader_ended(&self, exit: Exit, usage: Option<Usage>) {
        let Self { process, attempt, .. } = *self;
        self.body.tree.leader_is_reaped();
        // Others may wait for what it had: they get it before anything is looked at that takes longer.
        self.commons.look();
        let tree = &self.body.tree;
        let is_empty = match tree.look() {
            // Nobody is seen where descriptors are short.
            Err(_) if spent::close() => tree.is_empty(),
            seen => seen.unwrap_or(false),
        };
        let left = (!is_empty).then(|| match tree.members() {
            Ok(members) => named(&members),
            Err(error) => format!("whoever cannot be seen now: {error}").into(),
        });
        let ended = Happening::Ended {
            process,
            attempt,
            exit,
            usage,
            left,
        };
        // Nobody listens when the run is over.
        if self.inbox.send(ended).await.is_ok() && !is_empty {
            self.wait_until_empty().await;
        }
    }

    async fn fault(&self, reason: Arc<str>) {
        // Nobody listens when the run is over.
        let _ = Box::pin(self.inbox.send(Happening::Fault { reason })).await;
    }

    async fn wait_until_empty(&self) {
        let mut pause = LOOK_FIRST;
        let mut dying = None;
        let mut blind = None;
        loop {
            // From before the look: the end of a child is not missed.
            let mut child_ended = pin!(self.child_ended.notified());
            child_ended.as_mut().enable();
            let began = Instant::now();
            let empty = match self.body.fate.get() {
                Fate::Live | Fate::Stop => match self.body.tree.look() {
                    Ok(empty) => {
                        blind = None;
                        empty
                    }
                    Err(error) if blind.get_or_insert_with(Instant::now).elapsed() > BLIND_PATIENCE => {
                        return self.stop_looking(&error).await;
                    }
                    Err(_) => false,
                },
                Fate::Die => self.body.tree.kill(),
            };
            if empty {
                return;
            }
            if self.body.fate.get() == Fate::Die && dying.get_or_insert_with(Instant::now).elapsed() > DEATH_PATIENCE {
                let left = named(&self.body.tree.members().unwrap_or_default());
                tracing::error!("{left} cannot be killed; the run goes on without waiting any longer");
                return;
            }
            // Those of a large tree end one by one: were each end a reason to look, the looks would keep the rest from ending.
            let took = began.elapsed();
            if took > LOOK_SHORT {
                tokio::time::sleep(took).await;
            }
            // Either way the tree is looked at again.
            let _ = tokio::time::timeout(pause, child_ended).await;
            pause = LOOK_LAST.min(pause * 2);
        }
    }

    /// Without a descriptor to look with nobody would ever be known to be gone; what is left is killed at the end.
    async fn stop_looking(&self, error: &std::io::Error) {
        let reason = format!("it cannot be seen who is left of a process: {error}");
        self.fault(reason.into()).await;
    }

    /// Waits for the pumps. In a ring of full queues whose processes are all being stopped, nobody would make room
    /// again: what is parked in the yard stays there, and is counted.
    async fn drain(&self, pumps: &mut Pumps) {
        let began = Instant::now();
        while tokio::time::timeout(DRAIN_LOOK, pumps.finish()).await.is_err() {
            let patience = self.body.patience.get();
            if patience.is_some_and(|patience| began.elapsed() > patience) {
                // What they had read and not put is counted now.
                pumps.stop();
            }
        }
    }
}

/// `sleep (pid 123), sh (pid 124)`
fn named(pids: &[i32]) -> Arc<str> {
    const SHOWN_MAX: usize = 5;
    let name = |pid: &i32| {
        let comm = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        format!("{} (pid {pid})", comm.trim_end())
    };
    let mut names: Vec<String> = pids.iter().take(SHOWN_MAX).map(name).collect();
    if pids.len() > SHOWN_MAX {
        names.push(format!("and {} more", pids.len() - SHOWN_MAX));
    }
    names.join(", ").into()
}
