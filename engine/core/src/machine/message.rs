//! What goes into the machine and what comes out.
//!
//! Every word about a life of a process bears its `attempt` (1-based, counted per process or worker),
//! so that what arrives late falls instead of being mistaken for something else.
#![expect(missing_docs, reason = "each variant says what its fields are")]

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::id::{EventId, GroupId, PoolId, ProcessId, QueueId, TaskId};
use crate::plan::{Dependency, Hold};
use crate::time::Time;

/// What happened in the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// The run begins; the first input, once.
    Start,
    /// The yard has granted the hold asked for by [`Action::Acquire`].
    Acquired { process: ProcessId, attempt: u32 },
    /// The process runs.
    Spawned { process: ProcessId, attempt: u32 },
    /// It could not be started; it has left nothing behind.
    NotSpawned { process: ProcessId, attempt: u32 },
    /// Its first process has ended. `left`: its tree is not empty.
    Exited {
        process: ProcessId,
        attempt: u32,
        exit: Exit,
        left: bool,
    },
    /// Its tree is empty and its output has been taken in; follows [`Input::Exited`], once.
    Gone { process: ProcessId, attempt: u32 },
    /// The event has been set.
    EventSet { event: EventId },
    /// The queue has neither senders nor items left; after [`Action::CloseQueue`] or [`Action::BreakQueue`], once.
    QueueDrained { queue: QueueId },
    /// The queue is broken and items are left in it that nobody will get; after [`Action::BreakQueue`], once.
    QueueLeft { queue: QueueId },
    /// `count` tasks were taken from the pool's source, at most as many as asked for.
    Taken { pool: PoolId, count: u32 },
    /// The pool's source will give no further task.
    SourceEnded { pool: PoolId },
    /// The pool's source cannot be read: it will give no further task, and there would have been some.
    SourceFailed { pool: PoolId },
    /// A persistent worker has answered the first of the tasks that it was given.
    Answered { process: ProcessId, attempt: u32 },
    /// The worker cannot be given the task that [`Action::Assign`] meant for it, nor could any other.
    Unfit {
        process: ProcessId,
        attempt: u32,
        task: TaskId,
    },
    /// The result of a task has left for where it goes; answers [`Action::Deliver`].
    Delivered { pool: PoolId, task: TaskId },
    /// The moment of [`Action::WakeAt`] has come.
    Wake,
    /// A person or the system asks the run to stop; the second time at once.
    Interrupt { signal: i32 },
    /// The engine cannot do its work any more (a full disk, say): stop in order.
    Fault,
    /// What the pauses before restarts are drawn from; before [`Input::Start`]. Without it they are drawn from 0.
    Seed { seed: u64 },
    /// The process has been seen to be ready.
    Ready { process: ProcessId, attempt: u32 },
    /// So many looks have not seen that it is ready that it will not be.
    NotReady { process: ProcessId, attempt: u32 },
    /// The process asks for so much more time, from now on, to become ready.
    Extend {
        process: ProcessId,
        attempt: u32,
        by: Duration,
    },
    /// The process runs and has been seen not to be alive.
    NotLive { process: ProcessId, attempt: u32 },
    /// Some wait for each other and for nobody else, and will for ever; which, only the driver knows.
    Deadlocked,
}

/// What the driver is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Ask the yard for this on behalf of the process; answer [`Input::Acquired`] when it is granted.
    Acquire {
        process: ProcessId,
        attempt: u32,
        hold: Hold,
    },
    /// Everything the process holds or asks for in the yard is let go.
    LetGo { process: ProcessId },
    /// Start it; a pool's worker of kind `task` with its task. Answer `Spawned` or `NotSpawned`.
    Spawn {
        process: ProcessId,
        attempt: u32,
        task: Option<TaskId>,
    },
    /// Ask its tree to stop: the stop command or signal, then SIGCONT.
    Terminate { process: ProcessId, attempt: u32 },
    /// SIGKILL to its whole tree until that is empty.
    Kill { process: ProcessId, attempt: u32 },
    /// It will never run (again): let go of the ends of pipes kept for it.
    Forsake { process: ProcessId },
    /// No sender is left: its readers see the end when it is empty.
    CloseQueue { queue: QueueId },
    /// No receiver is left: its senders get EPIPE; what is in it is counted as left.
    BreakQueue { queue: QueueId },
    /// Take up to `count` more tasks from the pool's source, as they come.
    Take { pool: PoolId, count: u32 },
    /// Take no more.
    StopTaking { pool: PoolId },
    /// Give the task to a persistent worker, behind those it has. It answers by `Answered`, or the task turns out to be `Unfit` for it.
    Assign {
        process: ProcessId,
        attempt: u32,
        task: TaskId,
    },
    /// End-of-file to a persistent worker.
    CloseStdin { process: ProcessId, attempt: u32 },
    /// The task is done: acknowledge its item. Its result is kept until [`Action::Deliver`].
    Complete { pool: PoolId, task: TaskId },
    /// The task has failed for good: its item is counted as failed.
    Discard { pool: PoolId, task: TaskId },
    /// What the process wrote for this task is no result: it will be tried again.
    Retry { pool: PoolId, task: TaskId },
    /// The result of a completed task goes where results go; answer [`Input::Delivered`].
    Deliver { pool: PoolId, task: TaskId },
    /// Send [`Input::Wake`] at this moment; replaces the moment asked for before.
    WakeAt { at: Time },
    /// The run has ended; nothing follows.
    End { verdict: Verdict },
}

/// What reporters are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "snake_case")]
pub enum Record {
    /// The run has begun.
    RunStarted,
    /// A process runs; a worker of kind `task` with its task.
    Started {
        process: ProcessId,
        attempt: u32,
        task: Option<TaskId>,
    },
    /// A life of a process has ended, its tree is empty and its output drained.
    Exited {
        process: ProcessId,
        attempt: u32,
        exit: Exit,
        lasted: Duration,
        outcome: Outcome,
    },
    /// It could not be started.
    NotStarted { process: ProcessId, attempt: u32 },
    /// It will not run.
    Skipped { process: ProcessId, because: Because },
    /// It has been seen to be ready, `took` after its start.
    Ready {
        process: ProcessId,
        attempt: u32,
        took: Duration,
    },
    /// Its life `attempt` is over, or could not begin, and after a pause another one follows: its restart number `count`.
    Restarting {
        process: ProcessId,
        attempt: u32,
        pause: Duration,
        count: u32,
    },
    /// It was to be started again, and is not.
    NotRestarted { process: ProcessId, because: Because },
    /// It has been restarted so often that it has failed for good. `group`: so has its group, and with that the run.
    GaveUp { process: ProcessId, group: Option<GroupId> },
    /// It is being stopped.
    Stopping { process: ProcessId, why: Why },
    /// Its grace is over, it is being killed.
    Killing { process: ProcessId },
    /// Its first process has ended and left others behind; they are being stopped.
    LeftBehind { process: ProcessId },
    /// A task is done.
    TaskDone {
        pool: PoolId,
        task: TaskId,
        process: ProcessId,
    },
    /// A task failed and is tried again.
    TaskRetried {
        pool: PoolId,
        task: TaskId,
        process: ProcessId,
        tries: u32,
    },
    /// A task has failed for good.
    TaskFailed {
        pool: PoolId,
        task: TaskId,
        process: ProcessId,
    },
    /// A pool will not work.
    PoolSkipped { pool: PoolId, because: Because },
    /// All tasks of a pool have ended, or it was stopped.
    PoolEnded {
        pool: PoolId,
        outcome: PoolOutcome,
        done: u64,
        failed: u64,
    },
    /// No sender of the queue is left.
    QueueClosed { queue: QueueId },
    /// No receiver of the queue is left.
    QueueBroken { queue: QueueId },
    /// The run is being stopped.
    RunStopping { why: Stopped },
    /// The run has ended.
    RunEnded { verdict: Verdict },
}

/// How a process's first process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exit {
    /// By exiting with this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// Nobody who could ask the kernel was there: one that an earlier engine had started, whose guardians were killed.
    Unknown,
}

/// What the end of a process's life means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It has done its work.
    Succeeded,
    /// It ended because its receivers had ended well: a success, as in a shell.
    BrokenPipe,
    /// It failed, and `on_failure: ignore` counts that as a success.
    Ignored,
    /// It failed.
    Failed,
    /// It took longer than its `timeout`: a failure.
    TimedOut,
    /// It was not ready in time: a failure.
    NotReady,
    /// It was seen not to be alive: a failure.
    NotLive,
    /// It was stopped because its run stops, or as a daemon.
    Stopped,
    /// Whatever its end was, another life follows.
    Restarts,
}

/// Why a process will not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Because {
    /// What it waits for can no longer come.
    Of(Dependency),
    /// It waited longer than the wait's `timeout`, and `else` is `skip` or `fail`.
    WaitedTooLong { on: Dependency, failed: bool },
    /// The run stops.
    RunStops,
    /// No other process needs it: a daemon that had not started.
    NotNeeded,
}

/// Why a process is being stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// Its `timeout`.
    Timeout,
    /// The run stops.
    RunStops,
    /// A daemon, or a worker, that nobody needs any more.
    NotNeeded,
    /// It is not ready in time.
    NotReady,
    /// It is seen not to be alive.
    NotLive,
    /// Another member of its group is restarted, and it with that.
    Group,
}

/// How a pool ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PoolOutcome {
    /// All tasks are done.
    Succeeded,
    /// Some task failed for good, and `on_failure: ignore` counts that as a success.
    Ignored,
    /// Some task failed for good.
    Failed,
    /// The run stopped before.
    Stopped,
    /// It never began.
    Skipped,
}

/// Why a run is being stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stopped {
    /// By this signal.
    Signal(i32),
    /// `options.timeout`.
    Timeout,
    /// A failure with `on_failure: stop`.
    Failure,
    /// The engine cannot go on.
    Fault,
    /// Some wait for each other for ever, and `on_deadlock` is `fail`.
    Deadlock,
}

/// How a run ended; [`Verdict::exit_code`] is the exit code of `forkyard run`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// All succeeded.
    Succeeded,
    /// Something failed.
    Failed,
    /// The run's `timeout`.
    TimedOut,
    /// Stopped by this signal.
    Signal(i32),
    /// The engine could not do its work.
    Fault,
    /// Some waited for each other for ever.
    Deadlock,
}

impl Verdict {
    /// 0, 1, 124, 128+n, 3 or 4, as the language page says.
    #[must_use]
    pub const fn exit_code(self) -> i32 {
        match self {
            Self::Succeeded => 0,
            Self::Failed => 1,
            Self::TimedOut => 124,
            Self::Signal(signal) => 128 + signal,
            Self::Fault => 3,
            Self::Deadlock => 4,
        }
    }
}

/// What one step produced.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outbox {
    /// To be carried out in this order.
    pub actions: Vec<Action>,
    /// To be reported in this order.
    pub records: Vec<Record>,
}
