//! What a process finds in its environment.

use std::collections::BTreeMap;
use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::rc::Rc;

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
    /// The run's id.
    pub run: String,
    /// Its socket.
    pub socket: OsString,
    /// The folder with `forkyard` itself.
    pub bin: OsString,
    /// How many CPUs there are.
    pub cpus: u32,
    /// The token of each process.
    pub tokens: Vec<String>,
    /// The limits of open files before the engine has raised its own; `None`: it has not.
    pub open_files: Option<(u64, u64)>,
    /// Where the sockets of all processes listen, as variables.
    pub listening: Vec<(String, String)>,
    /// What is masked wherever it is shown.
    pub secrets: Option<Secrets>,
    /// The engine's own environment as far as its processes have it too.
    handed_on: Variables,
}

/// Names and values. All processes share those that are the same for all of them: thousands may be started.
type Variables = BTreeMap<Rc<OsStr>, Rc<OsStr>>;

/// An environment in the making.
#[derive(Debug)]
pub struct Environment {
    variables: Variables,
}

impl Environment {
    /// All but the task's item and the numbers of descriptors.
    pub(super) fn new(facts: &Facts, plan: &Plan, process: ProcessId, attempt: u32) -> Self {
        let launch = &plan.launches[process.index()];
        let mut environment = Self {
            variables: if launch.clear_env {
                Variables::new()
            } else {
                facts.handed_on.clone()
            },
        };
        for (name, value) in &launch.env {
            environment.set(name, &value.value);
        }
        environment.set("FORKYARD_RUN", &facts.run);
        environment.set("FORKYARD_NAME", &plan.processes[process.index()].name);
        environment.set("FORKYARD_INDEX", launch.index.to_string());
        environment.set("FORKYARD_ATTEMPT", attempt.to_string());
        environment.set("FORKYARD_CPUS", facts.cpus.to_string());
        environment.set("FORKYARD_SOCKET", &facts.socket);
        environment.set("FORKYARD_TOKEN", &facts.tokens[process.index()]);
        for (name, address) in &facts.listening {
            environment.set(name, address);
        }
        environment.put_first_on_path(&facts.bin);
        for (number, wire) in &launch.fds {
            if let Some((pipe, _)) = end_of(wire)
                && *number > 2
            {
                environment.descriptor(&plan.pipes[pipe.index()].name, *number);
            }
        }
        environment
    }

    fn set(&mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) {
        self.variables.insert(name.as_ref().into(), value.as_ref().into());
    }

    fn put_first_on_path(&mut self, folder: &OsStr) {
        let mut path = folder.to_owned();
        path.push(":");
        path.push(self.path());
        self.set("PATH", path);
    }

    /// Where its programs are looked for.
    pub(super) fn path(&self) -> OsString {
        let path = self.variables.get(OsStr::new("PATH"));
        path.map_or_else(|| PATH_DEFAULT.into(), |path| path.as_ref().to_owned())
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
        self.variables.remove(OsStr::new("LISTEN_PID"));
    }

    /// The item of a task, unless the kernel would not take it.
    pub(super) fn item(&mut self, item: &[u8]) {
        if item.len() <= ITEM_BYTES_MAX && !item.contains(&0) {
            self.set("FORKYARD_ITEM", OsStr::from_bytes(item));
        }
    }

    /// As `NAME=value`. A value with a NUL byte cannot be given to a process.
    ///
    /// # Errors
    /// The name of the variable with the NUL byte.
    pub(super) fn into_strings(self) -> Result<Vec<CString>, String> {
        let strings = self.variables.into_iter().map(|(name, value)| {
            // One more, for the NUL byte at the end.
            let mut string = Vec::with_capacity(name.len() + value.len() + 2);
            string.extend_from_slice(name.as_bytes());
            string.push(b'=');
            string.extend_from_slice(value.as_bytes());
            CString::new(string).map_err(|_| name.to_string_lossy().into_owned())
        });
        strings.collect()
    }
}

/// The engine's own environment, without what a run around this one has set, or another supervisor for the engine alone.
fn handed_on() -> Variables {
    let own = std::env::vars_os().filter(|(name, _)| !is_for_the_engine_alone(name.as_bytes()));
    own.map(|(name, value)| (name.into(), value.into())).collect()
}

/// What the process that was started with it must not hand on: by the protocols of systemd, and our own.
fn is_for_the_engine_alone(name: &[u8]) -> bool {
    name.starts_with(b"FORKYARD_") || SUPERVISORS.contains(&name)
}

/// How the address of a socket is told to all processes.
fn told_where(endpoint: &Endpoint) -> (String, String) {
    let name = format!("{}_{}", endpoint.owner, endpoint.socket).to_ascii_uppercase();
    let name = name.replace(['-', '.'], "_");
    (format!("FORKYARD_LISTEN_{name}"), endpoint.address.clone())
}

impl Facts {
    /// The facts of a run, with fresh tokens.
    pub(super) fn new(plan: &Plan, options: &Options, sockets: &Sockets) -> io::Result<Self> {
        let directory = &options.directory;
        let tokens = plan.processes.iter().map(|_| token()).collect::<io::Result<_>>()?;
        Ok(Self {
            run: directory.id().to_owned(),
            socket: directory.socket().as_os_str().to_owned(),
            bin: directory.bin().into_os_string(),
            cpus: options.cpus,
            tokens,
            open_files: options.open_files.before,
            listening: sockets.endpoints().map(|endpoint| told_where(&endpoint)).collect(),
            secrets: Secrets::of(plan).map_err(io::Error::other)?,
            handed_on: handed_on(),
        })
    }
}

/// 128 random bits, in hexadecimal.
fn token() -> io::Result<String> {
    Ok(format!("{:032x}", u128::from_le_bytes(directory::random()?)))
}
