//! The trait that every store implements.

use std::pin::Pin;
use std::sync::Arc;

use super::due::DueWindow;
use super::error::StoreError;
use super::id::{ConsentId, OwnerId};
use super::record::Record;

/// A store for consent records. It must not lose a record, which may contain the only copy of a
/// refresh token.
///
/// Each call has a timeout
/// ([`ConsentsBuilder::store_timeout`](crate::ConsentsBuilder::store_timeout)), so a future may be
/// dropped at any point, before or after the operation has taken effect. A panic in a store is
/// treated as [`StoreError::Unavailable`].
///
/// The methods return boxed futures, such as `Box::pin(async move { … })`, so the trait can be used
/// as a trait object: `Arc<dyn TokenStore>`.
pub trait TokenStore: Send + Sync + 'static {
    /// Loads the record of a consent. Returns `None` if the store has no such record.
    fn load<'a>(&'a self, id: &'a ConsentId) -> StoreFuture<'a, Option<Record>>;

    /// Replaces the stored record if the stored generation is `expected`. If `expected` is `None`,
    /// stores the record only if the consent does not have one yet.
    ///
    /// Returns `true` if the new record was stored. Otherwise, returns `false` and changes nothing.
    ///
    /// The operation must be atomic: if several callers swap the same generation at once, exactly
    /// one succeeds. A store that outlives the process must persist the record before it returns
    /// `true`.
    fn compare_and_swap<'a>(&'a self, expected: Option<u64>, record: &'a Record) -> StoreFuture<'a, bool>;

    /// Removes a consent's record if the record's generation is `generation`. Returns `false` if
    /// the record has a different generation or does not exist.
    fn remove<'a>(&'a self, id: &'a ConsentId, generation: u64) -> StoreFuture<'a, bool>;

    /// Lists up to [`Page::limit`] of an owner's records (see [`Record::owner`]), starting after
    /// [`Page::after`].
    ///
    /// The store chooses the order, which must not change between calls. A result with fewer
    /// records than the limit is the last page.
    fn list<'a>(&'a self, owner: &'a OwnerId, page: &'a Page) -> StoreFuture<'a, Vec<Record>>;

    /// Lists up to `limit` consents that have a [rank](DueWindow::rank), in ascending order of
    /// rank.
    fn due(&self, window: DueWindow, limit: usize) -> StoreFuture<'_, Vec<ConsentId>>;
}

/// The part of a list that a caller requests.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Page {
    /// The last consent of the previous page, or `None` for the first page. This consent may have
    /// been removed after the previous page was returned.
    pub after: Option<ConsentId>,
    /// The maximum number of consents on the page.
    pub limit: usize,
}

impl Page {
    /// Creates the first page.
    pub fn first(limit: usize) -> Self {
        Self { after: None, limit }
    }

    /// Creates the page that follows a consent.
    pub fn after(id: ConsentId, limit: usize) -> Self {
        Self { after: Some(id), limit }
    }

    /// Selects the records on this page, ordered by id. Use this in stores that keep all records in
    /// memory.
    pub fn select<'a>(&self, owner: &OwnerId, records: impl Iterator<Item = &'a Record>) -> Vec<Record> {
        let is_on_page = |record: &&Record| {
            record.owner() == Some(owner) && self.after.as_ref().is_none_or(|after| record.id() > after)
        };
        let mut records: Vec<&Record> = records.filter(is_on_page).collect();
        records.sort_by_key(|record| record.id());
        records.into_iter().take(self.limit).cloned().collect()
    }
}

/// The future returned by the methods of [`TokenStore`].
pub type StoreFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

impl<S: TokenStore + ?Sized> TokenStore for Arc<S> {
    fn load<'a>(&'a self, id: &'a ConsentId) -> StoreFuture<'a, Option<Record>> {
        (**self).load(id)
    }

    fn compare_and_swap<'a>(&'a self, expected: Option<u64>, record: &'a Record) -> StoreFuture<'a, bool> {
        (**self).compare_and_swap(expected, record)
    }

    fn remove<'a>(&'a self, id: &'a ConsentId, generation: u64) -> StoreFuture<'a, bool> {
        (**self).remove(id, generation)
    }

    fn list<'a>(&'a self, owner: &'a OwnerId, page: &'a Page) -> StoreFuture<'a, Vec<Record>> {
        (**self).list(owner, page)
    }

    fn due(&self, window: DueWindow, limit: usize) -> StoreFuture<'_, Vec<ConsentId>> {
        (**self).due(window, limit)
    }
}
