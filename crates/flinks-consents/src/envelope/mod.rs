//! Encryption for the records in any store, with key rotation and hidden names.
//!
//! A store encrypts each record with [`EncryptionKeys::seal`] and saves the resulting value under
//! the name that [`EncryptionKeys::hidden_name`] returns. The stored data reveals neither tokens
//! nor ids. In the following example, the hidden name is the primary key of a database table:
//!
//! ```
//! use flinks_consents::store::{Record, StoreError};
//! use flinks_consents::envelope::EncryptionKeys;
//!
//! struct Row {
//!     name: String,
//!     generation: u64, // `compare_and_swap` compares it
//!     value: Vec<u8>,
//! }
//!
//! fn row(record: &Record, keys: &EncryptionKeys) -> Result<Row, StoreError> {
//!     let name = keys.hidden_name(record.id()).to_string();
//!     let value = keys.seal(record, &name)?;
//!     Ok(Row { name, generation: record.generation(), value })
//! }
//!
//! fn record(row: &Row, keys: &EncryptionKeys) -> Result<Record, StoreError> {
//!     Ok(keys.open(&row.value, &row.name)?)
//! }
//! ```
//!
//! # Keys from a key management service
//!
//! [`EncryptionKeys`] come from the application's configuration. With a [`KeyProvider`], records
//! are encrypted with data keys instead, and each value contains its wrapped data key. A value can
//! therefore be read in any store and from any backup, as long as the service can unwrap the key.
//! An [`Envelope`] seals and opens values with either kind of key.
//!
//! To move from configured keys to a key management service, or back, without downtime:
//!
//! 1. In every process, add the new keys with [`Envelope::with_decryption_keys`] or
//!    [`Envelope::with_decryption_data_keys`].
//! 2. In every process, encrypt with the new keys and keep the old ones for decryption.
//! 3. Remove the old keys after 30 days, as after a rotation of [`EncryptionKeys`].
//!
//! The name key stays the same.
//!
//! # Format
//!
//! A value consists of an unencrypted header, a 24-byte nonce, and the record encrypted with
//! XChaCha20-Poly1305. The header is `flinks1:GENERATION:KEY-ID:` for a configured key and
//! `flinks2:GENERATION:WRAPPED-KEY:` for a data key, where the wrapped key is encoded as unpadded
//! URL-safe base64. The generation is unencrypted so that a store can compare it without the keys.
//! The header and the value's location are authenticated: opening a value fails if its header was
//! changed or if the value was moved to another location.

mod data_keys;
mod error;
mod format;
mod keys;
mod name;
mod provider;
#[cfg(test)]
mod tests;

use self::format::{KeyName, SealedValue};
use crate::store::{ConsentId, OwnerId, Record};

pub use self::data_keys::DataKeys;
pub use self::error::EnvelopeError;
pub use self::keys::{EncryptionKeys, InvalidKey, Key};
pub use self::name::HiddenName;
pub use self::provider::{DataKey, KeyError, KeyFuture, KeyProvider};

/// Seals and opens values with configured keys or with data keys from a [`KeyProvider`].
///
/// With configured keys, [`seal`](Self::seal) and [`open`](Self::open) never wait.
///
/// ```
/// # use flinks_consents::envelope::{DataKeys, EncryptionKeys, Envelope, Key, KeyProvider};
/// # fn example(provider: impl KeyProvider, name_key: Key, configured: EncryptionKeys) {
/// // Encrypts with data keys, and opens values that were encrypted before with configured keys:
/// let envelope = Envelope::new(name_key, DataKeys::new(provider)).with_decryption_keys(configured);
/// # let _ = envelope;
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Envelope {
    name_key: Key,
    keys: Keys,
}

/// The keys of an envelope. The first field of each variant contains the keys for new values.
#[derive(Clone, Debug)]
enum Keys {
    Configured(EncryptionKeys, Option<DataKeys>),
    Data(DataKeys, Option<EncryptionKeys>),
}

impl From<EncryptionKeys> for Envelope {
    fn from(keys: EncryptionKeys) -> Self {
        Self { name_key: keys.name_key.clone(), keys: Keys::Configured(keys, None) }
    }
}

impl Envelope {
    /// Creates an envelope that encrypts new values with data keys.
    pub fn new(name_key: Key, data_keys: DataKeys) -> Self {
        Self { name_key, keys: Keys::Data(data_keys, None) }
    }

    /// Adds configured keys that are used only for decryption. Their name key is ignored. Has no
    /// effect on an envelope that encrypts with configured keys.
    #[must_use]
    pub fn with_decryption_keys(self, keys: EncryptionKeys) -> Self {
        match self.keys {
            Keys::Configured(..) => self,
            Keys::Data(data_keys, _) => Self { keys: Keys::Data(data_keys, Some(keys)), ..self },
        }
    }

    /// Adds data keys that are used only for decryption. Has no effect on an envelope that encrypts
    /// with data keys.
    #[must_use]
    pub fn with_decryption_data_keys(self, data_keys: DataKeys) -> Self {
        match self.keys {
            Keys::Configured(keys, _) => Self { keys: Keys::Configured(keys, Some(data_keys)), ..self },
            Keys::Data(..) => self,
        }
    }

    /// Replaces the name key with that of `current`, as
    /// [`EncryptionKeys::with_name_key_of`] does.
    #[must_use]
    pub fn with_name_key_of(self, current: &Self) -> Self {
        Self { name_key: current.name_key.clone(), ..self }
    }

    /// Returns the hidden name of a consent.
    pub fn hidden_name(&self, id: &ConsentId) -> HiddenName {
        self.name_key.hidden_name(id)
    }

    /// Returns the hidden name of an owner, as [`EncryptionKeys::hidden_owner`] does.
    pub fn hidden_owner(&self, owner: &OwnerId) -> HiddenName {
        self.name_key.hidden_owner(owner)
    }

    /// Returns a fingerprint of the name key, as [`EncryptionKeys::name_key_fingerprint`] does.
    pub fn name_key_fingerprint(&self) -> String {
        self.name_key.fingerprint()
    }

    /// Encrypts a record, as [`EncryptionKeys::seal`] does. If a new data key is needed, calls the
    /// [`KeyProvider`].
    ///
    /// # Errors
    ///
    /// Returns [`EnvelopeError::DataKey`] if a data key is needed and the provider fails. Otherwise,
    /// returns the same errors as [`EncryptionKeys::seal`].
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, an in-flight call to the provider still completes, and a later
    /// call to this method uses the result.
    pub async fn seal(&self, record: &Record, location: &str) -> Result<Vec<u8>, EnvelopeError> {
        match &self.keys {
            Keys::Configured(keys, _) => keys.seal(record, location),
            Keys::Data(data_keys, _) => {
                let key = data_keys.key_for_sealing().await?;
                format::seal(record, location, KeyName::Data(&key.wrapped), &key.key)
            }
        }
    }

    /// Decrypts the value stored at `location`, as [`EncryptionKeys::open`] does. If the value's
    /// data key is not in memory, calls the [`KeyProvider`].
    ///
    /// # Errors
    ///
    /// Returns [`EnvelopeError::DataKey`] if a data key is needed and the provider fails, and
    /// [`EnvelopeError::NoKeyProvider`] if the envelope has no data keys. Otherwise, returns the same
    /// errors as [`EncryptionKeys::open`].
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, an in-flight call to the provider still completes, and a later
    /// call to this method uses the result.
    pub async fn open(&self, value: &[u8], location: &str) -> Result<Record, EnvelopeError> {
        let value = SealedValue::parse(value)?;
        let (configured, data_keys) = match &self.keys {
            Keys::Configured(keys, data_keys) => (Some(keys), data_keys.as_ref()),
            Keys::Data(data_keys, keys) => (keys.as_ref(), Some(data_keys)),
        };
        match value.key {
            KeyName::Configured(id) => {
                let key = configured.and_then(|keys| keys.encryption_key(id));
                value.open(key.ok_or(EnvelopeError::UnknownKey { id })?, location)
            }
            KeyName::Data(wrapped) => {
                let data_keys = data_keys.ok_or(EnvelopeError::NoKeyProvider)?;
                value.open(&data_keys.key_for_opening(wrapped).await?, location)
            }
        }
    }
}

impl EncryptionKeys {
    /// Encrypts a record with the newest key. Each call returns a different value.
    ///
    /// `location` identifies the place where the value will be stored. It can be, for example, the
    /// primary key of a database row. Pass the same location to [`open`](Self::open).
    ///
    /// # Errors
    ///
    /// Returns an [`EnvelopeError`] if the operating system returns no random bytes, or if the
    /// record cannot be encoded or encrypted.
    pub fn seal(&self, record: &Record, location: &str) -> Result<Vec<u8>, EnvelopeError> {
        format::seal(record, location, KeyName::Configured(self.newest_id), &self.newest)
    }

    /// Decrypts the value stored at `location`.
    ///
    /// The value may contain the record of any consent, so compare the record's [`id`](Record::id)
    /// with the id that you expect.
    ///
    /// # Errors
    ///
    /// Returns an [`EnvelopeError`] if the value is damaged, was sealed by a newer version of this
    /// crate or was moved from another location, or if the key set does not contain the value's
    /// key.
    pub fn open(&self, value: &[u8], location: &str) -> Result<Record, EnvelopeError> {
        let value = SealedValue::parse(value)?;
        let KeyName::Configured(id) = value.key else { return Err(EnvelopeError::NoKeyProvider) };
        value.open(self.encryption_key(id).ok_or(EnvelopeError::UnknownKey { id })?, location)
    }
}
