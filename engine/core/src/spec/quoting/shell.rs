//! What a shell reads: which word of a command is a script, and which places of a script stand in quotes.

use crate::source::Node;
use crate::spec::expression::{Piece, pieces};

/// Programs that read a script behind `-c`, and quote as `sh` does.
const SHELLS: [&str; 7] = ["sh", "bash", "dash", "zsh", "ksh", "mksh", "ash"];

/// Whether this is the name or the path of a shell.
pub(super) fn is_shell(word: &str) -> bool {
    let name = word.rsplit('/').next().unwrap_or(word);
    SHELLS.contains(&name)
}

/// The word of a command that a shell in it reads as a script: the first behind its options, one of which has the letter c,
/// as in `[sh, -c, …]`, `[env, bash, -ec, …]` and `[bash, -euo, pipefail, -c, …]`.
pub(super) fn script<T: AsRef<Node>>(words: &[T]) -> Option<&Node> {
    let shell = words.iter().position(|word| is_shell(word.as_ref().text()))?;
    let mut reads = false;
    let mut rest = words[shell + 1..].iter().map(AsRef::as_ref);
    while let Some(node) = rest.next() {
        let word = node.text();
        let Some(letters) = word.strip_prefix(['-', '+']).filter(|letters| !letters.is_empty()) else {
            return Some(node).filter(|_| reads);
        };
        if letters.starts_with('-') {
            continue;
        }
        reads |= letters.contains('c');
        // The name of the option that is switched.
        if letters.ends_with(['o', 'O']) {
            rest.next();
        }
    }
    None
}

/// What the place of an expression is inside of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Inside {
    /// `'…'`.
    Single,
    /// `$'…'`.
    Escaped,
    /// `"…"`.
    Double,
    /// `(…)`, `$(…)`.
    Parentheses,
    /// `${…}`.
    Braces,
    /// `# …`, to the end of the line.
    Comment,
}

/// For each expression of a script, whether it stands in quotes of the script. Nothing is said of what follows a heredoc, nor
/// of a script whose quotes are not understood.
pub(super) fn in_quotes(text: &str) -> Vec<bool> {
    let mut reader = Reader::default();
    let mut quoted = Vec::new();
    for piece in pieces(text).unwrap_or_default() {
        match piece {
            Piece::Text(text) => reader.read(text),
            Piece::Expression(_) => quoted.push(reader.is_in_quotes()),
        }
        // What an expression gives may be any part of a word.
        reader.in_word = true;
    }
    let is_open = reader.inside.last().is_some_and(|inside| *inside != Inside::Comment);
    if is_open && !reader.stopped {
        quoted.fill(false);
    }
    quoted
}

/// Follows the quotes of a script.
#[derive(Default)]
struct Reader {
    inside: Vec<Inside>,
    /// Whether the last character belongs to a word, in which `#` begins no comment.
    in_word: bool,
    /// What follows is not understood.
    stopped: bool,
}

impl Reader {
    fn is_in_quotes(&self) -> bool {
        !self.stopped
            && matches!(
                self.inside.last(),
                Some(Inside::Single | Inside::Escaped | Inside::Double)
            )
    }

    fn read(&mut self, text: &str) {
        let mut rest = text;
        while let Some(character) = rest.chars().next().filter(|_| !self.stopped) {
            let length = self.step(character, rest);
            rest = rest.get(length..).unwrap_or_default();
        }
    }

    /// Takes in one sign; returns how long it is.
    fn step(&mut self, character: char, rest: &str) -> usize {
        let length = character.len_utf8();
        let in_word = self.in_word;
        self.in_word = !(character.is_whitespace() || matches!(character, ';' | '&' | '|' | '(' | ')'));
        let last = self.inside.last().copied();
        match last {
            Some(Inside::Comment) => return self.until('\n', character),
            Some(Inside::Single) => return self.until('\'', character),
            _ if character == '\\' => return length + rest[length..].chars().next().map_or(0, char::len_utf8),
            Some(Inside::Escaped) => return self.until('\'', character),
            Some(Inside::Braces) => return self.in_braces(character),
            Some(Inside::Double) if character == '"' => return self.until('"', character),
            Some(Inside::Double | Inside::Parentheses) | None => {}
        }
        for (sign, inside) in [("$(", Inside::Parentheses), ("${", Inside::Braces)] {
            if rest.starts_with(sign) {
                self.inside.push(inside);
                return sign.len();
            }
        }
        match character {
            '`' => self.stopped = true,
            _ if last == Some(Inside::Double) => {}
            '$' if rest.starts_with("$'") => {
                self.inside.push(Inside::Escaped);
                return 2;
            }
            '\'' => self.inside.push(Inside::Single),
            '"' => self.inside.push(Inside::Double),
            '(' => self.inside.push(Inside::Parentheses),
            // A lone one ends a pattern of `case`.
            ')' if last == Some(Inside::Parentheses) => {
                self.inside.pop();
            }
            '#' if !in_word => self.inside.push(Inside::Comment),
            '<' if rest.starts_with("<<<") => return 3,
            '<' if rest.starts_with("<<") => self.stopped = true,
            _ => {}
        }
        length
    }

    fn until(&mut self, end: char, character: char) -> usize {
        if character == end {
            self.inside.pop();
        }
        character.len_utf8()
    }

    /// What quotes mean in here depends on the shell.
    fn in_braces(&mut self, character: char) -> usize {
        self.stopped = matches!(character, '"' | '\'' | '`' | '{' | '(');
        self.until('}', character)
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;
    use crate::source::{Span, Style};

    fn read(words: &[&str]) -> Option<String> {
        let node = |word: &&str| Rc::new(Node::scalar(Span::default(), (*word).to_owned(), Style::Text));
        let words: Vec<Rc<Node>> = words.iter().map(node).collect();
        script(&words).map(|node| node.text().to_owned())
    }

    #[test]
    fn the_script_of_a_command_stands_behind_the_options_of_a_shell() {
        for words in [
            &["sh", "-c", "S"][..],
            &["/usr/bin/bash", "-ec", "S", "name", "one"],
            &["env", "A=b", "bash", "-lc", "S"],
            &["bash", "-euo", "pipefail", "-c", "S"],
            &["bash", "--norc", "-c", "-e", "--", "S"],
        ] {
            assert_eq!(read(words).as_deref(), Some("S"), "{words:?}");
        }
        for words in [
            &["sh", "file", "-c", "S"][..],
            &["bash", "--norc", "file"],
            &["python3", "-c", "S"],
            &["shfmt", "-c", "S"],
            &["sh", "-c"],
            &[],
        ] {
            assert_eq!(read(words), None, "{words:?}");
        }
    }

    #[test]
    fn quotes_are_followed_through_a_script() {
        let cases: [(&str, &[bool]); 19] = [
            ("a ${{x}} b", &[false]),
            ("a '${{x}}' ${{x}}", &[true, false]),
            ("a \"b ${{x}} c\" 'd' ${{x}}", &[true, false]),
            ("a \"b \\\" ${{x}}\"", &[true]),
            ("a \\' ${{x}} \\'", &[false]),
            ("a $'it\\'s ${{x}}' ${{x}}", &[true, false]),
            ("a '\\' ${{x}}", &[false]),
            ("a \"$(cat ${{x}})\" ${{x}}", &[false, false]),
            ("a \"$(cat '${{x}}') ${{x}}\"", &[true, true]),
            ("# don't\na ${{x}} # isn't\n b '${{x}}'", &[false, true]),
            ("a#b' ${{x}} '", &[true]),
            ("a ${{y}}#b' ${{x}} '", &[false, true]),
            ("cat <<EOF\ndon't ${{x}}\nEOF\n", &[false]),
            ("cat <<< '${{x}}'", &[true]),
            ("a ${b#c} \"${d:-${{x}}}\" '${{x}}'", &[false, true]),
            ("a `b '${{x}}'`", &[false]),
            ("case a in b) echo '${{x}}';; esac", &[true]),
            ("a ' ${{x}}", &[false]),
            ("(cd a && b ${{x}}) 'c ${{x}}'", &[false, true]),
        ];
        for (text, quoted) in cases {
            assert_eq!(in_quotes(text), quoted, "{text}");
        }
    }
}
