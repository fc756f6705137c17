//! One table of all names of a workflow.

use std::ops::Range;

use indexmap::IndexMap;

use super::{Role, Side, Target};
use crate::diagnostic::{Diagnostic, Related, Severity, codes, seeming};
use crate::id::{EventId, LockId, PipeId, PoolId, ProcessId, QueueId, SemaphoreId};
use crate::source::Span;
use crate::spec::{Declared, Reference, Workflow};

/// All names of a workflow.
#[derive(Debug)]
pub struct Names<'a> {
    workflow: &'a Workflow,
    /// In the order of the sections, and in each of the file.
    table: IndexMap<&'a str, Entry>,
}

#[derive(Debug)]
struct Entry {
    target: Target,
    place: Span,
}

impl<'a> Names<'a> {
    /// The names of `workflow`; of two things with one name, which the reader of the language refuses, the first.
    #[must_use]
    pub fn of(workflow: &'a Workflow) -> Self {
        let mut names = Self {
            workflow,
            table: IndexMap::with_capacity(workflow.processes.len()),
        };
        names.enter_processes();
        let w = workflow;
        names.enter(w.pools.iter().map(|pool| &pool.declared), |i| {
            Target::Pool(PoolId::at(i))
        });
        names.enter(w.queues.iter().map(|queue| &queue.declared), |i| {
            Target::Queue(QueueId::at(i))
        });
        names.enter(w.pipes.iter().map(|pipe| &pipe.declared), |i| {
            Target::Pipe(PipeId::at(i))
        });
        names.enter(w.locks.iter().map(|lock| &lock.declared), |i| {
            Target::Lock(LockId::at(i))
        });
        names.enter(w.semaphores.iter().map(|semaphore| &semaphore.declared), |i| {
            Target::Semaphore(SemaphoreId::at(i))
        });
        names.enter(w.events.iter().map(|event| &event.declared), |i| {
            Target::Event(EventId::at(i))
        });
        names.enter(&w.absent, |_| Target::Absent);
        names.enter(w.templates.iter().map(|template| &template.declared), |_| {
            Target::Template
        });
        names.enter(w.groups.iter().map(|group| &group.declared), |_| Target::Group);
        names
    }

    fn enter_processes(&mut self) {
        for (index, process) in self.workflow.processes.iter().enumerate() {
            let at = ProcessId::at(index).0;
            // Instances of one process stand together.
            if let Some((name, entry)) = self.table.last_mut()
                && *name == process.declared.name
                && let Target::Processes(range) = &mut entry.target
            {
                range.end += 1;
            } else {
                self.enter_one(&process.declared, Target::Processes(at..at + 1));
            }
        }
    }

    fn enter(&mut self, declared: impl IntoIterator<Item = &'a Declared>, target: impl Fn(usize) -> Target) {
        for (index, declared) in declared.into_iter().enumerate() {
            self.enter_one(declared, target(index));
        }
    }

    fn enter_one(&mut self, declared: &'a Declared, target: Target) {
        let place = declared.place;
        self.table.entry(&declared.name).or_insert(Entry { target, place });
    }

    /// How many names there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.table.len()
    }

    /// What `reference` stands for at a place that takes what `role` says, or what is wrong with it.
    pub fn resolve(&self, role: Role, reference: &Reference) -> Result<Target, Diagnostic> {
        let target = self.look_up(&reference.name).ok_or_else(|| self.unknown(reference))?;
        if self.takes(role, &target) {
            Ok(target)
        } else {
            Err(self.wrong_kind(role, reference, &target))
        }
    }

    /// What `reference` stands for at a place that takes what `role` says, if it is right.
    #[must_use]
    pub fn find(&self, role: Role, reference: &Reference) -> Option<Target> {
        self.look_up(&reference.name).filter(|target| self.takes(role, target))
    }

    /// Whether `role` takes `target`. A duplex pipe as a whole is no stream: its ends are.
    fn takes(&self, role: Role, target: &Target) -> bool {
        role.accepts(target) && !(role.is_stream() && self.is_duplex(target))
    }

    /// What `name` stands for, if anything: `count`, `count.2`, `talk.left`.
    #[must_use]
    pub fn look_up(&self, name: &str) -> Option<Target> {
        let Some((base, part)) = name.split_once('.') else {
            return self.table.get(name).map(|entry| entry.target.clone());
        };
        match &self.table.get(base)?.target {
            Target::Processes(range) => self.instance(range, part),
            Target::Absent => index_of(part).map(|_| Target::Absent),
            Target::Pipe(pipe) if self.workflow.pipes[pipe.index()].duplex => match part {
                "left" => Some(Target::End(*pipe, Side::Left)),
                "right" => Some(Target::End(*pipe, Side::Right)),
                _ => None,
            },
            Target::Pool(_)
            | Target::Queue(_)
            | Target::Pipe(_)
            | Target::End(..)
            | Target::Lock(_)
            | Target::Semaphore(_)
            | Target::Event(_)
            | Target::Template
            | Target::Group => None,
        }
    }

    /// The instance with the index `part`; instances stand in the order of their indices.
    fn instance(&self, range: &Range<u32>, part: &str) -> Option<Target> {
        let index = index_of(part)?;
        let instances = &self.workflow.processes[range.start as usize..range.end as usize];
        let found = instances
            .binary_search_by_key(&Some(index), |process| process.index)
            .ok()?;
        let at = range.start + ProcessId::at(found).0;
        Some(Target::Processes(at..at + 1))
    }

    /// Where `name`, or what it is a part of, is declared.
    #[must_use]
    pub fn place(&self, name: &str) -> Option<Span> {
        let base = name.split_once('.').map_or(name, |(base, _)| base);
        self.table.get(base).map(|entry| entry.place)
    }

    fn unknown(&self, reference: &Reference) -> Diagnostic {
        let mut diagnostic = Diagnostic {
            code: codes::UNKNOWN_REFERENCE,
            severity: Severity::Error,
            place: Some(reference.place),
            message: format!("there is no `{}` in this workflow", reference.name),
            help: None,
            related: Vec::new(),
        };
        if let Some((base, part)) = reference.name.split_once('.')
            && let Some(entry) = self.table.get(base)
        {
            diagnostic.message = format!("`{base}` is {} and has no part `{part}`", entry.target.kind());
            diagnostic.help = Some(self.parts_of(base, &entry.target));
            diagnostic.related = self.declaration(base);
        }
        diagnostic
    }

    /// What can stand behind the dot after `base`.
    fn parts_of(&self, base: &str, target: &Target) -> String {
        match target {
            Target::Processes(range) => {
                let index = |at: u32| self.workflow.processes[at as usize].index;
                match (index(range.start), index(range.end - 1)) {
                    (Some(first), Some(last)) => format!("its instances are `{base}.{first}` to `{base}.{last}`"),
                    (None, _) | (_, None) => format!("it has one instance, `{base}`"),
                }
            }
            Target::Pipe(_) if self.is_duplex(target) => {
                format!("its ends are `{base}.left` and `{base}.right`")
            }
            Target::Pipe(_) => format!("only a pipe with `duplex: true` has ends; write `{base}`"),
            Target::Pool(_) => format!("a pool is named as a whole: write `{base}`"),
            Target::Absent
            | Target::Queue(_)
            | Target::End(..)
            | Target::Lock(_)
            | Target::Semaphore(_)
            | Target::Event(_)
            | Target::Template
            | Target::Group => format!("write `{base}`"),
        }
    }

    fn wrong_kind(&self, role: Role, reference: &Reference, target: &Target) -> Diagnostic {
        let name = &reference.name;
        Diagnostic {
            code: codes::WRONG_KIND,
            severity: Severity::Error,
            place: Some(reference.place),
            message: format!("`{name}` is {}; `{role}` takes {}", self.kind(target), role.takes()),
            help: self.instead(role, name, target),
            related: self.declaration(name),
        }
    }

    fn kind(&self, target: &Target) -> String {
        if self.is_duplex(target) && !matches!(target, Target::End(..)) {
            "a duplex pipe".to_owned()
        } else {
            target.kind()
        }
    }

    fn is_duplex(&self, target: &Target) -> bool {
        target
            .pipe()
            .is_some_and(|pipe| self.workflow.pipes[pipe.index()].duplex)
    }

    /// What was probably meant where `target` does not fit.
    fn instead(&self, role: Role, name: &str, target: &Target) -> Option<String> {
        if let Target::Pipe(pipe) = target {
            return self.instead_of_pipe(role, name, *pipe);
        }
        if let Target::End(..) = target {
            return Some(format!(
                "take the end with `connects: [{name}]` or `fds: {{3: {{end: {name}}}}}`"
            ));
        }
        if matches!(target, Target::Template) {
            return Some(format!("a process is made from it with `use: {name}`"));
        }
        None
    }

    fn instead_of_pipe(&self, role: Role, name: &str, pipe: PipeId) -> Option<String> {
        if self.workflow.pipes[pipe.index()].duplex {
            return Some(format!(
                "take an end of it: `connects: [{name}.left]` or `connects: [{name}.right]`"
            ));
        }
        match role {
            Role::End(_) | Role::Connects => Some(format!(
                "give `{name}` `duplex: true`, or wire it with `stdin`, `stdout` or `fds`"
            )),
            Role::Sends => Some(format!("write to the pipe with `stdout: {name}`")),
            Role::Receives => Some(format!("read from the pipe with `stdin: {name}`")),
            Role::After
            | Role::Stdin
            | Role::TaskSource
            | Role::Stdout
            | Role::Stderr
            | Role::Send(_)
            | Role::Receive(_)
            | Role::Holds
            | Role::Acquires
            | Role::Sets
            | Role::Waits
            | Role::InPool
            | Role::Members => None,
        }
    }

    fn declaration(&self, name: &str) -> Vec<Related> {
        let related = |place| Related {
            place,
            message: "declared here".to_owned(),
        };
        self.place(name).map(related).into_iter().collect()
    }

    /// The known name most like `name` and what it is, for "did you mean …?"; looks at every name.
    #[must_use]
    pub fn nearest(&self, name: &str) -> Option<(&'a str, &'static str)> {
        let seeming = seeming(name);
        let name = seeming.as_deref().unwrap_or(name);
        let most = 1 + name.len() / 4;
        self.table
            .iter()
            .filter(|(known, _)| known.len().abs_diff(name.len()) <= most)
            .map(|(known, entry)| (strsim::damerau_levenshtein(name, known), *known, entry))
            .filter(|(distance, ..)| *distance <= most)
            .min_by_key(|(distance, known, _)| (*distance, *known))
            .map(|(_, known, entry)| (known, entry.target.noun()))
    }
}

/// The index written as `part`, if it is written as the engine writes it.
fn index_of(part: &str) -> Option<u32> {
    let index = part.parse().ok()?;
    (u32::to_string(&index) == part).then_some(index)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    const SAMPLE: &str = "{processes: {a: {run: x}, b: {run: x, replicas: 3}, gone: {run: x, if: false}}, pools: {w: {size: 1}},
        queues: {lines: {}}, pipes: {p: {}, talk: {duplex: true}}, locks: {l: {}}, semaphores: {s: {permits: 1}}, events: {e: {}}}";

    #[test]
    fn names_stand_for_what_is_declared() {
        let workflow = sample::workflow(SAMPLE);
        let names = Names::of(&workflow);
        let expected = [
            ("a", Some(Target::Processes(0..1))),
            ("b", Some(Target::Processes(1..4))),
            ("b.0", Some(Target::Processes(1..2))),
            ("b.2", Some(Target::Processes(3..4))),
            ("gone", Some(Target::Absent)),
            ("gone.4", Some(Target::Absent)),
            ("w", Some(Target::Pool(PoolId(0)))),
            ("lines", Some(Target::Queue(QueueId(0)))),
            ("p", Some(Target::Pipe(PipeId(0)))),
            ("talk.left", Some(Target::End(PipeId(1), Side::Left))),
            ("talk.right", Some(Target::End(PipeId(1), Side::Right))),
            ("l", Some(Target::Lock(LockId(0)))),
            ("s", Some(Target::Semaphore(SemaphoreId(0)))),
            ("e", Some(Target::Event(EventId(0)))),
        ];
        for (name, target) in expected {
            assert_eq!(names.look_up(name), target, "{name}");
        }
    }

    #[test]
    fn parts_that_are_not_there_stand_for_nothing() {
        let workflow = sample::workflow(SAMPLE);
        let names = Names::of(&workflow);
        for name in [
            "", ".", "a.0", "b.3", "b.02", "b.-1", "b.", "b.1.1", "p.left", "talk.up", "w.0", "lines.x",
        ] {
            assert_eq!(names.look_up(name), None, "{name}");
        }
    }

    #[test]
    fn the_nearest_name_is_near() {
        let workflow = sample::workflow(SAMPLE);
        let names = Names::of(&workflow);
        assert_eq!(names.nearest("lnies"), Some(("lines", "queue")));
        assert_eq!(names.nearest("tlak"), Some(("talk", "pipe")));
        assert_eq!(names.nearest("elephant"), None);
    }
}
