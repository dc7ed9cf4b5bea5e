//! A client's clock, which tests can replace.

use std::pin::Pin;
use std::time::{Duration, SystemTime};
#[cfg(not(target_os = "linux"))]
use std::{sync::OnceLock, time::Instant};

#[cfg(target_os = "linux")]
use rustix::time::{ClockId, Secs, Timespec, clock_gettime};

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

    /// Returns whether the monotonic clock shows a time before `monotonic` and the wall clock
    /// shows a time less than `since_epoch` after the Unix epoch.
    ///
    /// This method is called each time a cached token is read. [`SystemClock`] implements the
    /// method without converting the times; for any other clock, the default implementation is
    /// sufficient.
    fn is_before(&self, monotonic: Duration, since_epoch: Duration) -> bool {
        let wall = self.wall().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        self.monotonic() < monotonic && wall < since_epoch
    }

    /// Returns a future that completes once `duration` has passed on the monotonic clock.
    ///
    /// The client sleeps for up to 30 seconds between attempts. The client also uses a sleep as the
    /// deadline for a call or a token store operation. If a test clock completed such a sleep
    /// immediately, every call would time out before it started.
    fn sleep(&self, duration: Duration) -> Sleep;
}

/// The future that [`Clock::sleep`] returns.
pub type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

/// This machine's clocks and the timer of the current Tokio runtime.
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
        read_coarse(ClockId::MonotonicCoarse)
    }

    #[cfg(target_os = "linux")]
    fn wall(&self) -> SystemTime {
        let since_epoch = read_coarse(ClockId::RealtimeCoarse);
        SystemTime::UNIX_EPOCH.checked_add(since_epoch).unwrap_or(SystemTime::UNIX_EPOCH)
    }

    #[cfg(target_os = "linux")]
    fn is_before(&self, monotonic: Duration, since_epoch: Duration) -> bool {
        is_coarse_before(ClockId::MonotonicCoarse, monotonic) && is_coarse_before(ClockId::RealtimeCoarse, since_epoch)
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        Box::pin(tokio::time::sleep(duration))
    }
}

/// Reads one of the kernel's clocks. Returns zero for a time before the epoch, which a wall clock
/// that was never set may show.
#[cfg(target_os = "linux")]
fn read_coarse(clock: ClockId) -> Duration {
    Duration::try_from(clock_gettime(clock)).unwrap_or_default()
}

/// Returns whether one of the kernel's clocks shows a time before `time`. Compares the seconds and
/// the nanoseconds as the kernel stores them.
#[cfg(target_os = "linux")]
fn is_coarse_before(clock: ClockId, time: Duration) -> bool {
    clock_gettime(clock) < to_timespec(time)
}

#[cfg(target_os = "linux")]
fn to_timespec(time: Duration) -> Timespec {
    let tv_sec = time.as_secs().try_into().unwrap_or(Secs::MAX);
    Timespec { tv_sec, tv_nsec: time.subsec_nanos().into() }
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

    /// A clock with the default implementation of `is_before`.
    struct Converting;

    impl Clock for Converting {
        fn monotonic(&self) -> Duration {
            SystemClock.monotonic()
        }

        fn wall(&self) -> SystemTime {
            SystemClock.wall()
        }

        fn sleep(&self, duration: Duration) -> Sleep {
            SystemClock.sleep(duration)
        }
    }

    #[test]
    fn a4_a_moment_is_ahead_only_if_both_clocks_are_before_it() {
        let clocks: [&dyn Clock; 2] = [&SystemClock, &Converting];
        for clock in clocks {
            let since_boot = clock.monotonic();
            let since_epoch = clock.wall().duration_since(SystemTime::UNIX_EPOCH).unwrap();
            // The clocks advance during this test, but not by a minute.
            let minute = 60 * SECOND;
            assert!(clock.is_before(since_boot + minute, since_epoch + minute));
            assert!(clock.is_before(Duration::MAX, Duration::MAX));
            assert!(!clock.is_before(since_boot, since_epoch + minute), "only the wall clock is before the moment");
            assert!(
                !clock.is_before(since_boot + minute, since_epoch),
                "only the monotonic clock is before the moment"
            );
            assert!(!clock.is_before(Duration::ZERO, Duration::MAX));
            assert!(!clock.is_before(Duration::MAX, Duration::ZERO));
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a4_the_kernels_clocks_are_compared_to_the_nanosecond() {
        let second = Duration::from_secs(7);
        let nanosecond = Duration::from_nanos(1);
        assert_eq!(to_timespec(second), Timespec { tv_sec: 7, tv_nsec: 0 });
        assert!(to_timespec(second) < to_timespec(second + nanosecond));
        assert!(to_timespec(second - nanosecond) < to_timespec(second));
        assert!(Timespec { tv_sec: -1, tv_nsec: 999_999_999 } < to_timespec(Duration::ZERO));
    }
}
