//! The trait of a store whose work several workers share.

use std::sync::Arc;
use std::time::Duration;

use crate::store::testing::FaultyStore;
use crate::store::{ConsentId, DueWindow, FileStore, MemoryStore, Record, StoreError, StoreFuture, TokenStore};

/// A store whose consents a [`KeepAlive`](super::KeepAlive) can refresh.
///
/// The consents are divided into shards. A worker leases one shard at a time, so that workers of
/// several processes do not refresh the same consents. A store that is used by one process, or on one
/// machine, needs no leases: it has one shard, which every worker gets, and an empty `impl` is enough.
///
/// ```
/// # use flinks_consents::store::*;
/// # use flinks_consents::keep_alive::WorkLeases;
/// # struct MyStore(MemoryStore);
/// # impl TokenStore for MyStore {
/// #     fn load<'a>(&'a self, id: &'a ConsentId) -> StoreFuture<'a, Option<Record>> { self.0.load(id) }
/// #     fn compare_and_swap<'a>(&'a self, e: Option<u64>, r: &'a Record) -> StoreFuture<'a, bool> { self.0.compare_and_swap(e, r) }
/// #     fn remove<'a>(&'a self, id: &'a ConsentId, g: u64) -> StoreFuture<'a, bool> { self.0.remove(id, g) }
/// #     fn list<'a>(&'a self, o: &'a OwnerId, p: &'a Page) -> StoreFuture<'a, Vec<Record>> { self.0.list(o, p) }
/// #     fn due(&self, w: DueWindow, l: usize) -> StoreFuture<'_, Vec<ConsentId>> { self.0.due(w, l) }
/// # }
/// impl WorkLeases for MyStore {}
/// ```
///
/// A lease that is lost costs nothing but time: the refresh itself is protected by the record. So
/// a lease does not have to survive a failover of the store.
pub trait WorkLeases: TokenStore {
    /// Returns the number of shards. It must be the same in all processes.
    fn shards(&self) -> u16 {
        1
    }

    /// Takes the lease of a shard for `duration`, or extends it if `owner` has it already. Returns
    /// `false` if another owner has it.
    fn acquire<'a>(&'a self, shard: u16, owner: &'a str, duration: Duration) -> StoreFuture<'a, bool> {
        let _ = (shard, owner, duration);
        Box::pin(std::future::ready(Ok(true)))
    }

    /// Gives the lease of a shard back if `owner` has it.
    fn release<'a>(&'a self, shard: u16, owner: &'a str) -> StoreFuture<'a, ()> {
        let _ = (shard, owner);
        Box::pin(std::future::ready(Ok(())))
    }

    /// Lists at most `limit` consents of a shard that [`DueWindow::rank`] ranks, the smallest rank
    /// first. Suspected consents may be anywhere in the list: the worker skips them, and lists the
    /// shard again for them.
    fn due_in(&self, shard: u16, window: DueWindow, limit: usize) -> StoreFuture<'_, Vec<WorkItem>> {
        let _ = shard;
        Box::pin(async move {
            let due = self.due(window, limit).await?;
            Ok(due.iter().map(|id| WorkItem { shard, name: id.as_str().to_owned(), stamp: 0 }).collect())
        })
    }

    /// Returns the record of a consent that was listed. The store must return
    /// [`Lookup::Unreadable`] for a record that is damaged or of an unknown key, so that it does not
    /// keep the worker from other consents, and log which one it is.
    fn look_up<'a>(&'a self, item: &'a WorkItem) -> StoreFuture<'a, Lookup> {
        Box::pin(async move {
            let Ok(id) = item.name.parse::<ConsentId>() else { return Ok(Lookup::Gone) };
            match self.load(&id).await {
                Ok(Some(record)) => Ok(Lookup::Record(Box::new(record))),
                Ok(None) => Ok(Lookup::Gone),
                Err(StoreError::Damaged(reason) | StoreError::Misconfigured(reason)) => {
                    tracing::warn!("a consent that is due cannot be read: the token store {reason}");
                    Ok(Lookup::Unreadable)
                }
                Err(error) => Err(error),
            }
        })
    }

    /// Lists at most `limit` consents of a shard that have ended and were not reported yet.
    ///
    /// `None` if the store does not record which ends were reported. Then the worker reports the
    /// consents that have ended in its own runs, and forgets them with its process.
    fn ended_in(&self, shard: u16, limit: usize) -> StoreFuture<'_, Option<Vec<WorkItem>>> {
        let _ = (shard, limit);
        Box::pin(std::future::ready(Ok(None)))
    }

    /// Returns whether an item of [`ended_in`](Self::ended_in) is still listed there.
    fn is_unreported<'a>(&'a self, item: &'a WorkItem) -> StoreFuture<'a, bool> {
        let _ = item;
        Box::pin(std::future::ready(Ok(true)))
    }

    /// Removes an item from the list of [`ended_in`](Self::ended_in), if it is the same item: the
    /// consent may have been renewed and have ended again since.
    fn mark_reported<'a>(&'a self, item: &'a WorkItem) -> StoreFuture<'a, ()> {
        let _ = item;
        Box::pin(std::future::ready(Ok(())))
    }
}

/// A consent in a list of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkItem {
    /// The shard that it belongs to.
    pub shard: u16,
    /// The store's name for the consent: its id, or a hidden name.
    pub name: String,
    /// A number by which the store recognizes the item later, such as the deadline with which it
    /// listed the consent. The worker does not read it.
    pub stamp: u64,
}

/// The result of [`WorkLeases::look_up`].
#[derive(Clone, Debug)]
pub enum Lookup {
    /// The record of the consent.
    Record(Box<Record>),
    /// The record is damaged, or was encrypted with a key that is not configured.
    Unreadable,
    /// There is no record.
    Gone,
}

/// The records are in one process, so no worker of another process exists.
impl WorkLeases for MemoryStore {}

/// The records are on one machine, where two workers that meet find each other's work in the records.
impl WorkLeases for FileStore {}

/// The faulty store has one shard. Listing it and loading its records meet the faults.
impl<S: TokenStore> WorkLeases for FaultyStore<S> {}

impl<S: WorkLeases + ?Sized> WorkLeases for Arc<S> {
    fn shards(&self) -> u16 {
        (**self).shards()
    }

    fn acquire<'a>(&'a self, shard: u16, owner: &'a str, duration: Duration) -> StoreFuture<'a, bool> {
        (**self).acquire(shard, owner, duration)
    }

    fn release<'a>(&'a self, shard: u16, owner: &'a str) -> StoreFuture<'a, ()> {
        (**self).release(shard, owner)
    }

    fn due_in(&self, shard: u16, window: DueWindow, limit: usize) -> StoreFuture<'_, Vec<WorkItem>> {
        (**self).due_in(shard, window, limit)
    }

    fn look_up<'a>(&'a self, item: &'a WorkItem) -> StoreFuture<'a, Lookup> {
        (**self).look_up(item)
    }

    fn ended_in(&self, shard: u16, limit: usize) -> StoreFuture<'_, Option<Vec<WorkItem>>> {
        (**self).ended_in(shard, limit)
    }

    fn is_unreported<'a>(&'a self, item: &'a WorkItem) -> StoreFuture<'a, bool> {
        (**self).is_unreported(item)
    }

    fn mark_reported<'a>(&'a self, item: &'a WorkItem) -> StoreFuture<'a, ()> {
        (**self).mark_reported(item)
    }
}
