use super::*;

fn argv(workflow: &Workflow) -> Vec<(String, String)> {
    let processes = workflow.processes.iter();
    let pairs = processes.map(|process| {
        let program = process.body.run.as_ref().expect("each process has a program");
        (process.name(), program.argv.join(" "))
    });
    pairs.collect()
}

#[track_caller]
fn check_argv(yaml: &str, expected: &[(&str, &str)]) {
    let found = argv(&accepted_body(yaml));
    let found: Vec<_> = found
        .iter()
        .map(|(name, argv)| (name.as_str(), argv.as_str()))
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn replicas_know_their_index_and_name() {
    check_argv(
        "params: {n: 2}\nprocesses:\n  p: {run: ['${{ name }}', '${{ index }}'], replicas: '${{ params.n }}'}\n  \
         q: {run: [x], replicas: 1}\n",
        &[("p.0", "p.0 0"), ("p.1", "p.1 1"), ("q", "x")],
    );
}

#[test]
fn each_makes_one_process_for_each_item() {
    check_argv(
        "processes:\n  p:\n    run: [build, '${{ item }}']\n    each: [a, 1.50, true]\n  q: {run: ['${{ item }}'], each: [only]}\n",
        &[
            ("p.0", "build a"),
            ("p.1", "build 1.50"),
            ("p.2", "build true"),
            ("q.0", "only"),
        ],
    );
}

#[test]
fn each_of_a_map_is_a_matrix_in_its_order() {
    check_argv(
        "processes:\n  p:\n    run: ['${{ item.os }}-${{ item.arch }}']\n    each: {os: [linux, mac], arch: [x, y]}\n",
        &[
            ("p.0", "linux-x"),
            ("p.1", "linux-y"),
            ("p.2", "mac-x"),
            ("p.3", "mac-y"),
        ],
    );
}

#[test]
fn a_false_if_and_no_replicas_leave_a_process_absent() {
    let workflow = accepted_body(
        "params: {debug: false}\nprocesses:\n  p: {run: x, if: '${{ params.debug }}'}\n  q: {run: x, replicas: 0}\n  \
         r: {run: x, each: []}\n  s: {run: x, if: '${{ not params.debug }}'}\npools: {w: {if: false, size: 1}}\n",
    );
    let absent: Vec<_> = workflow.absent.iter().map(|absent| absent.name.as_str()).collect();
    assert_eq!(absent, ["p", "q", "r", "w"]);
    assert_eq!(workflow.processes.len(), 1);
}

#[test]
fn a_template_is_filled_in_by_its_user() {
    let yaml = "\
params: {word: hello, interval: 9}
templates:
  clock:
    params: {interval: 3, who: }
    run: [clock, '${{ params.interval }}', '${{ params.who }}', '${{ params.word }}']
    env: {A: template, B: template}
    timeout: 1s
processes:
  p: {use: clock, with: {who: me}, env: {A: own}}
  q: {use: clock, with: {interval: 1, who: '${{ item }}'}, each: [x, y], timeout: 2s}
";
    check_argv(
        yaml,
        &[
            ("p", "clock 3 me hello"),
            ("q.0", "clock 1 x hello"),
            ("q.1", "clock 1 y hello"),
        ],
    );
    let workflow = accepted_body(yaml);
    let env = &workflow.processes[0].body.env;
    assert_eq!((env["A"].value.as_str(), env["B"].value.as_str()), ("own", "template"));
    assert_eq!(workflow.processes[1].body.timeout.unwrap().0.as_secs(), 2);
    assert!(workflow.templates[0].used);
}

#[test]
fn a_template_may_say_how_often_its_user_is_there() {
    check_argv(
        "templates:\n  t: {params: {n: 1}, run: ['${{ index }}'], replicas: '${{ params.n }}'}\n\
         processes: {p: {use: t, with: {n: 2}}}\n",
        &[("p.0", "0"), ("p.1", "1")],
    );
}

#[test]
fn defaults_apply_where_they_fit() {
    let workflow = accepted_body(
        "defaults: {timeout: 5s, env: {A: default, B: default}, size: 2, stdin: inherit, shell: bash}\n\
         processes: {p: {run: x, env: {A: own}}}\npools: {w: {run: x, tasks: [a]}, slots: {size: 3}}\n",
    );
    let (process, pool) = (&workflow.processes[0].body, &workflow.pools[0]);
    assert_eq!(
        (process.env["A"].value.as_str(), process.env["B"].value.as_str()),
        ("own", "default")
    );
    assert_eq!(process.run.as_ref().unwrap().argv[0], "bash");
    assert_eq!(process.stdin, Stream::Inherit);
    assert_eq!((pool.size, &pool.body.stdin), (2, &Stream::Null));
    assert_eq!(pool.body.timeout.unwrap().0.as_secs(), 5);
    assert_eq!((workflow.pools[1].size, workflow.pools[1].body.timeout), (3, None));
}

#[test]
fn expressions_keep_the_type_of_their_value() {
    let workflow = accepted_body(
        "params: {list: [a, b], n: 3, quiet: true, text: '7'}\nqueues: {q: {capacity: '${{ params.n * 2 }}'}}\n\
         processes:\n  p:\n    run: ${{ params.list + ['c'] }}\n    daemon: ${{ params.quiet }}\n    \
         env: {N: '${{ params.n }}', T: '${{ params.text }}', C: '${{ cpus }}', U: '${{ env.USER }}'}\n",
    );
    let body = &workflow.processes[0].body;
    assert_eq!(workflow.queues[0].capacity, 6);
    assert_eq!(body.run.as_ref().unwrap().argv, ["a", "b", "c"]);
    assert!(body.daemon);
    let values: Vec<_> = body.env.values().map(|value| value.value.as_str()).collect();
    assert_eq!(values, ["8", "3", "7", "ada"]);
}

#[test]
fn the_shells_own_dollars_are_left_alone_and_words_can_be_quoted() {
    check_argv(
        "params: {path: \"it's\"}\nprocesses: {p: {run: 'ls $x ${x} $((1)) ${{ params.path | sh }} ${{ \"}}\" }}'}}\n",
        &[("p", r"sh -c ls $x ${x} $((1)) 'it'\''s' }}")],
    );
}

#[test]
fn a_value_is_never_evaluated_again() {
    let loaded = read_all(
        &["flow.yaml"],
        &[(
            "flow.yaml",
            b"forkyard: 1\nparams: {a: b}\nprocesses: {p: {run: ['${{ params.a }}']}}\n",
        )],
        &[("a", "${{ env.USER }}")],
    );
    assert_eq!(argv(&loaded.workflow.unwrap())[0].1, "${{ env.USER }}");
}

#[test]
fn params_are_given_by_their_types() {
    let yaml = b"forkyard: 1\nparams: {n: 1, f: 0.5, b: false, t: x, l: [1], m: {a: 1}}\nprocesses: {p: {run: x}}\n";
    let given = [
        ("n", "5"),
        ("f", "2"),
        ("b", "true"),
        ("t", "007"),
        ("l", "[2, 3]"),
        ("m", "{\"a\": 2}"),
    ];
    let loaded = read_all(&["flow.yaml"], &[("flow.yaml", yaml)], &given);
    assert_eq!(shown(&loaded), "");
    let params = loaded.workflow.unwrap().params;
    let values: Vec<_> = params.values().map(String::as_str).collect();
    assert_eq!(values, ["true", "2", "[2, 3]", "{'a': 2}", "5", "007"]);
}

#[test]
fn very_many_replicas_are_made_once() {
    let workflow = accepted_body("processes: {p: {run: x, replicas: 50000}}\n");
    assert_eq!(workflow.processes.len(), 50_000);
    assert_eq!(workflow.processes[49_999].name(), "p.49999");
}
