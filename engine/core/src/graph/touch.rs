//! What a process or a pool touches, in the order of the language.

use crate::spec::target::{Names, Role, Target};
use crate::spec::{After, Body, Condition, Descriptor, Process, Reference, Stream, Workflow};

/// One reference of a body to something else.
#[derive(Clone, Copy, Debug)]
pub struct Touch<'a> {
    /// The key it is written under.
    pub role: Role,
    /// What it names.
    pub on: &'a Reference,
    /// The condition of `after`, where one is written.
    pub is: Option<Condition>,
    /// The permits of a hold; else 1.
    pub permits: u32,
}

/// A touch with what it stands for.
#[derive(Clone, Debug)]
pub struct Resolved<'a> {
    /// The touch.
    pub touch: Touch<'a>,
    /// `None` when it names nothing, or something that its place does not take.
    pub target: Option<Target>,
}

/// All touches of a workflow. Each name is looked up once, whoever asks and however often.
#[derive(Debug)]
pub struct Touches<'a> {
    all: Vec<Resolved<'a>>,
    /// Where in `all` those of each process end, then of each pool, then of each group.
    ends: Vec<usize>,
    processes: usize,
    pools: usize,
}

impl<'a> Touches<'a> {
    /// The touches of `workflow`, whose names are `names`.
    #[must_use]
    pub fn of(workflow: &'a Workflow, names: &Names<'a>) -> Self {
        let (processes, pools) = (workflow.processes.len(), workflow.pools.len());
        let mut touches = Self {
            all: Vec::with_capacity(processes),
            ends: Vec::with_capacity(processes + pools + workflow.groups.len()),
            processes,
            pools,
        };
        for process in &workflow.processes {
            each_touch_of_process(process, |touch| touches.add(touch, names));
            touches.ends.push(touches.all.len());
        }
        for pool in &workflow.pools {
            each_touch(&pool.body, Role::TaskSource, |touch| touches.add(touch, names));
            touches.ends.push(touches.all.len());
        }
        for group in &workflow.groups {
            for member in &group.members {
                touches.add(plain(Role::Members, member), names);
            }
            touches.ends.push(touches.all.len());
        }
        touches
    }

    fn add(&mut self, touch: Touch<'a>, names: &Names<'a>) {
        let target = names.find(touch.role, touch.on);
        self.all.push(Resolved { touch, target });
    }

    /// Those of all processes, pools and groups.
    #[must_use]
    pub fn all(&self) -> &[Resolved<'a>] {
        &self.all
    }

    /// Those of the process instance at `index` of the workflow, in the order of the language; its waits stand first.
    #[must_use]
    pub fn of_process(&self, index: usize) -> &[Resolved<'a>] {
        self.stretch(index)
    }

    /// Those of the pool at `index` of the workflow, its waits first.
    #[must_use]
    pub fn of_pool(&self, index: usize) -> &[Resolved<'a>] {
        self.stretch(self.processes + index)
    }

    /// The members of the group at `index` of the workflow.
    #[must_use]
    pub fn of_group(&self, index: usize) -> &[Resolved<'a>] {
        self.stretch(self.processes + self.pools + index)
    }

    fn stretch(&self, number: usize) -> &[Resolved<'a>] {
        let start = number.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.all[start..self.ends[number]]
    }
}

/// The waits of `body`, whose touches are `touches`, each with what is waited for; those for nothing are left out.
pub fn waits<'a, 'b>(body: &'a Body, touches: &'b [Resolved<'a>]) -> impl Iterator<Item = (&'a After, &'b Target)> {
    let waits = body.after.iter().zip(touches);
    waits.filter_map(|(after, resolved)| Some((after, resolved.target.as_ref()?)))
}

impl Touch<'_> {
    /// The condition of `after`, the default filled in; `None` for every other touch.
    pub(super) fn condition(&self, target: &Target) -> Option<Condition> {
        if self.role == Role::After {
            self.is.or_else(|| target.default_condition())
        } else {
            None
        }
    }
}

/// The condition as it is written in `after`.
#[must_use]
pub const fn condition_word(condition: Condition) -> &'static str {
    match condition {
        Condition::Started => "started",
        Condition::Ready => "ready",
        Condition::Succeeded => "succeeded",
        Condition::Failed => "failed",
        Condition::Finished => "finished",
        Condition::Set => "set",
        Condition::Drained => "drained",
    }
}

/// All touches of a process, its pool among them.
#[must_use]
pub fn touches_of_process(process: &Process) -> Vec<Touch<'_>> {
    let mut found = Vec::new();
    each_touch_of_process(process, |touch| found.push(touch));
    found
}

/// All touches of a body; `stdin` says as what its `stdin` counts, which differs for a pool.
#[must_use]
pub fn touches(body: &Body, stdin: Role) -> Vec<Touch<'_>> {
    let mut found = Vec::new();
    each_touch(body, stdin, |touch| found.push(touch));
    found
}

fn each_touch_of_process<'a>(process: &'a Process, mut see: impl FnMut(Touch<'a>)) {
    each_touch(&process.body, Role::Stdin, &mut see);
    process.pool.iter().for_each(|pool| see(plain(Role::InPool, pool)));
}

fn each_touch<'a>(body: &'a Body, stdin: Role, mut see: impl FnMut(Touch<'a>)) {
    for after in &body.after {
        see(Touch {
            is: after.is,
            ..plain(Role::After, &after.on)
        });
    }
    for (role, stream) in [
        (stdin, &body.stdin),
        (Role::Stdout, &body.stdout),
        (Role::Stderr, &body.stderr),
    ] {
        channel(role, stream).into_iter().for_each(&mut see);
    }
    for (number, fd) in &body.fds {
        descriptor(*number, fd).into_iter().for_each(&mut see);
    }
    for (role, references) in [
        (Role::Sends, &body.sends),
        (Role::Receives, &body.receives),
        (Role::Connects, &body.connects),
        (Role::Sets, &body.sets),
        (Role::Waits, &body.waits),
    ] {
        for reference in references {
            see(plain(role, reference));
        }
    }
    for (role, holds) in [(Role::Holds, &body.holds), (Role::Acquires, &body.acquires)] {
        for hold in holds {
            see(Touch {
                permits: hold.permits,
                ..plain(role, &hold.on)
            });
        }
    }
}

const fn plain(role: Role, on: &Reference) -> Touch<'_> {
    Touch {
        role,
        on,
        is: None,
        permits: 1,
    }
}

fn channel(role: Role, stream: &Stream) -> Option<Touch<'_>> {
    if let Stream::Channel(on) = stream {
        Some(plain(role, on))
    } else {
        None
    }
}

fn descriptor(number: i32, descriptor: &Descriptor) -> Option<Touch<'_>> {
    match descriptor {
        Descriptor::Send(on) => Some(plain(Role::Send(number), on)),
        Descriptor::Receive(on) => Some(plain(Role::Receive(number), on)),
        Descriptor::End(on) => Some(plain(Role::End(number), on)),
        Descriptor::Stream(stream) => channel(Role::Send(number), stream),
    }
}
