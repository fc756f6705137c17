//! Every code has a page, every page has the same form, and both of its examples are what it says they are.

use std::collections::BTreeSet;
use std::fs;

use forkyard_core::diagnostic::{Rule, Severity, can_be_allowed, catalogue};

use crate::harness::{Forkyard, Outcome, World, binary, files_under, repository};
use crate::pages::{Block, blocks};

/// The sections of a page, in their order.
const SECTIONS: [&str; 4] = ["Why it matters", "Example", "Mended", "To silence it"];

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
        let silence = if can_be_allowed(rule) {
            format!(
                "`# forkyard: allow {}` on the line of the finding, or alone on the line above it.",
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
        300 | 311 => "`forkyard run` before anything starts",
        301.. => "`forkyard run` before anything starts, and as a warning by `forkyard check`",
    };
    format!("**{}**, found by {by}.", word(rule.severity))
}

const fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "Error",
        Severity::Warning => "Warning",
    }
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

#[test]
fn every_finding_that_can_be_silenced_is_by_a_comment() {
    for rule in catalogue().iter().filter(|rule| can_be_allowed(rule)) {
        let page = page(rule);
        let mut example = Example::of(&page, "Example");
        let Some(told) = example.told(rule) else { continue };
        // What a page shows of a console is not a file that could be changed here.
        if example
            .blocks
            .iter()
            .any(|block| block.is_main() && block.language == "console")
        {
            continue;
        }
        let lines = places(&told);
        assert!(
            !lines.is_empty(),
            "{page}: a finding without a place cannot be silenced: {told}"
        );
        let comment = format!("# forkyard: allow {}", rule.code);
        for block in example.blocks.iter_mut().filter(|block| block.is_main()) {
            block.text = commented(&block.text, &lines, &comment);
        }
        assert_eq!(
            example.findings(rule).unwrap_or_default(),
            BTreeSet::new(),
            "{page}: {comment}"
        );
    }
}

/// The lines at which something was found: those after ` --> workflow.yaml:`.
fn places(told: &str) -> BTreeSet<usize> {
    let lines = told
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("--> workflow.yaml:"));
    lines
        .filter_map(|place| place.split(':').next()?.parse().ok())
        .collect()
}

/// The text with a comment above each of these lines.
fn commented(text: &str, lines: &BTreeSet<usize>, comment: &str) -> String {
    let mut commented = String::new();
    for (index, line) in text.lines().enumerate() {
        if lines.contains(&(index + 1)) {
            let indentation = line.len() - line.trim_start().len();
            commented.extend([&line[..indentation], comment, "\n"]);
        }
        commented.push_str(line);
        commented.push('\n');
    }
    commented
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
        Some(kinds(&self.told(rule)?))
    }

    /// What is said of it. Where that is no error, the exit code says so too.
    fn told(&self, rule: &Rule) -> Option<String> {
        let main = self.blocks.iter().find(|block| block.is_main())?;
        if main.language == "console" {
            return Some(main.text.clone());
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
        let told = format!("{}{}", outcome.stdout(), outcome.errors());
        if !kinds(&told).iter().any(|kind| kind.starts_with("error")) {
            outcome.exit(0);
        }
        Some(told)
    }

    fn outcome(&self, rule: &Rule, main: &Block, world: World) -> Option<Outcome> {
        let call = match rule.code.0 {
            // The programs of the examples are not there.
            0..300 => Forkyard::new("check").arg("--allow").arg("FY301,FY305,FY308,FY309"),
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

#[test]
fn a_page_is_explained_on_the_terminal() {
    for word in ["FY210", "fy210", "210"] {
        let explained = Forkyard::new("explain").arg(word).run();
        explained
            .exit(0)
            .line("FY210: a cycle in `after`")
            .line("Error, found by `forkyard check`.");
        assert!(
            explained.stdout().contains("\n    forkyard: 1\n"),
            "code stands to the right"
        );
        assert!(!explained.stdout().contains("```") && !explained.stdout().contains('\u{1b}'));
    }
    let coloured = Forkyard::new("explain").arg("210").arg("--color").arg("always").run();
    assert!(coloured.stdout().starts_with("\u{1b}[1mFY210"), "{}", coloured.stdout());
    let page = Forkyard::new("explain")
        .arg("210")
        .arg("--format")
        .arg("markdown")
        .run();
    assert_eq!(page.stdout(), text("docs/diagnostics/FY210.md"));
}

#[test]
fn all_codes_are_listed() {
    let listed = Forkyard::new("explain").run();
    listed.exit(0);
    let lines: Vec<&str> = listed.stdout().lines().collect();
    assert_eq!(lines.len(), catalogue().len());
    for (line, Rule { code, severity, title }) in lines.iter().zip(catalogue()) {
        assert_eq!(*line, format!("{code}  {:<7}  {title}", word(*severity).to_lowercase()));
    }
    let json = Forkyard::new("explain").arg("--format").arg("json").run();
    let entries: serde_json::Value = serde_json::from_str(json.stdout()).expect("it is JSON");
    let entries = entries.as_array().expect("all are one array");
    assert_eq!(entries.len(), catalogue().len());
    assert!(
        entries
            .iter()
            .all(|entry| entry["page"].as_str().is_some_and(|page| page.starts_with("# FY")))
    );
}

#[test]
fn what_is_no_code_is_told_what_is_near() {
    let unknown = Forkyard::new("explain").arg("FY218").run();
    unknown
        .exit(2)
        .stderr("there is no code FY218; the nearest are FY217, ");
    Forkyard::new("explain")
        .arg("cycle")
        .run()
        .exit(2)
        .stderr("write it as FY210");
}
