//! Makes the node tree of a file from the events of the YAML parser, with aliases and merge keys followed.

mod plain;
mod remark;
mod text;

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::thread;

use indexmap::IndexMap;
use saphyr_parser::{Event, Parser, ScalarStyle};

use crate::diagnostic::{Findings, codes};
use crate::source::{BYTE_ORDER_MARK, Entry, File, Files, Kind, Node, Span, Style, Tape, excerpt, sentence};
use text::Offsets;

/// How deeply a file may be nested, aliases followed.
const DEPTH_MAX: usize = 64;
/// What the scanner says about more than 255 brackets inside one another. It looks at all the text in a bracket before
/// it hands out the first event, so it has a limit of its own; of blocks it hands out one event after the other.
const SCANNER_FULL: &str = "recursion limit exceeded";
/// How many aliases a file may have.
const ALIASES_MAX: usize = 1_000;
/// How many nodes a file may have as it is written: enough for a million processes of ten values each, in about 1 GB.
const NODES_MAX: u32 = 16_000_000;
/// How many more nodes its aliases may stand for.
const ALIASED_MAX: u32 = 5_000_000;
/// A smaller file is read by both parsers in less time than a thread takes to start.
const ALONE_BYTES_MAX: usize = 64 << 10;
/// In a mapping of so few keys looking through all is faster than a table.
const KEYS_FEW: usize = 16;

/// What is in a file.
pub(crate) enum Content {
    /// A tree.
    Tree(Rc<Node>),
    /// A plain file, of which no tree has been made yet.
    Tape(Tape),
}

impl Content {
    /// The tree, made if there is none.
    pub fn tree(self) -> Rc<Node> {
        match self {
            Self::Tree(root) => root,
            Self::Tape(tape) => tape.tree(),
        }
    }
}

/// Reads a file; `None` when it could not be read as YAML.
pub(crate) fn parse(path: &str, bytes: Vec<u8>, files: &mut Files, findings: &mut Findings) -> Option<Content> {
    if bytes.len() > text::FILE_BYTES_MAX {
        let message = format!("`{}` is larger than {} MiB", excerpt(path), text::FILE_BYTES_MAX >> 20);
        findings.error(codes::TOO_LARGE, None, message);
        add(files, path, String::new());
        return None;
    }
    let (text, invalid_at) = text::decode(bytes);
    let file = add(files, path, text);
    if let Some(at) = invalid_at {
        let span = Span::between(file, at, at + char::REPLACEMENT_CHARACTER.len_utf8());
        findings
            .error(codes::NOT_UTF8, span, "this byte is not UTF-8")
            .help("save the file as UTF-8");
        return None;
    }
    let text = Arc::clone(&files.all()[file as usize].text);
    if !text::is_parseable(file, &text, findings) {
        return None;
    }
    if let Some(plain) = plain::read(file, &text) {
        files.remark(plain.remarks);
        return Some(Content::Tape(plain.tape));
    }
    let root = tree(file, &text, findings)?;
    files.remark(remark::remarks(file, &text));
    Some(Content::Tree(root))
}

fn add(files: &mut Files, path: &str, text: String) -> u32 {
    files.add(File {
        path: path.to_owned(),
        text: text.into(),
    })
}

fn tree(file: u32, text: &Arc<str>, findings: &mut Findings) -> Option<Rc<Node>> {
    let body = without_mark(text);
    let second = SecondReading::begin(text);
    let mut builder = Builder::new(file, text, body, findings);
    let built = builder.build(body);
    let root = builder.root.take();
    let Ok(()) = built else {
        return None;
    };
    let Some(root) = root.filter(|root| !root.is_null()) else {
        findings
            .error(codes::EMPTY, Span::between(file, 0, 0), "the file is empty")
            .help("a workflow begins with `forkyard: 1`");
        return None;
    };
    if let Err(error) = second.end() {
        let index = error.location().map_or(0, |location| location.index());
        let at = text.len() - body.len() + index.min(body.len());
        let message = format!("not well-formed YAML: {}", sentence(&error.to_string()));
        findings.error(codes::NOT_YAML, Span::between(file, at, at + 1), message);
        return None;
    }
    Some(root)
}

/// The other YAML parser must accept the file too: what only one of them accepts is not well-formed, and other tools
/// of the user's would stumble over it.
enum SecondReading {
    /// A large file is read by both at the same time. What the first refuses the second may go on reading for itself:
    /// it is not waited for, and of text that nests without end it makes no more than as many values.
    Beside(thread::JoinHandle<Result<(), serde_yaml::Error>>),
    /// A small file is read after the first has accepted it.
    After(Arc<str>),
}

impl SecondReading {
    fn begin(text: &Arc<str>) -> Self {
        let text = Arc::clone(text);
        if text.len() <= ALONE_BYTES_MAX {
            return Self::After(text);
        }
        let shared = Arc::clone(&text);
        // Without a thread to be had, it is read afterwards.
        thread::Builder::new()
            .spawn(move || read_again(&shared))
            .map_or(Self::After(text), Self::Beside)
    }

    fn end(self) -> Result<(), serde_yaml::Error> {
        match self {
            Self::Beside(reading) => reading.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            Self::After(text) => read_again(&text),
        }
    }
}

fn read_again(text: &str) -> Result<(), serde_yaml::Error> {
    serde_yaml::from_str::<serde::de::IgnoredAny>(without_mark(text)).map(|_| ())
}

fn without_mark(text: &str) -> &str {
    text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text)
}

/// The file cannot be read on; the reason has been noted.
struct Stop;

/// A collection whose end has not come.
struct Frame {
    anchor: usize,
    start: usize,
    content: Collection,
}

enum Collection {
    Sequence(Vec<Rc<Node>>),
    Mapping(Fields),
}

/// A mapping under construction.
#[derive(Default)]
struct Fields {
    entries: Vec<Entry>,
    /// Where each key of the mapping itself stands.
    places: Places,
    /// The key whose value comes next.
    key: Option<Key>,
    /// What is merged in by `<<`.
    merges: Vec<Rc<Node>>,
}

/// Where each key of a mapping stands.
enum Places {
    /// Of a few keys.
    Few(Vec<(Rc<Node>, Span)>),
    /// Of many, by their texts.
    Many(IndexMap<String, Span>),
}

impl Default for Places {
    fn default() -> Self {
        Self::Few(Vec::new())
    }
}

impl Places {
    fn get(&self, key: &str) -> Option<Span> {
        match self {
            Self::Few(keys) => keys.iter().find(|(node, _)| node.text() == key).map(|(_, span)| *span),
            Self::Many(keys) => keys.get(key).copied(),
        }
    }

    fn insert(&mut self, key: &Rc<Node>, span: Span) {
        match self {
            Self::Few(keys) if keys.len() < KEYS_FEW => keys.push((Rc::clone(key), span)),
            Self::Few(keys) => {
                let keys = keys.drain(..).map(|(node, span)| (node.text().to_owned(), span));
                *self = Self::Many(keys.chain([(key.text().to_owned(), span)]).collect());
            }
            Self::Many(keys) => {
                keys.insert(key.text().to_owned(), span);
            }
        }
    }
}

enum Key {
    /// A key to be kept.
    Kept(Rc<Node>),
    /// `<<`.
    Merge,
    /// A key that was refused; its value is dropped.
    Refused,
}

struct Builder<'a> {
    file: u32,
    text: &'a str,
    offsets: Offsets<'a>,
    /// How many bytes of the file precede the text that is parsed.
    skipped: usize,
    findings: &'a mut Findings,
    frames: Vec<Frame>,
    /// What each anchor stands for; a collection that has not ended is not here yet.
    anchors: BTreeMap<usize, Rc<Node>>,
    aliases: usize,
    nodes: u32,
    documents: usize,
    root: Option<Rc<Node>>,
}

impl<'a> Builder<'a> {
    fn new(file: u32, text: &'a str, body: &'a str, findings: &'a mut Findings) -> Self {
        Self {
            file,
            text,
            offsets: Offsets::of(body),
            skipped: text.len() - body.len(),
            findings,
            frames: Vec::new(),
            anchors: BTreeMap::new(),
            aliases: 0,
            nodes: 0,
            documents: 0,
            root: None,
        }
    }

    fn build(&mut self, body: &str) -> Result<(), Stop> {
        for event in Parser::new_from_str(body) {
            match event {
                Ok((event, span)) => self.event(event, self.span(span))?,
                Err(error) => {
                    let at = self.byte(error.marker().index());
                    if error.info() == SCANNER_FULL {
                        return Err(self.too_deep(Span::between(self.file, at, at + 1)));
                    }
                    return Err(self.refuse(at, error.info()));
                }
            }
        }
        Ok(())
    }

    fn refuse(&mut self, at: usize, reason: &str) -> Stop {
        if let Some(tab) = text::indenting_tab(self.text, at) {
            let span = Span::between(self.file, tab, tab + 1);
            self.findings
                .error(codes::TAB, span, "a tab cannot indent in YAML")
                .help("indent with spaces");
        } else {
            let span = Span::between(self.file, at, at + 1);
            let message = format!("not well-formed YAML: {reason}");
            let before = at.checked_sub(1).and_then(|dollar| self.text.get(dollar..));
            let begins_expression = before.is_some_and(|text| text.starts_with("${{"));
            let refused = self.findings.error(codes::NOT_YAML, span, message);
            if begins_expression {
                refused.help(
                    "quote the text around `${{ … }}`: between `{…}` or `[…]` its braces are taken for YAML's own",
                );
            }
        }
        Stop
    }

    fn byte(&self, index: usize) -> usize {
        self.skipped + self.offsets.byte(index)
    }

    fn span(&self, span: saphyr_parser::Span) -> Span {
        Span::between(self.file, self.byte(span.start.index()), self.byte(span.end.index()))
    }

    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), Stop> {
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
            Event::DocumentStart(_) => self.document(span),
            Event::Alias(anchor) => self.alias(anchor, span),
            Event::Scalar(text, style, anchor, tag) => {
                self.untagged(tag.is_some(), span);
                let style = if style == ScalarStyle::Plain {
                    Style::Plain
                } else {
                    Style::Text
                };
                self.complete(anchor, Rc::new(Node::scalar(span, text.into_owned(), style)))
            }
            Event::SequenceStart(anchor, tag) => {
                self.untagged(tag.is_some(), span);
                self.open(anchor, span, Collection::Sequence(Vec::new()))
            }
            Event::MappingStart(anchor, tag) => {
                self.untagged(tag.is_some(), span);
                self.open(anchor, span, Collection::Mapping(Fields::default()))
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(span),
        }
    }

    fn document(&mut self, span: Span) -> Result<(), Stop> {
        self.documents += 1;
        if self.documents > 1 {
            self.findings
                .error(codes::SEVERAL_DOCUMENTS, span, "a second document begins here")
                .help("keep one workflow in a file; `include` and a second `-f` bring files together");
            return Err(Stop);
        }
        Ok(())
    }

    fn untagged(&mut self, tagged: bool, span: Span) {
        if tagged {
            self.findings
                .error(
                    codes::TAG,
                    span,
                    "YAML tags such as `!!str` are not part of the language",
                )
                .help("remove the tag; write text that looks like a number in quotes");
        }
    }

    fn open(&mut self, anchor: usize, span: Span, content: Collection) -> Result<(), Stop> {
        let start = span.start as usize;
        if self.frames.len() >= DEPTH_MAX {
            return Err(self.too_deep(span));
        }
        self.frames.push(Frame { anchor, start, content });
        Ok(())
    }

    fn too_deep(&mut self, span: Span) -> Stop {
        let message = format!("nested more than {DEPTH_MAX} levels deep");
        self.findings.error(codes::TOO_DEEP, span, message);
        Stop
    }

    fn close(&mut self, end: Span) -> Result<(), Stop> {
        let frame = self.frames.pop().expect("the parser ends only what it began");
        let end = end.end as usize;
        let node = match frame.content {
            Collection::Sequence(items) => {
                let end = items.last().map_or(end, |last| last.span.end as usize);
                Node::sequence(Span::between(self.file, frame.start, end.max(frame.start)), items)
            }
            Collection::Mapping(fields) => {
                let end = fields.entries.last().map_or(end, |last| last.value.span.end as usize);
                let span = Span::between(self.file, frame.start, end.max(frame.start));
                Node::mapping(span, merged(fields))
            }
        };
        self.complete(frame.anchor, Rc::new(node))
    }

    fn alias(&mut self, anchor: usize, span: Span) -> Result<(), Stop> {
        self.aliases += 1;
        if self.aliases > ALIASES_MAX {
            let message = format!("the file has more than {ALIASES_MAX} aliases");
            self.findings.error(codes::ALIAS, span, message);
            return Err(Stop);
        }
        let Some(node) = self.anchors.get(&anchor).map(Rc::clone) else {
            self.findings
                .error(codes::ALIAS, span, "this alias stands inside of what it stands for");
            return Err(Stop);
        };
        if self.frames.len() + node.height as usize > DEPTH_MAX {
            return Err(self.too_deep(span));
        }
        self.place(node, span);
        Ok(())
    }

    /// A node is complete: it is remembered under its anchor and put where it belongs.
    fn complete(&mut self, anchor: usize, node: Rc<Node>) -> Result<(), Stop> {
        let span = node.span;
        if anchor != 0 {
            self.anchors.insert(anchor, Rc::clone(&node));
        }
        self.nodes = self.nodes.saturating_add(1);
        let message = if self.nodes > NODES_MAX {
            format!("the file has more than {NODES_MAX} values")
        } else if node.weight > self.nodes.saturating_add(ALIASED_MAX) {
            format!("with all aliases followed this is more than {ALIASED_MAX} values")
        } else {
            self.place(node, span);
            return Ok(());
        };
        self.findings.error(codes::TOO_LARGE, span, message);
        Err(Stop)
    }

    /// Puts a node into the innermost open collection; `span` is where it, or its alias, stands.
    fn place(&mut self, node: Rc<Node>, span: Span) {
        let Some(frame) = self.frames.last_mut() else {
            self.root = Some(node);
            return;
        };
        match &mut frame.content {
            Collection::Sequence(items) => items.push(node),
            Collection::Mapping(fields) => match fields.key.take() {
                None => fields.key = Some(take_key(fields, node, span, self.findings)),
                Some(Key::Kept(key)) => fields.entries.push(Entry { key, value: node }),
                Some(Key::Merge) => take_merge(fields, &node, span, self.findings),
                Some(Key::Refused) => {}
            },
        }
    }
}

/// Decides about the key of the entry that begins.
fn take_key(fields: &mut Fields, node: Rc<Node>, span: Span, findings: &mut Findings) -> Key {
    let Kind::Scalar(scalar) = &node.kind else {
        findings.error(
            codes::KEY_NOT_TEXT,
            span,
            format!("{} cannot be a key", node.describe()),
        );
        return Key::Refused;
    };
    if node.is_null() {
        findings.error(codes::KEY_NOT_TEXT, span, "a key is missing here");
        return Key::Refused;
    }
    if let Some(first) = fields.places.get(&scalar.text) {
        let message = format!("the key `{}` occurs twice", excerpt(&scalar.text));
        findings
            .error(codes::DUPLICATE_KEY, span, message)
            .related(first, "it is here already")
            .help("remove one of them; of two values YAML readers silently keep one");
        return Key::Refused;
    }
    fields.places.insert(&node, span);
    if scalar.style == Style::Plain && &*scalar.text == "<<" {
        return Key::Merge;
    }
    Key::Kept(node)
}

/// Notes what `<<` merges: a map, or a list of maps of which the earlier win.
fn take_merge(fields: &mut Fields, node: &Rc<Node>, span: Span, findings: &mut Findings) {
    let parts = match &node.kind {
        Kind::Mapping(_) => std::slice::from_ref(node),
        Kind::Sequence(items) => items,
        Kind::Scalar(_) => &[],
    };
    let mergeable = !parts.is_empty() && parts.iter().all(|part| matches!(part.kind, Kind::Mapping(_)));
    if mergeable {
        fields.merges.extend(parts.iter().map(Rc::clone));
    } else {
        findings.error(
            codes::ALIAS,
            span,
            format!("`<<` merges a map or a list of maps; found {}", node.describe()),
        );
    }
}

/// The entries of a mapping with what it merges: its own first, then the earlier merges before the later.
fn merged(mut fields: Fields) -> Vec<Entry> {
    for part in fields.merges {
        for entry in part.entries() {
            if fields.places.get(entry.key.text()).is_none() {
                fields.places.insert(&entry.key, entry.key.span);
                fields.entries.push(entry.clone());
            }
        }
    }
    fields.entries
}

#[cfg(test)]
mod tests;
