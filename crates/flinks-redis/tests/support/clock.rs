//! A clock on which waits take no time.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use flinks_consents::flinks::{Clock, Sleep};

/// A clock on which waits for others take no time, and deadlines of calls are never reached.
#[derive(Clone)]
pub(crate) struct AutoAdvancingClock {
    now: Arc<Mutex<(Duration, SystemTime)>>,
    longest: Duration,
}

impl AutoAdvancingClock {
    /// Creates a clock. A sleep of up to `longest` takes no time, and a longer one is a deadline.
    pub(crate) fn new(longest: Duration) -> Self {
        Self { now: Arc::new(Mutex::new((Duration::ZERO, SystemTime::now()))), longest }
    }

    pub(crate) fn advance(&self, by: Duration) {
        let mut now = self.now.lock().unwrap();
        now.0 += by;
        now.1 += by;
    }

    pub(crate) fn set_wall(&self, wall: SystemTime) {
        self.now.lock().unwrap().1 = wall;
    }
}

impl Clock for AutoAdvancingClock {
    fn monotonic(&self) -> Duration {
        self.now.lock().unwrap().0
    }

    fn wall(&self) -> SystemTime {
        self.now.lock().unwrap().1
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        if duration > self.longest {
            return Box::pin(std::future::pending());
        }
        let clock = self.clone();
        Box::pin(async move {
            tokio::task::yield_now().await;
            let mut now = clock.now.lock().unwrap();
            now.0 += duration;
            now.1 += duration;
        })
    }
}
