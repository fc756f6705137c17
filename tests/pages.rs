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

    /// Whether it is a whole workflow, not a piece of one.
    pub fn is_workflow(&self) -> bool {
        self.language == "yaml" && self.text.starts_with("forkyard: 1")
    }
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
                above: above.clone(),
            });
        } else if !line.trim().is_empty() {
            line.clone_into(&mut above);
        }
    }
    blocks
}
