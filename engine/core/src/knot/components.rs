//! The innermost parts of a graph: its strongly connected components from which no arc leads out.
//!
//! After Tarjan, *Depth-First Search and Linear Graph Algorithms*, 1972, with a stack of its own, so that a long chain needs no
//! recursion.

/// A node that has not been visited.
const UNSEEN: usize = usize::MAX;

struct Walk<'a> {
    arcs: &'a [Vec<usize>],
    /// By node: when it was visited.
    order: Vec<usize>,
    /// By node: the earliest node known to be reachable that is still open.
    low: Vec<usize>,
    /// By node: the component that it belongs to, once that is closed.
    component: Vec<usize>,
    /// Visited nodes whose component is not closed.
    open: Vec<usize>,
    components: Vec<Vec<usize>>,
}

/// Each of the innermost components, in ascending order of its nodes. Arcs to nodes that there are not count for nothing.
pub(super) fn sinks(arcs: &[Vec<usize>]) -> Vec<Vec<usize>> {
    let mut walk = Walk {
        arcs,
        order: vec![UNSEEN; arcs.len()],
        low: vec![UNSEEN; arcs.len()],
        component: vec![UNSEEN; arcs.len()],
        open: Vec::new(),
        components: Vec::new(),
    };
    let mut visited = 0;
    for root in 0..arcs.len() {
        walk.visit(root, &mut visited);
    }
    let Walk {
        component, components, ..
    } = walk;
    let leads_out = |number: usize, nodes: &Vec<usize>| {
        let targets = nodes.iter().flat_map(|node| &arcs[*node]);
        targets
            .filter_map(|target| component.get(*target))
            .any(|other| *other != number)
    };
    let mut sinks: Vec<Vec<usize>> = components
        .into_iter()
        .enumerate()
        .filter(|(number, nodes)| !leads_out(*number, nodes))
        .map(|(_, nodes)| nodes)
        .collect();
    for sink in &mut sinks {
        sink.sort_unstable();
    }
    sinks.sort_unstable();
    sinks
}

impl Walk<'_> {
    fn visit(&mut self, root: usize, visited: &mut usize) {
        if self.order[root] != UNSEEN {
            return;
        }
        // Where we are, and how many arcs from there have been followed.
        let mut path = vec![(root, 0)];
        self.enter(root, visited);
        while let Some((node, followed)) = path.last_mut() {
            let node = *node;
            let Some(target) = self.arcs[node].get(*followed).copied() else {
                path.pop();
                self.close_if_root(node);
                if let Some((parent, _)) = path.last() {
                    self.low[*parent] = self.low[*parent].min(self.low[node]);
                }
                continue;
            };
            *followed += 1;
            if target >= self.arcs.len() {
                continue;
            }
            if self.order[target] == UNSEEN {
                self.enter(target, visited);
                path.push((target, 0));
            } else if self.component[target] == UNSEEN {
                self.low[node] = self.low[node].min(self.order[target]);
            }
        }
    }

    fn enter(&mut self, node: usize, visited: &mut usize) {
        self.order[node] = *visited;
        self.low[node] = *visited;
        *visited += 1;
        self.open.push(node);
    }

    /// All that was opened since a node from which nothing earlier can be reached is its component.
    fn close_if_root(&mut self, node: usize) {
        if self.low[node] != self.order[node] {
            return;
        }
        let from = self.open.iter().rposition(|open| *open == node).unwrap_or_default();
        let nodes = self.open.split_off(from);
        for node in &nodes {
            self.component[*node] = self.components.len();
        }
        self.components.push(nodes);
    }
}
