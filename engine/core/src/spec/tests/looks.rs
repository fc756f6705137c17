//! `ready`, `live`, `sockets`, `restart` and groups: what is read, and what is refused.

use std::time::Duration;

use super::*;
use crate::spec::{Intensity, Listening, Policy, SocketKind, Strategy, Way, Wish};

fn body_of(fields: &str) -> crate::spec::Terms {
    let workflow = accepted_body(&format!("processes: {{p: {{run: x, {fields}}}}}\n"));
    crate::spec::Terms::clone(&workflow.processes[0].body)
}

#[test]
fn there_are_six_ways_to_look() {
    let way = |probe: &str| body_of(&format!("ready: {probe}")).ready.expect("it is looked at").way;
    assert_eq!(
        way("{log: 'listening on \\d+'}"),
        Way::Log("listening on \\d+".to_owned())
    );
    assert!(matches!(way("{exec: test -e up}"), Way::Exec(program) if program.argv[2] == "test -e up"));
    assert!(
        matches!(way("{tcp: 5432}"), Way::Tcp(address) if (address.host.as_str(), address.port) == ("localhost", 5432))
    );
    assert!(matches!(way("{tcp: '[::1]:80'}"), Way::Tcp(address) if address.host == "::1"));
    let Way::Http { address, path } = way("{http: 'http://127.0.0.1:8080/health?full'}") else {
        panic!("it is a request")
    };
    assert_eq!((address.port, path.as_str()), (8080, "/health?full"));
    assert!(matches!(way("{http: 'http://h'}"), Way::Http { address, path } if address.port == 80 && path == "/"));
    assert_eq!(way("{notify: true}"), Way::Notify);
    assert_eq!(way("{notify_fd: 3}"), Way::NotifyFd(3));
}

#[test]
fn start_up_and_liveness_have_times_of_their_own() {
    let body = body_of("ready: {tcp: 1, timeout: 5s}, live: {tcp: 1, interval: 20ms, retries: 0}");
    let (ready, live) = (body.ready.expect("both"), body.live.expect("both"));
    assert_eq!((ready.timeout, ready.retries), (Duration::from_secs(5), None));
    assert_eq!((live.timeout, live.retries), (Duration::from_secs(1), Some(0)));
    assert_eq!(live.interval, Duration::from_millis(20));
}

#[test]
fn looks_that_see_nothing_are_refused() {
    check_process("run: x, ready: {}", "FY107 2:32 there is to be one way to look");
    check_process(
        "run: x, ready: {tcp: 1, notify: true}",
        "FY107 2:32 there is to be one way to look",
    );
    check_process(
        "run: x, ready: {log: '('}",
        "FY103 2:38 no regular expression: unclosed group",
    );
    check_process(
        "run: x, stdout: null, stderr: stdout, ready: {log: up}",
        "FY107 2:68 neither stdout nor stderr leads to the log, whose lines are looked at",
    );
    check_process(
        "run: x, ready: {tcp: db}",
        "FY103 2:38 expected a port or `host:port`; found `db`",
    );
    check_process(
        "run: x, ready: {http: 'https://h'}",
        "FY103 2:39 expected an address that begins with `http://`; found `https://h`",
    );
    check_process(
        "run: x, live: {log: up}",
        "FY107 2:37 `log` tells when a process is ready, not whether it still works",
    );
    check_process(
        "run: x, fds: {3: null}, ready: {notify_fd: 3}",
        "FY107 2:60 descriptor 3 leads elsewhere",
    );
}

#[test]
fn sockets_are_addresses_of_this_machine_or_paths() {
    let sockets = body_of(
        "sockets: {a: 80, b: '0.0.0.0:0', c: '[::1]:8080', d: 'unix:db.sock', e: run/db.sock, \
         f: {listen: 5353, type: datagram}, g: {listen: ./g, backlog: 7, mode: 0666}}",
    )
    .sockets;
    let at: Vec<_> = sockets
        .iter()
        .map(|socket| (socket.name.as_str(), socket.at.clone()))
        .collect();
    let internet = |address: &str| Listening::Internet(address.parse().expect("an address"));
    let unix = |path: &str| Listening::Unix(path.to_owned());
    assert_eq!(
        at,
        [
            ("a", internet("127.0.0.1:80")),
            ("b", internet("0.0.0.0:0")),
            ("c", internet("[::1]:8080")),
            ("d", unix("db.sock")),
            ("e", unix("run/db.sock")),
            ("f", internet("127.0.0.1:5353")),
            ("g", unix("./g")),
        ]
    );
    let rest: Vec<_> = sockets
        .iter()
        .map(|socket| (socket.kind, socket.backlog, socket.mode))
        .collect();
    assert_eq!(rest[0], (SocketKind::Stream, 4096, 0o600));
    assert_eq!(rest[5].0, SocketKind::Datagram);
    assert_eq!(rest[6], (SocketKind::Stream, 7, 0o666));
}

#[test]
fn what_is_no_socket_is_told() {
    check_process(
        "run: x, sockets: {a: 'host:80'}",
        "FY103 2:38 expected an address such as 127.0.0.1:8080 or [::1]:8080, a port, or a path; found `host:80`",
    );
    check_process(
        "run: x, sockets: [80]",
        "FY103 2:34 expected names with addresses, such as `sockets: {web: '127.0.0.1:8080'}`; found a list",
    );
    check_process(
        "run: x, sockets: {a: 'tcp://127.0.0.1:80'}",
        "FY103 2:38 an address has no scheme; found `tcp://127.0.0.1:80`",
    );
    check_process(
        "run: x, sockets: {a: 'unix:'}",
        "FY103 2:38 the path of a socket names a file and has 1 to 107 bytes",
    );
    check_process(
        "run: x, sockets: {'a:b': 80}",
        "FY108 2:35 `a:b` cannot be the name of a socket",
    );
    check_process(
        "run: x, sockets: {a: {backlog: 1}}",
        "FY105 2:38 the socket `a` has no `listen`",
    );
    check_process(
        "run: x, sockets: {a: {listen: 80, type: datagram, backlog: 1}}",
        "FY107 2:76 `backlog` with `type: datagram`: there are no connections that could wait",
    );
    check_process(
        "run: x, sockets: {a: {listen: 80, mode: 666}}",
        "FY107 2:57 `mode` is that of a Unix socket's file, and this address has none",
    );
    check_process(
        "run: x, sockets: {a: 80, b: 81}, fds: {4: null}",
        "FY107 2:56 descriptor 4 is one of its sockets",
    );
    check_process(
        "run: x, sockets: {a: 80}, ready: {notify_fd: 3}",
        "FY107 2:62 descriptor 3 is one of its sockets",
    );
}

#[test]
fn restarts_have_rules() {
    assert_eq!(body_of("cwd: x").restart, Wish::Unsaid);
    assert_eq!(body_of("restart: never").restart, Wish::Never);
    let Wish::When(restart) = body_of("restart: always").restart else {
        panic!("it is restarted")
    };
    assert_eq!(
        (restart.policy, restart.intensity),
        (Policy::Always, Intensity::default())
    );
    let Wish::When(restart) =
        body_of("restart: {max: 3, backoff: {initial: 1s, factor: 1.5, jitter: false}, never_on: [3, KILL]}").restart
    else {
        panic!("it is restarted")
    };
    assert_eq!((restart.policy, restart.intensity.max), (Policy::OnFailure, 3));
    assert_eq!((restart.backoff.factor, restart.backoff.jitter), (1500, false));
    assert_eq!((restart.never_on.codes, restart.never_on.signals), (vec![3], vec![9]));
    check_process(
        "run: x, restart: {backoff: {initial: 1m, max: 1s}}",
        "FY107 2:63 the longest pause is shorter than the first one",
    );
}

#[test]
fn groups_have_a_strategy_and_an_intensity() {
    let workflow = accepted_body(
        "groups: {g: {members: [a, b], strategy: rest-for-one, max_restarts: 2, within: 5s}}\n\
         processes: {a: {run: x}, b: {run: x}}\n",
    );
    let group = &workflow.groups[0];
    assert_eq!((group.strategy, group.intensity.max), (Strategy::RestForOne, 2));
    assert_eq!(group.intensity.within, Duration::from_secs(5));
}

#[test]
fn what_has_lives_is_a_process() {
    check(
        "pools: {w: {run: x, tasks: [1], restart: always}}\n",
        "FY106 2:33 `restart` belongs to a process, and this is a pool",
    );
}
