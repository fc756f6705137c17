//! Reads the files of a workflow and makes one tree of them: what `include` adds, and what a later `-f` overrides.

use std::collections::BTreeSet;
use std::rc::Rc;

use super::decode::{Many, Spanned, decode, listed};
use super::name::SECTIONS;
use super::values::Text;
use super::yaml::{Content, parse};
use super::{Loader, merge, resolve};
use crate::diagnostic::{Findings, codes};
use crate::source::{Files, Held, Kind, Node, Span, excerpt};

/// How many files may include one another in a chain.
const CHAIN_MAX: usize = 16;

/// All files as one tree.
pub(crate) struct Tree {
    /// Its root.
    pub root: Rc<Node>,
    /// What stands under the names of `processes`, where that is not in the tree: there may be a million of them.
    pub held: Option<Held>,
}

/// Reads all files; `None`: one could not be read, or is no YAML.
pub(crate) fn all(
    paths: &[String],
    loader: &mut dyn Loader,
    files: &mut Files,
    findings: &mut Findings,
) -> Option<Tree> {
    if paths.is_empty() {
        findings.error(codes::UNREADABLE, None, "no workflow file is given");
    }
    let mut loading = Loading {
        loader,
        files,
        findings,
        folder: String::new(),
        chain: Vec::new(),
        included: BTreeSet::new(),
        is_only: paths.len() == 1,
        held: None,
    };
    let mut root: Option<Rc<Node>> = None;
    let mut whole = true;
    for path in paths {
        let Some(next) = loading.main(path) else {
            whole = false;
            continue;
        };
        root = Some(match root {
            None => next,
            Some(below) => Rc::new(merge::over_workflow(&below, &next)),
        });
    }
    let root = root.filter(|_| whole)?;
    Some(Tree {
        root,
        held: loading.held,
    })
}

/// The folder of a path, with its last `/`; empty for a path without one.
pub(crate) fn folder_of(path: &str) -> &str {
    path.rfind('/').map_or("", |slash| &path[..=slash])
}

struct Loading<'a> {
    loader: &'a mut dyn Loader,
    files: &'a mut Files,
    findings: &'a mut Findings,
    /// The folder of the file on the command line, which no include leaves.
    folder: String,
    /// The file on the command line, relative to `folder`, and what led from it to the file being read.
    chain: Vec<String>,
    /// Files of the file on the command line that have been read.
    included: BTreeSet<String>,
    /// Whether there is only one file on the command line.
    is_only: bool,
    held: Option<Held>,
}

impl Loading<'_> {
    fn main(&mut self, path: &str) -> Option<Rc<Node>> {
        folder_of(path).clone_into(&mut self.folder);
        self.included.clear();
        let name = path[self.folder.len()..].to_owned();
        let bytes = match self.loader.load(path) {
            Ok(bytes) => bytes,
            Err(reason) => {
                let message = format!("`{}` cannot be read: {reason}", excerpt(path));
                self.findings.error(codes::UNREADABLE, None, message);
                return None;
            }
        };
        self.tree(path, name, bytes)
    }

    /// The tree of a file with what it includes.
    fn tree(&mut self, path: &str, name: String, bytes: Vec<u8>) -> Option<Rc<Node>> {
        let content = parse(path, bytes, self.files, self.findings)?;
        let mut root = self.root(content);
        if !matches!(root.kind, Kind::Mapping(_)) {
            let message = format!("a workflow is a map of keys; found {}", root.describe());
            self.findings
                .error(codes::BAD_VALUE, root.span, message)
                .help("a workflow begins with `forkyard: 1`");
            return None;
        }
        self.chain.push(name);
        let mut whole = true;
        for include in self.includes(&root) {
            match self.include(&include) {
                Ok(Some(part)) => root = Rc::new(self.combine(&root, &part)),
                Ok(None) => {}
                Err(Unreadable) => whole = false,
            }
        }
        self.chain.pop();
        whole.then_some(root)
    }

    /// The root of a file. The processes of one that stands alone, and in which nothing is to be evaluated, are looked at
    /// one by one, and wait until then.
    fn root(&mut self, content: Content) -> Rc<Node> {
        match content {
            Content::Tape(tape)
                if self.is_only && self.chain.is_empty() && !tape.has("include") && !tape.has_expressions() =>
            {
                let (root, held) = tape.tree_without("processes");
                self.held = held;
                root
            }
            Content::Tape(_) | Content::Tree(_) => content.tree(),
        }
    }

    fn includes(&mut self, root: &Node) -> Vec<Spanned<Text>> {
        let list = root.get("include");
        let list = list.and_then(|list| decode::<Many<_>>(list, self.findings));
        list.map_or_else(Vec::new, |list| list.0)
    }

    /// Reads an included file; nothing for one that has been read already, or must not be.
    fn include(&mut self, include: &Spanned<Text>) -> Result<Option<Rc<Node>>, Unreadable> {
        let (written, place) = (include.value.0.as_str(), include.place);
        let from = self.chain.last().map_or("", |from| folder_of(from));
        let Some(name) = inside(from, written) else {
            let message = format!("`{}` is outside of the folder of the workflow", excerpt(written));
            self.refuse(
                place,
                message,
                "an include is relative to its file and stays in the folder of the first one",
            );
            return Ok(None);
        };
        if self.chain.contains(&name) {
            let message = format!("`{}` includes itself: {}", excerpt(&name), self.way_to(&name));
            self.refuse(place, message, "remove one of these includes");
            return Ok(None);
        }
        if self.chain.len() >= CHAIN_MAX {
            let message = format!(
                "more than {CHAIN_MAX} files include one another: {}",
                self.way_to(&name)
            );
            self.refuse(place, message, "include the file from one nearer to the first");
            return Ok(None);
        }
        if !self.included.insert(name.clone()) {
            return Ok(None);
        }
        let path = format!("{}{name}", self.folder);
        let bytes = self.loader.load(&path).map_err(|reason| {
            let message = format!("`{}` cannot be read: {reason}", excerpt(&path));
            let help = format!("the way to it is {}", self.way_to(&name));
            self.refuse(place, message, &help);
            Unreadable
        })?;
        self.tree(&path, name, bytes).map(Some).ok_or(Unreadable)
    }

    fn refuse(&mut self, place: Span, message: String, help: &str) {
        self.findings.error(codes::INCLUDE, place, message).help(help);
    }

    /// `a.yaml → b.yaml → c.yaml`.
    fn way_to(&self, name: &str) -> String {
        let names = self.chain.iter().map(String::as_str).chain([name]);
        names.map(excerpt).collect::<Vec<_>>().join(" → ")
    }

    /// Adds the nodes of an included file to those of the file that includes it.
    fn combine(&mut self, root: &Node, part: &Node) -> Node {
        resolve::check_version(part, false, self.findings);
        let mut entries = root.entries().to_vec();
        for entry in part.entries() {
            let key = entry.key.text();
            if matches!(key, "forkyard" | "include" | "name" | "description") || key.starts_with("x-") {
                continue;
            }
            let shared = matches!(key, "params" | "env") || SECTIONS.iter().any(|(section, _)| *section == key);
            if !shared && resolve::KEYS.contains(&key) {
                let message = format!("`{key}` has no place in an included file");
                let first = self.chain.first().map_or("", String::as_str);
                self.findings
                    .error(codes::MISPLACED_KEY, entry.key.span, message)
                    .help(format!("move it to `{}`", excerpt(first)));
                continue;
            }
            match entries.iter_mut().find(|own| own.key.text() == key) {
                None => entries.push(entry.clone()),
                Some(own) => own.value = Rc::new(self.join(&own.value, &entry.value)),
            }
        }
        Node::mapping(root.span, entries)
    }

    /// Two sections as one; a name that both have is an error.
    fn join(&mut self, own: &Node, part: &Node) -> Node {
        for entry in part.entries() {
            let name = entry.key.text();
            if let Some(first) = own.entry(name) {
                let message = format!("the name `{}` is declared in two files", excerpt(name));
                self.findings
                    .error(codes::NAME_TWICE, entry.key.span, message)
                    .related(first.key.span, "it is declared here already")
                    .help("rename one; a file that is to override another is given by a second `-f`");
            }
        }
        merge::overlay(part, own, |_, _, own| Rc::clone(own))
    }
}

/// A file could not be read, or is no YAML; it has been noted.
struct Unreadable;

/// The path `written` in a file of the folder `from`, without its `.` and `..`; `None` when it leads outside.
fn inside(from: &str, written: &str) -> Option<String> {
    if written.starts_with('/') || written.is_empty() {
        return None;
    }
    let mut parts: Vec<&str> = from.split('/').filter(|part| !part.is_empty()).collect();
    for part in written.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// The keys of a workflow, for the help of an unknown one.
pub(crate) fn keys_help() -> String {
    format!("the keys of a workflow are {}", listed(&resolve::KEYS))
}
