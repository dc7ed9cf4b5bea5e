//! The clock of a client, which tests can replace.

use std::pin::Pin;
use std::time::{Duration, SystemTime};
#[cfg(not(target_os = "linux"))]
use std::{sync::OnceLock, time::Instant};

/// A clock that a client uses to read the time and to wait. Tests use a
/// [`ManualClock`](crate::ManualClock).
///
/// A client reads a monotonic clock and a wall clock, and considers a token valid only if it is
/// valid according to both clocks. The monotonic clock may stop while the machine is suspended, and
/// the wall clock may be changed.
pub trait Clock: Send + Sync + 'static {
    /// Returns the time elapsed since a fixed moment. This time never decreases.
    fn monotonic(&self) -> Duration;

    /// Returns the wall-clock time.
    fn wall(&self) -> SystemTime;

    /// Returns a future that completes after `duration` on the monotonic clock.
    ///
    /// The client sleeps for up to 30 seconds between attempts. The client also uses a sleep as the
    /// deadline for a call or a token store operation. If a test clock completed such a sleep on
    /// its own, every call would time out before it starts.
    fn sleep(&self, duration: Duration) -> Sleep;
}

/// The future that [`Clock::sleep`] returns.
pub type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The clocks of this machine and the timer of the current Tokio runtime.
///
/// On Linux, this type reads the coarse clocks, which the kernel updates every 1 to 10
/// milliseconds. The coarse clocks are precise enough for token lifetimes, which are measured in
/// seconds. Coarse clocks are also fast to read, which matters because every token check reads both
/// clocks.
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
        read_coarse(rustix::time::ClockId::MonotonicCoarse)
    }

    #[cfg(target_os = "linux")]
    fn wall(&self) -> SystemTime {
        let since_epoch = read_coarse(rustix::time::ClockId::RealtimeCoarse);
        SystemTime::UNIX_EPOCH.checked_add(since_epoch).unwrap_or(SystemTime::UNIX_EPOCH)
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        Box::pin(tokio::time::sleep(duration))
    }
}

/// Reads one of the kernel's clocks. Returns zero for a time before the epoch. A wall clock that
/// was never set may show a time before the epoch.
#[cfg(target_os = "linux")]
fn read_coarse(clock: rustix::time::ClockId) -> Duration {
    Duration::try_from(rustix::time::clock_gettime(clock)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_system_clock_advances() {
        let started = Instant::now();
        let clock = SystemClock;
        let monotonic = clock.monotonic();
        let wall = clock.wall();
        let is_stuck = || clock.monotonic() <= monotonic || clock.wall() <= wall;
        while is_stuck() && started.elapsed() < 10 * SECOND {
            std::thread::yield_now();
        }
        assert!(!is_stuck());
        let behind = SystemTime::now().duration_since(clock.wall()).unwrap_or_default();
        assert!(behind < SECOND, "the wall clock differs from that of the machine");
    }
}
