//! What is said of a ring of waits: of which kind it is, where it is to be mended, and how.

use super::super::{Findings, codes, related};
use super::{Link, Step, Why};
use crate::diagnostic::{Diagnostic, Related};
use crate::source::Span;
use crate::spec::Workflow;

/// How many steps of one ring are shown.
const STEPS_MAX: usize = 16;

/// Tells of a ring that the engine itself closes. One of `after` alone is told as a cycle, elsewhere.
pub(super) fn certain(workflow: &Workflow, ring: &[Link], findings: &mut Findings) {
    let ring = Ring { workflow, links: ring };
    if let Some(at) = ring.find(|why| matches!(why, Why::Sets(_))) {
        ring.event_after_its_waiter(at, findings);
    } else if let Some(at) = ring.find(|why| matches!(why, Why::Receiver(_))) {
        ring.drained_by_its_waiter(at, findings);
    } else if let Some(at) = ring.find(|why| matches!(why, Why::Tasks(_))) {
        ring.pool_feeds_itself(at, findings);
    }
}

/// Tells of a ring that is closed once programs do what is declared of them.
pub(super) fn likely(workflow: &Workflow, ring: &[Link], findings: &mut Findings) {
    let ring = Ring { workflow, links: ring };
    if let Some(at) = ring.find(|why| matches!(why, Why::Waits(_))) {
        ring.waits_in_vain(at, findings);
    } else if let Some(at) = ring.find_into(|step| matches!(step, Step::Reader(_) | Step::Writer(_))) {
        ring.pipe_peer_comes_late(at, findings);
    } else if let Some(at) = ring.find(|why| matches!(why, Why::Fills(_))) {
        ring.receiver_comes_late(at, findings);
    } else if let Some(at) = ring.find(|why| matches!(why, Why::Reads(_))) {
        ring.sender_comes_late(at, findings);
    }
}

/// A ring of steps, each needing the next, the last the first.
struct Ring<'a> {
    workflow: &'a Workflow,
    links: &'a [Link],
}

impl Ring<'_> {
    fn find(&self, is: impl Fn(Why) -> bool) -> Option<usize> {
        self.links.iter().position(|(_, why)| is(*why))
    }

    /// The link whose next step is one of those asked for.
    fn find_into(&self, is: impl Fn(Step) -> bool) -> Option<usize> {
        let found = self.links.iter().position(|(step, _)| is(*step))?;
        Some((found + self.links.len() - 1) % self.links.len())
    }

    /// The links in their order, from `at` on.
    fn from(&self, at: usize) -> impl Iterator<Item = &Link> {
        self.links.iter().cycle().skip(at).take(self.links.len())
    }

    fn step(&self, at: usize) -> Step {
        self.links[at % self.links.len()].0
    }

    /// The first wait of an `after` from `at` on: its place, and who waits.
    fn wait(&self, at: usize) -> Option<(Span, &str)> {
        self.from(at).find_map(|(step, why)| match why {
            Why::After(place) => Some((*place, self.name(*step))),
            Why::Part
            | Why::Sender(_)
            | Why::Receiver(_)
            | Why::Source(_)
            | Why::Tasks(_)
            | Why::Sets(_)
            | Why::Waits(_)
            | Why::Fills(_)
            | Why::Reads(_) => None,
        })
    }

    fn name(&self, step: Step) -> &str {
        let workflow = self.workflow;
        let declared = match step {
            Step::Start(it) | Step::End(it) | Step::AllStart(it) | Step::AllEnd(it) => &workflow.processes[it].declared,
            Step::Begin(it) | Step::Done(it) => &workflow.pools[it].declared,
            Step::Set(it) => &workflow.events[it].declared,
            Step::Closed(it) | Step::Drained(it) | Step::Emptied(it) | Step::Fed(it) => &workflow.queues[it].declared,
            Step::Reader(it) | Step::Writer(it) => &workflow.pipes[it].declared,
        };
        &declared.name
    }

    /// Each place of the ring with what is to be seen there, but for the one where the finding stands.
    fn related(&self, from: usize, place: Span) -> Vec<Related> {
        let next = (from + 1..).map(|at| self.step(at));
        let links = self.from(from).zip(next);
        let told = links.filter_map(|((step, why), next)| {
            let (this, next) = (self.name(*step), self.name(next));
            Some(match why {
                Why::After(place) | Why::Waits(place) => related(*place, format!("`{this}` waits for `{next}`")),
                Why::Sender(place) => related(*place, format!("`{next}` sends to `{this}`")),
                Why::Receiver(place) => related(*place, format!("`{next}` receives from `{this}`")),
                Why::Source(place) => related(*place, format!("`{next}` writes to `{this}`")),
                Why::Tasks(place) => related(*place, format!("the tasks of `{this}` come from `{next}`")),
                Why::Sets(place) => related(*place, format!("`{next}` sets `{this}`")),
                Why::Fills(place) => related(*place, format!("`{this}` fills `{next}`")),
                Why::Reads(place) => related(*place, format!("`{this}` reads `{next}`")),
                Why::Part => return None,
            })
        });
        told.filter(|related| related.place != place).take(STEPS_MAX).collect()
    }

    fn event_after_its_waiter(&self, at: usize, findings: &mut Findings) {
        // Whoever needs the event stands just before it in the ring.
        let before = (at + self.links.len() - 1) % self.links.len();
        let Some((place, waiter)) = self.wait(before) else {
            return;
        };
        let (event, setter) = (self.name(self.step(at)), self.name(self.step(at + 1)));
        let message = format!("`{waiter}` waits for the event `{event}`, which is set only after it");
        let finding = findings.error(codes::EVENT_SET_DOWNSTREAM, place, message);
        finding.help = Some(format!(
            "let `{event}` be set by a process that does not wait for `{waiter}`, or remove one of the waits"
        ));
        if setter == waiter {
            finding.help = Some(format!(
                "`{waiter}` cannot set it before it starts: remove it from `after`"
            ));
        }
        finding.related = self.related(at, place);
    }

    fn drained_by_its_waiter(&self, at: usize, findings: &mut Findings) {
        let drained = self.find(|why| matches!(why, Why::Receiver(_)));
        let before = self.find_into(|step| matches!(step, Step::Drained(_)));
        let Some((place, waiter)) = before.or(drained).and_then(|before| self.wait(before)) else {
            return;
        };
        let (queue, receiver) = (self.name(self.step(at)), self.name(self.step(at + 1)));
        let message = if receiver == waiter {
            format!("`{waiter}` starts after the queue `{queue}` is drained, but is the one who empties it")
        } else {
            format!("`{waiter}` starts after the queue `{queue}` is drained, but `{receiver}` empties it after that")
        };
        let finding = findings.error(codes::DRAINED_BY_ITS_WAITER, place, message);
        finding.help = Some(format!(
            "remove one of the waits: `{receiver}` may start before there is anything in `{queue}`"
        ));
        finding.related = self.related(at, place);
    }

    fn pool_feeds_itself(&self, at: usize, findings: &mut Findings) {
        let sender = self.from(at).find_map(|(_, why)| match why {
            Why::Sender(place) => Some(*place),
            Why::After(_)
            | Why::Part
            | Why::Receiver(_)
            | Why::Source(_)
            | Why::Tasks(_)
            | Why::Sets(_)
            | Why::Waits(_)
            | Why::Fills(_)
            | Why::Reads(_) => None,
        });
        let Some(place) = sender else {
            return;
        };
        let (pool, queue, sender) = (
            self.name(self.step(at)),
            self.name(self.step(at + 1)),
            self.name(self.step(at + 2)),
        );
        let message = if sender == pool {
            format!("the pool `{pool}` sends to the queue `{queue}` of its own tasks, so neither ever ends")
        } else {
            format!("`{sender}` ends only after the pool `{pool}`, and sends to the queue `{queue}` of its tasks")
        };
        let finding = findings.error(codes::POOL_FEEDS_ITSELF, place, message);
        finding.help = Some(format!(
            "a queue ends with its senders: give what comes of the tasks to another queue, or make `{pool}` a `daemon` and let \
             a process end when the work is done"
        ));
        finding.related = self.related(at, place);
    }

    fn waits_in_vain(&self, at: usize, findings: &mut Findings) {
        let (Why::Waits(place), step) = (self.links[at].1, self.links[at].0) else {
            return;
        };
        let (waiter, event) = (self.name(step), self.name(self.step(at + 1)));
        let message = format!("`{waiter}` waits for the event `{event}`, which is set only after `{waiter}` has ended");
        let finding = findings.warning(codes::EVENT_SET_TOO_LATE, place, message);
        finding.help = Some(format!(
            "let a process set `{event}` that does not wait for the end of `{waiter}`; if it gives up after a while, say so: `protocol: [try wait {event}]`"
        ));
        finding.related = self.related(at, place);
    }

    /// A pipe between two processes of which one starts after the other has ended. Where one waits for the other
    /// directly, it is told by the rule for pipes.
    fn pipe_peer_comes_late(&self, at: usize, findings: &mut Findings) {
        let is_direct = self
            .links
            .iter()
            .filter(|(step, _)| !matches!(step, Step::AllEnd(_)))
            .count()
            == 3;
        let (pipe, late, peer) = (self.step(at + 1), self.step(at + 2), self.step(at));
        let Some((place, _)) = self.wait(at + 2).filter(|_| !is_direct) else {
            return;
        };
        let (pipe, late, peer) = (self.name(pipe), self.name(late), self.name(peer));
        let message = format!("`{late}` starts after `{peer}` has ended, but the pipe `{pipe}` is between them");
        let finding = findings.warning(codes::WAITS_FOR_PEER, place, message);
        finding.help = Some(format!(
            "`{peer}` may block at the pipe for ever; let both run at the same time, or use a file"
        ));
        finding.related = self.related(at, place);
    }

    fn receiver_comes_late(&self, at: usize, findings: &mut Findings) {
        let (Step::Emptied(index), Some((place, _))) = (self.step(at + 1), self.wait(at + 2)) else {
            return;
        };
        let (sender, receiver) = (self.name(self.step(at)), self.name(self.step(at + 2)));
        let queue = &self.workflow.queues[index];
        let name = &queue.declared.name;
        let message = format!("`{receiver}` empties the queue `{name}` only after `{sender}`, who fills it, has ended");
        let finding = findings.warning(codes::RECEIVER_COMES_LATE, place, message);
        finding.help = Some(format!(
            "`{sender}` blocks for ever at more than {} items: wait for `{{{sender}: started}}`, or give `{name}` `capacity: 0`",
            queue.capacity
        ));
        finding.related = self.related(at, place);
    }

    fn sender_comes_late(&self, at: usize, findings: &mut Findings) {
        let Some((place, _)) = self.wait(at + 2) else {
            return;
        };
        let (reader, queue, sender) = (
            self.name(self.step(at)),
            self.name(self.step(at + 1)),
            self.name(self.step(at + 2)),
        );
        let message = format!("`{sender}` sends to the queue `{queue}` only after `{reader}`, who reads it, has ended");
        let finding: &mut Diagnostic = findings.warning(codes::SENDER_COMES_LATE, place, message);
        finding.help = Some(format!(
            "`{reader}` waits for an item that cannot come: let `{sender}` wait for `{{{reader}: started}}` at most"
        ));
        finding.related = self.related(at, place);
    }
}
