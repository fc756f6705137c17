use super::{explained, finds};

#[test]
fn an_address_has_one_owner() {
    finds(
        "
processes:
  a: {run: x, sockets: {s: 8080, all: '0.0.0.0:81', run: ./run/a}}
  b: {run: x, sockets: {s: '127.0.0.1:8080', one: '127.0.0.2:81', run: 'unix:run/x/../a'}}
  c: {run: x, sockets: {s: '[::]:8080', t: '[::1]:82'}}
",
        "
error FY206 4:28 `b` is to listen where `a` does
error FY206 4:51 `b` is to listen where `a` does
error FY206 4:72 `b` is to listen where `a` does
error FY206 5:28 `c` is to listen where `a` does
"
        .trim_start(),
    );
    let (help, related) = explained("{processes: {a: {run: x, sockets: {s: 1}}, b: {run: x, sockets: {t: 1}}}}");
    assert_eq!(help, "give each an address of its own; port 0 is any that is free");
    assert_eq!(related, ["1:39 `s` of `a`"]);
}

#[test]
fn instances_share_a_socket_and_others_differ() {
    finds(
        "
processes:
  a: {run: x, replicas: 3, sockets: {s: 8080, u: ./a.sock}}
  b: {run: x, each: [81, 82], sockets: {s: '${{ item }}', udp: {listen: '${{ item }}', type: datagram}}}
  c: {run: x, sockets: {s: 0, t: 0, v: '[::1]:8080'}}
  d: {run: x, sockets: {s: 0, t: '127.0.0.2:8080', u: b/a.sock}}
",
        "",
    );
    finds(
        "{processes: {a: {run: x, sockets: {s: 80, t: 80}}}}",
        "error FY206 1:46 `a` is to listen where `a` does\n",
    );
}

#[test]
fn a_connection_to_an_open_socket_says_nothing() {
    let text =
        |socket: &str, probe: &str| format!("{{processes: {{a: {{run: x, sockets: {{s: '{socket}'}}, {probe}}}}}}}");
    let warning = "warning FY207 1:63 a connection to this socket is accepted whether `a` works or not\n";
    finds(&text("127.0.0.1:80", "ready: {tcp: '80'}"), warning);
    finds(
        &text("0.0.0.0:8080", "live: {tcp: 'localhost:8080'}"),
        &warning.replace("63", "62"),
    );
    for (socket, probe) in [
        ("127.0.0.1:80", "ready: {tcp: '81'}"),
        ("127.0.0.1:80", "ready: {tcp: 'db:80'}"),
        ("127.0.0.1:80", "ready: {http: 'http://127.0.0.1:80/'}"),
        ("run/a", "ready: {tcp: '80'}"),
    ] {
        finds(&text(socket, probe), "");
    }
}
