//! `forkyard check` for people, programs, code scanning and CI: what it shows, what it allows, what it takes as input.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;

use serde_json::Value;

use crate::checkers;
use crate::harness::{Forkyard, Outcome};

const CLEAN: &str = "forkyard: 1\nprocesses: {a: {run: \"true\"}}\n";

/// One error, one warning, and one finding that is allowed.
const MIXED: &str = "\
forkyard: 1
processes:
  a: {run: \"true\", after: b}
  b: {run: \"true\", after: a}
  c: {run: \"true\", sets: done}
events: {done: {}}
locks: {later: {}} # forkyard: allow FY270 for the next release
";

/// Two warnings.
const WARNINGS: &str = "forkyard: 1\nprocesses: {a: {run: \"true\", sets: e}}\nevents: {e: {}}\nlocks: {l: {}}\n";

fn check(text: &str, arguments: &[&str]) -> Outcome {
    let call = Forkyard::new("check").file("flow.yaml", text).arg("flow.yaml");
    arguments.iter().fold(call, |call, argument| call.arg(*argument)).run()
}

fn json(outcome: &Outcome) -> Value {
    serde_json::from_str(outcome.stdout()).unwrap_or_else(|error| panic!("{error}: {}", outcome.stdout()))
}

/// `code file:line` of the findings in JSON.
fn found(outcome: &Outcome) -> Vec<String> {
    let list = json(outcome);
    let list = list.as_array().expect("findings are a list").iter();
    list.filter(|it| it["severity"] != "note")
        .map(|it| format!("{} {}:{}", it["code"], it["file"], it["line"]).replace('"', ""))
        .collect()
}

#[test]
fn errors_are_findings_and_warnings_alone_are_not() {
    check(CLEAN, &[]).exit(0).line("flow.yaml: ok, 1 process");
    check(MIXED, &[]).exit(1).line("1 error, 1 warning; 1 allowed");
    check(WARNINGS, &[]).exit(0).line("2 warnings");
    check("forkyard: [\n", &[]).exit(2);
    for format in ["json", "sarif", "github", "junit"] {
        check(CLEAN, &["--format", format]).exit(0);
        check(MIXED, &["--format", format]).exit(1);
        check("forkyard: [\n", &["--format", format]).exit(2);
    }
}

#[test]
fn warnings_can_be_denied_and_codes_allowed() {
    check(WARNINGS, &["--deny", "warnings"])
        .exit(1)
        .line("error[FY241]: [..]")
        .line("2 errors");
    check(WARNINGS, &["--deny", "FY241"]).exit(1).line("1 error, 1 warning");
    check(WARNINGS, &["--deny", "FY230,FY231"]).exit(0);
    check(WARNINGS, &["--deny", "warnings", "--allow", "FY241,FY270"])
        .exit(0)
        .line("[..]; 2 allowed");
    check(WARNINGS, &["--allow", "FY241", "--allow", "FY270"])
        .exit(0)
        .line("flow.yaml: ok, [..]");
    check(MIXED, &["--allow", "FY210"]).exit(0).line("1 warning; 2 allowed");
}

#[test]
fn what_cannot_be_allowed_or_denied_is_wrong_usage() {
    check(CLEAN, &["--allow", "FY102"])
        .exit(2)
        .stderr("FY102 cannot be allowed");
    check(CLEAN, &["--allow", "FY201"]).exit(2).stderr("cannot be allowed");
    check(CLEAN, &["--allow", "FY999"]).exit(2).stderr("no code");
    check(CLEAN, &["--deny", "all"]).exit(2).stderr("`warnings`");
    check(CLEAN, &["--deny", "FY270", "--allow", "FY270"])
        .exit(2)
        .stderr("both allowed and denied");
    check(CLEAN, &["--format", "xml"]).exit(2);
}

#[test]
fn a_comment_allows_in_each_file_for_itself() {
    let checked = Forkyard::new("check")
        .file(
            "flow.yaml",
            "forkyard: 1\ninclude: part.yaml\nprocesses: {a: {run: \"true\"}}\nlocks: {one: {}}\n",
        )
        .file("part.yaml", "# forkyard: allow FY270\nlocks: {two: {}}\n")
        .arg("flow.yaml")
        .arg("--format")
        .arg("json")
        .run();
    assert_eq!(found(checked.exit(0)), ["FY270 flow.yaml:4"]);
}

#[test]
fn a_run_keeps_to_what_its_file_allows() {
    let workflow = "forkyard: 1\nprocesses: {a: {run: echo ran}}\nlocks: {one: {}} # forkyard: allow FY270\n";
    let run = Forkyard::run_of(workflow).run();
    assert!(!run.exit(0).line("a │ ran").errors().contains("FY270"));
    let workflow = "
forkyard: 1
processes:
  use:
    run: [./made] # forkyard: allow FY301 somebody makes it in time
";
    Forkyard::run_of(workflow).run().exit(1).says("could not be started");
    Forkyard::run_of(&workflow.replace("# forkyard", "# "))
        .run()
        .exit(2)
        .stderr("FY301");
}

#[test]
fn many_inputs_keep_their_own_findings() {
    let checked = Forkyard::new("check")
        .file("a.yaml", CLEAN)
        .file("b.yaml", MIXED)
        .file("c.yaml", WARNINGS)
        .arg("a.yaml")
        .arg("b.yaml")
        .arg("c.yaml")
        .arg("--format")
        .arg("json")
        .run();
    let expected = ["FY210 b.yaml:3", "FY241 b.yaml:6", "FY241 c.yaml:3", "FY270 c.yaml:4"];
    assert_eq!(found(checked.exit(1)), expected);
    let told = json(&checked);
    let findings = told
        .as_array()
        .expect("a list")
        .iter()
        .filter(|it| it["severity"] != "note");
    let workflows: Vec<&Value> = findings.map(|it| &it["workflow"]).collect();
    assert_eq!(workflows, ["b.yaml", "b.yaml", "c.yaml", "c.yaml"]);
}

#[test]
fn patterns_in_quotes_are_followed() {
    let call = |pattern: &str| {
        Forkyard::new("check")
            .file("flows/a.yaml", CLEAN)
            .file("flows/in/b.yaml", WARNINGS)
            .file("flows/odd[1].yaml", CLEAN)
            .arg(pattern)
            .run()
    };
    call("flows/*.yaml")
        .exit(0)
        .line("flows/a.yaml: ok, [..]")
        .line("flows/odd[1].yaml: ok, [..]");
    call("flows/**/*.yaml")
        .exit(0)
        .line("flows/in/b.yaml: ok, [..]")
        .line("2 warnings");
    call("flows/odd[1].yaml").exit(0).line("flows/odd[1].yaml: ok, [..]");
    call("flows/*.yml")
        .exit(2)
        .says("FY001")
        .says("`flows/*.yml` matches no file");
    call("flows/[").exit(2).says("`flows/[` cannot be read");
}

#[test]
fn a_directory_stands_for_its_workflows() {
    let call = Forkyard::new("check")
        .file("flows/a.yaml", CLEAN)
        .file(
            "flows/b.yml",
            "forkyard: 1\ninclude: parts/queue.yaml\nprocesses: {a: {run: \"true\", sends: q}}\n",
        )
        .file("flows/parts/queue.yaml", "forkyard: 1\nqueues: {q: {}}\n")
        .file("flows/compose.yaml", "services: {}\n")
        .file("flows/broken.yaml", "forkyard: 1\nprocesses: [\n")
        .arg("flows")
        .arg("--allow")
        .arg("FY231");
    symlink(".", call.folder().join("flows/loop")).expect("a link can be made");
    let checked = call.run();
    // A part is no workflow by itself, and a file that is not one is none of our business.
    checked
        .exit(2)
        .line("flows/a.yaml: ok, [..]")
        .line("flows/b.yml: ok, [..]")
        .says("flows/broken.yaml:3:1");
    assert!(
        !checked.stdout().contains("compose") && !checked.stdout().contains("queue.yaml"),
        "{}",
        checked.stdout()
    );
    let empty = Forkyard::new("check")
        .file("other/compose.yaml", "services: {}\n")
        .arg("other")
        .run();
    empty.exit(2).says("`other` has no workflow");
}

/// Reads `flow.yaml` as its standard input.
fn from_stdin(call: Forkyard) -> Forkyard {
    call.launched_by(&["sh", "-c", "exec \"$@\" < flow.yaml", "sh"])
}

#[test]
fn standard_input_is_a_workflow_too() {
    let check = || from_stdin(Forkyard::new("check").file("flow.yaml", MIXED));
    check().arg("-").run().exit(1).says("--> <stdin>:3:27");
    check()
        .arg("-")
        .arg("-")
        .run()
        .exit(1)
        .line("1 error, 1 warning; 1 allowed");
    check().arg("-").arg("-f").arg("-").run().exit(2).stderr("only once");
    let run = from_stdin(Forkyard::new("run").file("flow.yaml", "forkyard: 1\nprocesses: {a: {run: cat here}}\n"));
    run.file("here", "found\n").arg("-").run().exit(0).line("a │ found");
    let include = "forkyard: 1\ninclude: part.yaml\nprocesses: {a: {run: \"true\"}}\n";
    let check = from_stdin(Forkyard::new("check").file("flow.yaml", include)).file("part.yaml", "x-: 1\n");
    check.arg("-").run().exit(0).line("<stdin>: ok, [..]");
    Forkyard::new("check").arg("-").run().exit(2).says("FY005");
    let endless = Forkyard::new("check")
        .arg("-")
        .launched_by(&["sh", "-c", "exec \"$@\" < /dev/zero", "sh"]);
    endless.run().exit(2).says("256 MiB");
}

#[test]
fn a_finding_in_json_has_all_that_a_program_needs() {
    let list = json(check(MIXED, &["--format", "json"]).exit(1));
    let first = &list[0];
    let keys: BTreeSet<&str> = first
        .as_object()
        .expect("an object")
        .keys()
        .map(String::as_str)
        .collect();
    let expected = [
        "code",
        "column",
        "end_column",
        "end_line",
        "file",
        "help",
        "line",
        "message",
        "related",
        "severity",
        "workflow",
    ];
    assert_eq!(keys, expected.into());
    assert_eq!((&first["line"], &first["column"]), (&3.into(), &27.into()));
    assert_eq!((&first["end_line"], &first["end_column"]), (&3.into(), &28.into()));
    assert_eq!(first["related"][0]["line"], 4);
}

#[test]
fn what_is_known_of_deadlocks_is_in_every_format() {
    let said = |format: &str| check(CLEAN, &["--format", format]).exit(0).stdout().to_owned();
    assert!(
        said("text").ends_with("flow.yaml: proved free of deadlock\n"),
        "{}",
        said("text")
    );
    let told = json(check(CLEAN, &["--format", "json"]).exit(0));
    assert_eq!((&told[0]["code"], &told[0]["severity"]), (&Value::Null, &"note".into()));
    assert_eq!(
        (&told[0]["deadlocks"], &told[0]["workflow"]),
        (&"proved".into(), &"flow.yaml".into())
    );
    let log = json(check(CLEAN, &["--format", "sarif"]).exit(0));
    assert_eq!(log["runs"][0]["properties"]["workflows"][0]["deadlocks"], "proved");
    assert!(said("junit").contains("<property name=\"deadlocks\" value=\"proved\"/>"));
    // With errors there is nothing to be proved.
    let told = json(check(MIXED, &["--format", "json"]).exit(1));
    assert!(
        told.as_array()
            .expect("a list")
            .iter()
            .all(|it| it["deadlocks"].is_null())
    );
}

#[test]
fn annotations_of_github_are_the_exact_lines() {
    let expected = "\
::error file=flow.yaml,line=3,col=27,endLine=3,endColumn=28,title=FY210 a cycle in `after`::a cycle in `after`: `a` → \
`b` → `a`%0Aflow.yaml:4:27: `b` waits for `a`%0Ahelp: none of them can start; remove one of these waits
::warning file=flow.yaml,line=6,col=10,endLine=6,endColumn=14,title=FY241 an event is set and never waited for::nobody \
waits for the event `done`%0Aflow.yaml:5:26: set here%0Ahelp: wait for it with `after: done` or `waits: [done]`, or \
remove it
";
    assert_eq!(check(MIXED, &["--format", "github"]).exit(1).stdout(), expected);
    assert_eq!(check(CLEAN, &["--format", "github"]).exit(0).stdout(), "");
    let nothing = check(CLEAN, &["none,%.yaml", "--format", "github"]);
    let expected = "::error file=none%2C%25.yaml,title=FY001 a file cannot be read::`none,%25.yaml` cannot be read: no \
                    such file or directory\n";
    assert_eq!(nothing.exit(2).stdout(), expected);
}

#[test]
fn sarif_is_what_its_schema_says() {
    let name = "sarif_is_what_its_schema_says";
    let (Some(schema), Some(python)) = (
        checkers::installed("sarif-2.1.0.json", name),
        checkers::python(&["jsonschema"], name),
    ) else {
        return;
    };
    for (text, exit) in [
        (CLEAN, 0),
        (MIXED, 1),
        ("forkyard: [\n", 2),
        ("a: 1\n", 1),
        ("\u{FEFF}forkyard: 1\nprocesses: {ä: {}}\n", 1),
    ] {
        let checked = check(text, &["none.yaml", "--format", "sarif"]);
        checked.exit(2);
        let alone = check(text, &["--format", "sarif"]);
        alone.exit(exit);
        for log in [checked.stdout(), alone.stdout()] {
            checked.world().write("log.json", log);
            let path = checked.world().folder().join("log.json");
            let said = checkers::run(&python, "schema.py", &[schema.clone(), path]);
            assert!(said.ends_with("log.json: ok\n"), "{said}\n{log}");
        }
    }
}

#[test]
fn sarif_has_rules_places_and_suppressions() {
    let log = json(check(MIXED, &["--format", "sarif"]).exit(1));
    let run = &log["runs"][0];
    let results = run["results"].as_array().expect("results are a list");
    let codes: Vec<&Value> = results.iter().map(|result| &result["ruleId"]).collect();
    assert_eq!(codes, ["FY210", "FY241", "FY270"]);
    let levels: Vec<&Value> = results.iter().map(|result| &result["level"]).collect();
    assert_eq!(levels, ["error", "warning", "warning"]);
    assert_eq!(results[2]["suppressions"][0]["kind"], "inSource");
    assert_eq!(results[2]["suppressions"][0]["justification"], "for the next release");
    assert!(results[0]["suppressions"].is_null());
    let fingerprints: BTreeSet<String> = results.iter().map(|it| it["partialFingerprints"].to_string()).collect();
    assert_eq!(fingerprints.len(), 3);
    let uri = &results[0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"];
    assert_eq!(uri, "flow.yaml");
}

#[test]
fn junit_is_read_by_its_readers() {
    let Some(python) = checkers::python(&["junitparser"], "junit_is_read_by_its_readers") else {
        return;
    };
    let call = Forkyard::new("check")
        .file("a&<b>.yaml", MIXED)
        .file("clean.yaml", CLEAN);
    let call = call.file("broken.yaml", "a: \"\u{1b}\"\n");
    let names = [
        "a&<b>.yaml",
        "clean.yaml",
        "broken.yaml",
        "none.yaml",
        "--format",
        "junit",
    ];
    let checked = names.iter().fold(call, |call, name| call.arg(*name)).run();
    checked.exit(2);
    checked.world().write("report.xml", checked.stdout());
    let said = checkers::run(&python, "junit.py", &[checked.world().folder().join("report.xml")]);
    let expected = "\
5 tests, 1 failures, 2 errors
a&<b>.yaml | FY210 a cycle in `after` | Failure FY210: a cycle in `after`: `a` → `b` → `a`
a&<b>.yaml | FY241 an event is set and never waited for | passed
clean.yaml | check | passed
broken.yaml | FY004 a character that YAML does not allow | Error FY004: the character U+001B is not allowed in YAML
none.yaml | FY001 a file cannot be read | Error FY001: `none.yaml` cannot be read: no such file or directory
";
    assert_eq!(said, expected);
}

#[test]
fn nothing_of_a_file_or_its_name_is_printed_raw() {
    // A bell, an escape sequence, one of eight bits, and a character that turns the direction.
    let nasty = "\u{7}\u{1b}[31m\u{9b}1m\u{202e}";
    let name = format!("flow{nasty}.yaml");
    let text = "forkyard: 1\nprocesses:\n  \"\\e[31m\\a\\u009b1m\\u202e\": {run: x, after: \"\\e[1m\\u202e\", nice: \"\\e\"}\n";
    let raw = |text: &str| text.contains(|c: char| c != '\n' && (c.is_control() || c == '\u{202e}'));
    for format in ["text", "json", "sarif", "github", "junit"] {
        let call = Forkyard::new("check")
            .file(&name, text)
            .file("bad\u{1b}.yaml", "forkyard: \u{1b}\n");
        let call = call
            .arg(&name)
            .arg("bad\u{1b}.yaml")
            .arg(format!("no{nasty}.yaml"))
            .arg(format!("*{nasty}.yml"));
        let checked = call.arg("--format").arg(format).run();
        checked.exit(2);
        assert!(
            !raw(checked.stdout()) && !raw(checked.errors()),
            "{format}: {:?}",
            checked.stdout()
        );
        assert!(checked.stdout().contains("FY108"), "{format}: {}", checked.stdout());
    }
    // Programs read the very name.
    let call = Forkyard::new("check")
        .file(&name, text)
        .arg(&name)
        .arg("--format")
        .arg("json");
    assert_eq!(json(&call.run())[0]["file"], name.as_str());
    // A name that is no text at all can only be found.
    let call = Forkyard::new("check").arg("d");
    fs::create_dir(call.folder().join("d")).expect("a folder can be made");
    let path = std::ffi::OsStr::new("d/").to_owned();
    let mut bytes = std::os::unix::ffi::OsStringExt::into_vec(path);
    bytes.extend(b"\x1b\xff.yaml");
    let path = <std::ffi::OsString as std::os::unix::ffi::OsStringExt>::from_vec(bytes);
    fs::write(call.folder().join(path), CLEAN).expect("a file can be written");
    let checked = call.run();
    assert!(
        !raw(checked.exit(2).says("is not UTF-8").stdout()),
        "{:?}",
        checked.stdout()
    );
}
