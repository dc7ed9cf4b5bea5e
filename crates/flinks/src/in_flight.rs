//! Counts the work that is under way, so that a shutdown can wait for it.

use std::sync::Arc;

use tokio::sync::watch;

/// The number of tasks that are under way. Cloning is cheap; clones count together.
#[derive(Clone)]
pub(crate) struct InFlight(Arc<watch::Sender<usize>>);

/// One task that is under way. It counts until it is dropped, so a task that panics or whose runtime ends counts no longer.
pub(crate) struct InFlightGuard(InFlight);

impl InFlight {
    pub(crate) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(0)))
    }

    /// Counts one more task until the guard is dropped.
    pub(crate) fn start(&self) -> InFlightGuard {
        self.0.send_modify(|count| *count = count.saturating_add(1));
        InFlightGuard(self.clone())
    }

    pub(crate) fn count(&self) -> usize {
        *self.0.borrow()
    }

    /// Returns as soon as nothing is under way.
    pub(crate) async fn idle(&self) {
        // The sender outlives this call, so there is no error.
        let _ = self.0.subscribe().wait_for(|count| *count == 0).await;
    }
}

impl Drop for InFlightGuard {
    fn drop(&mut self) {
        self.0.0.send_modify(|count| *count = count.saturating_sub(1));
    }
}
