//! Every workflow and every example of the pages passes `forkyard check`; those that say they fail do so.

use std::collections::BTreeSet;
use std::fs;

use crate::harness::{Forkyard, files_under, repository};
use crate::pages::{Block, blocks, pages};

#[test]
fn every_workflow_is_clean() {
    let files = files_under("workflows", "yaml");
    assert!(files.len() >= 18, "{files:?}");
    for file in files {
        let checked = Forkyard::new("check").arg(&file).run();
        checked.exit(0);
        assert!(
            !checked.says("ok").stdout().contains("warning"),
            "{}: {}",
            file.display(),
            checked.stdout()
        );
    }
}

#[test]
fn every_workflow_has_a_readable_graph() {
    for file in files_under("workflows", "yaml") {
        for (format, begin) in [("dot", "digraph"), ("mermaid", "flowchart"), ("json", "{")] {
            let graph = Forkyard::new("graph").arg(&file).arg("--format").arg(format).run();
            graph.exit(0);
            assert!(
                graph.stdout().starts_with(begin),
                "{}: {}",
                file.display(),
                graph.stdout()
            );
        }
    }
}

#[test]
fn every_example_of_the_pages_is_as_it_says() {
    let mut seen = 0;
    for page in pages() {
        for block in blocks(&page).iter().filter(|block| block.is_workflow()) {
            seen += 1;
            example(&page, block);
        }
    }
    assert!(seen > 5, "the pages have examples");
}

fn example(page: &str, block: &Block) {
    let checked = Forkyard::new("check").workflow(&block.text).run();
    match block.word("fails") {
        Some(code) => {
            checked.exit_one_of(&[1, 2]).says(code);
        }
        None => {
            assert!(
                checked.exit_one_of(&[0, 1]).errors().is_empty() && checked.stdout().contains("ok"),
                "{page}:{}: {}{}",
                block.line,
                checked.stdout(),
                checked.errors()
            );
        }
    }
}

#[test]
fn several_files_are_checked_in_one_go() {
    let [good, bad] = [
        "forkyard: 1\nprocesses: {a: {run: \"true\"}}\n",
        "forkyard: 1\nprocesses: {a: {after: b, run: \"true\"}}\n",
    ];
    let checked = Forkyard::new("check")
        .file("good.yaml", good)
        .file("bad.yaml", bad)
        .arg("good.yaml")
        .arg("bad.yaml")
        .run();
    checked.exit(1).says("good.yaml").says("bad.yaml:2:");
}

#[test]
fn every_code_stands_on_the_page_of_diagnostics() {
    let page = fs::read_to_string(repository("docs/diagnostics.md")).expect("the page is there");
    let mut codes = BTreeSet::new();
    for path in files_under("engine", "rs").into_iter().chain(files_under("cli", "rs")) {
        let source = fs::read_to_string(&path).expect("a source is text");
        let in_list = path.ends_with("codes.rs");
        codes.extend(source.lines().filter_map(|line| declared_code(line.trim(), in_list)));
    }
    assert!(codes.len() > 20, "the engine declares codes: {codes:?}");
    let missing: Vec<String> = codes
        .iter()
        .map(|code| format!("| FY{code:03} |"))
        .filter(|row| !page.contains(row))
        .collect();
    assert!(missing.is_empty(), "docs/diagnostics.md lacks {missing:?}");
}

/// The number in `const X: Code = Code(301);`, or in `X = 201, "title";` of a list of codes.
fn declared_code(line: &str, in_list: bool) -> Option<u16> {
    let constant = line
        .split_once(": Code = Code(")
        .map(|(_, rest)| rest.trim_end_matches(");"));
    let row = line
        .split_once(" = ")
        .and_then(|(_, rest)| rest.split_once(", \""))
        .map(|(number, _)| number);
    constant.or(row.filter(|_| in_list))?.parse().ok()
}
