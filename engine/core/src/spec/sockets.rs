//! `sockets`: what the engine opens for a process before it starts, and keeps open from one life to the next.

use super::decode::{Many, Spanned};
use super::values::Text;
use crate::diagnostic::{Findings, codes};
use crate::source::{Span, excerpt};

/// The longest path of a socket in bytes: what `sockaddr_un` has room for, with the NUL byte at its end (`unix(7)`).
const PATH_BYTES_MAX: usize = 107;

/// A socket that a process finds open, and listening.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Socket {
    /// Where it listens.
    pub at: Listening,
    /// Where it stands.
    pub place: Span,
}

/// Where a socket listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listening {
    /// `tcp:8080`, `tcp:0.0.0.0:8080`: at an address of this machine.
    Tcp(String),
    /// `unix:path`, relative to the folder of the workflow.
    Unix(String),
}

/// Reads `sockets`.
pub(crate) fn sockets(list: Option<&Many<Spanned<Text>>>, findings: &mut Findings) -> Vec<Socket> {
    let written = list.into_iter().flat_map(|list| &list.0);
    written
        .filter_map(|text| {
            let at = listening(&text.value.0, text.place, findings)?;
            Some(Socket { at, place: text.place })
        })
        .collect()
}

fn listening(text: &str, place: Span, findings: &mut Findings) -> Option<Listening> {
    if let Some(path) = text.strip_prefix("unix:") {
        if path.is_empty() || path.len() > PATH_BYTES_MAX {
            let message = format!("the path of a socket has 1 to {PATH_BYTES_MAX} bytes");
            findings.error(codes::BAD_VALUE, place, message);
            return None;
        }
        return Some(Listening::Unix(path.to_owned()));
    }
    let address = text.strip_prefix("tcp:").and_then(|address| {
        let all = if address.contains(':') {
            address.to_owned()
        } else {
            format!("127.0.0.1:{address}")
        };
        all.parse::<std::net::SocketAddr>()
            .ok()
            .map(|address| address.to_string())
    });
    if address.is_none() {
        let message = format!(
            "expected `tcp:PORT`, `tcp:ADDRESS:PORT` or `unix:PATH`; found `{}`",
            excerpt(text)
        );
        findings
            .error(codes::BAD_VALUE, place, message)
            .help("an address is a number, such as 0.0.0.0 for all of this machine; a port alone is that of 127.0.0.1");
    }
    address.map(Listening::Tcp)
}
