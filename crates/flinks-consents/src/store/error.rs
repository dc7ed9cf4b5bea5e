//! Why a store failed.

use std::path::Path;
use std::sync::Arc;
use std::{fmt, io};

/// Why a store failed.
///
/// Create one with [`unavailable`](Self::unavailable), [`busy`](Self::busy), [`misconfigured`](Self::misconfigured) or
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
    Misconfigured(Reason),
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

    /// Creates a [`Misconfigured`](Self::Misconfigured) error.
    pub const fn misconfigured(reason: &'static str) -> Self {
        Self::Misconfigured(Reason::new(reason))
    }

    /// Creates a [`Damaged`](Self::Damaged) error.
    pub const fn damaged(reason: &'static str) -> Self {
        Self::Damaged(Reason::new(reason))
    }

    /// Adds the path of the file or directory and, if there is one, the error of the operating system.
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
        let (Self::Unavailable(reason) | Self::Busy(reason) | Self::Misconfigured(reason) | Self::Damaged(reason)) =
            self;
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
