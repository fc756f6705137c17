use super::finds;

#[test]
fn what_a_restarted_process_had_read_is_lost() {
    finds(
        "
queues: {q: {}}
processes:
  a: {run: x, stdout: q}
  b: {run: x, stdin: q, restart: on-failure}
",
        "warning FY235 5:22 `b` is restarted, and the items of `q` that it had read are lost then\n",
    );
    finds(
        "
queues: {q: {}}
processes:
  a: {run: x, stdout: q, restart: on-failure}
  b: {run: x, stdin: q, restart: never}
",
        "",
    );
}

#[test]
fn nobody_waits_for_the_end_of_what_is_always_started_again() {
    finds(
        "
processes:
  a: {run: x, restart: always}
  b: {run: x, after: a}
  c: {run: x, after: {a: started}}
",
        "warning FY216 4:22 `b` waits for the end of `a`, which is always started again\n",
    );
    finds(
        "
processes:
  a: {run: x, restart: on-failure}
  b: {run: x, after: a}
",
        "",
    );
}
