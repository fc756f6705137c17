//! What is plain is what both parsers accept, and it is the same tree.

use std::rc::Rc;

use super::super::{Builder, read_again};
use super::*;
use crate::diagnostic::Findings;
use crate::source::Node;

/// The tree that the parsers make, and the comments for Forkyard; `None` when one of them refuses it, or something in it.
fn parsed(text: &str) -> Option<(Rc<Node>, Vec<Span>)> {
    let mut findings = Findings::default();
    let mut builder = Builder::new(0, text, text, &mut findings);
    builder.build(text).ok()?;
    let root = builder.root.take()?;
    read_again(text).ok()?;
    (findings.count() == 0).then(|| (root, super::super::remark::remarks(0, text)))
}

/// Whether it is plain; if so, it is compared with what the parsers make of it.
#[track_caller]
fn is_plain(text: &str) -> bool {
    let Some(Plain { tape, remarks }) = read(0, &text.into()) else {
        return false;
    };
    let root = tape.tree();
    let parsed = parsed(text).unwrap_or_else(|| panic!("a parser refuses:\n{text}"));
    assert_eq!(format!("{root:?}"), format!("{:?}", parsed.0), "{text}");
    assert_eq!(remarks, parsed.1, "{text}");
    true
}

#[test]
fn what_programs_write_is_plain() {
    for text in [
        "forkyard: 1\nprocesses:\n  p0: {run: [\"true\"]}\n  p1: {run: ['true', --flag, -5], after: [p0]}\n",
        "forkyard: 1\n# forkyard: allow FY270\n\nprocesses:\n  a:\n    run: ./x.sh --n=3   # forkyard: allow FY201\n    after:\n    - b\n    - c: ready\n      d: started\n",
        "a:\n  - {b: c}\n  - [d, e f]\n  - 'g'   # forkyard: here\nh: []\ni: {}\nj: ~\n",
        "\"a b\": http://example.org/x?y=1#z\nb: ${{ params.n }}\nc: 1.5",
        "a:   # why\n    b: {c: {d: [[e], {f: g}]}}   \n",
    ] {
        assert!(is_plain(text), "{text}");
    }
}

#[test]
fn what_only_a_parser_understands_is_left_to_it() {
    for text in [
        "",
        "a",
        "- a\n",
        " a: b\n",
        "a:\n",
        "a: b\n c\n",
        "a: b\n  c: d\n",
        "a: b: c\n",
        "a: 'it''s'\n",
        "a: \"\\n\"\n",
        "a: [b: c]\n",
        "a: [b,]\n",
        "a: [b\n  ]\n",
        "a: |\n  b\n",
        "a: &x b\n",
        "a: *x\n",
        "a: !!str b\n",
        "<<: {a: b}\n",
        "~: a\n",
        "a: b\na: c\n",
        "{a: b, a: c}\n",
        "---\na: b\n",
        "a: b\n...\n",
        "? a\n: b\n",
        "a: \u{e4}\n",
        "a:\tb\n",
        "a: [b]c\n",
        "a: 'b' c\n",
    ] {
        assert!(read(0, &text.into()).is_none(), "{text}");
    }
    let many = (0..40).fold(String::new(), |text, number| format!("{text}k{number}: x\n"));
    assert!(is_plain(&many));
    assert!(read(0, &format!("{many}'k3': x\n").into()).is_none());
}

/// Random numbers, always the same for a seed (Steele, Lea and Flood's `SplitMix64`).
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((mixed ^ (mixed >> 31)) % end as u64).expect("it is less than `end`")
    }

    fn of<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.below(choices.len())]
    }
}

const SCALARS: [&str; 24] = [
    "a",
    "b c",
    "1",
    "-5",
    "--flag",
    "~",
    "null",
    "'q'",
    "\"q\"",
    "'a: b'",
    "\"# x\"",
    "http://x/y",
    "a#b",
    "${{ x }}",
    "it's",
    "./x",
    "$HOME",
    "(a)",
    "+1",
    "a?",
    "-",
    "a:",
    "x, y",
    "1.5",
];
const KEYS: [&str; 10] = ["a", "b", "c", "d-e", "f/g", "\"q\"", "'r s'", "1", "long_name", "true"];
const NOISE: [&str; 24] = [
    " ",
    "  ",
    "\n",
    ":",
    ": ",
    "-",
    "- ",
    "#",
    " # forkyard: x",
    ",",
    "[",
    "]",
    "{",
    "}",
    "'",
    "\"",
    "&a ",
    "*a",
    "!",
    "|",
    ">",
    "%",
    "?",
    "\t",
];

/// A text that is nearly a workflow: nested, by indentation or in brackets.
fn block(dice: &mut Dice, indent: usize, depth: usize, text: &mut String) {
    let list = dice.below(4) == 0;
    let start = dice.below(KEYS.len());
    for step in 0..=dice.below(4) {
        text.extend(std::iter::repeat_n(' ', indent));
        text.push_str(if list { "- " } else { KEYS[(start + step) % KEYS.len()] });
        text.push_str(if list { "" } else { ":" });
        if !list && depth > 0 && dice.below(3) == 0 {
            text.push_str(dice.of(&["\n", "\n", " # note\n", "\n\n"]));
            let deeper = dice.of(&["", "  ", "    "]).len();
            block(dice, indent + deeper, depth - 1, text);
            continue;
        }
        text.push_str(dice.of(&[" ", " ", "  ", ""]));
        if list && dice.below(3) == 0 {
            text.push_str("k: ");
        }
        flow(dice, depth, text);
        text.push_str(dice.of(&["\n", "\n", "\n", " \n", " # forkyard: y\n", "\n# forkyard: z\n", "#\n"]));
    }
}

fn flow(dice: &mut Dice, depth: usize, text: &mut String) {
    let (open, close) = match dice.below(4) {
        0 if depth > 0 => ("[", "]"),
        1 if depth > 0 => ("{", "}"),
        _ => return text.push_str(dice.of(&SCALARS)),
    };
    text.push_str(open);
    let start = dice.below(KEYS.len());
    for step in 0..dice.below(4) {
        text.push_str(if step > 0 {
            dice.of(&[", ", ",", " , "])
        } else {
            dice.of(&["", " "])
        });
        if open == "{" {
            text.push_str(KEYS[(start + step) % KEYS.len()]);
            text.push_str(dice.of(&[": ", ": ", ":  ", ":"]));
        }
        flow(dice, depth - 1, text);
    }
    text.push_str(dice.of(&["", " "]));
    text.push_str(close);
}

#[test]
fn random_texts_are_read_as_the_parsers_read_them() {
    let mut dice = Dice(1);
    let mut plain = 0;
    for _ in 0..4_000 {
        let mut text = String::new();
        block(&mut dice, 0, 3, &mut text);
        // Some are spoiled, so that what is nearly plain is met too.
        for _ in 0..dice.below(3).saturating_sub(1) {
            let at = dice.below(text.len() + 1);
            text.insert_str(at, dice.of(&NOISE));
        }
        plain += usize::from(is_plain(&text));
    }
    assert!(plain > 200, "only {plain} are plain");
}
