use super::*;
use crate::report::tests::plan;
use forkyard_core::source::Span;

#[test]
fn the_plan_is_told_in_waves() {
    let mut plan = plan().as_ref().clone();
    plan.launches[0].fds.insert(1, Wire::ToQueue(QueueId(0)));
    let expected = "\
word-count: 3 waves

wave 1, at once
  read
      ./read.sh 'two words'
      wired stdout to the queue lines
  count.0 to count.1
      ./count.sh 'two words'
  squares (pool)
      1 worker for the tasks 0 to 9
      ./squares.sh 'two words'
      results to the queue lines

wave 2, after wave 1, as far as each waits for it
  publish
      ./publish.sh 'two words'
      after count.0 succeeded, count.1 succeeded

wave 3, after wave 2, as far as each waits for it
  announce
      ./announce.sh 'two words'
      after publish succeeded
";
    assert_eq!(describe(&plan), expected);
}

#[test]
fn scripts_are_shown_on_one_line() {
    let script = |text: &str| {
        command(&Program {
            argv: ["sh", "-c", text].map(ToOwned::to_owned).to_vec(),
            script: true,
            place: Span::default(),
        })
    };
    assert_eq!(script("set -e\n\n  echo a\n"), "set -e; echo a");
    assert_eq!(script("a\x1b[2Jb"), "ab");
    assert_eq!(script(&"x".repeat(100)).chars().count(), COMMAND_CHARS_MAX);
}

#[test]
fn words_are_quoted_as_they_could_be_typed() {
    assert_eq!(quoted("a-b_c/d.e"), "a-b_c/d.e");
    assert_eq!(quoted(""), "''");
    assert_eq!(quoted("it's"), r"'it'\''s'");
}

#[test]
fn a_ring_does_not_hang_it() {
    let mut plan = plan().as_ref().clone();
    let back = Wait {
        on: Dependency::Process(ProcessId(4)),
        ..plan.processes[4].after[0]
    };
    plan.processes[3].after.push(back);
    assert!(describe(&plan).contains("announce"));
}

#[test]
fn secrets_are_not_shown() {
    let entry = |secret| EnvValue {
        value: "abc".to_owned(),
        secret,
    };
    let env = BTreeMap::from([("A".to_owned(), entry(false)), ("B".to_owned(), entry(true))]);
    assert_eq!(shown_env(&env).collect::<Vec<_>>(), ["A=abc", "B=***"]);
}
