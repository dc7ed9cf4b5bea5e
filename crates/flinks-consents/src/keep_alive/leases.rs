//! The trait for stores that several keep-alive workers can share.

use std::sync::Arc;
use std::time::Duration;

use crate::store::testing::FaultyStore;
use crate::store::{ConsentId, DueWindow, FileStore, MemoryStore, Record, StoreError, StoreFuture, TokenStore};

/// A store whose consents can be refreshed by [`KeepAlive`](super::KeepAlive) workers.
///
/// The consents are divided into shards. A worker leases one shard at a time, so that workers in
/// different processes do not refresh the same consents.
///
/// A store for a single process or a single machine needs no leases, so an empty `impl` is enough:
/// the default methods provide a single shard, whose lease every worker can acquire at any time.
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
/// If a worker loses its lease on a shard, the only consequence is some wasted work, because the
/// lease in each record prevents concurrent refreshes of the same consent. Shard leases therefore
/// do not have to survive a store failover.
pub trait WorkLeases: TokenStore {
    /// Returns the number of shards, which must be the same in all processes.
    fn shards(&self) -> u16 {
        1
    }

    /// Acquires the lease on a shard for `duration`, or extends the lease if `holder` already holds
    /// it. Returns `false` if another holder holds the lease.
    fn acquire<'a>(&'a self, shard: u16, holder: &'a str, duration: Duration) -> StoreFuture<'a, bool> {
        let _ = (shard, holder, duration);
        Box::pin(std::future::ready(Ok(true)))
    }

    /// Releases the lease on a shard if `holder` holds it.
    fn release<'a>(&'a self, shard: u16, holder: &'a str) -> StoreFuture<'a, ()> {
        let _ = (shard, holder);
        Box::pin(std::future::ready(Ok(())))
    }

    /// Lists up to `limit` due consents in a shard, in ascending order of rank. A consent is due if
    /// [`DueWindow::rank`] returns a rank for its record.
    ///
    /// Suspected consents may appear anywhere in the list, because the worker first skips them and
    /// later lists the shard again to refresh them.
    fn due_in(&self, shard: u16, window: DueWindow, limit: usize) -> StoreFuture<'_, Vec<WorkItem>> {
        let _ = shard;
        Box::pin(async move {
            let due = self.due(window, limit).await?;
            Ok(due.iter().map(|id| WorkItem { shard, name: id.as_str().to_owned(), stamp: 0 }).collect())
        })
    }

    /// Loads the record of the consent that `item` refers to.
    ///
    /// If a record is damaged or encrypted with an unknown key, the store must log which record is
    /// affected and return [`Lookup::Unreadable`]. If it returned an error instead, the worker
    /// would stop before refreshing the other consents.
    fn look_up<'a>(&'a self, item: &'a WorkItem) -> StoreFuture<'a, Lookup> {
        Box::pin(async move {
            let Ok(id) = item.name.parse::<ConsentId>() else { return Ok(Lookup::Missing) };
            match self.load(&id).await {
                Ok(Some(record)) => Ok(Lookup::Record(Box::new(record))),
                Ok(None) => Ok(Lookup::Missing),
                Err(error @ (StoreError::Damaged(_) | StoreError::Misconfigured(_))) => {
                    tracing::warn!("cannot read a due consent: {error}");
                    Ok(Lookup::Unreadable)
                }
                Err(error) => Err(error),
            }
        })
    }

    /// Lists up to `limit` consents in a shard that have ended but have not been reported yet.
    ///
    /// A consent is added to this list when a record that is marked as ended replaces one that is
    /// not. A consent whose first record is already marked as ended is not added. A
    /// [`Migration`](crate::migrate::Migration) relies on this.
    ///
    /// Returns `None` if the store does not keep a list of ended consents that have not been
    /// reported. Without this list, each worker reports only the consents whose end it has detected
    /// itself. Ended consents that a worker has not reported by the time its process exits are
    /// never reported.
    fn ended_in(&self, shard: u16, limit: usize) -> StoreFuture<'_, Option<Vec<WorkItem>>> {
        let _ = (shard, limit);
        Box::pin(std::future::ready(Ok(None)))
    }

    /// Returns whether an item from [`ended_in`](Self::ended_in) is still unreported.
    fn is_unreported<'a>(&'a self, item: &'a WorkItem) -> StoreFuture<'a, bool> {
        let _ = item;
        Box::pin(std::future::ready(Ok(true)))
    }

    /// Removes an item from the list that [`ended_in`](Self::ended_in) returns, unless the item has
    /// been replaced. An item is replaced if, since it was listed, the end user has consented again
    /// and the new consent has also ended.
    fn mark_reported<'a>(&'a self, item: &'a WorkItem) -> StoreFuture<'a, ()> {
        let _ = item;
        Box::pin(std::future::ready(Ok(())))
    }
}

/// A listed consent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkItem {
    /// The consent's shard.
    pub shard: u16,
    /// The consent's name in the store: either its id or its hidden name.
    pub name: String,
    /// A number that lets the store recognize the item later, such as the consent's idle deadline
    /// at the time of listing. The worker does not interpret it.
    pub stamp: u64,
}

/// The result of [`WorkLeases::look_up`].
#[derive(Clone, Debug)]
pub enum Lookup {
    /// The consent's record.
    Record(Box<Record>),
    /// The record is damaged or was encrypted with a key that is not configured.
    Unreadable,
    /// The store has no record of the consent.
    Missing,
}

/// Only one process can access the records of a [`MemoryStore`], so no leases are needed.
impl WorkLeases for MemoryStore {}

/// All workers that use a [`FileStore`] run on the same machine and skip consents that another
/// worker has already refreshed, so no leases are needed.
impl WorkLeases for FileStore {}

/// A [`FaultyStore`] has a single shard. Faults apply to listing the shard and to loading its
/// records.
impl<S: TokenStore> WorkLeases for FaultyStore<S> {}

impl<S: WorkLeases + ?Sized> WorkLeases for Arc<S> {
    fn shards(&self) -> u16 {
        (**self).shards()
    }

    fn acquire<'a>(&'a self, shard: u16, holder: &'a str, duration: Duration) -> StoreFuture<'a, bool> {
        (**self).acquire(shard, holder, duration)
    }

    fn release<'a>(&'a self, shard: u16, holder: &'a str) -> StoreFuture<'a, ()> {
        (**self).release(shard, holder)
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
