//! Whether this machine lets so many processes run, and so many descriptors be open, as a workflow starts at once.

use std::fs;

use forkyard_core::diagnostic::{Diagnostic, Severity, codes};
use forkyard_core::source::Span;
use forkyard_core::spec::{Body, Stream, Tasks, Workflow};
use nix::sys::resource::{Resource, getrlimit};
use nix::unistd::geteuid;

/// How many descriptors the engine has open for itself, at least: its yard, socket, logs and the like.
const OWN_DESCRIPTORS: u64 = 32;

/// What this machine allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Capacity {
    /// Open descriptors of one process, the engine's.
    pub descriptors: u64,
    /// Processes, of this user or in all.
    pub processes: u64,
}

impl Capacity {
    /// As the kernel and the limits of the caller have it.
    pub fn of_machine() -> Self {
        let hard = |resource| getrlimit(resource).map_or(u64::MAX, |(_, hard)| hard);
        let number = |path: &str| fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
        let of_user = if geteuid().is_root() {
            u64::MAX
        } else {
            hard(Resource::RLIMIT_NPROC)
        };
        let of_kernel = ["/proc/sys/kernel/pid_max", "/proc/sys/kernel/threads-max"];
        let of_kernel = of_kernel.into_iter().filter_map(number).min();
        Self {
            descriptors: hard(Resource::RLIMIT_NOFILE),
            processes: of_user.min(of_kernel.unwrap_or(u64::MAX)),
        }
    }
}

/// What starts at once, without waiting for anything or anybody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Rush {
    processes: u64,
    descriptors: u64,
    /// Where the largest part of it stands, and how many that are.
    largest: Option<(Span, u64)>,
}

impl Rush {
    fn of(workflow: &Workflow) -> Self {
        let mut rush = Self::default();
        // Instances of one process stand together.
        for process in workflow
            .processes
            .chunk_by(|one, next| one.declared.name == next.declared.name)
        {
            let at_once = process.iter().filter(|it| it.pool.is_none() && is_free(&it.body));
            let descriptors = at_once.clone().map(|it| descriptors(&it.body)).sum();
            rush.add(process[0].declared.place, at_once.count() as u64, descriptors);
        }
        for pool in workflow
            .pools
            .iter()
            .filter(|pool| pool.body.run.is_some() && is_free(&pool.body))
        {
            // With fewer tasks than workers, not all start.
            let tasks = match &pool.tasks {
                Some(Tasks::Listed(items)) => items.len() as u64,
                Some(Tasks::Range(first, end)) => end.abs_diff(*first),
                Some(Tasks::Lines(..)) | None => 0,
            };
            let count = tasks.min(u64::from(pool.size));
            rush.add(pool.declared.place, count, count * descriptors(&pool.body));
        }
        rush
    }

    fn add(&mut self, place: Span, processes: u64, descriptors: u64) {
        self.processes += processes;
        self.descriptors += descriptors;
        if self.largest.is_none_or(|(_, most)| processes > most) {
            self.largest = Some((place, processes));
        }
    }
}

/// Whether it starts without waiting for anything.
fn is_free(body: &Body) -> bool {
    body.after.is_empty() && body.holds.is_empty()
}

/// How many descriptors the engine keeps for it while it runs, at least: one by which it sees the end, one for each of
/// stdout and stderr that it reads.
fn descriptors(body: &Body) -> u64 {
    let is_read = |stream: &&Stream| matches!(stream, Stream::Log);
    1 + [&body.stdout, &body.stderr].into_iter().filter(is_read).count() as u64
}

/// What is more than this machine allows. The rest waits until there is room, so these are warnings.
pub(super) fn beyond(workflow: &Workflow, capacity: Capacity) -> Vec<Diagnostic> {
    let rush = Rush::of(workflow);
    let descriptors = rush.descriptors + OWN_DESCRIPTORS;
    let mut found = Vec::new();
    if rush.processes > capacity.processes {
        found.push(warning(
            rush.largest,
            format!(
                "{} processes start at once, and this machine allows {}",
                rush.processes, capacity.processes
            ),
            "let them share the slots of a pool, or raise `ulimit -u` or kernel.pid_max",
        ));
    }
    if rush.processes > 0 && descriptors > capacity.descriptors {
        found.push(warning(
            rush.largest,
            format!(
                "{} processes start at once and need {descriptors} descriptors, and the limit is {}",
                rush.processes, capacity.descriptors
            ),
            "let them share the slots of a pool, or raise the hard limit: `ulimit -Hn`",
        ));
    }
    found
}

fn warning(largest: Option<(Span, u64)>, message: String, help: &str) -> Diagnostic {
    Diagnostic {
        code: codes::TOO_MUCH_AT_ONCE,
        severity: Severity::Warning,
        place: largest.map(|(place, _)| place),
        message,
        help: Some(help.to_owned()),
        related: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use forkyard_core::spec::{Loader, Request, read};

    use super::*;

    struct Only<'a>(&'a str);

    impl Loader for Only<'_> {
        fn load(&mut self, _: &str) -> Result<Vec<u8>, String> {
            Ok(self.0.as_bytes().to_vec())
        }
    }

    /// What is said of `text` on a machine that allows so much.
    fn told(text: &str, descriptors: u64, processes: u64) -> Vec<String> {
        let request = Request {
            paths: &["sample.yaml".to_owned()],
            params: &[],
            environment: &BTreeMap::new(),
            cpus: 2,
        };
        let workflow = read(&request, &mut Only(text)).workflow.expect("it is sound");
        let capacity = Capacity { descriptors, processes };
        let found = beyond(&workflow, capacity);
        found.into_iter().map(|found| found.message).collect()
    }

    #[test]
    fn what_starts_at_once_fits() {
        let text = "{forkyard: 1, processes: {a: {run: x, replicas: 10}, b: {run: x, stdout: 'null'}}}";
        assert_eq!(told(text, 64, 11), [""; 0]);
        assert_eq!(
            told(text, 63, 10),
            [
                "11 processes start at once, and this machine allows 10",
                "11 processes start at once and need 64 descriptors, and the limit is 63"
            ]
        );
    }

    #[test]
    fn who_waits_is_not_counted() {
        let text = "{forkyard: 1, locks: {l: {}}, pools: {s: {size: 1}, w: {size: 4, run: x, tasks: [1, 2]}}, processes: {
            a: {run: x, replicas: 10, after: d}, b: {run: x, replicas: 10, holds: l}, c: {run: x, replicas: 10, pool: s}, d: {run: x}}}";
        assert_eq!(told(text, 1000, 3), [""; 0]);
        assert_eq!(
            told(text, 1000, 2),
            ["3 processes start at once, and this machine allows 2"]
        );
    }
}
