//! Tells expressions from the text around them, and finds them again in the file.

use crate::source::{Files, Node, Span};

const OPENING: &str = "${{";

/// A piece of a scalar.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    /// Text that stays as it is.
    Text(&'a str),
    /// What stands between `${{` and `}}`.
    Expression(&'a str),
}

/// The pieces of a scalar; the error is the number of the expression that does not end.
pub(crate) fn pieces(text: &str) -> Result<Vec<Piece<'_>>, usize> {
    let mut pieces = Vec::new();
    let mut rest = text;
    let mut number = 0;
    while let Some(start) = rest.find(OPENING) {
        if start > 0 {
            pieces.push(Piece::Text(&rest[..start]));
        }
        let inside = &rest[start + OPENING.len()..];
        let end = closing(inside).ok_or::<usize>(number)?;
        pieces.push(Piece::Expression(&inside[..end]));
        rest = &inside[end + 2..];
        number += 1;
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest));
    }
    Ok(pieces)
}

/// The expressions of a scalar that stand among other text, each with its place; none where one expression is all of it.
pub(crate) fn among_text<'n>(node: &'n Node, files: &Files) -> Vec<(&'n str, Span)> {
    let pieces = pieces(node.text()).unwrap_or_default();
    if pieces.len() < 2 {
        return Vec::new();
    }
    let sources = pieces.into_iter().filter_map(|piece| match piece {
        Piece::Expression(source) => Some(source),
        Piece::Text(_) => None,
    });
    let numbered = sources.enumerate();
    numbered
        .map(|(number, source)| (source, expression_place(files, node.span, number, None)))
        .collect()
}

/// Where the `}}` is that ends an expression: not in quotes, and after the end of each `{` in it.
fn closing(inside: &str) -> Option<usize> {
    let bytes = inside.as_bytes();
    let mut quote = None;
    let mut braces = 0_usize;
    let mut at = 0;
    while at < bytes.len() {
        match (quote, bytes[at]) {
            (Some(_), b'\\') => at += 1,
            (Some(open), byte) if byte == open => quote = None,
            (None, byte @ (b'"' | b'\'')) => quote = Some(byte),
            (None, b'{') => braces += 1,
            (None, b'}') if braces > 0 => braces -= 1,
            (None, b'}') if bytes.get(at + 1) == Some(&b'}') => return Some(at),
            (Some(_) | None, _) => {}
        }
        at += 1;
    }
    None
}

/// How many parts an expression has: words, numbers, texts in quotes and signs.
pub(crate) fn parts(expression: &str) -> usize {
    let mut quote = None;
    let mut word = false;
    let mut parts = 0;
    let mut characters = expression.chars();
    while let Some(character) = characters.next() {
        let part = character.is_alphanumeric() || character == '_';
        match quote {
            Some(_) if character == '\\' => {
                characters.next();
            }
            Some(open) if character == open => quote = None,
            Some(_) => {}
            None => {
                parts += usize::from(!(character.is_whitespace() || (part && word)));
                quote = matches!(character, '"' | '\'').then_some(character);
                word = part;
            }
        }
    }
    parts
}

/// The place of the expression number `number` of the scalar at `span`, or of the first `word` in it. The scalar is
/// read as it stands in the file, escapes and all, so a place may at worst be that of the whole scalar.
pub(super) fn expression_place(files: &Files, span: Span, number: usize, word: Option<&str>) -> Span {
    let text = &files.of(span).text;
    let Some(written) = text.get(span.start as usize..span.end as usize) else {
        return span;
    };
    let Some((start, _)) = written.match_indices(OPENING).nth(number) else {
        return span;
    };
    let inside = &written[start + OPENING.len()..];
    let end = closing(inside).map_or(OPENING.len(), |end| OPENING.len() + end + 2);
    let found = word.and_then(|word| {
        let at = whole_words(&inside[..end - OPENING.len()], word).next()?;
        Some((at, word.len()))
    });
    let (at, length) = found.map_or((start, end), |(at, length)| (start + OPENING.len() + at, length));
    let first = span.start as usize + at;
    Span::between(span.file, first, first + length)
}

/// Where this word stands as a whole one.
pub(crate) fn whole_words<'t>(text: &'t str, word: &'t str) -> impl Iterator<Item = usize> + 't {
    let is_of_word = |character: char| character.is_alphanumeric() || character == '_';
    text.match_indices(word).map(|(at, _)| at).filter(move |&at| {
        let (before, after) = (&text[..at], &text[at + word.len()..]);
        !before.ends_with(is_of_word) && !after.starts_with(is_of_word)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_braces_inside_do_not_end_an_expression() {
        let text = r#"a ${{ "}}" ~ {"x": {}}["x"] }} $b ${c} ${{d}}"#;
        assert_eq!(
            pieces(text),
            Ok(vec![
                Piece::Text("a "),
                Piece::Expression(r#" "}}" ~ {"x": {}}["x"] "#),
                Piece::Text(" $b ${c} "),
                Piece::Expression("d"),
            ])
        );
    }

    #[test]
    fn parts_are_words_texts_and_signs() {
        assert_eq!(parts(r#" params.n + 12 ~ "a + \" b" | sh "#), 9);
    }

    #[test]
    fn an_expression_that_does_not_end_is_told_by_its_number() {
        assert_eq!(pieces("${{ a }} ${{ b }"), Err(1));
        assert_eq!(pieces("${{ 'a }}"), Err(0));
    }
}
