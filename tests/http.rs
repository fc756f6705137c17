//! HTTP on the run's socket, by curl within real runs, and the page that describes it, held to by others' tools.

use std::process::{Command, Stdio};

use crate::harness::{Forkyard, Outcome, repository};

/// As in docs/howto/http.md; with it, the status stands on a line of its own behind the body.
const ASK: &str = r#"ask() { path=$1; shift; curl -sS --unix-socket "$FORKYARD_SOCKET" -H "Authorization: Bearer $FORKYARD_TOKEN" "http://forkyard/v1/$path" "$@"; }
status() { ask "$@" -o answer -w '%{http_code} '; cat answer; echo; }"#;

/// Whether this program is here; a test that needs it says when it is not.
fn is_here(program: &str) -> bool {
    let found = Command::new(program)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok();
    if !found {
        eprintln!("skipped: {program} is not installed");
    }
    found
}

/// A process that touches everything, with this script.
fn script(lines: &str) -> Option<Outcome> {
    let indented = format!("{ASK}\n{lines}").replace('\n', "\n      ");
    let head = "
forkyard: 1
queues: {q: {capacity: 2, max_item: 100kB}}
locks: {l: {}}
semaphores: {s: {permits: 2}}
events: {e: {}, foreign: {}}
processes:
  p:
    sends: q
    receives: q
    acquires: [l, {s: 2}]
    sets: e
    waits: e
    run: |
";
    let tail = "\n  other: {sets: foreign, waits: foreign, run: \"true\"}\n";
    is_here("curl").then(|| Forkyard::run_of(&format!("{head}      {indented}{tail}")).quiet().run())
}

#[test]
fn curl_puts_gets_holds_and_waits() {
    let Some(run) = script(
        r#"status queues/q/put -d '{"item":"one"}'
printf 'a\000b' > raw; status queues/q/put -H 'Content-Type: application/octet-stream' --data-binary @raw
status queues/q/put -d '{"item":"three","block":false}'
status queues/q/get -X POST
ask queues/q/get -X POST -H 'Accept: application/octet-stream' | cmp - raw && echo same
status locks/l/acquire -X POST
status locks/l/acquire -d '{"timeout":"10ms"}'
status locks/l/release -X POST
status semaphores/s/acquire -d '{"permits":2}'
status semaphores/s/release -d '{"permits":2}'
status events/e/set -X POST
status events/e/wait -X POST
status events/e/clear -X POST"#,
    ) else {
        return;
    };
    run.exit(0);
    let said = run.said("p").join("\n");
    let expected = r#"200 {"put":1}

200 {"put":1}

409 {"error":"would_block","message":"it would have to wait"}

200 {"items":[{"id":"0","deliveries":1,"text":"one"}]}

same
200 {"orphaned":false}

409 {"error":"timed_out","message":"the time is over"}

204
200 {"orphaned":false}

204
204
204
204"#;
    assert_eq!(said.trim_end(), expected);
}

#[test]
fn i8_s5_gg4_ee11_curl_is_told_what_is_wrong() {
    let Some(run) = script(
        r#"bad() { ask "$@" -o answer -w '%{http_code} '; sed 's/.*"error":"\([a-z_]*\)".*/\1/' answer; }
bad queues/nothing/get -X POST
bad queues/l/get -X POST
bad events/foreign/set -X POST
grep -q 'add `sets: \[foreign\]` to process `p`' answer && echo the line
bad queues/q/get -X POST -H 'Origin: http://localhost'
bad queues/q/put -d nonsense
bad queues/q/put -d '{"base64":"!"}'
bad queues/q/get -X GET
bad queue/q/get -X POST
head -c 200000 /dev/zero | bad queues/q/put -H 'Content-Type: application/octet-stream' --data-binary @-
head -c 3000000 /dev/zero | bad queues/q/put -H 'Content-Type: application/octet-stream' --data-binary @-
bad semaphores/s/acquire -d '{"permits":3}'
bad locks/l/release -X POST
FORKYARD_TOKEN=guessed; bad events/e/set -X POST
curl -sS --unix-socket "$FORKYARD_SOCKET" http://forkyard/v1/ps | grep -o '"name":"p"'"#,
    ) else {
        return;
    };
    run.exit(0);
    let expected = [
        "404 no_such_name",
        "422 wrong_kind",
        "403 not_declared",
        "the line",
        "403 foreign_origin",
        "415 unsupported_media_type",
        "400 bad_request",
        "405 method_not_allowed",
        "404 no_such_path",
        "413 too_large",
        "413 too_large",
        "400 too_many",
        "409 not_held",
        "401 unknown_token",
        "\"name\":\"p\"",
    ];
    assert_eq!(run.said("p"), expected);
}

#[test]
fn i3_ee2_an_item_kept_by_a_process_that_is_killed_goes_to_the_next() {
    if !is_here("curl") {
        return;
    }
    let ask = ASK.replace('\n', "\n      ");
    let run = Forkyard::run_of(&format!(
        "
forkyard: 1
queues: {{q: {{}}}}
processes:
  sender: {{sends: q, run: forkyard put q once}}
  dies:
    after: sender
    receives: q
    on_failure: ignore
    run: |
      {ask}
      ask queues/q/get -d '{{\"ack\":false}}'
      kill -KILL $$
  heir:
    after: {{dies: finished}}
    receives: q
    run: |
      {ask}
      ask queues/q/get -d '{{\"ack\":false}}'
      ask queues/q/ack -d '{{\"id\":\"0\"}}' -w '%{{http_code}}'
"
    ))
    .quiet()
    .run();
    run.exit(0);
    assert_eq!(
        run.said("dies"),
        [r#"{"items":[{"id":"0","deliveries":1,"text":"once"}]}"#]
    );
    assert_eq!(
        run.said("heir"),
        [r#"{"items":[{"id":"0","deliveries":2,"text":"once"}]}"#, "204"]
    );
}

#[test]
fn an_item_that_was_got_is_gone_however_its_process_ends() {
    if !is_here("curl") {
        return;
    }
    let ask = ASK.replace('\n', "\n      ");
    let run = Forkyard::run_of(&format!(
        "
forkyard: 1
queues: {{q: {{}}}}
processes:
  sender: {{sends: q, run: forkyard put q once}}
  dies:
    after: sender
    receives: q
    on_failure: ignore
    run: |
      {ask}
      ask queues/q/get -X POST
      kill -KILL $$
  heir:
    after: {{dies: finished}}
    receives: q
    run: forkyard get q || echo nothing
"
    ))
    .quiet()
    .run();
    run.exit(0);
    assert_eq!(run.said("heir"), ["nothing"]);
}

#[test]
fn i5_ee3_a_client_that_is_killed_while_it_waits_takes_nothing() {
    let Some(run) = script(
        "token=\"Authorization: Bearer $FORKYARD_TOKEN\"
curl -sS --unix-socket \"$FORKYARD_SOCKET\" -H \"$token\" -X POST http://forkyard/v1/queues/q/get & waits=$!
ask queues/q/get -d '{\"timeout\":\"100ms\"}' -o first -w '%{http_code}\n'
kill -KILL $waits; wait $waits
forkyard put q once
forkyard get q --timeout 30s",
    ) else {
        return;
    };
    run.exit(0);
    let said = run.said("p");
    // In between the shell may say that somebody was killed.
    assert_eq!((said.first(), said.last()), (Some(&"409"), Some(&"once")));
}

/// Tools of others: a validator of such pages, and one that makes up requests from them.
#[test]
fn the_page_is_valid_and_the_server_is_as_it_says() {
    if !is_here("python3") {
        return;
    }
    let tool = repository("tests/openapi/conformance.py");
    let run = Forkyard::run_of(&format!(
        "
forkyard: 1
queues: {{jobs: {{}}}}
events: {{ready: {{}}}}
processes:
  probe:
    sends: jobs
    receives: jobs
    sets: ready
    waits: ready
    success: [0, 77]
    run: python3 {}
",
        tool.display()
    ))
    .quiet()
    .run();
    eprintln!("{}", run.stdout());
    run.exit(0);
    let said = run.said("probe");
    assert_eq!(said.len(), 2, "{said:?}");
}
