//! The broker at a real socket, with the real client and with whatever else may connect.

mod attach;
mod http;
mod misuse;
mod world;

use std::time::Duration;

use crate::yard::{Change, Slot};
use forkyard_ipc::client::{Client, ClientError, Granted, Patience};

use world::World;

#[tokio::test]
async fn an_item_goes_from_process_to_process() {
    let mut world = World::new();
    let reader = world.client("read", |client| {
        let item = client
            .get("jobs", Patience::Block)
            .expect("an answer")
            .expect("an item");
        let bytes = item.bytes().to_vec();
        item.ack().expect("acknowledged");
        bytes
    });
    world.until(|yard| yard.counts(0).waiting_take == 1).await;
    let writer = world.client("write", |client| {
        client.put("jobs", "144", Patience::Block).expect("an answer")
    });
    assert!(world.join(writer).await);
    assert_eq!(world.join(reader).await, b"144");
    assert_eq!(world.yard.counts(0).got, 1);
}

#[tokio::test]
async fn what_cannot_be_had_at_once_is_said() {
    let mut world = World::new();
    let reader = world.client("read", |client| {
        let empty = client.get("jobs", Patience::Try).expect("an answer").is_none();
        let late = client
            .get("jobs", Patience::For(Duration::from_millis(2)))
            .expect("an answer")
            .is_none();
        let unset = client.wait("go", Patience::Try).expect("an answer");
        (empty, late, unset)
    });
    assert_eq!(world.join(reader).await, (true, true, false));
    let writer = world.client("write", |client| {
        let puts: Vec<bool> = (0..3)
            .map(|_| {
                client
                    .put("jobs", "x", Patience::For(Duration::from_millis(2)))
                    .expect("an answer")
            })
            .collect();
        puts
    });
    assert_eq!(world.join(writer).await, [true, true, false]);
    let counts = world.yard.counts(0);
    assert_eq!((counts.put, counts.waiting_put, counts.waiting_take), (2, 0, 0));
}

/// Time-outs of one millisecond race with whatever they wait for, on both sides of a queue of two.
#[tokio::test]
async fn impatient_clients_lose_nothing_and_get_nothing_twice() {
    const WRITERS: u32 = 3;
    const ITEMS: u32 = 60;
    let brief = Patience::For(Duration::from_millis(1));
    let mut world = World::new();
    let readers: Vec<_> = (0..3)
        .map(|_| world.client("read", move |client| get_until_closed(client, brief)))
        .collect();
    let writer = |number: u32| {
        move |client: &mut Client| {
            for item in (number * ITEMS)..(number * ITEMS + ITEMS) {
                while !client.put("jobs", item.to_string(), brief).expect("an answer") {}
            }
        }
    };
    let writers: Vec<_> = (0..WRITERS)
        .map(|number| world.client("write", writer(number)))
        .collect();
    for writer in writers {
        world.join(writer).await;
    }
    world.close_queue();
    let mut got = Vec::new();
    for reader in readers {
        got.extend(world.join(reader).await);
    }
    got.sort_unstable();
    assert_eq!(got, (0..WRITERS * ITEMS).collect::<Vec<_>>());
}

fn get_until_closed(client: &mut Client, patience: Patience) -> Vec<u32> {
    let mut got = Vec::new();
    loop {
        match client.get("jobs", patience) {
            Ok(Some(item)) => {
                got.push(
                    std::str::from_utf8(item.bytes())
                        .expect("text")
                        .parse()
                        .expect("a number"),
                );
                item.ack().expect("acknowledged");
            }
            Ok(None) => {}
            Err(closed) => {
                assert!(matches!(closed, ClientError::Closed), "{closed}");
                return got;
            }
        }
    }
}

#[tokio::test]
async fn ee13_a_hold_belongs_to_the_process_and_not_to_the_connection() {
    let mut world = World::new();
    let granted = world.client("write", |client| {
        client.acquire("report", 1, Patience::Block).expect("an answer")
    });
    assert_eq!(world.join(granted).await, Some(Granted { orphaned: false }));
    world.until_alone().await;
    let other = world.client("read", |client| {
        client.acquire("report", 1, Patience::Try).expect("an answer")
    });
    assert_eq!(world.join(other).await, None);
    let released = world.client("write", |client| client.release("report", 1));
    world
        .join(released)
        .await
        .expect("another client of the same process releases it");
    assert_eq!(world.yard.owner(0), None);
}

#[tokio::test]
async fn who_dies_with_a_lock_leaves_it_to_the_next() {
    let mut world = World::new();
    let granted = world.client("write", |client| {
        client.acquire("report", 1, Patience::Block).expect("an answer")
    });
    world.join(granted).await.expect("granted");
    let next = world.client("read", |client| {
        client.acquire("report", 1, Patience::Block).expect("an answer")
    });
    world.until_parked(1).await;
    world.died(Slot(0));
    assert_eq!(world.join(next).await, Some(Granted { orphaned: true }));
}

#[tokio::test]
async fn events_are_set_and_cleared() {
    let mut world = World::new();
    let waiter = world.client("read", |client| client.wait("go", Patience::Block).expect("an answer"));
    world.until_parked(1).await;
    let setter = world.client("write", |client| client.set("go").and_then(|()| client.clear("go")));
    world.join(setter).await.expect("set and cleared");
    assert!(world.join(waiter).await);
    assert_eq!(world.yard.changes(), [Change::EventSet(0)]);
    assert!(!world.yard.is_set(0));
}

#[tokio::test]
async fn ends_of_a_queue_are_told() {
    let mut world = World::new();
    world.yard.close(0);
    let reader = world.client("read", |client| client.get("jobs", Patience::Block).map(drop));
    assert!(matches!(world.join(reader).await, Err(ClientError::Closed)));
    let mut world = World::new();
    world.yard.break_queue(0);
    let writer = world.client("write", |client| client.put("jobs", "x", Patience::Block));
    assert!(matches!(world.join(writer).await, Err(ClientError::Broken)));
}

#[tokio::test]
async fn i9_items_as_large_as_permitted_pass_and_one_more_byte_does_not() {
    let mut world = World::new();
    let writer = world.client("write", |client| {
        let fits = client.put("jobs", vec![0; 2000], Patience::Block).expect("an answer");
        let (over, far_over) = (vec![0; 2001], vec![0; 1_000_000]);
        let refused = client.put("jobs", over, Patience::Block).expect_err("too large");
        assert!(matches!(
            client.put("jobs", far_over, Patience::Block),
            Err(ClientError::TooLarge(_))
        ));
        let goes_on = client.put("jobs", "x", Patience::Block).expect("an answer");
        (fits, refused.to_string(), goes_on)
    });
    let (fits, refused, goes_on) = world.join(writer).await;
    assert!(fits && goes_on);
    assert_eq!(refused, "the item is larger than the queue's `max_item` of 2000 bytes");
    assert_eq!(world.yard.counts(0).refused, 2);
}

#[tokio::test]
async fn the_table_is_for_everybody() {
    let mut world = World::new();
    let socket = world.socket();
    let stranger = World::task(move || {
        let mut client = Client::connect(&socket).expect("greeted");
        let refused = client.set("go").expect_err("it is nobody");
        (client.ps().expect("a table"), refused.to_string())
    });
    let (table, refused) = world.join(stranger).await;
    assert_eq!(table, world::TABLE);
    assert_eq!(refused, "this client speaks for no process of the run");
}

/// What the process `write` is told when it tries that.
async fn refusal(of: impl FnOnce(&mut Client) -> Result<(), ClientError> + Send + 'static) -> String {
    let mut world = World::new();
    let client = world.client("write", |client| of(client).expect_err("it is not allowed").to_string());
    world.join(client).await
}

#[tokio::test]
async fn what_is_not_declared_is_refused_with_the_missing_line() {
    assert_eq!(
        refusal(|client| client.get("jobs", Patience::Try).map(drop)).await,
        "process `write` has not declared that it gets from `jobs`: add `receives: [jobs]` to process `write`"
    );
    assert_eq!(
        refusal(|client| client.acquire("slots", 1, Patience::Try).map(drop)).await,
        "process `write` has not declared that it acquires `slots`: add `acquires: [slots]` to process `write`"
    );
    assert_eq!(
        refusal(|client| client.wait("go", Patience::Try).map(drop)).await,
        "process `write` has not declared that it waits for `go`: add `waits: [go]` to process `write`"
    );
}

#[tokio::test]
async fn names_that_are_not_there_or_of_another_kind_are_told() {
    assert_eq!(
        refusal(|client| client.put("jobz", "x", Patience::Try).map(drop)).await,
        "there is no `jobz` in this workflow; did you mean `jobs`?"
    );
    assert_eq!(
        refusal(|client| client.set("\n")).await,
        "there is no `\\n` in this workflow"
    );
    assert_eq!(
        refusal(|client| client.set("jobs")).await,
        "`jobs` is a queue; only an event is set and cleared"
    );
    assert_eq!(
        refusal(|client| client.put("read", "x", Patience::Try).map(drop)).await,
        "`read` is a process; items are put into a queue"
    );
    assert_eq!(
        refusal(|client| client.release("report", 1)).await,
        "this process does not hold `report`, or less of it"
    );
}

#[tokio::test]
async fn more_permits_than_there_are_are_refused() {
    let mut world = World::new();
    let client = world.client("read", |client| {
        let many = client
            .acquire("slots", 3, Patience::Block)
            .expect_err("there are 2")
            .to_string();
        let none = client
            .acquire("slots", 0, Patience::Block)
            .expect_err("none is nothing")
            .to_string();
        let two = client
            .acquire("report", 2, Patience::Block)
            .expect_err("a lock has one")
            .to_string();
        (many, none, two)
    });
    let (many, none, two) = world.join(client).await;
    assert_eq!(many, "there are only 2 permits");
    assert_eq!(none, "at least one permit must be asked for");
    assert_eq!(two, "there is only one to be held");
}
