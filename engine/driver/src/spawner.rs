//! The spawner, which starts every process of a run.
//!
//! A process is started by `clone(CLONE_VM | CLONE_VFORK | CLONE_FILES | CLONE_PIDFD)`, whose cost depends neither
//! on the engine's memory nor on how many descriptors it has open, and which returns once the program is executed. That may
//! take as long as a dead file server does not answer, so a thread of its own does it. Where the cores are busy such a
//! thread often has to wait for one of them; so the engine's thread starts itself what it knows to be quick
//! ([`acquaintance`]), as long as it is not the engine that everything waits for ([`saturation`]). Both threads live as
//! long as the run: the kernel sends the parent-death signal when the *thread* that started a process ends.

mod acquaintance;
mod confinement;
mod error;
mod identity;
mod launch;
mod locality;
mod saturation;
mod slots;

#[cfg(test)]
mod tests;

use std::ffi::{CStr, CString};
use std::fmt;
use std::io;
use std::os::fd::{OwnedFd, RawFd};
use std::slice;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use forkyard_core::id::ProcessId;
use nix::errno::Errno;
use nix::sys::signal::{SigSet, SigmaskHow};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;

use crate::alarm::Alarm;
use acquaintance::Acquaintances;
pub use confinement::{Confinement, Rlimit};
pub(crate) use error::interpreter;
pub use error::{SpawnError, Step};
pub use identity::{Identity, UnknownUser};
use launch::Starter;
pub(crate) use launch::{discard, probe};
pub use saturation::Rest;
use saturation::Saturation;
pub use slots::{TARGET_MAX, reserve_low_descriptors};

/// How long the engine's thread starts processes itself, in one of its turns: of a thousand that are to start at once the
/// others are the thread's, while the engine prepares the next.
const OWN_TURN: Duration = Duration::from_millis(1);

/// A process to be started. It finds exactly the descriptors of `fds`, default signals, and an empty signal mask;
/// it leads a process group of its own, and gets SIGKILL when the engine dies.
#[derive(Debug)]
pub struct Job {
    /// The file to execute.
    pub program: Executable,
    /// The arguments; the first is the name by which error messages call the program.
    pub argv: Vec<CString>,
    /// The whole environment, as `NAME=value`, but for `LISTEN_PID`. What many jobs have they share.
    pub envp: Vec<Arc<CStr>>,
    /// Whether it is told in `LISTEN_PID` that it is the one who is to find sockets: `sd_listen_fds(3)`.
    pub listens: bool,
    /// The working directory; `None` keeps the engine's.
    pub cwd: Option<CString>,
    /// Its descriptors, each with the number (at most [`TARGET_MAX`]) it gets there; `None` is `/dev/null`. They are closed
    /// here after the start, whether that succeeds or not. A standard stream that is missing is closed in the process.
    pub fds: Vec<(Option<OwnedFd>, RawFd)>,
    /// The file mode creation mask; `None` keeps the engine's.
    pub umask: Option<u32>,
    /// The nice value, absolute (-20 to 19); `None` keeps the engine's.
    pub nice: Option<i32>,
    /// Which of its descriptors is the terminal that it controls; it leads a session of its own then.
    pub terminal: Option<RawFd>,
    /// What it may use.
    pub confinement: Confinement,
    /// Who it runs as; `None` keeps the engine's user.
    pub identity: Option<Identity>,
    /// It leads a session of its own, and is not killed when the engine dies.
    pub outlives: bool,
    /// Which of its descriptors is open only until its program is executed: a lock on whoever looks for it by what the
    /// program is given.
    pub until_program: Option<RawFd>,
}

/// The file that a process is to execute, absolute or relative to its working directory.
#[derive(Debug, PartialEq, Eq)]
pub enum Executable {
    /// This one.
    At(CString),
    /// The first of these that may be executed, as `execvp(3)` takes the folders of `PATH`.
    Among(Vec<CString>),
}

impl Executable {
    fn files(&self) -> &[CString] {
        match self {
            Self::At(file) => slice::from_ref(file),
            Self::Among(files) => files,
        }
    }
}

/// A process that has been started.
#[derive(Debug)]
pub struct Child {
    /// Its pid, also the id of its process group. It is valid until the child has been reaped.
    pub pid: i32,
    /// Refers to this very process for ever; readable once it has ended.
    pub pidfd: OwnedFd,
}

/// A process of the workflow has been started, or could not be.
#[derive(Debug)]
pub struct Launched {
    /// Which.
    pub process: ProcessId,
    /// Which life of it.
    pub attempt: u32,
    /// How it went.
    pub result: Result<Child, SpawnError>,
}

/// In the hands of the engine's thread.
pub struct Spawner {
    /// The way to the spawner's thread.
    orders: mpsc::Sender<Order>,
    starter: Starter,
    acquaintances: Arc<Acquaintances>,
    turn: Turn,
    rest: Arc<Rest>,
    saturation: Saturation,
}

/// What is known of the engine's turn.
#[derive(Debug, Default)]
struct Turn {
    /// How long starts in its thread have taken.
    taken: Duration,
    /// Whether it is saturated; `None`: nothing was to start.
    is_saturated: Option<bool>,
}

impl fmt::Debug for Spawner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spawner").finish_non_exhaustive()
    }
}

/// A job and who hears how it went.
struct Order {
    job: Job,
    reply_to: ReplyTo,
}

/// Who hears how a start went.
enum ReplyTo {
    /// Whoever has asked, and nobody else.
    Asker(oneshot::Sender<Result<Child, SpawnError>>),
    /// The engine's turn loop: a process of the workflow is its affair.
    Engine { process: ProcessId, attempt: u32 },
}

impl Spawner {
    /// Starts the thread; what becomes of those started with [`Spawner::launch`] comes out of the receiver. The thread never
    /// ends, since the processes it has started would be killed; should it panic, `alarm` rings. The engine's thread tells
    /// `rest` when it has nothing to do.
    ///
    /// # Errors
    /// When the kernel lacks what is needed (Linux 5.9), when no low descriptors are free (see
    /// [`reserve_low_descriptors`]), or when no thread can be started.
    pub fn start(alarm: &Alarm, rest: Arc<Rest>) -> io::Result<(Self, UnboundedReceiver<Launched>)> {
        launch::probe()?;
        reserve_low_descriptors()?;
        let own = Starter::new()?;
        let starter = own.another()?;
        let acquaintances = Arc::new(Acquaintances::new()?);
        let shared = Arc::clone(&acquaintances);
        let (orders, inbox) = mpsc::channel();
        // It has no more in it than processes of the workflow that are being started.
        let (engine, launches) = unbounded_channel();
        let cord = alarm.cord();
        thread::Builder::new().name("spawner".into()).spawn(move || {
            cord.begin();
            serve(&inbox, &engine, &starter, &shared);
        })?;
        let spawner = Self {
            orders,
            starter: own,
            acquaintances,
            turn: Turn::default(),
            rest,
            saturation: Saturation::default(),
        };
        Ok((spawner, launches))
    }

    /// The engine's thread begins another turn: what happened may start processes, and what the machine makes of it.
    pub fn begin_turn(&mut self) {
        self.turn = Turn::default();
    }

    /// Starts a process in this thread, and returns once that is done; `None`: it is for [`Spawner::launch`], since it may
    /// take its time, or since this thread has none to spare.
    pub fn launch_here(&mut self, job: &Job) -> Option<Result<Child, SpawnError>> {
        let (saturation, rest) = (&mut self.saturation, &self.rest);
        let is_saturated = *self
            .turn
            .is_saturated
            .get_or_insert_with(|| saturation.rested(rest.take()));
        // To enter a control group takes the kernel milliseconds.
        let may_be_quick = self.turn.taken < OWN_TURN && job.confinement.groups.is_empty();
        if is_saturated || !may_be_quick || !self.acquaintances.know_quick(job) {
            return None;
        }
        let begin = Instant::now();
        // Neither call fails: both arguments are valid.
        let before = SigSet::all().thread_swap_mask(SigmaskHow::SIG_BLOCK).ok()?;
        let result = self.starter.launch_now(job);
        let _ = before.thread_set_mask();
        let took = begin.elapsed();
        self.turn.taken += took;
        if matches!(result, Some(Ok(_))) {
            self.saturation.started(took);
        }
        self.acquaintances.took(job, took);
        result
    }

    /// Starts a process of the workflow in the spawner's thread; the receiver tells how it went.
    pub fn launch(&self, process: ProcessId, attempt: u32, job: Job) {
        let reply_to = ReplyTo::Engine { process, attempt };
        // The thread ends by a panic alone, and that has rung the alarm.
        let _ = self.orders.send(Order { job, reply_to });
    }

    /// Starts another process; the future resolves once its program has been executed, or could not be. A child whose
    /// future has been dropped meanwhile is killed.
    pub fn spawn(&self, job: Job) -> impl Future<Output = Result<Child, SpawnError>> + use<> {
        let (asker, answer) = oneshot::channel();
        let reply_to = ReplyTo::Asker(asker);
        let sent = self.orders.send(Order { job, reply_to });
        async move {
            let gone = || SpawnError {
                step: Step::Clone,
                errno: Errno::ESRCH,
                what: "cannot start a process: the spawner's thread has ended".into(),
            };
            sent.map_err(|_| gone())?;
            answer.await.unwrap_or_else(|_| Err(gone()))
        }
    }
}

/// What the thread does all its life.
fn serve(
    inbox: &mpsc::Receiver<Order>,
    engine: &UnboundedSender<Launched>,
    starter: &Starter,
    acquaintances: &Acquaintances,
) {
    // A new process begins with this thread's mask, in the engine's memory: no handler of the engine may run there.
    // Blocking can only fail for an invalid argument.
    let _ = SigSet::all().thread_block();
    for Order { job, reply_to } in inbox {
        let result = starter.launch(&job);
        let Job { program, cwd, fds, .. } = job;
        // They are closed here before anybody hears of the start.
        drop(fds);
        let is_started = result.is_ok();
        let unheard = match reply_to {
            ReplyTo::Asker(asker) => asker.send(result).err(),
            ReplyTo::Engine { process, attempt } => {
                let launched = Launched {
                    process,
                    attempt,
                    result,
                };
                engine.send(launched).err().map(|unheard| unheard.0.result)
            }
        };
        if let Some(Ok(unwanted)) = unheard {
            discard(&unwanted);
        }
        // The engine need not wait for what this may take.
        if is_started {
            acquaintances.met(program, cwd);
        }
    }
    loop {
        thread::park();
    }
}
