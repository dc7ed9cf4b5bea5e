//! Where consents are kept (O5): in memory, in files, or in a store of your own.
//!
//! A [`TokenStore`] keeps one [`Record`] per consent and does four things with it; all that must hold between threads,
//! processes and machines follows from one of them, [`TokenStore::compare_and_swap`].
//!
//! A store of your own, and the test that it must pass. It writes what [`Record::encode`] gives, in clear text, and reads it
//! with [`Record::decode`]:
//!
//! ```
//! use std::collections::BTreeMap;
//! use std::sync::{Arc, Mutex};
//!
//! use flinks::outbound::store::{ConsentId, DueWindow, Record, StoreError, StoreFuture, TokenStore, conformance};
//!
//! /// A store that could be a table with three columns: the consent, the generation and the record.
//! #[derive(Clone, Default)]
//! struct TableStore(Arc<Mutex<BTreeMap<ConsentId, (u64, String)>>>);
//!
//! impl TokenStore for TableStore {
//!     fn load<'a>(&'a self, id: &'a ConsentId) -> StoreFuture<'a, Option<Record>> {
//!         Box::pin(async move {
//!             let table = self.0.lock().map_err(|_| StoreError::unavailable("is locked"))?;
//!             table.get(id).map(|(_, text)| Record::decode(id, text.as_bytes())).transpose()
//!         })
//!     }
//!
//!     fn compare_and_swap<'a>(&'a self, expected: Option<u64>, record: &'a Record) -> StoreFuture<'a, bool> {
//!         Box::pin(async move {
//!             let mut table = self.0.lock().map_err(|_| StoreError::unavailable("is locked"))?;
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
//!             let mut table = self.0.lock().map_err(|_| StoreError::unavailable("is locked"))?;
//!             let is_expected = table.get(id).map(|(generation, _)| *generation) == Some(generation);
//!             if is_expected {
//!                 table.remove(id);
//!             }
//!             Ok(is_expected)
//!         })
//!     }
//!
//!     fn due(&self, window: DueWindow, limit: usize) -> StoreFuture<'_, Vec<ConsentId>> {
//!         Box::pin(async move {
//!             let table = self.0.lock().map_err(|_| StoreError::unavailable("is locked"))?;
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
mod file;
mod memory;
mod record;
pub mod testing;

use std::path::Path;
use std::pin::Pin;
use std::str::FromStr;
use std::sync::Arc;
use std::{fmt, io};

pub use self::file::{FileStore, FileStoreOptions};
pub use self::memory::MemoryStore;
pub(super) use self::record::{Claim, KeptToken, MAX_SKEW, Suspicion, random_id, trusted, whole_milliseconds};
pub use self::record::{DueRank, DueWindow, Record};

use crate::error::Error;

/// Keeps the records of consents, and must lose none: a refresh token may have no other copy.
///
/// Each method is called with a timeout ([`ConsentsBuilder::store_timeout`](super::ConsentsBuilder::store_timeout)), and a
/// future may be dropped at any point; what it does may be done all the same, or not. A panic counts as
/// [`StoreError::Unavailable`].
///
/// It can be a trait object, as an `Arc<dyn TokenStore>`; so its methods give boxed futures: `Box::pin(async move { … })`.
pub trait TokenStore: Send + Sync + 'static {
    /// The record of a consent. None where there is none.
    fn load<'a>(&'a self, id: &'a ConsentId) -> StoreFuture<'a, Option<Record>>;

    /// Puts `record` in the place of the one with the generation `expected`, or, with None, in a place where there is none.
    /// `false` where the place holds something else; nothing is changed then. It is one step: of many who swap at once from
    /// the same generation, one succeeds. When it has succeeded, the record outlives the process, if the store does.
    fn compare_and_swap<'a>(&'a self, expected: Option<u64>, record: &'a Record) -> StoreFuture<'a, bool>;

    /// Removes the record of a consent if it has this generation; `false` if it has another one, or there is none.
    fn remove<'a>(&'a self, id: &'a ConsentId, generation: u64) -> StoreFuture<'a, bool>;

    /// Lists at most `limit` consents that [`DueWindow::rank`] ranks, the smallest rank first.
    fn due(&self, window: DueWindow, limit: usize) -> StoreFuture<'_, Vec<ConsentId>>;
}

/// What the methods of a [`TokenStore`] give.
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

/// Why a store failed.
///
/// Create one with [`unavailable`](Self::unavailable), [`busy`](Self::busy), [`refused`](Self::refused) or
/// [`damaged`](Self::damaged). The reason is a fixed clause that follows "the token store", such as "did not answer in time", so
/// that no secret can get into it (A3); [`at`](Self::at) adds a path and the reason that the operating system gave.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreError {
    /// The store did not answer, or cannot work at the moment. The same call may succeed later.
    Unavailable(Reason),
    /// The store works, but others keep the record in use or keep changing it. The same call may succeed later.
    Busy(Reason),
    /// The store does not work until somebody changes something, such as a permission.
    Refused(Reason),
    /// The stored value is not a record. It must not be overwritten: move it aside first.
    Damaged(Reason),
}

impl StoreError {
    /// Creates an [`Unavailable`](Self::Unavailable) error.
    pub const fn unavailable(reason: &'static str) -> Self {
        Self::Unavailable(Reason::new(reason))
    }

    /// Creates a [`Busy`](Self::Busy) error.
    pub const fn busy(reason: &'static str) -> Self {
        Self::Busy(Reason::new(reason))
    }

    /// Creates a [`Refused`](Self::Refused) error.
    pub const fn refused(reason: &'static str) -> Self {
        Self::Refused(Reason::new(reason))
    }

    /// Creates a [`Damaged`](Self::Damaged) error.
    pub const fn damaged(reason: &'static str) -> Self {
        Self::Damaged(Reason::new(reason))
    }

    /// Adds the path of the file or directory and, if there is one, the error of the operating system.
    #[must_use]
    pub fn at(mut self, path: &Path, error: Option<&io::Error>) -> Self {
        let (Self::Unavailable(reason) | Self::Busy(reason) | Self::Refused(reason) | Self::Damaged(reason)) =
            &mut self;
        reason.place = Some(match error {
            Some(error) => format!("{}: {error}", path.display()).into(),
            None => path.display().to_string().into(),
        });
        self
    }
}

/// The reason in a [`StoreError`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    clause: &'static str,
    /// The path and the error of the operating system.
    place: Option<Arc<str>>,
}

impl Reason {
    const fn new(clause: &'static str) -> Self {
        Self { clause, place: None }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Some(place) => write!(f, "{} ({place})", self.clause),
            None => f.write_str(self.clause),
        }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Unavailable(reason) | Self::Busy(reason) | Self::Refused(reason) | Self::Damaged(reason)) = self;
        write!(f, "the token store {reason}")
    }
}

/// As `Display`, because `main` prints an error so.
impl fmt::Debug for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoreError({self})")
    }
}

impl std::error::Error for StoreError {}

/// Your name for a consent, such as the number of an end user. Cloning is cheap.
///
/// ```
/// use flinks::outbound::ConsentId;
///
/// let id: ConsentId = "user-7".parse()?;
/// # Ok::<(), flinks::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConsentId(Arc<str>);

impl ConsentId {
    /// The most bytes.
    pub const MAX_BYTES: usize = 512;

    /// Takes any text of 1 to [`MAX_BYTES`](Self::MAX_BYTES) bytes.
    ///
    /// # Errors
    ///
    /// An [`Error`] where it is blank or too long, or holds a control character.
    pub fn new(text: impl Into<Arc<str>>) -> Result<Self, Error> {
        let text = text.into();
        let problem = if text.trim().is_empty() {
            "is empty"
        } else if text.len() > Self::MAX_BYTES {
            "is longer than 512 bytes"
        } else if text.contains(char::is_control) {
            "holds a line break or another control character"
        } else {
            return Ok(Self(text));
        };
        Err(Error::input("consent id", problem))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ConsentId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::new(text)
    }
}
