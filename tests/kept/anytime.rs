//! The loss of an engine at any moment.

use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{again, count, db, stop, three};
use crate::harness::{Forkyard, World, repeat};

/// Whenever the engine is lost, alone or with its guardians: while it begins, starts the process, notes it, or takes it
/// over. Each round is lost a little later than the one before.
#[test]
fn at_whatever_moment_engines_are_lost_there_is_one_copy_at_most() {
    const ROUNDS: u64 = 40;
    let workflow = "forkyard: 1\nprocesses: {db: {run: [sleep, '1000'], on_engine_loss: keep}}\n";
    repeat(|| {
        let mut world = World::new();
        for round in 0..ROUNDS {
            let live = Forkyard::new("run").within(world).workflow(workflow).start();
            let ours = three(&live);
            std::thread::sleep(Duration::from_micros(2500 * round));
            let killed: &[usize] = [&[2][..], &[0, 1, 2], &[1, 2], &[0, 2]][(round % 4) as usize];
            for signal in [Signal::SIGSTOP, Signal::SIGKILL] {
                for index in killed {
                    // When one dies another may be on its way out already.
                    let _ = kill(ours[*index], signal);
                }
            }
            world = live.end_leaving().into_world();
            let copies = count(&world, "sleep 1000");
            println!("round {round}, killed {killed:?}: {copies} lives on");
            assert!(copies <= 1, "round {round}: {:?}", world.living());
            // Now and then the next engine is to start it again.
            for (pid, _) in world
                .living()
                .iter()
                .filter(|(_, line)| round % 3 == 0 && line == "sleep 1000 ")
            {
                let _ = kill(Pid::from_raw(*pid), Signal::SIGKILL);
            }
        }
        let live = again(workflow, world);
        db(&live);
        assert_eq!(count(live.world(), "sleep 1000"), 1);
        stop(live);
    });
}
