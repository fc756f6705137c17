//! Pools: workers with tasks, or just slots.

use std::rc::Rc;
use std::time::Duration;

use super::decode::{Many, decode};
use super::fields::{Fields, PROCESS_KEYS, SLOT_KEYS};
use super::resolve::Resolver;
use super::stream::Standard;
use super::values::Text;
use super::{Pool, Stream, Tasks, WorkerKind, template};
use crate::diagnostic::{Findings, codes};
use crate::source::{Entry, Kind, Node, Plain, excerpt};

impl Resolver<'_> {
    /// One pool.
    pub fn pool(&mut self, entry: &Entry) {
        let Some(mut layers) = self.layers(&entry.value, "pool", &PROCESS_KEYS) else {
            return;
        };
        self.check_keys(&layers, "pool", &PROCESS_KEYS, "process");
        let below = layers.template.as_ref();
        let works = layers.own.get("run").is_some() || below.is_some_and(|layer| layer.get("run").is_some());
        if works {
            // The tasks of a pool arrive on its stdin, whatever the default of processes is.
            layers.defaults = layers.defaults.map(|defaults| Rc::new(without(&defaults, "stdin")));
        } else {
            self.check_slots(entry, &layers.own);
            layers.defaults = None;
        }
        let scope = self.named_scope(entry.key.text().to_owned());
        match self.is_wanted(&layers, &scope) {
            Some(true) => {}
            Some(false) => return self.absent(entry, &layers),
            None => return,
        }
        let met = self.findings.met();
        let Some(merged) = self.merged(&layers, &scope) else {
            return;
        };
        let is_evaluated = self.findings.met() == met;
        let Some(mut fields) = decode::<Fields>(&merged, self.findings) else {
            return;
        };
        // What could not be evaluated only seems to be missing.
        if works && is_evaluated {
            check_source(entry, &merged, &fields, self.findings);
        }
        let tasks = fields
            .tasks
            .as_ref()
            .and_then(|_| merged.get("tasks"))
            .and_then(|tasks| read_tasks(tasks, self.findings));
        if fields.worker == Some(WorkerKind::Persistent) {
            check_lines(merged.get("tasks"), self.findings);
        }
        let size = fields
            .size
            .map_or(self.cpus.clamp(1, 100_000), super::values::Whole::get);
        let body = self.body(&merged, &mut fields);
        self.workflow.pools.push(Pool {
            declared: template::declared(entry, fields.description.map(|text| text.0)),
            size,
            body,
            tasks,
            worker: fields.worker.unwrap_or_default(),
            dispatch: fields.dispatch.unwrap_or_default(),
            order: fields.order.unwrap_or_default(),
            recycle: fields.recycle.map(super::values::Whole::get),
            retry_max: fields
                .retry
                .as_ref()
                .and_then(|retry| retry.max)
                .map_or(0, super::values::Whole::get),
            retry_backoff: fields
                .retry
                .and_then(|retry| retry.backoff)
                .map_or(Duration::ZERO, |pause| pause.0),
        });
    }

    /// A pool without `run` has slots, and nothing that a worker would need.
    fn check_slots(&mut self, entry: &Entry, own: &Node) {
        let needless = own.entries().iter().filter(|field| {
            let key = field.key.text();
            !SLOT_KEYS.contains(&key)
        });
        for field in needless {
            let message = format!(
                "`{}` needs `run`, which the pool `{}` does not have",
                excerpt(field.key.text()),
                excerpt(entry.key.text())
            );
            self.findings
                .error(codes::MISSING_KEY, field.key.span, message)
                .help("without `run` a pool only has slots, for processes with `pool: name`");
        }
    }
}

fn without(node: &Node, key: &str) -> Node {
    let entries = node.entries().iter().filter(|entry| entry.key.text() != key);
    Node::mapping(node.span, entries.cloned().collect())
}

/// A pool that works has one source of tasks, and `recycle` only where workers live on.
fn check_source(entry: &Entry, merged: &Node, fields: &Fields, findings: &mut Findings) {
    let (tasks, stdin) = (merged.entry("tasks"), merged.entry("stdin"));
    match (tasks, stdin) {
        (Some(tasks), Some(stdin)) => {
            findings
                .error(codes::CONFLICT, tasks.key.span, "`tasks` together with `stdin`")
                .related(stdin.key.span, "`stdin` is here")
                .help("the tasks are either listed under `tasks` or come from the queue at `stdin`");
        }
        (None, None) => {
            let message = format!("the pool `{}` has no tasks", excerpt(entry.key.text()));
            findings
                .error(codes::MISSING_KEY, entry.key.span, message)
                .help("list them, as in `tasks: [a, b]`, or let them come from a queue, as in `stdin: jobs`");
        }
        (None, Some(stdin)) => {
            let mut unheard = Findings::default();
            let stream = Standard::Stdin.stream(fields, &mut unheard);
            if fields.stdin.is_some() && unheard.count() == 0 && !matches!(stream, Stream::Channel(_)) {
                findings
                    .error(codes::STREAM, stdin.value.span, "the `stdin` of a pool is the queue of its tasks")
                    .help("each worker finds its task on its stdin; to read a file by lines, write `tasks: {lines: path}`");
            }
        }
        (Some(_), None) => {}
    }
    if let Some(recycle) = merged.entry("recycle")
        && fields.worker != Some(WorkerKind::Persistent)
        && merged.get("worker").is_none_or(|_| fields.worker.is_some())
    {
        findings
            .error(
                codes::CONFLICT,
                recycle.key.span,
                "`recycle` without `worker: persistent`",
            )
            .help("a worker of the kind `task` is a fresh process for each task anyway");
    }
}

/// `tasks`: a list of items, a range or the lines of a file.
fn read_tasks(node: &Node, findings: &mut Findings) -> Option<Tasks> {
    match &node.kind {
        Kind::Sequence(_) => {
            let items: Many<Text> = decode(node, findings)?;
            Some(Tasks::Listed(items.0.into_iter().map(|item| item.0).collect()))
        }
        Kind::Mapping(entries) => match entries.as_slice() {
            [entry] if entry.key.text() == "range" => range(&entry.value, findings),
            [entry] if entry.key.text() == "lines" => {
                let path: Text = decode(&entry.value, findings)?;
                Some(Tasks::Lines(path.0, entry.value.span))
            }
            _ => {
                findings
                    .error(
                        codes::BAD_VALUE,
                        node.span,
                        "`tasks` is a list, `{range: [0, 100]}` or `{lines: path}`",
                    )
                    .help("write one of the three");
                None
            }
        },
        Kind::Scalar(_) if node.is_null() => None,
        Kind::Scalar(scalar) => Some(Tasks::Listed(vec![scalar.text.to_string()])),
    }
}

/// A persistent worker is given each task as one line.
fn check_lines(tasks: Option<&Rc<Node>>, findings: &mut Findings) {
    let items = match tasks.map(|tasks| (&tasks.kind, tasks)) {
        Some((Kind::Sequence(items), _)) => items.as_slice(),
        Some((Kind::Scalar(_), tasks)) => std::slice::from_ref(tasks),
        Some((Kind::Mapping(_), _)) | None => &[],
    };
    for item in items.iter().filter(|item| item.text().contains('\n')) {
        findings
            .error(
                codes::BAD_VALUE,
                item.span,
                "a task of a persistent worker is one line, and this has a newline",
            )
            .help("write it on one line, or let a fresh process do each task: `worker: task`");
    }
}

fn range(node: &Node, findings: &mut Findings) -> Option<Tasks> {
    let bound = |item: &Rc<Node>| match item.plain() {
        Some(Plain::Whole(value)) => i64::try_from(value).ok(),
        _ => None,
    };
    let bounds = match &node.kind {
        Kind::Sequence(items) => match items.as_slice() {
            [first, end] => bound(first).zip(bound(end)),
            _ => None,
        },
        Kind::Scalar(_) | Kind::Mapping(_) => None,
    };
    match bounds {
        Some((first, end)) if first <= end => Some(Tasks::Range(first, end)),
        _ => {
            findings
                .error(
                    codes::BAD_VALUE,
                    node.span,
                    "`range` is a list of two whole numbers, the first and the end",
                )
                .help("the end is not included: `range: [0, 3]` is 0, 1, 2");
            None
        }
    }
}
