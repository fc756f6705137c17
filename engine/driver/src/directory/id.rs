//! Ids of runs: when they started, and four random letters.

use std::io;
use std::time::{SystemTime, UNIX_EPOCH};

use nix::libc;

const BASE36: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";

/// `YYYYMMDD-HHMMSS-xxxx` of now, in UTC.
pub fn fresh() -> io::Result<String> {
    let seconds = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    Ok(format!("{}-{}", stamp(seconds), letters(random()?)))
}

/// Whether this could be a run's id; whatever else comes from a command line must not become part of a path.
pub fn is_valid(id: &str) -> bool {
    let parts: Vec<&str> = id.split('-').collect();
    let [date, time, letters] = parts[..] else {
        return false;
    };
    let digits = |part: &str, length| part.len() == length && part.bytes().all(|byte| byte.is_ascii_digit());
    digits(date, 8) && digits(time, 6) && letters.len() == 4 && letters.bytes().all(|byte| BASE36.contains(&byte))
}

/// 16 random bytes from the kernel, which has them from its start on and needs no descriptor for it.
pub fn random() -> io::Result<[u8; 16]> {
    let mut bytes = [0; 16];
    // SAFETY: as many bytes are written as there are. So few are never cut short by a signal (`getrandom(2)`).
    let count = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) };
    match usize::try_from(count) {
        Ok(count) if count == bytes.len() => Ok(bytes),
        Ok(_) => Err(io::ErrorKind::UnexpectedEof.into()),
        Err(_) => Err(io::Error::last_os_error()),
    }
}

fn letters(random: [u8; 16]) -> String {
    let mut number = u128::from_le_bytes(random);
    (0..4)
        .map(|_| {
            let letter = BASE36[(number % 36) as usize];
            number /= 36;
            char::from(letter)
        })
        .collect()
}

/// `YYYYMMDD-HHMMSS` of a moment in seconds since 1970, by Howard Hinnant's `civil_from_days`
/// (<https://howardhinnant.github.io/date_algorithms.html>): years begin in March, so that the leap day is the last.
fn stamp(seconds: u64) -> String {
    const DAYS_0000_TO_1970: u64 = 719_468;
    const DAYS_PER_ERA: u64 = 146_097;
    let (days, second) = (seconds / 86_400 + DAYS_0000_TO_1970, seconds % 86_400);
    let (era, day_of_era) = (days / DAYS_PER_ERA, days % DAYS_PER_ERA);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}{month:02}{day:02}-{hour:02}{minute:02}{second:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_are_dates_in_utc() {
        assert_eq!(stamp(0), "19700101-000000");
        assert_eq!(stamp(951_782_399), "20000228-235959");
        assert_eq!(stamp(951_782_400), "20000229-000000");
        assert_eq!(stamp(1_709_251_199), "20240229-235959");
        assert_eq!(stamp(4_107_542_400), "21000301-000000");
    }

    #[test]
    fn ids_are_recognised_and_nothing_else_is() {
        let id = fresh().expect("the kernel gives random bytes");
        assert!(is_valid(&id), "{id}");
        for wrong in [
            "",
            "..",
            "20261123-141500",
            "20261123-141500-../x",
            "20261123-141500-ABCD",
            "x-y-z",
        ] {
            assert!(!is_valid(wrong), "{wrong}");
        }
    }
}
