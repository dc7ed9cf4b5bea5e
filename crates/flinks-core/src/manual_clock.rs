//! A clock for tests.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::watch;

use crate::clock::{Clock, Sleep};
use crate::deadline::Timestamps;

/// A clock that a test controls. Clones share the same time.
///
/// The constructors differ in what happens while the test does not advance the clock:
///
/// - [`new`](Self::new): time stands still. A sleep completes once the clock has been advanced far
///   enough.
/// - [`auto_advancing`](Self::auto_advancing): time stands still. A short sleep advances the clock
///   by the sleep's duration and completes.
/// - [`running`](Self::running): time passes as usual. A sleep completes after its duration, or
///   once the clock has been advanced far enough.
///
/// To test a single call, use a clock that stands still. A whole application would hang with such a
/// clock, because the delay before a retry, the delay between two refreshes of a consent, and the
/// wait for a refresh by another process would each last until the test advanced the clock. For an
/// application, use a running clock and advance it:
///
/// ```
/// use std::time::Duration;
///
/// use flinks_core::{Clock, ManualClock};
///
/// let clock = ManualClock::running();
/// // Start the application with the settings `flinks::Settings::new().clock(clock.clone())`.
/// // Later, advance the clock so that its tokens expire:
/// let before = clock.monotonic();
/// clock.advance(Duration::from_secs(1800));
/// assert!(clock.monotonic() - before >= Duration::from_secs(1800));
/// ```
///
/// With an auto-advancing clock, a test can check retries without waiting:
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use std::time::Duration;
///
/// use flinks_core::{Clock, ManualClock};
///
/// let clock = ManualClock::auto_advancing(Duration::from_secs(30));
/// clock.sleep(Duration::from_secs(20)).await;
/// clock.sleep(Duration::from_secs(30)).await;
/// assert_eq!(clock.monotonic(), Duration::from_secs(50));
/// assert_eq!(clock.take_sleeps(), [20, 30].map(Duration::from_secs));
/// # });
/// ```
///
/// The clock affects only the client. The emulator has its own clock with its own `advance` method.
#[derive(Clone, Debug)]
pub struct ManualClock {
    pace: Pace,
    /// The time that the test has set, excluding the real time that has passed since a running
    /// clock was created.
    base: watch::Sender<Timestamps>,
    sleeps: Arc<Mutex<Vec<Duration>>>,
}

/// The behaviour of a [`ManualClock`] while the test does not advance it.
#[derive(Clone, Copy, Debug)]
enum Pace {
    Still,
    AutoAdvancing { longest: Duration },
    Running { since: Instant },
}

impl ManualClock {
    /// Creates a clock that stands still. The wall clock starts at the current time of this
    /// machine.
    pub fn new() -> Self {
        Self::with_pace(Pace::Still)
    }

    /// Creates a clock that stands still until a task sleeps. A sleep of at most `longest` advances
    /// the clock by the sleep's duration and completes. Other tasks run before the clock advances,
    /// as they would during a real wait.
    ///
    /// Deadlines for calls and token store operations are also implemented as sleeps. Make these
    /// deadlines longer than `longest`; otherwise, each deadline expires as soon as its operation
    /// waits for the network. The client waits up to 30 seconds between attempts.
    pub fn auto_advancing(longest: Duration) -> Self {
        Self::with_pace(Pace::AutoAdvancing { longest })
    }

    /// Creates a clock that runs in real time and can also be advanced. Sleeping on this clock
    /// requires a Tokio runtime with the time driver enabled.
    pub fn running() -> Self {
        Self::with_pace(Pace::Running { since: Instant::now() })
    }

    fn with_pace(pace: Pace) -> Self {
        let start = Timestamps { monotonic: Duration::ZERO, wall: SystemTime::now() };
        Self { pace, base: watch::Sender::new(start), sleeps: Arc::default() }
    }

    /// Advances the monotonic clock and the wall clock, and completes the sleeps whose durations
    /// have passed.
    pub fn advance(&self, by: Duration) {
        self.base.send_modify(|base| base.advance(by));
    }

    /// Sets only the wall clock. Use this method to simulate a suspended machine or a change to the
    /// system time. After a suspension, the wall clock is ahead of the monotonic clock.
    pub fn set_wall(&self, wall: SystemTime) {
        let elapsed = self.elapsed();
        self.base.send_modify(|base| base.wall = wall.checked_sub(elapsed).unwrap_or(wall));
    }

    /// Returns the requested durations of the sleeps that have started since the previous call to
    /// this method, oldest first. A sleep is included as soon as it starts, so a test can detect
    /// that the client is waiting.
    pub fn take_sleeps(&self) -> Vec<Duration> {
        std::mem::take(&mut self.sleeps())
    }

    fn sleeps(&self) -> MutexGuard<'_, Vec<Duration>> {
        self.sleeps.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the real time that has passed since a running clock was created.
    fn elapsed(&self) -> Duration {
        match self.pace {
            Pace::Still | Pace::AutoAdvancing { .. } => Duration::ZERO,
            Pace::Running { since } => since.elapsed(),
        }
    }

    fn now(&self) -> Timestamps {
        let mut now = *self.base.borrow();
        now.advance(self.elapsed());
        now
    }

    async fn sleep_until(self, end: Duration, duration: Duration) {
        let mut changes = self.base.subscribe();
        self.sleeps().push(duration);
        if let Pace::AutoAdvancing { longest } = self.pace
            && duration <= longest
        {
            tokio::task::yield_now().await;
            self.advance(end.saturating_sub(self.monotonic()));
        }
        loop {
            let left = end.saturating_sub(self.monotonic());
            if left.is_zero() {
                return;
            }
            let timer = async {
                match self.pace {
                    Pace::Still | Pace::AutoAdvancing { .. } => std::future::pending().await,
                    Pace::Running { .. } => tokio::time::sleep(left).await,
                }
            };
            tokio::select! {
                _ = changes.changed() => {}
                () = timer => {}
            }
        }
    }
}

impl Default for ManualClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for ManualClock {
    fn monotonic(&self) -> Duration {
        self.now().monotonic
    }

    fn wall(&self) -> SystemTime {
        self.now().wall
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        let end = self.monotonic().saturating_add(duration);
        Box::pin(self.clone().sleep_until(end, duration))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test]
    async fn a_manual_clock_stands_still_until_it_is_advanced() {
        let clock = ManualClock::new();
        let wall = clock.wall();
        let sleeper = tokio::spawn(clock.sleep(5 * SECOND));
        while clock.take_sleeps().is_empty() {
            tokio::task::yield_now().await;
        }
        clock.advance(4 * SECOND);
        tokio::task::yield_now().await;
        assert!(!sleeper.is_finished());
        clock.advance(SECOND);
        sleeper.await.unwrap();
        assert_eq!(clock.monotonic(), 5 * SECOND);
        assert_eq!(clock.wall(), wall + 5 * SECOND);
    }

    #[tokio::test]
    async fn simultaneous_sleeps_advance_an_auto_advancing_clock_once() {
        let clock = ManualClock::auto_advancing(SECOND);
        tokio::join!(clock.sleep(SECOND), clock.sleep(SECOND));
        assert_eq!(clock.monotonic(), SECOND);
        let deadline = tokio::spawn(clock.sleep(2 * SECOND));
        clock.sleep(SECOND).await;
        assert!(!deadline.is_finished(), "a sleep longer than the limit must not advance the clock");
        clock.sleep(SECOND).await;
        deadline.await.unwrap();
    }

    #[tokio::test]
    async fn a_running_clock_passes_and_can_be_advanced() {
        let clock = ManualClock::running();
        clock.sleep(Duration::from_millis(1)).await;
        assert!(clock.monotonic() >= Duration::from_millis(1));
        let hour = tokio::spawn(clock.sleep(3600 * SECOND));
        clock.advance(3600 * SECOND);
        hour.await.unwrap();
        clock.set_wall(SystemTime::UNIX_EPOCH);
        let since_epoch = clock.wall().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        assert!(since_epoch < 3600 * SECOND, "the wall clock continues from the time that was set");
    }
}
