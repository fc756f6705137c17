//! What Forkyard says about its own inner life, for those who work on it: `FORKYARD_LOG=debug forkyard run …`.

use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Writes events up to the level in `FORKYARD_LOG` (error, warn, info, debug, trace) to stderr; without it, none.
pub fn start() {
    let level = std::env::var("FORKYARD_LOG")
        .ok()
        .and_then(|level| level.parse::<LevelFilter>().ok());
    if let Some(level) = level {
        let events = tracing_subscriber::fmt::layer()
            .with_writer(std::io::stderr)
            .with_ansi(false);
        tracing_subscriber::registry().with(level).with(events).init();
    }
}
