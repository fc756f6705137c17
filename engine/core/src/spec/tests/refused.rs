use super::*;

#[test]
fn the_version_is_required() {
    let shown_for = |yaml: &str| shown(&read_one(yaml));
    assert_eq!(
        shown_for("processes: {p: {run: x}}\n"),
        "FY101 1:1 the version of the language is missing"
    );
    assert_eq!(
        shown_for("forkyard: 3\nprocesses: {p: {run: x}}\n"),
        "FY101 1:11 written for language version 3; this forkyard reads version 1"
    );
    assert_eq!(
        shown_for("forkyard: '1'\nprocesses: {p: {run: x}}\n"),
        "FY101 1:11 expected the version of the language, 1; found `1`"
    );
    assert_eq!(
        shown_for("forkyard: 1\n"),
        "FY105 1:1 there is nothing to run: no `processes` and no `pools`"
    );
    assert_eq!(
        shown_for("- a\n"),
        "FY103 1:1 a workflow is a map of keys; found a list"
    );
}

#[test]
fn unknown_keys_come_with_what_was_meant() {
    let loaded =
        read_one("forkyard: 1\nproceses: {}\nqueues: {q: {capcity: 1, zzzzz: 2}}\nprocesses: {p: {run: x, stdn: q}}\n");
    assert_eq!(
        shown(&loaded),
        "FY102 2:1 unknown key `proceses`\nFY102 3:14 unknown key `capcity`\n\
         FY102 3:26 unknown key `zzzzz`\nFY102 4:25 unknown key `stdn`"
    );
    let helps: Vec<_> = loaded
        .diagnostics
        .iter()
        .filter_map(|found| found.help.as_deref())
        .collect();
    assert_eq!(
        helps,
        [
            "did you mean `processes`?",
            "did you mean `capacity`?",
            "the keys here are `description`, `capacity`, `framing`, `max_item` and `durable`",
            "did you mean `stdin`?",
        ]
    );
}

#[test]
fn all_errors_are_told_in_one_pass() {
    check(
        "queues: {q: {capacity: -1, framing: line, durable: yes}}\nprocesses: {p: {run: x, timeout: 5, daemon: on, nice: 30}}\n",
        "FY103 2:24 expected a whole number from 0 to 33488896; found `-1`\n\
         FY103 2:37 expected one of `lines`, `nul` and `length`; found `line`\n\
         FY103 2:52 expected true or false; found `yes`\n\
         FY103 3:34 expected a duration such as 250ms, 3s, 2m or 1h30m; found `5`\n\
         FY103 3:45 expected true or false; found `on`\n\
         FY103 3:55 expected a whole number from -20 to 19; found `30`",
    );
}

#[test]
fn a_task_for_a_persistent_worker_is_one_line() {
    let pool = |worker: &str, tasks: &str| format!("pools: {{w: {{run: x, worker: {worker}, tasks: {tasks}}}}}\n");
    let expected = "FY103 2:52 a task of a persistent worker is one line, and this has a newline";
    check(&pool("persistent", r#"[a, "b\nc"]"#), expected);
    check(
        &pool("persistent", r#""b\nc""#),
        "FY103 2:48 a task of a persistent worker is one line, and this has a newline",
    );
    accepted_body(&pool("task", r#"[a, "b\nc"]"#));
    accepted_body(&pool("persistent", "{range: [0, 3]}"));
}

#[test]
fn values_of_the_wrong_type() {
    check_process(
        "run: {a: b}",
        "FY103 2:22 expected a command: text for a shell, or a list of words; found a map",
    );
    check_process(
        "run: ",
        "FY104 2:20 expected a command: text for a shell, or a list of words; found nothing",
    );
    check_process(
        "run: x, success: [0, 256]",
        "FY103 2:38 expected an exit code from 0 to 255, or a signal such as SIGTERM; found `256`",
    );
    check_process(
        "run: x, success: ['0']",
        "FY103 2:35 expected an exit code from 0 to 255, or a signal such as SIGTERM; found `0`",
    );
    check_process(
        "run: x, umask: 9",
        "FY103 2:32 expected an octal mask from 000 to 777, such as 022; found `9`",
    );
    check_process(
        "run: x, stop: {signal: NOPE}",
        "FY103 2:40 expected a signal such as TERM, SIGINT or 10; found `NOPE`",
    );
    check_process("run: x, stop: 5s", "FY103 2:31 expected a map of fields; found `5s`");
    check_process("run: x, env: [A]", "FY103 2:30 expected a map; found a list");
    check_process(
        "run: x, env: {A: }",
        "FY104 2:32 expected text, a list or a map; found nothing",
    );
    check_process(
        "run: x, restart: alway",
        "FY103 2:34 expected one of `never`, `on-failure` and `always`; found `alway`",
    );
    check_process(
        "run: x, timeout: 999999999d",
        "FY103 2:34 expected a duration such as 250ms, 3s, 2m or 1h30m; found `999999999d`",
    );
    check(
        "queues: {q: {max_item: 1K}}\nprocesses: {p: {run: x}}\n",
        "FY103 2:24 expected a size such as 512, 64KiB or 10MB; found `1K`",
    );
    check(
        "processes: [p]\n",
        "FY103 2:12 expected processes by their names; found a list",
    );
    check(
        "processes: {p: x}\n",
        "FY103 2:16 expected the fields of a process; found `x`",
    );
    check(
        "processes: {p: {run: x}}\nlocks:\n",
        "FY104 3:6 expected locks by their names; found nothing",
    );
}

#[test]
fn commands_that_execute_nothing() {
    check_process("run: ''", "FY103 2:22 there is nothing to execute");
    check_process("run: []", "FY103 2:22 there is nothing to execute");
    check_process("run: \"a\\0b\"", "FY103 2:22 a command cannot contain a NUL character");
    check_process("stdin: null", "FY105 2:13 the process `p` has no `run`");
    check_process("run: [x], shell: sh", "FY107 2:34 `shell` with a `run` that is a list");
    check_process("run: x, shell: bsh", "FY103 2:32 `bsh` is no shell known here");
}

#[test]
fn names_are_simple_and_used_once() {
    let long = "x".repeat(65);
    for name in [
        "'1a'", "'-a'", "'a b'", "a/b", "..", "'a.b'", "näme", "''", "\"a\\n\"", &long,
    ] {
        let found = shown(&read_one(&format!("forkyard: 1\nprocesses: {{{name}: {{run: x}}}}\n")));
        assert!(
            found.starts_with("FY108 2:13 ") && !found.contains('\n'),
            "{name}: {found}"
        );
    }
    check(
        "processes: {a: {run: x}}\nqueues: {a: {}, log: {}}\n",
        "FY109 3:10 the name `a` is used for a process and a queue\n\
         FY108 3:17 `log` cannot be the name of a queue: as a stream it means something else",
    );
    check(
        "processes: {con: {run: x}, con: {run: y}}\n",
        "FY010 2:28 the key `con` occurs twice",
    );
}

#[test]
fn fields_of_pools_and_processes_are_not_mixed() {
    check_process(
        "run: x, tasks: [a]",
        "FY106 2:25 `tasks` belongs to a pool, and this is a process",
    );
    check(
        "pools: {w: {run: x, tasks: [a], replicas: 2}}\n",
        "FY106 2:33 `replicas` belongs to a process, and this is a pool",
    );
    check("pools: {w: {run: x}}\n", "FY105 2:9 the pool `w` has no tasks");
    check(
        "pools: {w: {run: x, tasks: [a], stdin: q}}\n",
        "FY107 2:21 `tasks` together with `stdin`",
    );
    check(
        "pools: {w: {run: x, stdin: {file: f}}}\n",
        "FY120 2:28 the `stdin` of a pool is the queue of its tasks",
    );
    check(
        "pools: {w: {run: x, tasks: [a], recycle: 2}}\n",
        "FY107 2:33 `recycle` without `worker: persistent`",
    );
    check(
        "pools: {w: {size: 2, tasks: [a]}}\n",
        "FY105 2:22 `tasks` needs `run`, which the pool `w` does not have",
    );
    check(
        "pools: {w: {size: 0}}\n",
        "FY103 2:19 expected a whole number from 1 to 100000; found `0`",
    );
    check(
        "pools: {w: {run: x, tasks: {range: [3, 1]}}}\n",
        "FY103 2:36 `range` is a list of two whole numbers, the first and the end",
    );
    check(
        "defaults: {use: t}\nprocesses: {p: {run: x}}\n",
        "FY106 2:12 `use` has no place in `defaults`",
    );
}

#[test]
fn streams_that_lead_nowhere() {
    check_process(
        "run: x, stdout: stdout",
        "FY120 2:33 `stdout` cannot be where stdout leads",
    );
    check_process("run: x, stdin: log", "FY120 2:32 a log cannot be read from");
    check_process(
        "run: x, stdout: {text: a}",
        "FY120 2:33 a text cannot be written to by stdout",
    );
    check_process("run: x, stdin: {append: a}", "FY120 2:32 stdin cannot append to a file");
    check_process(
        "run: x, stdin: {file: a, text: b}",
        "FY120 2:32 `stdin` leads to one place",
    );
    check_process(
        "run: x, fds: {2: null}",
        "FY103 2:31 expected a descriptor from 3 to 31; found `2`",
    );
    check_process(
        "run: x, fds: {3: {send: a, end: b}}",
        "FY120 2:34 descriptor 3 leads to one place",
    );
}

#[test]
fn edges_that_say_too_little() {
    check_process(
        "run: x, after: {a: done}",
        "FY103 2:33 `done` is no condition of `after`",
    );
    check_process(
        "run: x, after: {e: {else: skip}}",
        "FY105 2:43 `else` without `timeout`",
    );
    check_process(
        "run: x, holds: {s: 0}",
        "FY103 2:36 expected a whole number from 1 to 1000000; found `0`",
    );
    check_process(
        "run: x, ready: {tcp: a, exec: b}",
        "FY107 2:32 there is to be one way to look",
    );
    check(
        "semaphores: {s: {}, t: {permits: 0}}\nprocesses: {p: {run: x}}\n",
        "FY105 2:14 the semaphore `s` has no `permits`\n\
         FY103 2:34 expected a whole number from 1 to 1000000; found `0`",
    );
}

#[test]
fn expressions_that_have_no_value() {
    check(
        "params: {words: 1}\nprocesses: {p: {run: 'x ${{ params.wrds }}'}}\n",
        "FY111 3:36 `wrds` is not defined here",
    );
    check_process("run: '${{ parms.n }}'", "FY111 2:27 `parms` is not defined here");
    check_process("run: '${{ item }}'", "FY111 2:27 `item` is not defined here");
    check_process("run: '${{ env.NONE }}'", "FY111 2:31 `NONE` is not defined here");
    check_process("run: 'x ${{ 1'", "FY110 2:25 `${{` without its `}}`");
    check_process(
        "run: '${{ 1 + }}'",
        "FY110 2:23 the expression is not well formed: unexpected end of input, expected expression",
    );
    check_process(
        "run: '${{ 1 / 0 }}'",
        "FY112 2:23 the expression cannot be evaluated: unable to calculate 1 / 0",
    );
    check_process(
        "run: 'x ${{ [1] }}'",
        "FY112 2:25 a list or a map cannot stand inside a text",
    );
    check(
        "processes: {'${{ name }}': {run: x}}\n",
        "FY108 2:13 `${{ name }}` cannot be the name of a process",
    );
    check_process(
        "run: x, env: {'${{ name }}': x}",
        "FY110 2:31 a key cannot contain an expression",
    );
}

#[test]
fn expressions_are_bounded() {
    let found = |expression: &str| {
        shown(&read_one(&format!(
            "forkyard: 1\nprocesses: {{p: {{run: \"${{{{ {expression} }}}}\"}}}}\n"
        )))
    };
    for huge in [
        "'x' * 1000000000",
        "'x' * 2000000",
        "range(99999) | list + range(99999) | list",
        "[1] * 1000000000",
        "('x' * 1000000) | indent(100000)",
        "'%1000000000d' | format(1)",
        "[] | slice(1000000000)",
    ] {
        assert!(found(huge).starts_with("FY112 2:23 "), "{huge}: {}", found(huge));
    }
    let deep = "(".repeat(10_000);
    assert!(found(&deep).starts_with("FY110 2:23 "), "{}", found(&deep));
    let replicas = "processes: {q: {run: x, replicas: 2}, p: {run: x, replicas: 1000000}}\n";
    check(
        replicas,
        "FY119 2:51 the workflow has more than 1000000 processes in all",
    );
}

#[test]
fn params_that_do_not_fit() {
    let yaml: &[u8] = b"forkyard: 1\nparams: {words: 1, flag: true, none: }\nprocesses: {p: {run: x}}\n";
    let loaded = read_all(
        &["flow.yaml"],
        &[("flow.yaml", yaml)],
        &[("words", "many"), ("flag", "1"), ("word", "2")],
    );
    assert_eq!(
        shown(&loaded),
        "FY113 `-p word`: the workflow has no such param\n\
         FY114 2:17 the param `words` is a whole number; found `many`\n\
         FY114 2:26 the param `flag` is true or false; found `1`\n\
         FY104 2:36 the param `none` has no default"
    );
    assert_eq!(loaded.diagnostics[0].help.as_deref(), Some("did you mean `words`?"));
}

#[test]
fn templates_that_are_not_filled() {
    check_process("run: x, with: {a: 1}", "FY105 2:25 `with` without `use`");
    check_process("use: none", "FY115 2:22 there is no template `none`");
    check(
        "templates: {t: {params: {a: , b: 1}, run: '${{ params.a }}'}}\nprocesses: {p: {use: t, with: {c: 1, b: x}}}\n",
        "FY116 3:25 the template needs the param `a`\n\
         FY113 3:32 the template has no param `c`\n\
         FY114 3:41 the param `b` is a whole number; found `x`",
    );
    check(
        "templates: {t: {use: t, run: x}}\nprocesses: {p: {run: x}}\n",
        "FY106 2:17 `use` has no place in a template",
    );
}

#[test]
fn replicas_and_each_exclude_each_other() {
    check_process(
        "run: x, replicas: 2, each: [a]",
        "FY107 2:38 `each` together with `replicas`",
    );
    check_process(
        "run: x, each: 3",
        "FY103 2:31 expected a list, or a map of lists; found `3`",
    );
    check_process("run: x, each: {a: 1}", "FY103 2:35 expected a list; found `1`");
    check_process(
        "run: x, replicas: -1",
        "FY103 2:35 expected a whole number from 0 to 1000000; found `-1`",
    );
    let matrix = "[1,2,3,4,5,6,7,8,9,10]";
    let axes: Vec<_> = ["a", "b", "c", "d", "e", "f", "g", "h"]
        .iter()
        .map(|axis| format!("{axis}: {matrix}"))
        .collect();
    check_process(
        &format!("run: x, each: {{{}}}", axes.join(", ")),
        "FY119 2:31 the workflow has more than 1000000 processes in all",
    );
}

#[test]
fn a_mistake_in_a_replica_is_told_once() {
    check_process(
        "run: x, replicas: 100, timeout: '${{ index }}'",
        "FY103 2:49 expected a duration such as 250ms, 3s, 2m or 1h30m; found `0`",
    );
}
