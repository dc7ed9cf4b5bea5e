//! The error returned if a shutdown is incomplete.

use std::fmt;

use crate::error::ConsentError;
use crate::store::ConsentId;

/// The error returned by [`Consents::shutdown`](crate::Consents::shutdown) if tasks were still
/// running when the time limit was reached or if changes could not be stored. Changes that are not
/// stored are lost when the process exits.
#[derive(Clone, Debug)]
pub struct ShutdownError {
    in_flight: usize,
    unstored: Vec<ConsentId>,
    error: Option<ConsentError>,
}

impl ShutdownError {
    pub(crate) fn new(in_flight: usize, unstored: Vec<ConsentId>, error: Option<ConsentError>) -> Self {
        Self { in_flight, unstored, error }
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.in_flight == 0 && self.unstored.is_empty() && self.error.is_none()
    }

    /// Returns the number of refreshes and other tasks that were still running when `shutdown`
    /// returned.
    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Returns the ids of the consents that may have a pending write. Such a write may contain a
    /// refresh token that Flinks has just issued.
    pub fn unstored(&self) -> &[ConsentId] {
        &self.unstored
    }

    /// Returns the error that prevented a complete shutdown, such as a store error. Returns `None`
    /// if the time limit was reached before any operation failed.
    pub fn error(&self) -> Option<&ConsentError> {
        self.error.as_ref()
    }
}

/// Prints counts instead of ids. [`unstored`](Self::unstored) returns the ids of the affected
/// consents.
impl fmt::Display for ShutdownError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { in_flight, unstored, error } = self;
        let unstored = unstored.len();
        write!(f, "the shutdown is incomplete (tasks still running: {in_flight}, consents not stored: {unstored})")?;
        match error {
            Some(error) => write!(f, ": {error}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for ShutdownError {}
