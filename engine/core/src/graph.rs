//! The typed graph of a workflow: nodes are declared things, edges are touches.
//!
//! All instances of a process are one node, so that a drawing of a thousand replicas stays readable
//! and the rules about channels see "one process" where the file has one. Edges point the way data
//! or permission goes: from a writer to its channel to a reader, from what is waited for to who waits.

mod export;
mod touch;

use std::collections::BTreeMap;
use std::fmt;

use petgraph::Direction;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef;

use crate::source::Span;
use crate::spec::target::{Names, Role, Side, Target};
use crate::spec::{Condition, Declared, Workflow};
pub use touch::{Resolved, Touch, Touches, condition_word, touches, touches_of_process, waits};

/// The graph of a workflow.
#[derive(Debug, Default)]
pub struct Graph {
    graph: DiGraph<Node, Edge, u32>,
}

/// A declared thing.
#[derive(Clone, Debug)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// Instances of a process, workers or slots of a pool, permits of a semaphore; else 1.
    pub count: u32,
    /// Where it is declared.
    pub place: Span,
}

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A process with all its instances.
    Process,
    /// A pool.
    Pool,
    /// A queue.
    Queue,
    /// A pipe.
    Pipe,
    /// A lock.
    Lock,
    /// A semaphore.
    Semaphore,
    /// An event.
    Event,
}

/// A touch of one thing by another; equal touches of several instances are one edge.
#[derive(Clone, Copy, Debug)]
pub struct Edge {
    /// The key it is written under.
    pub role: Role,
    /// The end of a duplex pipe it takes.
    pub side: Option<Side>,
    /// The index, where one instance of a process is named.
    pub index: Option<u32>,
    /// The condition of `after`, the default filled in.
    pub is: Option<Condition>,
    /// How many permits each of them takes; 1 for what has none.
    pub permits: u32,
    /// How many instances do so; a pool's workers all do.
    pub count: u32,
    /// Where it stands; of several, the first.
    pub place: Span,
}

/// What goes along an edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Flow {
    /// Bytes or items.
    Data,
    /// The permission to start.
    Order,
    /// A lock or permits, lent and given back.
    Hold,
    /// An event, set or waited for.
    Signal,
    /// A slot of a pool.
    Slot,
}

impl Edge {
    /// How it is labelled: `stdout`, `after: succeeded`, `holds 2`, `connects .left`.
    #[must_use]
    pub fn label(&self) -> String {
        let part = Part(self.side, self.index);
        match self.role {
            Role::After => format!("after{part}: {}", self.is.map_or("", condition_word)),
            Role::Holds | Role::Acquires if self.permits > 1 => format!("{} {}", self.role, self.permits),
            Role::InPool => "slot".to_owned(),
            Role::Stdin
            | Role::TaskSource
            | Role::Stdout
            | Role::Stderr
            | Role::Send(_)
            | Role::Receive(_)
            | Role::End(_)
            | Role::Sends
            | Role::Receives
            | Role::Connects
            | Role::Holds
            | Role::Acquires
            | Role::Sets
            | Role::Waits
            | Role::Members => format!("{}{part}", self.role),
        }
    }

    /// What goes along it.
    #[must_use]
    pub const fn flow(&self) -> Flow {
        match self.role {
            Role::After | Role::Members => Flow::Order,
            Role::Stdin
            | Role::TaskSource
            | Role::Stdout
            | Role::Stderr
            | Role::Send(_)
            | Role::Receive(_)
            | Role::End(_)
            | Role::Sends
            | Role::Receives
            | Role::Connects => Flow::Data,
            Role::Holds | Role::Acquires => Flow::Hold,
            Role::Sets | Role::Waits => Flow::Signal,
            Role::InPool => Flow::Slot,
        }
    }
}

/// What stands behind the dot of a name, as a label shows it.
struct Part(Option<Side>, Option<u32>);

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self(Some(Side::Left), _) => f.write_str(" .left"),
            Self(Some(Side::Right), _) => f.write_str(" .right"),
            Self(None, Some(index)) => write!(f, " .{index}"),
            Self(None, None) => Ok(()),
        }
    }
}

impl Graph {
    /// The graph of `workflow`. References that do not resolve have no edge; the checks report them.
    #[must_use]
    pub fn of(workflow: &Workflow) -> Self {
        Self::drawn(workflow, &Touches::of(workflow, &Names::of(workflow)))
    }

    /// The graph of `workflow`, whose touches are known.
    #[must_use]
    pub fn drawn(workflow: &Workflow, touches: &Touches) -> Self {
        let mut builder = Builder::new(workflow);
        builder.connect(workflow, touches);
        builder.finish()
    }

    /// All nodes: processes, pools, queues, pipes, locks, semaphores, events, each in the order of the file.
    pub fn nodes(&self) -> impl Iterator<Item = (NodeIndex<u32>, &Node)> {
        self.graph.node_indices().map(|index| (index, &self.graph[index]))
    }

    /// The node at `index`.
    #[must_use]
    pub fn node(&self, index: NodeIndex<u32>) -> &Node {
        &self.graph[index]
    }

    /// Edges that lead to `node`, each with where it comes from, in the order of the file.
    pub fn into_node(&self, node: NodeIndex<u32>) -> impl Iterator<Item = (NodeIndex<u32>, &Edge)> {
        let edges = self.graph.edges_directed(node, Direction::Incoming);
        edges.map(|edge| (edge.source(), edge.weight()))
    }

    /// Edges that lead away from `node`, each with where it goes, in the order of the file.
    pub fn out_of_node(&self, node: NodeIndex<u32>) -> impl Iterator<Item = (NodeIndex<u32>, &Edge)> {
        let edges = self.graph.edges_directed(node, Direction::Outgoing);
        edges.map(|edge| (edge.target(), edge.weight()))
    }

    /// All edges with where they come from and where they go, in the order of the file.
    fn edges(&self) -> impl Iterator<Item = (NodeIndex<u32>, NodeIndex<u32>, &Edge)> {
        // They were added from the last to the first.
        let edges = self.graph.edge_references().rev();
        edges.map(|edge| (edge.source(), edge.target(), edge.weight()))
    }
}

/// What makes two touches by one node the same edge.
type Key = (NodeIndex<u32>, Role, Option<Side>, Option<u32>, Option<Condition>, u32);

/// A graph in the making.
struct Builder {
    graph: DiGraph<Node, Edge, u32>,
    /// The node of each process instance.
    instances: Vec<NodeIndex<u32>>,
    /// The nodes of things that are not processes.
    things: Things,
    edges: Vec<(NodeIndex<u32>, NodeIndex<u32>, Edge)>,
    /// Where in `edges` those of the node stand whose touches are being drawn.
    drawn: BTreeMap<Key, usize>,
}

/// The node of the first pool, queue and so on; the others follow it.
#[derive(Default)]
struct Things {
    pools: usize,
    queues: usize,
    pipes: usize,
    locks: usize,
    semaphores: usize,
    events: usize,
}

impl Builder {
    fn new(workflow: &Workflow) -> Self {
        let mut builder = Self {
            graph: DiGraph::with_capacity(workflow.processes.len(), workflow.processes.len()),
            instances: Vec::with_capacity(workflow.processes.len()),
            things: Things::default(),
            edges: Vec::with_capacity(workflow.processes.len()),
            drawn: BTreeMap::new(),
        };
        builder.add_processes(workflow);
        let w = workflow;
        builder.things = Things {
            pools: builder.add_all(Kind::Pool, w.pools.iter().map(|it| (it.size, &it.declared))),
            queues: builder.add_all(Kind::Queue, w.queues.iter().map(|it| (1, &it.declared))),
            pipes: builder.add_all(Kind::Pipe, w.pipes.iter().map(|it| (1, &it.declared))),
            locks: builder.add_all(Kind::Lock, w.locks.iter().map(|it| (1, &it.declared))),
            semaphores: builder.add_all(
                Kind::Semaphore,
                w.semaphores.iter().map(|it| (it.permits, &it.declared)),
            ),
            events: builder.add_all(Kind::Event, w.events.iter().map(|it| (1, &it.declared))),
        };
        builder
    }

    /// Instances of one process stand together in the workflow and become one node.
    fn add_processes(&mut self, workflow: &Workflow) {
        let mut last: Option<(&str, NodeIndex<u32>)> = None;
        for process in &workflow.processes {
            let name = process.declared.name.as_str();
            let node = match last {
                Some((same, node)) if same == name => node,
                Some(_) | None => self.add(Kind::Process, 0, &process.declared),
            };
            self.graph[node].count += 1;
            self.instances.push(node);
            last = Some((name, node));
        }
    }

    /// Adds things of one kind and says where the first of them stands.
    fn add_all<'a>(&mut self, kind: Kind, things: impl Iterator<Item = (u32, &'a Declared)>) -> usize {
        let first = self.graph.node_count();
        for (count, declared) in things {
            self.add(kind, count, declared);
        }
        first
    }

    fn add(&mut self, kind: Kind, count: u32, declared: &Declared) -> NodeIndex<u32> {
        self.graph.add_node(Node {
            name: declared.name.clone(),
            kind,
            count,
            place: declared.place,
        })
    }

    fn connect(&mut self, workflow: &Workflow, touches: &Touches) {
        for index in 0..workflow.processes.len() {
            let node = self.instances[index];
            let is_first = index == 0 || self.instances[index - 1] != node;
            let is_only = is_first && self.instances.get(index + 1) != Some(&node);
            if is_first {
                self.drawn.clear();
            }
            match touches.of_process(index) {
                // A lone touch is like no other, and there may be a million of them.
                [touch] if is_only => {
                    let edge = self.edge(1, touch).map(|(on, edge)| directed(node, on, edge));
                    self.edges.extend(edge);
                }
                touches => touches.iter().for_each(|touch| self.draw(node, 1, touch)),
            }
        }
        for (index, pool) in workflow.pools.iter().enumerate() {
            self.drawn.clear();
            for resolved in touches.of_pool(index) {
                self.draw(NodeIndex::new(self.things.pools + index), pool.size, resolved);
            }
        }
    }

    /// The touch of `count` instances as an edge, with what is touched.
    fn edge(&self, count: u32, resolved: &Resolved) -> Option<(NodeIndex<u32>, Edge)> {
        let touch = &resolved.touch;
        let target = resolved.target.as_ref()?;
        let side = if let Target::End(_, side) = target {
            Some(*side)
        } else {
            None
        };
        let edge = Edge {
            role: touch.role,
            side,
            index: index_of(target, &touch.on.name),
            is: touch.condition(target),
            permits: touch.permits,
            count,
            place: touch.on.place,
        };
        Some((self.node_of(target)?, edge))
    }

    /// Draws the touch of `count` instances of the node `by`.
    fn draw(&mut self, by: NodeIndex<u32>, count: u32, resolved: &Resolved) {
        let Some((on, edge)) = self.edge(count, resolved) else {
            return;
        };
        let key = (on, edge.role, edge.side, edge.index, edge.is, edge.permits);
        if let Some(same) = self.drawn.get(&key) {
            self.edges[*same].2.count += edge.count;
            return;
        }
        self.drawn.insert(key, self.edges.len());
        self.edges.push(directed(by, on, edge));
    }

    /// The node of a target; `None` for a process of which no instance runs.
    fn node_of(&self, target: &Target) -> Option<NodeIndex<u32>> {
        let things = &self.things;
        let node = match target {
            Target::Processes(range) => return self.instances.get(range.start as usize).copied(),
            Target::Pool(id) => things.pools + id.index(),
            Target::Queue(id) => things.queues + id.index(),
            Target::Pipe(id) | Target::End(id, _) => things.pipes + id.index(),
            Target::Lock(id) => things.locks + id.index(),
            Target::Semaphore(id) => things.semaphores + id.index(),
            Target::Event(id) => things.events + id.index(),
            Target::Absent | Target::Template | Target::Group => return None,
        };
        Some(NodeIndex::new(node))
    }

    /// petgraph goes through the edges of a node from the last added to the first, so they are added the other way.
    fn finish(mut self) -> Graph {
        for (from, to, edge) in self.edges.into_iter().rev() {
            self.graph.add_edge(from, to, edge);
        }
        Graph { graph: self.graph }
    }
}

/// The edge with where it comes from and where it goes.
fn directed(by: NodeIndex<u32>, on: NodeIndex<u32>, edge: Edge) -> (NodeIndex<u32>, NodeIndex<u32>, Edge) {
    if leads_to_target(edge.role, edge.side) {
        (by, on, edge)
    } else {
        (on, by, edge)
    }
}

/// The index behind the dot of `name`, which stands for the process instance `target`.
fn index_of(target: &Target, name: &str) -> Option<u32> {
    if let Target::Processes(_) = target {
        name.split_once('.').and_then(|(_, index)| index.parse().ok())
    } else {
        None
    }
}

/// Whether data or permission goes from who touches to what is touched.
const fn leads_to_target(role: Role, side: Option<Side>) -> bool {
    match role {
        Role::Stdout | Role::Stderr | Role::Send(_) | Role::Sends | Role::Sets => true,
        // A duplex pipe has no direction; drawn from left to right, it reads like one.
        Role::End(_) | Role::Connects => matches!(side, Some(Side::Left)),
        Role::After
        | Role::Stdin
        | Role::TaskSource
        | Role::Receive(_)
        | Role::Receives
        | Role::Holds
        | Role::Acquires
        | Role::Waits
        | Role::InPool
        | Role::Members => false,
    }
}
