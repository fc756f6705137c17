//! E and DD: whatever happens to the engine.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;

use nix::sys::signal::{Signal, kill};

use super::{OWN_PIDS, has_namespaces};
use crate::harness::{Forkyard, Live, World, number, until};

const TWO: &str = "
forkyard: 1
defaults: {stop: {grace: 1h}}
processes:
  first: {run: \"trap 'echo ends; exit 0' TERM; echo up; while :; do sleep 0.01; done\"}
  second: {run: \"trap 'echo ends; exit 0' TERM; echo up; while :; do sleep 0.01; done\", after: {first: started}}
";

fn two() -> Live {
    let live = Forkyard::run_of(TWO).start();
    live.wait_for("first │ up").wait_for("second │ up");
    live
}

#[test]
fn e2_dd3_every_signal_that_asks_to_stop_stops_in_order() {
    for signal in [Signal::SIGTERM, Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT] {
        let live = two();
        live.signal(signal);
        let run = live.end();
        run.exit(128 + signal as i32);
        let ended = |name: &str| run.lines().iter().position(|line| *line == (name, "ends"));
        assert!(
            ended("second").is_some() && ended("second") < ended("first"),
            "{signal}"
        );
    }
}

#[test]
fn e2_a_broken_pipe_of_somebody_else_does_no_harm() {
    let live = two();
    kill(live.engine(), Signal::SIGPIPE).expect("it is alive");
    live.signal(Signal::SIGTERM);
    live.end().exit(143).line("first │ ends").line("second │ ends");
}

#[test]
fn e2_dd4_a_third_signal_changes_nothing() {
    let live = Forkyard::run_of(
        "forkyard: 1\nprocesses: {p: {run: \"trap '' TERM INT; echo up; while :; do sleep 0.01; done\", stop: {grace: 1h}}}\n",
    )
    .start();
    live.wait_for("p │ up").signal(Signal::SIGINT).wait_for("stopping");
    for _ in 0..3 {
        // It may have ended in the meantime.
        let _ = kill(live.pid(), Signal::SIGINT);
    }
    live.end().exit(130);
}

/// `forkyard COMMAND` in this world, while or after something else ran there.
fn beside(world: &World, words: &[&str]) -> crate::harness::Outcome {
    let state = world.state().as_os_str().to_owned();
    let call = Forkyard::new(words[0]).env("XDG_STATE_HOME", state);
    words[1..].iter().fold(call, |call, word| call.arg(*word)).run()
}

#[test]
fn e7_dd18_a_killed_run_disturbs_no_later_one_and_is_told_apart() {
    let live = two();
    let first = live.world().run_directory();
    for pid in [live.pid(), live.engine()] {
        let _ = kill(pid, Signal::SIGKILL);
    }
    until("nobody is left", || live.world().living().is_empty());
    assert!(
        first.join("socket").exists() || first.join("run.json").exists(),
        "its leftovers are there"
    );
    // A stale socket is nobody's: a verb from outside finds no living run.
    beside(live.world(), &["ps"]).exit(3);
    let next = Forkyard::run_of("forkyard: 1\nprocesses: {p: {run: forkyard ps}}\n");
    let state = live.world().state().as_os_str().to_owned();
    next.env("XDG_STATE_HOME", state).run().exit(0).says("running");
    let runs = beside(live.world(), &["runs"]);
    runs.exit(0).line("[..]died[..]").line("[..]ended[..]");
    // What it wrote is there to be read.
    let id = first.file_name().and_then(|name| name.to_str()).expect("an id is text");
    beside(live.world(), &["logs", id, "first"]).exit(0).says("up");
}

#[test]
fn e7_dd18_two_runs_of_one_workflow_at_once_are_two() {
    let one = two();
    let state = one.world().state().as_os_str().to_owned();
    let other = Forkyard::run_of(TWO).env("XDG_STATE_HOME", state).start();
    other.wait_for("second │ up");
    assert_eq!(one.world().runs().len(), 2);
    let lock = fs::File::open(one.world().runs()[0].join("lock")).expect("it is there");
    let taken = nix::fcntl::Flock::lock(lock, nix::fcntl::FlockArg::LockExclusiveNonblock);
    assert!(taken.is_err(), "a living run's directory is locked");
    beside(one.world(), &["ps"]).exit(3).says("--run");
    kill(other.pid(), Signal::SIGTERM).expect("it is alive");
    until("the other ends", || {
        !one.world().living().iter().any(|(pid, _)| *pid == other.pid().as_raw())
    });
    one.signal(Signal::SIGTERM);
    one.end().exit(143);
    other.end().exit(143);
}

/// Pids mean something else in there: none of the runs outside may be taken for dead.
#[test]
fn e7_dd18_a_run_in_a_namespace_of_its_own_harms_none_outside() {
    if !has_namespaces() {
        return;
    }
    let outside = two();
    let inside = Forkyard::run_of("forkyard: 1\nprocesses: {p: {run: echo inside}}\n").launched_by(&OWN_PIDS);
    inside.run().exit(0).line("p │ inside");
    outside.signal(Signal::SIGTERM);
    outside.end().exit(143).line("first │ ends").line("second │ ends");
}

#[test]
fn e7_a_directory_of_another_version_is_left_alone() {
    let done = Forkyard::run_of("forkyard: 1\nprocesses: {p: {run: echo hello}}\n").run();
    let id = done.world().run_directory();
    fs::write(id.join("run.json"), "{\"format\": 99}").expect("it is ours");
    let id = id
        .file_name()
        .and_then(|name| name.to_str())
        .expect("an id is text")
        .to_owned();
    beside(done.world(), &["logs", &id])
        .exit(3)
        .says("damaged or of another version");
    beside(done.world(), &["runs"]).exit(0);
    let state = done.world().state().as_os_str().to_owned();
    let again = Forkyard::run_of("forkyard: 1\nprocesses: {p: {run: echo hello}}\n").env("XDG_STATE_HOME", state);
    again.run().exit(0);
}

/// Where the run listens.
fn socket(live: &Live) -> std::path::PathBuf {
    let text = fs::read_to_string(live.world().run_directory().join("run.json")).expect("run.json is there");
    let run: serde_json::Value = serde_json::from_str(&text).expect("run.json is JSON");
    run["socket"].as_str().expect("it has a socket").into()
}

/// `just crowd` asks for ten thousand; each is a descriptor here, and one of the engine.
#[test]
fn e8_ee8_gg11_many_clients_that_say_nothing_keep_nobody_from_being_served() {
    let live = Forkyard::run_of(
        "
forkyard: 1
queues: {q: {}}
processes:
  serves:
    sends: q
    receives: q
    run: 'echo up; until test -e go; do sleep 0.01; done; for i in 1 2 3; do forkyard put q $i; forkyard get q; done'
",
    )
    .start();
    live.wait_for("serves │ up");
    let clients: Vec<UnixStream> = (0..number("FORKYARD_CROWD", 400))
        .map(|_| UnixStream::connect(socket(&live)).expect("it listens"))
        .collect();
    live.world().write("go", "");
    live.wait_for("serves │ 3");
    drop(clients);
    live.end().exit(0);
}

#[test]
fn i8_ee6_ee7_what_is_none_of_the_protocol_is_refused_and_others_are_unharmed() {
    let live = Forkyard::run_of(
        "
forkyard: 1
queues: {q: {}}
processes:
  serves: {sends: q, receives: q, run: 'echo up; until test -e go; do sleep 0.01; done; forkyard put q fine; forkyard get q'}
",
    )
    .start();
    live.wait_for("serves │ up");
    let hello_of_tls = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec();
    let giant = [&[0xff; 4][..], &[0; 60]].concat();
    let long_line = [&b"GET /"[..], &vec![b'a'; 100_000], b" HTTP/1.1\r\n\r\n"].concat();
    let wrong_token = b"GET /v1/queues/q/get HTTP/1.1\r\nAuthorization: Bearer no\r\n\r\n".to_vec();
    for bytes in [
        vec![0; 64],
        hello_of_tls,
        giant,
        long_line,
        wrong_token,
        b"\r\n\r\n\r\n".to_vec(),
    ] {
        let mut client = UnixStream::connect(socket(&live)).expect("it listens");
        // It may be cut off before it has said everything.
        let _ = client.write_all(&bytes);
        let _ = client.shutdown(std::net::Shutdown::Write);
        let mut answer = Vec::new();
        let _ = client.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(!answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    live.world().write("go", "");
    live.end().exit(0).line("serves │ fine");
}
