//! The JSON Schema of the language against the language itself, and in an editor; and the workflow of `forkyard init`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::checkers;
use crate::harness::{Forkyard, World, files_under, repository};
use crate::pages::{blocks, pages};

const SCHEMA: &str = "docs/forkyard.schema.json";

#[test]
fn the_command_prints_what_is_published() {
    let published = fs::read_to_string(repository(SCHEMA)).expect("the schema is published");
    assert_eq!(Forkyard::new("schema").run().exit(0).stdout(), published);
}

/// The workflows of the repository whose language is right, whatever is wrong with their graph.
fn workflows(world: &World) -> Vec<PathBuf> {
    let mut paths = files_under("workflows", "yaml");
    if repository("tests/gauntlet").exists() {
        paths.extend(files_under("tests/gauntlet", "yaml"));
    }
    for page in pages() {
        for block in blocks(&page).iter().filter(|block| block.is_workflow()) {
            let name = format!("{}-{}.yaml", page.replace('/', "-"), block.line);
            world.write(&name, &block.text);
            paths.push(world.folder().join(name));
        }
    }
    let checked = paths.iter().fold(Forkyard::new("check"), Forkyard::arg);
    // Whether they can deadlock does not matter here.
    let checked = checked.arg("--explore").arg("0s").arg("--format").arg("json").run();
    let found: Value = serde_json::from_str(checked.stdout()).expect("findings are JSON");
    let found = found.as_array().expect("findings are a list").iter();
    let wrong = found.filter(|found| found["code"].as_str() < Some("FY200") && found["severity"] == "error");
    let wrong: BTreeSet<&str> = wrong.filter_map(|found| found["workflow"].as_str()).collect();
    paths.retain(|path| !wrong.contains(path.to_str().expect("paths are text")));
    paths
}

#[test]
fn the_schema_takes_all_that_the_language_takes() {
    let Some(python) = checkers::python(&["jsonschema", "yaml"], "the_schema_takes_all_that_the_language_takes") else {
        return;
    };
    let world = World::new();
    let mut paths = workflows(&world);
    paths.push(repository("engine/core/src/spec/tests/every-field.yaml"));
    assert!(paths.len() > 50, "there are workflows: {}", paths.len());
    let mut arguments = vec![repository(SCHEMA)];
    arguments.extend(paths.iter().cloned());
    let said = checkers::run(&python, "schema.py", &arguments);
    let refused: Vec<&str> = said.lines().filter(|line| !line.ends_with(": ok")).collect();
    assert!(
        refused.is_empty() && said.lines().count() == paths.len(),
        "{}",
        refused.join("\n")
    );
}

#[test]
fn what_the_schema_refuses_check_refuses_too() {
    let Some(python) = checkers::python(&["jsonschema", "yaml"], "what_the_schema_refuses_check_refuses_too") else {
        return;
    };
    let world = World::new();
    let mut arguments = vec![repository(SCHEMA), PathBuf::from("600")];
    arguments.extend(workflows(&world));
    let mutants = checkers::run(&python, "mutate.py", &arguments);
    let names: Vec<String> = (0..mutants.lines().count())
        .map(|number| format!("mutant-{number}.yaml"))
        .collect();
    assert!(names.len() > 200, "mutations do harm: {}", names.len());
    let mut call = Forkyard::new("check").arg("--format").arg("json");
    for (name, text) in names.iter().zip(mutants.lines()) {
        call = call.file(name, text).arg(name);
    }
    let checked = call.run();
    let found: Value = serde_json::from_str(checked.stdout()).expect("findings are JSON");
    let found = found.as_array().expect("findings are a list").iter();
    let errors = found.filter(|found| found["severity"] == "error");
    let refused: BTreeSet<&str> = errors.filter_map(|found| found["workflow"].as_str()).collect();
    let taken: Vec<&str> = names
        .iter()
        .zip(mutants.lines())
        .filter(|(name, _)| !refused.contains(name.as_str()))
        // What is not there is not read, and a schema knows nothing of that.
        .filter(|(_, text)| !text.contains("\"if\": false"))
        .map(|(_, text)| text)
        .collect();
    assert!(
        taken.is_empty(),
        "the schema alone refuses {}:\n{}",
        taken.len(),
        taken.join("\n")
    );
}

/// What the YAML language server says about these texts, in each with completions at these places.
fn in_editor(test: &str, texts: &[(&str, &[(usize, usize)])]) -> Option<Vec<Value>> {
    let server = "node/node_modules/yaml-language-server/bin/yaml-language-server";
    let server = checkers::installed(server, test)?;
    if Command::new("node").arg("--version").output().is_err() {
        checkers::skipped(test, "node");
        return None;
    }
    let world = World::new();
    let requests: Vec<Value> = texts
        .iter()
        .map(|(text, at)| json!({ "text": text, "at": at }))
        .collect();
    world.write("requests.json", Value::Array(requests).to_string());
    let output = Command::new("node")
        .arg(repository("tests/checkers/editor.mjs"))
        .args([server, repository(SCHEMA), world.folder().join("requests.json")])
        .output()
        .expect("node can be started");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(serde_json::from_slice(&output.stdout).expect("the answers are JSON"))
}

#[test]
fn an_editor_finds_nothing_wrong_with_the_examples() {
    let world = World::new();
    let texts: Vec<String> = workflows(&world)
        .iter()
        .map(|path| fs::read_to_string(path).expect("a workflow is text"))
        .collect();
    let requests: Vec<(&str, &[(usize, usize)])> = texts.iter().map(|text| (text.as_str(), &[][..])).collect();
    let Some(answers) = in_editor("an_editor_finds_nothing_wrong_with_the_examples", &requests) else {
        return;
    };
    for (text, answer) in texts.iter().zip(answers) {
        assert_eq!(answer["diagnostics"], json!([]), "{text}");
    }
}

#[test]
fn an_editor_shows_what_is_wrong_and_where() {
    let broken = "\
forkyard: 1
processes:
  a:
    rnu: x
    nice: 99
    timeout: 5 minutes
    on_failure: stopp
  9b: {run: x}
queues: []
proceses: {}
";
    let Some(answers) = in_editor("an_editor_shows_what_is_wrong_and_where", &[(broken, &[])]) else {
        return;
    };
    let diagnostics = answers[0]["diagnostics"]
        .as_array()
        .expect("diagnostics are a list")
        .iter();
    let lines: BTreeSet<u64> = diagnostics.filter_map(|found| found["line"].as_u64()).collect();
    assert_eq!(lines, [4, 5, 6, 7, 8, 9, 10].into(), "{}", answers[0]);
}

#[test]
fn an_editor_completes_keys_and_words() {
    let requests: [(&str, &[(usize, usize)]); 5] = [
        ("forkyard: 1\nproc\n", &[(1, 4)]),
        ("forkyard: 1\nprocesses:\n  a:\n    run: x\n    rep\n", &[(4, 7)]),
        ("forkyard: 1\nprocesses:\n  a:\n    run: x\n    restart: \n", &[(4, 13)]),
        (
            "forkyard: 1\nprocesses:\n  a: {run: x}\n  b:\n    after: {a: }\n",
            &[(4, 15)],
        ),
        ("forkyard: 1\npools:\n  a:\n    run: x\n    \n", &[(4, 4)]),
    ];
    let Some(answers) = in_editor("an_editor_completes_keys_and_words", &requests) else {
        return;
    };
    let completions = |number: usize| -> Vec<(&str, &str)> {
        let list = answers[number]["completions"][0]
            .as_array()
            .expect("completions are a list")
            .iter();
        list.map(|it| {
            (
                it["label"].as_str().unwrap_or(""),
                it["documentation"].as_str().unwrap_or(""),
            )
        })
        .collect()
    };
    let offers = |number: usize, label: &str, words: &str| {
        let found = completions(number);
        assert!(
            found.iter().any(|(it, text)| *it == label && text.contains(words)),
            "{label}: {found:?}"
        );
    };
    offers(0, "processes", "started, watched and stopped");
    offers(1, "replicas", "How many processes");
    offers(2, "on-failure", "failure");
    offers(3, "finished", "ended");
    offers(4, "tasks", "What there is to do");
    assert!(
        !completions(4).iter().any(|(label, _)| *label == "replicas"),
        "a pool has no replicas"
    );
}

#[test]
fn init_writes_a_workflow_that_is_right_and_runs() {
    let init = Forkyard::new("init").run();
    init.exit(0).line("forkyard run forkyard.yaml");
    let checked = Forkyard::new("check")
        .within(init.into_world())
        .arg("--deny")
        .arg("warnings")
        .run();
    checked.exit(0).line("forkyard.yaml: ok, 2 processes, 1 pool, 2 queues");
    let run = Forkyard::new("run").within(checked.into_world()).quiet().run();
    let expected = [
        "a has 1 letters",
        "graph has 5 letters",
        "many has 4 letters",
        "of has 2 letters",
        "processes has 9 letters",
    ];
    assert_eq!(run.exit(0).said("show"), expected);
}

#[test]
fn init_replaces_nothing_unless_it_is_told_to() {
    let mine = "forkyard: 1\nprocesses: {mine: {run: \"true\"}}\n";
    let init = Forkyard::new("init").file("flow.yaml", mine).arg("flow.yaml").run();
    init.exit(2).stderr("`flow.yaml` is there already; --force replaces it");
    let read = |folder: &Path| fs::read_to_string(folder.join("flow.yaml")).expect("it is there");
    assert_eq!(read(init.world().folder()), mine);
    let init = Forkyard::new("init")
        .within(init.into_world())
        .arg("flow.yaml")
        .arg("--force")
        .run();
    assert!(read(init.exit(0).world().folder()).contains("measure:"));
    Forkyard::new("init")
        .arg("nowhere/flow.yaml")
        .run()
        .exit(3)
        .stderr("cannot be written");
}

#[test]
fn init_names_the_schema() {
    let printed = Forkyard::new("init").arg("-").run();
    let first = printed
        .exit(0)
        .stdout()
        .lines()
        .next()
        .expect("it is not empty")
        .to_owned();
    let schema: Value =
        serde_json::from_slice(&fs::read(repository(SCHEMA)).expect("the schema is there")).expect("JSON");
    assert_eq!(
        first,
        format!(
            "# yaml-language-server: $schema={}",
            schema["$id"].as_str().expect("it has an id")
        )
    );
    let init = Forkyard::new("init").arg("flow.yaml").arg("--with-schema").run();
    init.exit(0);
    let read = |name: &str| fs::read_to_string(init.world().folder().join(name)).expect("it is there");
    assert!(read("flow.yaml").starts_with("# yaml-language-server: $schema=forkyard.schema.json\n"));
    assert_eq!(
        read("forkyard.schema.json"),
        fs::read_to_string(repository(SCHEMA)).expect("it is there")
    );
}
