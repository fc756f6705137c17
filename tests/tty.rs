//! Processes with a terminal.

use crate::harness::Forkyard;

#[test]
fn cc22_a_process_with_a_terminal_controls_it() {
    let run = Forkyard::run_of(
        "
forkyard: 1
processes:
  has: {run: 'test -t 0 && test -t 1 && test -t 2 && tty && stty size && ps -o sid=,pgid=,tty= -p $$', tty: true}
  hasnot: {run: 'test -t 1 || echo plain'}
",
    )
    .quiet()
    .run();
    run.exit(0);
    let texts = run.texts();
    assert!(texts.contains(&"plain") && texts.contains(&"24 80"), "{texts:?}");
    assert!(texts.iter().any(|text| text.starts_with("/dev/pts/")), "{texts:?}");
    let session = texts
        .iter()
        .find(|text| text.contains(" pts/"))
        .expect("ps shows the terminal");
    let ids: Vec<&str> = session.split_whitespace().collect();
    assert_eq!(ids[0], ids[1], "it leads its session and its group");
}

#[test]
fn streams_that_lead_elsewhere_are_no_terminal() {
    let run = Forkyard::run_of(
        "
forkyard: 1
pipes: {p: {}}
processes:
  writes: {run: 'test -t 1 || echo piped; test -t 2 && echo shown >&2', tty: true, stdout: p}
  reads: {run: cat, stdin: p}
",
    )
    .run();
    run.exit(0).line("reads │ piped").line("writes │ shown");
}

#[test]
fn what_a_process_leaves_behind_its_terminal_is_stopped() {
    let run = Forkyard::run_of(
        "
forkyard: 1
processes:
  leaves: {run: 'trap \"\" HUP; sleep 1000 & echo bye', tty: true, stop: {grace: 200ms}}
",
    )
    .run();
    run.exit(0).line("leaves │ bye");
}
