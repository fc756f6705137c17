//! Characters that look like others: a word with one of them is not the word that it seems to be.

use crate::source::is_invisible;

/// What a character is called, and for which characters of ASCII its like are taken.
struct Alphabet {
    name: &'static str,
    /// Pairs: the character, and the one that it looks like.
    letters: &'static str,
}

/// The letters that are drawn as those of ASCII are in most fonts, of Unicode's confusables
/// (<https://www.unicode.org/reports/tr39/#Confusable_Detection>).
const ALPHABETS: [Alphabet; 5] = [
    Alphabet {
        name: "Cyrillic letter",
        letters: "аaеeѕsіiјjкkоoрpсcуyхxԁdԛqԝwһhӏlАAВBЕEЅSІIЈJКKМMНHОOРPСCТTУYХXҮY",
    },
    Alphabet {
        name: "Greek letter",
        letters: "αaγyιiκkνvοoρpυuχxϲcϳjΑAΒBΕEΖZΗHΙIΚKΜMΝNΟOΡPΤTΥYΧX",
    },
    Alphabet {
        name: "Armenian letter",
        letters: "օoսuոnհhցgզq",
    },
    Alphabet {
        name: "letter",
        letters: "ıiɑaɡgⅰiⅴvⅹxⅼlⅽcⅾdⅿmſfℓl",
    },
    Alphabet {
        name: "dash",
        letters: "‐-‑-‒-–-—-−-",
    },
];

/// The first of the 52 letters of each style of mathematics, and the first of its ten digits.
const MATHEMATICAL: (u32, u32) = (0x1D400, 0x1D7CE);

/// The word as it seems to be written in ASCII; `None` if it is, or seems to be written in other letters.
pub(crate) fn seeming(word: &str) -> Option<String> {
    if word.is_ascii() {
        return None;
    }
    let mut seeming = String::with_capacity(word.len());
    for character in word.chars().filter(|&character| !is_invisible(character)) {
        seeming.push(if character.is_ascii() {
            character
        } else {
            twin(character)?.0
        });
    }
    Some(seeming)
}

/// What to say to who wrote `word` where `near` is known.
pub(crate) fn meant(word: &str, near: &str) -> String {
    say(word, near, &format!("`{near}`"))
}

/// The same, with the kind of what is known: `the queue`.
pub(crate) fn meant_as(word: &str, kind: &str, near: &str) -> String {
    say(word, near, &format!("the {kind} `{near}`"))
}

fn say(word: &str, near: &str, shown: &str) -> String {
    match difference(word).filter(|_| seeming(word).is_some_and(|seeming| seeming == near)) {
        Some(difference) => format!("it looks like {shown} but has {difference}"),
        None => format!("did you mean {shown}?"),
    }
}

/// The first character of a word that seems to be another: `the Cyrillic letter U+0456`.
pub(crate) fn difference(word: &str) -> Option<String> {
    word.chars()
        .filter(|character| !character.is_ascii())
        .find_map(|character| {
            let name = if is_invisible(character) {
                "invisible character"
            } else {
                twin(character)?.1
            };
            Some(format!("the {name} U+{:04X}", u32::from(character)))
        })
}

/// The character of ASCII that a character looks like, and what it is itself.
fn twin(character: char) -> Option<(char, &'static str)> {
    let code = u32::from(character);
    if let fullwidth @ 0xFF01..=0xFF5E = code {
        return Some((char::from_u32(fullwidth - 0xFEE0)?, "fullwidth character"));
    }
    let (letters, digits) = MATHEMATICAL;
    if (letters..letters + 13 * 52).contains(&code) {
        let letter = u8::try_from((code - letters) % 52).ok()?;
        let first = if letter < 26 { b'A' } else { b'a' - 26 };
        return Some((char::from(first + letter), "mathematical letter"));
    }
    if (digits..digits + 5 * 10).contains(&code) {
        let digit = u8::try_from((code - digits) % 10).ok()?;
        return Some((char::from(b'0' + digit), "mathematical digit"));
    }
    ALPHABETS.iter().find_map(|alphabet| {
        let mut letters = alphabet.letters.chars();
        while let (Some(letter), Some(twin)) = (letters.next(), letters.next()) {
            if letter == character {
                return Some((twin, alphabet.name));
            }
        }
        None
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alphabets_are_pairs() {
        for alphabet in &ALPHABETS {
            let letters: Vec<char> = alphabet.letters.chars().collect();
            assert!(
                letters.chunks(2).all(|pair| !pair[0].is_ascii() && pair[1].is_ascii()),
                "{}",
                alphabet.name
            );
        }
    }

    #[test]
    fn a_word_says_what_it_has_instead() {
        let said = |word| meant(word, "lines-2");
        assert_eq!(
            said("lіnes-2"),
            "it looks like `lines-2` but has the Cyrillic letter U+0456"
        );
        assert_eq!(said("linεs-2"), "did you mean `lines-2`?");
        assert_eq!(
            said("lιnes-2"),
            "it looks like `lines-2` but has the Greek letter U+03B9"
        );
        assert_eq!(
            said("ｌines-2"),
            "it looks like `lines-2` but has the fullwidth character U+FF4C"
        );
        assert_eq!(
            said("𝐥𝐢𝐧𝐞𝐬-𝟐"),
            "it looks like `lines-2` but has the mathematical letter U+1D425"
        );
        assert_eq!(said("lines–2"), "it looks like `lines-2` but has the dash U+2013");
        assert_eq!(
            said("li\u{200b}nes-2"),
            "it looks like `lines-2` but has the invisible character U+200B"
        );
        assert_eq!(said("liens-2"), "did you mean `lines-2`?");
    }

    #[test]
    fn other_words_seem_to_be_nothing_else() {
        assert_eq!(seeming("größe"), None);
        assert_eq!(seeming("строка"), None);
        assert_eq!(seeming("plain"), None);
    }
}
