//! The nodes of a plain file in one stretch of memory, out of which a tree is made of those that are wanted.
//!
//! In a tree of its own each node takes five times as much: of a million processes more than all else that is known of
//! them. So they wait on the tape until each is looked at.

use std::rc::Rc;
use std::sync::Arc;

use super::node::{Entry, Node, Style, Words};
use super::{Span, saturating_u32};

/// The nodes of a file, each in front of those below it; a key stands in front of its value.
pub(crate) struct Tape {
    file: u32,
    text: Arc<str>,
    cells: Vec<Cell>,
}

/// One node.
#[derive(Clone, Copy)]
struct Cell {
    start: u32,
    end: u32,
    what: What,
}

/// What a node is.
#[derive(Clone, Copy)]
enum What {
    /// A scalar without quotes: its text is its place.
    Plain,
    /// A scalar whose text of so many bytes begins behind a quote.
    Quoted(u32),
    /// A list; the next so many nodes are below it.
    Sequence(u32),
    /// A map; the next so many nodes are below it.
    Mapping(u32),
}

impl Tape {
    /// The empty tape of a file.
    pub const fn of(file: u32, text: Arc<str>) -> Self {
        Self {
            file,
            text,
            cells: Vec::new(),
        }
    }

    /// How many nodes there are.
    pub const fn len(&self) -> usize {
        self.cells.len()
    }

    /// Adds a scalar without quotes.
    pub fn add_plain(&mut self, start: usize, end: usize) -> usize {
        self.add(start, end, What::Plain)
    }

    /// Adds a scalar in quotes, whose text has so many bytes.
    pub fn add_quoted(&mut self, start: usize, end: usize, bytes: usize) -> usize {
        self.add(start, end, What::Quoted(saturating_u32(bytes)))
    }

    /// Begins a list, and says at which place of the tape.
    pub fn begin_sequence(&mut self, start: usize) -> usize {
        self.add(start, start, What::Sequence(0))
    }

    /// Begins a map, and says at which place of the tape.
    pub fn begin_mapping(&mut self, start: usize) -> usize {
        self.add(start, start, What::Mapping(0))
    }

    fn add(&mut self, start: usize, end: usize, what: What) -> usize {
        self.cells.push(Cell {
            start: saturating_u32(start),
            end: saturating_u32(end),
            what,
        });
        self.cells.len() - 1
    }

    /// Ends the list or map that begins at `at`.
    pub fn end(&mut self, at: usize, end: usize) {
        let inside = saturating_u32(self.cells.len() - at - 1);
        let cell = &mut self.cells[at];
        cell.end = saturating_u32(end);
        match &mut cell.what {
            What::Sequence(below) | What::Mapping(below) => *below = inside,
            What::Plain | What::Quoted(_) => {}
        }
    }

    /// Takes the nodes from `at` on away again.
    pub fn cut(&mut self, at: usize) {
        self.cells.truncate(at);
    }

    /// One past the last byte of the node at `at`.
    pub fn end_of(&self, at: usize) -> usize {
        self.cells[at].end as usize
    }

    /// The text of the scalar at `at`, in the text of the file; empty for a list or a map.
    pub fn text_in<'t>(&self, text: &'t str, at: usize) -> &'t str {
        let cell = self.cells[at];
        let (start, end) = (cell.start as usize, cell.end as usize);
        match cell.what {
            What::Plain => &text[start..end],
            What::Quoted(bytes) => &text[start + 1..start + 1 + bytes as usize],
            What::Sequence(_) | What::Mapping(_) => "",
        }
    }

    /// The whole tree.
    pub fn tree(&self) -> Rc<Node> {
        Rc::new(self.node(0))
    }

    /// The tree without what stands under the names of a section, which comes apart from it, name by name. `None` for the
    /// latter: there is no such section, and the tree is whole.
    pub fn tree_without(self, section: &str) -> (Rc<Node>, Option<Held>) {
        let found = self.value_of(0, section);
        let Some(found) = found.filter(|at| matches!(self.cells[*at].what, What::Mapping(_))) else {
            return (self.tree(), None);
        };
        let nothing = Rc::new(Node::mapping(Span::default(), Vec::new()));
        let names = self.below(found).step_by(2).map(|key| Entry {
            key: Rc::new(self.node(key)),
            value: Rc::clone(&nothing),
        });
        let names = Rc::new(Node::mapping(self.span(found), names.collect()));
        let root = self.mapping(0, |at| {
            if at == found {
                Rc::clone(&names)
            } else {
                Rc::new(self.node(at))
            }
        });
        drop(names);
        let end = self.behind(found);
        let held = Held {
            tape: self,
            next: found + 1,
            end,
        };
        (Rc::new(root), Some(held))
    }

    /// Whether the map at the top has this key.
    pub fn has(&self, key: &str) -> bool {
        self.value_of(0, key).is_some()
    }

    /// Whether `${{` occurs in it.
    pub fn has_expressions(&self) -> bool {
        self.text.contains('$') && self.text.contains("${{")
    }

    fn value_of(&self, mapping: usize, key: &str) -> Option<usize> {
        let mut keys = self.below(mapping).step_by(2);
        let found = keys.find(|at| self.text_in(&self.text, *at) == key);
        found.map(|at| self.behind(at))
    }

    /// The nodes directly below the one at `at`.
    fn below(&self, at: usize) -> impl Iterator<Item = usize> {
        let end = self.behind(at);
        let nodes = std::iter::successors(Some(at + 1), |node| Some(self.behind(*node)));
        nodes.take_while(move |node| *node < end)
    }

    /// The place behind a node and all below it.
    fn behind(&self, at: usize) -> usize {
        let inside = match self.cells.get(at).map(|cell| cell.what) {
            Some(What::Sequence(below) | What::Mapping(below)) => below,
            Some(What::Plain | What::Quoted(_)) | None => 0,
        };
        at + 1 + inside as usize
    }

    fn span(&self, at: usize) -> Span {
        let cell = self.cells[at];
        Span {
            file: self.file,
            start: cell.start,
            end: cell.end,
        }
    }

    /// The node at `at` with all below it. The file is not nested deeply.
    fn node(&self, at: usize) -> Node {
        let span = self.span(at);
        let piece = |start, end| Words::Piece {
            file: Arc::clone(&self.text),
            start,
            end,
        };
        match self.cells[at].what {
            What::Plain => Node::scalar(span, piece(span.start, span.end), Style::Plain),
            What::Quoted(bytes) => {
                let start = span.start + 1;
                Node::scalar(span, piece(start, start + bytes), Style::Text)
            }
            What::Sequence(_) => {
                let mut items = Vec::with_capacity(self.below(at).count());
                items.extend(self.below(at).map(|item| Rc::new(self.node(item))));
                Node::sequence(span, items)
            }
            What::Mapping(_) => self.mapping(at, |value| Rc::new(self.node(value))),
        }
    }

    fn mapping(&self, at: usize, value: impl Fn(usize) -> Rc<Node>) -> Node {
        let mut entries = Vec::with_capacity(self.below(at).count() / 2);
        entries.extend(self.below(at).step_by(2).map(|key| Entry {
            key: Rc::new(self.node(key)),
            value: value(self.behind(key)),
        }));
        Node::mapping(self.span(at), entries)
    }
}

/// What stands under the names of a section, one after the other.
pub(crate) struct Held {
    tape: Tape,
    next: usize,
    end: usize,
}

impl Iterator for Held {
    type Item = Rc<Node>;

    fn next(&mut self) -> Option<Rc<Node>> {
        if self.next >= self.end {
            return None;
        }
        let value = self.tape.behind(self.next);
        self.next = self.tape.behind(value);
        Some(Rc::new(self.tape.node(value)))
    }
}
