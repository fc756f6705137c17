//! Each address has one owner, and who listens there is not asked what the kernel answers for it.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use super::files::normal;
use super::{Findings, Subject, codes, related};
use crate::spec::{Address, Declared, Listening, Probe, Socket, SocketKind, Way};

/// A socket, and whose it is.
#[derive(Clone, Copy)]
struct Owned<'a> {
    declared: &'a Declared,
    socket: &'a Socket,
}

impl Owned<'_> {
    /// Instances of one process share their sockets.
    fn is_shared_with(self, other: Self) -> bool {
        self.declared.name == other.declared.name
            && self.socket.name == other.socket.name
            && self.socket.at == other.socket.at
    }
}

/// All who listen at a port of this machine, by their addresses.
type AtPort<'a> = BTreeMap<IpAddr, Owned<'a>>;

/// The sockets of a run are all open at once.
pub(super) fn have_addresses_of_their_own(subject: &Subject, findings: &mut Findings) {
    let mut ports: BTreeMap<(SocketKind, u16), AtPort> = BTreeMap::new();
    let mut paths: BTreeMap<String, Owned> = BTreeMap::new();
    for process in &subject.workflow.processes {
        for socket in &process.body.sockets {
            let owned = Owned {
                declared: &process.declared,
                socket,
            };
            let before = match &socket.at {
                // Any port that is free is nobody else's.
                Listening::Internet(address) if address.port() == 0 => None,
                Listening::Internet(address) => {
                    let taken = ports.entry((socket.kind, address.port())).or_default();
                    let before = covered(taken, *address);
                    taken.entry(address.ip()).or_insert(owned);
                    before
                }
                Listening::Unix(path) => {
                    let path = normal(path).unwrap_or_else(|| path.clone());
                    Some(*paths.entry(path).or_insert(owned))
                }
            };
            if let Some(before) = before.filter(|before| !owned.is_shared_with(*before)) {
                tell(owned, before, findings);
            }
        }
    }
}

/// Who has this address of a port already, or all addresses, or one of all that are wanted. `[::]` is those of IPv4, too.
fn covered<'a>(taken: &AtPort<'a>, wanted: SocketAddr) -> Option<Owned<'a>> {
    let [all4, all6] = [[0; 4].into(), [0; 16].into()];
    let ip: IpAddr = wanted.ip();
    let same = taken.get(&ip);
    let all = taken.get(&all6).or_else(|| taken.get(&all4).filter(|_| ip.is_ipv4()));
    let any = taken.values().find(|other| match &other.socket.at {
        Listening::Internet(other) => ip == all6 || (ip == all4 && other.is_ipv4()),
        Listening::Unix(_) => false,
    });
    same.or(all).or(any).copied()
}

fn tell(owned: Owned, before: Owned, findings: &mut Findings) {
    let (name, other) = (&owned.declared.name, &before.declared.name);
    let message = format!("`{name}` is to listen where `{other}` does");
    let finding = findings.error(codes::ADDRESS_TWICE, owned.socket.place, message);
    finding.help = Some("give each an address of its own; port 0 is any that is free".to_owned());
    finding.related.push(related(
        before.socket.place,
        format!("`{}` of `{other}`", before.socket.name),
    ));
}

/// The kernel accepts connections to a socket that is open, whoever runs or does not.
pub(super) fn are_not_asked_themselves(subject: &Subject, findings: &mut Findings) {
    for process in &subject.workflow.processes {
        let body = &process.body;
        for probe in [&body.ready, &body.live].into_iter().flatten() {
            if let Some(socket) = body.sockets.iter().find(|socket| is_asked(socket, probe)) {
                let name = &process.declared.name;
                let message = format!("a connection to this socket is accepted whether `{name}` works or not");
                let finding = findings.warning(codes::ANSWERED_BY_THE_KERNEL, probe.place, message);
                finding.help = Some("ask by `http` or `exec`, or let it tell by `notify` or `notify_fd`".to_owned());
                finding
                    .related
                    .push(related(socket.place, "it is open from the start of the run on"));
            }
        }
    }
}

fn is_asked(socket: &Socket, probe: &Probe) -> bool {
    let (Listening::Internet(at), Way::Tcp(Address { host, port })) = (&socket.at, &probe.way) else {
        return false;
    };
    let ip = host.parse::<IpAddr>().ok();
    let is_this_machine = host == "localhost" || ip.is_some_and(|ip| ip.is_loopback());
    let is_there = ip == Some(at.ip()) || (is_this_machine && (at.ip().is_loopback() || at.ip().is_unspecified()));
    socket.kind == SocketKind::Stream && at.port() == *port && is_there
}
