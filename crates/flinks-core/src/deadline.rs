//! When a token expires, on both clocks (A4).

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::clock::Clock;

/// A moment on both clocks.
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

/// The lifetime of a token, and the clocks that it is measured with.
#[derive(Clone)]
pub struct Deadline {
    /// The first moment that is known on both clocks.
    from: Timestamps,
    /// How long the token was still valid at that moment.
    left: Duration,
    /// How old the token was at that moment.
    age: Duration,
    clock: Arc<dyn Clock>,
}

impl Deadline {
    /// Starts a lifetime at a moment.
    pub fn after(from: Timestamps, lifetime: Duration, clock: &Arc<dyn Clock>) -> Self {
        Self { from, left: lifetime, age: Duration::ZERO, clock: Arc::clone(clock) }
    }

    /// Continues a lifetime that started in another process, of which only the wall clock is known. `None` if it has ended, or if it
    /// starts in the future.
    pub fn continued(issued_at: SystemTime, lifetime: Duration, clock: &Arc<dyn Clock>) -> Option<Self> {
        let from = Timestamps::now(clock.as_ref());
        let age = from.wall.duration_since(issued_at).ok()?;
        let left = lifetime.checked_sub(age)?;
        if left.is_zero() {
            return None;
        }
        Some(Self { from, left, age, clock: Arc::clone(clock) })
    }

    /// Returns the time that is left, by the clock that leaves less of it.
    pub fn remaining(&self) -> Duration {
        let on_monotonic = self.clock.monotonic().saturating_sub(self.from.monotonic);
        // A wall clock that was turned back before the start does not count.
        let on_wall = self.clock.wall().duration_since(self.from.wall).unwrap_or_default();
        self.left.saturating_sub(on_monotonic.max(on_wall))
    }

    /// Returns whether no time is left.
    pub fn is_past(&self) -> bool {
        self.remaining().is_zero()
    }

    /// Returns whether more than half of the lifetime is left.
    pub fn has_half_left(&self) -> bool {
        self.remaining() > self.lifetime().mul_f64(0.5)
    }

    /// Returns the end on the wall clock, or `None` if that clock cannot represent it.
    pub fn wall(&self) -> Option<SystemTime> {
        self.from.wall.checked_add(self.left)
    }

    /// Returns the start of the lifetime on the wall clock.
    pub fn issued_at(&self) -> Option<SystemTime> {
        self.from.wall.checked_sub(self.age)
    }

    /// Returns the whole lifetime.
    pub fn lifetime(&self) -> Duration {
        self.left.saturating_add(self.age)
    }
}
