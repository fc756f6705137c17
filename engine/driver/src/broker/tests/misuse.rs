//! Clients that die at the wrong moment, do not read, or are none at all: the others are unharmed.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;

use crate::yard::{Reply, Request, Slot, Ticket};
use forkyard_ipc::client::{Client, ClientError, Patience};
use forkyard_ipc::wire::{Answer, Ask, Decoder};

use super::world::World;
use crate::broker::ANSWERS_MAX;

fn hello(token: &str, version: u32) -> Vec<u8> {
    Ask::Hello {
        token: token.to_owned(),
        version,
    }
    .encode(1)
    .expect("short")
}

fn get(request: u64) -> Vec<u8> {
    Ask::Get {
        name: "jobs".to_owned(),
        block: true,
    }
    .encode(request)
    .expect("short")
}

/// A connection that has been greeted, and asks that.
fn asking(socket: &Path, token: &str, bytes: &[u8]) -> UnixStream {
    let mut stream = UnixStream::connect(socket).expect("connected");
    stream.write_all(&hello(token, 1)).expect("sent");
    let done = Answer::Done.encode(1).expect("short");
    let mut told = vec![0; done.len()];
    stream.read_exact(&mut told).expect("answered");
    assert_eq!(told, done);
    stream.write_all(bytes).expect("sent");
    stream
}

/// Sends these bytes on a fresh connection, and reads all answers until it is closed.
async fn answers(world: &mut World, bytes: Vec<u8>) -> Vec<Answer> {
    let socket = world.socket();
    let task = World::task(move || {
        let mut stream = UnixStream::connect(socket).expect("connected");
        stream.write_all(&bytes).expect("sent");
        let mut told = Vec::new();
        stream.read_to_end(&mut told).expect("closed by the broker");
        told
    });
    let mut decoder = Decoder::new(10_000);
    decoder.feed(&world.join(task).await);
    let frames = std::iter::from_fn(|| decoder.next_frame().expect("frames"));
    frames.map(|frame| Answer::decode(&frame).expect("answers")).collect()
}

fn refusals(answers: &[Answer]) -> Vec<&str> {
    let told = answers.iter().filter_map(|answer| {
        if let Answer::Refused { message, .. } = answer {
            Some(message.as_str())
        } else {
            None
        }
    });
    told.collect()
}

#[tokio::test]
async fn i8_ee7_what_is_none_of_the_protocol_is_refused_and_closed() {
    let unknown = [
        &hello("write", 1)[..],
        &[0, 0, 0, 0, 99, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0],
    ]
    .concat();
    for (bytes, told) in [
        (
            [0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0].to_vec(),
            "a frame has more in it than it should",
        ),
        (vec![255; 16], "a frame is too long"),
        (
            Ask::Ps.encode(1).expect("short"),
            "the first request of a client must be its hello",
        ),
        (hello("write", 2), "the engine speaks version 1, this client 2"),
        (hello("guessed", 1), "FORKYARD_TOKEN belongs to no process of this run"),
        (unknown, "there is no operation 99"),
        ([hello("write", 1), vec![0xff; 30]].concat(), "a frame is too long"),
        (
            [hello("read", 1), get(7), get(7)].concat(),
            "more than 64 requests wait, or two have one number",
        ),
    ] {
        let mut world = World::new();
        assert_eq!(refusals(&answers(&mut world, bytes).await), [told]);
        world.until_alone().await;
        let counts = world.yard.counts(0);
        assert_eq!((counts.waiting_take, counts.waiting_put), (0, 0), "after {told}");
    }
}

#[tokio::test]
async fn i8_ee4_half_a_frame_is_no_request() {
    let mut world = World::new();
    let socket = world.socket();
    let task = World::task(move || {
        drop(asking(&socket, "read", &get(2)[..20]));
    });
    world.join(task).await;
    world.until_alone().await;
    assert_eq!(world.yard.counts(0).waiting_take, 0);
}

#[tokio::test]
async fn i5_ee3_a_client_that_dies_while_it_waits_is_forgotten() {
    let mut world = World::new();
    let socket = world.socket();
    let waiting = World::task(move || asking(&socket, "read", &get(2)));
    let waiting = world.join(waiting).await;
    world.until(|yard| yard.counts(0).waiting_take == 1).await;
    drop(waiting);
    world.until_alone().await;
    assert_eq!(world.yard.counts(0).waiting_take, 0);
    assert_eq!(world.broker.parked.len(), 0);
}

#[tokio::test]
async fn i3_ee2_a_client_that_dies_between_take_and_acknowledgement_returns_the_item() {
    let mut world = World::new();
    let socket = world.socket();
    let taker = World::task(move || asking(&socket, "read", &get(2)));
    let stream = world.join(taker).await;
    let put = world.client("write", |client| {
        client.put("jobs", "once", Patience::Block).expect("an answer")
    });
    assert!(world.join(put).await);
    world.until(|yard| yard.counts(0).taken == 1).await;
    drop(stream);
    world.until(|yard| yard.counts(0).returned == 1).await;
    let next = world.client("read", |client| {
        let item = client
            .get("jobs", Patience::Block)
            .expect("an answer")
            .expect("an item");
        let seen = (item.bytes().to_vec(), item.deliveries());
        item.ack().expect("acknowledged");
        seen
    });
    assert_eq!(world.join(next).await, (b"once".to_vec(), 2));
}

#[tokio::test]
async fn ee17_what_is_granted_to_a_client_that_has_gone_is_undone() {
    let mut world = World::new();
    let lock = crate::yard::Held::Lock(0);
    let owner = Slot(7);
    let acquire = Request::Acquire { held: lock, permits: 1 };
    let held = world.yard.ask(owner, Ticket(1), acquire, true);
    assert_eq!(held, Some(Reply::Granted { orphaned: false }));
    let waiting = world.client("write", |client| client.acquire("report", 1, Patience::Block).map(drop));
    world.until_parked(1).await;
    // The grant is ready when the connection goes, but has not been passed on.
    world.yard.release(owner, lock, 1).expect("it is held");
    let connection = *world.broker.connections.keys().next().expect("one client");
    world.broker.forget(&mut world.yard, connection);
    assert!(matches!(world.join(waiting).await, Err(ClientError::RunEnded)));
    for (ticket, reply) in world.yard.replies() {
        assert!(world.broker.answered(&mut world.yard, ticket, reply));
    }
    assert_eq!(world.yard.owner(0), None);
}

#[tokio::test]
async fn i8_a_client_that_reads_no_answers_is_cut_off() {
    let mut world = World::new();
    let socket = world.socket();
    let flood = World::task(move || {
        let mut stream = asking(&socket, "write", &[]);
        let clear = Ask::Clear { name: "go".to_owned() }.encode(2).expect("short");
        // Ends only when the broker closes: the answers are never read.
        while stream.write_all(&clear).is_ok() {}
    });
    world.join(flood).await;
    world.until_alone().await;
    let other = world.client("write", |client| client.set("go"));
    world.join(other).await.expect("others are served");
    assert!(world.yard.is_set(0));
}

#[tokio::test]
async fn the_clients_of_a_process_that_has_ended_are_told() {
    let mut world = World::new();
    let waiting = world.client("read", |client| client.wait("go", Patience::Block));
    world.until_parked(1).await;
    world.died(Slot(1));
    assert!(matches!(world.join(waiting).await, Err(ClientError::RunEnded)));
    assert_eq!(world.broker.parked.len(), 0);
    world.until_alone().await;
}

#[tokio::test]
async fn many_clients_are_served() {
    let mut world = World::new();
    let socket = world.socket();
    let crowd = World::task(move || {
        let mut clients: Vec<Client> = (0..300)
            .map(|_| Client::of_process(&socket, "write").expect("greeted"))
            .collect();
        clients.iter_mut().filter_map(|client| client.set("go").ok()).count()
    });
    assert_eq!(world.join(crowd).await, 300);
    world.until_alone().await;
}

#[tokio::test]
async fn answers_are_kept_for_a_client_that_is_not_too_slow() {
    let mut world = World::new();
    let count = u64::try_from(ANSWERS_MAX / 2).expect("few");
    let clear = |request| Ask::Clear { name: "go".to_owned() }.encode(request).expect("short");
    let mut bytes = hello("write", 1);
    bytes.extend((2..count).flat_map(clear));
    // Something refused at the end closes the connection, after all that was answered before.
    bytes.extend([255; 16]);
    let told = answers(&mut world, bytes).await;
    assert_eq!(
        told.iter().filter(|answer| **answer == Answer::Done).count() as u64,
        count - 1
    );
}

#[tokio::test]
async fn dropped_the_broker_removes_its_socket() {
    let world = World::new();
    let socket = world.socket();
    assert!(socket.exists());
    drop(world.broker);
    assert!(!socket.exists());
}
