//! What a run before has taken, from its records.

use std::collections::BTreeMap;
use std::time::Duration;

use forkyard_core::machine::Outcome;
use forkyard_core::plan::declared;
use forkyard_driver::directory::RunDirectory;
use serde_json::Value;

use super::super::runs;
use crate::failure::{Failure, reason};

/// What is meant by the latest run; ids begin with a digit.
const LATEST: &str = "latest";

/// What its records tell, by name.
#[derive(Debug, Default)]
pub(super) struct Past {
    /// Lives of processes, and of declarations all of their instances'.
    lives: BTreeMap<String, Lives>,
    /// Tasks of workers, and of pools all of their workers'.
    tasks: BTreeMap<String, Mean>,
    /// How long after its start it was ready.
    ready: BTreeMap<String, Mean>,
    /// Of queues, items that were put; of pools, tasks that were taken or left.
    pub(super) counts: BTreeMap<String, u64>,
    /// Since when a worker has had its task.
    since: BTreeMap<String, u64>,
}

/// Lives that ended well tell better how long one lasts than those that did not.
#[derive(Clone, Copy, Debug, Default)]
struct Lives {
    good: Mean,
    bad: Mean,
}

#[derive(Clone, Copy, Debug, Default)]
struct Mean {
    sum: Duration,
    count: u32,
}

impl Mean {
    fn add(&mut self, duration: Duration) {
        self.sum = self.sum.saturating_add(duration);
        self.count += 1;
    }

    fn get(self) -> Option<Duration> {
        (self.count > 0).then(|| self.sum / self.count)
    }
}

impl Past {
    /// Reads the records of the run of that id.
    pub(super) fn read(run: &str) -> Result<Self, Failure> {
        let id = chosen(run)?;
        let cannot = |error: &std::io::Error| {
            Failure::invalid(format!("cannot read the records of the run {id}: {}", reason(error)))
        };
        let directory = RunDirectory::open(&runs::state_directory()?, &id).map_err(|error| cannot(&error))?;
        let mut past = Self::default();
        runs::each_record(&directory, |record| past.note(record)).map_err(|error| cannot(&error))?;
        Ok(past)
    }

    fn note(&mut self, record: &Value) {
        let text = |key: &str| record[key].as_str().unwrap_or_default();
        let name = text("process");
        match text("record") {
            "started" => {
                self.since
                    .insert(name.to_owned(), record["at"].as_u64().unwrap_or_default());
            }
            "exited" => self.life(name, record),
            "ready" => {
                if let Some(took) = duration(&record["took"]) {
                    by_name(&mut self.ready, name, |mean| mean.add(took));
                }
            }
            "task_done" => self.task(name, record["at"].as_u64().unwrap_or_default()),
            "queue_counted" => self.count(text("queue"), record["put"].as_u64()),
            "pool_counted" => {
                let count = |key: &str| record[key].as_u64().unwrap_or_default();
                self.count(text("pool"), Some(count("taken") + count("left")));
            }
            _ => {}
        }
    }

    fn life(&mut self, name: &str, record: &Value) {
        let outcome = serde_json::from_value::<Outcome>(record["outcome"].clone());
        let (Some(lasted), Ok(outcome)) = (duration(&record["lasted"]), outcome) else {
            return;
        };
        match outcome {
            Outcome::Succeeded | Outcome::BrokenPipe | Outcome::Ignored => {
                by_name(&mut self.lives, name, |lives: &mut Lives| lives.good.add(lasted));
            }
            Outcome::Failed | Outcome::TimedOut | Outcome::NotReady | Outcome::NotLive | Outcome::Restarts => {
                by_name(&mut self.lives, name, |lives: &mut Lives| lives.bad.add(lasted));
            }
            // How long it would have lasted nobody knows.
            Outcome::Stopped => {}
        }
    }

    /// A worker has done a task since it was started, or since it had done the one before.
    fn task(&mut self, worker: &str, at: u64) {
        if let Some(since) = self.since.insert(worker.to_owned(), at) {
            let took = Duration::from_nanos(at.saturating_sub(since));
            by_name(&mut self.tasks, worker, |mean| mean.add(took));
        }
    }

    fn count(&mut self, name: &str, count: Option<u64>) {
        if let Some(count) = count {
            self.counts.insert(name.to_owned(), count);
        }
    }

    /// How long a life of that process lasted: of this instance, or of any of its declaration.
    pub(super) fn life_of(&self, name: &str) -> Option<Duration> {
        of_name(&self.lives, name, |lives| lives.good.get().or(lives.bad.get()))
    }

    /// How long a task of that worker took.
    pub(super) fn task_of(&self, name: &str) -> Option<Duration> {
        of_name(&self.tasks, name, |mean| mean.get())
    }

    /// How long it took to become ready.
    pub(super) fn ready_of(&self, name: &str) -> Option<Duration> {
        of_name(&self.ready, name, |mean| mean.get())
    }
}

fn chosen(run: &str) -> Result<String, Failure> {
    let known = runs::all()?;
    let found = if run == LATEST {
        known.last()
    } else {
        known.iter().find(|known| known.about.id == run)
    };
    let found = found.map(|found| found.about.id.clone());
    found.ok_or_else(|| {
        let shown = run.escape_debug();
        Failure::invalid(format!(
            "there is no run `{shown}` whose records could be taken; see: forkyard runs"
        ))
    })
}

fn by_name<T: Default>(table: &mut BTreeMap<String, T>, name: &str, mut add: impl FnMut(&mut T)) {
    add(table.entry(name.to_owned()).or_default());
    if declared(name) != name {
        add(table.entry(declared(name).to_owned()).or_default());
    }
}

fn of_name<T>(table: &BTreeMap<String, T>, name: &str, get: impl Fn(&T) -> Option<Duration>) -> Option<Duration> {
    let own = table.get(name).and_then(&get);
    own.or_else(|| table.get(declared(name)).and_then(get))
}

fn duration(value: &Value) -> Option<Duration> {
    serde_json::from_value(value.clone()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn records_tell_how_long_lives_and_tasks_were() {
        let mut past = Past::default();
        let life = |name: &str, secs: u64, outcome: &str| {
            let lasted = json!({"secs": secs, "nanos": 0});
            json!({"record": "exited", "process": name, "lasted": lasted, "outcome": outcome})
        };
        let records = [
            life("a.0", 2, "succeeded"),
            life("a.1", 4, "succeeded"),
            life("a.1", 90, "failed"),
            life("b", 7, "failed"),
            life("web", 99, "stopped"),
            json!({"record": "started", "process": "w.0", "at": 1_000_000_000_u64}),
            json!({"record": "task_done", "process": "w.0", "at": 3_000_000_000_u64}),
            json!({"record": "task_done", "process": "w.0", "at": 7_000_000_000_u64}),
            json!({"record": "ready", "process": "web", "took": {"secs": 1, "nanos": 0}}),
            json!({"record": "queue_counted", "queue": "q", "put": 12}),
            json!({"record": "pool_counted", "pool": "w", "taken": 2, "left": 1}),
            json!({"record": "of another version"}),
        ];
        for record in &records {
            past.note(record);
        }
        let seconds = |duration: Option<Duration>| duration.map(|duration| duration.as_secs());
        assert_eq!(seconds(past.life_of("a.0")), Some(2));
        assert_eq!(seconds(past.life_of("a.1")), Some(4));
        assert_eq!(seconds(past.life_of("a.7")), Some(3));
        assert_eq!(seconds(past.life_of("b")), Some(7));
        assert_eq!(seconds(past.life_of("web")), None);
        assert_eq!(seconds(past.task_of("w.0")), Some(3));
        assert_eq!(seconds(past.task_of("w.5")), Some(3));
        assert_eq!(seconds(past.ready_of("web")), Some(1));
        assert_eq!((past.counts["q"], past.counts["w"]), (12, 3));
    }
}
