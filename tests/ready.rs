//! That it is seen when a process is ready, and when it does not work any more.

use std::io::{Read, Write};
use std::net::TcpListener;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::harness::{Forkyard, Live, until};

/// A service that is ready in this way, and somebody who waits for that.
fn service(ready: &str, run: &str) -> Forkyard {
    let run = run.replace('\n', "\n      ");
    Forkyard::run_of(&format!(
        "
forkyard: 1
processes:
  service:
    daemon: true
    ready: {ready}
    run: |
      {run}
      echo is ready; touch is-ready
      while :; do sleep 0.01; done
  client:
    after: {{service: ready}}
    run: test -e is-ready && echo connected
"
    ))
}

/// Without the engine's help, a second process could only guess.
fn becomes_ready(ready: &str, run: &str) {
    service(ready, run)
        .run()
        .exit(0)
        .line("client │ connected")
        .line("[..]service[..]ready after[..]");
}

#[test]
fn by_a_newline_on_a_descriptor() {
    becomes_ready("{notify_fd: 3}", "touch is-ready; sleep 0.05; echo >&3; exec 3>&-");
}

#[test]
fn by_a_line_of_its_log() {
    becomes_ready(
        "{log: '^listening on port \\d+$'}",
        "echo listening; sleep 0.05; touch is-ready; echo listening on port 80",
    );
}

#[test]
fn by_a_command_that_fails_at_first() {
    becomes_ready("{exec: test -e up, interval: 1ms}", "sleep 0.05; touch is-ready up");
}

#[test]
fn by_a_connection_and_by_a_request() {
    for (way, answer) in [
        ("tcp: PORT", ""),
        (
            "http: 'http://127.0.0.1:PORT/health'",
            "HTTP/1.1 204 No Content\r\n\r\n",
        ),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("it has one").port().to_string();
        let way = format!("{{{}, interval: 5ms}}", way.replace("PORT", &port));
        // The test is what answers, and does so from the start.
        let live = service(&way, ":").file("is-ready", "").start();
        live.wait_for("service │ is ready");
        let (mut connection, _) = listener.accept().expect("it is looked at");
        if !answer.is_empty() {
            let mut request = [0; 256];
            let count = connection.read(&mut request).expect("there is a request");
            assert!(request[..count].starts_with(b"GET /health HTTP/1.1\r\n"));
            connection.write_all(answer.as_bytes()).expect("it is answered");
        }
        live.end().exit(0).line("client │ connected");
    }
}

/// Says something as `sd_notify` does; Python has datagram sockets, and shells have not.
const SAY: &str = r"
import os, socket, sys
address = os.environ['NOTIFY_SOCKET']
address = '\0' + address[1:] if address[0] == '@' else address
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
for word in sys.argv[1:]:
    s.sendto(word.encode(), address)
";

#[test]
fn by_the_protocol_of_systemd() {
    let live = service(
        "{notify: true}",
        "touch is-ready; python3 say.py 'STATUS=warming up'; while test ! -e go; do sleep 0.01; done\n\
         python3 say.py 'READY=1\nSTATUS=all is well'",
    )
    .file("say.py", SAY)
    .start();
    until("ps has its status", || ps(&live).contains("\"status\":\"warming up\""));
    live.world().write("go", "");
    live.end().exit(0).line("client │ connected");
}

/// Says that another process is ready, and lives on, so that it can be seen who it is.
const FORGE: &str = r"
import os, socket, time
while not os.path.exists('address'):
    time.sleep(0.01)
address = open('address').read().strip()
address = '\0' + address[1:] if address[0] == '@' else address
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
for _ in range(20):
    s.sendto(b'READY=1\nSTATUS=forged', address)
    time.sleep(0.01)
open('tried', 'w').close()
time.sleep(1000)
";

#[test]
fn nobody_says_for_another_that_it_is_ready() {
    let live = Forkyard::run_of(
        "
forkyard: 1
processes:
  silent:
    daemon: true
    ready: {notify: true}
    run: |
      echo $NOTIFY_SOCKET > aside; mv aside address
      while test ! -e tried; do sleep 0.01; done
      echo has been silent; touch honest
      python3 say.py READY=1; while :; do sleep 0.01; done
  forger: {run: exec python3 forge.py, daemon: true}
  client:
    after: {silent: ready}
    run: test -e honest && echo connected; while test ! -e done; do sleep 0.01; done
",
    )
    .file("forge.py", FORGE)
    .file("say.py", SAY)
    .start();
    // What was sent first is heard first.
    live.wait_for("client │ connected");
    assert!(ps(&live).contains("\"name\":\"silent\"") && !ps(&live).contains("forged"));
    live.world().write("done", "");
    let run = live.end();
    run.exit(0);
    assert_eq!(run.records_of("ready", "silent").len(), 1);
}

#[test]
fn whoever_it_has_started_may_say_it_in_whatever_session() {
    let say_and_stay = format!("{SAY}import time\ntime.sleep(1000)\n");
    let run = Forkyard::run_of(
        "
forkyard: 1
processes:
  service:
    daemon: true
    ready: {notify: true}
    run: (setsid python3 stay.py READY=1 &); while :; do sleep 0.01; done
  client: {after: {service: ready}, run: echo connected}
",
    )
    .file("stay.py", say_and_stay)
    .run();
    run.exit(0).line("client │ connected");
}

fn ps(live: &Live) -> String {
    let state = live.world().state().to_owned();
    let shown = Forkyard::new("ps").arg("--json").env("XDG_STATE_HOME", state).run();
    shown.stdout().to_owned()
}

#[test]
fn who_asks_for_more_time_has_it() {
    let run = Forkyard::run_of(
        "
forkyard: 1
processes:
  slow:
    ready: {notify: true, timeout: 2s}
    run: python3 say.py EXTEND_TIMEOUT_USEC=60000000; sleep 2.2; python3 say.py READY=1
",
    )
    .file("say.py", SAY)
    .run();
    run.exit(0).line("[..]slow[..]ready after[..]");
}

#[test]
fn cc23_who_is_not_ready_in_time_is_stopped_and_has_failed() {
    let run = Forkyard::run_of(
        "
forkyard: 1
processes:
  never:
    ready: {exec: exit 7, timeout: 100ms, interval: 5ms}
    run: while :; do sleep 0.01; done
  client:
    after: {never: ready}
    run: echo connected
",
    )
    .run();
    run.exit(1)
        .line("[..]never[..]stopping, it is not ready in time: the command exits with 7")
        .line("[..]client[..]skipped: never did not become ready")
        .no_line("client │ connected");
}

#[test]
fn cc23_a_look_that_hangs_is_killed_with_what_it_has_started() {
    let run = Forkyard::run_of(
        "
forkyard: 1
processes:
  service:
    daemon: true
    live: {exec: 'test -e hung || { touch hung; sleep 1h; }', timeout: 100ms, interval: 5ms, retries: 3}
    run: while :; do sleep 0.01; done
  main: {run: while test ! -e hung; do sleep 0.01; done; sleep 0.3}
",
    )
    .run();
    run.exit(0).no_line("[..]it is not alive[..]");
}

#[test]
fn a_process_that_does_not_become_ready_is_started_again() {
    let run = Forkyard::run_of(
        "
forkyard: 1
processes:
  moody:
    daemon: true
    restart: {policy: on-failure, backoff: {initial: 1ms}}
    ready: {notify_fd: 5, timeout: 300ms}
    run: test $FORKYARD_ATTEMPT = 1 || echo >&5; while :; do sleep 0.01; done
  client:
    after: {moody: ready}
    run: echo connected
",
    )
    .run();
    run.exit(0).line("client │ connected").line("[..]moody[..](restart 1)");
    assert!(run.position("[..](restart 1)") < run.position("connected"));
}

const LIVE: &str = "
forkyard: 1
processes:
  service:
    daemon: true
    restart: {policy: on-failure, backoff: {initial: 1ms}}
    ready: {exec: test -e up, interval: 5ms}
    live: LOOK
    run: |
      touch up; echo life $FORKYARD_ATTEMPT
      while :; do sleep 0.01; done
  client:
    after: {service: ready}
    run: echo connected; while test ! -e done; do sleep 0.01; done
";

#[test]
fn who_does_not_work_any_more_is_started_again_and_who_waited_stays() {
    let look = "{exec: test ! -e broken, interval: 5ms, retries: 0}";
    let live = Forkyard::run_of(&LIVE.replace("LOOK", look)).start();
    live.wait_for("connected");
    live.world().write("broken", "");
    live.wait_for("it is not alive: the command exits with 1");
    std::fs::remove_file(live.world().folder().join("broken")).expect("it was there");
    live.wait_for("service │ life 2");
    live.world().write("done", "");
    live.end().exit(0).line("[..]service[..]killed by SIGTERM[..]");
}

#[test]
fn r5_a_look_that_fails_once_is_borne() {
    let look = "{exec: 'test ! -e blink || { rm blink; exit 1; }', interval: 5ms, retries: 1}";
    let live = Forkyard::run_of(&LIVE.replace("LOOK", look)).start();
    live.wait_for("connected");
    live.world().write("blink", "");
    until("it has been seen", || !live.world().has("blink"));
    live.world().write("done", "");
    live.end().exit(0).no_line("service │ life 2");
}

#[test]
fn a_frozen_process_is_found_by_its_silence() {
    let workflow = "
forkyard: 1
processes:
  service:
    daemon: true
    restart: {policy: on-failure, backoff: {initial: 1ms}}
    stop: {grace: 10ms}
    live: {notify: true, timeout: 2s}
    run: |
      echo life $FORKYARD_ATTEMPT as $$ with $WATCHDOG_USEC
      while :; do python3 say.py WATCHDOG=1; sleep 0.05; done
  main: {run: while test ! -e done; do sleep 0.01; done}
";
    let live = Forkyard::run_of(workflow).file("say.py", SAY).start();
    live.wait_for("with 2000000");
    let group = pid_of(&live, "service");
    kill(Pid::from_raw(-group), Signal::SIGSTOP).expect("it is alive");
    live.wait_for("it is not alive: it has said nothing for 2s")
        .wait_for("life 2");
    live.world().write("done", "");
    live.end().exit(0);
}

/// The pid of the first life, which leads its process group.
fn pid_of(live: &Live, process: &str) -> i32 {
    let records =
        std::fs::read_to_string(live.world().run_directory().join("records.jsonl")).expect("there are records");
    let started = records.lines().find_map(|line| {
        let record: serde_json::Value = serde_json::from_str(line).ok()?;
        (record["record"] == "started" && record["process"] == process).then(|| record["pid"].as_i64())?
    });
    i32::try_from(started.expect("it has started")).expect("a pid fits")
}

fn wait_for(live: &Live, wish: &str, timeout: &str) -> crate::harness::Outcome {
    let state = live.world().state().to_owned();
    let call = Forkyard::new("wait-for").arg(wish).arg("--timeout").arg(timeout);
    call.env("XDG_STATE_HOME", state).run()
}

#[test]
fn wait_for_tells_when_it_is_so_and_when_it_never_will_be() {
    let live = Forkyard::run_of(
        "
forkyard: 1
processes:
  db:
    replicas: 2
    daemon: true
    ready: {exec: test -e up, interval: 5ms}
    run: while :; do sleep 0.01; done
  broken: {run: exit 1}
  main: {run: while test ! -e done; do sleep 0.01; done}
",
    )
    .start();
    wait_for(&live, "db=started", "1m").exit(0);
    wait_for(&live, "db=ready", "50ms")
        .exit(1)
        .stderr("not in time: db.0 is running, db.1 is running");
    live.world().write("up", "");
    wait_for(&live, "db=ready", "1m").exit(0);
    wait_for(&live, "broken=failed", "1m").exit(0);
    wait_for(&live, "broken=succeeded", "1m")
        .exit(1)
        .stderr("broken will not come so far: it is failed");
    wait_for(&live, "nobody=ready", "1m")
        .exit(3)
        .stderr("the run has no process `nobody`");
    live.world().write("done", "");
    live.end().exit(1);
    Forkyard::new("wait-for")
        .arg("db=ready")
        .arg("--timeout")
        .arg("10ms")
        .run()
        .exit(3)
        .stderr("no run goes on");
}
