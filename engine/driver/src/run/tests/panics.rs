//! A task of the engine panics: the run is stopped, and nobody is left.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use forkyard_core::plan::{Wire, WorkerKind};
use forkyard_ipc::client::Client;

use super::super::RunError;
use super::world::{World, listed, work};
use crate::alarm::faults;
use crate::alone::passes_alone;

/// A world with a task of every kind: streams into a log, into a queue and out of one, workers of both kinds, and a process
/// that stays, with one that has left its group. Those tell in `notes` who they are.
fn world(notes: &Path) -> World {
    let mut world = World::new();
    let queue = world.queue("q", 2);
    let notes = notes.display();
    let stays = format!(
        "cd {notes}; echo $$ >> pids; setsid sh -c 'echo $$ >> pids; sleep 1000' & \
         echo $FORKYARD_TOKEN > new; echo $FORKYARD_SOCKET >> new; mv new told; sleep 1000"
    );
    let stays = world.process("stays", &stays, []);
    world.plan.processes[stays.index()].daemon = true;
    let puts = format!("seq 9; until test -e {notes}/asked; do sleep 0.01; done");
    world.process("puts", &puts, [(1, Wire::ToQueue(queue))]);
    world.process("gets", "cat", [(0, Wire::FromQueue(queue))]);
    world.pool("fresh", 1, "cat", work(listed(&["a"])));
    let mut persistent = work(listed(&["a"]));
    persistent.worker = WorkerKind::Persistent;
    world.pool("stay", 1, "cat", persistent);
    world
}

/// Speaks to the engine as soon as it can, unless the run is over before.
fn ask(notes: PathBuf, is_over: Arc<AtomicBool>) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        while !is_over.load(Ordering::Relaxed) {
            let told = fs::read_to_string(notes.join("told")).unwrap_or_default();
            if let Some((token, socket)) = told.trim().split_once('\n') {
                // The engine may be about to end.
                let _ = Client::of_process(Path::new(socket), token);
                fs::write(notes.join("asked"), "").expect("written");
                return;
            }
            thread::sleep(Duration::from_millis(2));
        }
    })
}

/// The processes that have told their pids and live.
fn living(notes: &Path) -> Vec<i32> {
    let pids = fs::read_to_string(notes.join("pids")).unwrap_or_default();
    let pids = pids.lines().filter_map(|pid| pid.parse().ok());
    pids.filter(|pid| crate::tree::started(*pid).is_ok_and(|start| start.is_some()))
        .collect()
}

#[test]
fn e9_dd20_a_panic_of_any_task_ends_the_run_and_leaves_nobody() {
    let test = "run::tests::panics::e9_dd20_a_panic_of_any_task_ends_the_run_and_leaves_nobody";
    passes_alone(test, || {
        let mut struck = 0;
        loop {
            let notes = tempfile::tempdir().expect("a temporary folder");
            let is_over = Arc::new(AtomicBool::new(false));
            let asks = ask(notes.path().to_owned(), Arc::clone(&is_over));
            faults::aim(struck + 1);
            let (ended, exit_code) = world(notes.path()).end();
            is_over.store(true, Ordering::Relaxed);
            asks.join().expect("it does not panic");
            assert_eq!(
                living(notes.path()),
                Vec::<i32>::new(),
                "after a panic of task {}",
                struck + 1
            );
            if !faults::have_struck() {
                assert!(ended.is_ok(), "{ended:?}");
                break;
            }
            assert!(matches!(ended, Err(RunError::Panicked)), "{ended:?}");
            assert_eq!(exit_code, Some(3));
            struck += 1;
        }
        // Five processes are watched over and their streams pumped; a client, the signals and the spawner are served.
        assert!(struck >= 15, "only {struck} tasks have begun");
    });
}
