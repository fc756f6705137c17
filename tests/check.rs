//! Every workflow and every example of the pages passes `forkyard check`; those that say they fail do so.

use std::fs;

use crate::harness::{Forkyard, files_under};
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
    // The pages of the codes have a test of their own, which is stricter.
    for page in pages()
        .into_iter()
        .filter(|page| !page.starts_with("docs/diagnostics/"))
    {
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
fn every_code_is_declared_in_the_catalogue() {
    for path in files_under("engine", "rs").into_iter().chain(files_under("cli", "rs")) {
        let source = fs::read_to_string(&path).expect("a source is text");
        let declares = source.lines().any(|line| line.contains(": Code = Code("));
        assert!(
            !declares || path.ends_with("diagnostic/codes.rs"),
            "{}: codes belong into diagnostic/codes.rs",
            path.display()
        );
    }
}

/// Mistakes of the language and of the graph in one file, and what else could be said of it if each were taken alone.
const MANY_MISTAKES: &str = "\
forkyard: 1
processes:
  split: {run: ./split, stdout: lins, timeout: 5}
  count: {run: ./count, stdin: lines, stdot: totals}
  first: {run: ./first, after: second}
  second: {run: ./second, after: first, nice: low}
  third: {run: {}, after: third}
  report: {run: ./report, stdin: totals, holds: lines}
queues:
  lines: {}
  totals: {capacity: lots}
locks:
  terminal: {}
";

#[test]
fn all_mistakes_are_told_in_one_go() {
    let checked = Forkyard::new("check")
        .workflow(MANY_MISTAKES)
        .arg("--format")
        .arg("json")
        .run();
    checked.exit(1);
    let found: serde_json::Value = serde_json::from_str(checked.stdout()).expect("findings are JSON");
    let found = found.as_array().expect("findings are a list").iter();
    let found: Vec<_> = found
        .map(|found| format!("{} {}", found["code"].as_str().unwrap_or_default(), found["line"]))
        .collect();
    let expected = [
        "FY201 3", "FY103 3", "FY102 4", "FY210 5", "FY103 6", "FY103 7", "FY211 7", "FY202 8", "FY103 11",
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_file_that_cannot_be_read_is_told_alone() {
    let checked = Forkyard::new("check")
        .workflow("forkyard: 1\ninclude: none.yaml\nprocesses: {a: {run: x, stdout: q}}\n")
        .run();
    checked.exit(2).says("FY117").says("1 error");
}
