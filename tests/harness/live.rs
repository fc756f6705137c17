//! A call of the binary that is still running.

use std::ffi::OsString;
use std::io::Read;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{Outcome, World, until, without_padding};

/// It runs; its output is taken in by two threads.
pub struct Live {
    child: Child,
    stdout: Intake,
    stderr: Intake,
    world: World,
}

impl Live {
    /// Starts it with an empty stdin.
    pub fn start(words: &[OsString], environment: &[(String, OsString)], world: World) -> Self {
        let mut child = Command::new(&words[0])
            .args(&words[1..])
            .current_dir(world.folder())
            .env("XDG_STATE_HOME", world.state())
            .env_remove("FORKYARD_SOCKET")
            .env_remove("FORKYARD_TOKEN")
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary can be executed");
        Self {
            stdout: Intake::of(child.stdout.take().expect("it is piped")),
            stderr: Intake::of(child.stderr.take().expect("it is piped")),
            child,
            world,
        }
    }

    /// The process that was started.
    pub fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).expect("a pid is positive"))
    }

    /// The engine's process, under the guardian.
    pub fn engine(&self) -> Pid {
        let path = self.world.run_directory().join("run.json");
        let text = std::fs::read_to_string(path).expect("run.json is there from the start");
        let run: serde_json::Value = serde_json::from_str(&text).expect("run.json is JSON");
        let pid = run["pid"].as_i64().expect("run.json has the engine's pid");
        Pid::from_raw(i32::try_from(pid).expect("a pid fits"))
    }

    /// Its world.
    pub fn world(&self) -> &World {
        &self.world
    }

    /// Waits until its stdout contains this.
    pub fn wait_for(&self, text: &str) -> &Self {
        until(&format!("stdout has `{text}`"), || {
            without_padding(&self.stdout.so_far()).contains(text)
        });
        self
    }

    /// Waits until its run has a directory, without a pause: what comes after is over in a millisecond.
    pub fn wait_for_directory(&self) -> &Self {
        let is_there = |_| {
            std::thread::yield_now();
            !self.world().runs().is_empty()
        };
        until("it has a directory", || (0..1000).any(is_there));
        self
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) -> &Self {
        kill(self.pid(), signal).expect("it is alive");
        self
    }

    /// Waits for its end. Nothing may be left of it.
    pub fn end(mut self) -> Outcome {
        let status = self.wait();
        self.world.assert_empty();
        Outcome::new(status, self.stdout.all(), self.stderr.all(), self.world)
    }

    /// Waits for the end of the process that was started; what it has left behind on purpose may go on.
    pub fn end_leaving(mut self) -> Outcome {
        let status = self.wait();
        Outcome::new(status, self.stdout.all(), self.stderr.all(), self.world)
    }

    /// Whether the process that was started has not ended.
    pub fn is_running(&self) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap_or_default();
        stat.rsplit_once(')')
            .is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
    }

    fn wait(&mut self) -> ExitStatus {
        let mut status = None;
        until("the binary ends", || {
            status = self.child.try_wait().expect("it is our child");
            status.is_some()
        });
        status.expect("it has just been seen")
    }
}

/// A stream that is read to its end by a thread.
struct Intake {
    bytes: Arc<Mutex<Vec<u8>>>,
    thread: JoinHandle<()>,
}

impl Intake {
    fn of(mut stream: impl Read + Send + 'static) -> Self {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let taken = Arc::clone(&bytes);
        let thread = std::thread::spawn(move || {
            let mut buffer = [0; 8192];
            while let Ok(count @ 1..) = stream.read(&mut buffer) {
                taken
                    .lock()
                    .expect("no reader panics")
                    .extend_from_slice(&buffer[..count]);
            }
        });
        Self { bytes, thread }
    }

    fn so_far(&self) -> String {
        String::from_utf8_lossy(&self.bytes.lock().expect("no reader panics")).into_owned()
    }

    fn all(self) -> String {
        until("the stream ends", || self.thread.is_finished());
        self.so_far()
    }
}
