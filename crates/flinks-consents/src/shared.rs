//! The state that all consents of one [`Consents`](crate::Consents) share: the client, the store, and the tasks in flight.

use std::hash::{BuildHasher as _, RandomState};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use flinks::Clock;
use flinks::outbound::Client;
use futures_util::FutureExt as _;
use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

use crate::error::ConsentError;
use crate::event::Event;
use crate::lease::{LeaseWaiter, MAX_DURATION};
use crate::owner::Owner;
use crate::runtime;
use crate::state::Registry;
use crate::store::{ConsentId, MemoryStore, Record, StoreError, StoreFuture, TokenStore};
use crate::suspicion::Witnesses;

pub(crate) struct Shared {
    pub(crate) client: Client,
    pub(crate) store: Box<dyn TokenStore>,
    pub(crate) store_timeout: Duration,
    pub(crate) outage_policy: OutagePolicy,
    pub(crate) on_event: Option<Callback>,
    pub(crate) owner: Owner,
    pub(crate) tasks: TaskTracker,
    pub(crate) witnesses: Witnesses,
    pub(crate) log_names: LogNames,
    pub(crate) registry: Registry,
}

pub(crate) type Callback = Box<dyn Fn(&ConsentId, &Event) + Send + Sync>;

/// How the log names a consent.
pub(crate) enum LogNames {
    /// By a hash, with a key of this process.
    Hashed(RandomState),
    /// By its id.
    Ids,
}

/// Whether a consent is refreshed while its store is unavailable. A valid access token is returned either way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OutagePolicy {
    /// Nothing is refreshed without the knowledge of the other machines. Once the access token has expired, calls fail with
    /// [`ConsentError::is_store`].
    #[default]
    FailClosed,
    /// This process refreshes with the refresh token that it saw last, and keeps the result in memory. Every other process does the
    /// same during the outage.
    ///
    /// It does not do so if it knows that Flinks has ever replaced a refresh token (A5): two processes that use the same one may end
    /// the consent. If a refresh token is replaced for the first time during the outage, the new one is in memory until the store is
    /// back ([`Event::NotStored`]), and the other processes have an old one. For a server that replaces refresh tokens, use
    /// [`FailClosed`](Self::FailClosed).
    ///
    /// The record of each consent in use stays in memory for this.
    RefreshWithoutStore,
}

impl Shared {
    pub(crate) fn new(client: Client) -> Self {
        Self {
            client,
            store: Box::new(MemoryStore::new()),
            store_timeout: Duration::from_secs(5),
            outage_policy: OutagePolicy::default(),
            on_event: None,
            owner: Owner::new(),
            tasks: TaskTracker::new(),
            witnesses: Witnesses::default(),
            log_names: LogNames::Hashed(RandomState::new()),
            registry: Registry::new(),
        }
    }

    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        self.client.clock()
    }

    pub(crate) fn log_name(&self, id: &ConsentId) -> String {
        match &self.log_names {
            LogNames::Hashed(key) => format!("{:08x}", key.hash_one(id) >> 32),
            LogNames::Ids => id.as_str().to_owned(),
        }
    }

    pub(crate) async fn load(&self, id: &ConsentId) -> Result<Option<Record>, ConsentError> {
        let record = self.call_store(|store| store.load(id)).await?;
        if record.as_ref().is_some_and(|record| record.id != *id) {
            return Err(StoreError::damaged("gave the record of another consent").into());
        }
        Ok(record)
    }

    pub(crate) async fn swap(&self, expected: Option<u64>, record: &Record) -> Result<bool, ConsentError> {
        self.call_store(|store| store.compare_and_swap(expected, record)).await
    }

    /// Calls the store, which may hang or panic.
    pub(crate) async fn call_store<'a, T>(
        &'a self,
        call: impl FnOnce(&'a dyn TokenStore) -> StoreFuture<'a, T>,
    ) -> Result<T, ConsentError> {
        let work = AssertUnwindSafe(async { call(self.store.as_ref()).await }).catch_unwind();
        tokio::select! {
            biased;
            outcome = work => match outcome {
                Ok(outcome) => outcome.map_err(ConsentError::from),
                Err(_) => Err(StoreError::unavailable("panicked").into()),
            },
            () = self.clock().sleep(self.store_timeout) => Err(StoreError::unavailable("did not answer in time").into()),
        }
    }

    /// The duration of a lease: longer than a refresh takes, with the calls of the store before and after it.
    pub(crate) fn lease_duration(&self) -> Duration {
        const MARGIN: Duration = Duration::from_secs(5);
        let store = self.store_timeout.saturating_mul(2);
        self.client.timeout().saturating_add(store).saturating_add(MARGIN).min(MAX_DURATION)
    }

    pub(crate) fn lease_waiter(&self) -> LeaseWaiter<'_> {
        LeaseWaiter::new(self.clock().as_ref(), self.lease_duration())
    }

    /// Runs `work` in its own task, so that it completes if the caller is cancelled, and so that a shutdown waits for it. Returns
    /// `None` if the task panics, or if its runtime shuts down.
    pub(crate) async fn complete<T: Send + 'static>(
        &self,
        runtime: &Handle,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        let work = AssertUnwindSafe(work).catch_unwind().in_current_span();
        runtime.spawn(self.tasks.track_future(work)).await.ok()?.ok()
    }

    /// Runs work in its own task that uses the store and sends nothing to Flinks.
    pub(crate) async fn complete_with_store<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, ConsentError>> + Send + 'static,
    ) -> Result<T, ConsentError> {
        let runtime = runtime::current(self.clock().as_ref())?;
        let abandoned = StoreError::unavailable("was not used: a task panicked, or its runtime ended");
        self.complete(&runtime, work).await.unwrap_or_else(|| Err(abandoned.into()))
    }
}
