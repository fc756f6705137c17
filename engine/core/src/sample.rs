//! Small workflows for tests, written as in a file: the keys that the graph, the checks and the plan look at.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_yaml::Value;

use crate::source::{File, Files, Span};
use crate::spec::{
    After, Body, Condition, Declared, Descriptor, Dispatch, EnvValue, Event, Framing, Group, Hold, Lock, Log,
    OnFailure, Options, Order, Otherwise, Pipe, Pool, Process, Program, Queue, Reference, Semaphore, Stop, Stream,
    Tasks, Template, WorkerKind, Workflow,
};

/// The workflow that `text` describes, without its head.
pub fn workflow(text: &str) -> Workflow {
    let value: Value = serde_yaml::from_str(text).expect("a sample is YAML");
    let mut cursor = Cursor { text, at: 0 };
    let root = cursor.node(&value);
    let mut workflow = empty();
    for (kind, nodes) in root.entries() {
        for (name, node) in nodes.entries() {
            add(&mut workflow, &kind.text, declared(name), node);
        }
    }
    for used in root.all("use") {
        for template in &mut workflow.templates {
            template.used |= template.declared.name == used;
        }
    }
    workflow
}

/// `line:column` of a place in `text`.
pub fn line_column(text: &str, place: Span) -> String {
    let mut files = Files::default();
    files.add(File {
        path: "sample.yaml".to_owned(),
        text: text.into(),
    });
    let (line, column) = files.line_column(place);
    format!("{line}:{column}")
}

/// A workflow with nothing in it.
pub fn empty() -> Workflow {
    Workflow {
        name: "sample".to_owned(),
        description: None,
        options: Options::default(),
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
        unbuilt: Vec::new(),
    }
}

/// A value with its place: scalars keep their text, lists have empty keys.
#[derive(Clone, Default)]
struct Node {
    text: String,
    place: Span,
    children: Vec<(Node, Node)>,
}

/// Finds the places of scalars by meeting them in the order of the text.
struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl Cursor<'_> {
    fn node(&mut self, value: &Value) -> Node {
        match value {
            Value::Mapping(map) => Node {
                children: map
                    .iter()
                    .map(|(key, value)| (self.node(key), self.node(value)))
                    .collect(),
                ..Node::default()
            },
            Value::Sequence(list) => Node {
                children: list.iter().map(|value| (Node::default(), self.node(value))).collect(),
                ..Node::default()
            },
            Value::Null => self.scalar("null".to_owned()),
            Value::Bool(bool) => self.scalar(bool.to_string()),
            Value::Number(number) => self.scalar(number.to_string()),
            Value::String(text) => self.scalar(text.clone()),
            Value::Tagged(_) => panic!("samples have no tags"),
        }
    }

    fn scalar(&mut self, text: String) -> Node {
        let start = self.at + self.text[self.at..].find(&text).expect("scalars stand in the text");
        self.at = start + text.len();
        let byte = |at: usize| u32::try_from(at).expect("samples are small");
        Node {
            place: Span {
                file: 0,
                start: byte(start),
                end: byte(self.at),
            },
            text,
            children: Vec::new(),
        }
    }
}

impl Node {
    fn get(&self, key: &str) -> Option<&Self> {
        self.children
            .iter()
            .find(|(k, _)| k.text == key)
            .map(|(_, value)| value)
    }

    fn entries(&self) -> impl Iterator<Item = (&Self, &Self)> {
        self.children.iter().map(|(key, value)| (key, value))
    }

    /// The entries of a list, or the one value that stands for a list.
    fn each(&self) -> Vec<&Self> {
        if self.children.is_empty() && !self.text.is_empty() {
            vec![self]
        } else {
            self.children.iter().map(|(_, value)| value).collect()
        }
    }

    fn list(&self, key: &str) -> Vec<&Self> {
        self.get(key).map(Self::each).unwrap_or_default()
    }

    fn flag(&self, key: &str) -> bool {
        self.get(key).is_some_and(|value| value.text == "true")
    }

    fn number<T: std::str::FromStr>(&self, key: &str) -> Option<T> {
        self.get(key).and_then(|value| value.text.parse().ok())
    }

    fn all(&self, key: &str) -> Vec<String> {
        let nested = self.children.iter().flat_map(|(_, value)| value.all(key));
        self.get(key)
            .map(|value| value.text.clone())
            .into_iter()
            .chain(nested)
            .collect()
    }

    fn reference(&self) -> Reference {
        Reference {
            name: self.text.clone(),
            place: self.place,
        }
    }

    fn references(&self, key: &str) -> Vec<Reference> {
        self.list(key).into_iter().map(Self::reference).collect()
    }

    /// This node for one instance: the index filled in.
    fn with_index(&self, index: u32) -> Self {
        Self {
            text: self.text.replace("${{ index }}", &index.to_string()),
            place: self.place,
            children: self
                .children
                .iter()
                .map(|(key, value)| (key.with_index(index), value.with_index(index)))
                .collect(),
        }
    }
}

fn declared(name: &Node) -> Declared {
    Declared {
        name: name.text.clone(),
        place: name.place,
        description: None,
    }
}

fn add(workflow: &mut Workflow, kind: &str, declared: Declared, node: &Node) {
    match kind {
        "processes" if node.get("if").is_some() => workflow.absent.push(declared),
        "processes" => workflow.processes.extend(processes(&declared, node)),
        "pools" => workflow.pools.push(pool(declared, node)),
        "queues" => workflow.queues.push(queue(declared, node)),
        "pipes" => workflow.pipes.push(Pipe {
            declared,
            duplex: node.flag("duplex"),
            size: node.number("size"),
        }),
        "locks" => workflow.locks.push(Lock {
            declared,
            reentrant: node.flag("reentrant"),
        }),
        "semaphores" => workflow.semaphores.push(Semaphore {
            declared,
            permits: node.number("permits").expect("a semaphore has permits"),
        }),
        "events" => workflow.events.push(Event {
            declared,
            set: node.flag("set"),
        }),
        "templates" => workflow.templates.push(Template { declared, used: false }),
        "groups" => workflow.groups.push(Group {
            declared,
            members: node.references("members"),
        }),
        other => panic!("samples have no {other}"),
    }
}

fn processes(declared: &Declared, node: &Node) -> Vec<Process> {
    let replicas: Option<u32> = node.number("replicas");
    let indices = replicas.map_or(vec![None], |count| (0..count).map(Some).collect());
    let process = |index: Option<u32>| {
        let node = node.with_index(index.unwrap_or(0));
        Process {
            declared: declared.clone(),
            index,
            body: body(&node),
            pool: node.get("pool").map(Node::reference),
        }
    };
    indices.into_iter().map(process).collect()
}

fn pool(declared: Declared, node: &Node) -> Pool {
    let items = node.list("tasks").into_iter().map(|item| item.text.clone()).collect();
    Pool {
        declared,
        size: node.number("size").unwrap_or(2),
        body: body(node),
        tasks: node.get("tasks").map(|_| Tasks::Listed(items)),
        worker: match node.get("worker").map(|kind| kind.text.as_str()) {
            Some("persistent") => WorkerKind::Persistent,
            _ => WorkerKind::Task,
        },
        dispatch: Dispatch::Async,
        order: Order::Completed,
        recycle: node.number("recycle"),
        retry_max: 0,
        retry_backoff: Duration::ZERO,
    }
}

fn queue(declared: Declared, node: &Node) -> Queue {
    Queue {
        declared,
        capacity: node.number("capacity").unwrap_or(1024),
        framing: Framing::Lines,
        max_item: 16 << 20,
    }
}

fn body(node: &Node) -> Body {
    Body {
        run: node.get("run").map(program),
        cwd: None,
        env: node
            .get("env")
            .into_iter()
            .flat_map(Node::entries)
            .map(|(key, value)| (key.text.clone(), env(value)))
            .collect(),
        clear_env: false,
        user: None,
        umask: None,
        nice: None,
        after: after(node),
        stdin: node.get("stdin").map_or(Stream::Null, stream),
        stdout: node.get("stdout").map_or(Stream::Log, stream),
        stderr: node.get("stderr").map_or(Stream::Log, stream),
        fds: node
            .get("fds")
            .into_iter()
            .flat_map(Node::entries)
            .map(descriptor)
            .collect(),
        sends: node.references("sends"),
        receives: node.references("receives"),
        connects: node.references("connects"),
        holds: node.list("holds").into_iter().map(hold).collect(),
        acquires: node.list("acquires").into_iter().map(hold).collect(),
        sets: node.references("sets"),
        waits: node.references("waits"),
        daemon: node.flag("daemon"),
        timeout: node.get("timeout").map(seconds),
        stop: Stop {
            signal: 15,
            grace: node.get("grace").map_or(Duration::from_secs(10), seconds),
            command: None,
        },
        success: vec![0],
        on_failure: node.get("on_failure").map(|value| on_failure(&value.text)),
        log: Log::default(),
    }
}

fn program(node: &Node) -> Program {
    Program {
        argv: vec!["sh".to_owned(), "-c".to_owned(), node.text.clone()],
        script: true,
        place: node.place,
    }
}

fn env(node: &Node) -> EnvValue {
    EnvValue {
        value: node.text.clone(),
        secret: false,
    }
}

fn seconds(node: &Node) -> Duration {
    let number = node
        .text
        .trim_end_matches('s')
        .parse()
        .expect("samples count in seconds");
    Duration::from_secs(number)
}

fn on_failure(word: &str) -> OnFailure {
    match word {
        "stop" => OnFailure::Stop,
        "ignore" => OnFailure::Ignore,
        _ => OnFailure::Fail,
    }
}

fn hold(node: &Node) -> Hold {
    let (on, permits) = match node.children.first() {
        None => (node, 1),
        Some((on, permits)) => (on, permits.text.parse().expect("permits are a number")),
    };
    Hold {
        on: on.reference(),
        permits,
    }
}

fn after(node: &Node) -> Vec<After> {
    let Some(node) = node.get("after") else {
        return Vec::new();
    };
    let plain = node.children.iter().all(|(key, _)| key.text.is_empty());
    if plain {
        return node.each().into_iter().map(|on| wait(on, &Node::default())).collect();
    }
    node.entries().map(|(on, rule)| wait(on, rule)).collect()
}

fn wait(on: &Node, rule: &Node) -> After {
    let is = rule.get("is").unwrap_or(rule);
    After {
        on: on.reference(),
        is: condition(&is.text),
        timeout: rule.get("timeout").map(seconds),
        otherwise: match rule.get("else").map(|word| word.text.as_str()) {
            Some("skip") => Otherwise::Skip,
            Some("start") => Otherwise::Start,
            _ => Otherwise::Fail,
        },
    }
}

fn condition(word: &str) -> Option<Condition> {
    Some(match word {
        "started" => Condition::Started,
        "ready" => Condition::Ready,
        "succeeded" => Condition::Succeeded,
        "failed" => Condition::Failed,
        "finished" => Condition::Finished,
        "set" => Condition::Set,
        "drained" => Condition::Drained,
        _ => return None,
    })
}

fn stream(node: &Node) -> Stream {
    if let Some((key, value)) = node.children.first() {
        return match key.text.as_str() {
            "file" => Stream::File(value.text.clone(), value.place),
            "append" => Stream::Append(value.text.clone(), value.place),
            _ => Stream::Text(value.text.clone()),
        };
    }
    match node.text.as_str() {
        "null" => Stream::Null,
        "inherit" => Stream::Inherit,
        "log" => Stream::Log,
        "stdout" => Stream::Stdout,
        _ => Stream::Channel(node.reference()),
    }
}

fn descriptor((number, node): (&Node, &Node)) -> (i32, Descriptor) {
    let (key, value) = node.children.first().expect("a descriptor leads somewhere");
    let descriptor = match key.text.as_str() {
        "send" => Descriptor::Send(value.reference()),
        "receive" => Descriptor::Receive(value.reference()),
        "end" => Descriptor::End(value.reference()),
        _ => Descriptor::Stream(stream(node)),
    };
    (number.text.parse().expect("a descriptor is a number"), descriptor)
}
