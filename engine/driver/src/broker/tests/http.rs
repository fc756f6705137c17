//! HTTP at a real socket, by requests as they stand on the wire.

mod bad;
mod openapi;
mod wire;

use forkyard_ipc::client::Patience;
use serde_json::json;

use super::world::World;
use crate::yard::{Held, Reply, Request, Slot, Ticket};
use wire::{Exchange, post};

/// The process `write` puts that into `jobs`.
async fn put(world: &mut World, item: &'static str) {
    let put = world.client("write", move |client| {
        client.put("jobs", item, Patience::Block).expect("an answer")
    });
    assert!(world.join(put).await);
}

#[tokio::test]
async fn an_item_goes_as_text_and_is_acknowledged_when_it_has_come() {
    let mut world = World::new();
    let told = Exchange::of(&mut world, &post("write", "queues/jobs/put", r#"{"item":"für 144"}"#)).await;
    assert_eq!((told.status, told.json()), (200, json!({"put": 1})));
    let told = Exchange::of(&mut world, &post("read", "queues/jobs/get", "")).await;
    assert_eq!(told.status, 200);
    assert_eq!(
        told.json(),
        json!({"items": [{"id": "0", "deliveries": 1, "text": "für 144"}]})
    );
    world.until_alone().await;
    let counts = world.yard.counts(0);
    assert_eq!((counts.got, counts.taken), (1, 0));
}

#[tokio::test]
async fn bytes_go_as_they_are_and_as_base64() {
    let mut world = World::new();
    let head = "Authorization: bearer write\r\nContent-Type: application/octet-stream\r\n";
    let mut request = wire::request("POST", "/v1/queues/jobs/put?timeout=1s", head, "....");
    let end = request.len();
    request[end - 4..].copy_from_slice(&[0, 255, b'\n', 0]);
    assert_eq!(Exchange::of(&mut world, &request).await.status, 200);
    let told = Exchange::of(&mut world, &post("write", "queues/jobs/put", r#"{"base64":"AP8="}"#)).await;
    assert_eq!(told.status, 200);
    let raw = "Authorization: Bearer read\r\nAccept: application/octet-stream\r\n";
    let told = Exchange::of(&mut world, &wire::request("POST", "/v1/queues/jobs/get", raw, "")).await;
    assert_eq!(told.body, [0, 255, b'\n', 0]);
    assert_eq!(
        (told.header("forkyard-item"), told.header("forkyard-deliveries")),
        ("0", "1")
    );
    let told = Exchange::of(&mut world, &post("read", "queues/jobs/get", "")).await;
    assert_eq!(told.json()["items"][0]["base64"], "AP8=");
}

#[tokio::test]
async fn an_empty_item_is_an_item() {
    let mut world = World::new();
    put(&mut world, "").await;
    let raw = "Authorization: Bearer read\r\nAccept: application/octet-stream\r\n";
    let told = Exchange::of(&mut world, &wire::request("POST", "/v1/queues/jobs/get", raw, "")).await;
    assert_eq!((told.status, told.body.len()), (200, 0));
    world.until(|yard| yard.counts(0).got == 1).await;
}

#[tokio::test]
async fn several_items_are_put_and_got_at_once() {
    let mut world = World::new();
    let three = r#"{"items":["a","b","c"],"block":false}"#;
    let told = Exchange::of(&mut world, &post("write", "queues/jobs/put", three)).await;
    assert_eq!((told.status, &told.json()["put"]), (409, &json!(2)));
    let told = Exchange::of(&mut world, &post("read", "queues/jobs/get", r#"{"max":10}"#)).await;
    let texts: Vec<_> = told.json()["items"]
        .as_array()
        .expect("items")
        .iter()
        .map(|item| item["text"].clone())
        .collect();
    assert_eq!(texts, ["a", "b"]);
}

#[tokio::test]
async fn a_kept_item_outlives_its_connection() {
    let mut world = World::new();
    put(&mut world, "once").await;
    let keep = post("read", "queues/jobs/get", r#"{"ack":false}"#);
    assert_eq!(Exchange::of(&mut world, &keep).await.json()["items"][0]["id"], "0");
    world.until_alone().await;
    assert_eq!(world.yard.counts(0).taken, 1);
    let told = Exchange::of(&mut world, &post("read", "queues/jobs/nack", r#"{"id":"0"}"#)).await;
    assert_eq!((told.status, told.body.len()), (204, 0));
    assert_eq!(
        Exchange::of(&mut world, &keep).await.json()["items"][0]["deliveries"],
        2
    );
    let told = Exchange::of(&mut world, &post("read", "queues/jobs/ack", r#"{"ids":["0"]}"#)).await;
    assert_eq!(told.status, 204);
    let told = Exchange::of(&mut world, &post("read", "queues/jobs/ack", r#"{"id":"0"}"#)).await;
    assert_eq!((told.status, told.error()), (409, "not_held".to_owned()));
    assert_eq!(world.yard.counts(0).got, 1);
}

#[tokio::test]
async fn a_kept_item_goes_back_when_its_process_ends() {
    let mut world = World::new();
    put(&mut world, "once").await;
    let told = Exchange::of(&mut world, &post("read", "queues/jobs/get", r#"{"ack":false}"#)).await;
    assert_eq!(told.status, 200);
    world.died(Slot(1));
    let counts = world.yard.counts(0);
    assert_eq!((counts.taken, counts.returned), (0, 1));
}

#[tokio::test]
async fn what_has_come_before_its_process_ended_does_not_go_back() {
    let mut world = World::new();
    put(&mut world, "once").await;
    // The broker has had no turn since the answer was written.
    let told = Exchange::of(&mut world, &post("read", "queues/jobs/get", "")).await;
    assert_eq!(told.status, 200);
    world.died(Slot(1));
    let counts = world.yard.counts(0);
    assert_eq!((counts.got, counts.returned), (1, 0));
}

#[tokio::test]
async fn who_goes_while_it_waits_asks_no_longer() {
    let mut world = World::new();
    let waiting = wire::ask(&world, &post("read", "queues/jobs/get", ""));
    world.until(|yard| yard.counts(0).waiting_take == 1).await;
    drop(waiting);
    world.until_alone().await;
    assert_eq!(world.yard.counts(0).waiting_take, 0);
    assert_eq!(world.broker.parked.len(), 0);
}

/// With a second request behind the first, the server sees only by writing that its client has gone.
#[tokio::test]
async fn an_item_that_cannot_be_delivered_goes_back() {
    let mut world = World::new();
    let get = post("read", "queues/jobs/get", "");
    let waiting = wire::ask(&world, &[&get[..], &get[..]].concat());
    world.until(|yard| yard.counts(0).waiting_take == 1).await;
    drop(waiting);
    put(&mut world, "once").await;
    world.until_alone().await;
    let counts = world.yard.counts(0);
    assert_eq!((counts.got, counts.taken, counts.returned), (0, 0, 1));
}

#[tokio::test]
async fn a_lock_whose_grant_cannot_be_delivered_is_free() {
    let mut world = World::new();
    let lock = Held::Lock(0);
    let owner = Slot(7);
    let held = world
        .yard
        .ask(owner, Ticket(1), Request::Acquire { held: lock, permits: 1 }, true);
    assert_eq!(held, Some(Reply::Granted { orphaned: false }));
    let acquire = post("read", "locks/report/acquire", "");
    let waiting = wire::ask(&world, &[&acquire[..], &acquire[..]].concat());
    world.until_parked(1).await;
    drop(waiting);
    world.yard.release(owner, lock, 1).expect("it is held");
    world.pass_on_replies();
    assert_eq!(world.yard.owner(0), Some(Slot(1)));
    world.until_alone().await;
    assert_eq!(world.yard.owner(0), None);
}

#[tokio::test]
async fn holds_belong_to_the_process() {
    let mut world = World::new();
    let told = Exchange::of(
        &mut world,
        &post("read", "semaphores/slots/acquire", r#"{"permits":2}"#),
    )
    .await;
    assert_eq!((told.status, told.json()), (200, json!({"orphaned": false})));
    world.until_alone().await;
    assert_eq!(world.yard.free(0), 0);
    let told = Exchange::of(
        &mut world,
        &post("read", "semaphores/slots/release", r#"{"permits":2}"#),
    )
    .await;
    assert_eq!(told.status, 204);
    assert_eq!(world.yard.free(0), 2);
}

#[tokio::test]
async fn who_dies_with_a_lock_leaves_it_to_the_next_over_http() {
    let mut world = World::new();
    let told = Exchange::of(&mut world, &post("write", "locks/report/acquire", "")).await;
    assert_eq!(told.status, 200);
    world.died(Slot(0));
    let told = Exchange::of(&mut world, &post("read", "locks/report/acquire", "")).await;
    assert_eq!(told.json(), json!({"orphaned": true}));
}

#[tokio::test]
async fn events_are_set_waited_for_and_cleared() {
    let mut world = World::new();
    let told = Exchange::of(&mut world, &post("read", "events/go/wait", r#"{"timeout":"2ms"}"#)).await;
    assert_eq!((told.status, told.error()), (409, "timed_out".to_owned()));
    let waiting = wire::ask(&world, &post("read", "events/go/wait", ""));
    world.until_parked(1).await;
    let told = Exchange::of(&mut world, &post("write", "events/go/set", "{}")).await;
    assert_eq!(told.status, 204);
    let told = Exchange::read(&mut world, waiting).await;
    assert_eq!(told.status, 204);
    let told = Exchange::of(&mut world, &post("write", "events/go/clear", "")).await;
    assert_eq!(told.status, 204);
    assert!(!world.yard.is_set(0));
}

#[tokio::test]
async fn who_waits_for_a_process_that_ends_is_told() {
    let mut world = World::new();
    let waiting = wire::ask(&world, &post("read", "queues/jobs/get", ""));
    world.until_parked(1).await;
    world.died(Slot(1));
    let told = Exchange::read(&mut world, waiting).await;
    assert_eq!((told.status, told.error()), (410, "ended".to_owned()));
}

#[tokio::test]
async fn one_connection_may_speak_for_several_processes() {
    let mut world = World::new();
    let both = [
        post("write", "queues/jobs/put", r#"{"item":"x"}"#),
        post("read", "queues/jobs/get", ""),
        post("write", "queues/jobs/put", r#"{"item":"y"}"#),
    ]
    .concat();
    let told = Exchange::all_of(&mut world, &both, 3).await;
    assert_eq!(told.iter().map(|told| told.status).collect::<Vec<_>>(), [200, 200, 200]);
    assert_eq!(told[1].json()["items"][0]["text"], "x");
    world.until_alone().await;
    let counts = world.yard.counts(0);
    assert_eq!((counts.put, counts.got), (2, 1));
}

#[tokio::test]
async fn a_body_may_come_in_chunks() {
    let mut world = World::new();
    let head =
        "Authorization: Bearer write\r\nContent-Type: application/octet-stream\r\nTransfer-Encoding: chunked\r\n";
    let request = format!("POST /v1/queues/jobs/put HTTP/1.1\r\nHost: x\r\n{head}\r\n2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n");
    assert_eq!(Exchange::of(&mut world, request.as_bytes()).await.status, 200);
    let told = Exchange::of(&mut world, &post("read", "queues/jobs/get", "")).await;
    assert_eq!(told.json()["items"][0]["text"], "abcde");
}

#[tokio::test]
async fn many_http_clients_wait_and_are_served() {
    let mut world = World::new();
    let waiting: Vec<_> = (0..200)
        .map(|_| wire::ask(&world, &post("read", "events/go/wait", "")))
        .collect();
    world.until_parked(200).await;
    let told = Exchange::of(&mut world, &post("write", "events/go/set", "")).await;
    assert_eq!(told.status, 204);
    for stream in waiting {
        assert_eq!(Exchange::read(&mut world, stream).await.status, 204);
    }
    world.until_alone().await;
}
