//! Keep-alive while consents are being moved. The shards of the new store are numbered first,
//! followed by those of the old store.

use std::time::Duration;

use super::migrating_store::{MigratingStore, Stores};
use crate::keep_alive::{Lookup, WorkItem, WorkLeases};
use crate::store::{ConsentId, DueWindow, ScanRecords, StoreError, StoreFuture};

/// A shard of one of the two stores, identified by its number in that store.
enum Shard {
    Old(u16),
    New(u16),
}

impl<Old: ScanRecords + WorkLeases, New: WorkLeases> Stores<Old, New> {
    fn shard(&self, number: u16) -> Shard {
        match number.checked_sub(self.new.shards()) {
            Some(number) => Shard::Old(number),
            None => Shard::New(number),
        }
    }

    /// Returns the item's shard, and the item as it was listed by the store that has the shard.
    fn item(&self, item: &WorkItem) -> (Shard, WorkItem) {
        let shard = self.shard(item.shard);
        let (Shard::Old(number) | Shard::New(number)) = shard;
        (shard, WorkItem { shard: number, ..item.clone() })
    }

    async fn look_up_item(&self, item: &WorkItem) -> Result<Lookup, StoreError> {
        let (shard, listed) = self.item(item);
        let found = match shard {
            Shard::Old(_) => self.old.look_up(&listed).await?,
            Shard::New(_) => self.new.look_up(&listed).await?,
        };
        let id = match found {
            Lookup::Record(record) => record.id().clone(),
            Lookup::Unreadable => return Ok(Lookup::Unreadable),
            // The record may have been moved. In a store without hidden names, a record's name is
            // the consent's id.
            Lookup::Missing => match item.name.parse::<ConsentId>() {
                Ok(id) => id,
                Err(_) => return Ok(Lookup::Missing),
            },
        };
        // The record that was found may be in the other store by now, or may be a copy.
        match self.load(&id).await {
            Ok(Some(record)) => Ok(Lookup::Record(Box::new(record))),
            Ok(None) => Ok(Lookup::Missing),
            Err(error @ (StoreError::Damaged(_) | StoreError::Misconfigured(_))) => {
                tracing::warn!("cannot read a listed consent: {error}");
                Ok(Lookup::Unreadable)
            }
            Err(error) => Err(error),
        }
    }

    async fn list_due(&self, shard: u16, window: DueWindow, limit: usize) -> Result<Vec<WorkItem>, StoreError> {
        let items = match self.shard(shard) {
            Shard::Old(number) => self.old.due_in(number, window, limit).await?,
            Shard::New(number) => self.new.due_in(number, window, limit).await?,
        };
        Ok(numbered(items, shard))
    }

    async fn list_ended(&self, shard: u16, limit: usize) -> Result<Option<Vec<WorkItem>>, StoreError> {
        let (listed, other) = match self.shard(shard) {
            Shard::Old(number) => (self.old.ended_in(number, limit).await?, self.new.ended_in(0, 1).await?),
            Shard::New(number) => (self.new.ended_in(number, limit).await?, self.old.ended_in(0, 1).await?),
        };
        // A worker keeps its own list unless both stores keep one. If only the new store keeps one,
        // that list is used once the migration is complete.
        Ok(match (listed, other) {
            (Some(items), Some(_)) => Some(numbered(items, shard)),
            _ => None,
        })
    }

    async fn is_end_unreported(&self, item: &WorkItem) -> Result<bool, StoreError> {
        let (shard, listed) = self.item(item);
        let is_listed = match shard {
            Shard::Old(_) => self.old.is_unreported(&listed).await?,
            Shard::New(_) => self.new.is_unreported(&listed).await?,
        };
        // A copy in the new store may be out of date, so only the authoritative record counts.
        Ok(is_listed
            && match self.look_up_item(item).await? {
                Lookup::Record(record) => record.is_ended(),
                Lookup::Unreadable | Lookup::Missing => false,
            })
    }
}

/// Sets the shard of each item to `shard`, the number that the shard has in the combined store.
fn numbered(items: Vec<WorkItem>, shard: u16) -> Vec<WorkItem> {
    items.into_iter().map(|item| WorkItem { shard, ..item }).collect()
}

/// A worker processes the shards of both stores. If a consent is moved to a shard of the new store
/// that the run has already processed, the next run refreshes the consent.
///
/// The end of a consent may be reported twice: once before the consent is moved, and once
/// afterwards.
impl<Old: ScanRecords + WorkLeases, New: WorkLeases> WorkLeases for MigratingStore<Old, New> {
    fn shards(&self) -> u16 {
        self.stores().new.shards().saturating_add(self.stores().old.shards())
    }

    fn acquire<'a>(&'a self, shard: u16, holder: &'a str, duration: Duration) -> StoreFuture<'a, bool> {
        match self.stores().shard(shard) {
            Shard::Old(number) => self.stores().old.acquire(number, holder, duration),
            Shard::New(number) => self.stores().new.acquire(number, holder, duration),
        }
    }

    fn release<'a>(&'a self, shard: u16, holder: &'a str) -> StoreFuture<'a, ()> {
        match self.stores().shard(shard) {
            Shard::Old(number) => self.stores().old.release(number, holder),
            Shard::New(number) => self.stores().new.release(number, holder),
        }
    }

    fn due_in(&self, shard: u16, window: DueWindow, limit: usize) -> StoreFuture<'_, Vec<WorkItem>> {
        Box::pin(self.stores().list_due(shard, window, limit))
    }

    fn look_up<'a>(&'a self, item: &'a WorkItem) -> StoreFuture<'a, Lookup> {
        Box::pin(self.stores().look_up_item(item))
    }

    fn ended_in(&self, shard: u16, limit: usize) -> StoreFuture<'_, Option<Vec<WorkItem>>> {
        Box::pin(self.stores().list_ended(shard, limit))
    }

    fn is_unreported<'a>(&'a self, item: &'a WorkItem) -> StoreFuture<'a, bool> {
        Box::pin(self.stores().is_end_unreported(item))
    }

    fn mark_reported<'a>(&'a self, item: &'a WorkItem) -> StoreFuture<'a, ()> {
        let (shard, listed) = self.stores().item(item);
        Box::pin(async move {
            match shard {
                Shard::Old(_) => self.stores().old.mark_reported(&listed).await,
                Shard::New(_) => self.stores().new.mark_reported(&listed).await,
            }
        })
    }
}
