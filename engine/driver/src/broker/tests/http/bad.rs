//! What is not as it should be is refused by a status, a word, and a sentence.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;

use super::wire::{self, Exchange, post, request};
use crate::broker::tests::world::World;

const AS_WRITE: &str = "Authorization: Bearer write\r\n";

/// What the process `write` is told.
async fn refusal(request: &[u8]) -> (u16, String, String) {
    let mut world = World::new();
    let told = Exchange::of(&mut world, request).await;
    (told.status, told.error(), told.message())
}

async fn is_refused(cases: &[(Vec<u8>, u16, &str, &str)]) {
    for (request, status, error, message) in cases {
        let shown = String::from_utf8_lossy(request).into_owned();
        let told = refusal(request).await;
        assert_eq!(told, (*status, (*error).to_owned(), (*message).to_owned()), "{shown}");
    }
}

#[tokio::test]
async fn names_and_what_is_declared() {
    is_refused(&[
        (
            post("write", "queues/jobz/put", r#"{"item":"x"}"#),
            404,
            "no_such_name",
            "there is no `jobz` in this workflow; did you mean `jobs`?",
        ),
        (
            post("write", "queues/jobs/get", ""),
            403,
            "not_declared",
            "process `write` has not declared that it gets from `jobs`: add `receives: [jobs]` to process `write`",
        ),
        (
            post("write", "queues/report/put", r#"{"item":"x"}"#),
            422,
            "wrong_kind",
            "`report` is a lock; items are put into a queue",
        ),
        (
            post("read", "locks/slots/acquire", ""),
            422,
            "wrong_kind",
            "`slots` is a semaphore, not a lock",
        ),
        (
            post("write", "semaphores/report/release", ""),
            422,
            "wrong_kind",
            "`report` is a lock, not a semaphore",
        ),
    ])
    .await;
}

#[tokio::test]
async fn s5_gg4_tokens_and_origins() {
    let no_token = "no token: send the header `Authorization: Bearer $FORKYARD_TOKEN`";
    let of_a_process = "the header is `Authorization: Bearer $FORKYARD_TOKEN`, with the token of a process";
    let foreign = "a page of the web has no business here: a request with an `Origin` is refused";
    is_refused(&[
        (
            request("POST", "/v1/events/go/set", "", ""),
            401,
            "unknown_token",
            no_token,
        ),
        (
            request("POST", "/v1/events/go/set", "Authorization: Basic d3JpdGU=\r\n", ""),
            401,
            "unknown_token",
            of_a_process,
        ),
        (
            request("POST", "/v1/events/go/set", "Authorization: Bearer  \r\n", ""),
            401,
            "unknown_token",
            of_a_process,
        ),
        (
            post("guessed", "events/go/set", ""),
            401,
            "unknown_token",
            "FORKYARD_TOKEN belongs to no process of this run",
        ),
        (
            request("GET", "/v1/ps", "Origin: https://example.com\r\n", ""),
            403,
            "foreign_origin",
            foreign,
        ),
    ])
    .await;
}

#[tokio::test]
async fn paths_and_methods() {
    is_refused(&[
        (
            request("POST", "/v1/queue/jobs/put", AS_WRITE, ""),
            404,
            "no_such_path",
            "there is no /v1/queue/jobs/put; did you mean /v1/queues/jobs/put?",
        ),
        (
            request("GET", "/", "", ""),
            404,
            "no_such_path",
            "there is no /; see /v1/openapi.json",
        ),
        (
            request("POST", "/v1/queues//put", AS_WRITE, ""),
            404,
            "no_such_path",
            "there is no /v1/queues//put; did you mean /v1/queues/{name}/put?",
        ),
        (
            request("GET", "/v1/queues/jobs/put", AS_WRITE, ""),
            405,
            "method_not_allowed",
            "/v1/queues/jobs/put is asked by POST, not GET",
        ),
    ])
    .await;
    let mut world = World::new();
    let told = Exchange::of(&mut world, &request("DELETE", "/v1/ps", "", "")).await;
    assert_eq!((told.status, told.header("allow")), (405, "GET"));
}

#[tokio::test]
async fn bodies() {
    let bad = |body: &str, message| (post("write", "queues/jobs/put", body), 400, "bad_request", message);
    let one_of = "one of `item`, `items` and `base64` is what to put";
    let text = "Authorization: Bearer write\r\nContent-Type: text/plain\r\n";
    is_refused(&[
        bad("", one_of),
        bad("{}", one_of),
        bad(r#"{"item":"x","items":[]}"#, one_of),
        bad("[]", "the body is a JSON object: it begins with `{`"),
        bad(
            r#"{"itme":"x"}"#,
            "the body is not as it should be: unknown field `itme`, expected one of `item`, `items`, `base64`, `timeout`, `block` at line 1 column 7",
        ),
        bad(r#"{"base64":"?"}"#, "`base64` is none: Invalid symbol 63, offset 0."),
        bad(
            r#"{"item":"x","timeout":"soon"}"#,
            r#"`timeout` is a duration, written as "250ms", "3s", "2m" or "1h30m""#,
        ),
        bad(
            r#"{"item":"x","timeout":"2s","block":false}"#,
            "`block: false` waits for no `timeout`: give one of them",
        ),
        (
            request("POST", "/v1/queues/jobs/put", text, "x"),
            415,
            "unsupported_media_type",
            "a body is application/json, or for a put application/octet-stream, not text/plain",
        ),
        (
            request("POST", "/v1/events/go/set?now", AS_WRITE, ""),
            400,
            "bad_request",
            "nothing may stand after a `?`, but for a put of application/octet-stream",
        ),
        (
            post("read", "queues/jobs/get", r#"{"max":0}"#),
            400,
            "bad_request",
            "`max` is a number from 1 to 1000",
        ),
        (
            post("read", "queues/jobs/ack", r#"{"id":"first"}"#),
            400,
            "bad_request",
            "`first` is no id of an item",
        ),
        (
            post("read", "semaphores/slots/acquire", r#"{"permits":3}"#),
            400,
            "too_many",
            "there are only 2 permits",
        ),
        (
            post("read", "semaphores/slots/acquire", r#"{"permits":0}"#),
            400,
            "too_many",
            "at least one permit must be asked for",
        ),
    ])
    .await;
}

#[tokio::test]
async fn too_large_an_item_is_refused_and_counted() {
    let mut world = World::new();
    let raw = "Authorization: Bearer write\r\nContent-Type: application/octet-stream\r\n";
    let message = "the item is larger than the queue's `max_item` of 2000 bytes";
    for length in [2001, 1_000_000] {
        let told = Exchange::of(
            &mut world,
            &request("POST", "/v1/queues/jobs/put", raw, &"x".repeat(length)),
        )
        .await;
        assert_eq!((told.status, told.message()), (413, message.to_owned()));
    }
    assert_eq!(world.yard.counts(0).refused, 2);
    let fits = request("POST", "/v1/queues/jobs/put", raw, &"x".repeat(2000));
    assert_eq!(Exchange::of(&mut world, &fits).await.status, 200);
    let large = format!(r#"{{"item":"{}"}}"#, "x".repeat(100_000));
    let told = Exchange::of(&mut world, &post("write", "queues/jobs/put", &large)).await;
    assert_eq!((told.status, told.error()), (413, "too_large".to_owned()));
}

#[tokio::test]
async fn what_is_not_there_now_is_no_failure_of_anybody() {
    let mut world = World::new();
    let told = Exchange::of(&mut world, &post("read", "queues/jobs/get", r#"{"block":false}"#)).await;
    assert_eq!((told.status, told.error()), (409, "would_block".to_owned()));
    let told = Exchange::of(&mut world, &post("read", "queues/jobs/get", r#"{"timeout":"1ms"}"#)).await;
    assert_eq!((told.status, told.error()), (409, "timed_out".to_owned()));
    assert_eq!(world.yard.counts(0).waiting_take, 0);
    world.yard.close(0);
    let told = Exchange::of(&mut world, &post("read", "queues/jobs/get", "")).await;
    assert_eq!((told.status, told.error()), (410, "closed".to_owned()));
    let mut world = World::new();
    world.yard.break_queue(0);
    let told = Exchange::of(&mut world, &post("write", "queues/jobs/put", r#"{"item":"x"}"#)).await;
    assert_eq!((told.status, told.error()), (410, "broken".to_owned()));
}

/// Bytes that are no HTTP end their connection, and nothing else.
#[tokio::test]
async fn what_is_no_http_is_refused_and_closed() {
    let large = format!("GET /v1/ps HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(100_000));
    let mut many = b"GET /v1/ps HTTP/1.1\r\n".to_vec();
    many.extend((0..100).flat_map(|number| format!("X-{number}: x\r\n").into_bytes()));
    many.extend(b"\r\n");
    for (bytes, status) in [
        (b"GET\r\n\r\n".to_vec(), "400"),
        (b"GET /v1/ps HTTP/9.9\r\n\r\n".to_vec(), "400"),
        (
            b"POST /v1/events/go/set HTTP/1.1\r\nContent-Length: -1\r\n\r\n".to_vec(),
            "400",
        ),
        (large.into_bytes(), "431"),
        (many, "431"),
    ] {
        let mut world = World::new();
        let socket = world.socket();
        let sent = bytes.clone();
        let task = World::task(move || {
            let mut stream = UnixStream::connect(socket).expect("connected");
            // The server may refuse it before it is all sent.
            let _sent = stream.write_all(&sent);
            let mut told = Vec::new();
            let _end = stream.read_to_end(&mut told);
            String::from_utf8_lossy(&told).into_owned()
        });
        let told = world.join(task).await;
        let beginning = String::from_utf8_lossy(&bytes[..bytes.len().min(60)]).into_owned();
        assert!(
            told.starts_with(&format!("HTTP/1.1 {status}")),
            "`{beginning}` was answered `{told}`"
        );
        let other = Exchange::of(&mut world, &wire::request("GET", "/v1/ps", "", "")).await;
        assert_eq!(other.status, 200, "others are served");
    }
}
