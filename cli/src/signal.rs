//! Signals by name.

use nix::sys::signal::Signal;

/// `SIGKILL` for 9; `signal 40` for one that has no name of its own.
pub fn name(number: i32) -> String {
    Signal::try_from(number).map_or_else(|_| format!("signal {number}"), |signal| signal.as_str().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_what_has_a_name() {
        assert_eq!(name(9), "SIGKILL");
        assert_eq!(name(13), "SIGPIPE");
        assert_eq!(name(40), "signal 40");
        assert_eq!(name(0), "signal 0");
    }
}
