//! Programs that act on the yard of their run by its socket.

use std::path::{Path, PathBuf};
use std::time::Duration;

use forkyard_core::id::{EventId, LockId};
use forkyard_core::machine::Verdict;
use forkyard_core::plan::{Condition, Dependency, Event, Grant, Hold, Lock, Otherwise, Party, Resource, Wait, Wire};
use forkyard_ipc::client::{Client, Patience};

use super::world::World;
use crate::alone::passes_alone;

/// Tells its token and socket, then lives until the file `done` is there.
const TELLS: &str = "echo $FORKYARD_TOKEN > new; echo $FORKYARD_SOCKET >> new; mv new told; \
                     until test -e done; do sleep 0.01; done";

/// The client of the process that runs [`TELLS`], once that runs.
fn client(folder: &Path) -> Client {
    let told = loop {
        match std::fs::read_to_string(folder.join("told")) {
            Ok(told) => break told,
            Err(_) => std::thread::sleep(Duration::from_millis(5)),
        }
    };
    let (token, socket) = told.trim().split_once('\n').expect("two lines");
    Client::of_process(Path::new(socket), token).expect("connected")
}

/// Runs `acts` as a client beside the run.
fn beside(folder: PathBuf, acts: impl FnOnce(&mut Client) + Send + 'static) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        acts(&mut client(&folder));
        std::fs::write(folder.join("done"), "").expect("written");
    })
}

#[test]
fn a_program_puts_and_sets_what_it_has_declared() {
    passes_alone(
        "run::tests::clients::a_program_puts_and_sets_what_it_has_declared",
        || {
            let mut world = World::new();
            let queue = world.queue("items", 10);
            world.plan.events.push(Event {
                name: "go".to_owned(),
                set: false,
            });
            let tells = world.process("tells", TELLS, []);
            world.plan.queues[queue.index()].senders.push(Party::Process(tells));
            world.plan.launches[tells.index()].grants = vec![Grant::Put(queue), Grant::Set(EventId(0))];
            world.process("reads", "cat", [(0, Wire::FromQueue(queue))]);
            let waits = world.process("waits", "echo gone", []);
            world.plan.processes[waits.index()].after.push(Wait {
                on: Dependency::Event(EventId(0)),
                is: Condition::Set,
                timeout: None,
                otherwise: Otherwise::Fail,
            });
            let acting = beside(world.folder.path().to_owned(), |client| {
                assert!(client.put("items", "hello", Patience::Block).expect("granted"));
                client.get("items", Patience::Try).expect_err("not declared");
                client.set("go").expect("granted");
                let table = String::from_utf8(client.ps().expect("a table")).expect("text");
                assert!(table.contains(r#""name":"tells""#), "{table}");
                assert!(table.contains(r#""state":"running""#), "{table}");
            });
            let shown = world.run();
            acting.join().expect("the client got what it asked for");
            assert_eq!(shown.verdict, Verdict::Succeeded);
            assert_eq!(shown.log("reads"), "hello\n");
            assert_eq!(shown.log("waits"), "gone\n");
        },
    );
}

#[test]
fn what_a_program_has_acquired_is_let_go_with_its_process() {
    passes_alone(
        "run::tests::clients::what_a_program_has_acquired_is_let_go_with_its_process",
        || {
            let mut world = World::new();
            let queue = world.queue("items", 10);
            world.plan.locks.push(Lock {
                name: "lock".to_owned(),
                reentrant: false,
            });
            let lock = Resource::Lock(LockId(0));
            let tells = world.process("tells", &format!("{TELLS}; echo first >> order"), []);
            world.plan.launches[tells.index()].grants = vec![Grant::Acquire(lock), Grant::Get(queue)];
            world.plan.queues[queue.index()].receivers.push(Party::Process(tells));
            world.process("puts", "echo item", [(1, Wire::ToQueue(queue))]);
            let holds = world.process("holds", "echo second >> order", []);
            // It asks for the lock only once the other one has it.
            world.plan.events.push(Event {
                name: "held".to_owned(),
                set: false,
            });
            world.plan.launches[tells.index()].grants.push(Grant::Set(EventId(0)));
            world.plan.processes[holds.index()].after.push(Wait {
                on: Dependency::Event(EventId(0)),
                is: Condition::Set,
                timeout: None,
                otherwise: Otherwise::Fail,
            });
            world.plan.processes[holds.index()].holds.push(Hold {
                resource: lock,
                permits: 1,
            });
            let acting = beside(world.folder.path().to_owned(), |client| {
                client.acquire("lock", 1, Patience::Block).expect("granted");
                client.set("held").expect("granted");
                let item = client.get("items", Patience::Block).expect("granted").expect("an item");
                assert_eq!(item.bytes(), b"item");
                // It is not acknowledged: it goes back with the connection.
                drop(item);
            });
            let shown = world.run();
            acting.join().expect("the client got what it asked for");
            assert_eq!(shown.verdict, Verdict::Succeeded);
            assert_eq!(shown.file("order"), "first\nsecond\n");
            let (put, got, returned, left, _) = shown.counted("items");
            assert_eq!((put, got, returned, left), (1, 0, 1, 1));
        },
    );
}
