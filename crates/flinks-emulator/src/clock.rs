//! The emulator's clock.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A clock that can be frozen and advanced.
///
/// Unless frozen, the clock runs at the speed of the machine's monotonic clock, and it never moves
/// backwards.
pub(crate) struct Clock {
    /// The time at `running_since`, or the current time if the clock is frozen.
    time: Duration,
    /// The instant at which `time` was measured, or `None` if the clock is frozen.
    running_since: Option<Instant>,
}

impl Clock {
    pub(crate) fn new(is_frozen: bool) -> Self {
        let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        if is_frozen {
            // Whole seconds are easier to read.
            return Self { time: Duration::from_secs(time.as_secs()), running_since: None };
        }
        Self { time, running_since: Some(Instant::now()) }
    }

    /// Returns the current time as a duration since the Unix epoch.
    pub(crate) fn now(&self) -> Duration {
        let elapsed = self.running_since.map_or(Duration::ZERO, |since| since.elapsed());
        self.time.saturating_add(elapsed)
    }

    pub(crate) fn is_frozen(&self) -> bool {
        self.running_since.is_none()
    }

    pub(crate) fn advance(&mut self, by: Duration) {
        self.time = self.time.saturating_add(by);
    }

    pub(crate) fn set_frozen(&mut self, is_frozen: bool) {
        if is_frozen == self.running_since.is_some() {
            *self = Self { time: self.now(), running_since: (!is_frozen).then(Instant::now) };
        }
    }
}
