//! `ready` and `live`: how it is seen that a process has come so far, or still works.

use std::time::Duration;

use serde::Deserialize;

use super::body::words;
use super::decode::{Command, Spanned};
use super::fields::Fields;
use super::values::{Period, Text, Whole};
use super::{Program, Stream};
use crate::diagnostic::{Findings, codes};
use crate::source::{Span, excerpt};

/// How long a process may take to become ready, where nothing is said.
const READY_TIMEOUT: Duration = Duration::from_secs(30);
/// How often it is looked whether it is ready.
const READY_INTERVAL: Duration = Duration::from_millis(50);
/// How long one look whether it is alive may take, or how long it may be silent.
const LIVE_TIMEOUT: Duration = Duration::from_secs(1);
/// How often it is looked whether it is alive.
const LIVE_INTERVAL: Duration = Duration::from_secs(1);
/// How many looks in a row may fail before it counts as not alive.
const LIVE_RETRIES: u32 = 2;
/// The shortest time between two looks.
const INTERVAL_MIN: Duration = Duration::from_millis(1);

/// A pattern may not need more memory than this when it is made ready for matching: far more than any that is meant for a line.
pub const PATTERN_BYTES_MAX: usize = 1 << 20;

/// How a process is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// In which way.
    pub way: Way,
    /// How long it is from one look to the next.
    pub interval: Duration,
    /// Of `ready`: how long the process has to become ready. Of `live`: how long one look may take or, with
    /// [`Way::Notify`], how long the process may be silent.
    pub timeout: Duration,
    /// How many looks in a row may fail; `None`: any number, within `timeout`.
    pub retries: Option<u32>,
    /// Where it stands.
    pub place: Span,
}

/// The ways to look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// A line of its log matches this regular expression.
    Log(String),
    /// A command exits with 0.
    Exec(Program),
    /// A connection is accepted.
    Tcp(Address),
    /// A request is answered with a status from 200 to 399.
    Http {
        /// To whom it is sent.
        address: Address,
        /// What is asked for, from the first `/` on.
        path: String,
    },
    /// It says so itself on the socket of `NOTIFY_SOCKET`.
    Notify,
    /// It writes a newline to this descriptor.
    NotifyFd(i32),
}

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// A name or a number; IPv6 without its brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// `ready` and `live`: one of the first six.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub(crate) struct ProbeFields {
    /// A line of its output matches.
    log: Option<Spanned<Text>>,
    /// A command succeeds.
    exec: Option<Spanned<Command>>,
    /// A connection is accepted.
    tcp: Option<Spanned<Text>>,
    /// A request is answered well.
    http: Option<Spanned<Text>>,
    /// It says so itself.
    notify: Option<bool>,
    /// It says so itself, on a descriptor.
    notify_fd: Option<Spanned<Whole<3, 255>>>,
    /// How often to look.
    interval: Option<Spanned<Period>>,
    /// How long to look.
    timeout: Option<Period>,
    /// How many failures are borne.
    retries: Option<Whole<0, 1_000_000>>,
}

/// `ready`.
pub(crate) fn ready(fields: &Fields, findings: &mut Findings) -> Option<Probe> {
    let probe = fields.ready.as_ref()?;
    let way = way(fields, probe, findings)?;
    if let (Way::Log(_), Some(log)) = (&way, &probe.value.log) {
        check_log(fields, log.place, findings);
    }
    Some(Probe {
        way,
        interval: interval(&probe.value, READY_INTERVAL, findings),
        timeout: probe.value.timeout.as_ref().map_or(READY_TIMEOUT, |timeout| timeout.0),
        retries: probe.value.retries.map(Whole::get),
        place: probe.place,
    })
}

/// `live`.
pub(crate) fn live(fields: &Fields, findings: &mut Findings) -> Option<Probe> {
    let probe = fields.live.as_ref()?;
    let only_ready = [
        ("log", probe.value.log.as_ref().map(|log| log.place)),
        ("notify_fd", probe.value.notify_fd.as_ref().map(|fd| fd.place)),
    ];
    for (key, place) in only_ready {
        if let Some(place) = place {
            let message = format!("`{key}` tells when a process is ready, not whether it still works");
            findings
                .error(codes::CONFLICT, place, message)
                .help("`live` takes one of `exec`, `tcp`, `http` and `notify`");
            return None;
        }
    }
    Some(Probe {
        way: way(fields, probe, findings)?,
        interval: interval(&probe.value, LIVE_INTERVAL, findings),
        timeout: probe.value.timeout.as_ref().map_or(LIVE_TIMEOUT, |timeout| timeout.0),
        retries: Some(probe.value.retries.map_or(LIVE_RETRIES, Whole::get)),
        place: probe.place,
    })
}

fn interval(fields: &ProbeFields, usual: Duration, findings: &mut Findings) -> Duration {
    let Some(interval) = &fields.interval else {
        return usual;
    };
    if interval.value.0 < INTERVAL_MIN {
        findings
            .error(
                codes::BAD_VALUE,
                interval.place,
                "less than a millisecond between two looks",
            )
            .help("write `1ms` or more");
    }
    interval.value.0
}

fn way(fields: &Fields, probe: &Spanned<ProbeFields>, findings: &mut Findings) -> Option<Way> {
    let value = &probe.value;
    let ways = [
        value.log.is_some(),
        value.exec.is_some(),
        value.tcp.is_some(),
        value.http.is_some(),
        value.notify == Some(true),
        value.notify_fd.is_some(),
    ];
    if ways.into_iter().filter(|way| *way).count() != 1 {
        // With a mistake in it, it may only seem to have no way to look.
        if !findings.any_within(probe.place) {
            findings
                .error(codes::CONFLICT, probe.place, "there is to be one way to look")
                .help("write one of `log`, `exec`, `tcp`, `http`, `notify: true` and `notify_fd`");
        }
        return None;
    }
    if let Some(log) = &value.log {
        return pattern(log, findings).map(Way::Log);
    }
    if let Some(command) = &value.exec {
        return words(command.clone(), fields.shell.as_ref(), findings).map(Way::Exec);
    }
    if let Some(tcp) = &value.tcp {
        return address(&tcp.value.0, tcp.place, findings).map(Way::Tcp);
    }
    if let Some(url) = &value.http {
        return http(&url.value.0, url.place, findings);
    }
    match &value.notify_fd {
        Some(number) => notify_fd(fields, number, findings),
        None => Some(Way::Notify),
    }
}

fn pattern(log: &Spanned<Text>, findings: &mut Findings) -> Option<String> {
    let made = regex::bytes::RegexBuilder::new(&log.value.0)
        .size_limit(PATTERN_BYTES_MAX)
        .build();
    match made {
        Ok(_) => Some(log.value.0.clone()),
        Err(error) => {
            let error = error.to_string();
            // What is wrong stands in its last line, after a drawing.
            let why = error.lines().last().unwrap_or_default().trim_start_matches("error: ");
            findings
                .error(codes::BAD_VALUE, log.place, format!("no regular expression: {why}"))
                .help("a text that is to be found as it is needs `\\` before each of `.^$*+?()[]{}|\\`");
            None
        }
    }
}

/// The lines of the log can be looked at only where there is one.
fn check_log(fields: &Fields, place: Span, findings: &mut Findings) {
    let mut unheard = Findings::default();
    let standard = super::stream::Standard::Stdout.stream(fields, &mut unheard);
    let errors = super::stream::Standard::Stderr.stream(fields, &mut unheard);
    let is_logged = |stream: &Stream| *stream == Stream::Log;
    if !is_logged(&standard) && !is_logged(&errors) {
        findings
            .error(
                codes::CONFLICT,
                place,
                "neither stdout nor stderr leads to the log, whose lines are looked at",
            )
            .help("let one of them lead there (`stderr: log`), or take another way to look");
    }
}

/// The descriptor of `notify_fd`, with its place.
pub(crate) fn notify_number(fields: &Fields) -> Option<(i32, Span)> {
    let number = fields.ready.as_ref()?.value.notify_fd.as_ref()?;
    Some((number.value.get(), number.place))
}

fn notify_fd(fields: &Fields, number: &Spanned<Whole<3, 255>>, findings: &mut Findings) -> Option<Way> {
    let fd: i32 = number.value.get();
    let text = fd.to_string();
    let taken = fields
        .fds
        .as_ref()
        .and_then(|fds| fds.0.iter().find(|(key, _)| key.value == text));
    if let Some((key, _)) = taken {
        findings
            .error(
                codes::CONFLICT,
                number.place,
                format!("descriptor {fd} leads elsewhere"),
            )
            .related(key.place, "it is wired here")
            .help("take another number");
        return None;
    }
    Some(Way::NotifyFd(fd))
}

/// `5432`, `db.example:5432` or `[::1]:5432`.
fn address(text: &str, place: Span, findings: &mut Findings) -> Option<Address> {
    let (host, port) = text.rsplit_once(':').unwrap_or(("localhost", text));
    let host = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    let known = port.parse().ok().filter(|port| *port != 0);
    match known {
        Some(port) if !host.is_empty() => Some(Address {
            host: host.to_owned(),
            port,
        }),
        Some(_) | None => {
            let message = format!("expected a port or `host:port`; found `{}`", excerpt(text));
            findings.error(codes::BAD_VALUE, place, message);
            None
        }
    }
}

/// `http://localhost:8080/health`
fn http(url: &str, place: Span, findings: &mut Findings) -> Option<Way> {
    let Some(rest) = url.strip_prefix("http://") else {
        let message = format!(
            "expected an address that begins with `http://`; found `{}`",
            excerpt(url)
        );
        findings
            .error(codes::BAD_VALUE, place, message)
            .help("what speaks https or something else can be looked at by `exec`, with curl for example");
        return None;
    };
    let (host, path) = rest.find('/').map_or((rest, "/"), |slash| rest.split_at(slash));
    if path.bytes().any(|byte| byte <= b' ' || byte == 0x7f) {
        findings.error(
            codes::BAD_VALUE,
            place,
            "an address has neither blanks nor control characters",
        );
        return None;
    }
    let has_port = host.rsplit_once(':').is_some_and(|(_, port)| !port.ends_with(']'));
    let with_port = if has_port {
        host.to_owned()
    } else {
        format!("{host}:80")
    };
    let address = address(&with_port, place, findings)?;
    Some(Way::Http {
        address,
        path: path.to_owned(),
    })
}
