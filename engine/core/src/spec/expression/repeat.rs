//! Repetition: `'x' * n` and `[1, 2] * n` make much of little, and are looked at before they are carried out.
//!
//! minijinja refuses a repetition only above 100 million characters or items, and carries out one of constants while it
//! compiles an expression. So the operands of each `*` are evaluated by themselves first, the innermost before those
//! around them, and what they would give is reckoned up.

use std::ops::Range;

use minijinja::value::ValueKind;
use minijinja::{Environment, Value};

use super::TEXT_BYTES_MAX;
use super::value::VALUES_MAX;

/// Words that end the operand of a `*`.
const WORDS: [&str; 7] = ["and", "or", "not", "in", "is", "if", "else"];

/// Whether some `*` of `source` gives a text or a list longer than any that may come of an expression.
pub(super) fn is_excessive(source: &str, environment: &Environment<'_>, root: &Value) -> bool {
    let tokens = tokens(source);
    let mut signs: Vec<usize> = (0..tokens.len()).filter(|&at| tokens[at].text(source) == "*").collect();
    // Those in brackets are part of the operands of those around, so they come first.
    signs.sort_by_key(|&at| std::cmp::Reverse(tokens[at].depth));
    signs.into_iter().any(|at| {
        let (left, right) = operands(source, &tokens, at);
        let value = |operand: Range<usize>| {
            let expression = environment.compile_expression(source.get(operand)?).ok()?;
            expression.eval(root.clone()).ok()
        };
        value(left)
            .zip(value(right))
            .is_some_and(|(left, right)| repeated_too_often(&left, &right) || repeated_too_often(&right, &left))
    })
}

fn repeated_too_often(value: &Value, times: &Value) -> bool {
    let Ok(times) = i128::try_from(times.clone()) else {
        return false;
    };
    let times = usize::try_from(times.max(0)).unwrap_or(usize::MAX);
    let (length, length_max) = match (value.as_str(), value.kind()) {
        (Some(text), _) => (text.len(), TEXT_BYTES_MAX),
        (None, ValueKind::Seq | ValueKind::Iterable) => (value.len().unwrap_or(0), VALUES_MAX),
        (None, _) => return false,
    };
    length.saturating_mul(times) > length_max
}

/// A word, a number, a text or a sign.
struct Token {
    range: Range<usize>,
    /// In how many brackets it stands; a bracket stands outside of itself.
    depth: usize,
}

impl Token {
    fn text<'s>(&self, source: &'s str) -> &'s str {
        source.get(self.range.clone()).unwrap_or_default()
    }
}

fn tokens(source: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(first) = source[at..].chars().next() {
        let length = token_length(&source[at..], first);
        if matches!(first, ')' | ']' | '}') {
            depth = depth.saturating_sub(1);
        }
        if !first.is_whitespace() {
            tokens.push(Token {
                range: at..at + length,
                depth,
            });
        }
        if matches!(first, '(' | '[' | '{') {
            depth += 1;
        }
        at += length;
    }
    tokens
}

fn token_length(rest: &str, first: char) -> usize {
    let is_part = |character: char| character.is_alphanumeric() || character == '_';
    if matches!(first, '"' | '\'') {
        let mut escaped = false;
        let end = rest.char_indices().skip(1).find(|&(_, character)| {
            let ends = character == first && !escaped;
            escaped = character == '\\' && !escaped;
            ends
        });
        return end.map_or(rest.len(), |(end, _)| end + 1);
    }
    if is_part(first) {
        return rest.find(|character| !is_part(character)).unwrap_or(rest.len());
    }
    if rest.starts_with("**") || rest.starts_with("//") {
        return 2;
    }
    first.len_utf8()
}

/// Where the operands of the `*` at `sign` stand: all that is multiplied or divided before it, and one factor behind.
fn operands(source: &str, tokens: &[Token], sign: usize) -> (Range<usize>, Range<usize>) {
    let depth = tokens[sign].depth;
    let ends = |token: &Token, signs: &[&str]| {
        let text = token.text(source);
        token.depth < depth || (token.depth == depth && (signs.contains(&text) || WORDS.contains(&text)))
    };
    let lower = ["+", "-", "~", ",", ":", "=", "<", ">", "!", "(", "[", "{"];
    let before = tokens[..sign].iter().rposition(|token| {
        // A bracket that is closed before the sign is a part of the operand.
        let opens = matches!(token.text(source), "(" | "[" | "{");
        if opens {
            token.depth < depth
        } else {
            ends(token, &lower)
        }
    });
    let first = before.map_or(0, |before| before + 1);
    let behind = &tokens[sign + 1..];
    let unary = behind.iter().take_while(|token| token.text(source) == "-").count();
    let same = ["*", "/", "//", "%", "+", "-", "~", ",", ":", "=", "<", ">", "!"];
    let length = behind[unary..].iter().position(|token| ends(token, &same));
    let last = length.map_or(tokens.len(), |length| sign + 1 + unary + length);
    let start_of = |at: usize| tokens.get(at).map_or(source.len(), |token| token.range.start);
    let end = last.checked_sub(1).map_or(0, |last| tokens[last].range.end);
    (start_of(first)..tokens[sign].range.start, start_of(sign + 1)..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operands_are_what_the_sign_binds() {
        for (source, left, right) in [
            ("a * b", "a", "b"),
            ("1 + 'x' * 2 * 3", "'x'", "2"),
            ("f(1, 2)[0].a * -b|c(3) ~ d", "f(1, 2)[0].a", "-b|c(3)"),
            ("[x * y, z]", "x", "y"),
            ("x if (1, 2) * n else 'a*b'", "(1, 2)", "n"),
            ("a // 2 * 3 ** 4 == 5", "a // 2", "3 ** 4"),
            ("{'a': '\\' * ' * 5}", "'\\' * '", "5"),
        ] {
            let tokens = tokens(source);
            let sign = tokens.iter().position(|token| token.text(source) == "*");
            let (first, second) = operands(source, &tokens, sign.expect("there is a sign"));
            assert_eq!((source[first].trim(), source[second].trim()), (left, right), "{source}");
        }
    }
}
