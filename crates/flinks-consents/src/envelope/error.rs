//! The error returned when a record cannot be sealed or a value cannot be opened.

use std::fmt;

use super::provider::KeyError;
use crate::store::StoreError;

/// The error returned when a record cannot be sealed or a value cannot be opened.
///
/// It converts into the [`StoreError`] that a [`TokenStore`](crate::store::TokenStore) should
/// return. No variant contains any bytes of the value.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EnvelopeError {
    /// The value is not a sealed record, was changed or moved to another location, or was encrypted
    /// with a different key that has the same id.
    Damaged,
    /// The value was sealed by a newer version of this crate.
    NewerVersion,
    /// The key set does not contain the key that the value was encrypted with.
    UnknownKey {
        /// The id of the missing key.
        id: u32,
    },
    /// The value was encrypted with a data key, but the envelope has no
    /// [`DataKeys`](super::DataKeys).
    NoKeyProvider,
    /// The data key could not be generated or unwrapped.
    DataKey(KeyError),
    /// The operating system returned no random bytes.
    NoRandomness,
    /// Encryption failed, which happens only if the record is too long.
    NotEncrypted,
    /// The record could not be encoded, or the decrypted value could not be decoded.
    Record(StoreError),
}

impl fmt::Display for EnvelopeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Damaged => f.write_str("the value is damaged or is not a sealed record"),
            Self::NewerVersion => f.write_str("the value was sealed by a newer version of this crate"),
            Self::UnknownKey { id } => write!(f, "the value was encrypted with key `{id}`, which is not configured"),
            Self::NoKeyProvider => {
                f.write_str("the value was encrypted with a data key, but no key provider is configured")
            }
            Self::DataKey(error) => error.fmt(f),
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
            EnvelopeError::Damaged => Self::damaged(
                "contains a value that cannot be decrypted: it is damaged, or was encrypted with a different key that has the same id",
            ),
            EnvelopeError::NewerVersion => Self::misconfigured("contains a record from a newer version of this crate"),
            EnvelopeError::UnknownKey { .. } => {
                Self::misconfigured("contains a record that was encrypted with a key that is not configured")
            }
            EnvelopeError::NoKeyProvider => Self::misconfigured(
                "contains a record that was encrypted with a data key, but no key provider is configured",
            ),
            EnvelopeError::DataKey(KeyError::Unavailable) => {
                Self::unavailable("cannot use a data key, because the key service is unavailable")
            }
            EnvelopeError::DataKey(KeyError::Refused) => {
                Self::misconfigured("cannot use a data key, because the key service refused the call")
            }
            EnvelopeError::DataKey(KeyError::Damaged) => {
                Self::damaged("contains a record whose data key cannot be unwrapped")
            }
            EnvelopeError::NoRandomness => Self::unavailable("could not obtain random bytes from the operating system"),
            EnvelopeError::NotEncrypted => Self::misconfigured("failed to encrypt a record"),
            EnvelopeError::Record(error) => error,
        }
    }
}
