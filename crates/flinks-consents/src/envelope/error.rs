//! Why a record could not be sealed, or a value not be opened.

use std::fmt;

use crate::store::StoreError;

/// The reason why a record could not be sealed, or a value could not be opened.
///
/// It converts into the [`StoreError`] that a [`TokenStore`](crate::store::TokenStore)
/// returns for it. No variant holds a byte of the value.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EnvelopeError {
    /// The value is not a sealed record, was changed, was moved from another location, or was
    /// encrypted with another key that has the same id.
    Damaged,
    /// The value was sealed by a newer version of this crate.
    NewerVersion,
    /// The value was encrypted with a key whose id is not in the set of keys.
    UnknownKey {
        /// The id of the missing key.
        id: u32,
    },
    /// The operating system returned no random bytes.
    NoRandomness,
    /// The cipher rejected the record, which only happens if the record is too long.
    NotEncrypted,
    /// The record could not be encoded, or the decrypted value not be decoded.
    Record(StoreError),
}

impl fmt::Display for EnvelopeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Damaged => f.write_str("the value is damaged, or is not a sealed record"),
            Self::NewerVersion => f.write_str("the value was sealed by a newer version"),
            Self::UnknownKey { id } => write!(f, "the value was encrypted with key {id}, which is not configured"),
            Self::NoRandomness => f.write_str("the operating system returned no random bytes"),
            Self::NotEncrypted => f.write_str("the record could not be encrypted"),
            Self::Record(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for EnvelopeError {}

impl From<EnvelopeError> for StoreError {
    fn from(error: EnvelopeError) -> Self {
        match error {
            EnvelopeError::Damaged => Self::damaged("holds a value that is not a record"),
            EnvelopeError::NewerVersion => Self::misconfigured("was written by a newer version"),
            EnvelopeError::UnknownKey { .. } => Self::misconfigured("was written with a key that is not configured"),
            EnvelopeError::NoRandomness => Self::unavailable("got no random bytes from the operating system"),
            EnvelopeError::NotEncrypted => Self::misconfigured("cannot encrypt a record"),
            EnvelopeError::Record(error) => error,
        }
    }
}
