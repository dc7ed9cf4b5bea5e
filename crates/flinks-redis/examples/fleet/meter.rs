//! Counts requests and commands.

use std::sync::{Arc, Mutex};

use tokio::time::Instant;

/// Counts events, and the most of them in one second.
pub(crate) struct Meter {
    start: Mutex<Option<Instant>>,
    counts: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    second: u64,
    in_second: u64,
    most: u64,
    all: u64,
}

impl Meter {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { start: Mutex::default(), counts: Mutex::default() })
    }

    pub(crate) fn count(&self) {
        let second = self.start.lock().unwrap().get_or_insert_with(Instant::now).elapsed().as_secs();
        let mut counts = self.counts.lock().unwrap();
        if counts.second != second {
            (counts.second, counts.in_second) = (second, 0);
        }
        counts.in_second += 1;
        counts.all += 1;
        counts.most = counts.most.max(counts.in_second);
    }

    pub(crate) fn take(&self) -> (u64, u64) {
        let counts = std::mem::take(&mut *self.counts.lock().unwrap());
        (counts.all, counts.most)
    }
}
