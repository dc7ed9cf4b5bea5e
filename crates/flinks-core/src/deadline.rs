//! The expiry of a token, measured with the monotonic clock and the wall clock (A4).

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::clock::Clock;

/// The times of both clocks at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Timestamps {
    pub(crate) monotonic: Duration,
    pub(crate) wall: SystemTime,
}

impl Timestamps {
    /// Reads both clocks.
    pub fn now(clock: &dyn Clock) -> Self {
        Self { monotonic: clock.monotonic(), wall: clock.wall() }
    }

    pub(crate) fn advance(&mut self, by: Duration) {
        self.monotonic = self.monotonic.saturating_add(by);
        self.wall = self.wall.checked_add(by).unwrap_or(self.wall);
    }
}

/// The lifetime of a token, and the clock that measures it.
#[derive(Clone)]
pub struct Deadline {
    /// The earliest moment for which the times of both clocks are known.
    from: Timestamps,
    /// The remaining lifetime of the token at that moment.
    left: Duration,
    /// The age of the token at that moment.
    age: Duration,
    clock: Arc<dyn Clock>,
}

impl Deadline {
    /// Creates the deadline of a token that was issued at `from`.
    pub fn after(from: Timestamps, lifetime: Duration, clock: &Arc<dyn Clock>) -> Self {
        Self { from, left: lifetime, age: Duration::ZERO, clock: Arc::clone(clock) }
    }

    /// Creates the deadline of a token that another process obtained. Only the time of issue on the
    /// wall clock is known. Returns `None` if the token has expired, or if the time of issue is in
    /// the future.
    pub fn continued(issued_at: SystemTime, lifetime: Duration, clock: &Arc<dyn Clock>) -> Option<Self> {
        let from = Timestamps::now(clock.as_ref());
        let age = from.wall.duration_since(issued_at).ok()?;
        let left = lifetime.checked_sub(age)?;
        if left.is_zero() {
            return None;
        }
        Some(Self { from, left, age, clock: Arc::clone(clock) })
    }

    /// Returns the remaining lifetime, by the clock on which more time has passed.
    pub fn remaining(&self) -> Duration {
        let on_monotonic = self.clock.monotonic().saturating_sub(self.from.monotonic);
        // A wall clock that was set back to a time before `from` is ignored.
        let on_wall = self.clock.wall().duration_since(self.from.wall).unwrap_or_default();
        self.left.saturating_sub(on_monotonic.max(on_wall))
    }

    /// Returns whether the token has expired.
    pub fn is_past(&self) -> bool {
        self.remaining().is_zero()
    }

    /// Returns whether more than half of the lifetime remains.
    pub fn has_half_left(&self) -> bool {
        self.remaining() > self.lifetime().mul_f64(0.5)
    }

    /// Returns the end of the lifetime on the wall clock, or `None` if that clock cannot represent
    /// it.
    pub fn wall(&self) -> Option<SystemTime> {
        self.from.wall.checked_add(self.left)
    }

    /// Returns the start of the lifetime on the wall clock, or `None` if that clock cannot
    /// represent it.
    pub fn issued_at(&self) -> Option<SystemTime> {
        self.from.wall.checked_sub(self.age)
    }

    /// Returns the whole lifetime.
    pub fn lifetime(&self) -> Duration {
        self.left.saturating_add(self.age)
    }
}
