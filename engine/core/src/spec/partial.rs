//! What is left of a workflow with mistakes, so that its structure can be looked at all the same.
//!
//! Whoever has a wrong word in one process and a wrong name in another is told of both at once. What is not known
//! because of a mistake is kept as a [`Doubt`], so that nothing that merely follows from the mistake is told.

use std::collections::{BTreeMap, BTreeSet};

use indexmap::IndexSet;

use super::name::SECTIONS;
use super::{Declared, Workflow, resolve};
use crate::diagnostic::{Findings, codes};
use crate::source::{Kind, Node, Span};

/// A workflow with mistakes, as far as it could be read.
#[derive(Clone, Debug)]
pub struct Partial {
    /// What could be read. What has a mistake is as if the key with the mistake were not there.
    pub workflow: Workflow,
    /// What is in doubt about names, by the name.
    pub doubts: BTreeMap<String, Doubt>,
    /// Whether all names are known; if not, one that seems unknown may be declared after all.
    pub has_all_names: bool,
}

/// What is not known about a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Doubt {
    /// Some of its fields: a pipe may be duplex, a process may have other instances.
    Fields,
    /// Even what it is.
    Kind,
}

impl Partial {
    /// What is left of a workflow in which the declarations `flawed` have mistakes.
    pub(crate) fn of(workflow: Workflow, root: &Node, written: Written, flawed: BTreeSet<String>) -> Self {
        let read: BTreeSet<&str> = declared(&workflow).map(|declared| declared.name.as_str()).collect();
        let unread = section_names(root).filter(|name| !read.contains(name));
        let unread: Vec<String> = unread.map(str::to_owned).collect();
        let mut doubts: BTreeMap<_, _> = flawed.into_iter().map(|name| (name, Doubt::Fields)).collect();
        let mut names = IndexSet::new();
        let twice = section_names(root).filter(|name| !names.insert(*name));
        let obscure = unread.into_iter().chain(written.stray).chain(twice.map(str::to_owned));
        doubts.extend(obscure.map(|name| (name, Doubt::Kind)));
        Self {
            workflow,
            doubts,
            has_all_names: written.is_complete,
        }
    }
}

fn declared(workflow: &Workflow) -> impl Iterator<Item = &Declared> {
    let w = workflow;
    let processes = w.processes.iter().map(|it| &it.declared).chain(&w.absent);
    let pools = w.pools.iter().map(|it| &it.declared);
    let queues = w.queues.iter().map(|it| &it.declared);
    let pipes = w.pipes.iter().map(|it| &it.declared);
    let locks = w.locks.iter().map(|it| &it.declared);
    let semaphores = w.semaphores.iter().map(|it| &it.declared);
    let events = w.events.iter().map(|it| &it.declared);
    let templates = w.templates.iter().map(|it| &it.declared);
    let groups = w.groups.iter().map(|it| &it.declared);
    let channels = queues.chain(pipes).chain(events);
    processes
        .chain(pools)
        .chain(channels)
        .chain(locks)
        .chain(semaphores)
        .chain(templates)
        .chain(groups)
}

/// The names under the sections of a workflow, in the order of the sections.
pub(crate) fn section_names(root: &Node) -> impl Iterator<Item = &str> {
    let sections = SECTIONS.iter().filter_map(|(section, _)| root.get(section));
    sections.flat_map(|section| section.entries().iter().map(|entry| entry.key.text()))
}

/// Names that the files mention in a way that leaves open what they name.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    /// Those under a key that is no section, and those listed where a section should be a map.
    pub stray: BTreeSet<String>,
    /// Whether there are no names but those that are mentioned.
    pub is_complete: bool,
}

impl Written {
    /// Looks for them, after the files have been read with these findings.
    pub fn of(root: &Node, findings: &Findings) -> Self {
        Self {
            stray: stray(root).map(str::to_owned).collect(),
            is_complete: is_complete(root, findings),
        }
    }

    /// Whether something of this name may be declared where it could not be read.
    pub fn may_have(&self, name: &str) -> bool {
        !self.is_complete || self.stray.contains(name)
    }
}

fn stray(root: &Node) -> impl Iterator<Item = &str> {
    let entries = root.entries().iter();
    entries.flat_map(|entry| {
        let key = entry.key.text();
        let is_section = SECTIONS.iter().any(|(section, _)| *section == key);
        let is_known = resolve::KEYS.contains(&key) || key.starts_with("x-");
        let (keys, items) = match &entry.value.kind {
            Kind::Mapping(entries) if !is_known => (entries.as_slice(), &[][..]),
            Kind::Sequence(items) if is_section || !is_known => (&[][..], items.as_slice()),
            Kind::Mapping(_) | Kind::Sequence(_) | Kind::Scalar(_) => (&[][..], &[][..]),
        };
        let keys = keys.iter().map(|entry| entry.key.text());
        keys.chain(items.iter().map(|item| item.text()))
    })
}

/// Whether everything that the files declare is in the tree: no file that should be included is missing, no section was
/// dropped because its key is there twice, and the params are known.
fn is_complete(root: &Node, findings: &Findings) -> bool {
    if root
        .get("params")
        .is_some_and(|params| !matches!(params.kind, Kind::Mapping(_)))
    {
        return false;
    }
    let sections: BTreeSet<Span> = root.entries().iter().map(|entry| entry.key.span).collect();
    findings.iter().all(|found| match found.code {
        codes::INCLUDE | codes::ALIAS => false,
        codes::DUPLICATE_KEY => found.related.iter().all(|first| !sections.contains(&first.place)),
        _ => true,
    })
}
