//! How long a verb waits: for ever, not at all, or so long.

use std::time::Duration;

use forkyard_core::spec;
use forkyard_ipc::client::Patience;

/// The arguments of every verb that can block.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Wait {
    /// Wait so long at most, for instance 250ms, 3s or 2m; exit with 1 when it was in vain
    #[arg(long, value_name = "DURATION", value_parser = span, allow_hyphen_values = true, conflicts_with = "no_block")]
    timeout: Option<Duration>,

    /// Do not wait; exit with 1 when it cannot be done at once
    #[arg(long)]
    no_block: bool,
}

impl Wait {
    /// As the client wants it.
    pub const fn patience(&self) -> Patience {
        match (self.no_block, self.timeout) {
            (true, _) => Patience::Try,
            (false, Some(timeout)) => Patience::For(timeout),
            (false, None) => Patience::Block,
        }
    }
}

/// A duration of the command line, which may be none: `0s`.
pub fn span(text: &str) -> Result<Duration, String> {
    match spec::duration(text) {
        Some(duration) => Ok(duration),
        None if text
            .strip_prefix('-')
            .is_some_and(|text| spec::duration(text).is_some()) =>
        {
            Err("a duration cannot be negative".to_owned())
        }
        None => Err("a duration is written as 250ms, 3s, 2m or 1h30m".to_owned()),
    }
}

/// One that is longer than none.
pub fn some_span(text: &str) -> Result<Duration, String> {
    let duration = span(text)?;
    if duration.is_zero() {
        return Err("in no time nothing becomes ready: it has to be longer".to_owned());
    }
    Ok(duration)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_those_of_the_language() {
        assert_eq!(span("1h30m"), Ok(Duration::from_mins(90)));
        assert_eq!(span("0s"), Ok(Duration::ZERO));
        assert!(some_span("0s").is_err());
        assert_eq!(some_span("1s"), Ok(Duration::from_secs(1)));
        assert_eq!(span("-5s"), Err("a duration cannot be negative".to_owned()));
        for wrong in ["5", "", "-", "--json"] {
            assert!(span(wrong).is_err_and(|why| why.contains("is written as")), "{wrong}");
        }
    }
}
