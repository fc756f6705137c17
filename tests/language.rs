//! What the language can say, run: each word of it that no example of `workflows/` uses.

use crate::harness::{Forkyard, Outcome};

fn run(workflow: &str) -> Outcome {
    let outcome = Forkyard::run_of(&format!("forkyard: 1\n{workflow}")).quiet().run();
    outcome.exit(0);
    outcome
}

#[test]
fn a_template_is_filled_in_and_its_text_quoted_for_the_shell() {
    let run = run("
params: {who: \"it's me\"}
templates:
  greeter:
    params: {name: null, times: 1}
    run: 'for i in $(seq ${{ params.times }}); do echo hello ${{ params.name | sh }}; done'
processes:
  hi: {use: greeter, with: {name: '${{ params.who }}', times: 2}}
");
    assert_eq!(run.said("hi"), ["hello it's me", "hello it's me"]);
}

#[test]
fn a_matrix_has_an_instance_for_each_pair() {
    let run = run("
processes:
  m:
    each: {os: [linux, bsd], v: [1, 2]}
    run: echo ${{ item.os }}-${{ item.v }} ${{ index }} ${{ name }} $FORKYARD_NAME $FORKYARD_INDEX
");
    for (name, text) in [
        ("m.0", "linux-1 0 m.0 m.0 0"),
        ("m.1", "linux-2 1 m.1 m.1 1"),
        ("m.2", "bsd-1 2 m.2 m.2 2"),
        ("m.3", "bsd-2 3 m.3 m.3 3"),
    ] {
        assert_eq!(run.said(name), [text]);
    }
}

#[test]
fn what_is_included_belongs_to_it_and_a_later_file_wins() {
    let run =
        Forkyard::run_of("forkyard: 1\ninclude: parts/more.yaml\nprocesses:\n  a: {run: echo first, env: {X: 1}}\n")
            .file("parts/more.yaml", "processes:\n  b: {run: echo included}\n")
            .file(
                "local.yaml",
                "forkyard: 1\nprocesses:\n  a: {run: 'echo second $X $Y', env: {Y: 2}}\n",
            )
            .arg("-f")
            .arg("local.yaml")
            .quiet()
            .run();
    run.exit(0);
    assert_eq!((run.said("a"), run.said("b")), (vec!["second 1 2"], vec!["included"]));
}

#[test]
fn items_may_end_with_nul_and_so_hold_newlines() {
    let run = run("
queues: {q: {framing: nul}}
processes:
  put: {run: 'printf \"a b\\nc\\0d\\0e\"', stdout: q}
  get: {run: \"tr '\\\\0\\\\n' '|/'; echo\", stdin: q}
");
    assert_eq!(run.said("get"), ["a b/c|d|e|"], "the last item needs no end");
}

#[test]
fn items_may_begin_with_their_length_and_so_hold_anything() {
    let run = run("
queues: {q: {framing: length}}
processes:
  put: {run: 'printf \"\\003\\0\\0\\0x\\ny\\0\\0\\0\\0\\002\\0\\0\\0zz\"', stdout: q}
  get: {run: 'od -An -c | tr -s \" \"', stdin: q}
");
    assert_eq!(
        run.said("get").join(" "),
        "003 \\0 \\0 \\0 x \\n y \\0 \\0 \\0 \\0 002 \\0 \\0 \\0 z z"
    );
}

#[test]
fn further_descriptors_lead_where_they_are_declared_to() {
    let run = run("
queues: {items: {}}
pipes: {link: {}, talk: {duplex: true}}
processes:
  writer:
    run: 'echo by pipe >&5; echo by queue >&6; cat <&4; ls -l /proc/self/fd | grep -c \"[0-9] -> \"'
    fds: {4: {text: \"a text\\n\"}, 5: {send: link}, 6: {send: items}}
  reader: {run: 'cat <&7', fds: {7: {receive: link}}}
  taker: {run: 'cat <&8', fds: {8: {receive: items}}}
  left: {run: 'echo ping >&$FORKYARD_FD_TALK; read -r x <&$FORKYARD_FD_TALK; echo got $x', connects: talk.left}
  right: {run: 'read -r x <&9; echo got $x; echo pong >&9', fds: {9: {end: talk.right}}}
");
    // `ls` has 0, 1, 2, the three declared ones, and its own of the folder.
    assert_eq!(run.said("writer"), ["a text", "7"]);
    assert_eq!(
        (run.said("reader"), run.said("taker")),
        (vec!["by pipe"], vec!["by queue"])
    );
    assert_eq!(
        (run.said("left"), run.said("right")),
        (vec!["got pong"], vec!["got ping"])
    );
}

#[test]
fn streams_lead_to_files_and_stderr_joins_stdout() {
    let run = run("
processes:
  write: {run: 'echo err >&2; echo out', stderr: stdout, stdout: {file: both.txt}}
  more: {run: echo more, stdout: {append: both.txt}, after: write}
  show: {run: cat, stdin: {file: both.txt}, after: more}
  text: {run: 'cat; printf end', stdin: {text: \"some\\ntext\\n\"}}
  none: {run: 'cat; echo nothing', stdout: null, stdin: null}
");
    assert_eq!(run.said("show"), ["err", "out", "more"]);
    assert_eq!(run.said("text"), ["some", "text", "end"]);
    assert!(run.said("none").is_empty());
}

#[test]
fn a_process_finds_the_environment_it_is_promised() {
    let run = Forkyard::run_of(
        "
forkyard: 1
env: {A: 1.10, B: no, C: top}
env_file: top.env
processes:
  clean: {run: [env], clear_env: true, env: {C: own}}
  python: {shell: [sh, -eu, -c], run: 'echo $OUTER $FROM_FILE; umask; nice; pwd', umask: '027', nice: 5, cwd: inner}
",
    )
    .file("top.env", "# a comment\nexport FROM_FILE='a file'\nA=lost\n")
    .file("inner/there", "")
    .env("OUTER", "outside")
    .quiet()
    .run();
    run.exit(0);
    let clean = run.said("clean");
    for line in [
        "A=1.10",
        "B=no",
        "C=own",
        "FROM_FILE=a file",
        "FORKYARD_NAME=clean",
        "FORKYARD_ATTEMPT=1",
    ] {
        assert!(clean.contains(&line), "{line} in {clean:?}");
    }
    assert!(!clean.iter().any(|line| line.starts_with("OUTER=")), "{clean:?}");
    let said = run.said("python");
    assert_eq!(said[..3], ["outside a file", "0027", "5"]);
    assert!(said[3].ends_with("/inner"), "{said:?}");
}

#[test]
fn other_exit_codes_may_mean_success_and_failures_be_ignored() {
    let run = run("
processes:
  three: {run: exit 3, success: [0, 3]}
  ignored: {run: exit 1, on_failure: ignore}
  then: {run: echo then, after: [three, ignored]}
");
    assert_eq!(run.said("then"), ["then"]);
}

#[test]
fn what_is_absent_by_if_is_not_waited_for() {
    let run = run("
params: {deploy: false}
processes:
  deploy: {run: echo deployed, if: '${{ params.deploy }}'}
  after: {run: echo after, after: deploy}
");
    assert_eq!(run.texts(), ["after"]);
}

#[test]
fn persistent_workers_are_recycled_and_answer_in_the_order_submitted() {
    let run = run("
queues: {jobs: {}, squares: {}}
processes:
  feed: {run: seq 7, stdout: jobs}
  show: {run: cat, stdin: squares}
pools:
  square:
    size: 2
    worker: persistent
    recycle: 2
    order: submitted
    stdin: jobs
    stdout: squares
    run: 'while read -r n; do echo \"$((n * n)) by $$\"; done'
");
    let said = run.said("show");
    let squares: Vec<&str> = said.iter().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(squares, ["1", "4", "9", "16", "25", "36", "49"]);
    for worker in said.iter().filter_map(|line| line.split(' ').nth(2)) {
        let tasks = said.iter().filter(|line| line.ends_with(&format!(" {worker}"))).count();
        assert!(tasks <= 2, "worker {worker} had {tasks} tasks: {said:?}");
    }
}

#[test]
fn i3_cc2_ee16_a_failed_task_is_tried_again_and_a_killed_worker_loses_none() {
    let run = run("
pools:
  flaky:
    size: 1
    run: 'test -e \"tried-$FORKYARD_ITEM\" && echo done $FORKYARD_ITEM || { touch \"tried-$FORKYARD_ITEM\"; exit 1; }'
    tasks: [x, y]
    retry: {max: 1, backoff: 10ms}
  killed:
    size: 2
    worker: persistent
    tasks: {range: [0, 4]}
    stdout: answers
    run: 'while read -r n; do test -e hit || { touch hit; kill -9 $$; }; echo answer $n; done'
queues: {answers: {}}
processes:
  collect: {run: sort, stdin: answers}
");
    let mut done = run.said("flaky.0");
    done.sort_unstable();
    assert_eq!(done, ["done x", "done y"]);
    assert_eq!(run.said("collect"), ["answer 0", "answer 1", "answer 2", "answer 3"]);
}

#[test]
fn tasks_may_be_the_lines_of_a_file() {
    let run = Forkyard::run_of(
        "
forkyard: 1
pools:
  each: {size: 1, run: 'cat; echo $FORKYARD_ITEM', tasks: {lines: list.txt}, stdout: {append: out.txt}}
processes:
  show: {run: [cat, out.txt], after: each}
",
    )
    .file("list.txt", "one\ntwo words\n")
    .quiet()
    .run();
    run.exit(0);
    assert_eq!(run.said("show"), ["one", "one", "two words", "two words"]);
}

#[test]
fn permits_are_held_two_at_a_time() {
    let run = run("
semaphores: {s: {permits: 2}}
processes:
  both: {run: 'echo in both; echo out both', holds: {s: 2}}
  one: {replicas: 2, run: 'echo in one; echo out one', holds: s}
");
    let texts = run.texts();
    let both = run.position("in both");
    assert_eq!(texts[both + 1], "out both", "nobody else has a permit: {texts:?}");
}

#[test]
fn a_program_is_searched_for_when_it_starts() {
    let run = run("
env: {PATH: 'first:second:/usr/bin:/bin'}
processes:
  before: {run: [uname]}
  hinder: {run: 'mkdir -p first/uname second && echo nonsense > second/uname', after: before}
  still: {run: [uname], after: hinder}
  install: {run: 'rmdir first/uname && printf \"#!/bin/sh\\necho ours\\n\" > first/uname && chmod +x first/uname', after: still}
  then: {run: [uname], after: install}
");
    // Neither a folder nor what is not executable is a program; what is put before it is.
    assert_eq!(run.said("before"), ["Linux"]);
    assert_eq!(run.said("still"), ["Linux"]);
    assert_eq!(run.said("then"), ["ours"]);
}
