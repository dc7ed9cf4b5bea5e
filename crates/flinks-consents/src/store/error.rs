//! The error returned by a token store.

use std::path::Path;
use std::sync::Arc;
use std::{fmt, io};

/// The error returned by a token store.
///
/// Create an error with [`unavailable`](Self::unavailable), [`busy`](Self::busy),
/// [`misconfigured`](Self::misconfigured) or [`damaged`](Self::damaged). `Display` writes "the
/// token store" followed by a reason such as "did not respond in time". The reason is fixed text
/// and so cannot contain a secret. [`at`](Self::at) adds a path and the operating system's error.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreError {
    /// The store did not respond or is temporarily unavailable. The same call may succeed later.
    Unavailable(Reason),
    /// The store works, but other tasks or processes are using or changing the record. The same
    /// call may succeed later.
    Busy(Reason),
    /// The store cannot be used until a setting, such as a permission or a key, is corrected.
    Misconfigured(Reason),
    /// The stored value is not a valid record. A store keeps a damaged value unless the value is
    /// replaced by a write that began before the damage occurred. To store a new record, first move
    /// the damaged value elsewhere.
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

    /// Creates a [`Misconfigured`](Self::Misconfigured) error.
    pub const fn misconfigured(reason: &'static str) -> Self {
        Self::Misconfigured(Reason::new(reason))
    }

    /// Creates a [`Damaged`](Self::Damaged) error.
    pub const fn damaged(reason: &'static str) -> Self {
        Self::Damaged(Reason::new(reason))
    }

    /// Adds the path of a file or directory to the reason, followed by the operating system's error
    /// if `error` is `Some`.
    #[must_use]
    pub fn at(mut self, path: &Path, error: Option<&io::Error>) -> Self {
        let (Self::Unavailable(reason) | Self::Busy(reason) | Self::Misconfigured(reason) | Self::Damaged(reason)) =
            &mut self;
        reason.place = Some(match error {
            Some(error) => format!("{}: {error}", path.display()).into(),
            None => path.display().to_string().into(),
        });
        self
    }
}

/// The reason for a [`StoreError`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// A verb phrase that follows "the token store", such as "did not respond in time".
    clause: &'static str,
    /// A path, optionally followed by an operating system error.
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
        let (Self::Unavailable(reason) | Self::Busy(reason) | Self::Misconfigured(reason) | Self::Damaged(reason)) =
            self;
        write!(f, "the token store {reason}")
    }
}

/// Includes the `Display` text, because an error returned from `main` is printed with `Debug`.
impl fmt::Debug for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoreError({self})")
    }
}

impl std::error::Error for StoreError {}
