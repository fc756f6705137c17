//! Every code has a page, every page has the same form, and both of its examples are what it says they are.

use std::collections::BTreeSet;
use std::fs;

use forkyard_core::diagnostic::{Rule, Severity, catalogue};

use crate::harness::{Forkyard, Outcome, World, binary, files_under, repository};
use crate::pages::{Block, blocks};

/// The sections of a page, in their order.
const SECTIONS: [&str; 4] = ["Why it matters", "Example", "Mended", "To silence it"];

/// Codes of the graph that no comment silences: without what they miss there is no plan.
const NEVER_SILENT: [u16; 2] = [201, 202];

/// Where the page of a rule stands, from the root of the repository.
fn page(rule: &Rule) -> String {
    format!("docs/diagnostics/{}.md", rule.code)
}

fn text(page: &str) -> String {
    fs::read_to_string(repository(page)).unwrap_or_else(|error| panic!("{page}: {error}"))
}

#[test]
fn every_code_has_a_page_and_every_page_a_code() {
    let wanted: BTreeSet<String> = catalogue().iter().map(|rule| format!("{}.md", rule.code)).collect();
    let found: BTreeSet<String> = files_under("docs/diagnostics", "md")
        .iter()
        .filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()))
        .filter(|name| name != "README.md")
        .collect();
    assert_eq!(found, wanted);
}

#[test]
fn the_index_has_every_code() {
    let index = text("docs/diagnostics/README.md");
    for Rule { code, severity, title } in catalogue() {
        let row = format!(
            "| [{code}]({code}.md) | {} | {title} | ",
            word(*severity).to_lowercase()
        );
        assert!(index.contains(&row), "docs/diagnostics/README.md has no row `{row}`");
    }
    let rows = index.lines().filter(|line| line.starts_with("| [FY")).count();
    assert_eq!(rows, catalogue().len());
}

#[test]
fn every_page_has_the_same_form() {
    for rule in catalogue() {
        let page = page(rule);
        let text = text(&page);
        let mut sections = text.split("\n## ");
        let head: Vec<&str> = sections.next().into_iter().flat_map(str::lines).collect();
        let [title, "", line, "", what @ ..] = head.as_slice() else {
            panic!("{page}: a title, the severity and a few words begin it");
        };
        assert_eq!(*title, format!("# {}: {}", rule.code, rule.title), "{page}");
        assert_eq!(*line, severity_line(rule), "{page}");
        assert!(
            what.iter().map(|line| line.len()).sum::<usize>() > 40,
            "{page}: what is it?"
        );
        let sections: Vec<(&str, &str)> = sections.filter_map(|section| section.split_once("\n\n")).collect();
        let names: Vec<&str> = sections.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, SECTIONS, "{page}");
        assert!(sections[0].1.len() > 40, "{page}: why does it matter?");
        let silence = if can_be_silenced(rule) {
            format!(
                "`# forkyard: allow {}` on the line of the finding, or on the line above it.",
                rule.code
            )
        } else {
            "It cannot be silenced: ".to_owned()
        };
        assert!(
            sections[3].1.replace('\n', " ").starts_with(&silence),
            "{page}: {silence}"
        );
    }
}

/// `**Error**, found by …`
fn severity_line(rule: &Rule) -> String {
    let by = match rule.code.0 {
        0..300 => "`forkyard check`",
        300.. => "`forkyard run` before anything starts",
    };
    format!("**{}**, found by {by}.", word(rule.severity))
}

const fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "Error",
        Severity::Warning => "Warning",
    }
}

/// What is wrong with a file or the language leaves nothing to go on with, and what this machine lacks cannot be started.
fn can_be_silenced(rule: &Rule) -> bool {
    let is_of_graph = (200..300).contains(&rule.code.0) && !NEVER_SILENT.contains(&rule.code.0);
    is_of_graph || rule.severity == Severity::Warning
}

#[test]
fn every_example_is_found_and_nothing_else() {
    for rule in catalogue() {
        let page = page(rule);
        let example = Example::of(&page, "Example");
        let claims = example.blocks.iter().find_map(|block| block.word("fails"));
        assert_eq!(
            claims,
            Some(rule.code.to_string().as_str()),
            "{page}: ```yaml fails={}",
            rule.code
        );
        let Some(found) = example.findings(rule) else { continue };
        let expected = format!("{}[{}]", word(rule.severity).to_lowercase(), rule.code);
        assert_eq!(found, BTreeSet::from([expected]), "{page}");
    }
}

#[test]
fn every_mended_example_is_sound() {
    for rule in catalogue() {
        let page = page(rule);
        let example = Example::of(&page, "Mended");
        let claims = example.blocks.iter().find_map(|block| block.word("fails"));
        assert_eq!(claims, None, "{page}");
        assert_eq!(example.findings(rule).unwrap_or_default(), BTreeSet::new(), "{page}");
    }
}

/// The example of a section: a workflow, a block without `file=`, and files that it needs; or what a shell shows, which
/// `docs.rs` plays.
struct Example {
    page: String,
    blocks: Vec<Block>,
}

impl Example {
    fn of(page: &str, section: &str) -> Self {
        let blocks: Vec<Block> = blocks(page).into_iter().filter(|it| it.section == section).collect();
        let main = blocks.iter().filter(|block| block.is_main());
        assert_eq!(main.count(), 1, "{page}: `{section}` has one workflow");
        Self {
            page: page.to_owned(),
            blocks,
        }
    }

    /// `error[FY201]` for each kind of finding. `None`: it needs a user that this machine does not let us be.
    fn findings(&self, rule: &Rule) -> Option<BTreeSet<String>> {
        let main = self.blocks.iter().find(|block| block.is_main())?;
        if main.language == "console" {
            return Some(kinds(&main.text));
        }
        let world = World::new();
        for block in &self.blocks {
            let name = block.word("file").unwrap_or("workflow.yaml");
            world.write(name, block.contents());
            if block.has("executable") {
                world.make_executable(name);
            }
        }
        let outcome = self.outcome(rule, main, world)?;
        let found = kinds(&format!("{}{}", outcome.stdout(), outcome.errors()));
        if !found.iter().any(|kind| kind.starts_with("error")) {
            outcome.exit(0);
        }
        Some(found)
    }

    fn outcome(&self, rule: &Rule, main: &Block, world: World) -> Option<Outcome> {
        let call = match rule.code.0 {
            0..300 => Forkyard::new("check"),
            300.. => Forkyard::new("run").arg("--dry-run"),
        };
        let call = call.within(world).arg("workflow.yaml");
        match main.word("as") {
            Some(user) if nix::unistd::geteuid().is_root() => {
                let launcher = ["setpriv", "--reuid", user, "--clear-groups", "--"];
                if !can_run_as(&launcher) {
                    println!("{}: skipped, {user} cannot run {}", self.page, binary());
                    return None;
                }
                call.world().open_to_all();
                Some(call.launched_by(&launcher).run())
            }
            Some(_) | None => Some(call.run()),
        }
    }
}

fn can_run_as(launcher: &[&str]) -> bool {
    let (program, words) = launcher.split_first().expect("a launcher is a program");
    std::process::Command::new(program)
        .args(words)
        .arg(binary())
        .arg("--version")
        .output()
        .is_ok_and(|output| output.status.success())
}

/// The kinds of findings in a text: `warning[FY270]`.
fn kinds(text: &str) -> BTreeSet<String> {
    let begins = |line: &&str| line.starts_with("error[") || line.starts_with("warning[");
    text.lines()
        .filter(begins)
        .filter_map(|line| Some(line.split_once(':')?.0.to_owned()))
        .collect()
}
