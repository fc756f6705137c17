//! The Python face: its own tests, run by whatever python3 there is.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::harness::{Forkyard, Outcome, binary, files_under, repeat, repository};

/// A folder for `PYTHONPATH`, with the package and its native module; `None` where there is no Python to use it.
///
/// The module is built by cargo and put beside the package: what `pip` would do, without asking for `pip` and `maturin`.
pub fn package() -> Option<&'static Path> {
    static PACKAGE: OnceLock<Option<PathBuf>> = OnceLock::new();
    PACKAGE.get_or_init(|| has_python().then(build)).as_deref()
}

fn has_python() -> bool {
    let recent = "import sys; sys.exit(sys.version_info < (3, 9))";
    let found = Command::new("python3").args(["-c", recent]).status();
    found.is_ok_and(|status| status.success())
}

fn build() -> PathBuf {
    let built = Path::new(binary()).parent().expect("a binary stands in a folder");
    let target = built.parent().expect("a profile stands in the target folder");
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .current_dir(repository(""))
        .args(["build", "--quiet", "--package", "forkyard-python", "--target-dir"])
        .arg(target);
    if built.ends_with("release") {
        cargo.arg("--release");
    }
    assert!(
        cargo.status().expect("cargo can be started").success(),
        "the native module cannot be built"
    );
    let folder = target.join("python-package");
    let package = folder.join("forkyard");
    fs::create_dir_all(&package).expect("a folder can be made");
    for extension in ["py", "pyi", "typed"] {
        for file in files_under("engine/ipc/python/python/forkyard", extension) {
            copy(&file, &package.join(file.file_name().expect("a file has a name")));
        }
    }
    copy(&built.join("lib_native.so"), &package.join("_native.abi3.so"));
    folder
}

/// By renaming, since another test program may have the old one loaded.
fn copy(from: &Path, to: &Path) {
    let beside = to.with_extension(format!("new-{}", std::process::id()));
    fs::copy(from, &beside).expect("a file can be copied");
    fs::rename(&beside, to).expect("a file can be renamed");
}

#[test]
fn i10_the_python_face_passes_its_own_tests() {
    let Some(package) = package() else {
        println!("skipped: there is no python3 of 3.9 or later");
        return;
    };
    let tests = repository("engine/ipc/python/tests");
    let python = Command::new("python3")
        .args([
            "-B",
            "-W",
            "error::ResourceWarning",
            "-m",
            "unittest",
            "discover",
            "--start-directory",
        ])
        .arg(&tests)
        .env(
            "PYTHONPATH",
            std::env::join_paths([package, &tests]).expect("paths without a colon"),
        )
        .output()
        .expect("python3 can be started");
    let said = String::from_utf8_lossy(&python.stderr);
    assert!(python.status.success(), "{said}");
    assert!(said.contains("\nOK") && !said.contains("Ran 0 tests"), "{said}");
}

/// Runs an example of `multiprocessing` in Python, and looks at what came of it; where there is a Python.
fn origin(name: &str, params: &[&str], look: impl Fn(&Outcome)) {
    let Some(package) = package() else { return };
    repeat(|| {
        let path = repository(&format!("workflows/origin/python/{name}.yaml"));
        let run = Forkyard::new("run").quiet().arg(path).env("PYTHONPATH", package);
        look(&params.iter().fold(run, |run, param| run.param(param)).run());
    });
}

#[test]
fn queue() {
    origin("queue", &[], |run| {
        run.exit(0);
        assert_eq!(run.lines(), [("writer", "put 1"), ("reader", "got 1")]);
    });
}

#[test]
fn pipe() {
    origin("pipe", &["seconds=0.05", "timeout=3s"], |run| {
        run.exit(124);
        for (name, word) in [("proc1", "send"), ("proc2", "proc2 rev")] {
            let said = run.said(name);
            let expected: Vec<String> = (0..said.len()).map(|number| format!("{word}: {number}")).collect();
            assert_eq!(said, expected);
            assert!(!said.is_empty());
        }
    });
}

#[test]
fn lock() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let file = format!("file={}", folder.path().join("lock.txt").display());
    origin("lock", &["seconds=0.002", &file], |run| {
        run.exit(0);
        let lines = run.said("show");
        let (first, second) = lines.split_at(9);
        assert_eq!(second.len(), 9);
        assert_ne!(first[0], second[0]);
        let unmixed = first.iter().all(|line| *line == first[0]) && second.iter().all(|line| *line == second[0]);
        assert!(unmixed, "{lines:?}");
    });
}

#[test]
fn semaphore() {
    origin("semaphore", &["scale=0.05"], |run| {
        run.exit(0);
        let texts = run.texts();
        let mut inside = 0;
        for (index, text) in texts.iter().enumerate() {
            inside += if text.ends_with("acquire") { 1 } else { -1 };
            // Between a release and the next acquire is so little time that both may come at once, in any order.
            let releases_too = texts.get(index + 1).is_some_and(|next| next.ends_with("release"));
            assert!((0..=2 + i32::from(releases_too)).contains(&inside), "{texts:?}");
        }
        for index in 0..5 {
            run.position(&format!("worker.{index} release"));
        }
    });
}

#[test]
fn event() {
    origin("event", &["patience=0.1", "seconds=0.05"], |run| {
        run.exit(0);
        let timed_out = run.position("wait_for_event_timeout: the event is not set");
        let set = run.position("main: event is set");
        let seen = run.position("wait_for_event: the event is set");
        assert!(run.position("wait_for_event_timeout: starting") < timed_out);
        assert!(run.position("wait_for_event: starting") < seen);
        assert!(timed_out < set && timed_out < seen, "{:?}", run.texts());
        assert_eq!(run.texts().len(), 5);
    });
}

#[test]
fn not_daemon() {
    origin("not-daemon", &["seconds=0.05"], |run| {
        run.exit(0);
        let texts = run.texts();
        let words: Vec<&str> = texts.iter().filter_map(|text| text.split(':').next()).collect();
        assert_eq!(words, ["end!", "work start", "work end"]);
    });
}

#[test]
fn daemon() {
    origin("daemon", &["seconds=100.0"], |run| {
        run.exit(0);
        assert_eq!(run.texts()[0], "end!");
        assert!(run.texts().iter().all(|text| !text.starts_with("work end")));
        assert_eq!(run.records_of("exited", "worker")[0]["outcome"], "stopped");
    });
}

#[test]
fn what_a_process_has_not_declared_is_refused_with_the_missing_line() {
    let Some(package) = package() else { return };
    let workflow = "
forkyard: 1
queues:
  numbers: {}
locks:
  file: {}
processes:
  main:
    sends: numbers
    shell: python3
    run: |
      import forkyard
      numbers = forkyard.Queue('numbers')
      numbers.put(1)
      for refused in (numbers.get, lambda: forkyard.Lock('file'), lambda: forkyard.Lock('fiel'), lambda: forkyard.Lock('numbers')):
          try:
              refused()
          except forkyard.Error as error:
              print(type(error).__name__, isinstance(error, PermissionError), error)
  other:
    daemon: true
    sends: numbers
    receives: numbers
    acquires: file
    run: exec sleep 1000
";
    let run = Forkyard::run_of(workflow).quiet().env("PYTHONPATH", package).run();
    run.exit(0);
    let expected = [
        ("NotDeclared True", "receives: [numbers]"),
        ("NotDeclared True", "acquires: [file]"),
        ("NoSuchName False", "did you mean `file`?"),
        ("WrongKind False", "is a queue"),
    ];
    let said = run.said("main");
    assert_eq!(said.len(), expected.len(), "{said:?}");
    for (said, (error, hint)) in said.iter().zip(expected) {
        assert!(said.starts_with(error) && said.contains(hint), "{said}");
    }
}

#[test]
fn outside_of_a_run_a_name_is_refused() {
    let Some(package) = package() else { return };
    let text = "import forkyard
for kind in (forkyard.Queue, forkyard.Lock, forkyard.Semaphore, forkyard.Event, lambda name: forkyard.Pipe(name + '.left')):
    try:
        kind('jobs')
    except forkyard.OutsideRun as error:
        print(isinstance(error, RuntimeError))";
    let python = Command::new("python3")
        .args(["-c", text])
        .env("PYTHONPATH", package)
        .output()
        .expect("python3 can be started");
    assert_eq!(String::from_utf8_lossy(&python.stdout), "True\n".repeat(5));
}
