//! News as lines of text: what the terminal's reporter and the plain one have in common.

use std::sync::Arc;

use forkyard_core::machine::Record;
use forkyard_core::plan::Plan;
use forkyard_driver::news::News;

use super::deadlock;
use super::labels::Labels;
use super::note::{Note, Tone};
use super::sanitise::{self, Colors};
use super::summary;
use super::tally::Tally;

/// How much the engine itself says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Voice {
    /// What starts, what ends, and a summary.
    Full,
    /// Only output of processes passes; a summary comes only when something went wrong.
    Quiet,
}

/// Turns news into lines.
pub struct Text {
    plan: Arc<Plan>,
    run: String,
    voice: Voice,
    labels: Labels,
    /// What has happened so far.
    pub tally: Tally,
}

impl Text {
    /// For a run of `plan` with the id `run`.
    pub fn new(plan: Arc<Plan>, run: String, voice: Voice, colors: Colors) -> Self {
        Self {
            labels: Labels::of(&plan, voice, colors),
            tally: Tally::new(Arc::clone(&plan)),
            plan,
            run,
            voice,
        }
    }

    /// The first line.
    pub fn opening(&self) -> Option<String> {
        let text = format!("run {} of {}", self.run, self.plan.name);
        self.said(&Note::engine(Tone::Quiet, text))
    }

    /// The line that tells `news`, if it is told at all.
    pub fn line(&mut self, news: &News) -> Option<String> {
        self.tally.add(news);
        match news {
            News::Output { process, line, .. } => Some(self.labels.output(*process, line)),
            News::Record {
                at,
                record,
                pid,
                reason,
                taken_over,
                ..
            } => {
                let note = match record {
                    Record::Started { process, .. } if *taken_over => {
                        Some(Note::taken_over(*process, *pid, reason.as_deref()))
                    }
                    // What has become of one that an earlier run had left was told before the start.
                    Record::Started { .. } => Note::of(*record, *pid, None, &self.plan),
                    Record::Killing { process } => {
                        let patience = self.tally.asked_to_stop(*process).map(|asked| at.since(asked));
                        Some(Note::killing(*process, patience))
                    }
                    record => Note::of(*record, *pid, reason.as_deref(), &self.plan),
                };
                note.and_then(|note| self.said(&note))
            }
            News::Listening { endpoint, .. } => {
                let text = format!(
                    "listens at {} ({})",
                    sanitise::line(endpoint.address.as_bytes(), Colors::Drop),
                    endpoint.socket
                );
                self.said(&Note::process(endpoint.process, Tone::Quiet, text))
            }
            News::Damaged { channel, .. } => {
                let text =
                    format!("`{channel}` is damaged: a process has overwritten its memory; nobody can use it any more");
                // What went wrong is said by a quiet voice, too.
                Some(self.labels.note(&Note::engine(Tone::Bad, text)))
            }
            News::Deadlock { deadlock, .. } => {
                let text = deadlock::in_words(deadlock, &self.plan);
                Some(self.labels.note(&Note::engine(Tone::Bad, text)))
            }
            News::OutputDropped { lines } => {
                let lines = summary::plural(*lines, "line was", "lines were");
                let text = format!("{lines} not shown, since nobody took them for a second; the logs have all");
                self.said(&Note::engine(Tone::Warning, text))
            }
            News::StdinRead {
                process,
                queue,
                items,
                bytes,
                returned,
                ..
            } => {
                let text = format!(
                    "had read {} ({}) of {}; {} went back",
                    summary::plural(*items, "item", "items"),
                    summary::plural(*bytes, "byte", "bytes"),
                    self.plan.queues[queue.index()].name,
                    summary::plural(*returned, "item", "items"),
                );
                let note = Note::process(*process, Tone::Warning, text);
                if *returned > 0 { self.said(&note) } else { None }
            }
            News::QueueCounted { .. } | News::PoolCounted { .. } => None,
        }
    }

    /// Appends the line that tells `news`, and a newline, if it is told at all.
    pub fn append_line(&mut self, news: &News, lines: &mut String) {
        if let News::Output { process, line, .. } = news {
            self.tally.add(news);
            self.labels.append_output(*process, line, lines);
        } else if let Some(line) = self.line(news) {
            lines.push_str(&line);
        } else {
            return;
        }
        lines.push('\n');
    }

    /// The summary, once there is no more news. A quiet voice gives it only when something went wrong.
    pub fn summary(&self) -> Vec<String> {
        if self.voice == Voice::Quiet && !summary::is_bad(&self.tally) {
            return Vec::new();
        }
        let notes = summary::notes(&self.tally, &self.plan, &self.run);
        notes.iter().map(|note| self.labels.note(note)).collect()
    }

    /// How much is said.
    pub const fn voice(&self) -> Voice {
        self.voice
    }

    fn said(&self, note: &Note) -> Option<String> {
        match self.voice {
            Voice::Full => Some(self.labels.note(note)),
            Voice::Quiet => None,
        }
    }
}

#[cfg(test)]
mod tests;
