//! The command line: exit codes, help, and what a slip of the finger leads to.

use std::io::Read;
use std::process::Stdio;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::harness::{Forkyard, Live, World, binary, repository, until};

const COMMANDS: [&str; 14] = [
    "run", "check", "explain", "graph", "put", "get", "acquire", "release", "lock", "wait", "set", "clear", "ps",
    "logs",
];

const HELLO: &str = "
forkyard: 1
processes:
  hello: {run: echo hello}
";

const INVALID: &str = "
forkyard: 1
processes:
  first: {run: touch first}
  second: {run: touch second, after: frist}
";

#[test]
fn every_command_has_help_with_an_example() {
    for command in COMMANDS.iter().chain(&["runs"]) {
        let help = Forkyard::new(command).arg("--help").run();
        help.exit(0);
        let text = help.stdout().to_lowercase();
        assert!(
            text.contains("example") && text.contains(&format!("forkyard {command}")),
            "{command}: {text}"
        );
    }
}

#[test]
fn the_help_names_every_command() {
    let help = Forkyard::new("--help").run();
    for command in COMMANDS {
        help.exit(0).line(&format!("{command} [..]"));
    }
}

#[test]
fn the_version_is_the_crates() {
    let version = Forkyard::new("--version").run();
    version.exit(0).line(&format!("forkyard {}", env!("CARGO_PKG_VERSION")));
}

#[test]
fn a_slip_of_the_finger_is_told_the_right_word() {
    Forkyard::new("chek").run().exit(2).stderr("check");
    Forkyard::new("run").arg("--jsn").run().exit(2).stderr("--json");
    Forkyard::new("graph")
        .workflow(HELLO)
        .arg("--format")
        .arg("mermad")
        .run()
        .exit(2)
        .stderr("mermaid");
}

#[test]
fn a_run_that_succeeds_exits_0() {
    let run = Forkyard::run_of(HELLO).run();
    run.exit(0).line("hello │ hello");
}

#[test]
fn a_run_in_which_something_fails_exits_1_and_says_what_and_why() {
    let run = Forkyard::run_of(
        "
forkyard: 1
processes:
  breaks: {run: exit 7}
  never: {run: touch never, after: breaks}
  other: {run: echo other}
",
    )
    .run();
    run.exit(1)
        .line("other │ other")
        .line("[..]breaks[..]7[..]")
        .line("[..]never[..]breaks[..]");
    assert!(!run.world().has("never"));
}

#[test]
fn p2_a_process_that_dies_by_a_signal_is_named_with_it() {
    let run = Forkyard::run_of("forkyard: 1\nprocesses: {dies: {run: kill -KILL $$}}\n").run();
    run.exit(1).line("[..]dies[..]SIGKILL[..]");
}

#[test]
fn an_invalid_workflow_exits_2_and_starts_nothing() {
    let run = Forkyard::run_of(INVALID).run();
    run.exit(2).stderr("workflow.yaml:5:").stderr("first");
    assert!(!run.world().has("first") && run.world().runs().is_empty());
}

#[test]
fn check_tells_findings_from_what_cannot_be_read() {
    Forkyard::new("check")
        .workflow(HELLO)
        .run()
        .exit(0)
        .line("[..]ok[..]1 process[..]");
    Forkyard::new("check")
        .workflow(INVALID)
        .run()
        .exit(1)
        .says("did you mean");
    Forkyard::new("check")
        .arg("missing.yaml")
        .run()
        .exit(2)
        .says("missing.yaml");
    Forkyard::new("check").run().exit(2);
}

#[test]
fn check_has_findings_as_json() {
    let checked = Forkyard::new("check")
        .workflow(INVALID)
        .arg("--format")
        .arg("json")
        .run();
    checked.exit(1);
    let findings: serde_json::Value = serde_json::from_str(checked.stdout()).expect("it is JSON");
    let text = findings.to_string();
    assert!(text.contains("\"line\":5") && text.contains("frist"), "{text}");
}

#[test]
fn a_param_on_the_command_line_wins() {
    let workflow = "
forkyard: 1
params: {word: one, times: 2}
processes:
  say:
    run: echo ${{ params.word }} ${{ params.times }}
";
    Forkyard::run_of(workflow)
        .quiet()
        .param("word=two")
        .run()
        .exit(0)
        .line("say │ two 2");
    Forkyard::run_of(workflow).param("wrod=two").run().exit(2).says("word");
    Forkyard::run_of(workflow)
        .param("times=often")
        .run()
        .exit(2)
        .says("times");
}

#[test]
fn a_later_file_wins_field_by_field() {
    let run = Forkyard::new("run")
        .quiet()
        .file(
            "base.yaml",
            "forkyard: 1\nprocesses: {say: {run: echo base $WORD, env: {WORD: one}}}\n",
        )
        .file("local.yaml", "forkyard: 1\nprocesses: {say: {env: {WORD: two}}}\n")
        .arg("-f")
        .arg("base.yaml")
        .arg("-f")
        .arg("local.yaml")
        .run();
    run.exit(0).line("say │ base two");
}

#[test]
fn a_dry_run_shows_the_plan_and_starts_nothing() {
    let run = Forkyard::run_of("forkyard: 1\nprocesses: {one: {run: touch one}}\n")
        .arg("--dry-run")
        .run();
    run.exit(0).says("touch one");
    assert!(!run.world().has("one") && run.world().runs().is_empty());
}

#[test]
fn json_is_one_record_a_line() {
    let run = Forkyard::run_of(HELLO).arg("--json").run();
    run.exit(0);
    let records: Vec<serde_json::Value> = run
        .stdout()
        .lines()
        .map(|line| serde_json::from_str(line).expect("every line is JSON"))
        .collect();
    let runs = run.world().runs();
    let id = runs[0].file_name().and_then(|name| name.to_str()).expect("it is UTF-8");
    assert_eq!(records[0]["record"], "run_started");
    assert_eq!(records[0]["run"], id);
    assert_eq!(records[0]["workflow"], "workflow");
    for kind in ["run_started", "started", "exited", "run_ended"] {
        assert!(
            records.iter().any(|record| record["record"] == kind),
            "no {kind} in {}",
            run.stdout()
        );
    }
    assert!(
        records.iter().any(|record| record["line"] == "hello"),
        "{}",
        run.stdout()
    );
}

#[test]
fn quiet_leaves_only_what_the_processes_say() {
    let run = Forkyard::run_of(HELLO).quiet().run();
    run.exit(0);
    assert_eq!(run.stdout().lines().count(), 1);
    assert_eq!(run.lines(), [("hello", "hello")]);
}

#[test]
fn forkyard_yaml_is_run_when_no_file_is_named() {
    Forkyard::new("run")
        .quiet()
        .file("forkyard.yaml", HELLO)
        .run()
        .exit(0)
        .line("hello │ hello");
    Forkyard::new("run").run().exit(2).stderr("forkyard.yaml");
}

#[test]
fn what_is_not_built_yet_is_refused_by_name() {
    let run = Forkyard::run_of(
        "forkyard: 1\nqueues: {q: {durable: true}}\nprocesses: {db: {run: touch db, sends: q, receives: q}}\n",
    )
    .run();
    run.exit(2)
        .stderr("not built yet")
        .stderr("durable")
        .stderr("workflow.yaml:2:");
    assert!(!run.world().has("db"));
}

#[test]
fn a_verb_outside_a_run_says_so() {
    for words in [
        &["put", "q", "item"][..],
        &["get", "q"],
        &["acquire", "l"],
        &["release", "l"],
        &["lock", "l", "--", "true"],
        &["wait", "e"],
        &["set", "e"],
        &["clear", "e"],
    ] {
        let verb = words[1..].iter().fold(Forkyard::new(words[0]), Forkyard::arg);
        verb.run().exit(3).stderr("not inside a run");
    }
}

#[test]
fn runs_and_logs_show_what_has_been() {
    let none = Forkyard::new("runs").run();
    none.exit(0);
    let run =
        Forkyard::run_of("forkyard: 1\nname: greeting\nprocesses: {a: {run: echo one}, b: {run: echo two; exit 3}}\n")
            .run();
    run.exit(1);
    let runs = Forkyard::new("runs").within(run.into_world()).run();
    runs.exit(0).line("[..]greeting[..]1[..]");
    let logs = Forkyard::new("logs").within(runs.into_world()).run();
    logs.exit(0).says("one").says("two");
    let id = logs
        .world()
        .run_directory()
        .file_name()
        .expect("a run has an id")
        .to_owned();
    let one = Forkyard::new("logs").within(logs.into_world()).arg(id).arg("a").run();
    one.exit(0).line("one").no_line("two");
}

#[test]
fn a_run_keeps_the_workflow_and_each_log_byte_by_byte() {
    let workflow = "forkyard: 1\nprocesses: {raw: {run: 'printf \"a\\\\000\\\\377\\\\033[31mb\"'}}\n";
    let run = Forkyard::run_of(workflow).run();
    run.exit(0);
    let directory = run.world().run_directory();
    let read = |name: &str| std::fs::read(directory.join(name)).expect("the run's directory has it");
    assert_eq!(read("workflow.yaml"), workflow.as_bytes());
    assert_eq!(read("logs/raw.log"), b"a\0\xff\x1b[31mb");
}

#[test]
fn dd7_a_reader_that_goes_away_harms_nothing() {
    let workflow = repository("workflows/word-count/word-count.yaml");
    let script = format!("'{}' graph '{}' | head -n 1 >&2", binary(), workflow.display());
    let words = ["sh", "-c", script.as_str()].map(std::ffi::OsString::from);
    let piped = Live::start(&words, &[], crate::harness::World::new()).end();
    piped.exit(0).stderr("digraph");
}

/// Writes more than any pipe takes, and then lives on until it is stopped.
const LOUD: &str = "
forkyard: 1
processes:
  loud: {run: \"yes 'a line' | head -n 100000\"}
  endless: {run: exec sleep 1000, after: loud}
";

/// A run whose stdout is a pipe that nobody reads, though it is open.
struct Unread {
    child: std::process::Child,
    world: World,
}

impl Unread {
    fn start(workflow: &str) -> Self {
        let world = World::new();
        world.write("workflow.yaml", workflow);
        let mut command = std::process::Command::new(binary());
        command
            .args(["run", "workflow.yaml"])
            .current_dir(world.folder())
            .env("XDG_STATE_HOME", world.state());
        let child = command.stdout(Stdio::piped()).spawn().expect("it starts");
        Self { child, world }
    }

    /// Waits for `run.json` to say this; it is written anew at the start and at the end.
    fn wait_for_about(&self, about: impl Fn(&serde_json::Value) -> bool) -> &Self {
        until("run.json says it", || {
            let run = self.world.runs().into_iter().next();
            let text = run.and_then(|run| std::fs::read(run.join("run.json")).ok());
            text.and_then(|text| serde_json::from_slice(&text).ok())
                .is_some_and(|value| about(&value))
        });
        self
    }

    fn has_ended(about: &serde_json::Value) -> bool {
        about["exit_code"].is_i64()
    }

    fn wait_for_record(&self, text: &str) -> &Self {
        until("a record says it", || {
            let run = self.world.runs().into_iter().next();
            let records = run.and_then(|run| std::fs::read_to_string(run.join("records.jsonl")).ok());
            records.is_some_and(|records| records.contains(text))
        });
        self
    }

    fn interrupt(&self) -> &Self {
        let pid = i32::try_from(self.child.id()).expect("a pid fits");
        kill(Pid::from_raw(pid), Signal::SIGINT).expect("it is alive");
        self
    }

    fn exit_code(mut self) -> Option<i32> {
        let status = self.child.wait().expect("it is our child");
        self.world.assert_empty();
        status.code()
    }
}

#[test]
fn cc14_a_reader_that_has_stopped_does_not_keep_a_run_that_is_to_stop() {
    let run = Unread::start(LOUD);
    run.wait_for_record("\"process\":\"endless\"").interrupt();
    run.wait_for_about(Unread::has_ended);
    assert_eq!(run.exit_code(), Some(130));
}

#[test]
fn a_run_that_has_ended_and_only_waits_for_its_reader_is_ended_by_a_signal() {
    let run = Unread::start(&LOUD.replace("exec sleep 1000", "exec true"));
    run.wait_for_about(Unread::has_ended);
    until("no process of it is left but the three of forkyard", || {
        run.world.living().len() == 3
    });
    // The signal may come just before the engine lets go of it; the next one does not.
    let mut run = run;
    until("it ends", || {
        run.interrupt();
        run.child.try_wait().expect("it is our child").is_some()
    });
    assert_eq!(run.exit_code(), Some(130));
}

#[test]
fn cc14_a_slow_reader_gets_the_end_of_the_run() {
    let mut run = Unread::start(&LOUD.replace("exec sleep 1000", "exec true"));
    run.wait_for_about(Unread::has_ended);
    let mut text = String::new();
    let mut stdout = run.child.stdout.take().expect("it is piped");
    stdout.read_to_string(&mut text).expect("it is UTF-8");
    assert!(text.contains("workflow succeeded after"), "{text}");
    assert_eq!(run.exit_code(), Some(0));
}

#[test]
fn the_doctor_finds_this_machine_fit() {
    let told = Forkyard::new("doctor").run();
    told.exit(0).says("isolation: pidns").says("state directory");
    let json = Forkyard::new("doctor").arg("--json").run();
    let finding: serde_json::Value =
        serde_json::from_str(json.stdout().lines().next().expect("there are findings")).expect("a finding is JSON");
    assert_eq!(
        (finding["what"].as_str(), finding["state"].as_str()),
        (Some("kernel"), Some("fine"))
    );
}
