//! Just as much Markdown as our own pages use, laid out for a terminal.

use anstyle::Style;

use super::Look;

/// What code is moved to the right by.
const INDENT: &str = "    ";

/// The whole page: headings bold, prose broken at the width, code moved to the right, links as their text.
pub(super) fn render(page: &str, look: Look) -> String {
    let mut sheet = Sheet {
        look,
        text: String::new(),
        paragraph: String::new(),
    };
    let mut in_code = false;
    for line in page.lines() {
        if let Some(fence) = line.strip_prefix("```") {
            sheet.end_paragraph();
            in_code = !in_code;
            if let Some(name) = fence.split_whitespace().find_map(|word| word.strip_prefix("file=")) {
                sheet.line(&format!("{INDENT}# {name}"));
            }
        } else if in_code {
            sheet.line(format!("{INDENT}{line}").trim_end());
        } else {
            sheet.prose(line);
        }
    }
    sheet.end_paragraph();
    sheet.text
}

struct Sheet {
    look: Look,
    text: String,
    /// The prose that is not broken into lines yet.
    paragraph: String,
}

impl Sheet {
    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn prose(&mut self, line: &str) {
        let heading = line.trim_start_matches('#');
        if heading.len() < line.len() {
            self.end_paragraph();
            let (begin, end) = self.look.around(Style::new().bold());
            self.line(&format!("{begin}{}{end}", heading.trim()));
        } else if line.starts_with('|') {
            self.end_paragraph();
            self.line(line);
        } else if line.trim().is_empty() {
            self.end_paragraph();
            self.line("");
        } else {
            if line.starts_with("- ") {
                self.end_paragraph();
            }
            self.paragraph.push_str(line.trim());
            self.paragraph.push(' ');
        }
    }

    fn end_paragraph(&mut self) {
        let paragraph = unlinked(self.paragraph.trim_end());
        self.paragraph.clear();
        let hanging = if paragraph.starts_with("- ") { "  " } else { "" };
        for line in broken(&paragraph, hanging, self.look.width) {
            let line = emphasised(&line, self.look);
            self.line(&line);
        }
    }
}

/// `[text](target)` becomes `text`.
fn unlinked(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, link)) = rest.split_once('[') {
        plain.push_str(before);
        let parts = link
            .split_once("](")
            .filter(|(label, _)| !label.contains([']', '`']))
            .and_then(|(label, after)| Some((label, after.split_once(')')?.1)));
        if let Some((label, after)) = parts {
            plain.push_str(label);
            rest = after;
        } else {
            plain.push('[');
            rest = link;
        }
    }
    plain + rest
}

/// Lines of at most `width` characters, but for words that are longer; all but the first begin with `hanging`.
fn broken(text: &str, hanging: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut filled = 0;
    for word in text.split_whitespace() {
        let length = word.chars().count();
        match lines.last_mut() {
            Some(line) if filled + 1 + length <= width => {
                line.push(' ');
                line.push_str(word);
                filled += 1 + length;
            }
            Some(_) => {
                lines.push(format!("{hanging}{word}"));
                filled = hanging.len() + length;
            }
            None => {
                lines.push(word.to_owned());
                filled = length;
            }
        }
    }
    lines
}

/// `**text**` becomes bold, or plain where there are no colours.
fn emphasised(line: &str, look: Look) -> String {
    let (begin, end) = look.around(Style::new().bold());
    let mut shown = String::new();
    for (index, piece) in line.split("**").enumerate() {
        match index {
            0 => {}
            _ if index % 2 == 1 => shown.push_str(&begin),
            _ => shown.push_str(&end),
        }
        shown.push_str(piece);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Colors;

    const PAGE: &str = "\
# FY210: a cycle

**Error**, found by
`check`. See [the list](README.md) of `after: [a, b]`.

- one point that is long
- two

```yaml file=a.yaml
a:
  - b
```
";

    fn shown(colors: Colors, width: usize) -> String {
        render(PAGE, Look { colors, width })
    }

    #[test]
    fn a_page_is_laid_out_at_any_width() {
        let expected = "\
FY210: a cycle

Error, found by `check`. See the list of `after: [a, b]`.

- one point that is long
- two

    # a.yaml
    a:
      - b
";
        assert_eq!(shown(Colors::Drop, 80), expected);
        let narrow = shown(Colors::Drop, 16);
        assert!(narrow.contains("- one point that\n  is long\n- two\n"), "{narrow}");
        assert!(narrow.contains("      - b\n"), "code is never broken: {narrow}");
    }

    #[test]
    fn headings_and_what_is_stressed_are_bold() {
        let shown = shown(Colors::Pass, 80);
        assert!(shown.starts_with("\u{1b}[1mFY210: a cycle\u{1b}[0m\n"), "{shown:?}");
        assert!(shown.contains("\u{1b}[1mError\u{1b}[0m, found"), "{shown:?}");
    }

    #[test]
    fn what_is_no_link_stays() {
        assert_eq!(unlinked("a [b](c) [d] e[f](g"), "a b [d] e[f](g");
        assert_eq!(unlinked("`[a]` and [b](c)"), "`[a]` and b");
    }
}
