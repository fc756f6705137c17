//! Which findings the comments of a file silence, and which comments are complained about.

use super::*;
use crate::check::check;
use crate::diagnostic::codes;
use crate::sample::{line_column, loaded};

/// `code line:column` of what counts, and of what is allowed.
fn judged(text: &str, policy: &Policy) -> (Vec<String>, Vec<String>) {
    let loaded = loaded(text);
    let mut found = loaded.diagnostics;
    found.extend(loaded.workflow.iter().flat_map(check));
    let judgement = judge(found, &loaded.files, policy, loaded.workflow.is_some());
    let shown = |found: &Diagnostic| {
        let place = found.place.expect("all of these have a place");
        format!("{} {}", found.code, line_column(&loaded.files, place))
    };
    let allowed = judgement.allowed.iter().map(|allowed| shown(&allowed.diagnostic));
    (judgement.findings.iter().map(shown).collect(), allowed.collect())
}

/// What counts, without a policy.
fn counts(text: &str) -> Vec<String> {
    judged(text, &Policy::default()).0
}

const NOTHING: [&str; 0] = [];

#[test]
fn a_comment_holds_for_its_line_or_the_line_below() {
    let text = "
processes: {a: {run: x}}
locks:
  one: {} # forkyard: allow FY270
  # forkyard: allow FY270 it is for later

  # and this says more about it
  two: {}
  three: {}
";
    let (findings, allowed) = judged(text, &Policy::default());
    assert_eq!(findings, ["FY270 9:3"]);
    assert_eq!(allowed, ["FY270 4:3", "FY270 8:3"]);
}

#[test]
fn a_comment_at_the_head_of_a_block_holds_for_all_of_it() {
    let text = "
params: {p: x}
processes:
  a:
    run: | # forkyard: allow FY277 both are options
      one ${{ params.p }}

      two ${{ params.p }}
    stop:
      # forkyard: allow FY277
      command: &it >2-

        three ${{ params.p }}
      grace: 2s
  b:
    run:
    - sh
    - -c
    - | # forkyard: allow FY277
     four ${{ params.p }}
  c:
    run: |
      five ${{ params.p }}
";
    let (findings, allowed) = judged(text, &Policy::default());
    assert_eq!(findings, ["FY277 23:12"]);
    assert_eq!(allowed, ["FY277 6:11", "FY277 8:11", "FY277 13:15", "FY277 20:11"]);
}

#[test]
fn a_comment_at_a_block_holds_for_nothing_behind_it() {
    let text = "
params: {p: x}
processes:
  a:
    # forkyard: allow FY277
    run: |
      one ${{ params.p }}
  b: {run: 'two ${{ params.p }}'}
  c:
    # forkyard: allow FY277
    run: >
      a | b > c
  # forkyard: allow FY277
  d: {run: 'three | ${{ params.p }}'}
";
    let (findings, allowed) = judged(text, &Policy::default());
    assert_eq!(findings, ["FY277 8:17", "FY131 10:23"]);
    assert_eq!(allowed, ["FY277 7:11", "FY277 14:21"]);
}

#[test]
fn a_comment_at_the_top_holds_for_the_file() {
    let text = "# A workflow.\n# forkyard: allow FY270\n---\nprocesses: {a: {run: x}}\nlocks: {one: {}, two: {}}\n";
    assert_eq!(counts(text), NOTHING);
    let below = text
        .replace("# forkyard: allow FY270\n", "")
        .replace("locks", "# forkyard: allow FY270\nlocks");
    assert_eq!(counts(&below), NOTHING);
    let too_late = format!(
        "{}# forkyard: allow FY270\n",
        text.replace("# forkyard: allow FY270\n", "")
    );
    assert_eq!(counts(&too_late), ["FY270 4:9", "FY270 4:18", "FY131 5:19"]);
}

#[test]
fn several_codes_and_several_comments_are_for_one_line() {
    let text = "
processes: {a: {run: x, sets: e}}
# forkyard: allow FY270, FY241 — both are meant
# forkyard: allow FY272
events: {e: {}, f: {}} # forkyard: allow FY271
";
    assert_eq!(counts(text), ["FY131 4:19", "FY131 5:42"]);
}

#[test]
fn a_reason_is_kept() {
    let text = "
processes: {a: {run: x}}
locks: {one: {}} # forkyard: allow FY270: the dashboard reads it
";
    let loaded = loaded(text);
    let found = check(&loaded.workflow.expect("it is sound"));
    let judgement = judge(found, &loaded.files, &Policy::default(), true);
    let comment = judgement.allowed[0].comment.as_ref().expect("a comment allows it");
    assert_eq!(comment.reason.as_deref(), Some("the dashboard reads it"));
}

#[test]
fn a_comment_that_does_nothing_is_told() {
    let complaints = [
        ("# forkyard: allow FY270", "FY131 2:19"),
        ("# forkyard: allow FY27O", "FY130 2:19"),
        ("# forkyard: allow fy270", "FY130 2:19"),
        ("# forkyard: allow FY999", "FY130 2:19"),
        ("# forkyard: allow FY102", "FY132 2:19"),
        ("# forkyard: allow FY201", "FY132 2:19"),
        ("# forkyard: allow FY300", "FY132 2:19"),
        ("# forkyard: allow", "FY133 2:1"),
        ("# forkyard: allow unused", "FY133 2:1"),
        ("# forkyard: alow FY270", "FY133 2:13"),
        ("# forkyard:", "FY133 2:1"),
    ];
    for (comment, expected) in complaints {
        assert_eq!(
            counts(&format!("processes:\n{comment}\n  a: {{run: x}}\n")),
            [expected],
            "{comment}"
        );
    }
    // What the machine lacks is not looked for here, and a search for deadlocks may end early.
    assert_eq!(counts("processes:\n# forkyard: allow FY301\n  a: {run: x}\n"), NOTHING);
}

#[test]
fn of_a_workflow_with_errors_no_comment_is_called_useless() {
    assert_eq!(
        counts("processes:\n  # forkyard: allow FY270\n  a: {rnu: x}\n"),
        ["FY102 3:7"]
    );
}

#[test]
fn errors_of_the_language_and_names_that_stand_for_nothing_stay() {
    let text = "processes:\n  a: {run: x, stdin: q, nise: 3} # forkyard: allow FY102, FY201\n";
    let (findings, allowed) = judged(text, &Policy::default());
    assert_eq!(findings, ["FY102 2:25", "FY132 2:52", "FY132 2:59"]);
    assert_eq!(allowed, NOTHING);
}

#[test]
fn an_error_of_the_graph_can_be_allowed() {
    let text = "processes:\n  a: {run: x, after: b}\n  b: {run: x, after: a}\n";
    assert_eq!(counts(text), ["FY210 2:22"]);
    assert_eq!(
        counts(&text.replace("  a:", "  # forkyard: allow FY210\n  a:")),
        NOTHING
    );
}

#[test]
fn a_complaint_can_be_allowed_too() {
    let text = "# forkyard: allow FY131\nprocesses:\n  a: {run: x} # forkyard: allow FY270\n";
    assert_eq!(counts(text), NOTHING);
}

#[test]
fn who_asks_can_allow_and_deny() {
    let text = "processes: {a: {run: x, sets: e}}\nevents: {e: {}}\nlocks: {one: {}}\n";
    assert_eq!(counts(text), ["FY241 2:10", "FY270 3:9"]);
    let policy = Policy {
        allowed: [codes::EVENT_NEVER_WAITED_FOR].into(),
        deny_warnings: true,
        ..Policy::default()
    };
    assert_eq!(judged(text, &policy).0, ["FY270 3:9"]);
    let loaded = loaded(text);
    let found = check(&loaded.workflow.expect("it is sound"));
    let denied = |policy: &Policy| -> Vec<Severity> {
        let judgement = judge(found.clone(), &loaded.files, policy, true);
        judgement.findings.iter().map(|found| found.severity).collect()
    };
    assert_eq!(denied(&policy), [Severity::Error]);
    let one = Policy {
        denied: [codes::UNUSED].into(),
        ..Policy::default()
    };
    assert_eq!(denied(&one), [Severity::Warning, Severity::Error]);
}

#[test]
fn very_many_comments_are_read_in_reasonable_time() {
    let comments = "  # forkyard: allow FY270\n".repeat(20_000);
    let text = format!("{comments}processes:\n  a: {{run: x}}\nlocks:\n{comments}  one: {{}}\n");
    let (findings, allowed) = judged(&text, &Policy::default());
    assert_eq!(allowed.len(), 1);
    assert!(findings.iter().all(|found| found.starts_with("FY131")));
}
