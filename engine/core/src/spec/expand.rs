//! Expansion: `if`, `replicas` and `each` say how often a process is there; each instance has its own scope.

use std::collections::BTreeMap;
use std::rc::Rc;

use minijinja::Value;

use super::decode::decode;
use super::expression::{Scope, from_node};
use super::merge::over_fields;
use super::resolve::Resolver;
use super::template;
use super::values::Whole;
use crate::diagnostic::codes;
use crate::source::{Entry, Kind, Node, Span};

/// How many instances of processes a workflow may have in all.
pub(crate) const INSTANCES_MAX: usize = 1_000_000;

/// How often a process is there.
#[derive(Debug)]
pub(crate) enum Multiplicity {
    /// Just once, without an index.
    One,
    /// So many times.
    Replicas(u32),
    /// Once for each item.
    Each(Vec<Value>),
}

impl Multiplicity {
    /// The instances: the index and, with `each`, the item.
    pub fn instances(self) -> Vec<(Option<u32>, Option<Value>)> {
        match self {
            Self::One => vec![(None, None)],
            Self::Replicas(count) => (0..count).map(|index| (Some(index), None)).collect(),
            Self::Each(items) => {
                let numbered = (0..).zip(items);
                numbered.map(|(index, item)| (Some(index), Some(item))).collect()
            }
        }
    }
}

/// The fields of a process or pool as they are written, in the order in which one is laid over the other.
pub(crate) struct Layers {
    /// `defaults`, as far as they apply.
    pub defaults: Option<Rc<Node>>,
    /// The fields of the template.
    pub template: Option<Rc<Node>>,
    /// The template's name, under which its params are found.
    pub params: Option<super::params::Params>,
    /// Its own.
    pub own: Rc<Node>,
}

impl Layers {
    /// Whether an instance may differ from another.
    pub fn expressions(&self) -> bool {
        let layers = [self.defaults.as_ref(), self.template.as_ref(), Some(&self.own)];
        layers.into_iter().flatten().any(|layer| layer.expressions)
    }

    /// The entry that is in force, and whether it is the template's.
    fn entry(&self, key: &str) -> Option<(&Entry, bool)> {
        let own = self.own.entry(key).map(|entry| (entry, false));
        own.or_else(|| {
            let template = self.template.as_ref()?;
            template.entry(key).map(|entry| (entry, true))
        })
    }
}

impl Resolver<'_> {
    /// The layers of a process or a pool; `None` when it has no fields at all.
    pub fn layers(&mut self, own: &Rc<Node>, kind: &str, foreign: &[&str]) -> Option<Layers> {
        if !matches!(own.kind, Kind::Mapping(_)) {
            let message = format!("expected the fields of a {kind}; found {}", own.describe());
            let code = if own.is_null() {
                codes::MISSING_VALUE
            } else {
                codes::BAD_VALUE
            };
            self.findings.error(code, own.span, message);
            return None;
        }
        self.check_with(own);
        let source = self.templates.used_by(own, self.written, self.findings);
        let (template, params) = match source {
            Some(source) => (Some(Rc::clone(&source.body)), Some(source.params.clone())),
            None => (None, None),
        };
        if own.get("use").is_some() && template.is_none() {
            return None;
        }
        let defaults = self.defaults.as_ref().map(|defaults| {
            let entries = defaults.entries().iter();
            let applying = entries.filter(|entry| !foreign.contains(&entry.key.text()));
            Rc::new(Node::mapping(defaults.span, applying.cloned().collect()))
        });
        Some(Layers {
            defaults,
            template,
            params,
            own: Rc::clone(own),
        })
    }

    fn check_with(&mut self, own: &Node) {
        let Some(with) = own.entry("with") else {
            return;
        };
        if own.get("use").is_none() {
            self.findings
                .error(codes::MISSING_KEY, with.key.span, "`with` without `use`")
                .help("say which template it fills in: `use: name`");
        } else if !with.value.expressions && !matches!(with.value.kind, Kind::Mapping(_)) {
            let message = format!(
                "expected a map of the template's params; found {}",
                with.value.describe()
            );
            self.findings.error(codes::BAD_VALUE, with.value.span, message);
        }
    }

    /// Whether `if` lets it be there; the error is noted.
    pub fn is_wanted(&mut self, layers: &Layers, scope: &Scope) -> Option<bool> {
        match layers.entry("if") {
            None => Some(true),
            Some((entry, from_template)) => {
                let entry = entry.clone();
                let value = self.head_value(&entry, from_template, layers, scope)?;
                decode::<bool>(&value, self.findings)
            }
        }
    }

    /// What `replicas` or `each` say; `None` when that is wrong, which is noted.
    pub fn multiplicity(&mut self, layers: &Layers, scope: &Scope) -> Option<Multiplicity> {
        let (replicas, each) = (layers.entry("replicas"), layers.entry("each"));
        let chosen = match (replicas, each) {
            (None, None) => {
                self.count(1, layers.own.span)?;
                return Some(Multiplicity::One);
            }
            (Some((replicas, replicas_inherited)), Some((each, each_inherited))) => {
                if replicas_inherited == each_inherited {
                    self.findings
                        .error(codes::CONFLICT, each.key.span, "`each` together with `replicas`")
                        .related(replicas.key.span, "`replicas` is here")
                        .help("keep one: `each` makes one process for each item, `replicas` so many alike");
                    return None;
                }
                if each_inherited { replicas } else { each }
            }
            (Some((entry, _)), None) | (None, Some((entry, _))) => entry,
        };
        let chosen = chosen.clone();
        let inherited = layers.own.entry(chosen.key.text()).is_none();
        let value = self.head_value(&chosen, inherited, layers, scope)?;
        if chosen.key.text() == "replicas" {
            let count: u32 = decode::<Whole<0, 1_000_000>>(&value, self.findings)?.get();
            self.count(count as usize, chosen.key.span)?;
            return Some(if count == 1 {
                Multiplicity::One
            } else {
                Multiplicity::Replicas(count)
            });
        }
        self.items(&value).map(Multiplicity::Each)
    }

    /// Evaluates a field that stands above all instances: no item and no index is known yet.
    fn head_value(&mut self, entry: &Entry, inherited: bool, layers: &Layers, scope: &Scope) -> Option<Rc<Node>> {
        if inherited && entry.value.expressions {
            let scope = self.template_scope(layers, scope);
            return self.evaluate(&entry.value, &scope);
        }
        self.evaluate(&entry.value, scope)
    }

    /// The items of `each`: those of a list, or all combinations of a map of lists, the first key changing slowest.
    fn items(&mut self, each: &Node) -> Option<Vec<Value>> {
        match &each.kind {
            Kind::Sequence(items) => {
                self.count(items.len(), each.span)?;
                Some(items.iter().map(|item| from_node(item)).collect())
            }
            Kind::Mapping(axes) if !axes.is_empty() => self.matrix(axes, each.span),
            Kind::Mapping(_) | Kind::Scalar(_) => {
                let message = format!("expected a list, or a map of lists; found {}", each.describe());
                self.findings.error(codes::BAD_VALUE, each.span, message);
                None
            }
        }
    }

    fn matrix(&mut self, axes: &[Entry], place: Span) -> Option<Vec<Value>> {
        let mut lists = Vec::new();
        for axis in axes {
            let Kind::Sequence(items) = &axis.value.kind else {
                let message = format!("expected a list; found {}", axis.value.describe());
                self.findings
                    .error(codes::BAD_VALUE, axis.value.span, message)
                    .help("each key of a matrix has the list of its values");
                return None;
            };
            let values: Vec<_> = items.iter().map(|item| from_node(item)).collect();
            lists.push((axis.key.text(), values));
        }
        let sizes = lists.iter().map(|(_, values)| values.len());
        self.count(sizes.fold(1, usize::saturating_mul), place)?;
        let mut combinations: Vec<BTreeMap<String, Value>> = vec![BTreeMap::new()];
        for (key, values) in lists {
            let longer = combinations.iter().flat_map(|combination| {
                values.iter().map(|value| {
                    let mut longer = combination.clone();
                    longer.insert(key.to_owned(), value.clone());
                    longer
                })
            });
            combinations = longer.collect();
        }
        Some(combinations.into_iter().map(Value::from).collect())
    }

    /// Counts instances; `None` when there are too many.
    fn count(&mut self, more: usize, place: Span) -> Option<()> {
        if self.instances.saturating_add(more) > INSTANCES_MAX {
            let message = format!("the workflow has more than {INSTANCES_MAX} processes in all");
            self.findings.error(codes::TOO_MANY_INSTANCES, place, message);
            return None;
        }
        self.instances += more;
        Some(())
    }

    /// The fields of one instance, evaluated, one layer over the other.
    pub fn merged(&mut self, layers: &Layers, scope: &Scope) -> Option<Rc<Node>> {
        let own = self.evaluate(&layers.own, scope)?;
        let below = match &layers.defaults {
            None => None,
            Some(defaults) => self.evaluate(defaults, scope),
        };
        let template = match &layers.template {
            None => None,
            Some(template) => {
                let scope = self.filled_scope(layers, &own, scope)?;
                self.evaluate(template, &scope)
            }
        };
        let layers = [below, template].into_iter().flatten();
        let below = layers.reduce(|below, above| Rc::new(over_fields(&below, &above)));
        Some(match below {
            None => own,
            Some(below) => Rc::new(over_fields(&below, &own)),
        })
    }

    /// The scope of a template, `with` evaluated: its params hide those of the workflow. `None`: one is missing.
    fn filled_scope(&mut self, layers: &Layers, own: &Node, scope: &Scope) -> Option<Scope> {
        let Some(params) = &layers.params else {
            return Some(scope.clone());
        };
        let given = |node: &Node| node.get("with").map_or(0, |with| with.entries().len());
        let mut unheard = crate::diagnostic::Findings::default();
        // What of `with` could not be evaluated has been noted; that it is missing now is no further mistake.
        let complete = given(own) == given(&layers.own);
        let findings = if complete { &mut *self.findings } else { &mut unheard };
        let filled = params.filled(own.entry("with"), own, findings)?;
        let mut values = self.params.clone();
        values.extend(filled);
        Some(scope.with("params", Value::from(values)))
    }

    /// The scope of a template where no item is known yet: what `with` takes from the item is left out, without a
    /// word, for the instances will have it.
    fn template_scope(&mut self, layers: &Layers, scope: &Scope) -> Scope {
        let mut unheard = crate::diagnostic::Findings::default();
        let own = self
            .evaluator
            .evaluate(&layers.own, scope, self.environments.files, &mut unheard);
        let (Some(own), Some(params)) = (own, &layers.params) else {
            return scope.clone();
        };
        let mut values = self.params.clone();
        let given = params.filled(own.entry("with"), &own, &mut unheard);
        values.extend(given.into_iter().flatten());
        scope.with("params", Value::from(values))
    }

    /// Evaluates the expressions of a node.
    pub fn evaluate(&mut self, node: &Rc<Node>, scope: &Scope) -> Option<Rc<Node>> {
        self.evaluator
            .evaluate(node, scope, self.environments.files, self.findings)
    }

    /// The head of the declaration, its description evaluated.
    pub fn absent(&mut self, entry: &Entry, layers: &Layers) {
        let description = layers.own.get("description").map(|text| text.text().to_owned());
        self.workflow.absent.push(template::declared(entry, description));
    }
}
