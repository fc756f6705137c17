//! Stopping those that nobody is to keep any longer, in order.

use std::thread;
use std::time::{Duration, Instant};

use super::{Identity, Note};
use crate::tree::Tree;

/// How often it is looked whether they have ended, at first; the pause doubles up to [`PAUSE_MAX`].
const PAUSE_MIN: Duration = Duration::from_millis(2);
const PAUSE_MAX: Duration = Duration::from_millis(50);

/// How long the death of a tree is waited for: what survives SIGKILL so long hangs in the kernel.
const DEATH_PATIENCE: Duration = Duration::from_secs(10);

/// One that is being stopped.
#[derive(Debug)]
pub(crate) struct Stopping<'a> {
    tree: &'a Tree,
    /// When it is killed.
    deadline: Instant,
}

impl<'a> Stopping<'a> {
    /// Asks a tree to stop. Should that fail for want of descriptors, say, the kill after the grace follows.
    pub(crate) fn begin(tree: &'a Tree, signal: i32, grace: Duration) -> Self {
        if let Err(error) = tree.terminate(signal) {
            tracing::warn!("a process that was kept could not be asked to stop: {error}");
        }
        Self {
            tree,
            deadline: Instant::now() + grace,
        }
    }

    /// Whether nobody of it is left; kills it when its time is over.
    pub(crate) fn is_over(&self) -> bool {
        if Instant::now() >= self.deadline
            && let Err(error) = self.tree.signal(libc::SIGKILL)
        {
            tracing::warn!("a process that was kept could not be killed: {error}");
        }
        self.tree.is_empty()
    }

    fn is_given_up(&self) -> bool {
        Instant::now() > self.deadline + DEATH_PATIENCE
    }
}

/// Stops all of these at once, each in its own way: its signal, SIGCONT, its grace, SIGKILL to its whole tree. Waits
/// until nobody is left. Returns those that have survived even that.
#[must_use]
pub fn stop_all(kept: &[(Note, Identity)]) -> Vec<&Note> {
    let trees: Vec<Tree> = kept.iter().map(|(note, identity)| note.tree(*identity)).collect();
    let notes = kept.iter().map(|(note, _)| note).zip(&trees);
    let mut left: Vec<(&Note, Stopping<'_>)> = notes
        .map(|(note, tree)| (note, Stopping::begin(tree, note.stop_signal, note.grace())))
        .collect();
    let mut survivors = Vec::new();
    let mut pause = PAUSE_MIN;
    loop {
        left.retain(|(note, stopping)| {
            let is_over = stopping.is_over();
            if !is_over && stopping.is_given_up() {
                survivors.push(*note);
                return false;
            }
            !is_over
        });
        if left.is_empty() {
            return survivors;
        }
        thread::sleep(pause);
        pause = (pause * 2).min(PAUSE_MAX);
    }
}
