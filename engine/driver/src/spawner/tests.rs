use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;

use forkyard_core::machine::Exit;
use nix::mount::{MsFlags, mount, umount};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::geteuid;

use super::*;
use crate::alarm::Alarm;
use crate::alone::{alone, passes_alone, stderr};
use crate::exit::ended;

fn c(text: &str) -> CString {
    CString::new(text).expect("no NUL in tests")
}

fn null() -> OwnedFd {
    let file = File::options().read(true).write(true).open("/dev/null");
    file.expect("/dev/null is there").into()
}

fn job(argv: &[&str], stdout: OwnedFd) -> Job {
    Job {
        program: Executable::At(c(argv[0])),
        argv: argv.iter().map(|argument| c(argument)).collect(),
        envp: vec![c("PATH=/usr/local/bin:/usr/bin:/bin").into()],
        listens: false,
        cwd: None,
        fds: vec![(None, 0), (Some(stdout), 1), (None, 2)],
        umask: None,
        nice: None,
        terminal: None,
        confinement: Confinement::default(),
        identity: None,
        outlives: false,
        until_program: None,
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime can be made").block_on(future)
}

/// Runs the script with the changes to its job, and returns its exit and what it wrote.
fn run(script: &str, change: impl FnOnce(&mut Job)) -> Result<(Exit, String), SpawnError> {
    let (mut reader, writer) = io::pipe().expect("a pipe can be made");
    let mut job = job(&["/bin/sh", "-c", script], writer.into());
    change(&mut job);
    block_on(async {
        let child = Spawner::start(&Alarm::default(), Arc::default())
            .expect("the spawner starts")
            .0
            .spawn(job)
            .await?;
        let mut output = String::new();
        reader.read_to_string(&mut output).expect("the output is text");
        Ok((ended(child.pidfd).await.expect("the child is ours").0, output))
    })
}

fn output_of(script: &str, change: impl FnOnce(&mut Job)) -> String {
    let (exit, output) = run(script, change).expect("the shell starts");
    assert_eq!(exit, Exit::Code(0), "{output}");
    output
}

#[test]
fn a_process_finds_exactly_its_descriptors() {
    let canary = null();
    // SAFETY: both duplicate an open descriptor; neither closes on exec, as if inherited from a careless shell.
    let (low, high) = unsafe {
        use std::os::fd::{AsRawFd, FromRawFd};
        let fd = canary.as_raw_fd();
        let (low, high) = (libc::dup(fd), libc::fcntl(fd, libc::F_DUPFD, 200));
        assert!(low > 0 && high >= 200, "the canaries are open");
        (OwnedFd::from_raw_fd(low), OwnedFd::from_raw_fd(high))
    };
    let listing = output_of("ls /proc/$$/fd; true", |job| job.fds.push((Some(null()), 31)));
    assert_eq!(listing, "0\n1\n2\n31\n");
    drop((low, high));
}

#[test]
fn a_standard_stream_that_is_not_given_is_closed() {
    let listing = output_of("ls /proc/$$/fd; true", |job| {
        job.fds.remove(0);
    });
    assert_eq!(listing, "1\n2\n");
}

#[test]
fn descriptors_change_places_without_loss() {
    let (mut reader, writer) = io::pipe().expect("a pipe can be made");
    output_of("echo through five >&5", |job| job.fds.push((Some(writer.into()), 5)));
    let mut text = String::new();
    reader.read_to_string(&mut text).expect("text");
    assert_eq!(text, "through five\n");
}

#[test]
fn a_descriptor_number_out_of_range_is_refused() {
    let error = run("true", |job| job.fds.push((Some(null()), TARGET_MAX + 1))).expect_err("refused");
    assert_eq!((error.step, error.errno), (Step::Descriptors, Errno::EBADF));
    assert!(!error.transient());
}

#[test]
fn signals_are_default_and_none_is_blocked() {
    let status = output_of("exec cat /proc/self/status", |_| {});
    for set in ["SigBlk", "SigIgn", "SigCgt"] {
        assert!(
            status.contains(&format!("{set}:\t0000000000000000\n")),
            "{set} in {status}"
        );
    }
}

#[test]
fn a_process_leads_its_group() {
    let stat = output_of("cat /proc/$$/stat; :", |_| {});
    let fields: Vec<&str> = stat.split(' ').collect();
    assert_eq!(fields[0], fields[4], "pid and process group in {stat}");
}

#[test]
fn folder_mask_nice_and_environment_are_as_ordered() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let path = folder.path().canonicalize().expect("it exists");
    let output = output_of("pwd -P; umask; nice; echo $WORD", |job| {
        job.cwd = Some(c(path.to_str().expect("UTF-8")));
        job.umask = Some(0o027);
        job.nice = Some(7);
        job.envp.push(c("WORD=set").into());
    });
    assert_eq!(output, format!("{}\n0027\n7\nset\n", path.display()));
}

#[test]
fn a_process_runs_as_another_user_if_the_engine_is_root() {
    let identity = Identity {
        uid: 54321,
        gid: 54320,
        groups: vec![54320, 1234],
    };
    let result = run("id -u; id -g; id -G", |job| job.identity = Some(identity));
    if geteuid().is_root() {
        assert_eq!(result, Ok((Exit::Code(0), "54321\n54320\n54320 1234\n".into())));
    } else {
        let error = result.expect_err("only root may");
        assert_eq!((error.step, error.errno), (Step::Identity, Errno::EPERM));
    }
}

#[test]
fn exits_are_told_apart() {
    let exit = |script| run(script, |_| {}).expect("the shell starts").0;
    assert_eq!(exit("exit 255"), Exit::Code(255));
    assert_eq!(exit("kill -KILL $$"), Exit::Signal(libc::SIGKILL));
    assert_eq!(exit("kill -40 $$"), Exit::Signal(40));
}

#[test]
fn two_hundred_at_once_all_exit() {
    let exits = block_on(async {
        let (spawner, _launches) = Spawner::start(&Alarm::default(), Arc::default()).expect("the spawner starts");
        let starts: Vec<_> = (0..200).map(|_| spawner.spawn(job(&["/bin/true"], null()))).collect();
        let mut exits = Vec::new();
        for start in starts {
            let child = start.await.expect("true starts");
            exits.push(ended(child.pidfd).await.expect("the child is ours").0);
        }
        exits
    });
    assert_eq!(exits, [Exit::Code(0)].repeat(200));
}

#[test]
fn a_process_nobody_waits_for_any_more_is_killed() {
    let (mut reader, writer) = io::pipe().expect("a pipe can be made");
    let (spawner, _launches) = Spawner::start(&Alarm::default(), Arc::default()).expect("the spawner starts");
    drop(spawner.spawn(job(&["/bin/sleep", "1000"], writer.into())));
    // The end of the pipe comes when its only writer is dead.
    assert_eq!(reader.read(&mut [0]).expect("readable"), 0);
}

/// A file with these bytes and permissions.
fn file(folder: &Path, name: &str, bytes: &[u8], mode: u32) -> String {
    let path = folder.join(name);
    fs::write(&path, bytes).expect("writable");
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("ours");
    path.to_str().expect("UTF-8").to_owned()
}

#[test]
fn failures_are_told_in_words() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let folder = folder.path();
    // Of a machine that does not exist, so that it can be executed nowhere.
    let mut elf = b"\x7fELF\x02\x01\x01".to_vec();
    elf.resize(64, 0xee);
    let directory = folder.to_str().expect("UTF-8").to_owned();
    let cases = [
        (
            folder.join("none").to_str().expect("UTF-8").to_owned(),
            "there is no such file",
        ),
        (
            file(folder, "plain", b"#!/bin/sh\n", 0o644),
            "permission denied (is it executable? chmod +x ",
        ),
        (directory, "it is a directory"),
        (
            file(folder, "dos", b"#!/bin/sh\r\n", 0o755),
            "its first line asks for /bin/sh\\r, which",
        ),
        (
            file(folder, "text", b"hello\n", 0o755),
            "neither a program nor a script",
        ),
        (
            file(folder, "elf", &elf, 0o755),
            "a program for another kind of machine",
        ),
    ];
    for (program, words) in cases {
        let (spawner, _launches) = Spawner::start(&Alarm::default(), Arc::default()).expect("the spawner starts");
        let error = block_on(spawner.spawn(job(&[&program], null()))).expect_err(words);
        assert_eq!(error.step, Step::Exec, "{error}");
        assert!(
            error.to_string().starts_with(&format!("cannot execute {program}: ")),
            "{error}"
        );
        assert!(error.to_string().contains(words), "{error}");
        assert!(!error.transient());
    }
}

#[test]
fn of_several_programs_the_first_that_can_be_executed_is() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let none = folder.path().join("none").to_str().expect("UTF-8").to_owned();
    let plain = file(folder.path(), "plain", b"nonsense", 0o644);
    let directory = folder.path().to_str().expect("UTF-8").to_owned();
    let script = file(folder.path(), "script", b"#!/no/such/shell\n", 0o755);
    let search = |files: &[&str]| {
        let files = files.iter().map(|file| c(file)).collect();
        run("echo found", |job| job.program = Executable::Among(files)).map(|(_, output)| output)
    };
    assert_eq!(
        search(&[&none, &directory, &plain, "/bin/sh", &none]),
        Ok("found\n".into())
    );
    let words = |files: &[&str]| search(files).expect_err("there is none").what;
    let nothing = "there is no command `/bin/sh` on PATH";
    assert_eq!([words(&[]), words(&[&none]), words(&[&none, &none])], [nothing; 3]);
    let forbidden = format!("cannot execute {plain}: permission denied (is it executable? chmod +x {plain})");
    assert_eq!(words(&[&none, &plain, &directory]), forbidden);
    let no_shell = format!("cannot execute {script}: its first line asks for /no/such/shell, which does not exist");
    assert_eq!(words(&[&plain, &script, "/bin/sh"]), no_shell);
    assert_eq!(
        words(&[&none, &directory]),
        format!("cannot execute {directory}: it is a directory")
    );
}

#[test]
fn a_missing_working_directory_is_named() {
    let error = run("true", |job| job.cwd = Some(c("/no/such/folder"))).expect_err("no such folder");
    assert_eq!(error.step, Step::WorkingDirectory);
    assert_eq!(
        error.to_string(),
        "cannot enter the working directory /no/such/folder: no such file or directory"
    );
}

/// Starts a sleeper in each way that keeps this process's stderr open, then dies without a word.
fn die_with_children(identity: Option<&Identity>) -> i32 {
    let sleeper = || {
        let mut order = job(&["/bin/sleep", "1000"], null());
        order.fds[2].0 = Some(io::stderr().as_fd().try_clone_to_owned().expect("stderr is open"));
        order.identity = identity.cloned();
        order
    };
    let (mut spawner, _launches) = Spawner::start(&Alarm::default(), Arc::default()).expect("the spawner starts");
    block_on(spawner.spawn(sleeper())).expect("sleep starts");
    if met(&spawner, 1).know_quick(&sleeper()) {
        let started = spawner.launch_here(&sleeper()).expect("nobody else starts anything");
        started.expect("sleep starts");
    }
    eprintln!("started");
    nix::sys::signal::raise(nix::sys::signal::Signal::SIGKILL).expect("this is the end");
    0
}

#[test]
fn a_process_dies_with_the_engine() {
    let output = alone("spawner::tests::a_process_dies_with_the_engine", || {
        die_with_children(None)
    });
    assert_eq!(output.status.signal(), Some(libc::SIGKILL));
    assert_eq!(stderr(&output), "started\n");
}

#[test]
fn a_process_of_another_user_dies_with_the_engine() {
    let identity = geteuid().is_root().then(|| Identity {
        uid: 54321,
        gid: 54321,
        groups: vec![],
    });
    let test = "spawner::tests::a_process_of_another_user_dies_with_the_engine";
    let output = alone(test, || die_with_children(identity.as_ref()));
    assert_eq!(output.status.signal(), Some(libc::SIGKILL));
    assert_eq!(stderr(&output), "started\n");
}

#[test]
fn a_lack_of_descriptors_is_transient() {
    passes_alone("spawner::tests::a_lack_of_descriptors_is_transient", || {
        let (spawner, _launches) = Spawner::start(&Alarm::default(), Arc::default()).expect("the spawner starts");
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("a runtime");
        let (first, second) = (job(&["/bin/true"], null()), job(&["/bin/true"], null()));
        let mut taken = Vec::new();
        while let Ok(file) = File::open("/dev/null") {
            taken.push(file);
        }
        let error = runtime
            .block_on(spawner.spawn(first))
            .expect_err("no descriptor is left");
        assert_eq!((error.step, error.transient()), (Step::Clone, true), "{error}");
        drop(taken);
        let child = runtime
            .block_on(spawner.spawn(second))
            .expect("there are descriptors again");
        let exit = crate::exit::reap_blocking(child.pidfd.as_fd()).expect("the child is ours");
        assert_eq!(exit, Some(Exit::Code(0)));
    });
}

/// Waits until so many programs are known.
fn met(spawner: &Spawner, count: usize) -> &Acquaintances {
    let until = Instant::now() + Duration::from_secs(10);
    while spawner.acquaintances.count() < count {
        assert!(Instant::now() < until, "nobody has looked at what was started");
        thread::yield_now();
    }
    &spawner.acquaintances
}

/// What it wrote when it was started in this thread; `None`: it was not. A script tells nothing of which way it was.
fn run_here(spawner: &mut Spawner, script: &str, cwd: &str) -> Option<String> {
    let (mut reader, writer) = io::pipe().expect("a pipe can be made");
    let mut job = job(&["/bin/sh", "-c", script], writer.into());
    job.cwd = Some(c(cwd));
    spawner.begin_turn();
    let started = spawner.launch_here(&job)?;
    drop(job);
    Some(finish(started.expect("the shell starts"), &mut reader))
}

/// The same in the spawner's thread.
fn run_there(spawner: &Spawner, script: &str, cwd: &str) -> String {
    let (mut reader, writer) = io::pipe().expect("a pipe can be made");
    let mut job = job(&["/bin/sh", "-c", script], writer.into());
    job.cwd = Some(c(cwd));
    let started = spawner.spawn(job);
    finish(block_on(started).expect("the shell starts"), &mut reader)
}

fn finish(child: Child, reader: &mut impl Read) -> String {
    let mut output = String::new();
    reader.read_to_string(&mut output).expect("the output is text");
    block_on(ended(child.pidfd)).expect("it is ours");
    output
}

/// Whether this machine has its programs where they can be started here: else there is nothing to test.
fn can_start_here() -> bool {
    let can = locality::is_local(&Executable::At(c("/bin/sh")), Some(c"/"));
    if !can {
        eprintln!("skipped: the file systems of this machine may need others");
    }
    can
}

/// Those that start here are alone in their processes: one that another test is starting just now would be in the way.
#[test]
fn what_has_been_started_before_is_started_here_unless_it_lies_elsewhere() {
    let test = "spawner::tests::what_has_been_started_before_is_started_here_unless_it_lies_elsewhere";
    passes_alone(test, || {
        let (mut spawner, _launches) = Spawner::start(&Alarm::default(), Arc::default()).expect("the spawner starts");
        // The second is of a kind that nobody has vouched for.
        for (count, cwd, is_quick) in [(1, "/", can_start_here()), (2, "/proc", false)] {
            assert_eq!(run_here(&mut spawner, "echo ran", cwd), None, "nothing is known of it");
            run_there(&spawner, ":", cwd);
            met(&spawner, count);
            let ran = run_here(&mut spawner, "echo ran", cwd);
            assert_eq!(ran.as_deref(), is_quick.then_some("ran\n"), "{cwd}");
        }
    });
}

#[test]
fn one_that_is_started_here_is_as_any_other() {
    let test = "spawner::tests::one_that_is_started_here_is_as_any_other";
    passes_alone(test, || {
        let (mut spawner, _launches) = Spawner::start(&Alarm::default(), Arc::default()).expect("the spawner starts");
        let script = "ls /proc/self/fd; grep -E '^(Sig[^Q]|Shd|Umask)' /proc/self/status; pwd; env;
            read _ _ _ _ group _ < /proc/$$/stat; test $group -eq $$ && echo leads";
        let there = run_there(&spawner, script, "/");
        met(&spawner, 1);
        let before = SigSet::thread_get_mask().expect("it can be read");
        let here = run_here(&mut spawner, script, "/");
        assert!(there.ends_with("leads\n"), "{there}");
        assert!(here == can_start_here().then(|| there.clone()), "{here:?} {there}");
        assert_eq!(SigSet::thread_get_mask().expect("it can be read"), before);
    });
}

#[test]
fn nobody_waits_here_for_the_thread_or_for_what_has_been_slow_or_beyond_the_turn() {
    let test = "spawner::tests::nobody_waits_here_for_the_thread_or_for_what_has_been_slow_or_beyond_the_turn";
    passes_alone(test, || {
        if !can_start_here() {
            return;
        }
        let (mut spawner, _launches) = Spawner::start(&Alarm::default(), Arc::default()).expect("the spawner starts");
        run_there(&spawner, ":", "/");
        met(&spawner, 1);
        let busy = slots::slots().expect("slots are reserved");
        assert_eq!(run_here(&mut spawner, ":", "/"), None, "another is being started");
        drop(busy);
        let mut shell = job(&["/bin/sh", "-c", ":"], null());
        shell.cwd = Some(c("/"));
        spawner.turn.taken = OWN_TURN;
        assert!(spawner.launch_here(&shell).is_none(), "the turn has had its time");
        spawner.begin_turn();
        spawner.turn.is_saturated = Some(true);
        assert!(spawner.launch_here(&shell).is_none(), "everybody waits for this thread");
        assert_eq!(run_here(&mut spawner, ":", "/").as_deref(), Some(""));
        spawner.acquaintances.took(&shell, Duration::from_secs(1));
        assert_eq!(run_here(&mut spawner, ":", "/"), None, "it has been slow");
    });
}

#[test]
fn what_is_known_is_forgotten_when_something_is_mounted() {
    let test = "spawner::tests::what_is_known_is_forgotten_when_something_is_mounted";
    passes_alone(test, || {
        let folder = tempfile::tempdir().expect("a folder can be made");
        // For this thread and those that it starts.
        if !can_start_here() || unshare(CloneFlags::CLONE_NEWNS).is_err() {
            return eprintln!("skipped: only root may mount");
        }
        let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
        mount(None::<&str>, "/", None::<&str>, private, None::<&str>).expect("nobody else sees it");
        let (mut spawner, _launches) = Spawner::start(&Alarm::default(), Arc::default()).expect("the spawner starts");
        let cwd = folder.path().to_str().expect("it is text");
        run_there(&spawner, ":", cwd);
        met(&spawner, 1);
        assert!(run_here(&mut spawner, ":", cwd).is_some());
        mount(Some("none"), cwd, Some("proc"), MsFlags::empty(), None::<&str>).expect("mounted over it");
        assert_eq!(run_here(&mut spawner, ":", cwd), None, "nothing is known any more");
        run_there(&spawner, ":", cwd);
        met(&spawner, 1);
        assert_eq!(run_here(&mut spawner, ":", cwd), None, "it lies elsewhere now");
        umount(cwd).expect("nobody uses it");
    });
}
