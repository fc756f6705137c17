//! What a process and a pool's worker have in common: fields become a [`Body`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::decode::{Command, Spanned, listed};
use super::environment::Environments;
use super::fields::{Fields, LogFields, RotateFields, StopFields};
use super::protocol::protocol;
use super::resolve::Resolver;
use super::stream::{Standard, descriptors};
use super::values::Whole;
use super::{Body, EnvValue, Log, Program, Rotate, Stop, Terms, edge, limits, ready, restart, sockets};
use crate::diagnostic::{Findings, codes, meant, nearest};
use crate::source::{Node, excerpt};

/// How long a process has to stop before it is killed, where it does not say so itself.
const GRACE: Duration = Duration::from_secs(10);
/// SIGTERM.
const SIGNAL_TERM: i32 = 15;

/// Shells by name, with how they are given a script.
const SHELLS: [(&str, &str); 11] = [
    ("sh", "-c"),
    ("bash", "-c"),
    ("zsh", "-c"),
    ("dash", "-c"),
    ("ksh", "-c"),
    ("fish", "-c"),
    ("python", "-c"),
    ("python3", "-c"),
    ("node", "-e"),
    ("perl", "-e"),
    ("ruby", "-e"),
];

/// Keys of which nothing goes into [`Terms`].
const OTHER_KEYS: [&str; 10] = [
    "run",
    "after",
    "shell",
    "description",
    "pool",
    "use",
    "with",
    "if",
    "replicas",
    "each",
];

impl Resolver<'_> {
    /// Makes the body of a process or a pool from its fields, decoded from `node`; `run` and `after` are taken out of them.
    pub fn body(&mut self, node: &Node, fields: &mut Fields) -> Body {
        let run = program(fields, self.findings);
        let after = edge::afters(fields.after.take(), self.findings);
        let terms = self.terms(node, fields);
        Body { run, after, terms }
    }

    /// Those who say nothing of their terms share what is then so.
    fn terms(&mut self, node: &Node, fields: &Fields) -> Arc<Terms> {
        let mut keys = node.entries().iter().map(|entry| entry.key.text());
        if keys.any(|key| !OTHER_KEYS.contains(&key)) {
            let mut terms = terms(fields, &self.env, &mut self.environments, self.findings);
            terms.protocol = protocol(node.get("protocol"), self.findings).map(Box::new);
            return Arc::new(terms);
        }
        let common = self
            .common
            .get_or_insert_with(|| Arc::new(terms(fields, &self.env, &mut self.environments, self.findings)));
        Arc::clone(common)
    }
}

fn terms(
    fields: &Fields,
    workflow_env: &BTreeMap<String, EnvValue>,
    environments: &mut Environments<'_>,
    findings: &mut Findings,
) -> Terms {
    let mut env = workflow_env.clone();
    environments.add(fields.env_file.as_ref(), fields.env.as_ref(), &mut env, findings);
    let placed = |text: &Spanned<super::values::Text>| Box::new((text.value.0.clone(), text.place));
    Terms {
        cwd: fields.cwd.as_ref().map(placed),
        env,
        clear_env: fields.clear_env.unwrap_or(false),
        user: fields.user.as_ref().map(placed),
        group: fields.group.as_ref().map(placed),
        limits: fields
            .limits
            .as_ref()
            .map(|fields| Box::new((limits::limits(&fields.value), fields.place))),
        cpus: fields.cpus.as_ref().map(limits::cpus).unwrap_or_default(),
        tty: fields.tty.as_ref().filter(|tty| tty.value).map(|tty| tty.place),
        umask: fields.umask.as_ref().map(|umask| umask.0),
        nice: fields.nice.map(super::values::Whole::get),
        stdin: Standard::Stdin.stream(fields, findings),
        stdout: Standard::Stdout.stream(fields, findings),
        stderr: Standard::Stderr.stream(fields, findings),
        fds: descriptors(fields.fds.as_ref(), findings),
        sends: edge::references(fields.sends.as_ref()),
        receives: edge::references(fields.receives.as_ref()),
        connects: edge::references(fields.connects.as_ref()),
        holds: edge::holds(fields.holds.as_ref()),
        acquires: edge::holds(fields.acquires.as_ref()),
        sets: edge::references(fields.sets.as_ref()),
        waits: edge::references(fields.waits.as_ref()),
        // It is read from its node.
        protocol: None,
        daemon: fields.daemon.unwrap_or(false),
        restart: restart::restart(fields, findings),
        ready: ready::ready(fields, findings).map(Box::new),
        live: ready::live(fields, findings).map(Box::new),
        sockets: sockets::sockets(fields, findings),
        timeout: fields.timeout.as_ref().map(|timeout| (timeout.value.0, timeout.place)),
        stop: stop(fields.stop.as_deref(), findings),
        success: fields.success.as_ref().map(|ends| Box::new(restart::endings(ends))),
        on_failure: fields.on_failure,
        on_engine_loss: fields
            .on_engine_loss
            .as_ref()
            .map_or_else(Default::default, |on_loss| (on_loss.value, on_loss.place)),
        log: fields.log.as_ref().map(|fields| Box::new(log(fields))),
    }
}

fn log(fields: &LogFields) -> Log {
    let file = fields.file.as_ref();
    let prefix = fields.prefix.as_ref();
    Log {
        file: file.map(|file| (file.value.0.clone(), file.place)),
        prefix: prefix.map(|prefix| prefix.0.clone()),
        rotate: fields.rotate.as_ref().map(rotate),
        when_full: fields.when_full.unwrap_or_default(),
    }
}

/// How many old files are kept, where it is not said.
const KEEP_DEFAULT: u32 = 5;

fn rotate(fields: &RotateFields) -> Rotate {
    Rotate {
        size: fields.size.as_ref().map(|size| size.0),
        age: fields.age.as_ref().map(|age| age.0),
        keep: fields.keep.map_or(KEEP_DEFAULT, Whole::get),
    }
}

fn stop(fields: Option<&StopFields>, findings: &mut Findings) -> Stop {
    let command = fields.and_then(|fields| fields.command.as_ref());
    Stop {
        signal: fields
            .and_then(|fields| fields.signal.as_ref())
            .map_or(SIGNAL_TERM, |signal| signal.0),
        grace: fields
            .and_then(|fields| fields.grace.as_ref())
            .map_or(GRACE, |grace| grace.0),
        command: command
            .and_then(|command| words(command.clone(), None, findings))
            .map(Box::new),
    }
}

fn program(fields: &mut Fields, findings: &mut Findings) -> Option<Program> {
    if let (Some(shell), Some(run)) = (&fields.shell, &fields.run)
        && matches!(run.value, Command::Words(_))
    {
        findings
            .error(codes::CONFLICT, shell.place, "`shell` with a `run` that is a list")
            .related(run.place, "a list is executed as it is")
            .help("remove `shell`, or write `run` as one text");
    }
    words(fields.run.take()?, fields.shell.as_ref(), findings)
}

/// The argument vector of a command.
pub(crate) fn words(
    command: Spanned<Command>,
    shell: Option<&Spanned<Command>>,
    findings: &mut Findings,
) -> Option<Program> {
    let place = command.place;
    let (argv, script) = match command.value {
        Command::Words(words) => (words.into_iter().map(|word| word.0).collect(), false),
        Command::Script(text) => {
            let mut argv = interpreter(shell, findings)?;
            argv.push(text);
            (argv, true)
        }
    };
    let argv: Vec<String> = argv;
    let blank = match (argv.as_slice(), script) {
        ([], _) => true,
        ([.., last], true) => last.trim().is_empty(),
        ([first, ..], false) => first.is_empty(),
    };
    if blank {
        findings.error(codes::BAD_VALUE, place, "there is nothing to execute");
        return None;
    }
    if argv.iter().any(|word| word.contains('\0')) {
        findings.error(codes::BAD_VALUE, place, "a command cannot contain a NUL character");
        return None;
    }
    Some(Program { argv, script, place })
}

/// How a script is executed: the words before it.
fn interpreter(shell: Option<&Spanned<Command>>, findings: &mut Findings) -> Option<Vec<String>> {
    let Some(Spanned { value, place }) = shell else {
        return Some(vec!["sh".to_owned(), "-c".to_owned()]);
    };
    let name = match value {
        Command::Words(words) if words.is_empty() => {
            findings.error(codes::BAD_VALUE, *place, "`shell` is an empty list");
            return None;
        }
        Command::Words(words) => return Some(words.iter().map(|word| word.0.clone()).collect()),
        Command::Script(name) => name,
    };
    if let Some((shell, option)) = SHELLS.iter().find(|(shell, _)| shell == name) {
        return Some(vec![(*shell).to_owned(), (*option).to_owned()]);
    }
    let names = SHELLS.map(|(shell, _)| shell);
    let help = match nearest(name, names) {
        Some(near) => meant(name, near),
        None => format!(
            "known are {}; any other is written as a list, such as `[lua, -e]`",
            listed(&names)
        ),
    };
    let message = format!("`{}` is no shell known here", excerpt(name));
    findings.error(codes::BAD_VALUE, *place, message).help(help);
    None
}
