//! Processes with a terminal.

use std::fs::{self, File};
use std::io;
use std::process::{Command, Stdio};
use std::thread;

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::pty::{Winsize, openpty};
use nix::unistd::ttyname;

use crate::harness::{Forkyard, World, binary, until};

#[test]
fn cc22_a_process_with_a_terminal_controls_it() {
    let run = Forkyard::run_of(
        "
forkyard: 1
processes:
  has: {run: 'test -t 0 && test -t 1 && test -t 2 && tty && stty size && ps -o sid=,pgid=,tty= -p $$', tty: true}
  hasnot: {run: 'test -t 1 || echo plain'}
",
    )
    .quiet()
    .run();
    run.exit(0);
    let texts = run.texts();
    assert!(texts.contains(&"plain") && texts.contains(&"24 80"), "{texts:?}");
    assert!(texts.iter().any(|text| text.starts_with("/dev/pts/")), "{texts:?}");
    let session = texts
        .iter()
        .find(|text| text.contains(" pts/"))
        .expect("ps shows the terminal");
    let ids: Vec<&str> = session.split_whitespace().collect();
    assert_eq!(ids[0], ids[1], "it leads its session and its group");
}

#[test]
fn streams_that_lead_elsewhere_are_no_terminal() {
    let run = Forkyard::run_of(
        "
forkyard: 1
pipes: {p: {}}
processes:
  writes: {run: 'test -t 1 || echo piped; test -t 2 && echo shown >&2', tty: true, stdout: p}
  reads: {run: cat, stdin: p}
",
    )
    .run();
    run.exit(0).line("reads │ piped").line("writes │ shown");
}

#[test]
fn what_a_process_leaves_behind_its_terminal_is_stopped() {
    let run = Forkyard::run_of(
        "
forkyard: 1
processes:
  leaves: {run: 'trap \"\" HUP; sleep 1000 & echo bye', tty: true, stop: {grace: 200ms}}
",
    )
    .run();
    run.exit(0).line("leaves │ bye");
}

#[test]
fn another_size_of_the_terminal_reaches_a_process_with_one_of_its_own() {
    let size = Winsize {
        ws_row: 30,
        ws_col: 90,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    let terminal = openpty(Some(&size), None).expect("a terminal");
    for side in [&terminal.master, &terminal.slave] {
        fcntl(side, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).expect("it is open");
    }
    let name = ttyname(&terminal.slave).expect("it has a name");
    let world = World::new();
    world.write(
        "workflow.yaml",
        "
forkyard: 1
processes:
  sees:
    tty: true
    run: trap 'stty size > after' WINCH; stty size > aside; mv aside before; while test ! -s after; do sleep 0.01; done
",
    );
    let stream = || Stdio::from(terminal.slave.try_clone().expect("a descriptor"));
    // The kernel signals those in the foreground of a terminal that they are controlled by.
    let mut forkyard = Command::new("setsid")
        .args(["--ctty", binary(), "run", "workflow.yaml"])
        .current_dir(world.folder())
        .env("XDG_STATE_HOME", world.state())
        .stdin(stream())
        .stdout(stream())
        .stderr(stream())
        .spawn()
        .expect("setsid is there");
    let mut screen = File::from(terminal.master);
    // What is shown there has to go somewhere; it ends with an error once nobody has the terminal any more.
    let reader = thread::spawn(move || io::copy(&mut screen, &mut io::sink()));
    until("the process runs", || world.has("before"));
    let read = |file: &str| fs::read_to_string(world.folder().join(file)).unwrap_or_default();
    assert_eq!(read("before").trim(), "30 90");
    let resized = Command::new("stty").arg("-F").arg(&name).args(["rows", "41"]).status();
    assert!(resized.expect("stty is there").success());
    let mut status = None;
    until("the run has ended", || {
        status = forkyard.try_wait().expect("it is our child");
        status.is_some()
    });
    assert_eq!(status.and_then(|status| status.code()), Some(0));
    assert_eq!(read("after").trim(), "41 90");
    drop(terminal.slave);
    until("nobody has the terminal", || reader.is_finished());
    world.assert_empty();
}
