//! `forkyard run`: reads, checks, and runs a workflow.

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use forkyard_core::diagnostic::{self, Diagnostic, Severity, codes};
use forkyard_core::machine::Verdict;
use forkyard_core::plan::{self, Plan};
use forkyard_core::spec::{Isolation, Workflow};
use forkyard_driver::background::{Teller, hold_stops};
use forkyard_driver::directory::RunDirectory;
use forkyard_driver::kept::{Claim, Keeping, Place};
use forkyard_driver::run::{Engine, OpenFiles, Options};
use forkyard_driver::sockets::Sockets;
use forkyard_driver::stdio::mask::Secrets;
use forkyard_driver::{guardian, kept, news, preflight, signals};
use tokio::sync::mpsc;

use super::background::{self, Manner, Until};
use super::patience::some_span;
use super::{dry_run, runs};
use crate::exit;
use crate::failure::{Failure, reason};
use crate::load::{self, Loaded, Overrides};
use crate::report::{self, Form, Setup, Voice};
use crate::screen::{self, When};

/// Its arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The workflow [default: forkyard.yaml]
    #[arg(value_name = "FILE")]
    workflow: Option<String>,

    #[command(flatten)]
    overrides: Overrides,

    /// Show what would start, and start nothing
    #[arg(long)]
    dry_run: bool,

    /// Go on in the background once everything is ready, print the run's id, and exit with 0
    #[arg(
        long,
        value_parser = background::until,
        value_name = "ready",
        conflicts_with = "dry_run"
    )]
    wait: Option<Until>,

    /// With --wait: so long at most, for instance 30s or 2m; then the run is stopped, and the exit code is 124
    #[arg(long, value_name = "DURATION", value_parser = some_span, allow_hyphen_values = true, requires = "wait")]
    timeout: Option<Duration>,

    /// Write one JSON object a record, one a line
    #[arg(long, conflicts_with = "quiet")]
    json: bool,

    /// Show the output of the processes alone, and a summary only when something went wrong
    #[arg(short, long)]
    quiet: bool,
}

const EXAMPLES: &str = "\
Examples:
  forkyard run workflow.yaml
  forkyard run workflow.yaml -p words=5 --quiet
  forkyard run base.yaml -f local.yaml --dry-run     one workflow of two files
  forkyard run --wait ready services.yaml            in the background, once all is ready

Ctrl-C stops the run in order; a second one kills it at once.
Exit codes:
  0      all succeeded
  1      something failed
  2      the workflow or the command line is invalid; nothing was started
  3      the engine could not do its work
  124    the run took longer than its timeout
  128+n  stopped by signal n: 130 for Ctrl-C, 143 for SIGTERM
  141    nobody reads the output any more, and all succeeded";

/// So long deadlocks are looked for before a run; `forkyard check` has more time.
const EXPLORE: Duration = Duration::from_millis(250);

/// Runs the workflow to its end; the exit code is the one of its verdict.
pub fn run(args: &Args, color: When) -> Result<u8, Failure> {
    let paths = args.overrides.paths(args.workflow.as_deref())?;
    let loaded = args.overrides.load(&paths, EXPLORE);
    let Some(plan) = prepare(&loaded, color) else {
        return Ok(exit::INVALID);
    };
    if args.dry_run {
        let mut out = io::stdout().lock();
        out.write_all(dry_run::describe(&plan).as_bytes())?;
        out.flush()?;
        // What may be a million processes need not be taken apart one by one: the kernel takes their memory back at once.
        std::mem::forget((plan, loaded));
        return Ok(exit::DONE);
    }
    let state = runs::state_directory()?;
    let start = Start {
        plan: Arc::new(plan),
        loaded,
        state,
        form: args.form(),
        voice: if args.quiet { Voice::Quiet } else { Voice::Full },
        color,
        directory: None,
        teller: None,
    };
    match args.wait {
        Some(Until::Ready) => start.in_the_background(args.manner()),
        None => {
            let kept = start.kept_place()?;
            Ok(start.guarded(kept.as_ref()))
        }
    }
}

impl Start {
    /// Where those are noted that outlive their engine, if there are such.
    fn kept_place(&self) -> Result<Option<Place>, Failure> {
        kept::is_wanted(&self.plan).then(|| self.place()).transpose()
    }

    /// Runs below the guardians, and gives the exit code.
    fn guarded(self, kept: Option<&Place>) -> u8 {
        let isolation = self.isolation();
        // From here on there are two processes: no thread may have been started before.
        let exit = guardian::guard(isolation, kept, move || i32::from(self.in_the_engine()));
        u8::try_from(exit).unwrap_or(exit::UNABLE)
    }

    /// Runs in the background, and waits until everything is ready. The directory is made here, so that all there is to say
    /// has its place from the start.
    fn in_the_background(mut self, manner: Manner) -> Result<u8, Failure> {
        let kept = self.kept_place()?;
        let secrets = self.secrets()?;
        hold_stops();
        let directory = self
            .make_directory(secrets.as_ref())
            .inspect_err(|_| signals::let_go())?;
        let plan = Arc::clone(&self.plan);
        let seen =
            RunDirectory::open(&self.state, directory.id()).map_err(|error| no_directory(&self.state, &error))?;
        self.directory = Some(directory);
        background::run(seen, &plan, manner, move |teller| {
            self.teller = Some(teller);
            self.guarded(kept.as_ref())
        })
    }
}

impl Args {
    const fn manner(&self) -> Manner {
        Manner {
            timeout: self.timeout,
            json: self.json,
            quiet: self.quiet,
        }
    }

    fn form(&self) -> Form {
        if self.json {
            Form::Json
        } else if io::stdout().is_terminal() && self.wait.is_none() {
            Form::Terminal
        } else {
            Form::Plain
        }
    }
}

/// The plan of a workflow that can be run here and now; otherwise all that is wrong is on stderr.
fn prepare(loaded: &Loaded, color: When) -> Option<Plan> {
    let mut found = loaded.diagnostics.clone();
    let mut plan = None;
    if let Some(workflow) = &loaded.workflow {
        found.extend(workflow.unbuilt.iter().map(not_built));
        match plan::build(workflow) {
            Ok(built) if !has_errors(&found) => {
                found.extend(ready_here(workflow, loaded));
                plan = Some(built);
            }
            // What does not resolve is what the check has found already.
            Err(unresolved) if !has_errors(&found) => found.extend(unresolved),
            Ok(_) | Err(_) => {}
        }
    }
    show(&found, loaded, color);
    plan.filter(|_| !has_errors(&found))
}

/// Shows what was found, and that nothing was started if it is too bad for that.
pub(super) fn show(found: &[Diagnostic], loaded: &Loaded, color: When) {
    if !found.is_empty() {
        screen::complain(&load::render(found, &loaded.files, &io::stderr(), color));
    }
    if has_errors(found) {
        let count = |severity| found.iter().filter(|found| found.severity == severity).count();
        let tally = load::tally(count(Severity::Error), count(Severity::Warning));
        screen::complain(&format!("{tally}; nothing was started"));
    }
}

fn ready_here(workflow: &Workflow, loaded: &Loaded) -> Vec<Diagnostic> {
    let found = preflight::preflight(workflow, &loaded.folder(), std::env::var_os("PATH").as_deref());
    diagnostic::without_allowed(found, &loaded.files)
}

/// Whether a workflow with these cannot be run.
pub(super) fn has_errors(found: &[Diagnostic]) -> bool {
    found.iter().any(|found| found.severity == Severity::Error)
}

fn not_built(unbuilt: &forkyard_core::spec::Unbuilt) -> Diagnostic {
    Diagnostic {
        code: codes::NOT_BUILT,
        severity: Severity::Error,
        place: Some(unbuilt.place),
        message: format!("{} is not built yet", unbuilt.what),
        help: Some("`forkyard check` accepts it; to run this workflow now, leave it out".to_owned()),
        related: Vec::new(),
    }
}

/// How long a run that was stopped by a signal waits for whoever reads its output: who has stopped reading, without
/// going away, must not keep it.
const INTERRUPTED_PATIENCE: Duration = Duration::from_secs(3);

/// How often it is looked whether the reporter has ended.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// Waits for the reporter, which may have much to tell yet, for `patience` at most; what it could not write by then is
/// given up, and the logs have it.
fn told(reporter: JoinHandle<io::Result<()>>, patience: Option<Duration>) -> io::Result<()> {
    let begin = Instant::now();
    while patience.is_some_and(|patience| begin.elapsed() < patience) && !reporter.is_finished() {
        thread::sleep(LOOK_AGAIN);
    }
    if patience.is_some() && !reporter.is_finished() {
        return Ok(());
    }
    reporter
        .join()
        .unwrap_or_else(|_| Err(io::Error::other("the reporter has failed")))
}

fn no_directory(state: &Path, error: &io::Error) -> Failure {
    Failure::unable(format!(
        "cannot make the directory of the run under {}: {}; XDG_STATE_HOME can name another place",
        state.display(),
        reason(error)
    ))
}

fn kept_failure(error: &io::Error) -> Failure {
    Failure::unable(format!(
        "it cannot be known who an earlier run of this workflow has left, and there must never be two of them: {}",
        reason(error)
    ))
}

/// All that the engine's process needs.
struct Start {
    plan: Arc<Plan>,
    loaded: Loaded,
    state: PathBuf,
    form: Form,
    voice: Voice,
    color: When,
    /// `None`: the engine makes it.
    directory: Option<RunDirectory>,
    /// Who waits in the foreground.
    teller: Option<Teller>,
}

impl Start {
    fn secrets(&self) -> Result<Option<Secrets>, Failure> {
        Secrets::of(&self.plan)
            .map_err(|error| Failure::invalid(format!("the secrets of `env` cannot be searched for: {error}")))
    }

    fn make_directory(&self, secrets: Option<&Secrets>) -> Result<RunDirectory, Failure> {
        RunDirectory::create(&self.state, &self.plan.name, secrets)
            .and_then(|directory| directory.keep(&self.loaded.files).map(|()| directory))
            .map_err(|error| no_directory(&self.state, &error))
    }

    fn isolation(&self) -> Isolation {
        self.loaded
            .workflow
            .as_ref()
            .map_or_else(Isolation::default, |workflow| workflow.options.isolation)
    }

    /// The workflow's file, whatever it is called by; for one from stdin, where that is read.
    fn file(&self) -> io::Result<PathBuf> {
        std::fs::canonicalize(&self.loaded.path).or_else(|_| std::fs::canonicalize(self.loaded.folder()))
    }

    /// Where it is noted who outlives the engine.
    fn place(&self) -> Result<Place, Failure> {
        let file = self.file().map_err(|error| kept_failure(&error))?;
        Ok(Place::of(&self.state, &file, &self.plan.name))
    }

    /// Those that outlive their engine, in this workflow or in what it was when an earlier engine was lost.
    fn keeping(&self) -> Result<Option<Keeping>, Failure> {
        let place = self.place()?;
        let is_needed = kept::is_wanted(&self.plan) || !place.notes().map_err(|error| kept_failure(&error))?.is_empty();
        if !is_needed {
            return Ok(None);
        }
        let claim = Claim::take(place).map_err(|error| kept_failure(&error))?;
        let claim = claim.map_err(|run| {
            Failure::unable(format!(
                "the run {run} of this workflow goes on and has processes that are to outlive it, of which there must never be \
                 two; see: forkyard ps --run {run}"
            ))
        })?;
        let file = self.file().map_err(|error| kept_failure(&error))?;
        let keeping = Keeping::begin(claim, file, &self.plan, &self.loaded.folder());
        let keeping = keeping.map_err(|error| kept_failure(&error))?;
        for remark in keeping.remarks() {
            screen::complain(&format!("forkyard: {remark}"));
        }
        Ok(Some(keeping))
    }

    /// Runs in the engine's process and gives the exit code.
    fn in_the_engine(self) -> u8 {
        self.engine().unwrap_or_else(|failure| {
            // Whoever does not read this must not keep us from ending.
            signals::let_go();
            if let Failure::Words { message, .. } = &failure {
                screen::complain(&format!("forkyard run: {message}"));
            }
            failure.exit()
        })
    }

    fn engine(mut self) -> Result<u8, Failure> {
        let mut kept = self.keeping()?;
        let secrets = self.secrets()?;
        // While this process has one thread, and before there is anything that would have to be cleared away.
        let sockets = match Sockets::open(&self.plan, &self.loaded.folder()) {
            Ok(sockets) => sockets,
            Err(found) => {
                show(&found, &self.loaded, self.color);
                return Ok(exit::INVALID);
            }
        };
        let open_files = OpenFiles::make_room(&self.plan, &sockets);
        // It makes ready while this thread makes the directory, which is to say how the run has ended, whoever asks for that.
        let engine = Engine::start(signals::hold()).map_err(|error| Failure::unable(error.to_string()))?;
        let directory = match self.directory.take() {
            Some(directory) => directory,
            None => self.make_directory(secrets.as_ref())?,
        };
        if let Some(kept) = &mut kept {
            kept.sign(directory.id()).map_err(|error| kept_failure(&error))?;
        }
        let (sender, receiver) = mpsc::channel(news::BATCHES_MAX);
        let setup = Setup {
            plan: Arc::clone(&self.plan),
            run: directory.id().to_owned(),
            form: self.form,
            voice: self.voice,
            colors: self.color.colors(&io::stdout()),
        };
        let reporter = report::start(setup, receiver)
            .map_err(|error| Failure::unable(format!("cannot start the thread of the reporter: {}", reason(&error))))?;
        let options = Options {
            folder: self.loaded.folder(),
            directory,
            open_files,
            shows_output: !screen::is_null(&io::stdout()),
            cpus: load::cpus(),
            sockets,
            teller: self.teller.take(),
            kept,
        };
        let verdict = engine.run(self.plan, options, sender);
        // The engine has let go of its end of the news: the reporter tells the rest and ends.
        let is_interrupted = matches!(verdict, Ok(Verdict::Signal(_)));
        let told = told(reporter, is_interrupted.then_some(INTERRUPTED_PATIENCE));
        let verdict = verdict.map_err(|error| Failure::unable(error.to_string()))?;
        match (verdict.exit_code(), told) {
            (0, Err(error)) => Err(Failure::output(&error)),
            (code, _) => Ok(u8::try_from(code).unwrap_or(exit::UNABLE)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn e9_a_reporter_that_panics_is_told_of() {
        for patience in [None, Some(INTERRUPTED_PATIENCE)] {
            let reporter = thread::spawn(|| -> io::Result<()> { panic!("a fault on purpose") });
            let error = told(reporter, patience).expect_err("it has told nothing");
            assert_eq!(error.to_string(), "the reporter has failed");
        }
    }
}
