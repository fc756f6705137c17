//! I and EE: whatever happens to those who use the channels.

use crate::harness::{Forkyard, until};

#[test]
fn i4_ee4_an_item_whose_putter_is_killed_is_not_there_and_others_go_on() {
    let run = Forkyard::run_of(
        "
forkyard: 1
queues: {q: {max_item: 64MiB}}
processes:
  dies:
    sends: q
    on_failure: ignore
    # Sixteen mebibytes of an item that never ends, and then the end of who was to put it.
    run: '(head -c 16777216 /dev/zero | tr \"\\\\0\" x; touch half; sleep 1000) | forkyard put q & until test -e half; do sleep 0.01; done; kill -KILL $$'
  other: {sends: q, after: {dies: finished}, run: forkyard put q whole}
  gets: {receives: q, run: 'while item=$(forkyard get q); do echo \"${#item} bytes\"; done', after: {dies: finished}}
",
    )
    .run();
    run.exit(0);
    assert_eq!(
        run.said("gets").iter().filter(|line| line.ends_with("bytes")).count(),
        1,
        "{:?}",
        run.said("gets")
    );
    run.line("gets │ 5 bytes");
}

#[test]
fn i9_items_of_every_permitted_size_pass_and_larger_ones_are_counted() {
    let run = Forkyard::run_of(
        "
forkyard: 1
queues:
  q: {max_item: 10, capacity: 1}
processes:
  sends: {run: \"printf '\\n1234567890\\n12345678901\\nlast\\n'\", stdout: q}
  gets: {run: 'while read -r item; do echo \"[$item]\"; done', stdin: q}
  verb: {run: 'forkyard put q 12345678901 2>&1; echo $?', sends: q}
",
    )
    .run();
    assert_eq!(
        run.said("gets")
            .into_iter()
            .filter(|line| line.starts_with('['))
            .collect::<Vec<_>>(),
        ["[]", "[1234567890]", "[last]"]
    );
    assert_ne!(run.said("verb").last(), Some(&"0"));
    let counted = run
        .records()
        .into_iter()
        .find(|record| record["record"] == "queue_counted")
        .expect("queues are counted");
    assert_eq!(
        (&counted["put"], &counted["got"], &counted["left"]),
        (&3.into(), &3.into(), &0.into())
    );
    assert!(counted["refused"].as_u64() >= Some(1), "{counted}");
}

#[test]
fn i9_ee5_a_slow_reader_holds_its_senders_up_and_loses_nothing() {
    let workflow = |capacity: u32| {
        format!(
            "
forkyard: 1
queues: {{q: {{capacity: {capacity}}}}}
processes:
  sends: {{run: seq 20000, stdout: q}}
  reads: {{run: 'read -r first; sleep 0.3; (echo $first; cat) | cksum; seq 20000 | cksum', stdin: q}}
"
        )
    };
    for capacity in [1, 0] {
        let run = Forkyard::run_of(&workflow(capacity)).quiet().run();
        run.exit(0);
        let sums = run.said("reads");
        assert_eq!(sums[0], sums[1], "capacity {capacity}");
    }
}

#[test]
fn ee9_who_waits_longest_for_a_lock_has_it_next() {
    let live = Forkyard::run_of(
        "
forkyard: 1
locks: {l: {}}
processes:
  holds: {acquires: l, run: 'forkyard acquire l; echo holds; until test -e go; do sleep 0.01; done'}
  waits:
    replicas: 8
    acquires: l
    run: 'until test -e ask.$FORKYARD_INDEX; do sleep 0.01; done; forkyard acquire l; echo mine'
",
    )
    .start();
    live.wait_for("holds │ holds");
    let order = [3, 0, 7, 5, 1, 6, 2, 4];
    for index in order {
        live.world().write(&format!("ask.{index}"), "");
        until("it waits", || {
            let state = live.world().state().to_owned();
            let why = Forkyard::new("why")
                .arg(format!("waits.{index}"))
                .env("XDG_STATE_HOME", state)
                .run();
            why.stdout().contains("waits for the lock `l`")
        });
    }
    live.world().write("go", "");
    let run = live.end();
    run.exit(0);
    let got: Vec<String> = run
        .lines()
        .into_iter()
        .filter(|(_, text)| *text == "mine")
        .map(|(name, _)| name.to_owned())
        .collect();
    assert_eq!(got, order.map(|index| format!("waits.{index}")));
}
