//! Clocks, and the end of a lifetime on them.

mod manual;

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

pub use self::manual::ManualClock;

/// The clocks that this crate reads, and its timer. Set one with
/// [`Settings::clock`](crate::Settings::clock); tests use [`ManualClock`].
///
/// A token is valid only while both the monotonic and the wall clock say so: a suspended machine
/// stops the first, and an operator can turn the second (A4).
pub trait Clock: Send + Sync + 'static {
    /// Returns the time since a fixed moment. It never goes back.
    fn monotonic(&self) -> Duration;

    /// Returns the time of the wall clock.
    fn wall(&self) -> SystemTime;

    /// Completes after `duration` on the monotonic clock. The client sleeps between two attempts,
    /// for up to 30 seconds. It also sleeps until the deadline of a call or of a token store while
    /// that is under way: a clock for tests must not complete such a sleep by itself, or every call
    /// times out before it begins.
    fn sleep(&self, duration: Duration) -> Sleep;
}

/// The future that [`Clock::sleep`] returns.
pub type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The clocks of this machine, and the timer of the tokio runtime that the call runs in.
///
/// On Linux it reads the coarse clocks, which advance with each tick of the kernel, every 1 to 10
/// milliseconds. They are cheap to read, and the lifetime of a token is measured in seconds.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[cfg(not(target_os = "linux"))]
    fn monotonic(&self) -> Duration {
        use std::sync::OnceLock;
        use std::time::Instant;
        static START: OnceLock<Instant> = OnceLock::new();
        START.get_or_init(Instant::now).elapsed()
    }

    #[cfg(not(target_os = "linux"))]
    fn wall(&self) -> SystemTime {
        SystemTime::now()
    }

    #[cfg(target_os = "linux")]
    fn monotonic(&self) -> Duration {
        coarse(rustix::time::ClockId::MonotonicCoarse)
    }

    #[cfg(target_os = "linux")]
    fn wall(&self) -> SystemTime {
        let since_epoch = coarse(rustix::time::ClockId::RealtimeCoarse);
        SystemTime::UNIX_EPOCH.checked_add(since_epoch).unwrap_or(SystemTime::UNIX_EPOCH)
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        Box::pin(tokio::time::sleep(duration))
    }
}

/// Reads a clock of the kernel. Returns zero before its epoch, as on a machine whose wall clock was
/// never set.
#[cfg(target_os = "linux")]
fn coarse(clock: rustix::time::ClockId) -> Duration {
    Duration::try_from(rustix::time::clock_gettime(clock)).unwrap_or_default()
}

/// Returns a random part of a wait, at least its half, so that processes that wait together do not
/// continue together.
#[cfg(any(feature = "outbound", feature = "pool"))]
pub(crate) fn jittered(whole: Duration) -> Duration {
    whole.mul_f64(0.5 + fastrand::f64() / 2.0)
}

/// A moment on both clocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    monotonic: Duration,
    wall: SystemTime,
}

impl Moment {
    pub(crate) fn now(clock: &dyn Clock) -> Self {
        Self { monotonic: clock.monotonic(), wall: clock.wall() }
    }

    fn advance(&mut self, by: Duration) {
        self.monotonic = self.monotonic.saturating_add(by);
        self.wall = self.wall.checked_add(by).unwrap_or(self.wall);
    }

    /// Whether it is earlier, on both clocks.
    pub(crate) fn is_before(&self, other: &Self) -> bool {
        self.monotonic < other.monotonic && self.wall < other.wall
    }

    /// How long ago `earlier` was on the wall clock, or `None` if it is in the future.
    pub(crate) fn since(&self, earlier: SystemTime) -> Option<Duration> {
        self.wall.duration_since(earlier).ok()
    }
}

/// The end of a lifetime on both clocks, and the clocks to compare it with.
#[derive(Clone)]
pub(crate) struct Deadline {
    from: Moment,
    lifetime: Duration,
    clock: Arc<dyn Clock>,
}

impl Deadline {
    pub(crate) fn after(from: Moment, lifetime: Duration, clock: &Arc<dyn Clock>) -> Self {
        Self { from, lifetime, clock: Arc::clone(clock) }
    }

    /// The remaining time, by the clock that has advanced further.
    pub(crate) fn remaining(&self) -> Duration {
        let on_monotonic = self.clock.monotonic().saturating_sub(self.from.monotonic);
        // A clock that was turned back to before the start counts as not advanced.
        let on_wall = self.clock.wall().duration_since(self.from.wall).unwrap_or_default();
        self.lifetime.saturating_sub(on_monotonic.max(on_wall))
    }

    /// The moment at which `slack` remains. Comparing with it is cheaper than computing what
    /// [`remaining`](Self::remaining) returns.
    pub(crate) fn before_end(&self, slack: Duration) -> Moment {
        let (from, until) = (self.from, self.lifetime.saturating_sub(slack));
        // If the wall clock cannot represent it, it counts as past.
        let wall = from.wall.checked_add(until).unwrap_or(SystemTime::UNIX_EPOCH);
        Moment { monotonic: from.monotonic.saturating_add(until), wall }
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        self.clock.as_ref()
    }

    pub(crate) fn is_past(&self) -> bool {
        self.remaining().is_zero()
    }

    /// Whether more than half of the lifetime remains.
    #[cfg(feature = "pool")]
    pub(crate) fn is_young(&self) -> bool {
        self.remaining() > self.lifetime.mul_f64(0.5)
    }

    /// The end on the wall clock, or `None` if that cannot represent it.
    pub(crate) fn wall(&self) -> Option<SystemTime> {
        self.from.wall.checked_add(self.lifetime)
    }

    /// The start on the wall clock.
    pub(crate) fn from(&self) -> SystemTime {
        self.from.wall
    }

    pub(crate) fn lifetime(&self) -> Duration {
        self.lifetime
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_system_clock_advances() {
        let began = std::time::Instant::now();
        let clock = SystemClock;
        let monotonic = clock.monotonic();
        let wall = clock.wall();
        let is_stuck = || clock.monotonic() <= monotonic || clock.wall() <= wall;
        while is_stuck() && began.elapsed() < 10 * SECOND {
            std::thread::yield_now();
        }
        assert!(!is_stuck());
        let off = SystemTime::now().duration_since(clock.wall()).unwrap_or_default();
        assert!(off < SECOND, "the wall clock is that of the machine");
    }
}
