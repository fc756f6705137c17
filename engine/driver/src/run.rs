//! A run: the turn loop and what it acts with.
//!
//! ```text
//!   children, pumps, clients, timers, signals
//!        │ Happening                    ┌──────────── Action ───────────┐
//!        ▼                              ▼                               │
//!     inbox ──▶ turn ──▶ Input ──▶ Machine::step ──▶ Record ──▶ herald ─┼─▶ records.jsonl, News
//!                 ▲                                                     │
//!                 └──────────── replies and changes of the yard ◀───────┘
//! ```
//! One thread owns it all. What takes time is a task of that thread (the watch over a life with its pumps, a look), and
//! tells of it by a [`Happening`], or a start, which the spawner tells of; the loop itself waits for nothing else, but for
//! starts that are known to be quick.

mod actions;
mod asks;
mod environment;
mod error;
mod files;
mod happening;
mod herald;
mod kept;
mod lives;
mod lookout;
mod looks;
mod pools;
mod pumps;
mod queues;
mod spawn;
mod turn;
mod vigil;
mod wiring;

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use forkyard_core::machine::Verdict;
use forkyard_core::plan::{self, Plan};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::runtime::Runtime;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::LocalSet;

pub use error::RunError;
pub use happening::{Happening, Read};
pub use looks::Watchword;

use crate::alarm::Alarm;
use crate::background::Teller;
use crate::directory::RunDirectory;
use crate::kept::Keeping;
use crate::signals::Held;
use crate::sockets::Sockets;
use crate::spawner::{Launched, Rest, Spawner};
use crate::yard::{Layout, LockKind, QueueLimits};
use crate::{news, signals, spawner, tree};
use turn::Run;

/// What a run needs besides its plan.
#[derive(Debug)]
pub struct Options {
    /// The folder of the workflow: relative paths begin here.
    pub folder: PathBuf,
    /// Where the run keeps what it writes.
    pub directory: RunDirectory,
    /// Its room for descriptors.
    pub open_files: OpenFiles,
    /// Whether anybody sees what the processes write; if not, it goes to the logs alone.
    pub shows_output: bool,
    /// What the processes find in `FORKYARD_CPUS`.
    pub cpus: u32,
    /// The sockets of the processes.
    pub sockets: Sockets,
    /// Who waits for everything to come up.
    pub teller: Option<Teller>,
    /// Those that outlive their engine; `None`: there are none.
    pub kept: Option<Keeping>,
}

/// The engine, which has a thread for itself: the kernel makes orphans children of the first thread, and whatever a thread
/// starts its own, so that it is told which is which.
#[derive(Debug)]
pub struct Engine {
    orders: mpsc::Sender<Order>,
    thread: JoinHandle<Option<Result<Verdict, RunError>>>,
}

/// What it is to run, and who hears of that.
struct Order {
    plan: Arc<Plan>,
    options: Options,
    news: news::Sender,
}

impl Engine {
    /// Starts the thread, which makes ready what every run needs, while the first one makes the directory of this run.
    ///
    /// Must be called on the first thread, as its only one, of a process that has no child and in which SIGCHLD and SIGCONT
    /// are blocked: orphans of its processes are adopted and reaped, and at the end all descendants are killed.
    ///
    /// # Errors
    /// When there are too few descriptors, when orphans cannot be adopted, or when no thread can be started.
    pub fn start(held: Held) -> Result<Self, RunError> {
        spawner::reserve_low_descriptors().map_err(no_descriptors)?;
        tree::adopt_orphans().map_err(|errno| RunError::begin("adopt orphans")(errno.into()))?;
        let (orders, inbox) = mpsc::channel();
        let thread = thread::Builder::new().name("engine".into()).stack_size(STACK_BYTES);
        let thread = thread.spawn(move || serve(held, &inbox));
        let thread = thread.map_err(RunError::begin("start its thread"))?;
        Ok(Self { orders, thread })
    }

    /// Runs the plan to its end. Every process it starts has ended when this returns, and the signals that ask a run to stop
    /// have their default action again: one that has come since the last was heard ends this process.
    ///
    /// # Errors
    /// When the engine cannot begin, or a fault of its own ends the run: exit code 3.
    pub fn run(self, plan: Arc<Plan>, options: Options, news: news::Sender) -> Result<Verdict, RunError> {
        // The thread ends by a panic alone before it has had an order, and joining it says so.
        let _ = self.orders.send(Order { plan, options, news });
        let lived = self.thread.join().ok().flatten();
        // What is left to do is to tell of it, and whoever has stopped listening must not keep us from ending.
        signals::let_go();
        lived.unwrap_or(Err(RunError::Panicked))
    }
}

/// What the thread does; `None`: whoever has started it has nothing to run after all.
fn serve(held: Held, inbox: &mpsc::Receiver<Order>) -> Option<Result<Verdict, RunError>> {
    let settled = catch_unwind(AssertUnwindSafe(|| settle(held)));
    let order = inbox.recv().ok()?;
    Some(conduct(order, settled.unwrap_or(Err(RunError::Panicked))))
}

/// The run, and the end of whoever it has left behind.
fn conduct(order: Order, settled: Result<(Runtime, Means), RunError>) -> Result<Verdict, RunError> {
    let mut options = order.options;
    let (sockets, teller) = (std::mem::take(&mut options.sockets), options.teller.take());
    let options = Rc::new(options);
    let lived = settled.and_then(|(runtime, means)| {
        let own = Own { sockets, teller, means };
        live(&runtime, order.plan, &options, own, order.news)
    });
    // Whatever happened, nothing stays behind but whoever is to outlive an engine that fails.
    let spared = match &lived {
        Ok(_) => Vec::new(),
        Err(_) => kept::spared(&options),
    };
    if let Err(left) = tree::sweep_all_but(&spared) {
        tracing::error!("{left}");
    }
    noted(&options, lived)
}

/// What the run itself could not do any more is done: how it has ended is written down.
fn noted(options: &Options, lived: Result<Verdict, RunError>) -> Result<Verdict, RunError> {
    if lived.is_err()
        && let Err(error) = options.directory.ended(Verdict::Fault.exit_code())
    {
        tracing::warn!("the end of the run cannot be written down: {error}");
    }
    lived
}

/// What only the run itself may have: it ends with it.
struct Own {
    sockets: Sockets,
    teller: Option<Teller>,
    means: Means,
}

/// What every run needs, whatever it is.
struct Means {
    spawner: Spawner,
    launches: UnboundedReceiver<Launched>,
    alarm: Alarm,
    held: Held,
}

fn settle(held: Held) -> Result<(Runtime, Means), RunError> {
    tree::keep_list_open();
    let rest = Arc::new(Rest::default());
    let (begun, ended) = (Arc::clone(&rest), Arc::clone(&rest));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .on_thread_park(move || begun.begin())
        .on_thread_unpark(move || ended.end())
        .build()
        .map_err(RunError::begin("make a runtime"))?;
    let alarm = Alarm::default();
    let (spawner, launches) = Spawner::start(&alarm, rest).map_err(RunError::begin("start its spawner"))?;
    let means = Means {
        spawner,
        launches,
        alarm,
        held,
    };
    Ok((runtime, means))
}

fn live(
    runtime: &Runtime,
    plan: Arc<Plan>,
    options: &Rc<Options>,
    own: Own,
    news: news::Sender,
) -> Result<Verdict, RunError> {
    let local = LocalSet::new();
    let lived = catch_unwind(AssertUnwindSafe(|| {
        local.block_on(runtime, async {
            Run::begin(plan, Rc::clone(options), own, news)?.live().await
        })
    }));
    lived.unwrap_or(Err(RunError::Panicked))
}

fn no_descriptors(error: io::Error) -> RunError {
    let what = match error.raw_os_error() {
        Some(libc::EMFILE) => "take its descriptors (it needs 128 at least: see `ulimit -n`)",
        Some(_) | None => "take its descriptors",
    };
    RunError::begin(what)(error)
}

/// As much as the first thread of a process usually has.
const STACK_BYTES: usize = 8 * 1024 * 1024;

/// How many descriptors the engine itself needs, those that the spawner keeps free included.
const OWN_DESCRIPTORS: u64 = 256;

/// How many it needs for a process at most: three streams with both their ends for a moment, a pidfd, its log.
const PROCESS_DESCRIPTORS: u64 = 8;

/// No table of descriptors is made larger than that in advance; it takes 512 KiB.
const TABLE_MAX: u64 = 65_536;

/// How many descriptors the engine may have.
#[derive(Debug, Default)]
pub struct OpenFiles {
    /// The limits before the engine raised its own, for its processes; `None`: they are as they were.
    before: Option<(u64, u64)>,
}

impl OpenFiles {
    /// Makes room for all that a run may have open. The soft limit is often 1024, for the sake of programs that use `select`:
    /// the engine raises its own. To be called while this process has one thread: of a table that several threads share
    /// the kernel waits, whenever it grows, until no other CPU looks at the old one, which takes it 10 ms and more.
    #[must_use]
    pub fn make_room(plan: &Plan, sockets: &Sockets) -> Self {
        let ends = (plan.processes.len() as u64) * PROCESS_DESCRIPTORS + 2 * plan.pipes.len() as u64;
        let channels = plan.queues.len() + plan.locks.len() + plan.semaphores.len() + plan.events.len();
        let needed = OWN_DESCRIPTORS + ends + channels as u64 + 2 * sockets.count() as u64;
        let failed = |errno| tracing::warn!("there is no room for more open files: {errno}");
        let before = raise_limit(needed).unwrap_or_else(|errno| {
            failed(errno);
            None
        });
        widen_table(needed).unwrap_or_else(failed);
        Self { before }
    }
}

fn raise_limit(needed: u64) -> Result<Option<(u64, u64)>, Errno> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if soft >= needed.min(hard) {
        return Ok(None);
    }
    setrlimit(Resource::RLIMIT_NOFILE, needed.min(hard), hard)?;
    Ok(Some((soft, hard)))
}

/// The table grows when it has to have a high number, and stays so large when that is closed.
fn widen_table(needed: u64) -> Result<(), Errno> {
    let (soft, _) = getrlimit(Resource::RLIMIT_NOFILE)?;
    let highest = needed.min(soft).min(TABLE_MAX).saturating_sub(1);
    let event = EventFd::from_flags(EfdFlags::EFD_CLOEXEC)?;
    let number = i32::try_from(highest).unwrap_or(i32::MAX);
    let high = fcntl(&event, FcntlArg::F_DUPFD_CLOEXEC(number))?;
    nix::unistd::close(high)
}

/// The plan's channels as the yard has them, with the same numbers.
fn layout(plan: &Plan) -> Layout {
    let limits = |queue: &plan::Queue| QueueLimits {
        capacity: queue.capacity,
        max_item: queue.max_item,
    };
    let kind = |lock: &plan::Lock| {
        if lock.reentrant {
            LockKind::Reentrant
        } else {
            LockKind::Plain
        }
    };
    let queue = |queue: &plan::Queue| (queue.name.clone(), limits(queue));
    let lock = |lock: &plan::Lock| (lock.name.clone(), kind(lock));
    let semaphore = |semaphore: &plan::Semaphore| (semaphore.name.clone(), semaphore.permits);
    let event = |event: &plan::Event| (event.name.clone(), event.set);
    let slots = plan.processes.len() + plan.pools.len() + 1;
    Layout {
        slots: u32::try_from(slots).unwrap_or(u32::MAX),
        queues: plan.queues.iter().map(queue).collect(),
        locks: plan.locks.iter().map(lock).collect(),
        semaphores: plan.semaphores.iter().map(semaphore).collect(),
        events: plan.events.iter().map(event).collect(),
    }
}

/// Whether another try a little later may succeed: the machine lacked something for the moment.
pub(crate) fn is_transient(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EAGAIN | libc::ENOMEM | libc::EMFILE | libc::ENFILE | libc::ENOBUFS)
    )
}

#[cfg(test)]
mod tests;
