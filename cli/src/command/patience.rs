//! How long a verb waits: for ever, not at all, or so long.

use std::time::Duration;

use forkyard_core::spec;
use forkyard_ipc::client::Patience;

/// The arguments of every verb that can block.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Wait {
    /// Wait so long at most, for instance 250ms, 3s or 2m; exit with 1 when it was in vain
    #[arg(long, value_name = "DURATION", value_parser = duration, conflicts_with = "no_block")]
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

/// A duration of the command line.
pub fn duration(text: &str) -> Result<Duration, String> {
    spec::duration(text).ok_or_else(|| "a duration is written as 250ms, 3s, 2m or 1h30m".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_those_of_the_language() {
        assert_eq!(duration("1h30m"), Ok(Duration::from_mins(90)));
        assert!(duration("5").is_err());
        assert!(duration("").is_err());
    }
}
