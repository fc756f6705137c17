//! `forkyard check`: every finding of every workflow, with its place.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ValueEnum;
use forkyard_core::check::DeadlockVerdict;
use forkyard_core::diagnostic::{
    self, Allowed, Code, Diagnostic, Policy, Report, Severity, Verdict, can_be_allowed, codes, rule_of,
};
use forkyard_core::source::Files;
use forkyard_core::spec::{self, Workflow};
use forkyard_driver::preflight;

use crate::exit;
use crate::failure::Failure;
use crate::inputs::{Input, inputs};
use crate::load::{self, Loaded, Overrides};
use crate::report::plural;
use crate::screen::When;

/// Its arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Workflows, each checked by itself: files, patterns, directories, or - for stdin [default: forkyard.yaml]
    #[arg(value_name = "FILE")]
    workflows: Vec<String>,

    #[command(flatten)]
    overrides: Overrides,

    /// How to show the findings
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    format: Format,

    /// Take warnings for errors: all of them, or those of a code
    #[arg(long, value_name = "warnings|CODE", value_delimiter = ',', value_parser = denied)]
    deny: Vec<Denied>,

    /// Leave out the findings of a code
    #[arg(long, value_name = "CODE", value_delimiter = ',', value_parser = allowed)]
    allow: Vec<Code>,

    /// How long to look for deadlocks in each workflow; 0: by the structure of its graph alone
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = duration)]
    explore: Duration,
}

const EXAMPLES: &str = "\
Examples:
  forkyard check workflow.yaml
  forkyard check base.yaml -f local.yaml -p words=5       one workflow of two files
  forkyard check workflows --deny warnings                all workflows in a directory
  forkyard check '**/*.flow.yaml' --format sarif          all that match, for a code scanner
  generate | forkyard check - --allow FY270,FY241

Exit codes: 0 no error, 1 errors, 2 a file could not be read or the command line is wrong.";

/// How findings are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people: the line, and what to do
    #[default]
    Text,
    /// For programs: a JSON array, an object a finding
    Json,
    /// For code scanning services: SARIF 2.1.0
    Sarif,
    /// For GitHub Actions: an annotation a finding
    Github,
    #[value(help = "For CI servers: a JUnit report, a test a rule")]
    Junit,
}

/// What is taken for an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Denied {
    Warnings,
    One(Code),
}

fn duration(text: &str) -> Result<Duration, String> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    spec::duration(text).ok_or_else(|| "a duration is written as 250ms, 3s, 2m or 1h30m".to_owned())
}

fn denied(word: &str) -> Result<Denied, String> {
    if word == "warnings" {
        return Ok(Denied::Warnings);
    }
    let rule = rule_of(word).ok_or("it is neither `warnings` nor a code such as FY270")?;
    Ok(Denied::One(rule.code))
}

fn allowed(word: &str) -> Result<Code, String> {
    let rule = rule_of(word).ok_or("it is no code such as FY270")?;
    if can_be_allowed(rule) {
        Ok(rule.code)
    } else {
        Err(format!("{} cannot be allowed: {}", rule.code, rule.title))
    }
}

/// Checks and exits with 0, 1 or 2: the worst of all workflows.
pub fn run(args: &Args, color: When) -> Result<u8, Failure> {
    let checked = args.checked()?;
    let mut out = io::stdout().lock();
    let reports: Vec<Report> = checked.iter().map(Checked::report).collect();
    match args.format {
        Format::Text => out.write_all(text(&checked, color).as_bytes())?,
        Format::Json => out.write_all(diagnostic::json_text(&diagnostic::list(&reports)).as_bytes())?,
        Format::Sarif => out.write_all(diagnostic::json_text(&diagnostic::to_sarif(&reports)).as_bytes())?,
        Format::Github => out.write_all(diagnostic::annotations(&reports).as_bytes())?,
        Format::Junit => out.write_all(diagnostic::to_junit(&reports).as_bytes())?,
    }
    out.flush()?;
    Ok(exit_of(&checked))
}

impl Args {
    fn checked(&self) -> Result<Vec<Checked>, Failure> {
        let policy = self.policy()?;
        if self.workflows.is_empty() {
            let paths = self.overrides.paths(None)?;
            let loaded = self.overrides.load_by(&policy, &paths, self.explore, on_this_machine);
            return Ok(vec![Checked::only(loaded)]);
        }
        let inputs = inputs(&self.workflows);
        let of = if inputs.len() == 1 { Checked::only } else { Checked::of };
        let mut checked = Vec::new();
        let mut included = BTreeSet::new();
        for input in inputs {
            match input {
                Input::Nothing { named, message } => checked.push((false, Checked::nothing(named, message))),
                Input::File { path, found } => {
                    let paths = self.overrides.paths(Some(&path))?;
                    let loaded = self.overrides.load_by(&policy, &paths, self.explore, on_this_machine);
                    included.extend(included_by(&loaded, paths.len()));
                    checked.push((found, of(loaded)));
                }
            }
        }
        // A part of another workflow was checked with it, and need not be one by itself.
        let is_part = |path: &str| fs::canonicalize(path).is_ok_and(|path| included.contains(&path));
        checked.retain(|(found, checked)| !found || !is_part(&checked.path));
        Ok(checked.into_iter().map(|(_, checked)| checked).collect())
    }

    fn policy(&self) -> Result<Policy, Failure> {
        let allowed: BTreeSet<Code> = self.allow.iter().copied().collect();
        let mut policy = Policy {
            allowed,
            ..Policy::default()
        };
        for denied in &self.deny {
            match denied {
                Denied::Warnings => policy.deny_warnings = true,
                Denied::One(code) if policy.allowed.contains(code) => {
                    return Err(Failure::invalid(format!("{code} is both allowed and denied")));
                }
                Denied::One(code) => {
                    policy.denied.insert(*code);
                }
            }
        }
        Ok(policy)
    }
}

/// What this machine lacks for a workflow, which may be run on another.
fn on_this_machine(workflow: &Workflow, folder: &Path) -> Vec<Diagnostic> {
    preflight::look(workflow, folder, std::env::var_os("PATH").as_deref())
}

/// The files that a workflow of `named` files includes.
fn included_by(loaded: &Loaded, named: usize) -> Vec<PathBuf> {
    let included = loaded.files.all().iter();
    let included = included.filter(|file| named == 1 && file.path != loaded.path);
    included.filter_map(|file| fs::canonicalize(&file.path).ok()).collect()
}

/// What is left of a workflow to be shown.
struct Checked {
    path: String,
    files: Files,
    findings: Vec<Diagnostic>,
    allowed: Vec<Allowed>,
    readable: bool,
    /// What there is in it; `None` when it could not be understood.
    contents: Option<String>,
    /// What is known about its deadlocks; `None` when there are errors.
    deadlocks: Option<(DeadlockVerdict, String)>,
}

impl Checked {
    fn of(loaded: Loaded) -> Self {
        Self {
            contents: loaded.workflow.as_ref().map(contents),
            path: loaded.path,
            files: loaded.files,
            findings: loaded.diagnostics,
            allowed: loaded.allowed,
            readable: loaded.readable,
            deadlocks: loaded.deadlocks.map(|verdict| (verdict, verdict.to_string())),
        }
    }

    /// The same of the only one, for whose end the process need not take it apart, thing by thing of perhaps a million: the
    /// kernel takes all its memory back at once.
    fn only(mut loaded: Loaded) -> Self {
        let workflow = loaded.workflow.take();
        let contents = workflow.as_ref().map(contents);
        std::mem::forget(workflow);
        Self {
            contents,
            ..Self::of(loaded)
        }
    }

    fn nothing(named: String, message: String) -> Self {
        Self {
            path: named,
            files: Files::default(),
            findings: vec![Diagnostic {
                code: codes::UNREADABLE,
                severity: Severity::Error,
                place: None,
                message,
                help: None,
                related: Vec::new(),
            }],
            allowed: Vec::new(),
            readable: false,
            contents: None,
            deadlocks: None,
        }
    }

    fn report(&self) -> Report<'_> {
        Report {
            path: &self.path,
            files: &self.files,
            findings: &self.findings,
            allowed: &self.allowed,
            readable: self.readable,
            deadlocks: self
                .deadlocks
                .as_ref()
                .map(|(verdict, message)| told(*verdict, message)),
        }
    }

    fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|found| found.severity == severity).count()
    }
}

fn told(verdict: DeadlockVerdict, message: &str) -> Verdict<'_> {
    let (word, states, open) = match verdict {
        DeadlockVerdict::Proved { states } => ("proved", states, false),
        DeadlockVerdict::Deadlock { .. } => ("deadlock", 0, false),
        DeadlockVerdict::NotExhaustive { states } => ("not-exhaustive", states, true),
    };
    Verdict {
        word,
        message,
        states,
        open,
    }
}

/// For people: the findings of each workflow, or that it is in order, and in the end how many there are.
fn text(checked: &[Checked], color: When) -> String {
    let mut text = String::new();
    for one in checked {
        if !one.findings.is_empty() {
            text.push_str(&load::render(&one.findings, &one.files, &io::stdout(), color));
            text.push('\n');
        }
        if let Some(contents) = one.contents.as_ref().filter(|_| one.count(Severity::Error) == 0) {
            let path = diagnostic::shown(&one.path);
            text.extend([format!("{path}: ok, {contents}\n")]);
            if let Some((_, deadlocks)) = &one.deadlocks {
                text.extend([format!("{path}: {deadlocks}\n")]);
            }
        }
    }
    let sum = |severity| checked.iter().map(|one| one.count(severity)).sum();
    let (errors, warnings) = (sum(Severity::Error), sum(Severity::Warning));
    let allowed: usize = checked.iter().map(|one| one.allowed.len()).sum();
    if errors + warnings + allowed > 0 {
        text.push_str(&load::tally(errors, warnings));
        if allowed > 0 {
            text.extend([format!("; {allowed} allowed")]);
        }
        text.push('\n');
    }
    text
}

fn exit_of(checked: &[Checked]) -> u8 {
    if checked.iter().any(|one| !one.readable) {
        exit::INVALID
    } else if checked.iter().any(|one| one.count(Severity::Error) > 0) {
        exit::NOT_DONE
    } else {
        exit::DONE
    }
}

/// `4 processes, 2 queues, 1 lock`
pub fn contents(workflow: &Workflow) -> String {
    let counts = [
        (workflow.processes.len(), "process", "processes"),
        (workflow.pools.len(), "pool", "pools"),
        (workflow.queues.len(), "queue", "queues"),
        (workflow.pipes.len(), "pipe", "pipes"),
        (workflow.locks.len(), "lock", "locks"),
        (workflow.semaphores.len(), "semaphore", "semaphores"),
        (workflow.events.len(), "event", "events"),
    ];
    let parts = counts.into_iter().filter(|(count, ..)| *count > 0);
    let parts: Vec<String> = parts
        .map(|(count, one, more)| plural(count as u64, one, more))
        .collect();
    if parts.is_empty() {
        "nothing to run".to_owned()
    } else {
        parts.join(", ")
    }
}
