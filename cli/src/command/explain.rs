//! `forkyard explain`: what a code means, why it matters, and how it is mended.

mod markdown;
mod pages;

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use clap::ValueEnum;
use forkyard_core::diagnostic::{Code, Rule, Severity, catalogue};
use serde_json::{Value, json};

use crate::exit;
use crate::failure::Failure;
use crate::report::Colors;
use crate::screen::{self, When};

/// Its arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The code of a finding, such as FY210 or 210 [default: a list of all]
    #[arg(value_name = "CODE")]
    code: Option<String>,

    /// How to show it
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    format: Format,
}

const EXAMPLES: &str = "\
Examples:
  forkyard explain FY210
  forkyard explain | grep queue         which codes are about queues?
  forkyard explain --format json        all codes, for programs

Exit codes: 0 done, 2 there is no such code.";

/// How a page is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For a terminal
    #[default]
    Text,
    /// As it stands in the documentation
    Markdown,
    /// For programs: code, severity, title and page
    Json,
}

/// Lines of prose are not longer than this, however wide the terminal is.
const WIDTH_MAX: usize = 100;

/// How many codes are suggested for one that does not exist.
const NEAREST: usize = 3;

/// Shows one page, or the list of all.
pub fn run(args: &Args, color: When) -> Result<u8, Failure> {
    let mut out = io::stdout().lock();
    let look = Look {
        colors: color.colors(&out),
        width: screen::width().min(WIDTH_MAX),
    };
    let text = match &args.code {
        Some(word) => one(find(word)?, args.format, look),
        None => all(args.format, look),
    };
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(exit::DONE)
}

/// How text looks where it is shown.
#[derive(Clone, Copy, Debug)]
struct Look {
    colors: Colors,
    width: usize,
}

impl Look {
    /// The sequences before and after what is to have this style.
    fn around(self, style: Style) -> (String, String) {
        match self.colors {
            Colors::Pass => (style.render().to_string(), style.render_reset().to_string()),
            Colors::Drop => (String::new(), String::new()),
        }
    }
}

/// The rule that a word on the command line names.
fn find(word: &str) -> Result<&'static Rule, Failure> {
    let digits = word
        .strip_prefix(['F', 'f'])
        .and_then(|rest| rest.strip_prefix(['Y', 'y']));
    let digits = digits.unwrap_or(word);
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let number = digits.parse().ok().filter(|_| is_number);
    let Some(number) = number else {
        let message = format!("`{}` is no code: write it as FY210, or 210", word.escape_debug());
        return Err(Failure::invalid(message));
    };
    Rule::of(Code(number)).ok_or_else(|| Failure::invalid(no_such_code(number)))
}

fn no_such_code(number: u16) -> String {
    let mut codes: Vec<Code> = catalogue().iter().map(|rule| rule.code).collect();
    codes.sort_by_key(|code| code.0.abs_diff(number));
    let nearest: Vec<String> = codes.iter().take(NEAREST).map(ToString::to_string).collect();
    let code = Code(number);
    format!(
        "there is no code {code}; the nearest are {}; `forkyard explain` lists all",
        nearest.join(", ")
    )
}

fn one(rule: &Rule, format: Format, look: Look) -> String {
    let page = pages::of(rule.code);
    match format {
        Format::Text => markdown::render(page, look),
        Format::Markdown => page.to_owned(),
        Format::Json => format!("{:#}\n", entry(rule)),
    }
}

fn all(format: Format, look: Look) -> String {
    match format {
        Format::Text => catalogue().iter().map(|rule| line(rule, look)).collect(),
        Format::Markdown => {
            let rows = catalogue().iter().map(|Rule { code, severity, title }| {
                let severity = severity_word(*severity);
                format!("| {code} | {severity} | {title} |\n")
            });
            std::iter::once("| code | severity | what |\n|---|---|---|\n".to_owned())
                .chain(rows)
                .collect()
        }
        Format::Json => format!("{:#}\n", Value::Array(catalogue().iter().map(entry).collect())),
    }
}

/// `FY230  error    a queue without a sender`
fn line(Rule { code, severity, title }: &Rule, look: Look) -> String {
    let style = match severity {
        Severity::Error => AnsiColor::Red.on_default(),
        Severity::Warning => AnsiColor::Yellow.on_default(),
    };
    let (begin, end) = look.around(style);
    format!("{code}  {begin}{:<7}{end}  {title}\n", severity_word(*severity))
}

fn entry(rule: &Rule) -> Value {
    json!({
        "code": rule.code.to_string(),
        "severity": severity_word(rule.severity),
        "title": rule.title,
        "page": pages::of(rule.code),
    })
}

const fn severity_word(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_read_as_people_write_them() {
        for word in ["FY101", "fy101", "Fy101", "101"] {
            assert_eq!(find(word).expect("it is a code").code, Code(101), "{word}");
        }
        for word in ["1", "001", "FY1", "fy001"] {
            assert_eq!(find(word).expect("it is a code").code, Code(1), "{word}");
        }
    }

    #[test]
    fn what_is_no_code_is_refused_with_what_is_near() {
        for word in ["", "FY", "FYFY101", "+1", "-1", "70000", "cycle", "1 ", "\u{1b}[2J"] {
            let failure = find(word).expect_err("it is no code");
            assert_eq!(failure.exit(), exit::INVALID);
            let told = failure.to_string();
            assert!(told.contains("is no code") && !told.contains('\u{1b}'), "{told}");
        }
        let told = find("999").expect_err("there is no such code").to_string();
        assert!(
            told.starts_with("there is no code FY999; the nearest are FY3"),
            "{told}"
        );
    }
}
