//! Waits that go round through a queue, a pipe, an event or a pool, where a cycle in `after` alone is not to be seen.
//!
//! In the first round only what the engine itself does counts: a process starts after its `after`, an event is set by
//! somebody who has started, a queue is drained by its receivers after its senders have ended. What is stuck then is
//! stuck in every run. In the second round programs are taken at their word: one that reads its stdin waits for who
//! writes it, one that fills a bounded queue or a pipe waits for who empties it, one that `waits` for an event ends
//! after it. What is stuck only then is a warning. Of a process with a `protocol` the explorer knows more.

mod build;
mod told;

use super::{Findings, Subject};
use crate::source::Span;

/// Something that comes about in a run, or does not. The numbers are places in the workflow's tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    /// A process instance starts.
    Start(usize),
    /// A process instance ends.
    End(usize),
    /// All instances of the process whose first is this one start.
    AllStart(usize),
    /// They end.
    AllEnd(usize),
    /// A pool begins.
    Begin(usize),
    /// A pool has done its work.
    Done(usize),
    /// An event is set.
    Set(usize),
    /// All senders of a queue have ended.
    Closed(usize),
    /// A queue is closed and empty.
    Drained(usize),
    /// Somebody is there to receive from a queue.
    Emptied(usize),
    /// Somebody is there to send to a queue.
    Fed(usize),
    /// Somebody is at the reading end of a pipe.
    Reader(usize),
    /// Somebody is at the writing end of a pipe.
    Writer(usize),
}

/// Why one step needs another.
#[derive(Clone, Copy, Debug)]
enum Why {
    /// It is written in `after`, here.
    After(Span),
    /// A whole needs its parts, an end its start.
    Part,
    /// A queue has a sender as long as the one that is named here lives.
    Sender(Span),
    /// Here somebody receives.
    Receiver(Span),
    /// Here somebody sends.
    Source(Span),
    /// The tasks of a pool come from the queue that is named here.
    Tasks(Span),
    /// Here an event is set.
    Sets(Span),
    /// Here a process waits for an event itself.
    Waits(Span),
    /// Here a process writes where there is room for so much alone.
    Fills(Span),
    /// Here a process reads.
    Reads(Span),
}

/// One step of a ring, and why it needs the next.
type Link = (Step, Why);

pub(super) fn are_none(subject: &Subject, findings: &mut Findings) {
    let workflow = subject.workflow;
    let has_channels = !(workflow.queues.is_empty() && workflow.pipes.is_empty() && workflow.events.is_empty());
    if !has_channels {
        // All that could be stuck is a cycle in `after`.
        return;
    }
    let certain = build::Builder::new(subject, build::Round::Certain).build();
    let come = certain.steps.that_come(&[]);
    for ring in certain.rings(&come) {
        told::certain(workflow, &ring, findings);
    }
    // What is stuck for certain is told, and holds up nobody in the second round.
    let told: Vec<bool> = come.iter().map(|come| !come).collect();
    let likely = build::Builder::new(subject, build::Round::Likely).build();
    let come = likely.steps.that_come(&told);
    for ring in likely.rings(&come) {
        told::likely(workflow, &ring, findings);
    }
}
