//! For tests: the body of a test in a process of its own, where it may die, adopt orphans, or kill all it has started.

use std::panic::{self, UnwindSafe};
use std::process::{self, Command, Output};

use crate::tree::{adopt_orphans, sweep_all};

/// Set in the process that runs the body alone.
const ROLE: &str = "FORKYARD_TEST_ALONE";

/// Exit code of a body that came to its end; not 0, which is also that of a test harness that found no such test.
pub(crate) const PASSED: i32 = 77;

/// Runs `body` in a fresh process of this test binary, as a thread that is not its main thread, and returns its exit
/// and what it wrote to stderr; stdout has words of the test harness too. `test` is the path of the calling test.
/// Whoever still has the body's stderr keeps this waiting, which is how a test sees that nobody is left.
/// Whatever the body leaves behind is killed, also when it panics.
pub(crate) fn alone(test: &str, body: impl FnOnce() -> i32 + UnwindSafe) -> Output {
    if std::env::var_os(ROLE).is_some_and(|role| role == test) {
        adopt_orphans().expect("Linux has subreapers");
        let code = panic::catch_unwind(body).unwrap_or(101);
        sweep_all().expect("all can be killed");
        process::exit(code);
    }
    let binary = std::env::current_exe().expect("a test knows its binary");
    Command::new(binary)
        .args([test, "--exact", "--nocapture", "--test-threads=2"])
        .env(ROLE, test)
        .output()
        .expect("the test binary can be executed again")
}

/// Runs `body` as [`alone`], and passes when it comes to its end.
pub(crate) fn passes_alone(test: &str, body: impl FnOnce() + UnwindSafe) {
    let output = alone(test, || {
        body();
        PASSED
    });
    assert_eq!(output.status.code(), Some(PASSED), "{}", stderr(&output));
}

/// What [`alone`]'s body wrote to stderr, as text.
pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
