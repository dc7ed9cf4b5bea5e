//! A store that fails on demand, to test what an application does when its token store fails.
//!
//! [`FaultyStore`] wraps any other store. A test arms it with a [`StoreFault`] for one call, for
//! one consent or for every call, and can hold a call at a known place, so that it needs no timing:
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
//! // The consent is in memory, and is stored once the store works.
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

/// A [`TokenStore`] that fails on demand, and otherwise does what the store inside it does. Clones
/// are the same store.
///
/// See the [module](self) for an example. A fault that is armed for one call takes precedence over
/// one for a consent, and that over one for every call.
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
    /// [`TokenStore::load`]
    Load,
    /// [`TokenStore::compare_and_swap`]
    CompareAndSwap,
    /// [`TokenStore::remove`]
    Remove,
    /// [`TokenStore::list`]
    List,
    /// [`TokenStore::due`]
    Due,
}

/// What happens to a call of a [`FaultyStore`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum StoreFault {
    /// Returns the error. The call takes no effect.
    Fail(StoreError),
    /// Returns the error after the call has taken effect, as if its reply was lost.
    FailAfter(StoreError),
    /// Waits until [`FaultyStore::release`] before the call takes effect.
    Hold,
    /// Waits until [`FaultyStore::release`] after the call has taken effect.
    HoldAfter,
    /// Reports that the record has another generation, and changes nothing. Affects changes only.
    Conflict,
    /// Reports success and does nothing: a change is lost, a load returns no record, and a list is
    /// empty.
    Ignore,
    /// Returns this record, which may be of another consent. Affects loads only.
    Substitute(Box<Record>),
}

impl StoreFault {
    /// The store is unavailable: the call fails and takes no effect.
    pub const fn unavailable() -> Self {
        Self::Fail(StoreError::unavailable("is unavailable"))
    }

    /// The call takes effect, but its reply is lost.
    pub const fn lost_reply() -> Self {
        Self::FailAfter(StoreError::unavailable("is unavailable"))
    }
}

#[derive(Debug, Default)]
struct Plan {
    calls: Vec<PlannedCall>,
    consents: HashMap<ConsentId, StoreFault>,
    always: Option<StoreFault>,
}

#[derive(Debug)]
struct PlannedCall {
    operation: StoreOperation,
    /// Which call of the operation, counted from the first call of the store.
    number: u64,
    fault: StoreFault,
}

/// The state that waiting tests and held calls watch.
#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    loads: u64,
    swaps: u64,
    removals: u64,
    lists: u64,
    dues: u64,
    releases: u64,
}

/// A faulty store in memory.
impl Default for FaultyStore {
    fn default() -> Self {
        Self::new(MemoryStore::new())
    }
}

impl<S> FaultyStore<S> {
    /// Wraps a store. Without a fault, every call goes to it.
    pub fn new(inner: S) -> Self {
        Self { inner, plan: Arc::default(), progress: watch::Sender::default() }
    }

    /// The store inside, which never fails on demand.
    pub fn inner(&self) -> &S {
        &self.inner
    }

    /// Makes the next call of an operation meet a fault.
    pub fn fail_next(&self, operation: StoreOperation, fault: StoreFault) {
        self.fail_nth(operation, 1, fault);
    }

    /// Makes the `nth` call of an operation from now on meet a fault; the next call is number 1. A
    /// refresh swaps twice, for example: first to lease the consent, and then to store its result.
    pub fn fail_nth(&self, operation: StoreOperation, nth: u64, fault: StoreFault) {
        let number = self.count(operation).saturating_add(nth);
        self.plan().calls.push(PlannedCall { operation, number, fault });
    }

    /// Makes every call about one consent meet a fault, until [`clear_faults`](Self::clear_faults).
    pub fn fail_consent(&self, id: &ConsentId, fault: StoreFault) {
        self.plan().consents.insert(id.clone(), fault);
    }

    /// Makes every call meet a fault, until [`clear_faults`](Self::clear_faults).
    pub fn fail_always(&self, fault: StoreFault) {
        self.plan().always = Some(fault);
    }

    /// Removes the faults that no call has met yet.
    pub fn clear_faults(&self) {
        *self.plan() = Plan::default();
    }

    /// Releases the calls that are held now.
    pub fn release(&self) {
        self.progress.send_modify(|progress| progress.releases = progress.releases.saturating_add(1));
    }

    /// Returns how many calls of an operation have arrived. A call arrives when its future is first
    /// polled.
    pub fn count(&self, operation: StoreOperation) -> u64 {
        self.progress.borrow().arrived(operation)
    }

    /// Waits until `count` calls of an operation have arrived, held ones included.
    pub async fn received(&self, operation: StoreOperation, count: u64) {
        // It fails only without a sender, and `self` has one.
        let _ = self.progress.subscribe().wait_for(|progress| progress.arrived(operation) >= count).await;
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a call, and returns its fault and how many releases there were before it.
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

    /// Makes a call with the fault that is due. `instead` is what a fault makes the operation
    /// return without a call.
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
            if let Some(reply) = instead(&fault) {
                return Ok(reply);
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
    /// How many calls of an operation have arrived.
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

/// The result that a fault makes a change report without a call.
fn instead_of_change(fault: &StoreFault) -> Option<bool> {
    match fault {
        StoreFault::Conflict => Some(false),
        StoreFault::Ignore => Some(true),
        _ => None,
    }
}
