//! The pages of the documentation, cut into their fenced blocks.

use std::fs;

use crate::harness::{files_under, repository};

/// A fenced block of a page.
pub struct Block {
    /// The word after the fence: `yaml`, `console`.
    pub language: String,
    /// The words after that: `file=hello.yaml`, `fails=FY201`.
    pub words: Vec<String>,
    /// What stands between the fences.
    pub text: String,
    /// The line of the opening fence.
    pub line: usize,
    /// The heading above it, without its `#`; empty before the first one.
    pub section: String,
    /// The last line before the fence that is not empty.
    pub above: String,
}

impl Block {
    /// The value of `key=value` after the fence.
    pub fn word(&self, key: &str) -> Option<&str> {
        self.words
            .iter()
            .find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
    }

    /// Whether this word stands after the fence.
    pub fn has(&self, word: &str) -> bool {
        self.words.iter().any(|it| it == word)
    }

    /// The bytes that it stands for: with the word `escapes`, what a page cannot show is written as `\t` and `\xff`.
    pub fn contents(&self) -> Vec<u8> {
        if self.has("escapes") {
            unescaped(&self.text)
        } else {
            self.text.clone().into_bytes()
        }
    }

    /// Whether it is the one block of an example that is not a file beside it.
    pub fn is_main(&self) -> bool {
        self.word("file").is_none()
    }

    /// Whether it is a whole workflow, not a piece of one.
    pub fn is_workflow(&self) -> bool {
        self.language == "yaml" && self.text.starts_with("forkyard: 1")
    }
}

/// Other backslashes stay as they are.
fn unescaped(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        bytes.extend(rest[..at].bytes());
        rest = &rest[at..];
        let byte = rest.get(2..4).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        let (byte, length) = match (rest.as_bytes().get(1), byte) {
            (Some(b't'), _) => (b'\t', 2),
            (Some(b'x'), Some(byte)) => (byte, 4),
            (_, _) => (b'\\', 1),
        };
        bytes.push(byte);
        rest = &rest[length..];
    }
    bytes.extend(rest.bytes());
    bytes
}

#[test]
fn what_a_page_cannot_show_is_escaped() {
    assert_eq!(unescaped(r"a\tb\xff\n\"), b"a\tb\xff\\n\\");
}

/// The README and every page under docs/, as paths from the root of the repository.
pub fn pages() -> Vec<String> {
    let root = repository("");
    let mut pages = vec!["README.md".to_owned()];
    for path in files_under("docs", "md") {
        let path = path.strip_prefix(&root).expect("it is under the root").to_owned();
        pages.push(path.to_str().expect("names of pages are text").to_owned());
    }
    pages
}

/// All fenced blocks of a page.
pub fn blocks(page: &str) -> Vec<Block> {
    let text = fs::read_to_string(repository(page)).expect("the page can be read");
    let mut blocks = Vec::new();
    let mut above = String::new();
    let mut section = String::new();
    let mut lines = text.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        if let Some(head) = line.strip_prefix("```") {
            let body: Vec<&str> = lines
                .by_ref()
                .map(|(_, line)| line)
                .take_while(|line| !line.starts_with("```"))
                .collect();
            let mut words = head.split_whitespace().map(str::to_owned);
            blocks.push(Block {
                language: words.next().unwrap_or_default(),
                words: words.collect(),
                text: body.iter().flat_map(|line| [line, "\n"]).collect(),
                line: number + 1,
                section: section.clone(),
                above: above.clone(),
            });
        } else if line.starts_with('#') {
            line.trim_start_matches('#').trim().clone_into(&mut section);
            line.clone_into(&mut above);
        } else if !line.trim().is_empty() {
            line.clone_into(&mut above);
        }
    }
    blocks
}
