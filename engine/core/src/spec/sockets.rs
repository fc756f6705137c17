//! `sockets`: what the engine opens before anything starts, hands to a process, and keeps open from one life to the next.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::decode::{Keyed, Spanned, TextOr};
use super::fields::Fields;
use super::name;
use super::stream::FDS;
use super::values::{Mode, Text, Whole};
use crate::diagnostic::{Findings, codes};
use crate::source::{Span, excerpt};

/// The longest path of a socket in bytes: what `sockaddr_un` has room for, with the NUL byte at its end (`unix(7)`).
const PATH_BYTES_MAX: usize = 107;

/// The longest queue of connections that nobody has accepted: what Linux allows since 5.4, `/proc/sys/net/core/somaxconn`.
const BACKLOG_DEFAULT: u32 = 4096;

/// Who may connect to a Unix socket where nothing is said: the user of the engine alone.
const MODE_DEFAULT: u32 = 0o600;

/// The number of the first socket in a process: `SD_LISTEN_FDS_START` of `sd_listen_fds(3)`.
pub const FIRST_SOCKET: i32 = 3;

/// A socket that a process finds open, and listening.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Socket {
    /// What the process knows it by.
    pub name: String,
    /// Where it listens.
    pub at: Listening,
    /// What arrives there.
    pub kind: SocketKind,
    /// So many connections wait at most until they are accepted.
    pub backlog: u32,
    /// Who may connect to a Unix socket, as the mode of its file.
    pub mode: u32,
    /// Where its address stands.
    pub place: Span,
}

/// Where a socket listens.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Listening {
    /// At an address of this machine; port 0 is any that is free.
    Internet(SocketAddr),
    /// At a path, relative to the folder of the workflow.
    Unix(String),
}

/// What arrives at a socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum SocketKind {
    /// Connections: TCP, or a Unix stream socket.
    #[default]
    Stream,
    /// Datagrams: UDP, or a Unix datagram socket.
    Datagram,
}

/// `sockets`: names with addresses.
pub(crate) type SocketsField = Keyed<Spanned<TextOr<SocketFields>>>;

/// Reads `sockets`, and says what it is where something else stands there.
pub(crate) fn field<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SocketsField>, D::Error> {
    deserializer.deserialize_map(SocketsVisitor).map(Some)
}

struct SocketsVisitor;

impl<'de> Visitor<'de> for SocketsVisitor {
    type Value = SocketsField;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("names with addresses, such as `sockets: {web: '127.0.0.1:8080'}`")
    }

    fn visit_map<A: MapAccess<'de>>(self, sockets: A) -> Result<SocketsField, A::Error> {
        SocketsField::deserialize(MapAccessDeserializer::new(sockets))
    }
}

/// `sockets: {name: {…}}`.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub(crate) struct SocketFields {
    /// The address: 127.0.0.1:8080, a port of 127.0.0.1, or the path of a Unix socket; port 0 is any that is free.
    listen: Option<Spanned<Text>>,
    /// Whether connections arrive there, or datagrams.
    #[serde(rename = "type")]
    kind: Option<Spanned<SocketKind>>,
    /// How many connections may wait until they are accepted; 4096 by default.
    backlog: Option<Spanned<Whole<1, 65_535>>>,
    /// Who may connect to a Unix socket, as the mode of a file: 0600 by default.
    mode: Option<Spanned<Mode>>,
}

/// Reads `sockets`.
pub(crate) fn sockets(fields: &Fields, findings: &mut Findings) -> Vec<Socket> {
    let written = fields.sockets.as_ref().map_or(&[][..], |sockets| &sockets.0);
    let read = written.iter().filter_map(|(key, field)| {
        if !name::is_name(&key.value) {
            let message = format!("`{}` cannot be the name of a socket", excerpt(&key.value));
            findings.error(codes::BAD_NAME, key.place, message).help(name::rule());
        }
        match &field.value {
            TextOr::Text(text) => {
                let at = listening(text, field.place, findings)?;
                Some(socket(&key.value, at, field.place))
            }
            TextOr::Other(fields) => described(&key.value, fields, field.place, findings),
        }
    });
    let sockets: Vec<Socket> = read.collect();
    if let Some((key, _)) = written.first() {
        check_numbers(fields, written.len(), key.place, findings);
    }
    sockets
}

fn socket(name: &str, at: Listening, place: Span) -> Socket {
    Socket {
        name: name.to_owned(),
        at,
        kind: SocketKind::default(),
        backlog: BACKLOG_DEFAULT,
        mode: MODE_DEFAULT,
        place,
    }
}

fn described(name: &str, fields: &SocketFields, place: Span, findings: &mut Findings) -> Option<Socket> {
    let Some(listen) = &fields.listen else {
        // Where it could not be read, that has been told.
        if !findings.any_within(place) {
            findings
                .error(
                    codes::MISSING_KEY,
                    place,
                    format!("the socket `{}` has no `listen`", excerpt(name)),
                )
                .help("say where it listens, as in `listen: 127.0.0.1:8080`");
        }
        return None;
    };
    let at = listening(&listen.value.0, listen.place, findings)?;
    let kind = fields.kind.as_ref().map_or_else(SocketKind::default, |kind| kind.value);
    if let (SocketKind::Datagram, Some(backlog)) = (kind, &fields.backlog) {
        let message = "`backlog` with `type: datagram`: there are no connections that could wait";
        findings.error(codes::CONFLICT, backlog.place, message);
    }
    if let (Listening::Internet(_), Some(mode)) = (&at, &fields.mode) {
        let message = "`mode` is that of a Unix socket's file, and this address has none";
        findings.error(codes::CONFLICT, mode.place, message);
    }
    Some(Socket {
        kind,
        backlog: fields
            .backlog
            .as_ref()
            .map_or(BACKLOG_DEFAULT, |backlog| backlog.value.get()),
        mode: fields.mode.as_ref().map_or(MODE_DEFAULT, |mode| mode.value.0),
        ..socket(name, at, listen.place)
    })
}

/// `unix:path` or whatever has a slash is a path; a number alone is a port of this machine.
fn listening(text: &str, place: Span, findings: &mut Findings) -> Option<Listening> {
    if let Some((scheme, rest)) = text.split_once("://") {
        let message = format!("an address has no scheme; found `{}`", excerpt(text));
        let rest = rest.trim_end_matches('/');
        let help = match scheme {
            "unix" => format!("write `unix:{}`", excerpt(rest)),
            "udp" => format!("write `{{listen: '{}', type: datagram}}`", excerpt(rest)),
            _ => format!("write `{}`: what is spoken there is the process's own", excerpt(rest)),
        };
        findings.error(codes::BAD_VALUE, place, message).help(help);
        return None;
    }
    let path = text
        .strip_prefix("unix:")
        .or_else(|| text.contains('/').then_some(text));
    if let Some(path) = path {
        if path.is_empty() || path.len() > PATH_BYTES_MAX || path.ends_with('/') {
            let message = format!("the path of a socket names a file and has 1 to {PATH_BYTES_MAX} bytes");
            findings.error(codes::BAD_VALUE, place, message);
            return None;
        }
        return Some(Listening::Unix(path.to_owned()));
    }
    let local = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
    let address = text.parse().or_else(|_| text.parse().map(local));
    if address.is_err() {
        let message = format!(
            "expected an address such as 127.0.0.1:8080 or [::1]:8080, a port, or a path; found `{}`",
            excerpt(text)
        );
        let help = help_for(text);
        findings.error(codes::BAD_VALUE, place, message).help(help);
    }
    address.ok().map(Listening::Internet)
}

/// What to write instead of an address that is none.
fn help_for(text: &str) -> String {
    const PORTS: &str = "a port is a number from 1 to 65535, or 0 for any that is free";
    let is_number = |text: &str| !text.is_empty() && text.chars().all(|digit| digit.is_ascii_digit());
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = bare.parse::<IpAddr>() {
        return format!("a port is missing: `{}`", SocketAddr::from((address, 8080)));
    }
    match text.rsplit_once(':') {
        None if is_number(text) => PORTS.to_owned(),
        None => format!(
            "a path has a slash, or `unix:` before it: `./{0}`; an address has a port: `127.0.0.1:8080`",
            excerpt(text)
        ),
        Some((host, port)) if host.parse::<Ipv4Addr>().is_ok() || host.starts_with('[') && host.ends_with(']') => {
            if is_number(port) || port.is_empty() {
                PORTS.to_owned()
            } else {
                format!("{PORTS}, not a name")
            }
        }
        Some((_, port)) => {
            let port = if is_number(port) { port } else { "8080" };
            format!(
                "an address is a number: `127.0.0.1:{port}` for localhost, `0.0.0.0:{port}` or `[::]:{port}` for all of this machine"
            )
        }
    }
}

/// The sockets have the first numbers from 3 on, as the protocol wants it: nothing else may be wired to these.
fn check_numbers(fields: &Fields, count: usize, place: Span, findings: &mut Findings) {
    let end = i32::try_from(count).map_or(i32::MAX, |count| FIRST_SOCKET.saturating_add(count));
    if end - 1 > *FDS.end() {
        let most = FDS.end() - FIRST_SOCKET + 1;
        findings.error(
            codes::BAD_VALUE,
            place,
            format!("a process has at most {most} sockets; here are {count}"),
        );
        return;
    }
    let in_fds = fields.fds.as_ref().map_or(&[][..], |fds| &fds.0).iter();
    let in_fds = in_fds.filter_map(|(key, _)| Some((key.value.parse().ok()?, key.place)));
    let told = super::ready::notify_number(fields);
    for (number, taken) in in_fds.chain(told) {
        if (FIRST_SOCKET..end).contains(&number) {
            findings
                .error(
                    codes::CONFLICT,
                    taken,
                    format!("descriptor {number} is one of its sockets"),
                )
                .related(
                    place,
                    format!("they have the descriptors from {FIRST_SOCKET} to {}", end - 1),
                )
                .help("take a higher number");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PORTS: &str = "a port is a number from 1 to 65535, or 0 for any that is free";

    #[test]
    fn each_bad_address_has_its_own_help() {
        let help = |text: &str| {
            let mut findings = Findings::default();
            assert_eq!(listening(text, Span::default(), &mut findings), None, "{text}");
            let found = findings.sorted();
            found[0].help.clone().expect("it says what to do")
        };
        for (text, expected) in [
            ("127.0.0.1", "a port is missing: `127.0.0.1:8080`"),
            ("::1", "a port is missing: `[::1]:8080`"),
            ("[::1]", "a port is missing: `[::1]:8080`"),
            ("127.0.0.1:99999", PORTS),
            ("[::]:", PORTS),
            ("70000", PORTS),
            ("0.0.0.0:http", &format!("{PORTS}, not a name")),
            (
                "localhost:80",
                "an address is a number: `127.0.0.1:80` for localhost, `0.0.0.0:80` or `[::]:80` for all of this machine",
            ),
            (
                "*:web",
                "an address is a number: `127.0.0.1:8080` for localhost, `0.0.0.0:8080` or `[::]:8080` for all of this machine",
            ),
            (
                "x.sock",
                "a path has a slash, or `unix:` before it: `./x.sock`; an address has a port: `127.0.0.1:8080`",
            ),
            (
                "http://127.0.0.1:80/",
                "write `127.0.0.1:80`: what is spoken there is the process's own",
            ),
            ("unix:///run/x", "write `unix:/run/x`"),
            ("udp://[::1]:5353", "write `{listen: '[::1]:5353', type: datagram}`"),
        ] {
            assert_eq!(help(text), expected, "{text}");
        }
    }
}
