//! Times and durations for people.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

/// Parses a duration such as `90s` or `1h 30m`, from a second to a year.
///
/// # Errors
///
/// Returns a message for the user.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
    match humantime::parse_duration(text) {
        Ok(duration) if (Duration::from_secs(1)..=YEAR).contains(&duration) => Ok(duration),
        Ok(_) => Err("must be from 1s to 365days".to_owned()),
        Err(_) => Err("expected a number with a unit, such as 90s, 1h or 7days".to_owned()),
    }
}

/// Returns the time in RFC 3339 format, in UTC and with a precision of one second.
pub(crate) fn utc(time: SystemTime) -> String {
    let mut text = String::new();
    // Formatting fails for a time after the year 9999.
    match write!(text, "{}", humantime::format_rfc3339_seconds(time)) {
        Ok(()) => text,
        Err(_) => "after the year 9999".to_owned(),
    }
}

/// Returns how far a time is from now, such as `in 29days 23h` or `2h 5m ago`.
pub(crate) fn relative(time: SystemTime, now: SystemTime) -> String {
    match time.duration_since(now) {
        Ok(remaining) => format!("in {}", duration(remaining)),
        Err(past) => format!("{} ago", duration(past.duration())),
    }
}

/// Formats a duration in its two largest units, such as `29days 23h`.
pub(crate) fn duration(duration: Duration) -> String {
    let seconds = Duration::from_secs(duration.as_secs());
    let text = humantime::format_duration(seconds).to_string();
    let units: Vec<&str> = text.split(' ').take(2).collect();
    units.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_limited() {
        assert_eq!(parse_duration("1h 30m"), Ok(Duration::from_secs(5400)));
        for text in ["0s", "999ms", "366days", "18446744073709551615s", "1", "x", ""] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn times_and_durations_are_readable() {
        let now = SystemTime::UNIX_EPOCH;
        let later = now.checked_add(Duration::from_secs(29 * 24 * 3600 + 23 * 3600 + 59)).unwrap();
        assert_eq!(utc(now), "1970-01-01T00:00:00Z");
        assert_eq!(relative(later, now), "in 29days 23h");
        assert_eq!(relative(now, later), "29days 23h ago");
        assert_eq!(relative(now, now), "in 0s");
        let distant = now.checked_add(Duration::from_secs(1 << 40)).unwrap();
        assert_eq!(utc(distant), "after the year 9999");
    }
}
