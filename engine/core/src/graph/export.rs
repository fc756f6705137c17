//! The graph as DOT (Graphviz), as Mermaid, and as JSON.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{Edge, Flow, Graph, Kind, Node};

impl Graph {
    /// The graph in the DOT language, for Graphviz.
    #[must_use]
    pub fn dot(&self) -> String {
        let mut out = String::from(
            "digraph workflow {\n    rankdir=LR;\n    node [fontname=\"sans-serif\"];\n    edge [fontname=\"sans-serif\", fontsize=11];\n",
        );
        for (_, node) in self.nodes() {
            let (name, label) = (dot_text(&node.name), dot_text(&label(node)));
            line(
                &mut out,
                &format!("\"{name}\" [label=\"{label}\", {}];", dot_shape(node.kind)),
            );
        }
        for (from, to, edge) in self.edges() {
            let from = dot_text(&self.graph[from].name);
            let to = dot_text(&self.graph[to].name);
            let (label, style) = (dot_text(&edge.label()), dot_style(edge));
            line(&mut out, &format!("\"{from}\" -> \"{to}\" [label=\"{label}\"{style}];"));
        }
        out.push_str("}\n");
        out
    }

    /// The graph as a Mermaid flowchart. Nodes are numbered there, since a name such as `end` is a word of Mermaid.
    #[must_use]
    pub fn mermaid(&self) -> String {
        let mut out = String::from("flowchart LR\n");
        for (index, node) in self.nodes() {
            let (open, close) = mermaid_shape(node.kind);
            let label = mermaid_text(&label(node));
            line(&mut out, &format!("n{}{open}\"{label}\"{close}", index.index()));
        }
        for (from, to, edge) in self.edges() {
            let (from, to) = (from.index(), to.index());
            let (label, arrow) = (mermaid_text(&edge.label()), mermaid_arrow(edge));
            line(&mut out, &format!("n{from} {arrow}|\"{label}\"| n{to}"));
        }
        out
    }

    /// The graph for programs: `nodes` with `id`, `kind`, `label`, `instances`, and `edges` with `from`, `to`,
    /// `kind`, `label`, `instances`.
    #[must_use]
    pub fn json(&self) -> Value {
        let nodes: Vec<_> = self.nodes().map(|(_, node)| json_node(node)).collect();
        let edges: Vec<_> = self
            .edges()
            .map(|(from, to, edge)| {
                json!({
                    "from": self.graph[from].name,
                    "to": self.graph[to].name,
                    "kind": edge.flow(),
                    "label": edge.label(),
                    "instances": edge.count,
                })
            })
            .collect();
        json!({"nodes": nodes, "edges": edges})
    }
}

fn line(out: &mut String, text: &str) {
    writeln!(out, "    {text}").expect("a string takes every text");
}

/// The name, and how many there are where there can be several.
fn label(node: &Node) -> String {
    match node.kind {
        Kind::Process if node.count == 1 => node.name.clone(),
        Kind::Process | Kind::Pool => format!("{} ×{}", node.name, node.count),
        Kind::Semaphore => format!("{} ({})", node.name, node.count),
        Kind::Queue | Kind::Pipe | Kind::Lock | Kind::Event => node.name.clone(),
    }
}

const fn dot_shape(kind: Kind) -> &'static str {
    match kind {
        Kind::Process => "shape=box",
        Kind::Pool => "shape=box3d",
        Kind::Queue => "shape=cylinder",
        Kind::Pipe => "shape=cds",
        Kind::Lock => "shape=diamond",
        Kind::Semaphore => "shape=hexagon",
        Kind::Event => "shape=circle",
    }
}

const fn dot_style(edge: &Edge) -> &'static str {
    match edge.flow() {
        // Through an end of a duplex pipe data goes both ways.
        Flow::Data if edge.side.is_some() => ", dir=both",
        Flow::Data => "",
        Flow::Order => ", style=dashed",
        Flow::Hold => ", dir=none, style=dotted",
        Flow::Signal => ", style=dashed, arrowhead=open",
        Flow::Slot => ", style=dotted",
    }
}

fn dot_text(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

const fn mermaid_shape(kind: Kind) -> (&'static str, &'static str) {
    match kind {
        Kind::Process => ("[", "]"),
        Kind::Pool => ("[[", "]]"),
        Kind::Queue => ("[(", ")]"),
        Kind::Pipe => ("([", "])"),
        Kind::Lock => ("{", "}"),
        Kind::Semaphore => ("{{", "}}"),
        Kind::Event => ("((", "))"),
    }
}

const fn mermaid_arrow(edge: &Edge) -> &'static str {
    match edge.flow() {
        Flow::Data if edge.side.is_some() => "<-->",
        Flow::Data => "-->",
        Flow::Order | Flow::Signal | Flow::Slot => "-.->",
        Flow::Hold => "---",
    }
}

/// Mermaid's labels are quoted, its entities begin with `#`.
fn mermaid_text(text: &str) -> String {
    text.replace('#', "#35;").replace('"', "#quot;").replace('\n', " ")
}

fn json_node(node: &Node) -> Value {
    let mut value = json!({"id": node.name, "kind": node.kind, "label": label(node), "instances": 1});
    let key = match node.kind {
        Kind::Semaphore => "permits",
        Kind::Pool => "size",
        Kind::Process | Kind::Queue | Kind::Pipe | Kind::Lock | Kind::Event => "instances",
    };
    value[key] = json!(node.count);
    value
}

#[cfg(test)]
mod tests {
    use super::super::Graph;
    use crate::sample;

    const SAMPLE: &str = "{processes: {
        read: {run: x, stdout: text}, count: {run: x, replicas: 4, stdin: text, stdout: lines, acquires: [{s: 2}]},
        end: {run: x, after: [sum, count.2], receives: totals, holds: report, waits: go}, main: {run: x, sets: go}},
      pools: {sum: {size: 3, run: x, stdin: lines, stdout: totals}}, queues: {lines: {}, totals: {}},
      pipes: {text: {}}, locks: {report: {}}, semaphores: {s: {permits: 2}}, events: {go: {}}}";

    #[test]
    fn dot_has_a_shape_for_each_kind_and_a_line_for_each_touch() {
        let dot = Graph::of(&sample::workflow(SAMPLE)).dot();
        let expected = r#"digraph workflow {
    rankdir=LR;
    node [fontname="sans-serif"];
    edge [fontname="sans-serif", fontsize=11];
    "read" [label="read", shape=box];
    "count" [label="count ×4", shape=box];
    "end" [label="end", shape=box];
    "main" [label="main", shape=box];
    "sum" [label="sum ×3", shape=box3d];
    "lines" [label="lines", shape=cylinder];
    "totals" [label="totals", shape=cylinder];
    "text" [label="text", shape=cds];
    "report" [label="report", shape=diamond];
    "s" [label="s (2)", shape=hexagon];
    "go" [label="go", shape=circle];
    "read" -> "text" [label="stdout"];
    "text" -> "count" [label="stdin"];
    "count" -> "lines" [label="stdout"];
    "s" -> "count" [label="acquires 2", dir=none, style=dotted];
    "sum" -> "end" [label="after: succeeded", style=dashed];
    "count" -> "end" [label="after .2: succeeded", style=dashed];
    "totals" -> "end" [label="receives"];
    "go" -> "end" [label="waits", style=dashed, arrowhead=open];
    "report" -> "end" [label="holds", dir=none, style=dotted];
    "main" -> "go" [label="sets", style=dashed, arrowhead=open];
    "lines" -> "sum" [label="stdin"];
    "sum" -> "totals" [label="stdout"];
}
"#;
        assert_eq!(dot, expected);
    }

    #[test]
    fn mermaid_numbers_its_nodes_so_that_end_is_no_keyword() {
        let text = "{processes: {end: {run: x, after: p}}, pools: {p: {size: 2, run: x, stdin: q, holds: l}}, queues: {q: {}}, locks: {l: {}}}";
        let expected = r#"flowchart LR
    n0["end"]
    n1[["p ×2"]]
    n2[("q")]
    n3{"l"}
    n1 -.->|"after: succeeded"| n0
    n2 -->|"stdin"| n1
    n3 ---|"holds"| n1
"#;
        assert_eq!(Graph::of(&sample::workflow(text)).mermaid(), expected);
    }

    #[test]
    fn through_a_duplex_pipe_data_goes_both_ways() {
        let text =
            "{processes: {a: {run: x, connects: p.left}, b: {run: x, connects: p.right}}, pipes: {p: {duplex: true}}}";
        let graph = Graph::of(&sample::workflow(text));
        let dot = graph.dot();
        assert!(
            dot.contains(r#""a" -> "p" [label="connects .left", dir=both];"#),
            "{dot}"
        );
        let mermaid = graph.mermaid();
        assert!(mermaid.contains(r#"n0 <-->|"connects .left"| n2"#), "{mermaid}");
    }

    #[test]
    fn json_counts_instances() {
        let text = "{processes: {a: {run: x, replicas: 2, fds: {3: {end: p.left}}}, b: {run: x, connects: p.right}}, pipes: {p: {duplex: true}}}";
        let json = Graph::of(&sample::workflow(text)).json();
        let expected = serde_json::json!({
            "nodes": [
                {"id": "a", "kind": "process", "label": "a ×2", "instances": 2},
                {"id": "b", "kind": "process", "label": "b", "instances": 1},
                {"id": "p", "kind": "pipe", "label": "p", "instances": 1}
            ],
            "edges": [
                {"from": "a", "to": "p", "kind": "data", "label": "fds 3 end .left", "instances": 2},
                {"from": "p", "to": "b", "kind": "data", "label": "connects .right", "instances": 1}
            ]
        });
        assert_eq!(json, expected);
    }

    #[test]
    fn texts_cannot_break_out_of_their_quotes() {
        assert_eq!(super::dot_text("a\"b\\c\nd"), "a\\\"b\\\\c\\nd");
        assert_eq!(super::mermaid_text("a\"#b"), "a#quot;#35;b");
    }

    #[test]
    fn what_does_not_resolve_has_no_edge() {
        let text = "{processes: {a: {run: x, after: [nobody, gone]}, gone: {run: x, if: false}}}";
        let json = Graph::of(&sample::workflow(text)).json();
        assert_eq!(json["edges"], serde_json::json!([]));
        assert_eq!(json["nodes"].as_array().map(Vec::len), Some(1));
    }
}
