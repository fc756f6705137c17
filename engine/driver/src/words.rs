//! The kernel's words for errors, as parts of our sentences.

use std::io;

use nix::errno::Errno;

/// The kernel's words for an error, to be used within a sentence.
pub(crate) fn reason(errno: Errno) -> String {
    let words = errno.desc();
    let mut letters = words.chars();
    match letters.next() {
        Some(first) => first.to_lowercase().chain(letters).collect(),
        None => format!("error {}", errno as i32),
    }
}

/// The same for an error of the standard library.
pub(crate) fn io_reason(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(number) => reason(Errno::from_raw(number)),
        None => error.to_string(),
    }
}
