//! The trait for stores whose consents several workers can refresh.

use std::sync::Arc;
use std::time::Duration;

use crate::store::testing::FaultyStore;
use crate::store::{ConsentId, DueWindow, FileStore, MemoryStore, Record, StoreError, StoreFuture, TokenStore};

/// A store whose consents a [`KeepAlive`](super::KeepAlive) can refresh.
///
/// The consents are divided into shards. A worker leases one shard at a time, so that workers in
/// several processes do not refresh the same consents.
///
/// A store for a single process or a single machine needs no leases. An empty `impl` is enough for
/// it: the default methods provide one shard, whose lease every worker can acquire.
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
/// A lost lease only wastes some work, because the lease in each record prevents concurrent
/// refreshes of the same consent. The leases of shards therefore do not have to survive a failover
/// of the store.
pub trait WorkLeases: TokenStore {
    /// Returns the number of shards, which must be the same in all processes.
    fn shards(&self) -> u16 {
        1
    }

    /// Acquires the lease of a shard for `duration`, or extends it if `holder` already holds it.
    /// Returns `false` if the lease belongs to another holder.
    fn acquire<'a>(&'a self, shard: u16, holder: &'a str, duration: Duration) -> StoreFuture<'a, bool> {
        let _ = (shard, holder, duration);
        Box::pin(std::future::ready(Ok(true)))
    }

    /// Releases the lease of a shard if `holder` holds it.
    fn release<'a>(&'a self, shard: u16, holder: &'a str) -> StoreFuture<'a, ()> {
        let _ = (shard, holder);
        Box::pin(std::future::ready(Ok(())))
    }

    /// Lists at most `limit` consents of a shard for which [`DueWindow::rank`] returns a rank, in
    /// ascending order of their ranks.
    ///
    /// Suspected consents may be anywhere in the list, because the worker skips them and lists the
    /// shard again for them.
    fn due_in(&self, shard: u16, window: DueWindow, limit: usize) -> StoreFuture<'_, Vec<WorkItem>> {
        let _ = shard;
        Box::pin(async move {
            let due = self.due(window, limit).await?;
            Ok(due.iter().map(|id| WorkItem { shard, name: id.as_str().to_owned(), stamp: 0 }).collect())
        })
    }

    /// Loads the record of a listed consent.
    ///
    /// For a record that is damaged or encrypted with an unknown key, the store must log which one
    /// it is, and return [`Lookup::Unreadable`]. An error would stop the worker before it refreshes
    /// other consents.
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

    /// Lists at most `limit` consents of a shard that have ended and were not reported yet.
    ///
    /// Returns `None` if the store does not record which ended consents were reported. The worker
    /// then reports only those consents whose end it has detected itself, and its list of them is
    /// lost when the process exits.
    fn ended_in(&self, shard: u16, limit: usize) -> StoreFuture<'_, Option<Vec<WorkItem>>> {
        let _ = (shard, limit);
        Box::pin(std::future::ready(Ok(None)))
    }

    /// Returns whether an item of [`ended_in`](Self::ended_in) is still in that list.
    fn is_unreported<'a>(&'a self, item: &'a WorkItem) -> StoreFuture<'a, bool> {
        let _ = item;
        Box::pin(std::future::ready(Ok(true)))
    }

    /// Removes an item from the list of [`ended_in`](Self::ended_in), unless it was replaced: since
    /// the listing, the end user may have consented again, and that consent may have ended, too.
    fn mark_reported<'a>(&'a self, item: &'a WorkItem) -> StoreFuture<'a, ()> {
        let _ = item;
        Box::pin(std::future::ready(Ok(())))
    }
}

/// A listed consent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkItem {
    /// The shard of the consent.
    pub shard: u16,
    /// The name of the consent in the store: its id, or a hidden name.
    pub name: String,
    /// A number with which the store can recognize the item later, such as the deadline at the time
    /// of listing. The worker does not interpret it.
    pub stamp: u64,
}

/// The result of [`WorkLeases::look_up`].
#[derive(Clone, Debug)]
pub enum Lookup {
    /// The record of the consent.
    Record(Box<Record>),
    /// The record is damaged, or was encrypted with a key that is not configured.
    Unreadable,
    /// The store has no record of the consent.
    Missing,
}

/// Only one process can access the records, so no leases are needed.
impl WorkLeases for MemoryStore {}

/// All workers run on one machine, so no leases are needed: a worker skips consents that another
/// worker has already refreshed.
impl WorkLeases for FileStore {}

/// The store has one shard. Faults apply to listing it and to loading its records.
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
