//! An in-memory store.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::due::{DueState, DueWindow};
use super::id::{ConsentId, OwnerId};
use super::record::Record;
use super::token_store::{Page, StoreFuture, TokenStore};

/// A store that keeps records in memory until the last clone is dropped or the process exits. It
/// never evicts a record.
#[derive(Clone, Default)]
pub struct MemoryStore(Arc<Mutex<Records>>);

/// The stored records. They are boxed, because about half of the slots in a hash map are empty.
pub(super) type Records = HashMap<ConsentId, Box<Record>>;

impl MemoryStore {
    /// Creates an empty store.
    pub fn new() -> Self {
        Self::default()
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Records> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TokenStore for MemoryStore {
    fn load<'a>(&'a self, id: &'a ConsentId) -> StoreFuture<'a, Option<Record>> {
        Box::pin(async move { Ok(self.lock().get(id).map(|record| Record::clone(record))) })
    }

    fn compare_and_swap<'a>(&'a self, expected: Option<u64>, record: &'a Record) -> StoreFuture<'a, bool> {
        Box::pin(async move {
            let mut records = self.lock();
            let is_expected = records.get(record.id()).map(|record| record.generation()) == expected;
            if is_expected {
                records.insert(record.id().clone(), Box::new(record.clone()));
            }
            Ok(is_expected)
        })
    }

    fn remove<'a>(&'a self, id: &'a ConsentId, generation: u64) -> StoreFuture<'a, bool> {
        Box::pin(async move {
            let mut records = self.lock();
            let is_expected = records.get(id).map(|record| record.generation()) == Some(generation);
            if is_expected {
                records.remove(id);
            }
            Ok(is_expected)
        })
    }

    fn list<'a>(&'a self, owner: &'a OwnerId, page: &'a Page) -> StoreFuture<'a, Vec<Record>> {
        Box::pin(async move { Ok(page.select(owner, self.lock().values().map(Box::as_ref))) })
    }

    fn due(&self, window: DueWindow, limit: usize) -> StoreFuture<'_, Vec<ConsentId>> {
        Box::pin(async move {
            let records = self.lock();
            Ok(window.select(records.values().map(|record| (DueState::of(record), record.id())), limit))
        })
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").field("records", &self.lock().len()).finish()
    }
}
