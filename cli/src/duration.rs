//! Durations as people read them. (How the language writes them is the core's affair.)

use std::time::Duration;

/// `12ms`, `3.2s`, `2m 5s`, `1h 2m`, `3d 4h`: two figures are enough to compare by.
pub fn human(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0 => format!("{}ms", duration.as_millis()),
        1..60 => format!("{seconds}.{}s", duration.subsec_millis() / 100),
        60..3600 => format!("{}m {}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h {}m", seconds / 3600, seconds / 60 % 60),
        86_400.. => format!("{}d {}h", seconds / 86_400, seconds / 3600 % 24),
    }
}

/// A running clock: `00:12`, `01:02:03`.
pub fn clock(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours == 0 {
        format!("{minutes:02}:{seconds:02}")
    } else {
        format!("{hours:02}:{minutes:02}:{seconds:02}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_figures_of_the_right_size() {
        let cases = [
            (0, "0ms"),
            (12, "12ms"),
            (999, "999ms"),
            (3_250, "3.2s"),
            (59_999, "59.9s"),
            (125_000, "2m 5s"),
            (3_720_000, "1h 2m"),
            (273_600_000, "3d 4h"),
        ];
        for (millis, text) in cases {
            assert_eq!(human(Duration::from_millis(millis)), text);
        }
    }

    #[test]
    fn the_clock_shows_hours_once_there_are_any() {
        assert_eq!(clock(Duration::from_secs(12)), "00:12");
        assert_eq!(clock(Duration::from_secs(3723)), "01:02:03");
    }
}
