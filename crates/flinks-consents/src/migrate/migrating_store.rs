//! The store that an application uses while its consents are being moved.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use futures_util::StreamExt as _;

use super::marks::{self, Mark};
use super::transfer::{Outcome, load_old, move_record};
use crate::store::{
    ConsentId, DueRank, DueWindow, OwnerId, Page, Record, ScanRecords, StoreError, StoreFuture, TokenStore,
};

/// A store that consists of an old and a new store, for use while a [`Migration`](super::Migration)
/// moves the consents from the old store to the new one. Cloning is cheap.
///
/// Each consent is in exactly one of the two stores. A `MigratingStore` created with
/// [`prepare`](Self::prepare) stores new consents in the old store, and one created with
/// [`new`](Self::new) stores them in the new store. Before a consent is moved, all processes must
/// use a `MigratingStore` created with `new`. The [module documentation](super) describes the
/// deployments.
///
/// An operation on a consent that is still in the old store, or in neither store, accesses both
/// stores.
///
/// [`due`](TokenStore::due) loads each due record, and [`list`](TokenStore::list) loads all of the
/// owner's records.
pub struct MigratingStore<Old, New>(Arc<Stores<Old, New>>);

pub(super) struct Stores<Old, New> {
    pub(super) old: Old,
    pub(super) new: New,
    new_consents: Target,
}

/// Which of the two stores receives new consents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    Old,
    New,
}

/// The maximum number of times that an operation is attempted if other tasks keep moving or
/// changing the record.
const MAX_ATTEMPTS: u32 = 20;
/// The number of records that `due` loads at the same time.
const CONCURRENT_LOADS: usize = 16;
const KEEPS_CHANGING: StoreError = StoreError::busy("is busy: other processes keep changing the record");

impl<Old, New> MigratingStore<Old, New> {
    /// Combines the store that contains the consents with the store to which they are moved.
    pub fn new(old: Old, new: New) -> Self {
        Self(Arc::new(Stores { old, new, new_consents: Target::New }))
    }

    /// Combines the two stores as [`new`](Self::new) does, but stores new consents in the old store.
    ///
    /// Processes that use this store can run alongside processes that use only the old store, and
    /// alongside processes that use a store created with `new`. Do not run a
    /// [`Migration`](super::Migration) while any process uses this store.
    pub fn prepare(old: Old, new: New) -> Self {
        Self(Arc::new(Stores { old, new, new_consents: Target::Old }))
    }

    pub(super) fn stores(&self) -> &Stores<Old, New> {
        &self.0
    }
}

impl<Old, New> Clone for MigratingStore<Old, New> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<Old: ScanRecords, New: TokenStore> TokenStore for MigratingStore<Old, New> {
    fn load<'a>(&'a self, id: &'a ConsentId) -> StoreFuture<'a, Option<Record>> {
        Box::pin(self.0.load(id))
    }

    fn compare_and_swap<'a>(&'a self, expected: Option<u64>, record: &'a Record) -> StoreFuture<'a, bool> {
        Box::pin(async move {
            match expected {
                Some(generation) => self.0.replace(generation, record).await,
                None => self.0.insert(record).await,
            }
        })
    }

    fn remove<'a>(&'a self, id: &'a ConsentId, generation: u64) -> StoreFuture<'a, bool> {
        Box::pin(self.0.remove(id, generation))
    }

    /// Lists the records in order of id.
    fn list<'a>(&'a self, owner: &'a OwnerId, page: &'a Page) -> StoreFuture<'a, Vec<Record>> {
        Box::pin(self.0.list(owner, page))
    }

    fn due(&self, window: DueWindow, limit: usize) -> StoreFuture<'_, Vec<ConsentId>> {
        Box::pin(self.0.due(window, limit))
    }
}

impl<Old: ScanRecords, New: TokenStore> Stores<Old, New> {
    pub(super) async fn load(&self, id: &ConsentId) -> Result<Option<Record>, StoreError> {
        if let Some(record) = self.load_moved(id).await? {
            return Ok(Some(record));
        }
        if let Some(record) = load_old(&self.old, id).await? {
            return Ok(Some(record));
        }
        // The record may have been moved between the two calls.
        self.load_new(id).await
    }

    /// Loads the record from the new store. Returns `None` if the record is not known to be
    /// authoritative.
    async fn load_moved(&self, id: &ConsentId) -> Result<Option<Record>, StoreError> {
        Ok(self.new.load(id).await?.filter(|record| Mark::of(record) == Mark::None))
    }

    /// Loads the record from the new store. Call this method only if the old store has no record of
    /// the consent.
    async fn load_new(&self, id: &ConsentId) -> Result<Option<Record>, StoreError> {
        let found = self.new.load(id).await?;
        Ok(found.filter(|record| Mark::of(record) != Mark::Reservation).map(marks::unmarked))
    }

    /// Replaces the record with the given generation.
    async fn replace(&self, generation: u64, record: &Record) -> Result<bool, StoreError> {
        let id = record.id();
        if self.load_moved(id).await?.is_some() {
            return self.new.compare_and_swap(Some(generation), record).await;
        }
        if self.old.compare_and_swap(Some(generation), record).await? {
            return Ok(true);
        }
        if load_old(&self.old, id).await?.is_some() || self.load_new(id).await?.is_none() {
            return Ok(false);
        }
        self.new.compare_and_swap(Some(generation), record).await
    }

    /// Stores a new consent's record, unless either store already has a record of the consent.
    ///
    /// A process that stores new consents in the other store may have stored the same consent since
    /// the first check. Each of the two processes checks again after its write, so at least one of
    /// them finds the other's record. A process that finds another record removes its own and
    /// returns `false`.
    async fn insert(&self, record: &Record) -> Result<bool, StoreError> {
        let id = record.id();
        match self.new_consents {
            Target::Old => {
                if self.load_moved(id).await?.is_some() || !insert_into(&self.old, record).await? {
                    return Ok(false);
                }
                if self.load_moved(id).await?.is_none() {
                    return Ok(true);
                }
                self.old.remove(id, record.generation).await?;
            }
            Target::New => {
                if load_old(&self.old, id).await?.is_some() || !insert_into(&self.new, record).await? {
                    return Ok(false);
                }
                if load_old(&self.old, id).await?.is_none() {
                    return Ok(true);
                }
                self.new.remove(id, record.generation).await?;
            }
        }
        Ok(false)
    }

    /// Removes the record. A record in the old store is moved first, because a removal from the old
    /// store means that the record is in the new one.
    async fn remove(&self, id: &ConsentId, generation: u64) -> Result<bool, StoreError> {
        for _ in 0..MAX_ATTEMPTS {
            if self.load_moved(id).await?.is_some() {
                return self.new.remove(id, generation).await;
            }
            // No record may be moved yet, because other processes may be using only the old store.
            if self.new_consents == Target::Old && self.new.load(id).await?.is_none() {
                return self.old.remove(id, generation).await;
            }
            let Some(record) = load_old(&self.old, id).await? else {
                return match self.load_new(id).await? {
                    Some(_) => self.new.remove(id, generation).await,
                    None => Ok(false),
                };
            };
            if record.generation != generation {
                return Ok(false);
            }
            match move_record(&self.old, &self.new, record).await? {
                Outcome::Moved | Outcome::Absent | Outcome::Conflict => {}
                Outcome::Busy => return Err(KEEPS_CHANGING),
            }
        }
        Err(KEEPS_CHANGING)
    }

    async fn list(&self, owner: &OwnerId, page: &Page) -> Result<Vec<Record>, StoreError> {
        // The old store is listed first, so that a record that is moved in between is not missed.
        let old = list_all(&self.old, owner).await?;
        let new = list_all(&self.new, owner).await?;
        let old = old.into_iter().filter(|record| Mark::of(record) != Mark::Reservation).map(marks::unmarked);
        let mut records: BTreeMap<ConsentId, Record> = old.map(|record| (record.id.clone(), record)).collect();
        for record in new {
            let id = record.id.clone();
            if Mark::of(&record) == Mark::None {
                records.insert(id, record);
            } else if !records.contains_key(&id)
                && let Some(record) = self.load(&id).await?
            {
                records.insert(id, record);
            }
        }
        Ok(page.select(owner, records.values()))
    }

    async fn due(&self, window: DueWindow, limit: usize) -> Result<Vec<ConsentId>, StoreError> {
        let mut ids = self.old.due(window, limit).await?;
        ids.extend(self.new.due(window, limit).await?);
        ids.sort_unstable();
        ids.dedup();
        let ranks = futures_util::stream::iter(ids).map(|id| async move {
            match self.load(&id).await {
                Ok(record) => Ok(record.and_then(|record| window.rank(&record)).map(|rank| (rank, id))),
                // An unreadable record must not prevent the other consents from being listed.
                Err(error @ (StoreError::Damaged(_) | StoreError::Misconfigured(_))) => {
                    tracing::warn!("cannot read a due consent: {error}");
                    Ok(None)
                }
                Err(error) => Err(error),
            }
        });
        let mut ranks = ranks.buffer_unordered(CONCURRENT_LOADS);
        let mut due: Vec<(DueRank, ConsentId)> = Vec::new();
        while let Some(rank) = ranks.next().await {
            due.extend(rank?);
        }
        due.sort_unstable();
        Ok(due.into_iter().take(limit).map(|(_, id)| id).collect())
    }
}

/// Stores a record unless the store already has a record of the consent. A reservation is replaced,
/// because a migration made it for a record that no longer exists.
async fn insert_into<S: TokenStore>(store: &S, record: &Record) -> Result<bool, StoreError> {
    for _ in 0..MAX_ATTEMPTS {
        if store.compare_and_swap(None, record).await? {
            return Ok(true);
        }
        let Some(found) = store.load(record.id()).await? else { continue };
        if Mark::of(&found) != Mark::Reservation {
            return Ok(false);
        }
        if store.compare_and_swap(Some(found.generation), record).await? {
            return Ok(true);
        }
    }
    Err(KEEPS_CHANGING)
}

/// Lists all of an owner's records.
async fn list_all<S: TokenStore>(store: &S, owner: &OwnerId) -> Result<Vec<Record>, StoreError> {
    const PAGE: usize = 1000;
    let mut records = Vec::new();
    let mut page = Page::first(PAGE);
    loop {
        let found = store.list(owner, &page).await?;
        let is_last = found.len() < PAGE;
        let last = found.last().map(|record| record.id.clone());
        records.extend(found);
        match last {
            Some(last) if !is_last => page = Page::after(last, PAGE),
            _ => return Ok(records),
        }
    }
}

impl<Old: fmt::Debug, New: fmt::Debug> fmt::Debug for MigratingStore<Old, New> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MigratingStore").field("old", &self.0.old).field("new", &self.0.new).finish()
    }
}
