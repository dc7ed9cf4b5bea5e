//! Time, which can be injected.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime};

/// Where this crate reads the time, and how it waits. Put a clock of your own into [`Settings::clock`](crate::Settings::clock),
/// and tests need not sleep.
///
/// ```
/// use std::sync::{Arc, Mutex};
/// use std::time::{Duration, SystemTime};
///
/// use flinks::{Clock, Sleep};
///
/// /// Stands still until a test moves it. With `Settings::max_attempts(1)` there is no wait to wait for.
/// #[derive(Clone)]
/// struct ManualClock(Arc<Mutex<(Duration, SystemTime)>>);
///
/// impl ManualClock {
///     fn advance(&self, by: Duration) {
///         let mut now = self.0.lock().unwrap();
///         *now = (now.0 + by, now.1 + by);
///     }
/// }
///
/// impl Clock for ManualClock {
///     fn monotonic(&self) -> Duration {
///         self.0.lock().unwrap().0
///     }
///     fn wall(&self) -> SystemTime {
///         self.0.lock().unwrap().1
///     }
///     fn sleep(&self, _: Duration) -> Sleep {
///         Box::pin(std::future::pending())
///     }
/// }
/// ```
///
/// It moves the client only: the emulator has a clock of its own, with an `advance` of its own.
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

/// The clocks of this machine, and the timer of the tokio runtime that the call runs in.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn monotonic(&self) -> Duration {
        static START: OnceLock<Instant> = OnceLock::new();
        START.get_or_init(Instant::now).elapsed()
    }

    fn wall(&self) -> SystemTime {
        SystemTime::now()
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        Box::pin(tokio::time::sleep(duration))
    }
}

/// A moment on both clocks.
#[derive(Clone, Copy)]
pub(crate) struct Moment {
    monotonic: Duration,
    wall: SystemTime,
}

impl Moment {
    pub(crate) fn now(clock: &dyn Clock) -> Self {
        Self { monotonic: clock.monotonic(), wall: clock.wall() }
    }

    /// How long ago it was on the wall clock. None where it is in the future.
    pub(crate) fn since(&self, earlier: SystemTime) -> Option<Duration> {
        self.wall.duration_since(earlier).ok()
    }
}

/// When something ends, on both clocks, and the clocks to ask.
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

    /// What is left, by the clock that is further.
    pub(crate) fn remaining(&self) -> Duration {
        let on_monotonic = self.clock.monotonic().saturating_sub(self.from.monotonic);
        // Turned back before the beginning, it has nothing to say.
        let on_wall = self.clock.wall().duration_since(self.from.wall).unwrap_or_default();
        self.lifetime.saturating_sub(on_monotonic.max(on_wall))
    }

    pub(crate) fn is_past(&self) -> bool {
        self.remaining().is_zero()
    }

    /// The end on the wall clock. None where that cannot tell it.
    pub(crate) fn wall(&self) -> Option<SystemTime> {
        self.from.wall.checked_add(self.lifetime)
    }

    /// From when it counts, on the wall clock.
    pub(crate) fn from(&self) -> SystemTime {
        self.from.wall
    }

    pub(crate) fn lifetime(&self) -> Duration {
        self.lifetime
    }
}
