//! A store that fails on demand, for testing how an application behaves when its token store fails.
//!
//! [`FaultyStore`] wraps any other store. A test arms it with a [`StoreFault`] for one call, for
//! one consent or for every call. To avoid depending on timing, the test can also hold a call
//! before or after it takes effect:
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! use std::time::SystemTime;
//!
//! use flinks_consents::store::testing::{FaultyStore, StoreFault, StoreOperation};
//! use flinks_consents::flinks::outbound::{Client, ClientCredentials, RefreshToken};
//! use flinks_consents::{Consents, TokenStore};
//!
//! let client = Client::builder("http://127.0.0.1:8080".parse()?, ClientCredentials::new("id", "secret")?).build()?;
//! let store = FaultyStore::default();
//! let consents = Consents::builder(client).store(store.clone()).build();
//!
//! store.fail_next(StoreOperation::CompareAndSwap, StoreFault::unavailable());
//! let id = "user-7".parse()?;
//! let outcome = consents.import(&id, RefreshToken::new("refresh-token")?, SystemTime::now()).await;
//! assert!(outcome.unwrap_err().is_store());
//!
//! // The consent is a pending write now. It is stored as soon as the store works again.
//! consents.flush().await?;
//! assert!(store.inner().load(&id).await?.is_some());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::due::DueWindow;
use super::error::StoreError;
use super::id::{ConsentId, OwnerId};
use super::memory::MemoryStore;
use super::record::Record;
use super::token_store::{Page, StoreFuture, TokenStore};

/// A [`TokenStore`] that fails on demand and otherwise forwards each call to the wrapped store.
///
/// Clones share the wrapped store and the armed faults. A fault for one call takes precedence over
/// a fault for a consent, which takes precedence over a fault for every call. See the [module
/// documentation](self) for an example.
#[derive(Clone, Debug)]
pub struct FaultyStore<S = MemoryStore> {
    inner: S,
    plan: Arc<Mutex<Plan>>,
    progress: watch::Sender<Progress>,
}

/// A method of [`TokenStore`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreOperation {
    /// A call to [`TokenStore::load`].
    Load,
    /// A call to [`TokenStore::compare_and_swap`].
    CompareAndSwap,
    /// A call to [`TokenStore::remove`].
    Remove,
    /// A call to [`TokenStore::list`].
    List,
    /// A call to [`TokenStore::due`].
    Due,
}

/// A fault that a [`FaultyStore`] injects into a call.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum StoreFault {
    /// Returns the error. The call has no effect.
    Fail(StoreError),
    /// Returns the error after the call has taken effect, as if its response had been lost.
    FailAfter(StoreError),
    /// Holds the call before it takes effect, until [`FaultyStore::release`] is called.
    Hold,
    /// Holds the call after it has taken effect, until [`FaultyStore::release`] is called.
    HoldAfter,
    /// Changes nothing and reports that the record has a different generation. Affects only
    /// `compare_and_swap` and `remove`.
    Conflict,
    /// Reports success but does nothing: a change is lost, `load` returns no record, and a list is
    /// empty.
    Ignore,
    /// Returns the given record, which may belong to another consent. Affects only `load`.
    Substitute(Box<Record>),
}

impl StoreFault {
    /// Creates a fault that makes the call fail without taking effect, as if the store were
    /// unavailable.
    pub const fn unavailable() -> Self {
        Self::Fail(StoreError::unavailable("is unavailable"))
    }

    /// Creates a fault that makes the call fail after it has taken effect, as if its response had
    /// been lost.
    pub const fn lost_reply() -> Self {
        Self::FailAfter(StoreError::unavailable("is unavailable"))
    }
}

/// The armed faults.
#[derive(Debug, Default)]
struct Plan {
    calls: Vec<PlannedCall>,
    consents: HashMap<ConsentId, StoreFault>,
    always: Option<StoreFault>,
}

#[derive(Debug)]
struct PlannedCall {
    operation: StoreOperation,
    /// The position of the call among all calls to this operation, starting at 1.
    number: u64,
    fault: StoreFault,
}

/// The numbers of calls and releases, which waiting tests and held calls observe.
#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    loads: u64,
    swaps: u64,
    removals: u64,
    lists: u64,
    dues: u64,
    releases: u64,
}

/// Creates a faulty store that wraps a new [`MemoryStore`].
impl Default for FaultyStore {
    fn default() -> Self {
        Self::new(MemoryStore::new())
    }
}

impl<S> FaultyStore<S> {
    /// Wraps a store. Initially, no fault is armed.
    pub fn new(inner: S) -> Self {
        Self { inner, plan: Arc::default(), progress: watch::Sender::default() }
    }

    /// Returns the wrapped store. Calls to it bypass all faults.
    pub fn inner(&self) -> &S {
        &self.inner
    }

    /// Arms a fault for the next call to an operation.
    pub fn fail_next(&self, operation: StoreOperation, fault: StoreFault) {
        self.fail_nth(operation, 1, fault);
    }

    /// Arms a fault for the `nth` call to an operation, counting from now. Number 1 is the next
    /// call.
    ///
    /// For example, a refresh calls `compare_and_swap` twice: first to lease the consent and then
    /// to store the result.
    pub fn fail_nth(&self, operation: StoreOperation, nth: u64, fault: StoreFault) {
        let number = self.count(operation).saturating_add(nth);
        self.plan().calls.push(PlannedCall { operation, number, fault });
    }

    /// Arms a fault for every call that concerns one consent, until
    /// [`clear_faults`](Self::clear_faults) is called.
    pub fn fail_consent(&self, id: &ConsentId, fault: StoreFault) {
        self.plan().consents.insert(id.clone(), fault);
    }

    /// Arms a fault for every call, until [`clear_faults`](Self::clear_faults) is called.
    pub fn fail_always(&self, fault: StoreFault) {
        self.plan().always = Some(fault);
    }

    /// Disarms all faults.
    pub fn clear_faults(&self) {
        *self.plan() = Plan::default();
    }

    /// Releases all calls that are currently held.
    pub fn release(&self) {
        self.progress.send_modify(|progress| progress.releases = progress.releases.saturating_add(1));
    }

    /// Returns how many times an operation has been called so far. A call is counted when its
    /// future is first polled.
    pub fn count(&self, operation: StoreOperation) -> u64 {
        self.progress.borrow().arrived(operation)
    }

    /// Waits until the number of calls to the operation, including held calls, is at least `count`.
    pub async fn received(&self, operation: StoreOperation, count: u64) {
        // `wait_for` fails only if every sender has been dropped, and `self` still has a sender.
        let _ = self.progress.subscribe().wait_for(|progress| progress.arrived(operation) >= count).await;
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a call. Returns the call's fault, if any, and the number of releases before the call.
    fn arrive(&self, operation: StoreOperation, id: Option<&ConsentId>) -> (Option<StoreFault>, u64) {
        let mut progress = Progress::default();
        self.progress.send_modify(|shared| {
            let counter = shared.counter(operation);
            *counter = counter.saturating_add(1);
            progress = *shared;
        });
        let number = progress.arrived(operation);
        let mut plan = self.plan();
        let is_due = |call: &PlannedCall| call.operation == operation && call.number == number;
        let planned = plan.calls.iter().position(is_due).map(|at| plan.calls.swap_remove(at).fault);
        let fault = planned.or_else(|| plan.consents.get(id?).cloned()).or_else(|| plan.always.clone());
        (fault, progress.releases)
    }

    async fn released_after(&self, releases: u64) {
        let _ = self.progress.subscribe().wait_for(|progress| progress.releases > releases).await;
    }

    /// Makes a call and injects the fault that is armed for it, if any. If `instead` returns a
    /// result for the fault, the wrapped store is not called.
    fn call<'a, T: Send + 'a>(
        &'a self,
        operation: StoreOperation,
        id: Option<&'a ConsentId>,
        call: StoreFuture<'a, T>,
        instead: fn(&StoreFault) -> Option<T>,
    ) -> StoreFuture<'a, T>
    where
        S: Sync,
    {
        Box::pin(async move {
            let (fault, releases) = self.arrive(operation, id);
            let Some(fault) = fault else { return call.await };
            if let Some(result) = instead(&fault) {
                return Ok(result);
            }
            match fault {
                StoreFault::Fail(error) => Err(error),
                StoreFault::FailAfter(error) => {
                    call.await?;
                    Err(error)
                }
                StoreFault::Hold => {
                    self.released_after(releases).await;
                    call.await
                }
                StoreFault::HoldAfter => {
                    let outcome = call.await;
                    self.released_after(releases).await;
                    outcome
                }
                StoreFault::Conflict | StoreFault::Ignore | StoreFault::Substitute(_) => call.await,
            }
        })
    }
}

impl Progress {
    /// Returns the number of calls to an operation.
    fn arrived(mut self, operation: StoreOperation) -> u64 {
        *self.counter(operation)
    }

    fn counter(&mut self, operation: StoreOperation) -> &mut u64 {
        match operation {
            StoreOperation::Load => &mut self.loads,
            StoreOperation::CompareAndSwap => &mut self.swaps,
            StoreOperation::Remove => &mut self.removals,
            StoreOperation::List => &mut self.lists,
            StoreOperation::Due => &mut self.dues,
        }
    }
}

impl<S: TokenStore> TokenStore for FaultyStore<S> {
    fn load<'a>(&'a self, id: &'a ConsentId) -> StoreFuture<'a, Option<Record>> {
        self.call(StoreOperation::Load, Some(id), self.inner.load(id), |fault| match fault {
            StoreFault::Ignore => Some(None),
            StoreFault::Substitute(record) => Some(Some(Record::clone(record))),
            _ => None,
        })
    }

    fn compare_and_swap<'a>(&'a self, expected: Option<u64>, record: &'a Record) -> StoreFuture<'a, bool> {
        let call = self.inner.compare_and_swap(expected, record);
        self.call(StoreOperation::CompareAndSwap, Some(record.id()), call, instead_of_change)
    }

    fn remove<'a>(&'a self, id: &'a ConsentId, generation: u64) -> StoreFuture<'a, bool> {
        self.call(StoreOperation::Remove, Some(id), self.inner.remove(id, generation), instead_of_change)
    }

    fn list<'a>(&'a self, owner: &'a OwnerId, page: &'a Page) -> StoreFuture<'a, Vec<Record>> {
        self.call(StoreOperation::List, None, self.inner.list(owner, page), |fault| match fault {
            StoreFault::Ignore => Some(Vec::new()),
            _ => None,
        })
    }

    fn due(&self, window: DueWindow, limit: usize) -> StoreFuture<'_, Vec<ConsentId>> {
        self.call(StoreOperation::Due, None, self.inner.due(window, limit), |fault| match fault {
            StoreFault::Ignore => Some(Vec::new()),
            _ => None,
        })
    }
}

/// Returns the result of `compare_and_swap` or `remove` if the fault replaces the call.
fn instead_of_change(fault: &StoreFault) -> Option<bool> {
    match fault {
        StoreFault::Conflict => Some(false),
        StoreFault::Ignore => Some(true),
        _ => None,
    }
}
