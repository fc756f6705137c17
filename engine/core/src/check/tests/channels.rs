use super::{explained, finds};

#[test]
fn a_pipe_has_a_writer_and_a_reader() {
    let open = "{pipes: {p: {}, r: {}}, processes: {a: {run: x, stdout: p}, b: {run: x, stdin: r}}}";
    finds(
        open,
        "
error FY221 1:10 nothing reads the pipe `p`
error FY220 1:17 nothing writes to the pipe `r`
"
        .trim_start(),
    );
    let (help, related) = explained(open);
    assert_eq!(help, "let a process read it: `stdin: p`");
    assert_eq!(related, ["1:57 `a` writes to it here"]);
    finds(
        "{pipes: {p: {}}, processes: {a: {run: x, fds: {3: {send: p}}}, b: {run: x, stdin: p}}}",
        "",
    );
}

#[test]
fn each_end_of_a_pipe_has_one_process() {
    let text = "
pipes: {p: {}}
processes:
  a: {run: x, stdout: p, stderr: p}
  b: {run: x, stdout: p}
  c: {run: x, stdin: p}
";
    finds(
        text,
        "error FY222 5:23 `b` takes the writing end of `p`, which `a` has\n",
    );
    let (_, related) = explained(text);
    assert_eq!(related, ["4:23 `a` takes it here"]);
}

#[test]
fn replicas_that_share_an_end_are_warned_of() {
    finds(
        "{pipes: {p: {}}, processes: {a: {run: x, stdout: p}, b: {run: x, replicas: 4, stdin: p}}}",
        "warning FY223 1:86 4 instances of `b` share the reading end of `p`\n",
    );
    finds(
        "{pipes: {p: {}}, pools: {w: {size: 3, run: x, tasks: [1], stdout: p}}, processes: {b: {run: x, stdin: p}}}",
        "warning FY223 1:67 3 instances of `w` share the writing end of `p`\n",
    );
    let each_its_own = "
pipes: {p0: {}, p1: {}}
processes:
  a: {run: x, replicas: 2, stdout: '\"p${{ index }}\"'}
"
    .replace("'\"", "'")
    .replace("\"'", "'");
    finds(
        &each_its_own,
        "
error FY221 2:9 nothing reads the pipe `p0`
error FY221 2:17 nothing reads the pipe `p1`
"
        .trim_start(),
    );
}

#[test]
fn a_process_at_both_ends_is_warned_of() {
    finds(
        "{pipes: {p: {}}, processes: {a: {run: x, stdin: p, stdout: p}}}",
        "warning FY224 1:49 `a` is at both ends of the pipe `p`, and will never see its end\n",
    );
}

#[test]
fn both_ends_of_a_duplex_pipe_are_taken_once() {
    let head = "pipes: {talk: {duplex: true}}, processes: {a: {run: x, connects: talk.left}";
    finds(
        &format!("{{{head}}}}}"),
        "error FY225 1:10 nobody takes the end `talk.right`\n",
    );
    finds(
        &format!("{{{head}, b: {{run: x, fds: {{3: {{end: talk.right}}}}}}}}}}"),
        "",
    );
    finds(
        &format!("{{{head}, b: {{run: x, connects: talk.left}}, c: {{run: x, connects: talk.right}}}}}}"),
        "error FY222 1:101 `b` takes the `.left` end of `talk`, which `a` has\n",
    );
    finds(
        "{pipes: {talk: {duplex: true}}, processes: {a: {run: x, connects: [talk.left, talk.right]}}}",
        "warning FY224 1:79 `a` is at both ends of the pipe `talk`, and will never see its end\n",
    );
}

#[test]
fn queues_have_senders_and_receivers() {
    finds(
        "{queues: {q: {}, r: {}}, processes: {a: {run: x, stdout: q}, b: {run: x, receives: r}}}",
        "
error FY231 1:11 nothing is taken from the queue `q`
error FY230 1:18 nothing is put into the queue `r`
"
        .trim_start(),
    );
    finds(
        "{queues: {q: {}, r: {}}, processes: {a: {run: x, sends: q}, b: {run: x, stdin: r}}, pools: {w: {run: x, stdin: q, stdout: r}}}",
        "",
    );
}

#[test]
fn peers_of_a_pipe_run_at_the_same_time() {
    let text = |condition| {
        format!(
            "{{pipes: {{p: {{}}}}, processes: {{a: {{run: x, stdout: p}}, b: {{run: x, stdin: p, after: {{a: {condition}}}}}}}}}"
        )
    };
    let expected = "warning FY214 1:84 `b` starts after `a` has ended, but the pipe `p` is between them\n";
    finds(&text("finished"), expected);
    finds(&text("succeeded"), expected);
    finds(&text("started"), "");
    finds(
        "{pipes: {p: {}}, processes: {a: {run: x, stdout: p, after: b}, b: {run: x, stdin: p}}}",
        "warning FY214 1:60 `a` starts after `b` has ended, but the pipe `p` is between them\n",
    );
}
