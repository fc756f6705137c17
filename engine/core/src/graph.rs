//! The typed graph of a workflow: nodes are declared things, edges are touches.
//!
//! All instances of a process are one node, so that a drawing of a thousand replicas stays readable
//! and the rules about channels see "one process" where the file has one. Edges point the way data
//! or permission goes: from a writer to its channel to a reader, from what is waited for to who waits.

mod export;
mod touch;

use std::collections::BTreeMap;

use petgraph::Direction;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef;

use crate::id::ProcessId;
use crate::source::Span;
use crate::spec::target::{Names, Role, Side, Target};
use crate::spec::{Condition, Declared, Workflow};
pub use touch::{Touch, condition_word, touches, touches_of_process};

/// The graph of a workflow.
#[derive(Debug)]
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
#[derive(Clone, Debug)]
pub struct Edge {
    /// The key it is written under.
    pub role: Role,
    /// The end of a duplex pipe it takes.
    pub side: Option<Side>,
    /// The condition of `after`, the default filled in.
    pub is: Option<Condition>,
    /// `stdout`, `after: succeeded`, `holds 2`.
    pub label: String,
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

impl Graph {
    /// The graph of `workflow`. References that do not resolve have no edge; the checks report them.
    #[must_use]
    pub fn of(workflow: &Workflow) -> Self {
        let mut builder = Builder::new(workflow);
        builder.connect(workflow);
        Self { graph: builder.graph }
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
        in_order(edges.map(|edge| (edge.source(), edge.weight())))
    }

    /// Edges that lead away from `node`, each with where it goes, in the order of the file.
    pub fn out_of_node(&self, node: NodeIndex<u32>) -> impl Iterator<Item = (NodeIndex<u32>, &Edge)> {
        let edges = self.graph.edges_directed(node, Direction::Outgoing);
        in_order(edges.map(|edge| (edge.target(), edge.weight())))
    }
}

/// petgraph goes through the edges of a node from the last drawn to the first.
fn in_order<T>(edges: impl Iterator<Item = T>) -> impl Iterator<Item = T> {
    let drawn: Vec<T> = edges.collect();
    drawn.into_iter().rev()
}

/// What makes two touches the same edge.
type Key = (NodeIndex<u32>, NodeIndex<u32>, Role, Option<Side>, String);

/// A graph in the making.
struct Builder<'a> {
    names: Names<'a>,
    graph: DiGraph<Node, Edge, u32>,
    /// The node of each process instance.
    instances: Vec<NodeIndex<u32>>,
    /// The node of each pool, queue, pipe, lock, semaphore and event, by its name.
    things: BTreeMap<&'a str, NodeIndex<u32>>,
    edges: BTreeMap<Key, petgraph::graph::EdgeIndex<u32>>,
}

impl<'a> Builder<'a> {
    fn new(workflow: &'a Workflow) -> Self {
        let mut builder = Self {
            names: Names::of(workflow),
            graph: DiGraph::default(),
            instances: Vec::new(),
            things: BTreeMap::new(),
            edges: BTreeMap::new(),
        };
        builder.add_processes(workflow);
        for pool in &workflow.pools {
            builder.add(Kind::Pool, pool.size, &pool.declared);
        }
        for queue in &workflow.queues {
            builder.add(Kind::Queue, 1, &queue.declared);
        }
        for pipe in &workflow.pipes {
            builder.add(Kind::Pipe, 1, &pipe.declared);
        }
        for lock in &workflow.locks {
            builder.add(Kind::Lock, 1, &lock.declared);
        }
        for semaphore in &workflow.semaphores {
            builder.add(Kind::Semaphore, semaphore.permits, &semaphore.declared);
        }
        for event in &workflow.events {
            builder.add(Kind::Event, 1, &event.declared);
        }
        builder
    }

    /// Instances of one process stand together in the workflow and become one node.
    fn add_processes(&mut self, workflow: &'a Workflow) {
        for process in &workflow.processes {
            let node = match self.things.get(process.declared.name.as_str()) {
                Some(node) => *node,
                None => self.add(Kind::Process, 0, &process.declared),
            };
            self.graph[node].count += 1;
            self.instances.push(node);
        }
    }

    fn add(&mut self, kind: Kind, count: u32, declared: &'a Declared) -> NodeIndex<u32> {
        let node = self.graph.add_node(Node {
            name: declared.name.clone(),
            kind,
            count,
            place: declared.place,
        });
        self.things.insert(&declared.name, node);
        node
    }

    fn connect(&mut self, workflow: &'a Workflow) {
        for (index, process) in workflow.processes.iter().enumerate() {
            let node = self.instances[index];
            for touch in touches_of_process(process) {
                self.touch(node, 1, &touch);
            }
        }
        for pool in &workflow.pools {
            let node = self.things[pool.declared.name.as_str()];
            for touch in touches(&pool.body, Role::TaskSource) {
                self.touch(node, pool.size, &touch);
            }
        }
    }

    /// Draws the touch of `count` instances of the node `by`.
    fn touch(&mut self, by: NodeIndex<u32>, count: u32, touch: &Touch) {
        let Ok(target) = self.names.resolve(touch.role, touch.on) else {
            return;
        };
        let Some(on) = self.node_of(&target, touch) else {
            return;
        };
        let side = if let Target::End(_, side) = target {
            Some(side)
        } else {
            None
        };
        let (from, to) = if leads_to_target(touch.role, side) {
            (by, on)
        } else {
            (on, by)
        };
        let edge = Edge {
            role: touch.role,
            side,
            is: touch.condition(&target),
            label: touch.label(&target),
            permits: touch.permits,
            count,
            place: touch.on.place,
        };
        self.draw(from, to, edge);
    }

    fn draw(&mut self, from: NodeIndex<u32>, to: NodeIndex<u32>, edge: Edge) {
        let key = (from, to, edge.role, edge.side, edge.label.clone());
        if let Some(same) = self.edges.get(&key) {
            self.graph[*same].count += edge.count;
        } else {
            let index = self.graph.add_edge(from, to, edge);
            self.edges.insert(key, index);
        }
    }

    /// The node of a target; `None` for a process of which no instance runs.
    fn node_of(&self, target: &Target, touch: &Touch) -> Option<NodeIndex<u32>> {
        if let Some(ProcessId(first)) = target.process_ids().next() {
            return Some(self.instances[first as usize]);
        }
        let name = touch.on.name.split('.').next()?;
        self.things.get(name).copied()
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
