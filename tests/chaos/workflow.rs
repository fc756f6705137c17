//! Workflows by chance: a few pieces, each with something that processes share.

use crate::harness::Random;

/// Whatever happens to a life, another one follows, soon and often enough.
const AGAIN: &str = "restart: {policy: on-failure, max: 100000, within: 1h, backoff: {initial: 2ms, factor: 1}}";

/// The text of the workflow.
pub fn of(random: &mut Random) -> String {
    let isolation = random.one_of(&["auto", "guardian"]);
    let mut text = format!(
        "forkyard: 1\noptions: {{timeout: 40s, isolation: {isolation}}}\ndefaults: {{stop: {{grace: 200ms}}}}\n\
         queues:\n  verbs: {{capacity: {}}}\n  lines: {{capacity: {}}}\npipes: {{link: {{}}}}\nlocks: {{l: {{}}}}\n\
         semaphores: {{seats: {{permits: 2}}}}\nevents: {{go: {{}}}}\n",
        random.one_of(&[0, 1, 3, 100]),
        random.one_of(&[0, 1, 3, 100]),
    );
    let pieces: [fn(&mut Random) -> String; 7] = [by_verbs, by_streams, by_a_pipe, locked, seated, told, hidden];
    let mut processes = String::new();
    for piece in pieces {
        if !random.one_in(3) {
            processes += &piece(random);
        }
    }
    text += &pool(random);
    text += "processes:\n  last: {run: 'sleep 0.2', on_failure: ignore}\n";
    text + &processes
}

/// A further life, or none, of which the run takes no notice.
fn fate(random: &mut Random) -> &'static str {
    random.one_of(&[AGAIN, AGAIN, "on_failure: ignore"])
}

/// What was put and what was got stands in files: written by the shell after the put, by the verb itself before the item is gone.
fn by_verbs(random: &mut Random) -> String {
    let (senders, receivers, count) = (1 + random.below(3), 1 + random.below(2), 2 + random.below(6));
    format!(
        "  \
  puts:
    replicas: {senders}
    sends: verbs
    {}
    run: |
      for n in $(seq {count}); do
        item=$FORKYARD_NAME.$FORKYARD_ATTEMPT.$n
        forkyard put verbs $item && echo $item >> put || exit 9
      done
  gets:
    replicas: {receivers}
    receives: verbs
    {AGAIN}
    run: |
      while :; do
        forkyard get verbs >> got
        case $? in 0) ;; 1) exit 0;; *) exit 9;; esac
      done
",
        fate(random)
    )
}

fn by_streams(random: &mut Random) -> String {
    let count = random.one_of(&[10, 1_000, 5_000]);
    format!(
        "  writes: {{run: 'seq {count}; sleep 0.0{}', stdout: lines, {}}}\n  reads: {{replicas: {}, run: cat, stdin: lines, {AGAIN}}}\n",
        random.below(10),
        fate(random),
        1 + random.below(3),
    )
}

fn by_a_pipe(random: &mut Random) -> String {
    format!(
        "  left: {{run: 'seq 2000; sleep 0.02', stdout: link, {}}}\n  right: {{run: 'cat > /dev/null', stdin: link, {AGAIN}}}\n",
        fate(random)
    )
}

/// The kernel frees the `flock` of a dead process: so it is seen whether two have the lock at once. With `-o` the `sleep` does not
/// have it too: it would keep it when the `flock` above it is killed, and the script goes on and releases the lock.
fn locked(random: &mut Random) -> String {
    format!(
        "  locks:
    replicas: {}
    acquires: l
    {}
    run: |
      for n in 1 2 3; do
        forkyard acquire l || exit 9
        flock -o -n -E 99 critical sleep 0.01; test $? = 99 && touch broken
        forkyard release l || exit 9
      done
",
        2 + random.below(3),
        fate(random)
    )
}

fn seated(random: &mut Random) -> String {
    format!(
        "  sits: {{replicas: {}, holds: seats, run: 'sleep 0.0{}', {}}}\n",
        2 + random.below(4),
        1 + random.below(5),
        fate(random)
    )
}

fn told(random: &mut Random) -> String {
    format!(
        "  tells: {{sets: go, run: 'sleep 0.0{}; forkyard set go', {AGAIN}}}\n  hears: {{after: {{go: set}}, run: 'true', {}}}\n  \
         asks: {{waits: go, run: forkyard wait go, {AGAIN}}}\n  then: {{after: [hears, asks], run: 'true'}}\n",
        random.below(9),
        fate(random)
    )
}

/// A daemon with others that hide, each in a session of its own.
fn hidden(random: &mut Random) -> String {
    let count = 1 + random.below(4);
    format!(
        "  hides:
    daemon: true
    {}
    run: |
      for n in $(seq {count}); do setsid sleep 1000 & (setsid sleep 1000 &); done
      trap '' TERM; sleep 1000; sleep 1000
",
        fate(random)
    )
}

fn pool(random: &mut Random) -> String {
    let (size, count) = (1 + random.below(3), 1 + random.below(20));
    format!(
        "pools:\n  tasks: {{size: {size}, tasks: {{range: [0, {count}]}}, run: 'sleep 0.01', retry: {{max: 3}}, on_failure: ignore}}\n"
    )
}
