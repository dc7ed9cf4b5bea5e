//! The trait of a store.

use std::pin::Pin;
use std::sync::Arc;

use super::due::DueWindow;
use super::error::StoreError;
use super::id::ConsentId;
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

    /// Lists at most `limit` consents that [`DueWindow::rank`] ranks, the smallest rank first.
    fn due(&self, window: DueWindow, limit: usize) -> StoreFuture<'_, Vec<ConsentId>>;
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

    fn due(&self, window: DueWindow, limit: usize) -> StoreFuture<'_, Vec<ConsentId>> {
        (**self).due(window, limit)
    }
}
