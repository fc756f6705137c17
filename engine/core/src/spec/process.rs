//! Processes: each declaration becomes its instances.

use minijinja::Value;

use super::body::{body, check_restart, unbuilt};
use super::decode::decode;
use super::expand::Layers;
use super::expression::Scope;
use super::fields::{Fields, POOL_KEYS};
use super::protocol::protocol;
use super::resolve::Resolver;
use super::{Body, Process, edge, template};
use crate::diagnostic::{codes, nearest};
use crate::source::{Entry, Node};

/// What an instance is made from.
struct Instance {
    body: Body,
    fields: Fields,
}

impl Resolver<'_> {
    /// All instances of a process.
    pub fn process(&mut self, entry: &Entry) {
        let Some(layers) = self.layers(&entry.value, "process", &POOL_KEYS) else {
            return;
        };
        self.check_keys(&layers, "process", &POOL_KEYS, "pool");
        self.check_run(entry, &layers);
        let scope = self.named_scope(entry.key.text().to_owned());
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
        let alike = !layers.expressions();
        let met = self.findings.met();
        let mut first: Option<Instance> = None;
        for (index, item) in instances {
            // What is wrong with one instance is as wrong with the others.
            if self.findings.met() > met {
                return;
            }
            let instance = match first.take() {
                Some(instance) if alike => Some(instance),
                _ => {
                    let scope = self.instance_scope(entry, &scope, index, item);
                    self.instance(entry, &layers, &scope)
                }
            };
            let Some(instance) = instance else {
                return;
            };
            self.workflow.processes.push(finished(entry, index, &instance));
            first = Some(instance);
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

    fn instance(&mut self, entry: &Entry, layers: &Layers, scope: &Scope) -> Option<Instance> {
        let merged = self.merged(layers, scope)?;
        let fields: Fields = decode(&merged, self.findings)?;
        check_restart(&fields, self.findings);
        self.note_unbuilt(entry, "process", &merged, &fields);
        let mut body = body(&fields, &self.env, &mut self.environments, self.findings);
        body.protocol = protocol(merged.get("protocol"), self.findings);
        Some(Instance { body, fields })
    }

    /// `run` is what makes a process one; a template or `defaults` may have it.
    fn check_run(&mut self, entry: &Entry, layers: &Layers) {
        let below = [&layers.defaults, &layers.template];
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
            for key in foreign {
                if let Some(entry) = layer.entry(key) {
                    let message = format!("`{key}` belongs to a {other}, and this is a {kind}");
                    self.findings.error(codes::MISPLACED_KEY, entry.key.span, message);
                }
            }
        }
    }

    /// Notes what a process or pool asks for that is not built.
    pub fn note_unbuilt(&mut self, entry: &Entry, kind: &str, node: &Node, fields: &Fields) {
        /// So many notes of one process there can be; those of its other instances are the last ones.
        const KEYS_MAX: usize = 16;
        for (key, place) in unbuilt(node, fields) {
            let what = format!("`{key}` of {kind} `{}`", entry.key.text());
            if self
                .workflow
                .unbuilt
                .iter()
                .rev()
                .take(KEYS_MAX)
                .all(|noted| noted.what != what)
            {
                self.workflow.unbuilt.push(super::Unbuilt { what, place });
            }
        }
    }
}

fn finished(entry: &Entry, index: Option<u32>, instance: &Instance) -> Process {
    let fields = &instance.fields;
    let pool = fields.pool.as_ref();
    Process {
        declared: template::declared(entry, fields.description.as_ref().map(|text| text.0.clone())),
        index,
        body: instance.body.clone(),
        pool: pool.map(|pool| edge::reference(&pool.value.0, pool.place)),
    }
}
