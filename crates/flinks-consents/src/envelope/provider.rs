//! The trait for key management services and the errors that they return.

use std::fmt;
use std::pin::Pin;

use super::keys::Key;

/// A service, such as a cloud KMS or an HSM, that generates data keys and unwraps them.
///
/// A data key is used to encrypt records. It is stored with each of these records, wrapped (that
/// is, encrypted) with a master key that never leaves the service. [`DataKeys`](super::DataKeys)
/// calls the provider rarely, because it keeps data keys in memory.
///
/// The following provider uses AWS KMS. KMS authenticates the encryption context, so a policy can
/// restrict the master key to this application:
///
/// ```ignore
/// use aws_sdk_kms::primitives::Blob;
/// use aws_sdk_kms::types::DataKeySpec;
/// use flinks_consents::envelope::{DataKey, Key, KeyError, KeyFuture, KeyProvider};
///
/// struct AwsKms {
///     client: aws_sdk_kms::Client,
///     master_key: String, // an alias or an ARN
/// }
///
/// impl KeyProvider for AwsKms {
///     fn generate_key(&self) -> KeyFuture<'_, DataKey> {
///         Box::pin(async move {
///             let request = self.client.generate_data_key().key_id(&self.master_key);
///             let request = request.key_spec(DataKeySpec::Aes256).encryption_context("purpose", "flinks-consents");
///             let reply = request.send().await.map_err(|error| classify(&error.into()))?;
///             let (Some(key), Some(wrapped)) = (reply.plaintext, reply.ciphertext_blob) else {
///                 return Err(KeyError::Unavailable);
///             };
///             Ok(DataKey { key: key_of(key)?, wrapped: wrapped.into_inner() })
///         })
///     }
///
///     fn unwrap_key<'a>(&'a self, wrapped: &'a [u8]) -> KeyFuture<'a, Key> {
///         Box::pin(async move {
///             // With `key_id`, KMS does not accept a key that was wrapped with another master key.
///             let request = self.client.decrypt().key_id(&self.master_key);
///             let request = request.ciphertext_blob(Blob::new(wrapped)).encryption_context("purpose", "flinks-consents");
///             let reply = request.send().await.map_err(|error| classify(&error.into()))?;
///             key_of(reply.plaintext.ok_or(KeyError::Unavailable)?)
///         })
///     }
/// }
///
/// fn key_of(plaintext: Blob) -> Result<Key, KeyError> {
///     Ok(Key::new(plaintext.into_inner().try_into().map_err(|_| KeyError::Damaged)?))
/// }
///
/// fn classify(error: &aws_sdk_kms::Error) -> KeyError {
///     use aws_sdk_kms::Error;
///     use aws_sdk_kms::error::ProvideErrorMetadata as _;
///     match error {
///         Error::InvalidCiphertextException(_) | Error::IncorrectKeyException(_) => KeyError::Damaged,
///         Error::DisabledException(_) | Error::NotFoundException(_) | Error::KmsInvalidStateException(_) => {
///             KeyError::Refused
///         }
///         error if error.code() == Some("AccessDeniedException") => KeyError::Refused,
///         _ => KeyError::Unavailable,
///     }
/// }
/// ```
///
/// This provider needs only the `kms:GenerateDataKey` and `kms:Decrypt` permissions on the master
/// key. The `key_provider.rs` example implements a provider for tests.
pub trait KeyProvider: Send + Sync + 'static {
    /// Generates a new data key.
    ///
    /// # Errors
    ///
    /// Returns [`KeyError::Refused`] if all calls will fail until a setting is corrected, and
    /// [`KeyError::Unavailable`] if a later call may succeed.
    fn generate_key(&self) -> KeyFuture<'_, DataKey>;

    /// Unwraps a data key that [`generate_key`](Self::generate_key) returned, possibly in another
    /// process.
    ///
    /// # Errors
    ///
    /// Returns [`KeyError::Damaged`] if the service did not wrap this key or can no longer unwrap
    /// it. Otherwise, returns the same errors as [`generate_key`](Self::generate_key).
    fn unwrap_key<'a>(&'a self, wrapped: &'a [u8]) -> KeyFuture<'a, Key>;
}

/// The future returned by the methods of [`KeyProvider`].
pub type KeyFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, KeyError>> + Send + 'a>>;

/// A data key and its wrapped form.
#[derive(Clone)]
pub struct DataKey {
    /// The key that is used to encrypt records.
    pub key: Key,
    /// The wrapped key, which is stored with each record. At most
    /// [`MAX_WRAPPED_BYTES`](Self::MAX_WRAPPED_BYTES) bytes long.
    pub wrapped: Vec<u8>,
}

impl DataKey {
    /// The maximum length of a wrapped key in bytes.
    pub const MAX_WRAPPED_BYTES: usize = 8192;
}

/// Writes only the length of the wrapped key.
impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DataKey").field("wrapped_bytes", &self.wrapped.len()).finish_non_exhaustive()
    }
}

/// The error returned by a [`KeyProvider`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyError {
    /// The service did not respond, or is temporarily unavailable. The same call may succeed later.
    Unavailable,
    /// The service refused the call, for example because this process has no permission to use the
    /// master key. Further calls fail until a setting is corrected.
    Refused,
    /// The wrapped key is not valid, or was wrapped with a master key that no longer exists.
    Damaged,
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unavailable => "the key service is unavailable",
            Self::Refused => "the key service refused the call: check the permissions and the state of the master key",
            Self::Damaged => "the key service cannot unwrap the data key",
        })
    }
}

impl std::error::Error for KeyError {}
