//! The emulator's own time.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Runs with the machine's monotonic clock, or stands still, and can be put forward. It never goes back.
pub(crate) struct Clock {
    /// The time at `running_since`, or now where it stands still.
    time: Duration,
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

    /// Now, since the Unix epoch.
    pub(crate) fn now(&self) -> Duration {
        let ran = self.running_since.map_or(Duration::ZERO, |since| since.elapsed());
        self.time.saturating_add(ran)
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
