//! A worker that keeps consents alive.
//!
//! A refresh token that is not used for 30 days idles out. [`KeepAlive`] refreshes consents before
//! that happens. Any store that implements [`WorkLeases`] can be used. [O5](flinks::rules)

mod leases;
mod run;
mod summary;
mod tally;
mod worker;

use std::convert::Infallible;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use flinks::backoff;
use futures_util::FutureExt as _;

use crate::consents::Consents;
use crate::store::{ConsentId, StoreError};

pub use self::leases::{Lookup, WorkItem, WorkLeases};
pub use self::summary::{Progress, StopReason, Stopped, Summary};

use self::run::{Plan, Run};
use self::worker::Worker;

/// A worker that refreshes consents before their refresh tokens expire from inactivity.
///
/// You can run any number of workers. Each worker leases one shard of the store at a time, so that
/// no consent is refreshed twice. If a lease expires while its holder is still working, the next
/// worker reads the records and skips the consents that have already been refreshed.
///
/// ```no_run
/// # use std::time::Duration;
/// # use flinks_consents::{Consents, FileStore, KeepAlive};
/// # async fn run(consents: Consents, store: FileStore) -> Result<(), Box<dyn std::error::Error>> {
/// let worker = KeepAlive::new(consents, store)
///     .rate(20)
///     .on_ended(|id| println!("{} has ended: the end user must consent again", id.as_str()));
/// // As a task of the application. To stop it, abort the task.
/// let task = tokio::spawn({
///     let worker = worker.clone();
///     async move { worker.run_every(Duration::from_secs(60 * 60)).await }
/// });
/// // Or as a job that runs once an hour.
/// println!("{}", worker.run_once().await?);
/// # task.abort();
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct KeepAlive {
    worker: Worker,
    plan: Arc<Mutex<Plan>>,
}

/// The default for [`KeepAlive::within`]. A margin of 7 days lets a consent survive an outage of
/// almost a week.
const WITHIN: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// The maximum for [`KeepAlive::within`]. A value of 30 days would make a consent due again
/// immediately after its refresh.
const LONGEST_WITHIN: Duration = Duration::from_secs(29 * 24 * 60 * 60);

impl KeepAlive {
    /// Creates a worker for the consents in a store.
    ///
    /// `consents` must use the same store as the worker. Otherwise, a run refreshes no consents but
    /// still reports success.
    pub fn new(consents: Consents, store: impl WorkLeases) -> Self {
        let worker = Worker {
            consents,
            store: Arc::new(store),
            within: WITHIN,
            rate: 10,
            max_concurrency: 8,
            on_ended: Arc::new(|_| {}),
            on_progress: Arc::new(|_| {}),
            on_run: Arc::new(|_| {}),
            next_start: Arc::default(),
        };
        Self { worker, plan: Arc::default() }
    }

    /// Sets how long before the idle deadline a consent is refreshed. Default: 7 days. The maximum
    /// is 29 days, so that a consent is not due again immediately after a refresh.
    #[must_use]
    pub fn within(mut self, within: Duration) -> Self {
        self.worker.within = within.min(LONGEST_WITHIN);
        self
    }

    /// Sets the maximum average number of refreshes that this worker starts per second.
    /// Default: 10. The minimum is 1. If several workers run, their rates add up.
    #[must_use]
    pub fn rate(mut self, rate: u32) -> Self {
        self.worker.rate = rate.max(1);
        self
    }

    /// Sets the maximum number of refreshes that run at the same time. Default: 8. The minimum is
    /// 1.
    #[must_use]
    pub fn max_concurrency(mut self, max_concurrency: usize) -> Self {
        self.worker.max_concurrency = max_concurrency.max(1);
        self
    }

    /// Sets a callback that is called for each consent that has ended and whose end user must
    /// therefore authorize again.
    ///
    /// Each ended consent is reported by one worker, during that worker's current or next run,
    /// regardless of which process detected the end. If a worker crashes during the callback, the
    /// next worker reports the same consent again. A panic in the callback is caught and logged,
    /// and the consent is treated as reported.
    ///
    /// Some stores, such as [`MemoryStore`](crate::MemoryStore) and
    /// [`FileStore`](crate::FileStore), do not [keep a list](WorkLeases::ended_in) of ended
    /// consents that have yet to be reported. With such a store, each worker reports only the
    /// consents whose end it has detected itself. [O6](flinks::rules)
    #[must_use]
    pub fn on_ended(mut self, callback: impl Fn(&ConsentId) + Send + Sync + 'static) -> Self {
        self.worker.on_ended = Arc::new(callback);
        self
    }

    /// Sets a callback that receives the progress of a run after each consent and after each shard.
    #[must_use]
    pub fn on_progress(mut self, callback: impl Fn(&Progress) + Send + Sync + 'static) -> Self {
        self.worker.on_progress = Arc::new(callback);
        self
    }

    /// Sets a callback that [`run_every`](Self::run_every) calls with the result of each run, for
    /// example to record a metric. A panic in the callback is caught and logged.
    #[must_use]
    pub fn on_run(mut self, callback: impl Fn(&Result<Summary, StoreError>) + Send + Sync + 'static) -> Self {
        self.worker.on_run = Arc::new(callback);
        self
    }

    /// Calls [`run_once`](Self::run_once) immediately, and again each time `interval` has elapsed
    /// since the end of the previous run. An interval of one hour is recommended, and the minimum
    /// is one second.
    ///
    /// If a run fails, stops early or leaves a pending write, the next run starts after a back-off
    /// of at most one minute, or after `interval` if that is shorter. The result of each run is
    /// logged and passed to the [`on_run`](Self::on_run) callback. A panic in the store is treated
    /// as a failed run.
    ///
    /// This method never returns. Call it in a separate task, and abort that task to stop the
    /// worker.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future cancels the current run, as described in [`run_once`](Self::run_once).
    pub async fn run_every(&self, interval: Duration) -> Infallible {
        let interval = interval.max(Duration::from_secs(1));
        let mut failures = 0_u32;
        loop {
            let run = AssertUnwindSafe(self.run_once()).catch_unwind();
            let result = run.await.unwrap_or_else(|_| Err(StoreError::unavailable("panicked")));
            let is_complete =
                result.as_ref().is_ok_and(|summary| summary.stopped.is_none() && summary.unstored.is_none());
            match &result {
                Ok(summary) if is_complete => tracing::info!("keep-alive run: {summary}"),
                Ok(summary) => tracing::warn!("keep-alive run: {summary}"),
                Err(error) => tracing::warn!("keep-alive run failed: {error}"),
            }
            self.worker.report_run(&result);
            failures = if is_complete { 0 } else { failures.saturating_add(1) };
            let wait = if is_complete { interval } else { backoff(failures, None).min(interval) };
            self.worker.consents.clock().sleep(wait).await;
        }
    }

    /// Refreshes the due consents in all shards that no other worker has leased. Calling this
    /// method once an hour is enough.
    ///
    /// The run stores pending writes before and after the refreshes. A write that still cannot be
    /// stored exists only in this process: see [`Summary::unstored`].
    ///
    /// Suspected consents are refreshed after all other consents. The run [stops](Summary::stopped)
    /// early if the server fails, or if a gateway seems to be refusing the refreshes. A run that
    /// stops early does not call [`on_ended`](Self::on_ended). [O6]
    ///
    /// # Errors
    ///
    /// Returns a [`StoreError`] if the store fails. The results of completed refreshes are not
    /// lost: use [`Consents::flush`] to store any that are still pending.
    ///
    /// # Cancel safety
    ///
    /// If the run is cancelled, in-flight refreshes still complete and their results are stored, as
    /// long as the Tokio runtime keeps running. The next run refreshes the remaining consents.
    ///
    /// [O6]: flinks::rules
    pub async fn run_once(&self) -> Result<Summary, StoreError> {
        // A failure is ignored, because a pending write that cannot be stored must not prevent the
        // run from refreshing other consents. If the whole store is unavailable, the run's first
        // call to the store fails.
        let _ = self.worker.consents.flush().await;
        let summary = Run::new(&self.worker, &self.plan).run().await?;
        let unstored = self.worker.consents.flush().await.err();
        Ok(Summary { unstored, ..summary })
    }
}

impl fmt::Debug for KeepAlive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeepAlive")
            .field("within", &self.worker.within)
            .field("rate", &self.worker.rate)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use flinks::outbound::{Client, ClientAuthentication};
    use flinks::{Clock as _, ManualClock, Settings};

    use super::*;
    use crate::store::MemoryStore;

    #[tokio::test]
    async fn refreshes_start_at_the_rate_with_random_waits() {
        let clock = ManualClock::auto_advancing(Duration::from_secs(60));
        let authentication = ClientAuthentication::None { client_id: "a".to_owned() };
        let settings = Settings::new().clock(clock.clone());
        let client =
            Client::builder("http://127.0.0.1:9".parse().unwrap(), authentication).settings(&settings).build().unwrap();
        let store = MemoryStore::new();
        let worker = KeepAlive::new(Consents::builder(client).store(store.clone()).build(), store).rate(10);
        for _ in 0..200 {
            worker.worker.pace().await;
        }
        let elapsed = clock.monotonic();
        assert!(elapsed > Duration::from_secs(17), "{elapsed:?}");
        assert!(elapsed < Duration::from_secs(23), "{elapsed:?}");
        let mut waits = clock.take_sleeps();
        waits.sort();
        waits.dedup();
        assert!(waits.len() > 50, "only {} different waits", waits.len());
    }
}
