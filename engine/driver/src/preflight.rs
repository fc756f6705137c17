//! What can be known before anything starts: whether this machine has the programs, folders, users and files that
//! a workflow needs. What an earlier process may still make is left to the moment when it is needed.

mod capacity;
mod resolve;
mod script;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use forkyard_core::diagnostic::{Code, Diagnostic, Severity, codes};
use forkyard_core::source::Span;
use forkyard_core::spec::{Body, Program, Stream, Tasks, Workflow};
use nix::unistd::{getegid, geteuid};

use capacity::Capacity;
pub use resolve::DEFAULT_PATH;
pub(crate) use resolve::on_path;
use resolve::{Unresolved, resolve};

use crate::limits::LimiterCell;
use crate::spawner::{Identity, interpreter};
use crate::words::io_reason;

/// Says what this machine lacks for the workflow, in the order of its lines: each finding is an error, but that there are more
/// processes than it allows, which run one after the other. `folder` is
/// that of the workflow's first file, `path` the `PATH` of the engine. Instances that need the same count once.
#[must_use]
pub fn preflight(workflow: &Workflow, folder: &Path, path: Option<&OsStr>) -> Vec<Diagnostic> {
    let mut needs = Needs {
        folder,
        path,
        met: BTreeMap::new(),
        missing: BTreeSet::new(),
        folders: BTreeMap::new(),
        limiter: LimiterCell::default(),
    };
    for process in &workflow.processes {
        needs.add_body(&process.body);
    }
    for pool in &workflow.pools {
        needs.add_body(&pool.body);
        if let Some(Tasks::Lines(file, place)) = &pool.tasks
            && pool.body.after.is_empty()
        {
            needs.add(*place, Need::File(file));
        }
    }
    let mut found = needs.diagnostics();
    found.extend(capacity::beyond(workflow, Capacity::of_machine()));
    found
}

/// The same for somebody who only looks: it may run on another machine, so all that this one lacks are warnings.
#[must_use]
pub fn look(workflow: &Workflow, folder: &Path, path: Option<&OsStr>) -> Vec<Diagnostic> {
    let mut found = preflight(workflow, folder, path);
    for diagnostic in &mut found {
        diagnostic.severity = Severity::Warning;
    }
    found
}

/// Something a workflow needs of this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Need<'a> {
    /// A program, searched for on `path`; `cwd` is where it will run.
    Program {
        name: &'a str,
        path: &'a OsStr,
        cwd: Cwd<'a>,
    },
    /// A working directory, as written.
    Directory(&'a str),
    /// A user, by name or number.
    User(&'a str),
    /// A group, by name or number.
    Group(&'a str),
    /// A key of `limits`, which neither a control group nor a limit of each process can keep.
    Limit(&'static str),
    /// A file to be read, as written.
    File(&'a str),
    /// A file that an interpreter is to execute.
    Script { name: &'a str, cwd: Cwd<'a> },
}

/// Where a process will run, as written; `None`: in the folder of the workflow.
type Cwd<'a> = Option<&'a str>;

/// All needs of a workflow. Of a million processes most need the same: the machine is asked once for each.
struct Needs<'a> {
    folder: &'a Path,
    path: Option<&'a OsStr>,
    /// What is to be said of each.
    met: BTreeMap<Need<'a>, Finding>,
    /// Those that this machine does not have, by the place where they stand.
    missing: BTreeSet<(Span, Need<'a>)>,
    /// Whether these are folders.
    folders: BTreeMap<Cwd<'a>, bool>,
    limiter: LimiterCell,
}

impl<'a> Needs<'a> {
    fn add(&mut self, place: Span, need: Need<'a>) {
        let finding = self.met.entry(need).or_insert_with(|| need.missing(self.folder));
        if finding.is_some() {
            self.missing.insert((place, need));
        }
    }

    fn diagnostics(&self) -> Vec<Diagnostic> {
        let found = self.missing.iter().filter_map(|(place, need)| {
            let (code, message, help) = self.met.get(need)?.clone()?;
            Some(Diagnostic {
                code,
                severity: Severity::Error,
                place: Some(*place),
                message,
                help,
                related: Vec::new(),
            })
        });
        found.collect()
    }

    fn add_body(&mut self, body: &'a Body) {
        let may_be_made = !body.after.is_empty();
        if let Some(program) = &body.run {
            self.add_program(program, body, may_be_made);
            if !may_be_made {
                self.add_script(program, body);
            }
        }
        if let Some(command) = &body.stop.command {
            self.add_program(command, body, true);
        }
        if let Some((user, place)) = body.user.as_deref() {
            self.add(*place, Need::User(user));
        }
        if let Some((group, place)) = body.group.as_deref() {
            self.add(*place, Need::Group(group));
        }
        if let Some((limits, place)) = body.limits.as_deref() {
            for key in self.limiter.get().cannot_keep(limits) {
                self.add(*place, Need::Limit(key));
            }
        }
        if may_be_made {
            return;
        }
        if let Some((cwd, place)) = body.cwd.as_deref() {
            self.add(*place, Need::Directory(cwd));
        }
        if let Stream::File(file, place) = &body.stdin {
            self.add(*place, Need::File(file));
        }
    }

    /// A command on `PATH` must be there now; one given by a path may still be made. `forkyard` itself is on the
    /// `PATH` of every process. Nothing is said of a command in a directory that is missing, but that.
    fn add_program(&mut self, program: &'a Program, body: &'a Body, may_be_made: bool) {
        let Some(name) = program.argv.first() else {
            return;
        };
        let cwd = cwd_of(body);
        let is_path = name.contains('/');
        if name == "forkyard" || (is_path && (may_be_made || !self.is_folder(cwd))) {
            return;
        }
        let path = self.path_of(body);
        self.add(program.place, Need::Program { name, path, cwd });
    }

    /// The file that a script begins with, or that an interpreter is given, where that is certain.
    fn add_script(&mut self, program: &'a Program, body: &'a Body) {
        let cwd = cwd_of(body);
        if !self.is_folder(cwd) {
            return;
        }
        if let Some(name) = script::first_path(program) {
            let path = self.path_of(body);
            self.add(program.place, Need::Program { name, path, cwd });
        }
        if let Some(name) = script::interpreted(program) {
            self.add(program.place, Need::Script { name, cwd });
        }
    }

    fn is_folder(&mut self, cwd: Cwd<'a>) -> bool {
        let is_folder = || at(self.folder, cwd).is_dir();
        *self.folders.entry(cwd).or_insert_with(is_folder)
    }

    /// `PATH` as the process will have it.
    fn path_of(&self, body: &'a Body) -> &'a OsStr {
        let inherited = self.path.filter(|_| !body.clear_env);
        match (body.env.get("PATH"), inherited) {
            (Some(own), _) => OsStr::new(&own.value),
            (None, Some(inherited)) => inherited,
            (None, None) => OsStr::new(DEFAULT_PATH),
        }
    }
}

fn cwd_of(body: &Body) -> Cwd<'_> {
    body.cwd.as_deref().map(|(cwd, _)| cwd.as_str())
}

fn at(folder: &Path, cwd: Cwd) -> PathBuf {
    cwd.map_or_else(|| folder.to_owned(), |cwd| folder.join(cwd))
}

impl Need<'_> {
    /// What is to be said when this machine does not have it.
    fn missing(self, folder: &Path) -> Finding {
        match self {
            Self::Program { name, path, cwd } => missing_program(name, path, &at(folder, cwd)),
            Self::Directory(written) => missing_directory(&folder.join(written), written),
            Self::User(user) => missing_user(user),
            Self::Group(group) => missing_group(group),
            Self::Limit(key) => Some(limit_not_kept(key)),
            Self::File(written) => missing_file(&folder.join(written), written),
            Self::Script { name, cwd } => missing_script(name, &at(folder, cwd).join(name)),
        }
    }
}

/// The code, the message and the help of a finding.
type Finding = Option<(Code, String, Option<String>)>;

fn missing_program(name: &str, path: &OsStr, cwd: &Path) -> Finding {
    let unresolved = match resolve(name, path, cwd) {
        Ok(found) => return missing_interpreter(name, &found),
        Err(unresolved) => unresolved,
    };
    let code = match unresolved {
        Unresolved::NoSuchFile(_) | Unresolved::NotOnPath(_) => codes::NO_PROGRAM,
        Unresolved::NotExecutable(_) | Unresolved::Forbidden(_) => codes::NOT_EXECUTABLE,
        Unresolved::Directory(_) => codes::PROGRAM_IS_DIRECTORY,
    };
    Some((code, unresolved.to_string(), help(&unresolved, path, cwd)))
}

fn help(unresolved: &Unresolved, path: &OsStr, cwd: &Path) -> Option<String> {
    match unresolved {
        Unresolved::NotExecutable(file) => Some(format!("make it executable: chmod +x {}", file.display())),
        Unresolved::NotOnPath(name) if !name.is_empty() && cwd.join(name).is_file() => {
            Some(format!("to run the file in {}, write ./{name}", cwd.display()))
        }
        Unresolved::NoSuchFile(_) | Unresolved::NotOnPath(_) => {
            resolve::nearest(unresolved, path).map(|name| format!("there is `{name}`: did you mean that?"))
        }
        Unresolved::Forbidden(_) | Unresolved::Directory(_) => None,
    }
}

fn missing_interpreter(name: &str, file: &Path) -> Finding {
    let interpreter = interpreter(file)?;
    if !interpreter.starts_with('/') || Path::new(&interpreter).exists() {
        return None;
    }
    let message = format!("`{name}` asks in its first line for {interpreter}, which does not exist");
    let help = interpreter
        .ends_with("\\r")
        .then(|| "its lines end as on Windows: convert them with dos2unix".into());
    Some((codes::NO_INTERPRETER, message, help))
}

fn missing_directory(path: &Path, written: &str) -> Finding {
    let what = match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => return None,
        Ok(_) => "is not a directory".to_owned(),
        Err(error) => format!("cannot be entered: {}", io_reason(&error)),
    };
    let help = (path != Path::new(written)).then(|| format!("it is looked for at {}", path.display()));
    Some((
        codes::NO_DIRECTORY,
        format!("the working directory `{written}` {what}"),
        help,
    ))
}

fn missing_user(user: &str) -> Finding {
    let identity = match Identity::of_user(user) {
        Ok(identity) => identity,
        Err(error) => return Some((codes::NO_USER, error.to_string(), None)),
    };
    let engine = geteuid();
    if engine.is_root() || engine.as_raw() == identity.uid {
        return None;
    }
    let help = "run forkyard as root, or leave `user` out".to_owned();
    Some((
        codes::NOT_ROOT,
        format!("only root can run a process as user `{user}`"),
        Some(help),
    ))
}

fn missing_group(group: &str) -> Finding {
    let identity = match Identity::of(None, Some(group)) {
        Ok(identity) => identity?,
        Err(error) => return Some((codes::NO_USER, error.to_string(), None)),
    };
    let help = "run forkyard as root, or leave `group` out".to_owned();
    let message = format!("only root can run a process as group `{group}`");
    let is_allowed = geteuid().is_root() || getegid().as_raw() == identity.gid;
    (!is_allowed).then_some((codes::NOT_ROOT, message, Some(help)))
}

fn limit_not_kept(key: &str) -> (Code, String, Option<String>) {
    let message =
        format!("the limit `{key}` cannot be kept here: no control group with the controller `{key}` can be made");
    let help = "run forkyard as root, or where control groups are delegated to you; or leave the limit out".to_owned();
    (codes::LIMIT_NOT_KEPT, message, Some(help))
}

fn missing_script(name: &str, path: &Path) -> Finding {
    if path.exists() {
        return None;
    }
    let unresolved = Unresolved::NoSuchFile(path.to_owned());
    let near = resolve::nearest(&unresolved, OsStr::new(""));
    let help = near.map(|near| format!("there is `{near}`: did you mean that?"));
    let message = format!("the script `{name}` is not at {}", path.display());
    Some((codes::NO_SCRIPT, message, help))
}

/// A fifo is not opened: that would wait for its writer.
fn missing_file(path: &Path, written: &str) -> Finding {
    let what = match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => "is a directory".to_owned(),
        Ok(metadata) if !metadata.is_file() => return None,
        Ok(_) => match File::open(path) {
            Ok(_) => return None,
            Err(error) => format!("cannot be read: {}", io_reason(&error)),
        },
        Err(error) => format!("cannot be read: {}", io_reason(&error)),
    };
    let help = (path != Path::new(written)).then(|| format!("it is looked for at {}", path.display()));
    Some((codes::NO_FILE, format!("the file `{written}` {what}"), help))
}
