//! Runs the binary in a world of its own and says what came of it.
//!
//! Every test has its own folder and its own `XDG_STATE_HOME`, which all processes of its run inherit: that is how
//! a process that was left behind is found.

mod live;
mod outcome;
mod pattern;
mod random;
mod world;

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

pub use live::Live;
pub use outcome::{Outcome, without_padding};
pub use pattern::{lines_match, matches};
pub use random::Random;
pub use world::World;

/// How long anything may take before a test calls it hung; far more than any needs on a busy machine.
const LIMIT: Duration = Duration::from_mins(1);

/// One call of the binary, put together word by word.
pub struct Forkyard {
    arguments: Vec<OsString>,
    environment: Vec<(String, OsString)>,
    launcher: Vec<String>,
    world: World,
}

impl Forkyard {
    /// `forkyard COMMAND`.
    pub fn new(command: &str) -> Self {
        Self {
            arguments: vec![command.into()],
            environment: Vec::new(),
            launcher: Vec::new(),
            world: World::new(),
        }
    }

    /// `forkyard run` of this text, saved as `workflow.yaml` in the test's folder.
    pub fn run_of(workflow: &str) -> Self {
        Self::new("run").workflow(workflow)
    }

    /// One more argument.
    pub fn arg(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// `-p KEY=VALUE`.
    pub fn param(self, assignment: &str) -> Self {
        self.arg("-p").arg(assignment)
    }

    /// Without the engine's own notes between the lines of the processes.
    pub fn quiet(self) -> Self {
        self.arg("--quiet")
    }

    /// Saves this text as `workflow.yaml` in the test's folder, and names it on the command line.
    pub fn workflow(self, text: &str) -> Self {
        let path = self.world.folder().join("workflow.yaml");
        self.file("workflow.yaml", text).arg(path)
    }

    /// Saves a file in the test's folder.
    pub fn file(self, name: &str, contents: impl AsRef<[u8]>) -> Self {
        self.world.write(name, contents);
        self
    }

    /// One more variable of the environment.
    pub fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.environment.push((name.to_owned(), value.into()));
        self
    }

    /// Words before the binary's path, of a program that executes it.
    pub fn launched_by(mut self, words: &[&str]) -> Self {
        self.launcher = words.iter().map(ToString::to_string).collect();
        self
    }

    /// The same world as an earlier call.
    pub fn within(mut self, world: World) -> Self {
        self.world = world;
        self
    }

    /// Where it is called, and what is kept.
    pub const fn world(&self) -> &World {
        &self.world
    }

    /// The folder in which it is called.
    pub fn folder(&self) -> &Path {
        self.world.folder()
    }

    /// Starts it, to be watched while it runs.
    pub fn start(self) -> Live {
        let mut words: Vec<OsString> = self.launcher.into_iter().map(OsString::from).collect();
        words.push(binary().into());
        words.extend(self.arguments);
        Live::start(&words, &self.environment, self.world)
    }

    /// Runs it to its end. Nothing may be left of it.
    pub fn run(self) -> Outcome {
        self.start().end()
    }
}

/// The binary under test.
pub fn binary() -> &'static str {
    env!("CARGO_BIN_EXE_forkyard")
}

/// A path in the repository.
pub fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// All files under a folder of the repository with this extension, in order.
pub fn files_under(folder: &str, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![repository(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("the folder is there") {
            let path = entry.expect("an entry of a folder").path();
            if path.is_dir() && path.file_name().is_some_and(|name| name != "target") {
                folders.push(path);
            } else if path.extension().is_some_and(|it| it == extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// Waits until it is so.
///
/// # Panics
/// When it is not so within the limit.
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < LIMIT, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Once, or as often as `FORKYARD_REPEAT` says: `just repeat 100` looks for what fails only now and then.
pub fn repeat(test: impl Fn()) {
    for _ in 0..number("FORKYARD_REPEAT", 1) {
        test();
    }
}

/// What a variable of the environment says, for tests that can do more than a run of all of them should.
pub fn number(variable: &str, otherwise: u64) -> u64 {
    match std::env::var(variable) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{variable} is a number")),
        Err(_) => otherwise,
    }
}
