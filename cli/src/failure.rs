//! Why a command could not do its work: words for people, and an exit code.

use std::fmt;
use std::io;

use crate::exit;

/// The end of a command that did not get to its own exit code.
#[derive(Debug)]
pub enum Failure {
    /// To be said on stderr, after the name of the command.
    Words {
        /// The exit code.
        exit: u8,
        /// What is wrong and what to do, without a full stop.
        message: String,
    },
    /// Nothing to say: whoever read stdout has gone, and knows.
    ReaderGone,
}

impl Failure {
    /// Bad usage, or a workflow that cannot be run: exit code 2.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::Words {
            exit: exit::INVALID,
            message: message.into(),
        }
    }

    /// The command could not do its work: exit code 3.
    pub fn unable(message: impl Into<String>) -> Self {
        Self::Words {
            exit: exit::UNABLE,
            message: message.into(),
        }
    }

    /// stdout could not be written.
    pub fn output(error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::ReaderGone;
        }
        Self::unable(format!("cannot write to stdout: {}", reason(error)))
    }

    /// The code to exit with.
    pub const fn exit(&self) -> u8 {
        match self {
            Self::Words { exit, .. } => *exit,
            Self::ReaderGone => exit::BROKEN_PIPE,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Words { message, .. } => f.write_str(message),
            Self::ReaderGone => f.write_str("stdout is closed"),
        }
    }
}

/// In commands every bare I/O error is one of stdout: all others are put into words where they arise.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::output(&error)
    }
}

/// What the system says, without its number: `no space left on device`.
pub fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    let Some(end) = text.find(" (os error") else {
        return text;
    };
    let mut characters = text[..end].chars();
    let first = characters.next().map(|first| first.to_ascii_lowercase());
    first.into_iter().chain(characters).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gone_reader_is_no_news_and_a_full_disk_is() {
        let gone = Failure::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert!(matches!(gone, Failure::ReaderGone));
        assert_eq!(gone.exit(), 141);
        let full = Failure::from(io::Error::from(io::ErrorKind::StorageFull));
        assert_eq!(full.exit(), exit::UNABLE);
        assert_eq!(full.to_string(), "cannot write to stdout: no storage space");
        let full = Failure::from(io::Error::from_raw_os_error(28));
        assert_eq!(full.to_string(), "cannot write to stdout: no space left on device");
    }
}
