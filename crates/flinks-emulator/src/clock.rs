//! The emulator's own time.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Runs with the machine's monotonic clock, or stands still, and can be put forward.
pub(crate) struct Clock {
    /// The wall clock at the start, since the Unix epoch: it only makes the numbers look like today's.
    start: Duration,
    started: Instant,
    advanced: Duration,
}

impl Clock {
    pub(crate) fn new() -> Self {
        let start = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        // Whole seconds, so that a clock that stands still reads well.
        Self { start: Duration::from_secs(start.as_secs()), started: Instant::now(), advanced: Duration::ZERO }
    }

    /// Now, since the Unix epoch.
    pub(crate) fn now(&self, frozen: bool) -> Duration {
        let ran = if frozen { Duration::ZERO } else { self.started.elapsed() };
        self.start.saturating_add(self.advanced).saturating_add(ran)
    }

    pub(crate) fn advance(&mut self, by: Duration) {
        self.advanced = self.advanced.saturating_add(by);
    }
}
