//! The name at the start of each line: its colour, and its place.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use forkyard_core::id::ProcessId;
use forkyard_core::plan::{Plan, declared};

use super::note::{Note, Speaker, Tone};
use super::sanitise::{self, Colors};
use super::text::Voice;

/// Longer names are not cut, but they do not push all others to the right either.
const ALIGNED_MAX: usize = 20;

/// Colours for names. Red is kept for what has failed.
const PALETTE: [AnsiColor; 10] = [
    AnsiColor::Cyan,
    AnsiColor::Green,
    AnsiColor::Yellow,
    AnsiColor::Blue,
    AnsiColor::Magenta,
    AnsiColor::BrightCyan,
    AnsiColor::BrightGreen,
    AnsiColor::BrightYellow,
    AnsiColor::BrightBlue,
    AnsiColor::BrightMagenta,
];

/// The name under which the engine itself speaks.
const ENGINE: &str = "forkyard";

/// What stands before each line.
pub struct Labels {
    colors: Colors,
    width: usize,
    processes: Vec<Label>,
    pools: Vec<Label>,
}

struct Label {
    name: String,
    /// `log.prefix`, made safe; it may be empty, and then nothing at all stands before a line.
    prefix: Option<String>,
    style: Style,
}

impl Labels {
    /// The labels of all processes and pools of `plan`.
    pub fn of(plan: &Plan, voice: Voice, colors: Colors) -> Self {
        let mut palette = Palette::default();
        let processes: Vec<Label> = plan
            .processes
            .iter()
            .zip(&plan.launches)
            .map(|(process, launch)| Label {
                name: process.name.clone(),
                prefix: launch
                    .prefix
                    .as_ref()
                    .map(|prefix| sanitise::line(prefix.as_bytes(), Colors::Drop)),
                style: palette.style(declared(&process.name)),
            })
            .collect();
        let pools: Vec<Label> = plan
            .pools
            .iter()
            .map(|pool| Label {
                name: pool.name.clone(),
                prefix: None,
                style: palette.style(&pool.name),
            })
            .collect();
        let engine = match voice {
            Voice::Full => ENGINE.len(),
            Voice::Quiet => 0,
        };
        let width = engine.max(widest(&processes)).max(widest(&pools));
        Self {
            colors,
            width,
            processes,
            pools,
        }
    }

    /// A line that a process has written.
    pub fn output(&self, process: ProcessId, line: &[u8]) -> String {
        let mut shown = String::new();
        self.append_output(process, line, &mut shown);
        shown
    }

    /// The same at the end of `shown`.
    pub fn append_output(&self, process: ProcessId, line: &[u8], shown: &mut String) {
        let label = &self.processes[process.index()];
        let line = sanitise::output(line, self.colors);
        match label.prefix.as_deref() {
            Some("") => shown.push_str(&line),
            Some(prefix) => self.append(prefix, label.style, &line, shown),
            None => self.append(&label.name, label.style, &line, shown),
        }
    }

    /// A line that the engine says about somebody.
    pub fn note(&self, note: &Note) -> String {
        let text = self.paint(note.tone.style(), &sanitise::line(note.text.as_bytes(), Colors::Drop));
        match note.speaker {
            Speaker::Process(process) => {
                let label = &self.processes[process.index()];
                self.labelled(&label.name, label.style, &text)
            }
            Speaker::Pool(pool) => {
                let label = &self.pools[pool.index()];
                self.labelled(&label.name, label.style, &text)
            }
            Speaker::Engine => self.labelled(ENGINE, Style::new().bold(), &text),
        }
    }

    /// `text` in `style`, where colours are wanted.
    pub fn paint(&self, style: Style, text: &str) -> String {
        match self.colors {
            Colors::Pass => format!("{style}{text}{style:#}"),
            Colors::Drop => text.to_owned(),
        }
    }

    fn labelled(&self, name: &str, style: Style, text: &str) -> String {
        let mut shown = String::new();
        self.append(name, style, text, &mut shown);
        shown
    }

    fn append(&self, name: &str, style: Style, text: &str, shown: &mut String) {
        let padding = self.width.saturating_sub(name.chars().count());
        if self.colors == Colors::Pass {
            write!(shown, "{style}").expect("a String takes all that is written to it");
        }
        shown.push_str(name);
        shown.extend(std::iter::repeat_n(' ', padding));
        shown.push_str(" │");
        if self.colors == Colors::Pass {
            write!(shown, "{style:#}").expect("a String takes all that is written to it");
        }
        if !text.is_empty() {
            shown.push(' ');
            shown.push_str(text);
        }
    }
}

impl Tone {
    /// How a line of this tone looks.
    fn style(self) -> Style {
        match self {
            Self::Quiet => Style::new().dimmed(),
            Self::Warning => AnsiColor::Yellow.on_default(),
            Self::Bad => AnsiColor::Red.on_default(),
        }
    }
}

/// Gives each declared process the next colour, and all of its instances the same.
#[derive(Default)]
struct Palette {
    given: BTreeMap<String, Style>,
}

impl Palette {
    fn style(&mut self, declared: &str) -> Style {
        if let Some(style) = self.given.get(declared) {
            return *style;
        }
        let style = PALETTE[self.given.len() % PALETTE.len()].on_default();
        self.given.insert(declared.to_owned(), style);
        style
    }
}

fn widest(labels: &[Label]) -> usize {
    labels
        .iter()
        .map(|label| label.name.chars().count())
        .filter(|width| *width <= ALIGNED_MAX)
        .max()
        .unwrap_or(0)
}
