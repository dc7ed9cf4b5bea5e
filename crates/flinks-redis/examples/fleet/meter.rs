//! A counter of requests and commands.

use std::sync::{Arc, Mutex};

use tokio::time::Instant;

/// A counter of events that also records the peak number of events in one second.
pub(crate) struct Meter {
    start: Mutex<Option<Instant>>,
    counts: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    /// The number of whole seconds between the first event and the latest event.
    second: u64,
    /// The number of events in the current second.
    in_second: u64,
    result: Count,
}

/// The total and the peak number of events.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Count {
    pub(crate) total: u64,
    pub(crate) peak_per_second: u64,
}

impl Meter {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { start: Mutex::default(), counts: Mutex::default() })
    }

    pub(crate) fn count(&self) {
        let second = self.start.lock().unwrap().get_or_insert_with(Instant::now).elapsed().as_secs();
        let mut counts = self.counts.lock().unwrap();
        if counts.second != second {
            counts.second = second;
            counts.in_second = 0;
        }
        counts.in_second += 1;
        counts.result.total += 1;
        counts.result.peak_per_second = counts.result.peak_per_second.max(counts.in_second);
    }

    /// Returns the counts and resets them.
    pub(crate) fn take(&self) -> Count {
        std::mem::take(&mut *self.counts.lock().unwrap()).result
    }
}
