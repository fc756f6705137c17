//! Resolves the tree of a workflow: from the keys at the top down to every node.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use minijinja::Value;
use serde::de::DeserializeOwned;

use super::decode::{decode, listed};
use super::environment::{EnvFields, Environments};
use super::expression::{Evaluator, Scope, to_node};
use super::load::{Tree, keys_help};
use super::mention;
use super::options::OptionFields;
use super::params::Params;
use super::partial::{Written, section_names};
use super::template::{Templates, check_defaults};
use super::values::Bytes;
use super::{
    Declared, EnvValue, Loader, Request, Terms, Unbuilt, Workflow, channel, group, name, options, quoting, resource,
};
use crate::diagnostic::{Findings, codes, meant, nearest};
use crate::source::{Entry, Files, Held, Kind, Node, Plain, Span, excerpt};

/// The keys of a workflow.
pub(crate) const KEYS: [&str; 18] = [
    "forkyard",
    "name",
    "description",
    "params",
    "env",
    "env_file",
    "include",
    "defaults",
    "options",
    "templates",
    "processes",
    "pools",
    "queues",
    "pipes",
    "locks",
    "semaphores",
    "events",
    "groups",
];

/// The version of the language that is read here.
const VERSION: i128 = 1;

/// What resolving a workflow needs.
pub(crate) struct Resolver<'a> {
    pub findings: &'a mut Findings,
    pub evaluator: Evaluator,
    pub environments: Environments<'a>,
    /// The params of the workflow.
    pub params: BTreeMap<String, Value>,
    /// What every expression may use.
    pub scope: Scope,
    /// The environment of the workflow.
    pub env: BTreeMap<String, EnvValue>,
    /// The terms of all who say nothing of theirs.
    pub common: Option<Arc<Terms>>,
    pub cpus: u32,
    pub defaults: Option<Rc<Node>>,
    pub templates: Templates,
    /// How many instances there are so far, in all.
    pub instances: usize,
    pub workflow: Workflow,
    /// Names that may be declared where they could not be read.
    pub written: &'a Written,
    /// The names of declarations with mistakes.
    pub flawed: BTreeSet<String>,
}

/// A declaration whose name and place are known.
pub(crate) struct Named {
    pub name: String,
    pub place: Span,
    /// Its fields, evaluated.
    pub node: Rc<Node>,
}

impl Named {
    /// Its head.
    pub fn declared(self, description: Option<String>) -> Declared {
        Declared {
            name: self.name,
            place: self.place,
            description,
        }
    }

    /// One of its keys whose behaviour is not built.
    pub fn unbuilt(&self, key: &str, kind: &str) -> Unbuilt {
        Unbuilt {
            what: format!("`{key}` of {kind} `{}`", self.name),
            place: self.node.entry(key).map_or(self.place, |entry| entry.key.span),
        }
    }
}

/// Resolves a workflow. Its processes are taken out of the tree one by one, so that of a million of them not all are there
/// twice; their names stay. When something was found, what comes out is only a part of it, in which the declarations of
/// the names that come with it have mistakes.
pub(crate) fn workflow(
    tree: &mut Tree,
    written: &Written,
    request: &Request<'_>,
    loader: &mut dyn Loader,
    files: &Files,
    findings: &mut Findings,
) -> (Workflow, BTreeSet<String>) {
    let root = &tree.root;
    check_version(root, true, findings);
    check_keys(root, findings);
    name::check_all(root, findings);
    let scope = Scope::of(BTreeMap::from([
        ("env".to_owned(), Value::from(request.environment.clone())),
        ("cpus".to_owned(), Value::from(request.cpus)),
    ]));
    let stem = request.paths.first().map_or("", |path| stem_of(path));
    let mut resolver = Resolver {
        findings,
        evaluator: Evaluator::new(written.clone()),
        environments: Environments {
            loader,
            files,
            read: BTreeMap::new(),
        },
        params: BTreeMap::new(),
        scope,
        env: BTreeMap::new(),
        common: None,
        cpus: request.cpus,
        defaults: root.get("defaults").map(Rc::clone),
        templates: Templates::default(),
        instances: 0,
        workflow: empty(stem),
        written,
        flawed: BTreeSet::new(),
    };
    resolver.params(root, request.params);
    resolver.head(root);
    resolver.channels(root);
    resolver.work(tree);
    (resolver.workflow, resolver.flawed)
}

/// The name of a file without its folder and its ending.
fn stem_of(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.rsplit_once('.')
        .map_or(name, |(stem, _)| if stem.is_empty() { name } else { stem })
}

fn empty(name: &str) -> Workflow {
    Workflow {
        name: name.to_owned(),
        description: None,
        options: super::Options::default(),
        params: BTreeMap::new(),
        processes: Vec::new(),
        pools: Vec::new(),
        queues: Vec::new(),
        pipes: Vec::new(),
        locks: Vec::new(),
        semaphores: Vec::new(),
        events: Vec::new(),
        templates: Vec::new(),
        groups: Vec::new(),
        absent: Vec::new(),
        unused_params: Vec::new(),
        clear_secrets: Vec::new(),
        unquoted: Vec::new(),
        unbuilt: Vec::new(),
    }
}

/// Checks that a file is written for this version of the language; only an included one need not say so.
pub(crate) fn check_version(root: &Node, required: bool, findings: &mut Findings) {
    let Some(version) = root.get("forkyard") else {
        if required {
            let start = Span {
                end: root.span.start,
                ..root.span
            };
            findings
                .error(codes::VERSION, start, "the version of the language is missing")
                .help("add `forkyard: 1`");
        }
        return;
    };
    if version.plain() != Some(Plain::Whole(VERSION)) {
        let message = match version.plain() {
            Some(Plain::Whole(number)) => {
                format!("written for language version {number}; this forkyard reads version {VERSION}")
            }
            _ => format!(
                "expected the version of the language, {VERSION}; found {}",
                version.describe()
            ),
        };
        findings
            .error(codes::VERSION, version.span, message)
            .help("write `forkyard: 1`");
    }
}

fn check_keys(root: &Node, findings: &mut Findings) {
    for entry in root.entries() {
        let key = entry.key.text();
        if KEYS.contains(&key) || key.starts_with("x-") {
            continue;
        }
        let help = match nearest(key, KEYS) {
            Some(near) => meant(key, near),
            None => keys_help(),
        };
        let message = format!("unknown key `{}`", excerpt(key));
        findings.error(codes::UNKNOWN_KEY, entry.key.span, message).help(help);
    }
}

impl Resolver<'_> {
    /// Reads something of a declaration, and remembers when a mistake was met in it.
    pub fn of_declaration<T>(&mut self, name: &str, read: impl FnOnce(&mut Self) -> T) -> T {
        let met = self.findings.met();
        let result = read(self);
        if self.findings.met() > met {
            self.flawed.insert(name.to_owned());
        }
        result
    }

    fn params(&mut self, root: &Node, given: &[(String, String)]) {
        let met = self.findings.met();
        let scope = self.scope.clone();
        let node = root.get("params").and_then(|node| self.evaluate(node, &scope));
        let params = Params::of(node.as_ref(), self.findings);
        self.params = params.given(given, self.findings);
        if self.findings.met() > met {
            // A param with another value could change anything.
            self.flawed.extend(section_names(root).map(str::to_owned));
        }
        for (name, value) in &self.params {
            let shown = match to_node(value, Span::default()) {
                Ok(node) if matches!(node.kind, Kind::Scalar(_)) => node.text().to_owned(),
                _ => value.to_string(),
            };
            self.workflow.params.insert(name.clone(), shown);
        }
        self.scope = self.scope.with("params", Value::from(self.params.clone()));
    }

    /// The scope of a process or pool, which knows its name.
    pub fn named_scope(&self, name: String) -> Scope {
        self.scope.with("name", Value::from(name))
    }

    fn head(&mut self, root: &Node) {
        if let Some(name) = self.top::<Bytes>(root, "name") {
            self.workflow.name = name.0;
        }
        self.workflow.description = self.top::<Bytes>(root, "description").map(|text| text.0);
        if let Some(fields) = self.top::<OptionFields>(root, "options") {
            self.workflow.options = options::options(&fields);
        }
        let files = self.top(root, "env_file");
        let env = self.top::<EnvFields>(root, "env");
        self.environments
            .add(files.as_ref(), env.as_ref(), &mut self.env, self.findings);
        check_defaults(self.defaults.as_ref(), self.findings);
        self.templates = Templates::of(root.get("templates"), self.findings);
    }

    /// A key at the top, evaluated and decoded.
    fn top<T: DeserializeOwned>(&mut self, root: &Node, key: &str) -> Option<T> {
        let scope = self.scope.clone();
        let node = self.evaluate(root.get(key)?, &scope)?;
        decode(&node, self.findings)
    }

    fn channels(&mut self, root: &Node) {
        for (named, fields) in self.declarations(root, "queues") {
            let queue = channel::queue(named, fields, &mut self.workflow.unbuilt);
            self.workflow.queues.push(queue);
        }
        for (named, fields) in self.declarations(root, "pipes") {
            self.workflow.pipes.push(channel::pipe(named, fields));
        }
        for (named, fields) in self.declarations(root, "locks") {
            self.workflow.locks.push(resource::lock(named, fields));
        }
        for (named, fields) in self.declarations(root, "semaphores") {
            // One with a mistake may only seem to have no `permits`.
            if !self.flawed.contains(&named.name) {
                let name = named.name.clone();
                self.of_declaration(&name, |resolver| resource::check_permits(&named, resolver.findings));
            }
            self.workflow.semaphores.push(resource::semaphore(named, fields));
        }
        for (named, fields) in self.declarations(root, "events") {
            self.workflow.events.push(resource::event(named, fields));
        }
    }

    /// The entries of a section whose fields all have defaults: one without any fields may be left empty.
    fn declarations<T: DeserializeOwned + Default>(&mut self, root: &Node, section: &str) -> Vec<(Named, T)> {
        let scope = self.scope.clone();
        let mut declarations = Vec::new();
        for entry in self.section(root, section) {
            let declaration = self.of_declaration(entry.key.text(), |resolver| {
                let node = resolver.evaluate(&entry.value, &scope)?;
                let fields = if node.is_null() {
                    T::default()
                } else {
                    decode(&node, resolver.findings)?
                };
                let named = Named {
                    name: entry.key.text().to_owned(),
                    place: entry.key.span,
                    node,
                };
                Some((named, fields))
            });
            declarations.extend(declaration);
        }
        declarations
    }

    /// The entries of a section, which is a map.
    fn section<'n>(&mut self, root: &'n Node, section: &str) -> &'n [Entry] {
        let Some(node) = root.get(section) else {
            return &[];
        };
        if !matches!(node.kind, Kind::Mapping(_)) {
            let code = if node.is_null() {
                codes::MISSING_VALUE
            } else {
                codes::BAD_VALUE
            };
            let message = format!("expected {section} by their names; found {}", node.describe());
            self.findings.error(code, node.span, message);
        }
        node.entries()
    }

    /// What is looked for in the whole tree, as it is written.
    fn look_through(&mut self, root: &Node) {
        let params = root.get("params").map_or(&[][..], |params| params.entries());
        self.workflow.unused_params = mention::unmentioned(params, root);
        self.workflow.clear_secrets = mention::secrets_in_clear(root);
        self.workflow.unquoted = quoting::unquoted(root, &self.params, self.environments.files);
    }

    fn processes(&mut self, tree: &mut Tree) {
        let count = self.section(&tree.root, "processes").len();
        self.workflow.processes.reserve(count);
        match tree.held.take() {
            Some(held) => self.processes_held(&tree.root, held),
            None => self.processes_of(&mut tree.root, count),
        }
    }

    /// Resolves each process that is not in the tree.
    fn processes_held(&mut self, root: &Node, held: Held) {
        let names = root.get("processes").map_or(&[][..], |section| section.entries());
        for (name, value) in names.iter().zip(held) {
            let key = Rc::clone(&name.key);
            let entry = Entry { key, value };
            let in_clear = mention::secrets_in(&entry.value);
            self.workflow.clear_secrets.extend(in_clear);
            self.of_declaration(entry.key.text(), |resolver| resolver.process(&entry));
        }
        self.workflow.clear_secrets.sort_by_key(|variable| variable.place);
    }

    /// Resolves each process of the tree, and takes it out.
    fn processes_of(&mut self, root: &mut Rc<Node>, count: usize) {
        let Some(at) = root.entries().iter().position(|entry| entry.key.text() == "processes") else {
            return;
        };
        let nothing = Rc::new(Node::mapping(Span::default(), Vec::new()));
        let mut replace = |index, value| Rc::get_mut(root)?.replace(index, value);
        // Where something else has the tree too, it stays as it is.
        let section = replace(at, Rc::clone(&nothing));
        let is_alone = section.is_some();
        let mut section = section.unwrap_or_else(|| Rc::clone(&root.entries()[at].value));
        for index in 0..count {
            let entry = section.entries()[index].clone();
            if let Some(section) = Rc::get_mut(&mut section) {
                section.replace(index, Rc::clone(&nothing));
            }
            self.of_declaration(entry.key.text(), |resolver| resolver.process(&entry));
        }
        if is_alone && let Some(root) = Rc::get_mut(root) {
            root.replace(at, section);
        }
    }

    fn work(&mut self, tree: &mut Tree) {
        self.section(&tree.root, "templates");
        self.look_through(&tree.root);
        self.processes(tree);
        let root = &tree.root;
        for entry in self.section(root, "pools") {
            self.of_declaration(entry.key.text(), |resolver| resolver.pool(entry));
        }
        for (named, fields) in self.declarations(root, "groups") {
            self.workflow.groups.push(group::group(named, fields));
        }
        self.workflow.unused_params.extend(self.templates.unused_params());
        self.workflow.templates = std::mem::take(&mut self.templates).finish();
        let something = ["processes", "pools"].iter().any(|section| {
            root.get(section)
                .is_some_and(|node| !matches!(&node.kind, Kind::Mapping(entries) if entries.is_empty()))
        });
        if !something {
            let missing = ["processes", "pools"];
            let message = format!(
                "there is nothing to run: no {}",
                listed(&missing).replace(" and ", " and no ")
            );
            self.findings
                .error(codes::MISSING_KEY, root.span, message)
                .help("declare a process, as in `processes: {hello: {run: echo hello}}`");
        }
    }
}
