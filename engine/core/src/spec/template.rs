//! Templates: bodies with params, laid under the fields of who uses them.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::decode::{decode, listed};
use super::fields::Fields;
use super::params::Params;
use super::partial::Written;
use super::{Declared, Template};
use crate::diagnostic::{Findings, codes, meant, nearest};
use crate::source::{Entry, Kind, Node, excerpt};

/// The templates of a workflow.
#[derive(Debug, Default)]
pub(crate) struct Templates {
    sources: BTreeMap<String, Source>,
    /// Those that could not be read.
    broken: BTreeSet<String>,
}

/// One template.
#[derive(Debug)]
pub(crate) struct Source {
    declared: Declared,
    pub params: Params,
    /// Its fields, without `params`.
    pub body: Rc<Node>,
    used: bool,
    /// Its place in the file's order.
    order: usize,
}

impl Templates {
    /// Reads the section; each template's form is checked even when nobody uses it.
    pub fn of(section: Option<&Rc<Node>>, findings: &mut Findings) -> Self {
        let mut templates = Self::default();
        for (order, entry) in section.map_or(&[][..], |section| section.entries()).iter().enumerate() {
            let name = entry.key.text().to_owned();
            match source(entry, order, findings) {
                Some(source) => {
                    templates.sources.insert(name, source);
                }
                None => {
                    templates.broken.insert(name);
                }
            }
        }
        templates
    }

    /// The template that `use` names; nothing is said about one that could not be read, for that has been.
    pub fn used_by(&mut self, user: &Node, written: &Written, findings: &mut Findings) -> Option<&Source> {
        let name = user.get("use")?;
        if self.broken.contains(name.text()) {
            return None;
        }
        if !self.sources.contains_key(name.text()) {
            if written.may_have(name.text()) {
                return None;
            }
            let names: Vec<_> = self.sources.keys().map(String::as_str).collect();
            let message = format!("there is no template `{}`", excerpt(name.text()));
            findings.error(codes::UNKNOWN_TEMPLATE, name.span, message).help(
                match nearest(name.text(), names.iter().copied()) {
                    Some(near) => meant(name.text(), near),
                    None if names.is_empty() => "declare it under `templates`".to_owned(),
                    None => format!("the templates are {}", listed(&names)),
                },
            );
            return None;
        }
        let source = self.sources.get_mut(name.text())?;
        source.used = true;
        Some(source)
    }

    /// The params of those that are used which their fields do not mention.
    pub fn unused_params(&self) -> Vec<Declared> {
        let used = self.sources.values().filter(|source| source.used);
        used.flat_map(|source| source.params.unmentioned(&source.body))
            .collect()
    }

    /// What is left of them in the workflow: who used them.
    pub fn finish(self) -> Vec<Template> {
        let mut sources: Vec<_> = self.sources.into_values().collect();
        sources.sort_by_key(|source| source.order);
        let templates = sources.into_iter().map(|source| Template {
            declared: source.declared,
            used: source.used,
        });
        templates.collect()
    }
}

fn source(entry: &Entry, order: usize, findings: &mut Findings) -> Option<Source> {
    if !matches!(entry.value.kind, Kind::Mapping(_)) {
        let message = format!("expected the fields of a template; found {}", entry.value.describe());
        findings.error(codes::BAD_VALUE, entry.value.span, message);
        return None;
    }
    let (params, fields): (Vec<_>, Vec<_>) = entry
        .value
        .entries()
        .iter()
        .cloned()
        .partition(|field| field.key.text() == "params");
    let body = Rc::new(Node::mapping(entry.value.span, fields));
    for key in ["use", "with"] {
        if let Some(nested) = body.entry(key) {
            let message = format!("`{key}` has no place in a template");
            findings
                .error(codes::MISPLACED_KEY, nested.key.span, message)
                .help("a template is used by processes and pools, not by another template");
        }
    }
    if !body.expressions {
        decode::<Fields>(&body, findings);
    }
    let description = body.get("description").map(|text| text.text().to_owned());
    Some(Source {
        declared: declared(entry, description),
        params: Params::of(params.first().map(|params| &params.value), findings),
        body,
        used: false,
        order,
    })
}

/// The head of a declaration.
pub(crate) fn declared(entry: &Entry, description: Option<String>) -> Declared {
    Declared {
        name: entry.key.text().to_owned(),
        place: entry.key.span,
        description,
    }
}

/// What `defaults` may not have.
pub(crate) fn check_defaults(defaults: Option<&Rc<Node>>, findings: &mut Findings) {
    let Some(defaults) = defaults else {
        return;
    };
    for key in ["use", "with", "if", "each", "replicas"] {
        if let Some(entry) = defaults.entry(key) {
            let message = format!("`{key}` has no place in `defaults`");
            findings
                .error(codes::MISPLACED_KEY, entry.key.span, message)
                .help("write it on the processes that need it");
        }
    }
    if !defaults.expressions {
        decode::<Fields>(defaults, findings);
    }
}
