//! `forkyard run --dry-run`: what would start, in which order, wired to what.

use std::collections::BTreeMap;

use forkyard_core::id::{PipeId, ProcessId, QueueId};
use forkyard_core::plan::{
    Condition, Dependency, EnvValue, Hold, Launch, Listening, OnEngineLoss, Plan, Pool, Process, Program, Resource,
    Side, Socket, TaskSource, Tasks, Wait, Wire, declared,
};

use crate::duration;
use crate::report::{Colors, plural, sanitised};

/// Scripts and commands are cut to so many characters, to stay on one line.
const COMMAND_CHARS_MAX: usize = 70;

/// The plan in words: waves of what may start together, each with its command, wires and holds.
pub fn describe(plan: &Plan) -> String {
    let waves = Waves::of(plan);
    let mut lines = vec![format!(
        "{}: {}",
        plan.name,
        plural(waves.last() as u64 + 1, "wave", "waves")
    )];
    if let Some(timeout) = plan.timeout {
        lines.push(format!("  the run is stopped after {}", duration::human(timeout)));
    }
    for (wave, entries) in entries(plan, &waves).into_iter().enumerate() {
        let when = if wave == 0 {
            "at once".to_owned()
        } else {
            format!("after wave {wave}, as far as each waits for it")
        };
        lines.push(String::new());
        lines.push(format!("wave {}, {when}", wave + 1));
        for entry in entries {
            lines.push(format!("  {}", entry.title()));
            lines.extend(entry.lines.into_iter().map(|line| format!("      {line}")));
        }
    }
    lines.push(String::new());
    lines.join("\n")
}

/// In which wave everything starts: one more than the latest of what it waits for. Waits for events and queues do
/// not count: when these come is known only at run time.
struct Waves {
    processes: Vec<usize>,
    pools: Vec<usize>,
}

impl Waves {
    fn of(plan: &Plan) -> Self {
        let mut waves = Self {
            processes: vec![0; plan.processes.len()],
            pools: vec![0; plan.pools.len()],
        };
        let mut waiting: Vec<Vec<Dependency>> = vec![Vec::new(); plan.processes.len() + plan.pools.len()];
        let mut missing = vec![0_usize; waiting.len()];
        for (waiter, waits) in waits_of(plan) {
            for wait in waits.iter().filter_map(|wait| waves.place(wait.on)) {
                waiting[wait].push(waiter);
                missing[waves.place(waiter).unwrap_or_default()] += 1;
            }
        }
        waves.settle(&waiting, &mut missing);
        waves
    }

    /// Goes along the waits from those that wait for nobody (Kahn's order); a ring, which the check refuses, stays.
    fn settle(&mut self, waiting: &[Vec<Dependency>], missing: &mut [usize]) {
        let mut settled: Vec<usize> = (0..missing.len()).filter(|place| missing[*place] == 0).collect();
        while let Some(place) = settled.pop() {
            let next = self.at(place) + 1;
            for waiter in &waiting[place] {
                let Some(to) = self.place(*waiter) else { continue };
                let later = self.at(to).max(next);
                self.put(to, later);
                missing[to] -= 1;
                if missing[to] == 0 {
                    settled.push(to);
                }
            }
        }
    }

    /// Processes and pools in one table.
    fn place(&self, of: Dependency) -> Option<usize> {
        match of {
            Dependency::Process(process) => Some(process.index()),
            Dependency::Pool(pool) => Some(self.processes.len() + pool.index()),
            Dependency::Event(_) | Dependency::Queue(_) => None,
        }
    }

    fn at(&self, place: usize) -> usize {
        let pools = self.processes.len();
        if place < pools {
            self.processes[place]
        } else {
            self.pools[place - pools]
        }
    }

    fn put(&mut self, place: usize, wave: usize) {
        let pools = self.processes.len();
        if place < pools {
            self.processes[place] = wave;
        } else {
            self.pools[place - pools] = wave;
        }
    }

    fn last(&self) -> usize {
        self.processes.iter().chain(&self.pools).copied().max().unwrap_or(0)
    }
}

fn waits_of(plan: &Plan) -> impl Iterator<Item = (Dependency, &[Wait])> {
    let processes = (0..).map(ProcessId).zip(&plan.processes);
    let processes = processes.map(|(id, process)| (Dependency::Process(id), process.after.as_slice()));
    let pools = (0..).map(forkyard_core::id::PoolId).zip(&plan.pools);
    processes.chain(pools.map(|(id, pool)| (Dependency::Pool(id), pool.after.as_slice())))
}

/// What starts in a wave and is told together.
struct Entry<'a> {
    first: &'a str,
    /// Of several.
    last: Option<&'a str>,
    is_pool: bool,
    lines: Vec<String>,
}

impl Entry<'_> {
    /// `count.0 to count.3`
    fn title(&self) -> String {
        match self.last {
            Some(last) => format!("{} to {last}", self.first),
            None if self.is_pool => format!("{} (pool)", self.first),
            None => self.first.to_owned(),
        }
    }
}

/// What starts, wave by wave; neighbours that differ in nothing but their index are one entry.
fn entries<'a>(plan: &'a Plan, waves: &Waves) -> Vec<Vec<Entry<'a>>> {
    let mut entries: Vec<Vec<Entry>> = (0..=waves.last()).map(|_| Vec::new()).collect();
    for (index, process) in plan.processes.iter().enumerate() {
        if process.worker_of.is_some() {
            continue;
        }
        let lines = process_lines(process, &plan.launches[index], plan);
        let wave = &mut entries[waves.processes[index]];
        match wave.last_mut() {
            Some(before) if before.lines == lines && declared(before.first) == declared(&process.name) => {
                before.last = Some(&process.name);
            }
            Some(_) | None => wave.push(Entry {
                first: &process.name,
                last: None,
                is_pool: false,
                lines,
            }),
        }
    }
    for (index, pool) in plan.pools.iter().enumerate() {
        entries[waves.pools[index]].push(Entry {
            first: &pool.name,
            last: None,
            is_pool: true,
            lines: pool_lines(pool, plan),
        });
    }
    entries
}

fn process_lines(process: &Process, launch: &Launch, plan: &Plan) -> Vec<String> {
    let mut lines = vec![command(&launch.program)];
    lines.extend(list(
        "after",
        process.after.iter().map(|wait| wait_in_words(wait, plan)),
    ));
    lines.extend(launch_lines(process, launch, plan));
    lines.extend(
        process
            .slot_in
            .map(|pool| format!("in a slot of the pool {}", plan.pools[pool.index()].name)),
    );
    if process.daemon {
        lines.push("a daemon: stopped once nobody else runs".to_owned());
    }
    if launch.on_engine_loss == OnEngineLoss::Keep {
        lines.push("outlives the engine when that is killed".to_owned());
    }
    lines.extend(
        process
            .timeout
            .map(|timeout| format!("timeout {}", duration::human(timeout))),
    );
    lines
}

fn pool_lines(pool: &Pool, plan: &Plan) -> Vec<String> {
    let Some(work) = &pool.work else {
        return vec![plural(u64::from(pool.size), "slot", "slots")];
    };
    let source = match &work.source {
        TaskSource::Tasks(Tasks::Listed(tasks)) => plural(tasks.len() as u64, "task", "tasks"),
        TaskSource::Tasks(Tasks::Range(first, end)) => format!("the tasks {first} to {}", end.saturating_sub(1)),
        TaskSource::Tasks(Tasks::Lines(path, _)) => format!("each line of {path}"),
        TaskSource::Queue(queue) => format!("each item of the queue {}", queue_name(*queue, plan)),
    };
    let mut lines = vec![format!(
        "{} for {source}",
        plural(u64::from(pool.size), "worker", "workers")
    )];
    if let Some(worker) = pool.worker_ids().next() {
        let (process, launch) = (&plan.processes[worker.index()], &plan.launches[worker.index()]);
        lines.push(command(&launch.program));
        lines.extend(list("after", pool.after.iter().map(|wait| wait_in_words(wait, plan))));
        lines.extend(launch_lines(process, launch, plan));
        lines.extend(
            process
                .timeout
                .map(|timeout| format!("timeout {} a task", duration::human(timeout))),
        );
    }
    lines.extend(
        work.results
            .map(|queue| format!("results to the queue {}", queue_name(queue, plan))),
    );
    lines
}

fn launch_lines(process: &Process, launch: &Launch, plan: &Plan) -> Vec<String> {
    let mut lines = Vec::new();
    lines.extend(list(
        "wired",
        launch.fds.iter().filter_map(|(fd, wire)| wire_in_words(fd, wire, plan)),
    ));
    let ends = launch
        .connects
        .iter()
        .map(|(pipe, side)| end_in_words(*pipe, *side, plan));
    lines.extend(list("connects", ends));
    lines.extend(list("listens at", launch.sockets.iter().map(socket_in_words)));
    lines.extend(list(
        "holds",
        process.holds.iter().map(|hold| hold_in_words(hold, plan)),
    ));
    lines.extend(launch.cwd.as_ref().map(|cwd| format!("in {}", shown(cwd))));
    lines.extend(list("env", shown_env(&launch.env)));
    lines
}

fn shown_env(env: &BTreeMap<String, EnvValue>) -> impl Iterator<Item = String> {
    env.iter().map(|(key, entry)| {
        let value = if entry.secret {
            "***".to_owned()
        } else {
            shown(&entry.value)
        };
        format!("{key}={value}")
    })
}

fn list(word: &str, parts: impl Iterator<Item = String>) -> Option<String> {
    let parts: Vec<String> = parts.collect();
    (!parts.is_empty()).then(|| format!("{word} {}", parts.join(", ")))
}

fn wait_in_words(wait: &Wait, plan: &Plan) -> String {
    let name = match wait.on {
        Dependency::Process(process) => &plan.processes[process.index()].name,
        Dependency::Pool(pool) => &plan.pools[pool.index()].name,
        Dependency::Event(event) => &plan.events[event.index()].name,
        Dependency::Queue(queue) => &plan.queues[queue.index()].name,
    };
    let condition = match wait.is {
        Condition::Started => "started",
        Condition::Ready => "is ready",
        Condition::Succeeded => "succeeded",
        Condition::Failed => "failed",
        Condition::Finished => "finished",
        Condition::Set => "is set",
        Condition::Drained => "is drained",
    };
    format!("{name} {condition}")
}

fn wire_in_words(fd: i32, wire: &Wire, plan: &Plan) -> Option<String> {
    let whereto = match wire {
        // What is so by default is not worth a word.
        Wire::Null | Wire::Log | Wire::Notify | Wire::Tasks | Wire::Results => return None,
        Wire::Inherit => "inherited".to_owned(),
        Wire::Stdout => "to stdout".to_owned(),
        Wire::ToQueue(queue) => format!("to the queue {}", queue_name(*queue, plan)),
        Wire::FromQueue(queue) => format!("from the queue {}", queue_name(*queue, plan)),
        Wire::PipeWriter(pipe) => format!("to the pipe {}", plan.pipes[pipe.index()].name),
        Wire::PipeReader(pipe) => format!("from the pipe {}", plan.pipes[pipe.index()].name),
        Wire::Duplex(pipe, side) => format!("to {}", end_in_words(*pipe, *side, plan)),
        Wire::ReadFile(path) => format!("from the file {}", shown(path)),
        Wire::WriteFile(path) => format!("to the file {}", shown(path)),
        Wire::AppendFile(path) => format!("to the end of the file {}", shown(path)),
        Wire::Text(_) => "from a text".to_owned(),
    };
    let stream = match fd {
        0 => "stdin".to_owned(),
        1 => "stdout".to_owned(),
        2 => "stderr".to_owned(),
        fd => format!("descriptor {fd}"),
    };
    Some(format!("{stream} {whereto}"))
}

fn end_in_words(pipe: PipeId, side: Side, plan: &Plan) -> String {
    let side = match side {
        Side::Left => "left",
        Side::Right => "right",
    };
    format!("{}.{side}", plan.pipes[pipe.index()].name)
}

fn socket_in_words(socket: &Socket) -> String {
    match &socket.at {
        Listening::Internet(address) => format!("{address} ({})", socket.name),
        Listening::Unix(path) => format!("{} ({})", shown(path), socket.name),
    }
}

fn hold_in_words(hold: &Hold, plan: &Plan) -> String {
    match hold.resource {
        Resource::Lock(lock) => plan.locks[lock.index()].name.clone(),
        Resource::Semaphore(semaphore) => {
            let name = &plan.semaphores[semaphore.index()].name;
            format!("{} of {name}", plural(u64::from(hold.permits), "permit", "permits"))
        }
    }
}

fn queue_name(queue: QueueId, plan: &Plan) -> &str {
    &plan.queues[queue.index()].name
}

/// The command on one line: a script as it is, a list in the form that could be typed.
fn command(program: &Program) -> String {
    let text = match program.argv.as_slice() {
        [.., script] if program.script => {
            let lines: Vec<&str> = script.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
            lines.join("; ")
        }
        argv => argv.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" "),
    };
    shown(&text)
}

fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "_-+=./:,@%".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// A text of the workflow, safe and not too long.
fn shown(text: &str) -> String {
    let safe = sanitised(text.as_bytes(), Colors::Drop);
    if safe.chars().count() <= COMMAND_CHARS_MAX {
        return safe;
    }
    let mut cut: String = safe.chars().take(COMMAND_CHARS_MAX - 1).collect();
    cut.push('…');
    cut
}

#[cfg(test)]
mod tests;
