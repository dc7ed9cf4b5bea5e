//! A clock for tests.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::watch;

use crate::clock::{Clock, Sleep};
use crate::deadline::Timestamps;

/// A clock for tests, which the test moves. Clones are the same clock.
///
/// Choose how it behaves while nobody moves it:
///
/// | constructor | time | a sleep |
/// | --- | --- | --- |
/// | [`new`](Self::new) | stands still | completes when the clock has been advanced to its end |
/// | [`auto_advancing`](Self::auto_advancing) | stands still | if it is short, advances the clock to its end and completes |
/// | [`running`](Self::running) | passes as on the machine | completes after its duration, or when the clock has been advanced to its end |
///
/// Use a clock that stands still to test one call. A whole application would hang on it, because whatever waits does so until
/// the clock is advanced: a retry, the second between two refreshes of one consent, or the refresh of another process. Give
/// the application a running clock, and advance that:
///
/// ```
/// use std::time::Duration;
///
/// use flinks_core::{Clock, ManualClock};
///
/// let clock = ManualClock::running();
/// // Start the application with the settings `flinks::Settings::new().clock(clock.clone())`. Later, let its tokens expire:
/// let before = clock.monotonic();
/// clock.advance(Duration::from_secs(1800));
/// assert!(clock.monotonic() - before >= Duration::from_secs(1800));
/// ```
///
/// An auto-advancing clock takes a test of retries through minutes of waiting at once:
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
/// The clock moves the client only. The emulator has its own clock, with its own `advance`.
#[derive(Clone, Debug)]
pub struct ManualClock {
    pace: Pace,
    set: watch::Sender<Timestamps>,
    sleeps: Arc<Mutex<Vec<Duration>>>,
}

/// How a [`ManualClock`] behaves while nobody advances it.
#[derive(Clone, Copy, Debug)]
enum Pace {
    Still,
    AutoAdvancing { longest: Duration },
    Running { since: Instant },
}

impl ManualClock {
    /// Creates a clock that stands still. Its wall clock starts at the time of this machine.
    pub fn new() -> Self {
        Self::with_pace(Pace::Still)
    }

    /// Creates a clock that stands still, on which a sleep of at most `longest` advances the clock to its end and completes.
    /// Other tasks run first, as they do during a real wait.
    ///
    /// The deadline of a call, or of a token store, is a sleep too. It must be longer than `longest`: a shorter one would
    /// expire as soon as the call waits for the network. The client waits at most 30 seconds between two attempts.
    pub fn auto_advancing(longest: Duration) -> Self {
        Self::with_pace(Pace::AutoAdvancing { longest })
    }

    /// Creates a clock that runs with the clock of this machine, and can be advanced beyond it. A sleep needs a tokio runtime
    /// with its timer enabled.
    pub fn running() -> Self {
        Self::with_pace(Pace::Running { since: Instant::now() })
    }

    fn with_pace(pace: Pace) -> Self {
        let start = Timestamps { monotonic: Duration::ZERO, wall: SystemTime::now() };
        Self { pace, set: watch::Sender::new(start), sleeps: Arc::default() }
    }

    /// Advances both the monotonic and the wall clock, and completes the sleeps that end by then.
    pub fn advance(&self, by: Duration) {
        self.set.send_modify(|now| now.advance(by));
    }

    /// Sets the wall clock only, as an operator does. The wall clock is also ahead of the monotonic one after a machine was
    /// suspended.
    pub fn set_wall(&self, wall: SystemTime) {
        let passed = self.passed();
        self.set.send_modify(|now| now.wall = wall.checked_sub(passed).unwrap_or(wall));
    }

    /// Returns how long each sleep since the last call was meant to take, oldest first. A sleep counts when it begins, so
    /// that a test can wait until the client waits.
    pub fn take_sleeps(&self) -> Vec<Duration> {
        std::mem::take(&mut self.sleeps())
    }

    fn sleeps(&self) -> MutexGuard<'_, Vec<Duration>> {
        self.sleeps.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long the clock has run by itself.
    fn passed(&self) -> Duration {
        match self.pace {
            Pace::Still | Pace::AutoAdvancing { .. } => Duration::ZERO,
            Pace::Running { since } => since.elapsed(),
        }
    }

    fn now(&self) -> Timestamps {
        let mut now = *self.set.borrow();
        now.advance(self.passed());
        now
    }

    async fn sleep_until(self, end: Duration, duration: Duration) {
        let mut changes = self.set.subscribe();
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
    async fn sleeps_that_begin_together_advance_an_auto_advancing_clock_once() {
        let clock = ManualClock::auto_advancing(SECOND);
        tokio::join!(clock.sleep(SECOND), clock.sleep(SECOND));
        assert_eq!(clock.monotonic(), SECOND);
        let deadline = tokio::spawn(clock.sleep(2 * SECOND));
        clock.sleep(SECOND).await;
        assert!(!deadline.is_finished(), "a longer sleep does not advance the clock");
        clock.sleep(SECOND).await;
        deadline.await.unwrap();
    }

    #[tokio::test]
    async fn a_running_clock_runs_and_can_be_advanced() {
        let clock = ManualClock::running();
        clock.sleep(Duration::from_millis(1)).await;
        assert!(clock.monotonic() >= Duration::from_millis(1));
        let hour = tokio::spawn(clock.sleep(3600 * SECOND));
        clock.advance(3600 * SECOND);
        hour.await.unwrap();
        clock.set_wall(SystemTime::UNIX_EPOCH);
        let since_epoch = clock.wall().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        assert!(since_epoch < 3600 * SECOND, "the wall clock goes on from where it was set");
    }
}
