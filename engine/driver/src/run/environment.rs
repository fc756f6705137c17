//! What a process finds in its environment.

use std::collections::BTreeMap;
use std::ffi::{CStr, CString, OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use forkyard_core::id::ProcessId;
use forkyard_core::plan::{Plan, Probe, Way};

use super::Options;
use crate::directory;
use crate::pipes::end_of;
use crate::sockets::{Endpoint, Sockets};
use crate::stdio::mask::Secrets;

/// An item above this many bytes is not in `FORKYARD_ITEM`: the kernel refuses a single string of 128 KiB
/// (`MAX_ARG_STRLEN`), and what is left is for the name. It is on stdin all the same.
const ITEM_BYTES_MAX: usize = 100 * 1024;

/// Where programs are looked for when nothing says so, as by `execvp` of the C library.
const PATH_DEFAULT: &str = "/bin:/usr/bin";

/// What a supervisor says to the one process that it has started: `sd_listen_fds(3)`, `sd_notify(3)`, `sd_watchdog_enabled(3)`.
const SUPERVISORS: [&[u8]; 7] = [
    b"LISTEN_FDS",
    b"LISTEN_FDNAMES",
    b"LISTEN_PID",
    b"LISTEN_PIDFDID",
    b"NOTIFY_SOCKET",
    b"WATCHDOG_PID",
    b"WATCHDOG_USEC",
];

/// The facts of a run that every process is told.
#[derive(Debug)]
pub struct Facts {
    /// The folder with `forkyard` itself.
    bin: OsString,
    /// The token of each process.
    pub tokens: Vec<String>,
    /// The limits of open files before the engine has raised its own; `None`: it has not.
    pub open_files: Option<(u64, u64)>,
    /// What is masked wherever it is shown.
    pub secrets: Option<Secrets>,
    /// What processes have that are given the engine's own environment, as far as it is handed on.
    handed_on: Rc<Base>,
    /// What those have that are given nothing of it.
    bare: Rc<Base>,
}

/// What is the same for all processes, made once: thousands may be started at the same time.
#[derive(Debug)]
struct Base {
    /// By name, as `NAME=value`.
    strings: BTreeMap<OsString, Arc<CStr>>,
    /// The names of those that no process can have otherwise.
    fixed: Vec<OsString>,
    /// Where programs are looked for.
    path: OsString,
}

/// An environment in the making.
#[derive(Debug)]
pub struct Environment {
    base: Rc<Base>,
    /// What this process alone has; `None`: it lacks what the base has.
    own: BTreeMap<OsString, Option<OsString>>,
}

impl Base {
    /// Of these variables, with the facts of the run.
    fn new(
        mut variables: BTreeMap<OsString, OsString>,
        run: Vec<(OsString, OsString)>,
        bin: &OsStr,
    ) -> io::Result<Self> {
        let path = variables.remove(OsStr::new("PATH"));
        let path = first_on_path(bin, path.as_deref().unwrap_or(OsStr::new(PATH_DEFAULT)));
        let fixed = run.iter().map(|(name, _)| name.clone()).collect();
        variables.extend(run);
        variables.insert("PATH".into(), path.clone());
        let string = |(name, value): (OsString, OsString)| {
            let string = string(&name, &value).map_err(io::Error::other)?;
            Ok((name, string))
        };
        Ok(Self {
            strings: variables.into_iter().map(string).collect::<io::Result<_>>()?,
            fixed,
            path,
        })
    }
}

impl Environment {
    /// All but the task's item and the numbers of descriptors.
    pub(super) fn new(facts: &Facts, plan: &Plan, process: ProcessId, attempt: u32) -> Self {
        let launch = &plan.launches[process.index()];
        let base = if launch.clear_env {
            &facts.bare
        } else {
            &facts.handed_on
        };
        let mut environment = Self {
            base: Rc::clone(base),
            own: BTreeMap::new(),
        };
        let is_fixed = |name: &str| base.fixed.iter().any(|fixed| fixed == name);
        for (name, value) in launch.env.iter().filter(|(name, _)| !is_fixed(name)) {
            environment.set(name, &value.value);
        }
        if let Some(Some(path)) = environment.own.get(OsStr::new("PATH")) {
            environment.set("PATH", first_on_path(&facts.bin, path));
        }
        environment.set("FORKYARD_NAME", &plan.processes[process.index()].name);
        environment.set("FORKYARD_INDEX", launch.index.to_string());
        environment.set("FORKYARD_ATTEMPT", attempt.to_string());
        environment.set("FORKYARD_TOKEN", &facts.tokens[process.index()]);
        for (number, wire) in launch.fds.iter() {
            if let Some((pipe, _)) = end_of(wire)
                && number > 2
            {
                environment.descriptor(&plan.pipes[pipe.index()].name, number);
            }
        }
        environment
    }

    fn set(&mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) {
        let value = value.as_ref().to_owned();
        self.own.insert(name.as_ref().to_owned(), Some(value));
    }

    /// Where its programs are looked for.
    pub(super) fn path(&self) -> &OsStr {
        let own = self.own.get(OsStr::new("PATH")).and_then(Option::as_deref);
        own.unwrap_or(&self.base.path)
    }

    /// The number at which the process finds a pipe.
    pub(super) fn descriptor(&mut self, pipe: &str, number: i32) {
        let name = pipe.to_ascii_uppercase().replace('-', "_");
        self.set(format!("FORKYARD_FD_{name}"), number.to_string());
    }

    /// Where the process tells of itself, and, where somebody minds its silence, after how long: `sd_watchdog_enabled(3)`.
    pub(super) fn notify(&mut self, address: &str, live: Option<&Probe>) {
        self.set("NOTIFY_SOCKET", address);
        if let Some(live) = live.filter(|live| live.way == Way::Notify) {
            self.set("WATCHDOG_USEC", live.timeout.as_micros().to_string());
        }
    }

    /// That it has sockets, by their names in the order of their descriptors: `sd_listen_fds_with_names(3)`. Whose they are
    /// is known only once it has a pid.
    pub(super) fn listens(&mut self, names: &[String]) {
        self.set("LISTEN_FDS", names.len().to_string());
        self.set("LISTEN_FDNAMES", names.join(":"));
        self.own.insert("LISTEN_PID".into(), None);
    }

    /// The item of a task, unless the kernel would not take it.
    pub(super) fn item(&mut self, item: &[u8]) {
        if item.len() <= ITEM_BYTES_MAX && !item.contains(&0) {
            self.set("FORKYARD_ITEM", OsStr::from_bytes(item));
        }
    }

    /// As `NAME=value`, by name. A value with a NUL byte cannot be given to a process.
    ///
    /// # Errors
    /// The name of the variable with the NUL byte.
    pub(super) fn into_strings(self) -> Result<Vec<Arc<CStr>>, String> {
        let mut strings = Vec::with_capacity(self.base.strings.len() + self.own.len());
        let mut shared = self.base.strings.iter().peekable();
        for (name, value) in self.own {
            while let Some((_, string)) = shared.next_if(|(known, _)| **known < name) {
                strings.push(Arc::clone(string));
            }
            // Its own goes before that of the base.
            shared.next_if(|(known, _)| **known == name);
            if let Some(value) = value {
                strings.push(string(&name, &value)?);
            }
        }
        strings.extend(shared.map(|(_, string)| Arc::clone(string)));
        Ok(strings)
    }
}

/// `NAME=value`, or the name of the variable that has a NUL byte.
fn string(name: &OsStr, value: &OsStr) -> Result<Arc<CStr>, String> {
    // One more, for the NUL byte at the end.
    let mut string = Vec::with_capacity(name.len() + value.len() + 2);
    string.extend_from_slice(name.as_bytes());
    string.push(b'=');
    string.extend_from_slice(value.as_bytes());
    let string = CString::new(string).map_err(|_| name.to_string_lossy().into_owned())?;
    Ok(string.into())
}

fn first_on_path(folder: &OsStr, path: &OsStr) -> OsString {
    let mut all = folder.to_owned();
    all.push(":");
    all.push(path);
    all
}

/// The engine's own environment, without what a run around this one has set, or another supervisor for the engine alone.
fn handed_on() -> BTreeMap<OsString, OsString> {
    let own = std::env::vars_os();
    own.filter(|(name, _)| !is_for_the_engine_alone(name.as_bytes()))
        .collect()
}

/// What the process that was started with it must not hand on: by the protocols of systemd, and our own.
fn is_for_the_engine_alone(name: &[u8]) -> bool {
    name.starts_with(b"FORKYARD_") || SUPERVISORS.contains(&name)
}

/// How the address of a socket is told to all processes.
fn told_where(endpoint: &Endpoint) -> (OsString, OsString) {
    let name = format!("{}_{}", endpoint.owner, endpoint.socket).to_ascii_uppercase();
    let name = name.replace(['-', '.'], "_");
    (
        format!("FORKYARD_LISTEN_{name}").into(),
        endpoint.address.clone().into(),
    )
}

impl Facts {
    /// The facts of a run, with fresh tokens.
    pub(super) fn new(plan: &Plan, options: &Options, sockets: &Sockets, bin: &Path) -> io::Result<Self> {
        let directory = &options.directory;
        let tokens = plan.processes.iter().map(|_| token()).collect::<io::Result<_>>()?;
        let mut run: Vec<(OsString, OsString)> = vec![
            ("FORKYARD_RUN".into(), directory.id().into()),
            ("FORKYARD_CPUS".into(), options.cpus.to_string().into()),
            ("FORKYARD_SOCKET".into(), directory.socket().as_os_str().to_owned()),
        ];
        run.extend(sockets.endpoints().map(|endpoint| told_where(&endpoint)));
        Ok(Self {
            tokens,
            open_files: options.open_files.before,
            secrets: Secrets::of(plan).map_err(io::Error::other)?,
            handed_on: Rc::new(Base::new(handed_on(), run.clone(), bin.as_os_str())?),
            bare: Rc::new(Base::new(BTreeMap::new(), run, bin.as_os_str())?),
            bin: bin.into(),
        })
    }
}

/// 128 random bits, in hexadecimal.
fn token() -> io::Result<String> {
    Ok(format!("{:032x}", u128::from_le_bytes(directory::random()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment() -> Environment {
        let pairs = |pairs: &[(&str, &str)]| -> Vec<(OsString, OsString)> {
            pairs
                .iter()
                .map(|(name, value)| ((*name).into(), (*value).into()))
                .collect()
        };
        let variables = pairs(&[("A", "1"), ("M", "2"), ("PATH", "/bin"), ("Z", "3")]);
        let run = pairs(&[("FORKYARD_RUN", "r")]);
        let base = Base::new(variables.into_iter().collect(), run, OsStr::new("/own")).expect("no NUL");
        Environment {
            base: Rc::new(base),
            own: BTreeMap::new(),
        }
    }

    #[test]
    fn what_a_process_has_of_its_own_goes_before_what_all_have() {
        let mut environment = environment();
        environment.set("B", "own");
        environment.set("M", "own");
        environment.own.insert("Z".into(), None);
        let strings = environment.into_strings().expect("no NUL");
        let expected = [c"A=1", c"B=own", c"FORKYARD_RUN=r", c"M=own", c"PATH=/own:/bin"];
        assert!(strings.iter().map(AsRef::as_ref).eq(expected), "{strings:?}");
    }

    #[test]
    fn a_value_with_a_nul_byte_is_told_by_its_name() {
        let mut environment = environment();
        environment.set("B", "a\0b");
        assert_eq!(environment.into_strings(), Err("B".to_owned()));
    }
}
