//! The trait for stores that can list all their records.

use std::sync::Arc;

use super::error::StoreError;
use super::id::ConsentId;
use super::memory::MemoryStore;
use super::record::Record;
use super::testing::FaultyStore;
use super::token_store::{StoreFuture, TokenStore};

/// A store that can list all its records, regardless of their owner. A
/// [`Migration`](crate::migrate::Migration) can move consents between any two such stores.
pub trait ScanRecords: TokenStore {
    /// Lists about `limit` records, starting after `cursor`, or at the beginning if `cursor` is
    /// `None`.
    ///
    /// A scan calls this method until [`ScanPage::next`] is `None`. A record that is in the store
    /// during the whole scan must be listed at least once. Any other record may or may not be
    /// listed, and any record may be listed several times.
    ///
    /// # Errors
    ///
    /// Returns a [`StoreError`] if the store fails or did not create the cursor. An unreadable
    /// record does not cause an error, but is counted in [`ScanPage::unreadable`].
    fn scan<'a>(&'a self, cursor: Option<&'a str>, limit: usize) -> StoreFuture<'a, ScanPage>;

    /// Returns the number of records. Returns `None` if the store would have to read the records to
    /// count them.
    fn count(&self) -> StoreFuture<'_, Option<u64>> {
        Box::pin(std::future::ready(Ok(None)))
    }

    /// Returns whether the consent has ended and its end has not been reported yet (see
    /// [`WorkLeases::ended_in`](crate::keep_alive::WorkLeases::ended_in)). Returns `false` if the
    /// store does not keep a list of such consents.
    fn is_end_unreported<'a>(&'a self, id: &'a ConsentId) -> StoreFuture<'a, bool> {
        let _ = id;
        Box::pin(std::future::ready(Ok(false)))
    }
}

/// A page of a store's records, returned by [`ScanRecords::scan`].
#[derive(Clone, Debug, Default)]
pub struct ScanPage {
    /// The records on this page. A page may be empty even if it is not the last one.
    pub records: Vec<Record>,
    /// The number of records on this page that cannot be read.
    pub unreadable: u64,
    /// The cursor for the next page. `None` if this is the last page.
    pub next: Option<String>,
}

impl ScanPage {
    /// The error to return for a cursor that the store did not create.
    pub const INVALID_CURSOR: StoreError = StoreError::misconfigured("received a cursor that it did not create");
}

impl<S: ScanRecords + ?Sized> ScanRecords for Arc<S> {
    fn scan<'a>(&'a self, cursor: Option<&'a str>, limit: usize) -> StoreFuture<'a, ScanPage> {
        (**self).scan(cursor, limit)
    }

    fn count(&self) -> StoreFuture<'_, Option<u64>> {
        (**self).count()
    }

    fn is_end_unreported<'a>(&'a self, id: &'a ConsentId) -> StoreFuture<'a, bool> {
        (**self).is_end_unreported(id)
    }
}

/// Faults do not apply to the methods of this trait.
impl<S: ScanRecords> ScanRecords for FaultyStore<S> {
    fn scan<'a>(&'a self, cursor: Option<&'a str>, limit: usize) -> StoreFuture<'a, ScanPage> {
        self.inner().scan(cursor, limit)
    }

    fn count(&self) -> StoreFuture<'_, Option<u64>> {
        self.inner().count()
    }

    fn is_end_unreported<'a>(&'a self, id: &'a ConsentId) -> StoreFuture<'a, bool> {
        self.inner().is_end_unreported(id)
    }
}

/// A cursor is the id of the last consent on the previous page.
impl ScanRecords for MemoryStore {
    fn scan<'a>(&'a self, cursor: Option<&'a str>, limit: usize) -> StoreFuture<'a, ScanPage> {
        Box::pin(async move {
            let limit = limit.max(1);
            let records = self.lock();
            let mut ids: Vec<&ConsentId> =
                records.keys().filter(|id| cursor.is_none_or(|cursor| id.as_str() > cursor)).collect();
            let is_last = ids.len() <= limit;
            if !is_last {
                ids.select_nth_unstable(limit);
                ids.truncate(limit);
            }
            let next = if is_last { None } else { ids.iter().max().map(|id| id.as_str().to_owned()) };
            let page = ids.into_iter().filter_map(|id| records.get(id)).map(|record| Record::clone(record));
            Ok(ScanPage { records: page.collect(), unreadable: 0, next })
        })
    }

    fn count(&self) -> StoreFuture<'_, Option<u64>> {
        Box::pin(async move { Ok(u64::try_from(self.lock().len()).ok()) })
    }
}
