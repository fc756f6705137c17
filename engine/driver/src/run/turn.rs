//! The turn loop: wait, take in what happened, step the machine, carry out what it decides, hand out records.

use std::collections::{BTreeMap, VecDeque};
use std::hash::{BuildHasher as _, Hasher as _};
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use forkyard_core::id::{EventId, PoolId, ProcessId, QueueId};
use forkyard_core::machine::{Exit, Input, Machine, Outbox, Record, Stopped, Verdict, Why};
use forkyard_core::plan::Plan;
use forkyard_core::time::Time;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

use super::asks::Asks;
use super::environment::Facts;
use super::files::Opener;
use super::herald::Herald;
use super::lives::Lives;
use super::lookout::Lookout;
use super::queues::Queues;
use super::{Happening, Means, Options, Own, RunError, is_transient};
use crate::alarm::Alarm;
use crate::broker::{Broker, FromClient, Names};
use crate::deadlock::Vigil;
use crate::directory::RunDirectory;
use crate::exit::Usage;
use crate::limits::{Groups, LimiterCell};
use crate::news::{self, News};
use crate::pipes::Pipes;
use crate::signals::{self, Heard};
use crate::sockets::Sockets;
use crate::spawner::{Launched, Spawner};
use crate::spent;
use crate::stdio::output::time_since;
use crate::table::Table;
use crate::tasks::Pools;
use crate::tree;
use crate::why::Ledger;
use crate::yard::{Change, Commons, Yard};

/// How many happenings may wait; whoever has more waits too.
const INBOX_MAX: usize = 4096;

/// How many of them are taken in before the machine's decisions are carried out and told.
const TURN_MAX: usize = 1024;

/// How soon the yard is looked at again when a program stands still in the middle of something.
const BUSY_PAUSE: Duration = Duration::from_millis(5);

/// A run under way.
pub struct Run {
    pub(super) plan: Arc<Plan>,
    pub(super) options: Rc<Options>,
    pub(super) start: Instant,
    pub(super) machine: Machine,
    pub(super) inputs: VecDeque<Input>,
    pub(super) wake: Option<Time>,
    pub(super) verdict: Option<Verdict>,
    fault: Option<Arc<str>>,

    pub(super) yard: Commons,
    pub(super) asks: Asks,
    pub(super) queues: Queues,
    pub(super) broker: Broker,
    names: Names,
    pub(super) lives: Lives,
    pub(super) pipes: Pipes,
    pub(super) sockets: Sockets,
    pub(super) files: Opener,
    pub(super) pools: Pools,
    pub(super) facts: Facts,

    pub(super) spawner: Spawner,
    pub(super) alarm: Alarm,
    /// As long as somebody waits for everything to come up.
    pub(super) lookout: Option<Lookout>,
    pub(super) child_ended: Rc<Notify>,
    pub(super) inbox: mpsc::Sender<Happening>,
    ears: Option<Ears>,

    pub(super) herald: Herald,
    pub(super) table: Table,
    pub(super) ledger: Ledger,
    pub(super) vigil: Vigil,
    /// When it is looked for deadlocks next.
    pub(super) look_at: Option<Instant>,
    /// The pid each process has, or had last.
    pub(super) pids: Vec<Option<i32>>,
    /// What belongs to a record that is still to come: why a process did not start, or whom it left behind.
    pub(super) words: BTreeMap<ProcessId, Arc<str>>,
    /// Why a pool has given up, until that is told.
    pub(super) failures: BTreeMap<PoolId, Arc<str>>,
    /// How those ended whose holds are still to be let go.
    pub(super) exits: BTreeMap<ProcessId, Exit>,
    /// Keeps `limits`.
    pub(super) limiter: LimiterCell,
    /// What those have used whose end has not been told.
    usages: BTreeMap<ProcessId, Usage>,
}

/// What the run listens to.
struct Ears {
    inbox: mpsc::Receiver<Happening>,
    launches: mpsc::UnboundedReceiver<Launched>,
    clients: mpsc::Receiver<FromClient>,
    signals: mpsc::Receiver<Heard>,
    bell: AsyncFd<OwnedFd>,
}

impl Run {
    /// Everything that a run needs, before anything starts. Within a runtime and a local set.
    pub(super) fn begin(plan: Arc<Plan>, options: Rc<Options>, own: Own, news: news::Sender) -> Result<Self, RunError> {
        let directory = &options.directory;
        let Own { sockets, teller, means } = own;
        let Means {
            spawner,
            launches,
            alarm,
            held,
        } = means;
        // A process changes to its own folder before it executes a path that begins here.
        let folder = std::path::absolute(&options.folder).map_err(RunError::begin("find the workflow's folder"))?;
        directory.started().map_err(RunError::Directory)?;
        let records = RunDirectory::append(&directory.records()).map_err(RunError::Directory)?;
        let bin = directory
            .bin()
            .map_err(RunError::begin("show its processes the way to `forkyard`"))?;
        let facts = Facts::new(&plan, &options, &sockets, &bin).map_err(RunError::begin("draw tokens"))?;
        let yard = Yard::create(&directory.yard(), super::layout(&plan)).map_err(RunError::begin("make its yard"))?;
        let bell = yard.descriptor().try_clone_to_owned();
        let bell = bell.and_then(|bell| {
            // SAFETY: an `OwnedFd` stays open, and the same, until the `AsyncFd` that owns it now is dropped.
            unsafe { AsyncFd::register_with_interest(bell, Interest::READABLE) }.map_err(io::Error::from)
        });
        let (inbox, happenings) = mpsc::channel(INBOX_MAX);
        let (clients, from_clients) = mpsc::channel(INBOX_MAX);
        Ok(Self {
            start: Instant::now(),
            machine: Machine::new(Arc::clone(&plan)),
            inputs: VecDeque::from([Input::Seed { seed: seed() }, Input::Start]),
            wake: None,
            verdict: None,
            fault: None,
            yard: Commons::new(yard),
            asks: Asks::default(),
            queues: Queues::new(plan.queues.len()),
            broker: Broker::bind(directory.socket(), clients, &alarm).map_err(RunError::begin("open its socket"))?,
            names: Names::new(&plan, facts.tokens.clone()),
            lives: Lives::default(),
            pipes: Pipes::new(&plan),
            files: Opener::new(folder.clone()),
            pools: Pools::new(&plan, &folder, directory),
            facts,
            spawner,
            lookout: Lookout::begin(teller, &inbox, &alarm).map_err(RunError::begin("listen to who has started it"))?,
            child_ended: Rc::default(),
            inbox,
            ears: Some(Ears {
                inbox: happenings,
                launches,
                clients: from_clients,
                signals: signals::listen(&held, &alarm).map_err(RunError::begin("listen to signals"))?,
                bell: bell.map_err(RunError::begin("listen to its yard"))?,
            }),
            alarm,
            herald: Herald::new(Arc::clone(&plan), directory.id().to_owned(), records, news),
            table: Table::new(&plan, &sockets),
            sockets,
            ledger: Ledger::default(),
            vigil: Vigil::default(),
            look_at: None,
            pids: vec![None; plan.processes.len()],
            words: BTreeMap::new(),
            failures: BTreeMap::new(),
            exits: BTreeMap::new(),
            usages: BTreeMap::new(),
            limiter: LimiterCell::default(),
            options,
            plan,
        })
    }

    /// Turns until the machine says that the run has ended.
    pub(super) async fn live(mut self) -> Result<Verdict, RunError> {
        let Some(mut ears) = self.ears.take() else {
            return Err(RunError::Panicked);
        };
        loop {
            self.turn();
            self.look_out();
            if let Some(verdict) = self.verdict {
                return self.end(verdict);
            }
            // Telling of a turn may have failed, which is an input of its own.
            if self.inputs.is_empty() {
                self.listen(&mut ears).await?;
            }
        }
    }

    fn turn(&mut self) {
        let mut out = Outbox::default();
        while self.verdict.is_none()
            && let Some(input) = self.next_input()
        {
            let now = time_since(self.start);
            self.machine.step(now, input, &mut out);
            for record in out.records.drain(..) {
                self.tell(now, record);
            }
            for action in out.actions.drain(..) {
                self.act(action);
            }
        }
        // What is lacking for the moment may be there in the next turn, but there is none after the last.
        let may_wait = |error: &io::Error| is_transient(error) && self.verdict.is_none();
        if let Err((pool, error)) = self.pools.flush()
            && !may_wait(&error)
        {
            let name = &self.plan.pools[pool.index()].name;
            self.fault(format!("the results of pool `{name}` cannot be written: {error}").into());
        }
        if let Err(error) = self.herald.flush() {
            self.fault(format!("the records of the run cannot be written: {error}").into());
        }
        spent::close();
    }

    /// The next input; what the yard has to say comes when there is no other, so that it is asked once a batch.
    fn next_input(&mut self) -> Option<Input> {
        if self.inputs.is_empty() {
            self.hear_the_yard();
        }
        self.inputs.pop_front()
    }

    /// Replies may make others possible, until nobody has anything to say.
    fn hear_the_yard(&mut self) {
        self.hear_of_leftovers();
        loop {
            let (replies, changes) = self.yard.with(|yard| (yard.replies(), yard.changes()));
            if replies.is_empty() && changes.is_empty() {
                return;
            }
            for (ticket, reply) in replies {
                self.replied(ticket, reply);
            }
            for change in changes {
                self.changed(change);
            }
        }
    }

    fn changed(&mut self, change: Change) {
        match change {
            Change::EventSet(event) => self.inputs.push_back(Input::EventSet { event: EventId(event) }),
            Change::Drained(queue) => self.inputs.push_back(Input::QueueDrained { queue: QueueId(queue) }),
            Change::Damaged(station) => {
                let channel = self.yard.with(|yard| Arc::from(yard.name(station)));
                let at = time_since(self.start);
                self.herald.tell(News::Damaged { at, channel });
            }
        }
    }

    async fn listen(&mut self, ears: &mut Ears) -> Result<(), RunError> {
        let wake = self.start + Duration::from_nanos(self.wake.unwrap_or_default().0);
        let is_busy = self.yard.with(|yard| yard.is_busy());
        let look = self.next_look();
        self.spawner.begin_turn();
        tokio::select! {
            Some(happening) = ears.inbox.recv() => self.happened(happening),
            Some(launched) = ears.launches.recv() => self.launched(launched),
            Some(from) = ears.clients.recv() => self.serve(from),
            Some(heard) = ears.signals.recv() => {
                self.heard(heard);
                // A second stop that has come with the first is known before anybody acts on that.
                while let Ok(heard) = ears.signals.try_recv() {
                    self.heard(heard);
                }
            }
            () = tokio::time::sleep_until(wake), if self.wake.is_some() => {
                self.wake = None;
                self.inputs.push_back(Input::Wake);
            }
            () = self.herald.room(), if self.herald.is_behind() => self.herald.offer(),
            rung = ears.bell.readable() => {
                // The yard looks at everything that may have rung before it rings again.
                rung.map_err(RunError::begin("listen to its yard"))?.clear_ready();
                self.yard.with(Yard::look);
            }
            () = self.yard.stirred() => {}
            () = tokio::time::sleep(BUSY_PAUSE), if is_busy => self.yard.with(Yard::look),
            () = tokio::time::sleep_until(look.unwrap_or(wake)), if look.is_some() => self.look_for_deadlocks(),
            () = self.alarm.rung() => return Err(RunError::Panicked),
        }
        while let Ok(launched) = ears.launches.try_recv() {
            self.launched(launched);
        }
        for _ in 0..TURN_MAX {
            let Ok(happening) = ears.inbox.try_recv() else { break };
            self.happened(happening);
        }
        for _ in 0..TURN_MAX {
            let Ok(from) = ears.clients.try_recv() else { break };
            self.serve(from);
        }
        Ok(())
    }

    fn serve(&mut self, from: FromClient) {
        if let Some(reason) = from.fault() {
            return self.fault(reason);
        }
        let (broker, names, table) = (&mut self.broker, &self.names, &self.table);
        let asked = self.yard.with(|yard| {
            let wanted = broker.handle(yard, names, from)?;
            if wanted.why.is_some() {
                return Some(wanted);
            }
            broker.reply_table(yard, &wanted, table.to_json());
            None
        });
        if let Some(wanted) = asked {
            self.say_why(&wanted);
        }
    }

    fn heard(&mut self, heard: Heard) {
        match heard {
            Heard::Child => {
                tree::reap_adopted();
                self.child_ended.notify_waiters();
            }
            Heard::Stop(signal) => self.inputs.push_back(Input::Interrupt { signal }),
            Heard::Suspend => self.suspend(),
            Heard::Resized => self.lives.resize(),
        }
    }

    /// Stops all processes, and this one until it is told to go on; the time between does not count.
    fn suspend(&mut self) {
        self.lives.signal(libc::SIGSTOP);
        let began = Instant::now();
        signals::wait_for_continue();
        self.start += began.elapsed();
        self.lives.signal(libc::SIGCONT);
    }

    fn happened(&mut self, happening: Happening) {
        match happening {
            Happening::TryAgain {
                process,
                attempt,
                task,
                tries,
            } => self.spawn(process, attempt, task, tries),
            Happening::Ended {
                process,
                attempt,
                exit,
                usage,
                left,
            } => {
                self.usages.extend(usage.map(|usage| (process, usage)));
                self.ended(process, attempt, exit, left);
            }
            Happening::Gone { process, attempt } => {
                self.explain_end(process);
                self.lives.end(process);
                self.forget(process);
                self.inputs.push_back(Input::Gone { process, attempt });
            }
            Happening::Cut { process } => self.cut(process),
            Happening::Read { process, queue, read } => self.has_read(process, queue, read),
            Happening::Oversized {
                process,
                queue,
                refused,
            } => self.oversized(process, queue, refused),
            Happening::Result { process, result } => self.result(process, result),
            Happening::Answers {
                process,
                attempt,
                lines,
            } => self.answered(process, attempt, lines),
            Happening::Seen { process, attempt, what } => self.seen(process, attempt, what),
            Happening::Look {
                process,
                attempt,
                command,
                at_most,
                answer,
            } => self.look(process, attempt, &command, at_most, answer),
            Happening::Abandoned => self.abandoned(),
            Happening::Fault { reason } => self.fault(reason),
        }
    }

    /// What the exit itself does not say.
    fn explain_end(&mut self, process: ProcessId) {
        if self.lives.groups(process).is_some_and(Groups::ran_out_of_memory) {
            let reason = "it ran out of the memory that its `limits` allow";
            self.words.insert(process, Arc::from(reason));
        }
    }

    fn ended(&mut self, process: ProcessId, attempt: u32, exit: Exit, left: Option<Arc<str>>) {
        self.exits.insert(process, exit);
        let is_left = left.is_some();
        if let Some(left) = left {
            self.words.insert(process, left);
        }
        self.inputs.push_back(Input::Exited {
            process,
            attempt,
            exit,
            left: is_left,
        });
    }

    /// What is too large for its queue is counted, and told the first time.
    pub(super) fn oversized(&mut self, process: ProcessId, queue: QueueId, refused: u64) {
        let tally = self.queues.tally(queue);
        let is_first = tally.refused == 0;
        tally.refused += refused;
        if is_first {
            let (name, limits) = (
                &self.plan.processes[process.index()].name,
                &self.plan.queues[queue.index()],
            );
            tracing::warn!(
                "`{name}` wrote an item of more than {} bytes to `{}`; it is refused, as all such are",
                limits.max_item,
                limits.name
            );
        }
    }

    /// The engine cannot do its work any more: the run is stopped in order, once.
    pub(super) fn fault(&mut self, reason: Arc<str>) {
        if self.fault.is_none() {
            tracing::error!("{reason}");
            self.fault = Some(reason);
            self.inputs.push_back(Input::Fault);
        }
    }

    fn without_secrets(&self, text: Arc<str>) -> Arc<str> {
        match &self.facts.secrets {
            None => text,
            Some(secrets) => Arc::from(&*secrets.mask(&text)),
        }
    }

    fn tell(&mut self, at: Time, record: Record) {
        let (pid, reason) = match record {
            Record::Stopping {
                process,
                why: Why::NotReady | Why::NotLive,
            } => (self.pids[process.index()], self.lives.unseen(process)),
            Record::Stopping { process, .. } => (self.pids[process.index()], None),
            Record::Started { process, .. } => (self.pids[process.index()], self.say_of_start(process)),
            Record::Exited { process, .. } => (self.pids[process.index()], self.words.remove(&process)),
            Record::NotStarted { process, .. }
            | Record::Restarting { process, .. }
            | Record::LeftBehind { process } => (None, self.words.remove(&process)),
            Record::TaskFailed { pool, task, .. } => (None, self.task_shown(pool, task)),
            Record::PoolEnded { pool, .. } => (None, self.failures.remove(&pool)),
            Record::RunStopping { why: Stopped::Fault } => (None, self.fault.clone()),
            Record::RunStopping {
                why: Stopped::Signal(_) | Stopped::Timeout | Stopped::Failure | Stopped::Deadlock,
            }
            | Record::RunStarted
            | Record::Skipped { .. }
            | Record::Ready { .. }
            | Record::NotRestarted { .. }
            | Record::GaveUp { .. }
            | Record::Killing { .. }
            | Record::TaskDone { .. }
            | Record::TaskRetried { .. }
            | Record::PoolSkipped { .. }
            | Record::QueueClosed { .. }
            | Record::QueueBroken { .. }
            | Record::RunEnded { .. } => (None, None),
        };
        let reason = reason.map(|reason| self.without_secrets(reason));
        let usage = match record {
            Record::Exited { process, .. } => self.usages.remove(&process),
            _ => None,
        };
        let taken_over = match record {
            Record::Started { process, attempt, .. } => self.has_taken_over(process, attempt),
            _ => false,
        };
        if let Record::Stopping { process, why } = record {
            self.lives.stopping(process, why);
        } else if let Record::RunStopping { .. } = record {
            self.lives.all_stopping();
            if let Err(error) = self.options.directory.stopping() {
                tracing::warn!("it cannot be noted that the run is being stopped: {error}");
            }
        }
        self.table.note(at, &record, pid);
        if let Some(lookout) = &mut self.lookout {
            lookout.note(&record, &self.plan, &self.table);
        }
        self.ledger.note(&record, reason.as_ref());
        let is_first = record == Record::RunStarted;
        self.herald.tell(News::Record {
            at,
            record,
            pid,
            reason,
            usage,
            taken_over,
        });
        if is_first {
            let endpoints = self.sockets.endpoints().map(Arc::new);
            endpoints.for_each(|endpoint| self.herald.tell(News::Listening { at, endpoint }));
        }
    }

    /// Counts what is left, and writes down how it ended.
    fn end(mut self, verdict: Verdict) -> Result<Verdict, RunError> {
        self.end_kept();
        self.count();
        self.yard.with(|yard| yard.remove());
        self.herald.finish().map_err(RunError::Directory)?;
        if let Some(reason) = self.fault
            && verdict != Verdict::Fault
        {
            // It came when the run was being stopped already, or had ended.
            return Err(RunError::Late(reason));
        }
        self.options
            .directory
            .ended(verdict.exit_code())
            .map_err(RunError::Directory)?;
        Ok(verdict)
    }

    fn count(&mut self) {
        let pools: Vec<_> = self
            .pools
            .iter()
            .map(|(pool, tasks)| (pool, tasks.taken(), tasks.source.left()))
            .collect();
        for (pool, taken, left) in pools {
            let slot = self.pool_slot(pool);
            self.yard.with(|yard| yard.let_go(slot));
            self.herald.tell(News::PoolCounted { pool, taken, left });
        }
        for (queue, tally) in self.queues.tallies() {
            let counts = self.yard.with(|yard| yard.counts(queue.0));
            self.herald.tell(News::QueueCounted {
                queue,
                put: counts.put,
                got: counts.got,
                returned: counts.returned,
                left: counts.left,
                refused: counts.refused + tally.refused,
            });
        }
    }
}

/// What the pauses before restarts are drawn from: another number in every run, so that runs which failed together do not try
/// again together. The library's hasher has its keys from the kernel.
fn seed() -> u64 {
    std::hash::RandomState::new().build_hasher().finish()
}
