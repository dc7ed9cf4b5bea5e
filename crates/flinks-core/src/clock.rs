//! The clock of a client, which a test can replace.

use std::pin::Pin;
use std::time::{Duration, SystemTime};
#[cfg(not(target_os = "linux"))]
use std::{sync::OnceLock, time::Instant};

/// Where the client reads the time, and how it waits. Tests use a [`ManualClock`](crate::ManualClock).
///
/// The client reads two clocks, and a token is valid only while both say so (A4): the first stops while a machine is suspended, and
/// an operator can turn the second.
pub trait Clock: Send + Sync + 'static {
    /// The time since some fixed moment. It never goes back.
    fn monotonic(&self) -> Duration;

    /// The wall clock.
    fn wall(&self) -> SystemTime;

    /// Completes after `duration` on the monotonic clock. The client sleeps between two attempts, for up to 30 seconds. It also
    /// sleeps until the deadline of a call or of a token store while that is under way: a clock for tests must not complete
    /// such a sleep by itself, or every call times out before it begins.
    fn sleep(&self, duration: Duration) -> Sleep;
}

/// The future that [`Clock::sleep`] returns.
pub type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The clocks of this machine, and the timer of the tokio runtime that the call runs in. On Linux they are the coarse ones, which
/// go on with each tick of the kernel, 1 to 10 milliseconds: tokens live for seconds, and each look at one reads both.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[cfg(not(target_os = "linux"))]
    fn monotonic(&self) -> Duration {
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

/// The time on a clock of the kernel's. Before its beginning, as with a wall clock that was never set, it is zero.
#[cfg(target_os = "linux")]
fn coarse(clock: rustix::time::ClockId) -> Duration {
    Duration::try_from(rustix::time::clock_gettime(clock)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_system_clock_advances() {
        let began = Instant::now();
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
