//! The state that all consents in a [`Consents`](crate::Consents) value share: the client, the
//! store, and the in-flight tasks.

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
use crate::metrics::{StoreCall, StoreOutcome, StoreValue, Timer};
use crate::process_name::ProcessName;
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
    pub(crate) process_name: ProcessName,
    pub(crate) tasks: TaskTracker,
    pub(crate) witnesses: Witnesses,
    pub(crate) log_names: LogNames,
    pub(crate) registry: Registry,
}

pub(crate) type Callback = Box<dyn Fn(&ConsentId, &Event) + Send + Sync>;

/// How a consent is identified in the log.
pub(crate) enum LogNames {
    /// A keyed hash of the id. Each process uses a different key.
    Hashed(RandomState),
    /// The consent's id.
    Ids,
}

/// What to do if an access token must be refreshed while the store is unavailable. A valid cached
/// token is returned under either policy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OutagePolicy {
    /// Sends no refresh requests. Once the cached token has expired, calls fail with an error for
    /// which [`ConsentError::is_store`] returns `true`.
    #[default]
    FailClosed,
    /// Refreshes with the newest known refresh token and keeps the result in memory. During the
    /// outage, each process refreshes independently. With this policy, the records of all consents
    /// in use stay in memory.
    ///
    /// Once a process has received a new refresh token, it no longer refreshes without the store,
    /// because Flinks could end the consent if two processes used the same refresh token. If Flinks
    /// replaces a token for the first time during an outage, only the process that received the new
    /// token has it until the store is available again (see [`Event::NotStored`]), and all other
    /// processes still have the old token. If your server replaces refresh tokens, use
    /// [`FailClosed`](Self::FailClosed). ([A5](flinks::rules))
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
            process_name: ProcessName::new(),
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

    /// Loads a record and checks that the store returned the record of the consent `id`.
    pub(crate) async fn load(&self, id: &ConsentId) -> Result<Option<Record>, ConsentError> {
        let record = self.call_store(StoreCall::Load, |store| store.load(id)).await?;
        if record.as_ref().is_some_and(|record| record.id != *id) {
            return Err(StoreError::damaged("returned another consent's record").into());
        }
        Ok(record)
    }

    /// Stores `record` if the stored generation is `expected`. Returns whether it was stored.
    pub(crate) async fn swap(&self, expected: Option<u64>, record: &Record) -> Result<bool, ConsentError> {
        self.call_store(StoreCall::CompareAndSwap, |store| store.compare_and_swap(expected, record)).await
    }

    /// Calls the store with a timeout. A panic in the store is treated as an outage.
    pub(crate) async fn call_store<'a, T: StoreValue>(
        &'a self,
        operation: StoreCall,
        call: impl FnOnce(&'a dyn TokenStore) -> StoreFuture<'a, T>,
    ) -> Result<T, ConsentError> {
        let work = AssertUnwindSafe(async { call(self.store.as_ref()).await }).catch_unwind();
        let timer = Timer::start();
        let response = tokio::select! {
            biased;
            result = work => Some(result.unwrap_or_else(|_| Err(StoreError::unavailable("panicked")))),
            () = self.clock().sleep(self.store_timeout) => None,
        };
        let outcome = match &response {
            Some(Ok(value)) => value.outcome(),
            Some(Err(_)) => StoreOutcome::Error,
            None => StoreOutcome::Timeout,
        };
        timer.record_store_call(operation, outcome);
        let result = response.unwrap_or_else(|| Err(StoreError::unavailable("did not respond in time")));
        result.map_err(ConsentError::from)
    }

    /// Returns the duration of a lease. It is long enough for a refresh, a call to the store before
    /// the refresh, and another call after it.
    pub(crate) fn lease_duration(&self) -> Duration {
        const MARGIN: Duration = Duration::from_secs(5);
        let store = self.store_timeout.saturating_mul(2);
        self.client.timeout().saturating_add(store).saturating_add(MARGIN).min(MAX_DURATION)
    }

    pub(crate) fn lease_waiter(&self) -> LeaseWaiter<'_> {
        LeaseWaiter::new(self.clock().as_ref(), self.lease_duration())
    }

    /// Runs `work` in a separate task. The task completes even if the caller is cancelled, and a
    /// shutdown waits for it. Returns `None` if the task panics or its runtime shuts down.
    pub(crate) async fn run_in_task<T: Send + 'static>(
        &self,
        runtime: &Handle,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        let work = AssertUnwindSafe(work).catch_unwind().in_current_span();
        runtime.spawn(self.tasks.track_future(work)).await.ok()?.ok()
    }

    /// Runs `work`, which uses the store but sends nothing to Flinks, in a separate task.
    pub(crate) async fn run_store_task<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, ConsentError>> + Send + 'static,
    ) -> Result<T, ConsentError> {
        let runtime = runtime::current(self.clock().as_ref())?;
        let abandoned = StoreError::unavailable("was not reached: the task panicked or its runtime shut down");
        self.run_in_task(&runtime, work).await.unwrap_or_else(|| Err(abandoned.into()))
    }
}
