//! What the pages show is what happens: every command of a `console` block is run and its output compared.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use crate::harness::{World, binary, lines_match, repository, without_padding};
use crate::pages::{Block, blocks, pages};
use crate::python;

#[test]
fn every_console_block_is_what_happens() {
    for page in pages() {
        let blocks = blocks(&page);
        if blocks.iter().any(|block| block.language == "console") {
            play(&page, &blocks);
        }
    }
}

/// One page is one session: files are saved and commands run in the order of the page.
fn play(page: &str, blocks: &[Block]) {
    let needs_python = blocks.iter().any(|block| block.language == "python");
    let python = needs_python.then(python::package).flatten();
    if needs_python && python.is_none() {
        println!("{page} is skipped: there is no python3 of 3.9 or later");
        return;
    }
    let world = World::new();
    for folder in ["workflows", "docs"] {
        symlink(repository(folder), world.folder().join(folder)).expect("a link can be made");
    }
    for block in blocks {
        if let Some(name) = block.word("file") {
            world.write(name, block.contents());
        }
        if block.language == "console" && is_playable(page, block) {
            for (command, expected) in commands(&without_padding(&block.text)) {
                let shown = without_padding(&run(&world, command, python));
                let lines: Vec<&str> = shown.lines().collect();
                assert!(
                    lines_match(&expected, &lines),
                    "{page}:{}: `{command}` shows\n{shown}\nnot\n{}",
                    block.line,
                    expected.join("\n")
                );
            }
        }
    }
    world.assert_empty();
}

/// False where a program is missing that the block `needs`, which is said.
fn is_playable(page: &str, block: &Block) -> bool {
    let Some(needed) = block.word("needs") else { return true };
    let found = std::env::split_paths(&std::env::var_os("PATH").expect("there is a PATH"))
        .any(|folder| folder.join(needed).is_file());
    if !found {
        eprintln!("skipped: {page}:{}: {needed} is not installed", block.line);
    }
    found
}

/// The commands of a block, each with the lines below it.
fn commands(text: &str) -> Vec<(&str, Vec<&str>)> {
    let mut commands: Vec<(&str, Vec<&str>)> = Vec::new();
    for line in text.lines() {
        if let Some(command) = line.strip_prefix("$ ") {
            commands.push((command, Vec::new()));
        } else {
            let (_, expected) = commands.last_mut().expect("a console block begins with `$ `");
            expected.push(line.trim_end());
        }
    }
    commands
}

/// What a shell shows, stdout and stderr together.
fn run(world: &World, command: &str, python: Option<&Path>) -> String {
    let folder = Path::new(binary()).parent().expect("a binary stands in a folder");
    let path = format!(
        "{}:{}",
        folder.display(),
        std::env::var("PATH").expect("there is a PATH")
    );
    let output = Command::new("sh")
        .arg("-c")
        .arg(format!("exec 2>&1; {command}"))
        .current_dir(world.folder())
        .env("XDG_STATE_HOME", world.state())
        .env("PATH", path)
        .envs(python.map(|package| ("PYTHONPATH", package)))
        .output()
        .expect("a shell can be started");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn every_drawing_is_what_forkyard_graph_prints() {
    let mut seen = 0;
    for page in pages() {
        for block in blocks(&page).iter().filter(|block| block.language == "mermaid") {
            let Some(command) = block
                .above
                .strip_prefix("<!-- ")
                .and_then(|rest| rest.strip_suffix(" -->"))
            else {
                continue;
            };
            seen += 1;
            let world = World::new();
            symlink(repository("workflows"), world.folder().join("workflows")).expect("a link can be made");
            assert_eq!(
                run(&world, command, None),
                block.text,
                "{page}:{}: `{command}`",
                block.line
            );
        }
    }
    assert!(seen > 0, "the README has a drawing");
}

#[test]
fn every_link_to_a_file_leads_somewhere() {
    for page in pages() {
        let text = fs::read_to_string(repository(&page)).expect("the page can be read");
        let folder = repository(&page)
            .parent()
            .expect("a page stands in a folder")
            .to_owned();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = target.split('#').next().unwrap_or(target);
            if !target.is_empty() && !target.contains("://") {
                assert!(folder.join(target).exists(), "{page} links to {target}");
            }
        }
    }
}
