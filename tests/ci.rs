//! The page "In CI": its snippets are what the services take, and the commands in them do what the page says.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::checkers;
use crate::harness::{World, binary, repository};
use crate::pages::{Block, blocks};

const PAGE: &str = "docs/howto/ci.md";

fn snippets(service: &str) -> Vec<Block> {
    let snippets = blocks(PAGE)
        .into_iter()
        .filter(|block| block.word("ci") == Some(service));
    let snippets: Vec<Block> = snippets.collect();
    assert!(!snippets.is_empty(), "{PAGE} has a snippet for {service}");
    snippets
}

/// A program of the checkers' Python on some words.
fn checker(program: &Path, words: &[&str], folder: &Path) -> Output {
    let output = Command::new(program).args(words).current_dir(folder).output();
    output.expect("the program can be started")
}

#[track_caller]
fn assert_passed(output: &Output) {
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&text));
}

#[test]
fn jobs_are_what_their_services_take() {
    let Some(program) = checkers::installed("python/bin/check-jsonschema", "jobs_are_what_their_services_take") else {
        return;
    };
    for (service, schema) in [("github", "vendor.github-workflows"), ("gitlab", "vendor.gitlab-ci")] {
        for snippet in snippets(service) {
            let world = World::new();
            world.write("job.yaml", &snippet.text);
            let words = ["--builtin-schema", schema, "job.yaml"];
            assert_passed(&checker(&program, &words, world.folder()));
        }
    }
}

#[test]
fn the_hook_is_one_of_pre_commit() {
    let Some(program) = checkers::installed("python/bin/pre-commit", "the_hook_is_one_of_pre_commit") else {
        return;
    };
    let hooks = repository(".pre-commit-hooks.yaml");
    let hooks = hooks.to_str().expect("the path is text");
    let world = World::new();
    assert_passed(&checker(&program, &["validate-manifest", hooks], world.folder()));
    for snippet in snippets("pre-commit") {
        world.write("config.yaml", &snippet.text);
        assert_passed(&checker(&program, &["validate-config", "config.yaml"], world.folder()));
    }
}

/// The commands of Forkyard in a snippet, as the shell of the service is given them.
fn commands(snippet: &Block) -> Vec<&str> {
    let lines = snippet.text.lines().map(str::trim);
    let commands = lines.map(|line| line.trim_start_matches("- ").trim_start_matches("run: "));
    commands.filter(|line| line.starts_with("forkyard ")).collect()
}

/// The commands of a service in a folder with these workflows.
fn run(service: &str, command: &str, workflows: &Path) -> (World, Output) {
    let world = World::new();
    symlink(workflows, world.folder().join("workflows")).expect("a link can be made");
    let folder = PathBuf::from(binary())
        .parent()
        .expect("a binary stands in a folder")
        .to_owned();
    let path = format!(
        "{}:{}",
        folder.display(),
        std::env::var("PATH").expect("there is a PATH")
    );
    // GitHub's shell, and GitLab's.
    let shell = if service == "github" { "bash -e" } else { "sh -e" };
    let output = Command::new("sh")
        .arg("-c")
        .arg(format!("exec {shell} -c '{command}'"))
        .current_dir(world.folder())
        .env("PATH", path)
        .output()
        .expect("a shell can be started");
    (world, output)
}

#[test]
fn the_commands_of_the_jobs_find_what_is_wrong() {
    let broken = World::new();
    broken.write(
        "workflows/bad.yaml",
        "forkyard: 1\nprocesses: {a: {run: \"true\", after: a}}\n",
    );
    let broken_workflows = broken.folder().join("workflows");
    let mut seen = 0;
    for service in ["github", "gitlab"] {
        for snippet in snippets(service) {
            for command in commands(&snippet) {
                seen += 1;
                let (world, output) = run(service, command, &broken_workflows);
                assert_eq!(output.status.code(), Some(1), "{command}");
                let file = command.split_once("> ").map(|(_, file)| world.folder().join(file));
                let text = file.map_or(output.stdout, |file| std::fs::read(file).expect("it was written"));
                assert!(String::from_utf8_lossy(&text).contains("FY211"), "{command}");
            }
        }
    }
    assert_eq!(seen, 3);
}

#[test]
fn the_commands_of_the_jobs_pass_what_is_right() {
    let right = World::new();
    right.write("workflows/good.yaml", "forkyard: 1\nprocesses: {a: {run: \"true\"}}\n");
    let workflows = right.folder().join("workflows");
    for service in ["github", "gitlab"] {
        for snippet in snippets(service) {
            for command in commands(&snippet) {
                assert_passed(&run(service, command, &workflows).1);
            }
        }
    }
}

#[test]
fn the_command_of_the_hook_takes_files() {
    let hooks = std::fs::read_to_string(repository(".pre-commit-hooks.yaml")).expect("the hooks are there");
    let entry = hooks
        .lines()
        .find_map(|line| line.trim().strip_prefix("entry: "))
        .expect("a hook has an entry");
    let world = World::new();
    world.write(
        "workflows/good.yaml",
        "forkyard: 1\nprocesses: {a: {run: \"true\"}}\nlocks: {unused: {}}\n",
    );
    let workflows = world.folder().join("workflows");
    let (_, output) = run("gitlab", &format!("{entry} workflows/good.yaml"), &workflows);
    assert_eq!(output.status.code(), Some(1), "a warning is denied");
}
