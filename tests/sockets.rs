//! Sockets that the engine opens for its processes, by the protocol of systemd.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::harness::{Forkyard, Live, World, until};

/// Answers each connection to its first socket with which life it is, and its pid.
const SERVE: &str = r"
import os, socket
listener = socket.socket(fileno=3)
while True:
    connection, _ = listener.accept()
    connection.sendall((os.environ['FORKYARD_ATTEMPT'] + ' ' + str(os.getpid())).encode())
    connection.close()
";

/// What a process finds.
const FINDS: &str = r"
import os, socket, stat
print('open', *[fd for fd in range(64) if os.path.exists(f'/proc/self/fd/{fd}')])
names = os.environ['LISTEN_FDNAMES'].split(':')
print('mine', int(os.environ['LISTEN_PID']) == os.getpid(), os.environ['LISTEN_FDS'])
for fd, name in enumerate(names, 3):
    it = socket.socket(fileno=fd)
    print(name, it.family.name, it.type.name, it.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
";

/// Where a socket of a run listens.
fn address(live: &Live, socket: &str) -> String {
    let mut found = None;
    until("the run tells where it listens", || {
        found = listening(live.world(), socket);
        found.is_some()
    });
    found.expect("it has just been found")
}

fn listening(world: &World, socket: &str) -> Option<String> {
    let records = std::fs::read_to_string(world.runs().first()?.join("records.jsonl")).ok()?;
    records.lines().find_map(|line| {
        let record: Value = serde_json::from_str(line).ok()?;
        let is_it = record["record"] == "listening" && record["socket"] == socket;
        is_it.then(|| record["address"].as_str().expect("an address is text").to_owned())
    })
}

/// All that comes on a connection.
fn answer(mut connection: impl Read) -> String {
    let mut text = String::new();
    connection.read_to_string(&mut text).expect("it is answered");
    text
}

fn answer_at(address: &str) -> String {
    answer(TcpStream::connect(address).expect("nobody is refused"))
}

#[test]
fn a_process_finds_them_as_systemd_hands_them_over() {
    let run = Forkyard::run_of(
        "
forkyard: 1
pipes: {talk: {duplex: true}}
processes:
  finds:
    run: [python3, finds.py]
    sockets: {http: '127.0.0.1:0', six: '[::1]:0', dns: {listen: 0, type: datagram}, run: {listen: ./s, backlog: 1}}
    connects: talk.left
    fds: {9: null}
  other: {connects: talk.right, run: 'true'}
",
    )
    .file("finds.py", FINDS)
    .quiet()
    .run();
    run.exit(0);
    let expected = [
        "open 0 1 2 3 4 5 6 7 9",
        "mine True 4",
        "http AF_INET SOCK_STREAM 1",
        "six AF_INET6 SOCK_STREAM 1",
        "dns AF_INET SOCK_DGRAM 0",
        "run AF_UNIX SOCK_STREAM 1",
    ];
    assert_eq!(run.said("finds"), expected);
    assert!(!run.world().has("s"), "the file of a socket is removed at the end");
}

#[test]
fn no_connection_is_refused_while_a_server_is_killed_and_started_again() {
    let live = Forkyard::run_of(
        "
forkyard: 1
processes:
  web:
    run: [python3, serve.py]
    daemon: true
    sockets: {http: '127.0.0.1:0'}
    restart: {policy: on-failure, backoff: {initial: 600ms, jitter: false, reset: 1h}}
  main: {run: while test ! -e done; do sleep 0.01; done}
",
    )
    .file("serve.py", SERVE)
    .start();
    let address = address(&live, "http");
    let first = answer_at(&address);
    let (attempt, pid) = first.split_once(' ').expect("two words");
    assert_eq!(attempt, "1");
    let pid = Pid::from_raw(pid.parse().expect("a pid"));
    kill(pid, Signal::SIGKILL).expect("it is alive");
    until("it is gone", || kill(pid, None).is_err());
    let waiting: Vec<TcpStream> = (0..20)
        .map(|_| TcpStream::connect(&address).expect("nobody is refused"))
        .collect();
    for connection in waiting {
        let answer = answer(connection);
        assert!(answer.starts_with("2 "), "{answer}");
    }
    live.world().write("done", "");
    live.end().exit(0).line("[..]web[..](restart 1)");
}

#[test]
fn ten_lives_serve_one_queue_of_connections() {
    let live = Forkyard::run_of(
        "
forkyard: 1
processes:
  web:
    run: [python3, serve.py]
    daemon: true
    sockets: {http: './run.sock'}
    restart: {policy: on-failure, max: 100, backoff: {initial: 1ms, max: 1ms}}
  main: {run: while test ! -e done; do sleep 0.01; done}
",
    )
    .file("serve.py", SERVE)
    .start();
    let path = address(&live, "http");
    for expected in 1..=10 {
        let connection = UnixStream::connect(&path).expect("nobody is refused");
        let told = answer(connection);
        let (attempt, pid) = told.split_once(' ').expect("two words");
        assert_eq!(attempt, expected.to_string());
        let pid = Pid::from_raw(pid.parse().expect("a pid"));
        kill(pid, Signal::SIGKILL).expect("it is alive");
        until("it is gone", || kill(pid, None).is_err());
    }
    live.world().write("done", "");
    live.end().exit(0);
}

#[test]
fn whoever_comes_before_the_start_waits() {
    let live = Forkyard::run_of(
        "
forkyard: 1
processes:
  late:
    after: first
    run: [python3, serve.py]
    daemon: true
    sockets: {http: '127.0.0.1:0'}
  first: {run: while test ! -e go; do sleep 0.01; done}
  main: {run: while test ! -e done; do sleep 0.01; done}
",
    )
    .file("serve.py", SERVE)
    .start();
    let early = TcpStream::connect(address(&live, "http")).expect("it is open from the start");
    live.world().write("go", "");
    assert!(answer(early).starts_with("1 "));
    live.world().write("done", "");
    live.end().exit(0);
}

#[test]
fn replicas_share_a_socket() {
    let once =
        "import os, socket\nc, _ = socket.socket(fileno=3).accept()\nc.sendall(os.environ['FORKYARD_NAME'].encode())\n";
    let live = Forkyard::run_of(
        "
forkyard: 1
processes:
  web: {replicas: 3, run: [python3, once.py], sockets: {http: '127.0.0.1:0'}}
",
    )
    .file("once.py", once)
    .start();
    let address = address(&live, "http");
    let mut served: Vec<String> = (0..3).map(|_| answer_at(&address)).collect();
    served.sort();
    assert_eq!(served, ["web.0", "web.1", "web.2"]);
    live.end().exit(0);
    assert!(TcpStream::connect(&address).is_err(), "nobody is left to serve it");
}

#[test]
fn each_instance_may_have_a_socket_of_its_own() {
    let run = Forkyard::run_of(
        "
forkyard: 1
processes:
  web: {each: [a, b], run: 'true', sockets: {s: './${{ item }}.sock'}}
  client: {run: 'echo $FORKYARD_LISTEN_WEB_0_S $FORKYARD_LISTEN_WEB_1_S'}
",
    )
    .run();
    let folder = run.world().folder().display().to_string();
    run.exit(0).line(&format!("client │ {folder}/a.sock {folder}/b.sock"));
}

#[test]
fn others_are_told_where_it_listens() {
    let live = Forkyard::run_of(
        "
forkyard: 1
processes:
  web-1:
    run: [python3, serve.py]
    daemon: true
    sockets: {http: 0, admin: '[::1]:0'}
  client: {run: 'echo $FORKYARD_LISTEN_WEB_1_HTTP and $FORKYARD_LISTEN_WEB_1_ADMIN; while test ! -e done; do sleep 0.01; done'}
",
    )
    .file("serve.py", SERVE)
    .start();
    let (http, admin) = (address(&live, "http"), address(&live, "admin"));
    live.wait_for(&format!("client │ {http} and {admin}"));
    live.wait_for(&format!("listens at {http} (http)"));
    let state = live.world().state().to_owned();
    let ps = Forkyard::new("ps").arg("--json").env("XDG_STATE_HOME", state).run();
    let rows: Value = serde_json::from_str(ps.exit(0).stdout()).expect("it is JSON");
    assert_eq!(rows[0]["sockets"]["http"], http.as_str());
    assert_eq!(rows[1]["sockets"], Value::Null);
    live.world().write("done", "");
    live.end().exit(0);
}

#[test]
fn datagrams_arrive_too() {
    let hear = "import socket\nprint(socket.socket(fileno=3).recv(100).decode())\n";
    let live = Forkyard::run_of(
        "
forkyard: 1
processes:
  hears: {run: [python3, hear.py], sockets: {udp: {listen: '127.0.0.1:0', type: datagram}}}
",
    )
    .file("hear.py", hear)
    .start();
    let speaker = UdpSocket::bind("127.0.0.1:0").expect("a port");
    speaker.send_to(b"hello", address(&live, "udp")).expect("it is sent");
    live.end().exit(0).line("hears │ hello");
}

#[test]
fn what_cannot_be_opened_is_told_at_once_and_nothing_starts() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = taken.local_addr().map(|address| (address, taken)).expect("it has one");
    let forkyard = Forkyard::new("run");
    let _unix = UnixListener::bind(forkyard.folder().join("taken.sock")).expect("it is free");
    let run = forkyard
        .workflow(&format!(
            "
forkyard: 1
processes:
  web: {{run: touch started, sockets: {{http: '{}', far: '192.0.2.1:80'}}}}
  db: {{run: touch started, sockets: {{a: ./taken.sock, b: no/such/folder, c: ./workflow.yaml, d: ./own.sock}}}}
  other: {{run: touch started}}
",
            taken.0
        ))
        .run();
    run.exit(2)
        .stderr(&format!(
            "`web` cannot listen at {}: somebody listens there already",
            taken.0
        ))
        .stderr("workflow.yaml:4:45")
        .stderr("`web` cannot listen at 192.0.2.1:80: this machine has no such address")
        .stderr("`db` cannot listen at ./taken.sock: somebody listens there already")
        .stderr("`ss -lxp | grep 'taken.sock'` shows who")
        .stderr("`db` cannot listen at no/such/folder: its folder is not there")
        .stderr("`db` cannot listen at ./workflow.yaml: there is something else of that name")
        .stderr("5 errors; nothing was started");
    assert!(!run.world().has("started") && !run.world().has("own.sock"));
    assert!(run.world().has("taken.sock") && run.world().has("workflow.yaml"));
    assert!(run.world().runs().is_empty(), "there was no run");
}

#[test]
fn the_socket_file_of_a_killed_run_is_no_obstacle() {
    let workflow = "
forkyard: 1
processes:
  db:
    run: [python3, serve.py]
    daemon: true
    sockets: {db: {listen: ./db.sock, mode: 0620}}
  main: {run: while test ! -e done; do sleep 0.01; done}
";
    let live = Forkyard::run_of(workflow).file("serve.py", SERVE).start();
    let path = address(&live, "db");
    let mode = std::fs::metadata(&path).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o620);
    assert!(answer(UnixStream::connect(&path).expect("it is open")).starts_with("1 "));
    kill(live.engine(), Signal::SIGKILL).expect("it is alive");
    let dead = live.end();
    dead.exit(3);
    assert!(dead.world().has("db.sock"), "nobody could remove it");
    let again = Forkyard::new("run").within(dead.into_world());
    let live = again.arg("workflow.yaml").start();
    until("it is served again", || {
        UnixStream::connect(&path).is_ok_and(|connection| answer(connection).starts_with("1 "))
    });
    live.world().write("done", "");
    let end = live.end();
    end.exit(0);
    assert!(!end.world().has("db.sock"));
}

#[test]
fn what_was_meant_for_the_engine_is_not_handed_on() {
    let run = Forkyard::run_of(
        "forkyard: 1\nprocesses: {plain: {run: 'env | grep -E \"LISTEN|NOTIFY|WATCHDOG\" || echo clean'}}\n",
    )
    .env("LISTEN_FDS", "1")
    .env("LISTEN_PID", "1")
    .env("LISTEN_FDNAMES", "x")
    .env("NOTIFY_SOCKET", "@nowhere")
    .env("WATCHDOG_USEC", "1000000")
    .run();
    run.exit(0).line("plain │ clean");
}

#[test]
fn commands_beside_a_process_have_no_sockets() {
    let live = Forkyard::run_of(
        "
forkyard: 1
processes:
  web:
    run: [python3, serve.py]
    daemon: true
    sockets: {http: '127.0.0.1:0'}
    ready: {exec: 'ls /proc/self/fd > look.txt; env | grep LISTEN_FDS >> look.txt; true'}
  main: {run: echo up, after: {web: ready}}
",
    )
    .file("serve.py", SERVE)
    .start();
    let run = live.end();
    run.exit(0);
    let seen = std::fs::read_to_string(run.world().folder().join("look.txt")).expect("it has looked");
    // The last one is the folder that is being listed.
    assert_eq!(seen.split_whitespace().collect::<Vec<_>>(), ["0", "1", "2", "3"]);
}

#[test]
fn a_dry_run_says_where_and_opens_nothing() {
    let run = Forkyard::run_of("forkyard: 1\nprocesses: {web: {run: 'true', sockets: {http: 0, run: ./s}}}\n")
        .arg("--dry-run")
        .run();
    assert!(!run.world().has("s"));
    run.says("listens at 127.0.0.1:0 (http), ./s (run)");
}

#[test]
fn a_connection_is_dropped_cleanly_by_the_end() {
    let live = Forkyard::run_of(
        "
forkyard: 1
processes:
  web: {run: 'while test ! -e done; do sleep 0.01; done', sockets: {http: '127.0.0.1:0'}}
",
    )
    .start();
    let address = address(&live, "http");
    let mut nobody = TcpStream::connect(&address).expect("it waits for ever");
    live.world().write("done", "");
    live.end().exit(0);
    // Whoever was never accepted sees the end, and no silence.
    let seen = nobody.write_all(b"x").and_then(|()| nobody.read(&mut [0]));
    assert!(seen.is_err() || matches!(seen, Ok(0)), "{seen:?}");
}
