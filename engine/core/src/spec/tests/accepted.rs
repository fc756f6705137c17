use std::time::Duration;

use super::*;

#[test]
fn the_first_workflow_of_the_language_page() {
    let workflow = accepted(
        r"
forkyard: 1                      # the language version, required
name: word-count                 # defaults to the file's stem
params:
  words: 100000
queues:
  lines: {capacity: 1000}
  totals: {}
pipes:
  text: {}
locks:
  report: {}
processes:
  read:
    run: [cat, corpus.txt]
    stdout: text
  words:
    run: tr -s '[:space:]' '\n' | head -n ${{ params.words }}
    stdin: text
    stdout: lines
  count:
    run: ./count.py --fast
    replicas: 4
    stdin: lines
    stdout: totals
  publish:
    run: ./publish.sh
    stdin: totals
    holds: [report]
",
    );
    assert_eq!(workflow.name, "word-count");
    assert_eq!(workflow.params["words"], "100000");
    let names: Vec<_> = workflow.processes.iter().map(Process::name).collect();
    assert_eq!(
        names,
        ["read", "words", "count.0", "count.1", "count.2", "count.3", "publish"]
    );
    let words = workflow.processes[1].body.run.as_ref().unwrap();
    assert_eq!(words.argv, ["sh", "-c", r"tr -s '[:space:]' '\n' | head -n 100000"]);
    assert!(words.script);
    assert_eq!(workflow.queues[0].capacity, 1000);
    assert_eq!(workflow.queues[1].capacity, 1024);
    assert_eq!(workflow.queues[1].max_item, 16 << 20);
    assert_eq!(workflow.processes[6].body.holds[0].on.name, "report");
}

#[test]
fn every_field_of_a_process() {
    let workflow = accepted(include_str!("every-field.yaml"));
    let body = &workflow.processes[0].body;
    assert_eq!(body.run.as_ref().unwrap().argv, ["bash", "-c", "work"]);
    assert_eq!(body.cwd.as_ref().unwrap().0, "sub");
    assert_eq!(body.env["TOKEN"].value, "1.10");
    assert!(body.env["TOKEN"].secret);
    assert_eq!(body.env["FLAG"].value, "no");
    assert!(body.clear_env && body.daemon);
    assert_eq!(body.umask, Some(0o22));
    assert_eq!(body.nice, Some(-5));
    assert_eq!(body.timeout.map(|(timeout, _)| timeout), Some(Duration::from_mins(90)));
    assert_eq!(body.stop.signal, 2);
    assert_eq!(body.stop.grace, Duration::from_millis(250));
    assert_eq!(body.stop.command.as_ref().unwrap().argv, ["kill", "-9"]);
    let success = body.success.as_ref().unwrap();
    assert_eq!((&*success.codes, &*success.signals), (&[0, 3][..], &[15][..]));
    assert_eq!(body.on_failure, Some(OnFailure::Ignore));
    assert_eq!(body.log.as_ref().unwrap().prefix.as_deref(), Some(""));
    assert_eq!(
        body.acquires.iter().map(|hold| hold.permits).collect::<Vec<_>>(),
        [1, 2]
    );
    assert_eq!(body.connects[0].name, "talk.left");
    assert!(matches!(&body.fds[&3], Descriptor::Send(to) if to.name == "link"));
    assert!(matches!(&body.fds[&5], Descriptor::End(to) if to.name == "talk.left"));
    assert!(matches!(body.fds[&6], Descriptor::Stream(Stream::Null)));
    assert_eq!(body.after.len(), 5);
    assert_eq!(body.after[1].is, Some(Condition::Finished));
    assert_eq!(body.after[4].is, Some(Condition::Set));
    assert_eq!(body.after[4].timeout, Some(Duration::from_secs(2)));
    assert_eq!(body.after[4].otherwise, Otherwise::Start);
    assert_eq!(
        workflow.options.timeout.map(|(timeout, _)| timeout),
        Some(Duration::from_mins(1))
    );
    assert!(workflow.options.pipefail);
    let unbuilt: Vec<_> = workflow.unbuilt.iter().map(|unbuilt| unbuilt.what.as_str()).collect();
    assert!(
        unbuilt.iter().all(|what| what.starts_with("`env.secret` of ")),
        "{unbuilt:?}"
    );
}

#[test]
fn streams_lead_to_all_kinds_of_places() {
    let workflow = accepted_body(
        "processes:\n  a: {run: x, stdin: {text: 'a b'}, stdout: {append: out}, stderr: stdout}\n  \
         b: {run: x, stdin: null, stdout: inherit, stderr: log}\n  c: {run: x, stdin: {file: in}}\n",
    );
    let streams = |index: usize| {
        let body = &workflow.processes[index].body;
        (&body.stdin, &body.stdout, &body.stderr)
    };
    assert!(matches!(streams(0), (Stream::Text(text), Stream::Append(..), Stream::Stdout) if text == "a b"));
    assert!(matches!(streams(1), (Stream::Null, Stream::Inherit, Stream::Log)));
    assert!(matches!(streams(2), (Stream::File(path, _), Stream::Log, Stream::Log) if path == "in"));
}

#[test]
fn pools_of_all_kinds() {
    let workflow = accepted_body(
        "pools:\n  squares: {size: 3, run: x, tasks: [1, 2.50, no], order: submitted, dispatch: sync}\n  \
         ranged: {run: x, tasks: {range: [-1, 1000]}, retry: {max: 2, backoff: 1s}}\n  \
         lines: {run: x, tasks: {lines: f}, worker: persistent, recycle: 10}\n  \
         fed: {run: x, stdin: jobs, stdout: jobs}\n  slots: {size: 4}\nqueues: {jobs: }\n\
         processes: {p: {run: x, pool: slots}}\n",
    );
    let pools = &workflow.pools;
    let listed = ["1", "2.50", "no"].map(str::to_owned).to_vec();
    assert_eq!(pools[0].tasks, Some(Tasks::Listed(listed)));
    assert_eq!(
        (pools[0].size, pools[0].order, pools[0].dispatch),
        (3, Order::Submitted, Dispatch::Sync)
    );
    assert_eq!(pools[1].tasks, Some(Tasks::Range(-1, 1000)));
    assert_eq!((pools[1].size, pools[1].retry_max), (8, 2));
    assert_eq!(pools[1].retry_backoff, Duration::from_secs(1));
    assert!(matches!(&pools[2].tasks, Some(Tasks::Lines(path, _)) if path == "f"));
    assert_eq!(pools[2].recycle, Some(10));
    assert!(matches!(&pools[3].body.stdin, Stream::Channel(queue) if queue.name == "jobs"));
    assert!(pools[4].body.run.is_none());
    assert_eq!(workflow.processes[0].pool.as_ref().unwrap().name, "slots");
}

#[test]
fn text_that_looks_like_something_else_stays_as_written() {
    let workflow = accepted_body(
        "env: {A: 1.10, B: on, C: 0x10, D: .inf, E: 2026-11-23}\nprocesses: {p: {run: [echo, 012, 1e3]}}\n",
    );
    let body = &workflow.processes[0].body;
    let values: Vec<_> = body.env.values().map(|value| value.value.as_str()).collect();
    assert_eq!(values, ["1.10", "on", "0x10", ".inf", "2026-11-23"]);
    assert_eq!(body.run.as_ref().unwrap().argv, ["echo", "012", "1e3"]);
}

#[test]
fn what_is_not_built_is_noted_and_not_refused() {
    let workflow = accepted_body(
        "processes:\n  db: {run: x, ready: {tcp: '1'}, restart: always, limits: {memory: 1MiB}, tty: true, \
         env: {T: {value: t, secret: true}}, cpus: [0, 1], log: {rotate: {size: 1MB}}, replicas: 2}\n  ok: {run: x, restart: never, tty: false}\n\
         queues: {q: {durable: true}}\ngroups: {g: {members: [db], strategy: one-for-all}}\n",
    );
    let what: Vec<_> = workflow.unbuilt.iter().map(|unbuilt| unbuilt.what.as_str()).collect();
    assert_eq!(what, ["`durable` of queue `q`"]);
}

#[test]
fn keys_of_extensions_are_ignored_and_anchors_work_in_them() {
    let workflow = accepted_body("x-base: &base {env: {A: b}, run: x}\nprocesses:\n  p: {<<: *base, run: y}\n");
    let body = &workflow.processes[0].body;
    assert_eq!(body.run.as_ref().unwrap().argv[2], "y");
    assert_eq!(body.env["A"].value, "b");
}

/// What comes of a second process with these fields, and of the same with a key more, which makes it go the long way.
#[track_caller]
fn is_read_alike(fields: &str) {
    let text = |more: &str| format!("processes: {{a: {{run: [\"true\"]}}, b: {{{fields}{more}}}}}\nforkyard: 1\n");
    let [short, long] = [text(""), text(", daemon: false")].map(|text| read_one(&text));
    let bodies = |loaded: &Loaded| {
        let partial = loaded.partial.as_ref().map(|partial| &partial.workflow);
        let workflow = loaded.workflow.as_ref().or(partial).expect("it is YAML");
        format!("{:?}", workflow.processes.iter().map(|it| &it.body).collect::<Vec<_>>())
    };
    assert_eq!(bodies(&short), bodies(&long), "{fields}");
    let told = |loaded: &Loaded| format!("{:?}", loaded.diagnostics);
    assert_eq!(told(&short), told(&long), "{fields}");
}

#[test]
fn the_short_way_to_a_process_leads_where_the_long_one_does() {
    for fields in [
        "run: [x]",
        "run: [x, '', 1, \"true\", ' y ']",
        "after: [a, c], run: [x]",
        "run: [x], after: []",
        "run: [x], after: a",
        "run: echo $x",
        "run: [], after: [a]",
        "run: ['']",
        "run: [~]",
        "run: [x, \"\\0\"]",
        "run: [x], after: [~]",
        "run: [x], after: [a, '', {c: started}]",
        "run: {x: y}",
        "run: ",
        "after: [a]",
        "run: [x], aftr: [a]",
    ] {
        is_read_alike(fields);
    }
}

#[test]
fn the_processes_of_a_large_plain_file_are_those_of_any_other() {
    let mut processes = String::new();
    for number in 0..3_000 {
        let more = [
            "env: {A_TOKEN: clear}",
            "use: t",
            "after: [none]",
            "replicas: 2",
            "run: []",
        ][number % 5];
        let lines = format!("  p{number}:\n    run: [x, \"{number}\"]\n    {more}\n");
        processes.push_str(&lines);
    }
    let text = |end: &str| {
        let head = "defaults: {nice: 1}\ntemplates: {t: {daemon: true}}\npools: {q: {env: {B_TOKEN: clear}}}\n";
        format!("forkyard: 1\n{head}processes:\n{processes}x-end: {end}\n")
    };
    // Escapes are not plain, so that the other is read by parsers.
    let [plain, other] = [text("'nn'"), text("\"\\n\"")].map(|text| read_one(&text));
    assert_eq!(shown(&plain), shown(&other));
    let partial = |loaded: &Loaded| format!("{:?}", loaded.partial.as_ref().map(|partial| &partial.workflow));
    assert_eq!(partial(&plain), partial(&other));
}
