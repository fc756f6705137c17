//! Looks at a process from outside: by a connection, by a request.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use forkyard_core::plan::Address;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// The status line of an answer is looked for in so many bytes.
const STATUS_BYTES_MAX: usize = 1024;

/// The statuses that mean that all is well, redirections among them.
const STATUS_GOOD: std::ops::RangeInclusive<u16> = 200..=399;

/// Whether a connection is accepted.
///
/// # Errors
/// Why not, in words.
pub async fn tcp(address: &Address) -> Result<(), String> {
    connect(address).await.map(drop)
}

/// Whether a request is answered with a good status.
///
/// # Errors
/// Why not, in words.
pub async fn http(address: &Address, path: &str) -> Result<(), String> {
    let mut stream = connect(address).await?;
    let status = ask(&mut stream, address, path)
        .await
        .map_err(|error| format!("no answer from {}: {error}", shown(address)))?;
    match status {
        Some(status) if STATUS_GOOD.contains(&status) => Ok(()),
        Some(status) => Err(format!("{}{path} answers with status {status}", shown(address))),
        None => Err(format!("{} does not speak HTTP", shown(address))),
    }
}

async fn connect(address: &Address) -> Result<TcpStream, String> {
    let connected = if address.host == "localhost" {
        // Known without asking anybody, and servers listen on either.
        let both = [IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST)];
        let both = both.map(|host| (host, address.port).into());
        TcpStream::connect(&both[..]).await
    } else {
        TcpStream::connect((address.host.as_str(), address.port)).await
    };
    connected.map_err(|error| format!("no connection to {}: {error}", shown(address)))
}

fn shown(address: &Address) -> String {
    if address.host.contains(':') {
        format!("[{}]:{}", address.host, address.port)
    } else {
        format!("{}:{}", address.host, address.port)
    }
}

/// The status of the answer; `None` when it is no answer of HTTP.
async fn ask(stream: &mut TcpStream, address: &Address, path: &str) -> io::Result<Option<u16>> {
    let host = shown(address);
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: forkyard\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    while answer.len() < STATUS_BYTES_MAX && !answer.contains(&b'\n') {
        if stream.read_buf(&mut answer).await? == 0 {
            break;
        }
    }
    Ok(status_of(&answer))
}

/// `HTTP/1.1 200 OK` is 200.
fn status_of(answer: &[u8]) -> Option<u16> {
    let line = answer.split(|byte| *byte == b'\n').next()?;
    let mut words = std::str::from_utf8(line).ok()?.split_ascii_whitespace();
    let protocol = words.next()?;
    let status = words.next()?;
    if !protocol.starts_with("HTTP/") || status.len() != 3 {
        return None;
    }
    status.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_the_second_word_of_an_answer_of_http() {
        assert_eq!(status_of(b"HTTP/1.1 204 No Content\r\nA: b\r\n"), Some(204));
        assert_eq!(status_of(b"HTTP/1.0 503"), Some(503));
        for wrong in [
            &b""[..],
            b"SSH-2.0-OpenSSH",
            b"HTTP/1.1 2000 x",
            b"HTTP/1.1",
            b"\xff 200",
        ] {
            assert_eq!(status_of(wrong), None);
        }
    }
}
