//! The rules of the code: which part may use which, how long a file and a function may be, and what is never written.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::harness::{files_under, repository};
use crate::pages::blocks;

const FILE_LINES_MAX: usize = 600;
const FUNCTION_LINES_MAX: usize = 70;

/// Modules named for what they are, not for what is left over.
const FORBIDDEN_NAMES: [&str; 5] = ["utils", "helpers", "manager", "common", "misc"];

/// Cut in two, so that this file does not contain them itself.
const FORBIDDEN_TEXTS: [(&str, &str); 6] = [
    ("todo", "!("),
    ("dbg", "!("),
    ("unimplemented", "!("),
    ("#[all", "ow("),
    ("TO", "DO"),
    ("FIX", "ME"),
];

/// All Rust files of the product and its tests, with their text.
fn sources() -> Vec<(PathBuf, String)> {
    let files = ["engine", "cli", "tests"]
        .into_iter()
        .flat_map(|folder| files_under(folder, "rs"));
    files
        .map(|path| (path.clone(), fs::read_to_string(&path).expect("a source is text")))
        .collect()
}

/// The table of docs/architecture.md: left may use right.
fn arrows() -> BTreeMap<String, BTreeSet<String>> {
    let blocks = blocks("docs/architecture.md");
    let table = blocks
        .iter()
        .find(|block| block.language == "arrows")
        .expect("the page has the table");
    let rows = table
        .text
        .lines()
        .map(|row| row.split_once("->").expect("a row is `left -> right, right`"));
    rows.map(|(left, right)| {
        let right = right
            .split(',')
            .map(str::trim)
            .filter(|word| !word.is_empty())
            .map(str::to_owned);
        (left.trim().to_owned(), right.collect())
    })
    .collect()
}

#[test]
fn crates_use_only_what_the_table_allows() {
    let arrows = arrows();
    let manifests = [
        ("cli", "Cargo.toml"),
        ("driver", "engine/driver/Cargo.toml"),
        ("ipc", "engine/ipc/Cargo.toml"),
        ("python", "engine/ipc/python/Cargo.toml"),
        ("core", "engine/core/Cargo.toml"),
    ];
    for (name, manifest) in manifests {
        let text = fs::read_to_string(repository(manifest)).expect("the manifest is there");
        let dependencies = text
            .split("\n[")
            .find(|section| section.starts_with("dependencies]"))
            .unwrap_or_default();
        for used in dependencies.lines().filter_map(|line| line.strip_prefix("forkyard-")) {
            let used = used.split(['.', ' ', '=']).next().expect("a split has a first piece");
            assert!(arrows[name].contains(used), "{manifest}: {name} may not use {used}");
        }
    }
}

#[test]
fn modules_of_the_core_use_only_what_the_table_allows() {
    let arrows = arrows();
    let root = repository("engine/core/src");
    let lib = fs::read_to_string(root.join("lib.rs")).expect("the core has a lib.rs");
    let for_tests = modules_for_tests(&lib);
    let mut seen = 0;
    let mut forbidden = Vec::new();
    for (path, text) in sources() {
        let Ok(inner) = path.strip_prefix(&root) else { continue };
        let module = inner
            .iter()
            .next()
            .and_then(|it| Path::new(it).file_stem()?.to_str())
            .expect("a module has a name");
        if module == "lib" || is_test(inner) || for_tests.contains(module) {
            continue;
        }
        let allowed = arrows
            .get(&format!("core/{module}"))
            .unwrap_or_else(|| panic!("the table has no core/{module}"));
        let used: BTreeSet<&str> = used_modules(product(&text)).filter(|used| *used != module).collect();
        seen += used.len();
        let others = used.into_iter().filter(|used| !allowed.contains(*used));
        forbidden.extend(others.map(|used| format!("{}: {module} may not use {used}", inner.display())));
    }
    assert!(forbidden.is_empty(), "{}", forbidden.join("\n"));
    assert!(seen > 0, "the modules of the core use each other");
}

/// The modules named in paths that begin with `crate::`.
fn used_modules(text: &str) -> impl Iterator<Item = &str> {
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    code.flat_map(|line| line.split("crate::").skip(1))
        .map(|rest| {
            rest.split(|it: char| !it.is_alphanumeric() && it != '_')
                .next()
                .unwrap_or_default()
        })
        .filter(|module| module.starts_with(|it: char| it.is_ascii_lowercase()))
}

/// The modules that are declared for tests alone.
fn modules_for_tests(lib: &str) -> BTreeSet<&str> {
    let after = lib.split("#[cfg(test)]").skip(1);
    after
        .filter_map(|rest| rest.trim_start().strip_prefix("mod ")?.split(';').next())
        .collect()
}

/// A file without its tests, which may use anything.
fn product(text: &str) -> &str {
    text.split("#[cfg(test)]").next().unwrap_or(text)
}

fn is_test(path: &Path) -> bool {
    path.iter().any(|part| part == "tests" || part == "tests.rs")
}

#[test]
fn no_file_is_too_long() {
    for (path, text) in sources() {
        let lines = text.lines().count();
        assert!(
            lines <= FILE_LINES_MAX,
            "{} has {lines} lines: split it by subject",
            path.display()
        );
    }
}

#[test]
fn no_function_is_too_long() {
    for (path, text) in sources() {
        for (name, lines) in functions(&text) {
            assert!(
                lines <= FUNCTION_LINES_MAX,
                "{}: `{name}` has {lines} lines",
                path.display()
            );
        }
    }
}

/// The functions of a formatted file, each with the number of its lines that are code.
fn functions(text: &str) -> Vec<(&str, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        let Some(name) = declared_function(line) else { continue };
        let indent = &line[..line.len() - line.trim_start().len()];
        let closing = format!("{indent}}}");
        let rest = lines[number + 1..].iter();
        let body = rest.take_while(|line| **line != closing);
        let code = body.filter(|line| !line.trim().is_empty() && !line.trim_start().starts_with("//"));
        if !line.ends_with([';', '}']) {
            found.push((name, code.count()));
        }
    }
    found
}

/// The name of the function that this line declares.
fn declared_function(line: &str) -> Option<&str> {
    let (before, after) = line.trim_start().split_once("fn ")?;
    let words = [
        "pub",
        "pub(crate)",
        "pub(super)",
        "const",
        "async",
        "unsafe",
        "extern",
        "\"C\"",
    ];
    let is_head = before.split_whitespace().all(|word| words.contains(&word));
    is_head.then(|| after.split(['(', '<']).next().unwrap_or(after))
}

#[test]
fn functions_are_counted_rightly() {
    let text =
        "fn one() {\n    1;\n    // why\n\n    2;\n}\n\nfn short() {}\npub const fn two(\n    a: u8,\n) {\n    3;\n}\n";
    assert_eq!(functions(text), [("one", 2), ("two", 3)]);
}

#[test]
fn nothing_is_left_unfinished() {
    for (path, text) in sources() {
        for (head, tail) in FORBIDDEN_TEXTS {
            let forbidden = format!("{head}{tail}");
            assert!(!text.contains(&forbidden), "{} has `{forbidden}`", path.display());
        }
    }
}

#[test]
fn nothing_is_named_for_being_left_over() {
    let root = repository("");
    for (path, _) in sources() {
        let inner = path.strip_prefix(&root).expect("a source stands in the repository");
        let names = inner.iter().filter_map(|part| Path::new(part).file_stem()?.to_str());
        for name in names {
            assert!(
                !FORBIDDEN_NAMES.contains(&name),
                "{}: name it for what it does",
                path.display()
            );
        }
    }
}

#[test]
fn unsafe_code_stands_only_where_it_may() {
    let allowed = ["engine/driver", "engine/ipc"].map(repository);
    let opening = ["unsafe", " {"].concat();
    for (path, text) in sources() {
        let has_some = text
            .lines()
            .any(|line| line.contains(&opening) && !line.trim_start().starts_with("//"));
        let may = allowed.iter().any(|folder| path.starts_with(folder));
        assert!(may || !has_some, "{} has unsafe code", path.display());
    }
}
