//! Token expiry, measured with the monotonic clock and the wall clock (A4).

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::clock::Clock;

/// The time on both clocks at one moment.
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

/// The lifetime of a token and the clock that measures it.
#[derive(Clone)]
pub struct Deadline {
    /// The earliest moment for which the time on both clocks is known.
    from: Timestamps,
    /// The remaining lifetime of the token at `from`.
    left: Duration,
    /// The age of the token at `from`.
    age: Duration,
    clock: Arc<dyn Clock>,
}

impl Deadline {
    /// Creates the deadline for a token that was issued at `from`.
    pub fn after(from: Timestamps, lifetime: Duration, clock: &Arc<dyn Clock>) -> Self {
        Self { from, left: lifetime, age: Duration::ZERO, clock: Arc::clone(clock) }
    }

    /// Creates the deadline for a token that another process requested. For such a token, only the
    /// wall-clock time of issue is known. Returns `None` if the token has expired or its issue time
    /// is in the future.
    pub fn continued(issued_at: SystemTime, lifetime: Duration, clock: &Arc<dyn Clock>) -> Option<Self> {
        let from = Timestamps::now(clock.as_ref());
        let age = from.wall.duration_since(issued_at).ok()?;
        let left = lifetime.checked_sub(age)?;
        if left.is_zero() {
            return None;
        }
        Some(Self { from, left, age, clock: Arc::clone(clock) })
    }

    /// Returns the remaining lifetime according to the clock that has advanced further.
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

    /// Returns the wall-clock time when the lifetime ends, or `None` if that time cannot be
    /// represented.
    pub fn wall(&self) -> Option<SystemTime> {
        self.from.wall.checked_add(self.left)
    }

    /// Returns the wall-clock time when the lifetime started, or `None` if that time cannot be
    /// represented.
    pub fn issued_at(&self) -> Option<SystemTime> {
        self.from.wall.checked_sub(self.age)
    }

    /// Returns the whole lifetime.
    pub fn lifetime(&self) -> Duration {
        self.left.saturating_add(self.age)
    }
}
