//! Stores that keep consents in memory, in files or in a custom back end.
//!
//! A [`TokenStore`] contains one [`Record`] for each consent. Threads, processes and machines
//! coordinate only through [`TokenStore::compare_and_swap`], so this method must be atomic.
//!
//! | file | content |
//! | --- | --- |
//! | `token_store.rs` | the trait that every store implements |
//! | `record.rs` | the record of a consent: its refresh token, its standing and its lease |
//! | `encoding.rs` | the encoded form of a record |
//! | `due.rs` | the selection of consents that are close to their idle deadline |
//! | `memory.rs`, `file.rs` | the two stores in this crate |
//! | `scan.rs` | the trait for stores that can list all their records |
//! | `conformance.rs` | the test that every store must pass |
//! | `testing.rs` | a store that fails on demand |
//!
//! The following example implements a custom store and runs the conformance test on it. The store
//! writes the unencrypted text that [`Record::encode`] returns and reads it with
//! [`Record::decode`]:
//!
//! ```
//! use std::collections::BTreeMap;
//! use std::sync::{Arc, Mutex};
//!
//! use flinks_consents::store::{
//!     ConsentId, DueWindow, OwnerId, Page, Record, StoreError, StoreFuture, TokenStore, conformance,
//! };
//!
//! /// A stand-in for a database table with three columns: id, generation and record.
//! #[derive(Clone, Default)]
//! struct TableStore(Arc<Mutex<BTreeMap<ConsentId, (u64, String)>>>);
//!
//! impl TokenStore for TableStore {
//!     fn load<'a>(&'a self, id: &'a ConsentId) -> StoreFuture<'a, Option<Record>> {
//!         Box::pin(async move {
//!             let table = self.0.lock().map_err(|_| StoreError::unavailable("has a poisoned lock"))?;
//!             table.get(id).map(|(_, text)| Record::decode(id, text.as_bytes())).transpose()
//!         })
//!     }
//!
//!     fn compare_and_swap<'a>(&'a self, expected: Option<u64>, record: &'a Record) -> StoreFuture<'a, bool> {
//!         Box::pin(async move {
//!             let mut table = self.0.lock().map_err(|_| StoreError::unavailable("has a poisoned lock"))?;
//!             let is_expected = table.get(record.id()).map(|(generation, _)| *generation) == expected;
//!             if is_expected {
//!                 let text = record.encode()?.expose_secret().to_owned();
//!                 table.insert(record.id().clone(), (record.generation(), text));
//!             }
//!             Ok(is_expected)
//!         })
//!     }
//!
//!     fn remove<'a>(&'a self, id: &'a ConsentId, generation: u64) -> StoreFuture<'a, bool> {
//!         Box::pin(async move {
//!             let mut table = self.0.lock().map_err(|_| StoreError::unavailable("has a poisoned lock"))?;
//!             let is_expected = table.get(id).map(|(generation, _)| *generation) == Some(generation);
//!             if is_expected {
//!                 table.remove(id);
//!             }
//!             Ok(is_expected)
//!         })
//!     }
//!
//!     fn list<'a>(&'a self, owner: &'a OwnerId, page: &'a Page) -> StoreFuture<'a, Vec<Record>> {
//!         Box::pin(async move {
//!             let table = self.0.lock().map_err(|_| StoreError::unavailable("has a poisoned lock"))?;
//!             let records = table.iter().map(|(id, (_, text))| Record::decode(id, text.as_bytes()));
//!             Ok(page.select(owner, records.collect::<Result<Vec<_>, _>>()?.iter()))
//!         })
//!     }
//!
//!     fn due(&self, window: DueWindow, limit: usize) -> StoreFuture<'_, Vec<ConsentId>> {
//!         Box::pin(async move {
//!             let table = self.0.lock().map_err(|_| StoreError::unavailable("has a poisoned lock"))?;
//!             let mut due = Vec::new();
//!             for (id, (_, text)) in table.iter() {
//!                 let record = Record::decode(id, text.as_bytes())?;
//!                 due.extend(window.rank(&record).map(|rank| (rank, id.clone())));
//!             }
//!             due.sort();
//!             Ok(due.into_iter().take(limit).map(|(_, id)| id).collect())
//!         })
//!     }
//! }
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let store = TableStore::default();
//! conformance::check(|| store.clone()).await.unwrap();
//! # });
//! ```

pub mod conformance;
mod due;
mod encoding;
mod error;
mod file;
mod id;
mod memory;
mod record;
mod scan;
pub mod testing;
mod token_store;

pub use self::due::{DueRank, DueWindow};
pub use self::error::{Reason, StoreError};
pub use self::file::{FileStore, FileStoreOptions};
pub use self::id::{ConsentId, InvalidId, OwnerId};
pub use self::memory::MemoryStore;
pub(crate) use self::record::{
    End, Lease, MAX_SKEW, Standing, StoredToken, Suspicion, random_id, trusted, whole_milliseconds,
};
pub use self::record::{EndReason, Record};
pub use self::scan::{ScanPage, ScanRecords};
pub use self::token_store::{Page, StoreFuture, TokenStore};
