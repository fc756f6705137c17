//! What stdout is, and whether colours are wanted.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;

use clap::ValueEnum;

use crate::report::Colors;

/// When to use colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum When {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Columns to assume where there is no terminal to ask.
const WIDTH_DEFAULT: usize = 100;

impl When {
    /// Whether a stream gets colours.
    pub fn colors(self, stream: &impl IsTerminal) -> Colors {
        let wanted = match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto => {
                stream.is_terminal() && !is_set("NO_COLOR") && std::env::var_os("TERM").is_none_or(|t| t != "dumb")
            }
        };
        if wanted { Colors::Pass } else { Colors::Drop }
    }
}

/// As <https://no-color.org> has it: an empty variable does not count.
fn is_set(variable: &str) -> bool {
    std::env::var_os(variable).is_some_and(|value| !value.is_empty())
}

/// The number of columns of the terminal.
pub fn width() -> usize {
    terminal_size::terminal_size().map_or(WIDTH_DEFAULT, |(width, _)| usize::from(width.0))
}

/// Says something on stderr. When that cannot be written either, there is nobody left to be told.
pub fn complain(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Whether what is written to a stream is seen by nobody: it is `/dev/null`, which has the same number on every Linux, 1 and 3.
pub fn is_null(stream: &impl AsFd) -> bool {
    let null = nix::sys::stat::makedev(1, 3);
    nix::sys::stat::fstat(stream).is_ok_and(|stream| stream.st_rdev == null && is_device(stream.st_mode))
}

fn is_device(mode: nix::libc::mode_t) -> bool {
    mode & nix::libc::S_IFMT == nix::libc::S_IFCHR
}

/// stdout as a plain file, which tells of every error and holds nothing back.
pub fn unbuffered_stdout() -> io::Result<File> {
    Ok(File::from(io::stdout().as_fd().try_clone_to_owned()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_no_colors_unless_told() {
        let file = tempfile::tempfile().expect("a temporary file can be made");
        assert_eq!(When::Auto.colors(&file), Colors::Drop);
        assert_eq!(When::Never.colors(&file), Colors::Drop);
        assert_eq!(When::Always.colors(&file), Colors::Pass);
    }
}
