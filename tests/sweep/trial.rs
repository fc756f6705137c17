//! One run below strace, which lets a system call fail.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::table::Case;
use crate::harness::{World, binary};

/// A run takes a second; one that waits for what it never gets gives up after some ten, or, where not even the process table can be
/// read, thirty.
const DEADLINE: Duration = Duration::from_mins(2);

/// All there is: a queue between streams, a pipe, logs, a queue by verbs, a pool.
pub const WORKFLOW: &str = "
forkyard: 1
queues: {q: {capacity: 4}, r: {}}
pipes: {p: {}}
processes:
  counts: {run: [seq, '5'], stdout: q}
  turns: {run: [sort, -r], stdin: q, stdout: p}
  keeps: {run: [tee, out.txt], stdin: p}
  says: {run: [forkyard, put, r, one, two], sends: r}
  hears: {run: [forkyard, get, r, -n, '2'], receives: r}
pools:
  doubles:
    tasks: [a, a]
    worker: persistent
    size: 1
    run: [sh, -c, 'while read -r item; do echo \"$item$item\"; done']
";

/// What came of it.
pub struct Trial {
    pub world: World,
    /// `None`: it did not end.
    pub status: Option<ExitStatus>,
    pub stdout: String,
    pub stderr: String,
    /// The calls that were traced.
    pub trace: String,
}

/// Whether this machine has strace, and lets it trace.
pub fn is_possible() -> bool {
    let tried = Command::new("strace")
        .args(["-f", "-b", "execve", "-o", "/dev/null", "true"])
        .output();
    tried.is_ok_and(|tried| tried.status.success())
}

/// Runs the workflow with a fault. What the engine has started is let go at its `execve`: only the engine and its guardians
/// have the fault.
pub fn attempt(case: &Case) -> Trial {
    let trace = format!("trace={}", case.syscall);
    run(&["-e", &trace, "-e", &case.injection()])
}

/// How often a thread makes each call when nothing fails: the most that any of them does.
pub fn calls() -> BTreeMap<String, usize> {
    let mut by_thread: BTreeMap<(String, String), usize> = BTreeMap::new();
    for line in run(&[]).trace.lines() {
        let Some((thread, call)) = line.split_once(' ') else {
            continue;
        };
        let Some((syscall, _)) = call.trim_start().split_once('(') else {
            continue;
        };
        *by_thread.entry((thread.to_owned(), syscall.to_owned())).or_default() += 1;
    }
    let mut most: BTreeMap<String, usize> = BTreeMap::new();
    for ((_, syscall), count) in by_thread {
        let known = most.entry(syscall).or_default();
        *known = count.max(*known);
    }
    most
}

fn run(options: &[&str]) -> Trial {
    let world = World::new();
    world.write("workflow.yaml", WORKFLOW);
    let trace = world.folder().join("trace");
    let mut words: Vec<OsString> = ["-f", "-b", "execve", "-o"].map(OsString::from).into();
    words.push(trace.clone().into());
    words.extend(options.iter().map(OsString::from));
    words.extend([binary(), "run", "workflow.yaml"].map(OsString::from));
    let mut child = command("strace", &world)
        .args(words)
        .stdout(file(&world, "stdout"))
        .stderr(file(&world, "stderr"))
        .spawn()
        .expect("strace can be started");
    let status = end_of(&mut child);
    Trial {
        status,
        stdout: text(&world, "stdout"),
        stderr: text(&world, "stderr"),
        trace: text(&world, "trace"),
        world,
    }
}

/// A command in that world, as an ordinary user of the engine calls it.
pub fn command(program: &str, world: &World) -> Command {
    let mut command = Command::new(program);
    command
        .current_dir(world.folder())
        .env("XDG_STATE_HOME", world.state())
        .env_remove("FORKYARD_SOCKET")
        .env_remove("FORKYARD_TOKEN")
        .stdin(Stdio::null());
    command
}

/// A file, not a pipe: whoever is left behind must not keep us.
fn file(world: &World, name: &str) -> File {
    File::create(world.folder().join(name)).expect("a file can be made")
}

/// A file of the world as text, empty if it is not there.
pub fn text(world: &World, name: &str) -> String {
    let bytes = fs::read(world.folder().join(name)).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// `None` when it had to be killed; what it has started is killed with its world.
fn end_of(child: &mut Child) -> Option<ExitStatus> {
    let begun = Instant::now();
    while begun.elapsed() < DEADLINE {
        if let Some(status) = child.try_wait().expect("it is our child") {
            return Some(status);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().expect("it is our child");
    child.wait().expect("it is our child");
    None
}
