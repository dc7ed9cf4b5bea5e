//! Times and durations for people.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

/// Returns the time in the format of RFC 3339, in UTC and with seconds.
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

/// Returns a duration with its two largest units, such as `29days 23h`.
pub(crate) fn duration(duration: Duration) -> String {
    let seconds = Duration::from_secs(duration.as_secs());
    let text = humantime::format_duration(seconds).to_string();
    let units: Vec<&str> = text.split(' ').take(2).collect();
    units.join(" ")
}
