//! A clock on which short sleeps take no real time, for use in tests.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use flinks_consents::flinks::{Clock, Sleep};

/// A clock for tests. Short sleeps take no real time, and deadlines never expire on their own.
#[derive(Clone)]
pub struct AutoAdvancingClock {
    now: Arc<Mutex<Now>>,
    longest: Duration,
}

struct Now {
    monotonic: Duration,
    wall: SystemTime,
}

impl Now {
    fn advance(&mut self, by: Duration) {
        self.monotonic += by;
        self.wall += by;
    }
}

impl AutoAdvancingClock {
    /// Creates a clock. A sleep of up to `longest` advances the clock and takes no real time. A
    /// longer sleep represents a call's deadline, and never completes.
    pub fn new(longest: Duration) -> Self {
        let now = Now { monotonic: Duration::ZERO, wall: SystemTime::now() };
        Self { now: Arc::new(Mutex::new(now)), longest }
    }

    /// Advances both clocks.
    pub fn advance(&self, by: Duration) {
        self.now.lock().unwrap().advance(by);
    }

    /// Sets the wall clock.
    pub fn set_wall(&self, wall: SystemTime) {
        self.now.lock().unwrap().wall = wall;
    }
}

impl Clock for AutoAdvancingClock {
    fn monotonic(&self) -> Duration {
        self.now.lock().unwrap().monotonic
    }

    fn wall(&self) -> SystemTime {
        self.now.lock().unwrap().wall
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        if duration > self.longest {
            return Box::pin(std::future::pending());
        }
        let clock = self.clone();
        Box::pin(async move {
            tokio::task::yield_now().await;
            clock.advance(duration);
        })
    }
}
