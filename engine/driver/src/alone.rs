//! For tests: the body of a test in a process of its own, where it may die, adopt orphans, or kill all it has started.

use std::process::{self, Command, Output};

/// Set in the process that runs the body alone.
const ROLE: &str = "FORKYARD_TEST_ALONE";

/// Runs `body` in a fresh process of this test binary, as a thread that is not its main thread, and returns its exit
/// and what it wrote to stderr; stdout has words of the test harness too. `test` is the path of the calling test.
/// Whoever still has the body's stderr keeps this waiting, which is how a test sees that nobody is left.
pub(crate) fn alone(test: &str, body: impl FnOnce() -> i32) -> Output {
    if std::env::var_os(ROLE).is_some_and(|role| role == test) {
        process::exit(body());
    }
    let binary = std::env::current_exe().expect("a test knows its binary");
    Command::new(binary)
        .args([test, "--exact", "--nocapture", "--test-threads=2"])
        .env(ROLE, test)
        .output()
        .expect("the test binary can be executed again")
}

/// What [`alone`]'s body wrote to stderr, as text.
pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
