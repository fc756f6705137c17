//! What can be said of a script without running it: which file it begins with, where that is certain.

use std::path::Path;

use forkyard_core::spec::Program;

/// Shells whose scripts are understood this far.
const SHELLS: [&str; 5] = ["sh", "bash", "dash", "zsh", "ksh"];

/// Options of Python that take no value, and change nothing about what the next word is.
const PYTHON_FLAGS: [&str; 9] = ["-u", "-B", "-E", "-s", "-S", "-O", "-OO", "-I", "-q"];

/// The path that a script for a shell begins with, when it is one command: the shell would fail for want of it. Nothing
/// for a script that has a way to go on, or whose first word is found in another way.
pub(super) fn first_path(program: &Program) -> Option<&str> {
    let script = script(program)?;
    let first = script.split_whitespace().next()?;
    (first.contains('/') && is_plain(first)).then_some(first)
}

/// The file that an interpreter is given to execute: `train.py` of `python3 -u train.py --fast`.
pub(super) fn interpreted(program: &Program) -> Option<&str> {
    if program.script {
        let words = script(program)?.split_whitespace();
        return file_of(&words.collect::<Vec<_>>());
    }
    let words: Vec<&str> = program.argv.iter().map(String::as_str).collect();
    file_of(&words)
}

/// A script of one command, for a shell.
fn script(program: &Program) -> Option<&str> {
    let [shell, .., option, script] = program.argv.as_slice() else {
        return None;
    };
    let is_shell = program.script && SHELLS.contains(&base(shell)) && option == "-c";
    let goes_on = |character: char| matches!(character, ';' | '|' | '&' | '\n' | '`' | '#' | '<' | '>' | '(' | ')');
    let script = script.trim();
    (is_shell && !script.contains(goes_on)).then_some(script)
}

fn file_of<'a>(words: &[&'a str]) -> Option<&'a str> {
    let (interpreter, words) = words.split_first()?;
    let interpreter = base(interpreter);
    let is_python = interpreter
        .strip_prefix("python")
        .is_some_and(|version| version.chars().all(|it| it.is_ascii_digit() || it == '.'));
    let mut words = words
        .iter()
        .skip_while(|word| is_python && PYTHON_FLAGS.contains(*word));
    let file = words.next().filter(|word| !word.starts_with('-') && is_plain(word))?;
    // A shell looks for a bare name on `PATH` too.
    let is_certain = is_python || matches!(interpreter, "perl" | "ruby");
    (is_certain || (SHELLS.contains(&interpreter) && file.contains('/'))).then_some(file)
}

/// The name of a program without its folder.
fn base(program: &str) -> &str {
    Path::new(program)
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or(program)
}

/// Whether a shell takes the word as it is.
fn is_plain(word: &str) -> bool {
    let is_plain = |it: char| it.is_alphanumeric() || matches!(it, '_' | '.' | '/' | '-' | '+' | ',' | ':' | '@' | '%');
    !word.is_empty() && word.chars().all(is_plain)
}

#[cfg(test)]
mod tests {
    use forkyard_core::source::Span;

    use super::*;

    fn program(words: &[&str], script: bool) -> Program {
        Program {
            argv: words.iter().map(ToString::to_string).collect(),
            script,
            place: Span::default(),
        }
    }

    fn script_of(text: &str) -> Program {
        program(&["sh", "-c", text], true)
    }

    #[test]
    fn a_script_of_one_command_begins_with_a_path() {
        assert_eq!(first_path(&script_of("./split --fast \"$FILE\"")), Some("./split"));
        assert_eq!(
            first_path(&program(&["bash", "-e", "-c", "bin/split"], true)),
            Some("bin/split")
        );
        for text in [
            "split",
            "./split || true",
            "cd x; ./split",
            "$BIN/split",
            "A=./b ./split",
            "~/split",
            "./split # no",
        ] {
            assert_eq!(first_path(&script_of(text)), None, "{text}");
        }
        assert_eq!(first_path(&program(&["python3", "-c", "./split"], true)), None);
        assert_eq!(first_path(&program(&["./split"], false)), None);
    }

    #[test]
    fn interpreters_are_given_a_file() {
        let list = |words: &[&str]| interpreted(&program(words, false)).map(str::to_owned);
        assert_eq!(
            list(&["python3", "-u", "train.py", "--fast"]).as_deref(),
            Some("train.py")
        );
        assert_eq!(list(&["/usr/bin/perl", "a.pl"]).as_deref(), Some("a.pl"));
        assert_eq!(list(&["sh", "./a.sh"]).as_deref(), Some("./a.sh"));
        assert_eq!(interpreted(&script_of("python3.12 a.py")), Some("a.py"));
        for words in [
            &["python3", "-m", "http.server"][..],
            &["python3"],
            &["sh", "a.sh"],
            &["sh", "-x", "./a.sh"],
            &["pythonista", "a.py"],
            &["cat", "a.py"],
        ] {
            assert_eq!(list(words), None, "{words:?}");
        }
    }
}
