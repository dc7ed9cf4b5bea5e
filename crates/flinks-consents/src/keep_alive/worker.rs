//! Refreshes individual consents within the worker's rate limit.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::consents::Consents;
use crate::store::{ConsentId, DueWindow, StoreError};
use flinks::Refusal;

use super::leases::{Lookup, WorkItem, WorkLeases};
use super::summary::{Progress, Summary};
use super::tally::Outcome;

/// The callback for the result of each run.
pub(super) type OnRun = dyn Fn(&Result<Summary, StoreError>) + Send + Sync;

/// A worker's settings, and the earliest time at which its next refresh may start.
#[derive(Clone)]
pub(super) struct Worker {
    pub(super) consents: Consents,
    pub(super) store: Arc<dyn WorkLeases>,
    pub(super) within: Duration,
    pub(super) rate: u32,
    pub(super) max_concurrency: usize,
    pub(super) on_ended: Arc<dyn Fn(&ConsentId) + Send + Sync>,
    pub(super) on_progress: Arc<dyn Fn(&Progress) + Send + Sync>,
    pub(super) on_run: Arc<OnRun>,
    /// The earliest monotonic time at which the next refresh may start.
    pub(super) next_start: Arc<Mutex<Duration>>,
}

/// Which consents in a shard are refreshed in one phase of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Selection {
    NotSuspected,
    Suspected,
}

impl Worker {
    /// Refreshes a consent if it is still due and `selection` includes it.
    ///
    /// The record is loaded first, because another process may have refreshed the consent since it
    /// was listed. The rate limit applies only to consents that need a refresh.
    pub(super) async fn refresh(
        &self,
        item: &WorkItem,
        window: DueWindow,
        selection: Selection,
        stop: &AtomicBool,
    ) -> Result<Outcome, StoreError> {
        if stop.load(Ordering::Relaxed) {
            return Ok(Outcome::NotTried);
        }
        let record = match (self.store.look_up(item).await?, selection) {
            (Lookup::Record(record), _) => record,
            (Lookup::Unreadable, Selection::NotSuspected) => return Ok(Outcome::Unreadable),
            (Lookup::Missing, Selection::NotSuspected) => return Ok(Outcome::RefreshedElsewhere),
            // The phase for consents that are not suspected has already counted these outcomes.
            (Lookup::Unreadable | Lookup::Missing, Selection::Suspected) => return Ok(Outcome::Skipped),
        };
        match selection {
            Selection::NotSuspected if record.is_suspected() => return Ok(Outcome::Deferred),
            Selection::Suspected if !record.is_suspected() => return Ok(Outcome::Skipped),
            Selection::NotSuspected | Selection::Suspected => {}
        }
        if window.rank(&record).is_none() {
            return Ok(Outcome::RefreshedElsewhere);
        }
        self.pace().await;
        if stop.load(Ordering::Relaxed) {
            return Ok(Outcome::NotTried);
        }
        Ok(self.refresh_now(record.id()).await)
    }

    async fn refresh_now(&self, id: &ConsentId) -> Outcome {
        let Err(error) = self.consents.consent(id).refresh_now().await else { return Outcome::Refreshed };
        if let Some(Refusal::Suspected { .. }) = error.refusal() {
            return Outcome::Suspected(error);
        }
        if !error.needs_consent() {
            return Outcome::Failed(error);
        }
        // The consent has been removed since it was listed.
        if error.is_unknown_consent() {
            return Outcome::RefreshedElsewhere;
        }
        Outcome::Ended(id.clone())
    }

    /// Waits until the rate limit allows the next refresh. The interval between two refreshes is
    /// random, so that workers that start together do not send their requests at the same time. On
    /// average, it is one second divided by the rate.
    pub(super) async fn pace(&self) {
        let clock = self.consents.clock();
        let step = Duration::from_secs(1).div_f64(self.rate.into()).mul_f64(0.5 + fastrand::f64());
        let wait = {
            let mut next_start = self.next_start.lock().unwrap_or_else(PoisonError::into_inner);
            let now = clock.monotonic();
            let start = now.max(*next_start);
            *next_start = start.saturating_add(step);
            start.saturating_sub(now)
        };
        if !wait.is_zero() {
            clock.sleep(wait).await;
        }
    }

    pub(super) fn report_progress(&self, progress: &Progress) {
        call_and_catch_panic(|| (self.on_progress)(progress));
    }

    pub(super) fn report_run(&self, result: &Result<Summary, StoreError>) {
        call_and_catch_panic(|| (self.on_run)(result));
    }

    pub(super) fn report_ended(&self, id: &ConsentId) {
        call_and_catch_panic(|| (self.on_ended)(id));
    }
}

/// Calls one of the application's callbacks. A panic in the callback is logged and does not stop
/// the run.
fn call_and_catch_panic(callback: impl FnOnce()) {
    if std::panic::catch_unwind(AssertUnwindSafe(callback)).is_err() {
        tracing::error!("a keep-alive callback panicked");
    }
}
