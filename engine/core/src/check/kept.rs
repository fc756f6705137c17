//! What a process that is to outlive its engine may not have: whatever is lost with the engine.

use super::{Findings, Subject, codes, related};
use crate::source::Span;
use crate::spec::target::Role;
use crate::spec::{Body, Declared, Descriptor, Isolation, Limits, OnEngineLoss, Stream, Way, WhenFull};

/// One thing that is lost with the engine.
struct Loss {
    /// The key, as it is written.
    key: String,
    /// Where it stands, if that is known.
    place: Option<Span>,
    why: &'static str,
    help: &'static str,
}

impl Loss {
    fn new(key: impl Into<String>, why: &'static str, help: &'static str) -> Self {
        Self {
            key: key.into(),
            place: None,
            why,
            help,
        }
    }

    fn at(self, place: Span) -> Self {
        Self {
            place: Some(place),
            ..self
        }
    }
}

/// `on_engine_loss: keep` with what would be taken from the process in the instant in which its engine dies.
pub(super) fn can_outlive_their_engine(subject: &Subject, findings: &mut Findings) {
    for (declared, body, touches) in subject.touching() {
        let (OnEngineLoss::Keep, kept) = body.on_engine_loss else {
            continue;
        };
        let shared = touches.iter().filter_map(|touch| {
            let loss = of_role(touch.touch.role)?;
            Some(loss.at(touch.touch.on.place))
        });
        let mut losses: Vec<Loss> = shared.collect();
        losses.extend(of_streams(body));
        losses.extend(of_log(body));
        losses.extend(of_probes(body));
        losses.extend(of_the_rest(body, subject.workflow.options.isolation));
        for loss in losses {
            tell(declared, kept, &loss, findings);
        }
    }
}

fn tell(declared: &Declared, kept: Span, loss: &Loss, findings: &mut Findings) {
    let message = format!(
        "`{}` is to outlive its engine, and has `{}`: {}",
        declared.name, loss.key, loss.why
    );
    let finding = findings.error(codes::CANNOT_BE_KEPT, loss.place.unwrap_or(kept), message);
    finding.help = Some(loss.help.to_owned());
    if loss.place.is_some_and(|place| place != kept) {
        finding.related.push(related(kept, "it is to be kept here"));
    }
}

const WITHOUT: &str = "let it do without, or write `on_engine_loss: kill`";

/// What the engine keeps for the process: the yard, and the ends of pipes.
fn of_role(role: Role) -> Option<Loss> {
    let why = match role {
        Role::After | Role::Members => return None,
        Role::Stdin
        | Role::TaskSource
        | Role::Stdout
        | Role::Stderr
        | Role::Send(_)
        | Role::Receive(_)
        | Role::End(_)
        | Role::Connects => "queues and pipes end with the engine",
        Role::Sends | Role::Receives | Role::Sets | Role::Waits => "queues and events end with the engine",
        Role::Holds | Role::Acquires => "what it holds is let go when the engine dies",
        Role::InPool => "its slot is free when the engine dies",
    };
    Some(Loss::new(role.to_string(), why, WITHOUT))
}

fn of_streams(body: &Body) -> Vec<Loss> {
    let standard = [
        ("stdin", &body.stdin),
        ("stdout", &body.stdout),
        ("stderr", &body.stderr),
    ];
    let standard = standard.into_iter().map(|(key, stream)| (key.to_owned(), stream));
    let further = body.fds.iter().filter_map(|(number, descriptor)| match descriptor {
        Descriptor::Stream(stream) => Some((format!("fds: {number}"), stream)),
        Descriptor::Send(_) | Descriptor::Receive(_) | Descriptor::End(_) => None,
    });
    let inherited = standard
        .chain(further)
        .filter(|(_, stream)| **stream == Stream::Inherit);
    let mut losses: Vec<Loss> = inherited
        .map(|(key, _)| {
            let why = "whoever is at its other end goes away with the engine";
            Loss::new(format!("{key}: inherit"), why, "let it have its log, or a file")
        })
        .collect();
    if let Some(place) = body.tty {
        losses.push(Loss::new("tty", "its terminal is closed when the engine dies", WITHOUT).at(place));
    }
    losses
}

/// Its output goes straight to the file of its log: the engine, which would do more with it, may be gone.
fn of_log(body: &Body) -> Vec<Loss> {
    const STRAIGHT: &str = "its output goes straight to the file of its log, past the engine";
    let mut losses = Vec::new();
    let log = body.log.as_deref();
    if let Some((_, place)) = log.and_then(|log| log.file.as_ref()) {
        let help = "write `stdout: {append: FILE}` instead";
        losses.push(Loss::new("log.file", STRAIGHT, help).at(*place));
    }
    if log.is_some_and(|log| log.rotate.is_some()) {
        let help = "let the process itself begin new files: `stdout: null`";
        losses.push(Loss::new("log.rotate", STRAIGHT, help));
    }
    if log.is_some_and(|log| log.when_full == WhenFull::Block) {
        losses.push(Loss::new("log.when_full: block", STRAIGHT, WITHOUT));
    }
    let is_logged = body.stdout == Stream::Log || body.stderr == Stream::Log;
    if is_logged && let Some((name, _)) = body.env.iter().find(|(_, value)| value.secret) {
        let why = "its output goes straight to the file of its log, and nobody masks secrets there";
        let help = "write `stdout: null`, or a file of its own, and the same for `stderr`";
        losses.push(Loss::new(format!("env.{name}: {{secret: true}}"), why, help));
    }
    losses
}

fn of_probes(body: &Body) -> Option<Loss> {
    let told = body.live.as_ref().filter(|probe| probe.way == Way::Notify);
    told.map(|_| {
        let why = "only the engine that has started it hears its watchdog";
        Loss::new("live: {notify: true}", why, "look at it by `exec`, `tcp` or `http`")
    })
}

fn of_the_rest(body: &Body, isolation: Isolation) -> Vec<Loss> {
    let mut losses = Vec::new();
    if let Some((limits, place)) = body.limits.as_deref() {
        let Limits {
            memory,
            cpu_thousandths,
            pids,
            ..
        } = limits;
        let by_group = [
            ("memory", memory.is_some()),
            ("cpu", cpu_thousandths.is_some()),
            ("pids", pids.is_some()),
        ];
        for (key, _) in by_group.into_iter().filter(|(_, is_asked)| *is_asked) {
            let why = "it is kept by a control group that ends with the engine";
            losses.push(Loss::new(format!("limits.{key}"), why, WITHOUT).at(*place));
        }
    }
    if let Some(first) = body.sockets.first() {
        let why = "the next engine cannot open them as long as it has them";
        losses.push(Loss::new("sockets", why, "let it open them itself").at(first.place));
    }
    if isolation == Isolation::Pidns {
        let why = "the kernel kills all that is in the namespace";
        let help = "choose another `isolation`, or write `on_engine_loss: kill`";
        losses.push(Loss::new("isolation: pidns", why, help));
    }
    losses
}
