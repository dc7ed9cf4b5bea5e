//! The trait of a store.

use std::pin::Pin;
use std::sync::Arc;

use super::due::DueWindow;
use super::error::StoreError;
use super::id::{ConsentId, OwnerId};
use super::record::Record;

/// Keeps the records of consents, and must not lose one: a refresh token may have no other copy.
///
/// Each call has a timeout ([`ConsentsBuilder::store_timeout`](crate::ConsentsBuilder::store_timeout)), so a future may be dropped
/// at any point. The operation may then have taken effect, or not. A panic counts as [`StoreError::Unavailable`].
///
/// The trait works as a trait object, such as `Arc<dyn TokenStore>`, so its methods return boxed futures:
/// `Box::pin(async move { … })`.
pub trait TokenStore: Send + Sync + 'static {
    /// Loads the record of a consent, or `None` if the store has none.
    fn load<'a>(&'a self, id: &'a ConsentId) -> StoreFuture<'a, Option<Record>>;

    /// Replaces the stored record if its generation is `expected`; with `None`, stores the record only if there is none yet. Returns
    /// `false`, and changes nothing, if the condition does not hold.
    ///
    /// The operation is atomic: of many that swap the same generation at once, one succeeds. After a success the record outlives
    /// the process, if the store does.
    fn compare_and_swap<'a>(&'a self, expected: Option<u64>, record: &'a Record) -> StoreFuture<'a, bool>;

    /// Removes the record of a consent if it has this generation. Returns `false` if it has another one, or if there is none.
    fn remove<'a>(&'a self, id: &'a ConsentId, generation: u64) -> StoreFuture<'a, bool>;

    /// Lists the records of an owner ([`Record::owner`]), in an order of the store that does not change: those after
    /// [`Page::after`], and at most [`Page::limit`]. Fewer mean that there are no more.
    fn list<'a>(&'a self, owner: &'a OwnerId, page: &'a Page) -> StoreFuture<'a, Vec<Record>>;

    /// Lists at most `limit` consents that [`DueWindow::rank`] ranks, the smallest rank first.
    fn due(&self, window: DueWindow, limit: usize) -> StoreFuture<'_, Vec<ConsentId>>;
}

/// A part of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Page {
    /// The last consent of the page before. It may be gone by now.
    pub after: Option<ConsentId>,
    /// The maximum number of consents.
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

    /// Returns the records of the page, in the order of their ids: for a store that has all records at hand.
    pub fn select<'a>(&self, owner: &OwnerId, records: impl Iterator<Item = &'a Record>) -> Vec<Record> {
        let is_on_page = |record: &&Record| {
            record.owner() == Some(owner) && self.after.as_ref().is_none_or(|after| record.id() > after)
        };
        let mut records: Vec<&Record> = records.filter(is_on_page).collect();
        records.sort_by_key(|record| record.id());
        records.into_iter().take(self.limit).cloned().collect()
    }
}

/// The future that a method of a [`TokenStore`] returns.
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
