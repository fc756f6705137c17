//! Requests and answers as they stand on the wire.

use std::io::{BufRead, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;

use serde_json::Value;

use crate::broker::tests::world::World;

/// A request with a body, if any.
pub fn request(method: &str, path: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("{method} {path} HTTP/1.1\r\nHost: forkyard\r\n{headers}Content-Length: {length}\r\n\r\n{body}")
        .into_bytes()
}

/// A POST for the process with that token.
pub fn post(token: &str, path: &str, json: &str) -> Vec<u8> {
    let headers = format!("Authorization: Bearer {token}\r\nContent-Type: application/json\r\n");
    request("POST", &format!("/v1/{path}"), &headers, json)
}

/// A connection on which that, which is short, has been asked.
pub fn ask(world: &World, request: &[u8]) -> UnixStream {
    connect(&world.socket(), request)
}

fn connect(socket: &Path, request: &[u8]) -> UnixStream {
    let mut stream = UnixStream::connect(socket).expect("connected");
    stream.write_all(request).expect("sent");
    stream
}

/// What was answered.
pub struct Exchange {
    pub status: u16,
    headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Exchange {
    /// One request on a connection of its own.
    pub async fn of(world: &mut World, request: &[u8]) -> Self {
        let (socket, request) = (world.socket(), request.to_vec());
        let task = World::task(move || Self::next(&mut BufReader::new(connect(&socket, &request))));
        world.join(task).await
    }

    /// So many requests on one connection.
    pub async fn all_of(world: &mut World, requests: &[u8], count: usize) -> Vec<Self> {
        let stream = ask(world, requests);
        let task = World::task(move || {
            let mut reader = BufReader::new(stream);
            (0..count).map(|_| Self::next(&mut reader)).collect()
        });
        world.join(task).await
    }

    /// The next answer on a connection, which is closed then.
    pub async fn read(world: &mut World, stream: UnixStream) -> Self {
        let task = World::task(move || Self::next(&mut BufReader::new(stream)));
        world.join(task).await
    }

    fn next(reader: &mut BufReader<UnixStream>) -> Self {
        let mut line = || {
            let mut line = String::new();
            reader.read_line(&mut line).expect("a line");
            line.trim_end().to_owned()
        };
        let first = line();
        let status = first
            .strip_prefix("HTTP/1.1 ")
            .unwrap_or_else(|| panic!("`{first}` is no answer"));
        let status = status[..3].parse().expect("a status");
        let lines = std::iter::from_fn(|| Some(line()).filter(|line| !line.is_empty()));
        let headers: Vec<_> = lines
            .map(|line| {
                let (name, value) = line.split_once(": ").expect("a header");
                (name.to_owned(), value.to_owned())
            })
            .collect();
        let mut exchange = Self {
            status,
            headers,
            body: Vec::new(),
        };
        let length = exchange.header("content-length").parse().unwrap_or(0);
        exchange.body.resize(length, 0);
        reader.read_exact(&mut exchange.body).expect("a body");
        exchange
    }

    /// The value of a header, which is empty when there is none.
    pub fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value)
    }

    pub fn json(&self) -> Value {
        assert_eq!(self.header("content-type"), "application/json");
        serde_json::from_slice(&self.body).expect("JSON")
    }

    /// The word for programs in a refusal.
    pub fn error(&self) -> String {
        self.json()["error"].as_str().expect("a refusal").to_owned()
    }

    /// The sentence for people.
    pub fn message(&self) -> String {
        self.json()["message"].as_str().expect("a refusal").to_owned()
    }
}
