//! The fault catalogue, docs/reliability.md: every row has its tests, and every test that bears a number has its row.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use crate::harness::{files_under, repository};

const PAGE: &str = "docs/reliability.md";

/// The letters of the groups, as names of tests have them.
const GROUPS: [&str; 13] = ["y", "g", "p", "e", "i", "s", "r", "aa", "bb", "cc", "dd", "ee", "gg"];

/// The numbers of rows that a test's name begins with: `y4_aa11_text` has two.
fn numbers(test: &str) -> Vec<String> {
    let is_number = |part: &&str| {
        let digits = part.trim_start_matches(|it: char| it.is_ascii_lowercase());
        let letters = &part[..part.len() - digits.len()];
        GROUPS.contains(&letters) && !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
    };
    test.split('_')
        .take_while(is_number)
        .map(str::to_ascii_uppercase)
        .collect()
}

/// All tests that bear a number, by number.
fn tests() -> BTreeMap<String, BTreeSet<String>> {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let sources = ["engine", "tests"].into_iter().flat_map(|folder| {
        let of = |extension| files_under(folder, extension);
        [of("rs"), of("py")].concat()
    });
    for path in sources {
        let text = fs::read_to_string(path).expect("a source is text");
        for line in text.lines() {
            let declared = line
                .trim_start()
                .strip_prefix("def test_")
                .or_else(|| line.split_once("fn ").map(|(_, rest)| rest));
            let Some((name, _)) = declared.and_then(|rest| rest.split_once('(')) else {
                continue;
            };
            for number in numbers(name) {
                found.entry(number).or_default().insert(name.to_owned());
            }
        }
    }
    found
}

/// The page with the last cell of each row, and the sentence with the counts, as they ought to be.
fn rewritten(page: &str, tests: &BTreeMap<String, BTreeSet<String>>) -> String {
    let mut rows = BTreeSet::new();
    let mut lines: Vec<String> = Vec::new();
    for line in page.lines() {
        let numbers = row_numbers(line);
        if numbers.is_empty() {
            lines.push(line.to_owned());
            continue;
        }
        let mut named = BTreeSet::new();
        for number in numbers {
            let of_row = tests.get(&number);
            assert!(of_row.is_some(), "{PAGE}: {number} has no test");
            assert!(rows.insert(number.clone()), "{PAGE}: {number} stands twice");
            named.extend(of_row.into_iter().flatten().map(|name| format!("`{name}`")));
        }
        let cells: Vec<&str> = line.split(" | ").collect();
        assert_eq!(cells.len(), 4, "{PAGE}: a row has four cells: {line}");
        let listed: Vec<String> = named.into_iter().collect();
        lines.push(format!("{} | {} |", cells[..3].join(" | "), listed.join(", ")));
    }
    for number in tests.keys() {
        assert!(
            rows.contains(number),
            "{PAGE} has no row {number}, and a test bears that number"
        );
    }
    let names: BTreeSet<&String> = tests.values().flatten().collect();
    let counts = format!("{} numbers, {} tests.", rows.len(), names.len());
    let is_counts = |line: &String| line.ends_with(" tests.") && line.contains(" numbers, ");
    let place = lines
        .iter()
        .position(is_counts)
        .expect("the page says how many there are");
    lines[place] = counts;
    lines.join("\n") + "\n"
}

/// The numbers in the first cell of a row: `| Y3, AA1 | …`.
fn row_numbers(line: &str) -> Vec<String> {
    let Some((first, _)) = line.strip_prefix("| ").and_then(|rest| rest.split_once(" | ")) else {
        return Vec::new();
    };
    let words: Vec<String> = first.split(", ").map(str::to_owned).collect();
    let are_numbers = words
        .iter()
        .all(|word| numbers(&word.to_ascii_lowercase()) == [word.clone()]);
    if are_numbers { words } else { Vec::new() }
}

#[test]
fn every_row_of_the_catalogue_has_its_tests_and_every_numbered_test_its_row() {
    let page = fs::read_to_string(repository(PAGE)).expect("the page is there");
    let right = rewritten(&page, &tests());
    if std::env::var_os("FORKYARD_WRITE_CATALOGUE").is_some() {
        fs::write(repository(PAGE), &right).expect("the page can be written");
        return;
    }
    for (is, ought) in page.lines().zip(right.lines()) {
        assert_eq!(
            is, ought,
            "FORKYARD_WRITE_CATALOGUE=1 cargo test --test integration reliability:: writes it anew"
        );
    }
}

#[test]
fn numbers_are_read_rightly() {
    assert_eq!(numbers("y4_aa11_text"), ["Y4", "AA11"]);
    assert!(numbers("yard").is_empty() && numbers("by_2_x").is_empty());
    assert_eq!(row_numbers("| Y3, AA1 | x | y | z |"), ["Y3", "AA1"]);
    assert!(row_numbers("| number | x | y | z |").is_empty());
}
