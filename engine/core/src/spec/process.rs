//! Processes: each declaration becomes its instances.

use std::sync::Arc;

use minijinja::Value;

use super::body::words;
use super::decode::{Command, Spanned, decode};
use super::expand::{INSTANCES_MAX, Layers};
use super::expression::Scope;
use super::fields::{Fields, POOL_KEYS};
use super::resolve::Resolver;
use super::values::Text;
use super::{After, Body, Process, edge, template};
use crate::diagnostic::{codes, nearest};
use crate::source::{Entry, Kind, Node};

impl Resolver<'_> {
    /// All instances of a process.
    pub fn process(&mut self, entry: &Entry) {
        if let Some(process) = self.simple(entry) {
            return self.workflow.processes.push(process);
        }
        let Some(layers) = self.layers(&entry.value, "process", &POOL_KEYS) else {
            return;
        };
        self.check_keys(&layers, "process", &POOL_KEYS, "pool");
        self.check_run(entry, &layers);
        let alike = !layers.expressions();
        // Where there are no expressions, nobody asks what they may use.
        let scope = if alike {
            self.scope.clone()
        } else {
            self.named_scope(entry.key.text().to_owned())
        };
        match self.is_wanted(&layers, &scope) {
            Some(true) => {}
            Some(false) => return self.absent(entry, &layers),
            None => return,
        }
        let Some(multiplicity) = self.multiplicity(&layers, &scope) else {
            return;
        };
        let instances = multiplicity.instances();
        if instances.is_empty() {
            return self.absent(entry, &layers);
        }
        if alike {
            self.copies(entry, &layers, &scope, instances);
            return;
        }
        let met = self.findings.met();
        for (index, item) in instances {
            // What is wrong with one instance is as wrong with the others.
            if self.findings.met() > met {
                return;
            }
            let scope = self.instance_scope(entry, &scope, index, item);
            let Some(mut instance) = self.instance(entry, &layers, &scope) else {
                return;
            };
            instance.index = index;
            self.workflow.processes.push(instance);
        }
    }

    /// One that says no more than what is executed, for which names it waits and in which pool it runs, as of a million processes
    /// most do. The first of them goes the long way, and leaves its terms for the others.
    fn simple(&mut self, entry: &Entry) -> Option<Process> {
        if self.defaults.is_some() || entry.value.expressions || self.instances >= INSTANCES_MAX {
            return None;
        }
        let terms = Arc::clone(self.common.as_ref()?);
        let (mut run, mut after, mut pool) = (None, Vec::new(), None);
        for field in entry.value.entries() {
            match field.key.text() {
                "run" => run = Some(command(&field.value)?),
                "after" => after = names(&field.value)?,
                "pool" => pool = Some(Box::new(edge::reference(text_of(&field.value)?, field.value.span))),
                _ => return None,
            }
        }
        let run = words(run?, None, self.findings);
        self.instances += 1;
        Some(Process {
            declared: template::declared(entry, None),
            index: None,
            body: Body { run, after, terms },
            pool,
        })
    }

    /// Instances that differ by nothing but their index.
    fn copies(&mut self, entry: &Entry, layers: &Layers, scope: &Scope, instances: Vec<(Option<u32>, Option<Value>)>) {
        let met = self.findings.met();
        let Some(instance) = self.instance(entry, layers, scope) else {
            return;
        };
        // One with a mistake stands for all of them.
        let count = if self.findings.met() > met { 1 } else { instances.len() };
        let first = self.workflow.processes.len();
        self.workflow.processes.extend(std::iter::repeat_n(instance, count));
        for (process, (index, _)) in self.workflow.processes[first..].iter_mut().zip(instances) {
            process.index = index;
        }
    }

    /// The scope of one instance: its name, its index, and with `each` its item.
    fn instance_scope(&self, entry: &Entry, scope: &Scope, index: Option<u32>, item: Option<Value>) -> Scope {
        let Some(index) = index else {
            return scope.clone();
        };
        let scope = self.named_scope(format!("{}.{index}", entry.key.text()));
        let scope = scope.with("index", index.into());
        match item {
            None => scope,
            Some(item) => scope.with("item", item),
        }
    }

    /// One instance, without its index.
    fn instance(&mut self, entry: &Entry, layers: &Layers, scope: &Scope) -> Option<Process> {
        let merged = self.merged(layers, scope)?;
        let mut fields: Fields = decode(&merged, self.findings)?;
        let body = self.body(&merged, &mut fields);
        let pool = fields.pool.as_ref();
        Some(Process {
            declared: template::declared(entry, fields.description.map(|text| text.0)),
            index: None,
            body,
            pool: pool.map(|pool| Box::new(edge::reference(&pool.value.0, pool.place))),
        })
    }

    /// `run` is what makes a process one; a template or `defaults` may have it.
    fn check_run(&mut self, entry: &Entry, layers: &Layers) {
        let below = [&layers.defaults, &layers.template];
        if layers.own.get("run").is_some() {
            return;
        }
        let inherited = below.into_iter().flatten().any(|layer| layer.get("run").is_some());
        // What was meant to be `run` is told as an unknown key.
        let mistyped = layers
            .own
            .entries()
            .iter()
            .any(|field| nearest(field.key.text(), ["run"]).is_some());
        if !inherited && !mistyped {
            let message = format!(
                "the process `{}` has no `run`",
                crate::source::excerpt(entry.key.text())
            );
            self.findings
                .error(codes::MISSING_KEY, entry.key.span, message)
                .help("say what to execute, as in `run: ./work.sh`, or `use` a template");
        }
    }

    /// Refuses keys that belong to another kind.
    pub fn check_keys(&mut self, layers: &Layers, kind: &str, foreign: &[&str], other: &str) {
        for layer in [Some(&layers.own), layers.template.as_ref()].into_iter().flatten() {
            for entry in layer.entries() {
                let key = entry.key.text();
                if foreign.contains(&key) {
                    let message = format!("`{key}` belongs to a {other}, and this is a {kind}");
                    self.findings.error(codes::MISPLACED_KEY, entry.key.span, message);
                }
            }
        }
    }
}

/// A list of texts as a command; `None` for anything else.
fn command(node: &Node) -> Option<Spanned<Command>> {
    let Kind::Sequence(items) = &node.kind else {
        return None;
    };
    let mut words = Vec::with_capacity(items.len());
    for item in items {
        words.push(Text(text_of(item).filter(|text| !text.contains('\0'))?.to_owned()));
    }
    Some(Spanned {
        value: Command::Words(words),
        place: node.span,
    })
}

/// A list of names alone as waits.
fn names(node: &Node) -> Option<Vec<After>> {
    let Kind::Sequence(items) = &node.kind else {
        return None;
    };
    let mut waits = Vec::with_capacity(items.len());
    for item in items {
        waits.push(edge::wait(text_of(item)?.to_owned(), item.span));
    }
    Some(waits)
}

fn text_of(node: &Node) -> Option<&str> {
    matches!(node.kind, Kind::Scalar(_) if !node.is_null()).then(|| node.text())
}
