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
fn y1_a_file_without_a_workflow() {
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
fn y2_a_file_of_300_megabytes() {
    let run = Forkyard::new("run").arg("huge.yaml");
    let file = fs::File::create(run.folder().join("huge.yaml")).expect("a file can be made");
    file.set_len(300 << 20).expect("a file can be long");
    run.run().exit(2).stderr("256 MiB");
}

#[test]
fn y8_what_is_no_file() {
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
fn y8_a_file_that_may_not_be_read() {
    let mut check = Forkyard::new("check").file("closed.yaml", TOUCH).arg("closed.yaml");
    fs::set_permissions(check.folder().join("closed.yaml"), Permissions::from_mode(0o000)).expect("it is our file");
    if Uid::effective().is_root() {
        // Root may read everything, unless it gives up that right.
        check = check.launched_by(&["setpriv", "--bounding-set=-dac_override,-dac_read_search"]);
    }
    check.run().exit(2).says("closed.yaml").says("ermission");
}

#[test]
fn y4_aa11_bytes_that_are_no_text() {
    refused([TOUCH.as_bytes(), b"  caf\xe9: {}\n"].concat(), "bad.yaml:4:6");
    refused(format!("{TOUCH}  a\0b: {{}}\n"), "bad.yaml:4:4");
}

#[test]
fn y4_y8_aa11_text_that_is_no_yaml() {
    refused(format!("{TOUCH}\tother: {{run: \"true\"}}\n"), "tab");
    refused(format!("{TOUCH}  other: [\n"), "bad.yaml:");
    refused(format!("{TOUCH}  other: \"never ends\n"), "bad.yaml:");
    refused(format!("{TOUCH}---\nforkyard: 1\n"), "document");
}

#[test]
fn y3_aa1_aa6_aliases_that_explode() {
    let mut bomb = String::from("x-0: &a0 [l, o, l]\n");
    for level in 1..10 {
        let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
        bomb = format!("{bomb}x-{level}: &a{level} [{aliases}]\n");
    }
    refused(format!("{bomb}{TOUCH}"), "alias");
    refused(format!("x-self: &self [*self]\n{TOUCH}"), "bad.yaml:1:");
}

#[test]
fn y3_aa2_aa3_nesting_without_end() {
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
fn y5_aa5_aa7_keys_that_are_unknown_or_there_twice() {
    refused(format!("{TOUCH}  other: {{run: \"true\", repilcas: 2}}\n"), "replicas");
    refused(format!("{TOUCH}proceses: {{}}\n"), "processes");
    refused(format!("{TOUCH}  touch: {{run: \"true\"}}\n"), "touch");
    refused(format!("{TOUCH}queues: {{touch: {{}}}}\n"), "touch");
}

#[test]
fn y9_aa13_values_of_the_wrong_type() {
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
fn y7_gg8_names_that_could_do_harm_are_never_printed_raw() {
    let workflow = format!("{TOUCH}  \"\\e[31mred\": {{run: \"true\"}}\n  ../up: {{run: \"true\"}}\n");
    let checked = Forkyard::new("check").workflow(&workflow).run();
    checked.exit(1).says("../up");
    assert!(!checked.errors().contains('\x1b') && !checked.stdout().contains('\x1b'));
}

#[test]
fn y10_expressions_that_are_wrong() {
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
fn y11_aa16_includes_that_lead_nowhere() {
    refused(format!("include: [missing.yaml]\n{TOUCH}"), "missing.yaml");
    refused(format!("include: [bad.yaml]\n{TOUCH}"), "bad.yaml");
    refused(format!("include: [/etc/passwd]\n{TOUCH}"), "/etc/passwd");
    refused(format!("include: [../../other.yaml]\n{TOUCH}"), "../../other.yaml");
}

#[test]
fn p1_cc1_commands_that_cannot_be_executed() {
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
fn p1_cc1_folders_and_users_that_are_not_there() {
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
fn p1_cc1_a_script_whose_interpreter_is_missing() {
    let run =
        Forkyard::run_of(&format!("{TOUCH}  a: {{run: [./script]}}\n")).file("script", "#!/no/such/interpreter\n");
    fs::set_permissions(run.folder().join("script"), Permissions::from_mode(0o755)).expect("it is our file");
    nothing_started(run.run().exit(2).stderr("/no/such/interpreter"));
}

#[test]
fn p1_cc1_a_command_that_vanishes_under_way_fails_alone() {
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

#[test]
fn y2_an_error_in_the_last_of_a_million_lines() {
    let text = "      echo line # forkyard: allow FY102\n".repeat(10_000);
    let comments = "# a line\n".repeat(1_000_000 - 10_005);
    let workflow = format!("forkyard: 1\nprocesses:\n  a:\n    run: |\n{text}{comments}    nise: 5\n");
    let checked = Forkyard::new("check").workflow(&workflow).run();
    checked
        .exit(1)
        .says("FY102")
        .says("workflow.yaml:1000000:5")
        .says("nise: 5")
        .line("1 error");
    assert!(checked.stdout().len() < 1_000, "{}", checked.stdout());
}

/// Processes that wait for themselves, each a cycle of its own.
fn cycles(count: usize) -> String {
    let cycles = (0..count).map(|number| format!("  p{number}: {{run: x, after: p{number}}}\n"));
    format!("forkyard: 1\nprocesses:\n{}", cycles.collect::<String>())
}

#[test]
fn g1_of_very_many_cycles_a_few_are_shown() {
    let check = |format: &str| {
        let check = Forkyard::new("check")
            .workflow(&cycles(20_000))
            .arg("--format")
            .arg(format)
            .run();
        check.exit(1);
        check
    };
    let shown = check("text");
    shown
        .line("… and 19980 more of FY211: a process waits for itself")
        .line("20000 errors");
    assert_eq!(shown.stdout().matches("error[FY211]").count(), 20);
    let told: serde_json::Value = serde_json::from_str(check("json").stdout()).expect("findings are JSON");
    assert_eq!(told.as_array().map(Vec::len), Some(1_001));
    assert_eq!(told[1_000]["more"], 19_000);
    for format in ["sarif", "github", "junit"] {
        let told = check(format);
        assert!(
            told.stdout().contains(" more like it") && told.stdout().len() < 2_000_000,
            "{format}"
        );
    }
    let run = Forkyard::run_of(&cycles(20_000)).run();
    nothing_started(run.exit(2).stderr("19980 more"));
}

#[test]
fn g1_a_hundred_thousand_cycles_in_one_knot_are_one_finding() {
    // Each of 450 waits for all others: 101,025 pairs that wait for each other, and longer cycles beyond number.
    let names: Vec<String> = (0..450).map(|number| format!("p{number}")).collect();
    let process = |name: &String| {
        let others: Vec<&str> = names
            .iter()
            .filter(|other| *other != name)
            .map(String::as_str)
            .collect();
        format!("  {name}: {{run: x, after: [{}]}}\n", others.join(", "))
    };
    let workflow = format!(
        "forkyard: 1\nprocesses:\n{}",
        names.iter().map(process).collect::<String>()
    );
    let checked = Forkyard::new("check").workflow(&workflow).run();
    checked.exit(1).says("FY210").line("1 error");
    assert!(checked.stdout().len() < 3_000, "{}", checked.stdout());
}

#[test]
fn y7_aa10_words_that_only_look_right() {
    let check = |body: &str| {
        let checked = Forkyard::new("check")
            .workflow(&format!("forkyard: 1\nqueues: {{lines: {{}}}}\n{body}"))
            .run();
        checked.exit(1);
        checked
    };
    let processes = |body: &str| {
        check(&format!(
            "processes:\n  b: {{run: x, stdin: lines, stdout: lines}}\n  {body}\n"
        ))
    };
    // Cyrillic, Greek, fullwidth, and characters that are not seen at all.
    processes("a: {run: x, stdout: l\u{456}nes}")
        .says("it looks like the queue `lines` but has the Cyrillic letter U+0456");
    processes("a: {run: x, stdout: lin\u{435}\u{455}}")
        .says("looks like the queue `lines` but has the Cyrillic letter U+0435");
    processes("a: {run: x, \u{3bf}n_failure: stop}").says("looks like `on_failure` but has the Greek letter U+03BF");
    processes("a: {run: x, on_failure: st\u{ff4f}p}").says("looks like `stop` but has the fullwidth character U+FF4F");
    processes("a: {run: x, timeout: 5\u{455}}").says("it has the Cyrillic letter U+0455");
    processes("c\u{43e}unt: {run: x}").says("looks like `count` but has the Cyrillic letter U+043E");
    processes("a\u{200b}: {run: x}")
        .says("`a\\u{200b}`")
        .says("the invisible character U+200B");
    check("pr\u{43e}\u{441}\u{435}sses: {a: {run: x}}\n")
        .says("looks like `processes` but has the Cyrillic letter U+043E");
}

#[test]
fn a_file_where_the_state_directory_should_be_is_named() {
    let forkyard = Forkyard::run_of(TOUCH);
    let place = forkyard.folder().join("state");
    fs::write(&place, "").expect("it is ours");
    let run = forkyard.env("XDG_STATE_HOME", &place).run();
    let words = format!(
        "cannot make the directory of the run under {}",
        place.join("forkyard").display()
    );
    nothing_started(
        run.exit(3)
            .stderr(&words)
            .stderr("not a directory")
            .stderr("XDG_STATE_HOME"),
    );
    let forkyard = Forkyard::run_of(TOUCH);
    let place = forkyard.folder().join("forkyard");
    fs::write(&place, "").expect("it is ours");
    let folder = forkyard.folder().to_owned();
    let run = forkyard.env("XDG_STATE_HOME", folder).run();
    let words = format!("{} is no directory", place.display());
    nothing_started(run.exit(3).stderr(&words).stderr("XDG_STATE_HOME"));
}
