//! Refreshes one consent, at the pace of the worker.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::consents::Consents;
use crate::store::{ConsentId, DueWindow, StoreError};
use flinks::Refusal;

use super::leases::{Lookup, WorkItem, WorkLeases};
use super::summary::Progress;
use super::tally::Outcome;

/// The settings of a worker, and the start of its next refresh.
#[derive(Clone)]
pub(super) struct Worker {
    pub(super) consents: Consents,
    pub(super) store: Arc<dyn WorkLeases>,
    pub(super) within: Duration,
    pub(super) rate: u32,
    pub(super) max_concurrency: usize,
    pub(super) on_needs_consent: Arc<dyn Fn(&ConsentId) + Send + Sync>,
    pub(super) on_progress: Arc<dyn Fn(&Progress) + Send + Sync>,
    /// When the next refresh may start, on the monotonic clock.
    pub(super) next_start: Arc<Mutex<Duration>>,
}

/// Which consents of a shard are refreshed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    NotSuspected,
    Suspected,
}

impl Worker {
    /// Refreshes a consent if it is still due, and if it is its turn.
    ///
    /// The record is read once, right before the refresh: after the listing, another process may have
    /// refreshed the consent. The wait for the pace comes after that, so that consents without a
    /// refresh do not slow the others down.
    pub(super) async fn refresh(
        &self,
        item: &WorkItem,
        window: DueWindow,
        turn: Turn,
        stop: &AtomicBool,
    ) -> Result<Outcome, StoreError> {
        if stop.load(Ordering::Relaxed) {
            return Ok(Outcome::NotTried);
        }
        let record = match (self.store.look_up(item).await?, turn) {
            (Lookup::Record(record), _) => record,
            (Lookup::Unreadable, Turn::NotSuspected) => return Ok(Outcome::Unreadable),
            (Lookup::Gone, Turn::NotSuspected) => return Ok(Outcome::RefreshedElsewhere),
            // The first turn has counted them.
            (Lookup::Unreadable | Lookup::Gone, Turn::Suspected) => return Ok(Outcome::Skipped),
        };
        match turn {
            Turn::NotSuspected if record.is_suspected() => return Ok(Outcome::Deferred),
            Turn::Suspected if !record.is_suspected() => return Ok(Outcome::Skipped),
            Turn::NotSuspected | Turn::Suspected => {}
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
        // The consent was forgotten since it was listed.
        if error.is_unknown_consent() {
            return Outcome::RefreshedElsewhere;
        }
        Outcome::Ended(id.clone())
    }

    /// Waits until the next refresh may start. The time between two refreshes is random, and on average
    /// a second divided by the rate, so that workers that started together do not stay in step.
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
        call_quietly(|| (self.on_progress)(progress));
    }

    pub(super) fn report_ended(&self, id: &ConsentId) {
        call_quietly(|| (self.on_needs_consent)(id));
    }
}

/// Calls a callback of the application. A panic in it is logged, and does not stop the run.
fn call_quietly(callback: impl FnOnce()) {
    if std::panic::catch_unwind(AssertUnwindSafe(callback)).is_err() {
        tracing::error!("a callback of the keep-alive worker panicked");
    }
}
