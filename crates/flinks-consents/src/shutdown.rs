//! The error of an incomplete shutdown.

use std::fmt;

use crate::error::ConsentError;
use crate::store::ConsentId;

/// The error of [`Consents::shutdown`](crate::Consents::shutdown): tasks were still running at the
/// limit, or changes could not be stored. These changes are lost when the process ends.
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

    /// Returns the number of refreshes and other tasks that are still running.
    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Returns the consents with a pending write, such as a refresh token that Flinks has just
    /// issued.
    pub fn unstored(&self) -> &[ConsentId] {
        &self.unstored
    }

    /// Returns the error that stopped the shutdown, such as that of the store. `None` if the limit
    /// was reached before an error occurred.
    pub fn error(&self) -> Option<&ConsentError> {
        self.error.as_ref()
    }
}

/// Prints the numbers only. [`unstored`](Self::unstored) returns the ids of the consents.
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
