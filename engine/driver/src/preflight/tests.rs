use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;

use forkyard_core::spec::{
    After, Declared, Dispatch, EnvValue, Options, Order, Otherwise, Pool, Process, Reference, Stop, Terms, WorkerKind,
};
use tempfile::TempDir;

use super::*;

fn place(start: u32) -> Span {
    Span {
        file: 0,
        start,
        end: start + 1,
    }
}

fn program(name: &str) -> Program {
    let argv = vec![name.to_owned(), "argument".to_owned()];
    Program {
        argv,
        script: false,
        place: place(10),
    }
}

fn body(name: &str) -> Body {
    let terms = Terms {
        protocol: None,
        cwd: None,
        env: BTreeMap::new(),
        clear_env: false,
        user: None,
        group: None,
        limits: None,
        cpus: Vec::new(),
        tty: None,
        umask: None,
        nice: None,
        stdin: Stream::Null,
        stdout: Stream::Log,
        stderr: Stream::Log,
        fds: BTreeMap::new(),
        sends: vec![],
        receives: vec![],
        connects: vec![],
        holds: vec![],
        acquires: vec![],
        sets: vec![],
        waits: vec![],
        daemon: false,
        ready: None,
        live: None,
        sockets: Vec::new(),
        timeout: None,
        stop: Stop {
            signal: libc::SIGTERM,
            grace: Duration::from_secs(10),
            command: None,
        },
        success: None,
        restart: forkyard_core::spec::Wish::Unsaid,
        on_failure: None,
        on_engine_loss: Default::default(),
        log: None,
    };
    Body {
        run: Some(program(name)),
        after: vec![],
        terms: Arc::new(terms),
    }
}

fn declared(name: &str) -> Declared {
    Declared {
        name: name.into(),
        place: place(1),
        description: None,
    }
}

fn workflow(bodies: Vec<Body>) -> Workflow {
    let instance = |(index, body)| Process {
        declared: declared("p"),
        index: Some(index),
        body,
        pool: None,
    };
    Workflow {
        name: "test".into(),
        description: None,
        options: Options::default(),
        params: BTreeMap::new(),
        processes: (0..).zip(bodies).map(instance).collect(),
        pools: vec![],
        queues: vec![],
        pipes: vec![],
        locks: vec![],
        semaphores: vec![],
        events: vec![],
        templates: vec![],
        groups: vec![],
        absent: vec![],
        unused_params: vec![],
        clear_secrets: vec![],
        unquoted: vec![],
        unbuilt: vec![],
    }
}

fn after() -> Vec<After> {
    let on = Reference {
        name: "other".into(),
        place: place(5),
    };
    vec![After {
        on,
        is: None,
        timeout: None,
        otherwise: Otherwise::Fail,
    }]
}

/// A folder with a good program, one without permission, and a folder.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let file = |name: &str, text: &str, mode| {
        let path = folder.path().join(name);
        fs::write(&path, text).expect("writable");
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("ours");
    };
    file("count.py", "#!/bin/sh\n", 0o755);
    file("plain.py", "#!/bin/sh\n", 0o644);
    file("lost.py", "#!/no/such/python -u\n", 0o755);
    file("dos.sh", "#!/bin/sh\r\n", 0o755);
    fs::create_dir(folder.path().join("sub")).expect("writable");
    folder
}

/// The codes and messages for a workflow in `folder`, the folder's path shortened to `DIR`.
fn findings(folder: &TempDir, workflow: &Workflow) -> Vec<String> {
    let diagnostics = preflight(workflow, folder.path(), Some(OsStr::new("/usr/bin:/bin")));
    let told = diagnostics.iter().map(|diagnostic| {
        assert_eq!(diagnostic.severity, Severity::Error);
        assert!(diagnostic.place.is_some());
        let help = diagnostic.help.as_deref().unwrap_or("no help");
        let text = format!("{}: {}; {help}", diagnostic.code, diagnostic.message);
        text.replace(folder.path().to_str().expect("UTF-8"), "DIR")
    });
    told.collect()
}

fn check(body: Body, expected: &[&str]) {
    let folder = folder();
    assert_eq!(findings(&folder, &workflow(vec![body])), expected);
}

#[test]
fn what_is_there_is_not_mentioned() {
    for name in ["sh", "/bin/sh", "./count.py", "sub/../count.py", "forkyard"] {
        check(body(name), &[]);
    }
}

#[test]
fn a_missing_program_comes_with_the_nearest_name() {
    check(
        body("./cuont.py"),
        &["FY301: there is no DIR/./cuont.py; there is `count.py`: did you mean that?"],
    );
    check(
        body("./nothing-like-it"),
        &["FY301: there is no DIR/./nothing-like-it; no help"],
    );
    let folder = folder();
    let mut misspelt = body("plian.py");
    let value = folder.path().to_str().expect("UTF-8").to_owned();
    misspelt.env.insert("PATH".into(), EnvValue { value, secret: false });
    let told = findings(&folder, &workflow(vec![misspelt]));
    assert_eq!(
        told,
        ["FY301: there is no command `plian.py` on PATH; there is `plain.py`: did you mean that?"]
    );
    check(body(""), &["FY301: there is no command `` on PATH; no help"]);
}

#[test]
fn a_file_of_the_folder_needs_a_slash() {
    check(
        body("count.py"),
        &["FY301: there is no command `count.py` on PATH; to run the file in DIR, write ./count.py"],
    );
}

#[test]
fn what_cannot_be_executed_is_told_apart() {
    check(
        body("./plain.py"),
        &["FY302: DIR/./plain.py is not executable; make it executable: chmod +x DIR/./plain.py"],
    );
    check(
        body("./sub"),
        &["FY303: DIR/./sub is a directory, not a program; no help"],
    );
    check(
        body("./lost.py"),
        &["FY304: `./lost.py` asks in its first line for /no/such/python, which does not exist; no help"],
    );
    check(
        body("./dos.sh"),
        &[
            "FY304: `./dos.sh` asks in its first line for /bin/sh\\r, which does not exist; \
           its lines end as on Windows: convert them with dos2unix",
        ],
    );
}

#[test]
fn the_path_is_that_of_the_process() {
    let folder = folder();
    let mut own = body("count.py");
    let value = folder.path().to_str().expect("UTF-8").to_owned();
    own.env.insert("PATH".into(), EnvValue { value, secret: false });
    assert_eq!(findings(&folder, &workflow(vec![own.clone()])), [""; 0]);
    own.env.clear();
    own.clear_env = true;
    own.run = Some(program("sh"));
    assert_eq!(
        findings(&folder, &workflow(vec![own])),
        [""; 0],
        "the default PATH has sh"
    );
}

#[test]
fn a_path_is_relative_to_the_working_directory() {
    let mut inside = body("../count.py");
    inside.cwd = Some(Box::new(("sub".into(), place(3))));
    check(inside.clone(), &[]);
    inside.run = Some(program("./count.py"));
    check(inside, &["FY301: there is no DIR/sub/./count.py; no help"]);
}

#[test]
fn a_missing_working_directory_is_all_that_is_said() {
    let mut lost = body("./x");
    lost.cwd = Some(Box::new(("missing".into(), place(3))));
    check(
        lost.clone(),
        &[
            "FY305: the working directory `missing` cannot be entered: no such file or directory; \
           it is looked for at DIR/missing",
        ],
    );
    lost.cwd = Some(Box::new(("count.py".into(), place(3))));
    check(
        lost,
        &["FY305: the working directory `count.py` is not a directory; it is looked for at DIR/count.py"],
    );
}

#[test]
fn a_file_for_stdin_must_be_readable() {
    let mut reader = body("sh");
    let mut check_file = |name: &str, expected: &[&str]| {
        reader.stdin = Stream::File(name.into(), place(7));
        check(reader.clone(), expected);
    };
    check_file("count.py", &[]);
    check_file("/dev/null", &[]);
    check_file(
        "none.txt",
        &["FY308: the file `none.txt` cannot be read: no such file or directory; it is looked for at DIR/none.txt"],
    );
    check_file(
        "sub",
        &["FY308: the file `sub` is a directory; it is looked for at DIR/sub"],
    );
}

#[test]
fn what_an_earlier_process_may_make_is_not_missed_yet() {
    let mut later = body("./built");
    later.after = after();
    later.cwd = Some(Box::new(("build".into(), place(3))));
    later.stdin = Stream::File("made.txt".into(), place(7));
    check(later.clone(), &[]);
    later.run = Some(program("no-such-command-anywhere"));
    check(
        later,
        &["FY301: there is no command `no-such-command-anywhere` on PATH; no help"],
    );
}

#[test]
fn a_stop_command_may_be_made_by_the_process_itself() {
    let mut stopped = body("sh");
    stopped.stop.command = Some(Box::new(program("./made-later")));
    check(stopped.clone(), &[]);
    stopped.stop.command = Some(Box::new(program("no-such-command-anywhere")));
    check(
        stopped,
        &["FY301: there is no command `no-such-command-anywhere` on PATH; no help"],
    );
}

#[test]
fn an_unknown_user_is_named() {
    let mut other = body("sh");
    other.user = Some(Box::new(("no-such-user".into(), place(4))));
    check(
        other.clone(),
        &["FY306: this machine has no user `no-such-user`; no help"],
    );
    other.user = Some(Box::new((geteuid().to_string(), place(4))));
    check(other.clone(), &[]);
    let rest = "only root can run a process as user `54321`; run forkyard as root, or leave `user` out";
    let told = format!("FY307: {rest}");
    other.user = Some(Box::new(("54321".into(), place(4))));
    let expected = [told.as_str()];
    check(other, if geteuid().is_root() { &[] } else { &expected });
}

#[test]
fn instances_that_lack_the_same_are_told_once_and_in_order() {
    let mut with_file = body("./none");
    with_file.stdin = Stream::File("none.txt".into(), place(2));
    let told = findings(&folder(), &workflow(vec![body("./none"), with_file.clone(), with_file]));
    let codes: Vec<_> = told.iter().map(|told| &told[..5]).collect();
    assert_eq!(codes, ["FY308", "FY301"]);
}

#[test]
fn the_tasks_of_a_pool_are_read_from_a_file() {
    let mut workflow = workflow(vec![]);
    workflow.pools.push(Pool {
        declared: declared("pool"),
        size: 2,
        body: body("./none"),
        tasks: Some(Tasks::Lines("tasks.txt".into(), place(30))),
        worker: WorkerKind::Task,
        dispatch: Dispatch::Async,
        order: Order::Completed,
        recycle: None,
        retry_max: 0,
        retry_backoff: Duration::ZERO,
    });
    let codes = |workflow: &Workflow| -> Vec<String> {
        let told = findings(&folder(), workflow);
        told.iter().map(|told| told[..5].to_owned()).collect()
    };
    assert_eq!(codes(&workflow), ["FY301", "FY308"]);
    workflow.pools[0].body.after = after();
    assert_eq!(codes(&workflow), [""; 0]);
}

#[test]
fn a_program_that_cannot_be_executed_hides_no_later_one() {
    let folder = folder();
    let later = folder.path().join("sub/plain.py");
    fs::write(&later, "#!/bin/sh\n").expect("writable");
    let search = |path: &str| resolve("plain.py", OsStr::new(path), folder.path());
    assert_eq!(search(":sub"), Err(Unresolved::NotExecutable(later.clone())));
    fs::set_permissions(&later, fs::Permissions::from_mode(0o755)).expect("ours");
    assert_eq!(search(":sub"), Ok(later));
}
