//! The error of a shutdown that is incomplete.

use std::fmt;

use crate::error::ConsentError;
use crate::store::ConsentId;

/// The error of [`Consents::shutdown`](crate::Consents::shutdown): refreshes are still under way, or changes could not be stored.
/// They are lost when the process ends.
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

    /// How many refreshes and other changes are still under way.
    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// The consents that hold something which is not in the store, such as a refresh token that Flinks has just replaced.
    pub fn unstored(&self) -> &[ConsentId] {
        &self.unstored
    }

    /// The error of the store. `None` if the limit was reached before the store failed.
    pub fn error(&self) -> Option<&ConsentError> {
        self.error.as_ref()
    }
}

/// Names no consent: take [`unstored`](Self::unstored) for that.
impl fmt::Display for ShutdownError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { in_flight, unstored, error } = self;
        let unstored = unstored.len();
        write!(f, "shutdown is incomplete: {in_flight} changes are under way, {unstored} consents are not stored")?;
        match error {
            Some(error) => write!(f, "; {error}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for ShutdownError {}
