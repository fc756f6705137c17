//! Whatever the file holds and whatever the machine lacks: a clear error, nothing started, never a panic.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use nix::sys::stat::Mode;
use nix::unistd::{Uid, mkfifo};

use crate::harness::{Forkyard, Outcome};

/// What comes before each mistake: were anything started, it would leave a file.
const TOUCH: &str = "forkyard: 1\nprocesses:\n  touch: {run: touch touched}\n";

/// `check` finds it, `run` refuses it, both say this, and nothing has been started.
fn refused(contents: impl AsRef<[u8]>, words: &str) {
    let contents = contents.as_ref();
    let checked = Forkyard::new("check").file("bad.yaml", contents).arg("bad.yaml").run();
    checked.exit_one_of(&[1, 2]).says(words).says("bad.yaml");
    let run = Forkyard::new("run").file("bad.yaml", contents).arg("bad.yaml").run();
    nothing_started(run.exit(2).stderr(words));
}

/// `run` refuses it before the start, and says this.
fn refused_here(workflow: &str, words: &str) {
    nothing_started(
        Forkyard::run_of(workflow)
            .run()
            .exit(2)
            .stderr(words)
            .stderr("workflow.yaml:"),
    );
}

fn nothing_started(run: &Outcome) {
    assert!(!run.world().has("touched"), "a process was started");
}

#[test]
fn a_file_without_a_workflow() {
    refused("", "empty");
    refused("# nothing but a comment\n", "empty");
    refused("forkyard: 1\n", "process");
    refused("- a\n- b\n", "map");
}

#[test]
fn a_missing_or_other_version() {
    refused("processes: {a: {run: \"true\"}}\n", "forkyard: 1");
    refused("forkyard: 2\nprocesses: {a: {run: \"true\"}}\n", "version");
}

#[test]
fn a_file_of_300_megabytes() {
    let run = Forkyard::new("run").arg("huge.yaml");
    let file = fs::File::create(run.folder().join("huge.yaml")).expect("a file can be made");
    file.set_len(300 << 20).expect("a file can be long");
    run.run().exit(2).stderr("256 MiB");
}

#[test]
fn what_is_no_file() {
    let run = Forkyard::new("run").arg("folder");
    fs::create_dir(run.folder().join("folder")).expect("a folder can be made");
    run.run().exit(2).stderr("folder").stderr("director");
    let run = Forkyard::new("run").arg("fifo");
    mkfifo(&run.folder().join("fifo"), Mode::S_IRWXU).expect("a FIFO can be made");
    run.run().exit(2).stderr("fifo");
    Forkyard::new("run").arg("/dev/zero").run().exit(2).stderr("/dev/zero");
    Forkyard::new("check")
        .arg("missing.yaml")
        .run()
        .exit(2)
        .says("missing.yaml");
}

#[test]
fn a_file_that_may_not_be_read() {
    let mut check = Forkyard::new("check").file("closed.yaml", TOUCH).arg("closed.yaml");
    fs::set_permissions(check.folder().join("closed.yaml"), Permissions::from_mode(0o000)).expect("it is our file");
    if Uid::effective().is_root() {
        // Root may read everything, unless it gives up that right.
        check = check.launched_by(&["setpriv", "--bounding-set=-dac_override,-dac_read_search"]);
    }
    check.run().exit(2).says("closed.yaml").says("ermission");
}

#[test]
fn bytes_that_are_no_text() {
    refused([TOUCH.as_bytes(), b"  caf\xe9: {}\n"].concat(), "bad.yaml:4:6");
    refused(format!("{TOUCH}  a\0b: {{}}\n"), "bad.yaml:4:4");
}

#[test]
fn text_that_is_no_yaml() {
    refused(format!("{TOUCH}\tother: {{run: \"true\"}}\n"), "tab");
    refused(format!("{TOUCH}  other: [\n"), "bad.yaml:");
    refused(format!("{TOUCH}  other: \"never ends\n"), "bad.yaml:");
    refused(format!("{TOUCH}---\nforkyard: 1\n"), "document");
}

#[test]
fn aliases_that_explode() {
    let mut bomb = String::from("x-0: &a0 [l, o, l]\n");
    for level in 1..10 {
        let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
        bomb = format!("{bomb}x-{level}: &a{level} [{aliases}]\n");
    }
    refused(format!("{bomb}{TOUCH}"), "alias");
    refused(format!("x-self: &self [*self]\n{TOUCH}"), "bad.yaml:1:");
}

#[test]
fn nesting_without_end() {
    for levels in [101, 100_000] {
        refused(
            format!("{TOUCH}x-deep: {}{}\n", "[".repeat(levels), "]".repeat(levels)),
            "FY009",
        );
        refused(format!("{TOUCH}x-deep:\n  {}1\n", "- ".repeat(levels)), "FY009");
        refused(format!("{TOUCH}x-deep:\n  {}1\n", "? ".repeat(levels)), "FY009");
    }
}

#[test]
fn keys_that_are_unknown_or_there_twice() {
    refused(format!("{TOUCH}  other: {{run: \"true\", repilcas: 2}}\n"), "replicas");
    refused(format!("{TOUCH}proceses: {{}}\n"), "processes");
    refused(format!("{TOUCH}  touch: {{run: \"true\"}}\n"), "touch");
    refused(format!("{TOUCH}queues: {{touch: {{}}}}\n"), "touch");
}

#[test]
fn values_of_the_wrong_type() {
    refused(format!("{TOUCH}  a: {{run: {{}}}}\n"), "bad.yaml:4:12");
    refused(format!("{TOUCH}  a: {{run: \"true\", replicas: many}}\n"), "many");
    refused(format!("{TOUCH}  a: {{run: \"true\", timeout: 5}}\n"), "250ms");
    refused(format!("{TOUCH}  a: {{run: \"true\", timeout: -1s}}\n"), "bad.yaml:4:");
    refused(format!("{TOUCH}  a: {{run: ~}}\n"), "bad.yaml:4:");
    refused(format!("{TOUCH}  a: []\n"), "bad.yaml:4:6");
}

#[test]
fn every_error_of_a_file_in_one_pass() {
    let workflow = format!(
        "{TOUCH}  a: {{run: 1s, timeout: x}}\n  b: {{run: \"true\", nice: y}}\n  c: {{run: \"true\", umask: z}}\n"
    );
    let checked = Forkyard::new("check").workflow(&workflow).run();
    checked
        .exit(1)
        .says("workflow.yaml:4:")
        .says("workflow.yaml:5:")
        .says("workflow.yaml:6:")
        .says("3 errors");
}

#[test]
fn names_that_could_do_harm_are_never_printed_raw() {
    let workflow = format!("{TOUCH}  \"\\e[31mred\": {{run: \"true\"}}\n  ../up: {{run: \"true\"}}\n");
    let checked = Forkyard::new("check").workflow(&workflow).run();
    checked.exit(1).says("../up");
    assert!(!checked.errors().contains('\x1b') && !checked.stdout().contains('\x1b'));
}

#[test]
fn expressions_that_are_wrong() {
    refused(
        format!("{TOUCH}  a: {{run: \"echo ${{{{ params.wrod }}}}\"}}\nparams: {{word: 1}}\n"),
        "word",
    );
    refused(format!("{TOUCH}  a: {{run: \"echo ${{{{ 1 + \"}}\n"), "bad.yaml:4:");
    refused(
        format!("{TOUCH}  a: {{run: \"${{{{ range(1000000000) | list }}}}\"}}\n"),
        "bad.yaml:4:",
    );
}

#[test]
fn includes_that_lead_nowhere() {
    refused(format!("include: [missing.yaml]\n{TOUCH}"), "missing.yaml");
    refused(format!("include: [bad.yaml]\n{TOUCH}"), "bad.yaml");
    refused(format!("include: [/etc/passwd]\n{TOUCH}"), "/etc/passwd");
    refused(format!("include: [../../other.yaml]\n{TOUCH}"), "../../other.yaml");
}

#[test]
fn commands_that_cannot_be_executed() {
    refused_here(
        &format!("{TOUCH}  a: {{run: [no-such-command-anywhere]}}\n"),
        "no-such-command-anywhere",
    );
    refused_here(&format!("{TOUCH}  a: {{run: [./missing.sh]}}\n"), "./missing.sh");
    refused_here(&format!("{TOUCH}  a: {{run: [/]}}\n"), "director");
    refused_here(
        &format!("{TOUCH}  a: {{run: \"true\", shell: [no-such-shell, -c]}}\n"),
        "no-such-shell",
    );
    let run = Forkyard::run_of(&format!("{TOUCH}  a: {{run: [./plain.sh]}}\n")).file("plain.sh", "echo hello\n");
    nothing_started(run.run().exit(2).stderr("chmod +x"));
}

#[test]
fn folders_and_users_that_are_not_there() {
    refused_here(&format!("{TOUCH}  a: {{run: \"true\", cwd: nowhere}}\n"), "nowhere");
    refused_here(
        &format!("{TOUCH}  a: {{run: \"true\", cwd: workflow.yaml}}\n"),
        "workflow.yaml",
    );
    refused_here(
        &format!("{TOUCH}  a: {{run: \"true\", user: no-such-user}}\n"),
        "no-such-user",
    );
}

#[test]
fn a_script_whose_interpreter_is_missing() {
    let run =
        Forkyard::run_of(&format!("{TOUCH}  a: {{run: [./script]}}\n")).file("script", "#!/no/such/interpreter\n");
    fs::set_permissions(run.folder().join("script"), Permissions::from_mode(0o755)).expect("it is our file");
    nothing_started(run.run().exit(2).stderr("/no/such/interpreter"));
}

#[test]
fn a_command_that_vanishes_under_way_fails_alone() {
    let workflow = "
forkyard: 1
processes:
  make: {run: rm gone}
  a: {run: [./gone], after: make}
  b: {run: touch touched, after: a}
  other: {run: echo other}
";
    let run = Forkyard::run_of(workflow).file("gone", "#!/bin/sh\n");
    fs::set_permissions(run.folder().join("gone"), Permissions::from_mode(0o755)).expect("it is our file");
    let run = run.run();
    nothing_started(run.exit(1).line("other │ other").line("a │ could not be started: [..]"));
}
