//! Keeps consents alive: a refresh token that nobody exchanges for 30 days idles out (O5).
//!
//! [`KeepAlive`] refreshes consents before that. It works on any store that implements
//! [`WorkLeases`].

mod leases;
mod run;
mod summary;
mod tally;
mod worker;

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::consents::Consents;
use crate::store::{ConsentId, StoreError};

pub use self::leases::{Lookup, WorkItem, WorkLeases};
pub use self::summary::{Progress, StopReason, Stopped, Summary};

use self::run::{Plan, Run};
use self::worker::Worker;

/// Refreshes consents before they idle out.
///
/// Run any number of workers: each leases one shard of the store at a time, so that no consent is
/// refreshed twice. If a lease expires while its worker is still busy, the next worker finds the work
/// done.
///
/// ```no_run
/// # use flinks_consents::Consents;
/// # use flinks_consents::{FileStore, KeepAlive};
/// # async fn run(consents: Consents, store: FileStore) -> Result<(), Box<dyn std::error::Error>> {
/// let worker = KeepAlive::new(consents, store)
///     .rate(20)
///     .on_needs_consent(|id| println!("ask {} again", id.as_str()));
/// println!("{}", worker.run_once().await?);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct KeepAlive {
    worker: Worker,
    plan: Arc<Mutex<Plan>>,
}

/// The default window. It leaves time for an outage of a week, and to ask the end user.
const WITHIN: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// A consent that was just refreshed must not be due again at once.
const LONGEST_WITHIN: Duration = Duration::from_secs(29 * 24 * 60 * 60);

impl KeepAlive {
    /// Creates a worker for the consents of a store. `consents` must be built on the same store: with another one, a run finds
    /// nothing to do and reports success.
    pub fn new(consents: Consents, store: impl WorkLeases) -> Self {
        let worker = Worker {
            consents,
            store: Arc::new(store),
            within: WITHIN,
            rate: 10,
            max_concurrency: 8,
            on_needs_consent: Arc::new(|_| {}),
            on_progress: Arc::new(|_| {}),
            next_start: Arc::default(),
        };
        Self { worker, plan: Arc::default() }
    }

    /// Sets how close the idle deadline of a consent must be. Default: 7 days. More than 29 days count as 29, so a new consent is
    /// never due.
    #[must_use]
    pub fn within(mut self, within: Duration) -> Self {
        self.worker.within = within.min(LONGEST_WITHIN);
        self
    }

    /// Sets how many refreshes this worker starts per second, on average. Default: 10. The minimum is 1.
    /// The rates of several workers add up.
    #[must_use]
    pub fn rate(mut self, rate: u32) -> Self {
        self.worker.rate = rate.max(1);
        self
    }

    /// Sets how many refreshes are under way at the same time. Default: 8. The minimum is 1.
    #[must_use]
    pub fn max_concurrency(mut self, max_concurrency: usize) -> Self {
        self.worker.max_concurrency = max_concurrency.max(1);
        self
    }

    /// Sets a callback for each consent that has ended (O6), whichever process found out. One of the
    /// workers calls it once, in its next run at the latest.
    ///
    /// If a worker crashes during the callback, the next worker reports the same consent again. A panic
    /// in the callback is caught and logged, and the consent counts as reported.
    ///
    /// If the [store](WorkLeases::ended_in) does not record which ends were reported, such as
    /// [`MemoryStore`](crate::MemoryStore) and [`FileStore`](crate::FileStore), only
    /// the ends that this worker found out itself are reported.
    #[must_use]
    pub fn on_needs_consent(mut self, callback: impl Fn(&ConsentId) + Send + Sync + 'static) -> Self {
        self.worker.on_needs_consent = Arc::new(callback);
        self
    }

    /// Sets a callback for the progress. It is called after each consent and after each shard.
    #[must_use]
    pub fn on_progress(mut self, callback: impl Fn(&Progress) + Send + Sync + 'static) -> Self {
        self.worker.on_progress = Arc::new(callback);
        self
    }

    /// Goes once through all shards that no other worker has leased, and refreshes the consents that are
    /// due. Running it once an hour is often enough.
    ///
    /// Before and after that, it stores the changes that the store could not take earlier. A change that
    /// still cannot be stored is in this process only; see [`Summary::unstored`].
    ///
    /// Consents that a refusal has made suspected are tried after all others. The run
    /// [stops](Summary::stopped) if a gateway seems to refuse the refreshes, or if the server fails; then
    /// it reports no end user. [O6]
    ///
    /// # Errors
    ///
    /// Returns a [`StoreError`] if the store fails. Completed refreshes remain;
    /// [`Consents::flush`] stores those that are not stored.
    ///
    /// # Cancel safety
    ///
    /// Refreshes that are under way complete and are stored, as long as their runtime runs. The next run
    /// does the rest.
    ///
    /// [O6]: flinks::rules
    pub async fn run_once(&self) -> Result<Summary, StoreError> {
        // A consent that cannot be stored does not prevent the refresh of others. If the store is
        // unavailable, the first call of the run fails.
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
    async fn refreshes_begin_at_the_rate_and_not_together() {
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
        let took = clock.monotonic();
        assert!(took > Duration::from_secs(17), "{took:?}");
        assert!(took < Duration::from_secs(23), "{took:?}");
        let mut waits = clock.take_sleeps();
        waits.sort();
        waits.dedup();
        assert!(waits.len() > 50, "random waits: {}", waits.len());
    }
}
