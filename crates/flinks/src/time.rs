//! Time, which can be injected.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime};

/// Where this crate reads the time, and how it waits. For tests there is [`ManualClock`]; it, or one of your own, goes into
/// [`Settings::clock`](crate::Settings::clock).
///
/// Two clocks are asked, and a token is valid only while both say so (A4): a suspended machine stops the first, an operator
/// can turn the second.
pub trait Clock: Send + Sync + 'static {
    /// The time since some fixed moment. It never goes back.
    fn monotonic(&self) -> Duration;

    /// The wall clock.
    fn wall(&self) -> SystemTime;

    /// Completes after `duration` on the monotonic clock. It is both the wait between two tries, up to 30 seconds, and the
    /// deadline of a call, or of a token store, which runs against the call itself: a clock for tests must not complete the
    /// latter by itself, or every call is over before it began.
    fn sleep(&self, duration: Duration) -> Sleep;
}

/// What [`Clock::sleep`] gives.
pub type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The clocks of this machine, and the timer of the tokio runtime that the call runs in. On Linux they are the coarse ones, which
/// go on with each tick of the kernel, 1 to 10 milliseconds: tokens live for seconds, and each look at one reads both.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[cfg(not(target_os = "linux"))]
    fn monotonic(&self) -> Duration {
        use std::{sync::OnceLock, time::Instant};
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

/// A clock for tests: it stands still until it is moved. Cloning is cheap; clones are the same clock.
///
/// ```
/// use std::time::Duration;
///
/// use flinks::{ManualClock, Settings};
///
/// let clock = ManualClock::new();
/// let settings = Settings::new().clock(clock.clone()).max_attempts(1);
/// // … a client with these settings, and a token that lives for 299 seconds. Then:
/// clock.advance(Duration::from_secs(299));
/// ```
///
/// Whatever waits does so until it is moved far enough: between two tries, if there may be more than one; for the second
/// between two exchanges of one consent; for another process that exchanges. It moves the client only: the emulator has a
/// clock of its own, with an `advance` of its own.
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<Mutex<Manual>>);

#[derive(Debug)]
struct Manual {
    monotonic: Duration,
    wall: SystemTime,
    /// Of each sleep that was polled, by its number.
    waiting: HashMap<u64, Waker>,
    sleeps: u64,
}

impl ManualClock {
    /// At the time of this machine.
    pub fn new() -> Self {
        let (wall, waiting) = (SystemTime::now(), HashMap::new());
        Self(Arc::new(Mutex::new(Manual { monotonic: Duration::ZERO, wall, waiting, sleeps: 0 })))
    }

    /// Moves both clocks on, and ends the waits that are over then.
    pub fn advance(&self, by: Duration) {
        let waiting = {
            let mut now = self.lock();
            now.monotonic = now.monotonic.saturating_add(by);
            now.wall = now.wall.checked_add(by).unwrap_or(now.wall);
            std::mem::take(&mut now.waiting)
        };
        waiting.into_values().for_each(Waker::wake);
    }

    /// Sets the wall clock, as an operator may, or as it is after a machine has slept.
    pub fn set_wall(&self, wall: SystemTime) {
        self.lock().wall = wall;
    }

    fn lock(&self) -> MutexGuard<'_, Manual> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for ManualClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for ManualClock {
    fn monotonic(&self) -> Duration {
        self.lock().monotonic
    }

    fn wall(&self) -> SystemTime {
        self.lock().wall
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        let mut now = self.lock();
        now.sleeps = now.sleeps.wrapping_add(1);
        let (end, number) = (now.monotonic.saturating_add(duration), now.sleeps);
        Box::pin(ManualSleep { clock: self.clone(), end, number })
    }
}

struct ManualSleep {
    clock: ManualClock,
    end: Duration,
    number: u64,
}

impl Future for ManualSleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut now = self.clock.lock();
        if now.monotonic >= self.end {
            return Poll::Ready(());
        }
        let before = now.waiting.insert(self.number, context.waker().clone());
        drop(now);
        // Not under the lock: it may be the last of a task that sleeps.
        drop(before);
        Poll::Pending
    }
}

impl Drop for ManualSleep {
    fn drop(&mut self) {
        let waker = self.clock.lock().waiting.remove(&self.number);
        drop(waker);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_go_on() {
        let (began, clock) = (std::time::Instant::now(), SystemClock);
        let (monotonic, wall) = (clock.monotonic(), clock.wall());
        let is_stuck = || clock.monotonic() <= monotonic || clock.wall() <= wall;
        while is_stuck() && began.elapsed() < Duration::from_secs(10) {
            std::thread::yield_now();
        }
        assert!(!is_stuck());
        let off = SystemTime::now().duration_since(clock.wall()).unwrap_or_default();
        assert!(off < Duration::from_secs(1), "the wall clock is that of the machine");

        let clock = ManualClock::new();
        clock.advance(Duration::from_secs(5));
        assert_eq!(clock.monotonic(), Duration::from_secs(5));
    }
}
