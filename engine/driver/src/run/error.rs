//! Why a run could not be done by the engine itself.

use std::fmt;
use std::io;
use std::sync::Arc;

use crate::words::io_reason;

/// The engine could not do its work: exit code 3.
#[derive(Debug)]
pub enum RunError {
    /// It could not begin.
    Begin {
        /// What it could not do.
        what: &'static str,
        /// Why not.
        error: io::Error,
    },
    /// Its records, or another file of the run's directory, could not be written.
    Directory(io::Error),
    /// Something failed when everything had been decided: the end itself could not be kept.
    Late(Arc<str>),
    /// It has a fault; everything it had started has been stopped.
    Panicked,
}

impl RunError {
    pub(super) fn begin(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::Begin { what, error }
    }
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Begin { what, error } => write!(f, "the engine cannot {what}: {}", io_reason(error)),
            Self::Directory(error) => write!(f, "the run's directory cannot be written: {}", io_reason(error)),
            Self::Late(reason) => f.write_str(reason),
            Self::Panicked => f.write_str(
                "the engine has a fault (see the message above); everything it had started has been stopped",
            ),
        }
    }
}

impl std::error::Error for RunError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Begin { error, .. } | Self::Directory(error) => Some(error),
            Self::Late(_) | Self::Panicked => None,
        }
    }
}
