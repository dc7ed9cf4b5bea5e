//! Encryption for the records of any store, with key rotation and hidden names.
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
//! # Format
//!
//! A value consists of an unencrypted header (`flinks1:GENERATION:KEY-ID:`), a 24-byte nonce, and
//! the record encrypted with XChaCha20-Poly1305. The generation is unencrypted so that a store can
//! compare it without the keys. The header and the value's location are authenticated: opening a
//! value fails if its header was changed or if it was moved to another location.

mod error;
mod keys;
mod name;

use crate::store::Record;
use chacha20poly1305::aead::{Aead as _, Payload};
use chacha20poly1305::{KeyInit as _, XChaCha20Poly1305, XNonce};
use zeroize::Zeroizing;

pub use self::error::EnvelopeError;
pub use self::keys::{EncryptionKeys, InvalidKey, Key};
pub use self::name::HiddenName;

/// The length of an XChaCha20 nonce in bytes. Nonces this long can be chosen at random, because
/// collisions are practically impossible.
const NONCE: usize = 24;

/// The prefix of each value that this version of the crate writes.
const PREFIX: &str = "flinks1:";

impl EncryptionKeys {
    /// Encrypts a record with the newest key. Each call returns a different value.
    ///
    /// `location` identifies where the value will be stored, for example by the primary key of its
    /// row. Pass the same location to [`open`](Self::open).
    ///
    /// # Errors
    ///
    /// Returns an [`EnvelopeError`] if the operating system returns no random bytes, or if the
    /// record cannot be encoded or encrypted.
    pub fn seal(&self, record: &Record, location: &str) -> Result<Vec<u8>, EnvelopeError> {
        let header = format!("{PREFIX}{}:{}:", record.generation(), self.newest_id);
        let mut nonce = [0_u8; NONCE];
        getrandom::fill(&mut nonce).map_err(|_| EnvelopeError::NoRandomness)?;
        let clear = record.encode().map_err(EnvelopeError::Record)?;
        let payload = Payload { msg: clear.expose_secret().as_bytes(), aad: &authenticated_data(&header, location) };
        let sealed =
            cipher(&self.newest).encrypt(&XNonce::from(nonce), payload).map_err(|_| EnvelopeError::NotEncrypted)?;
        Ok([header.as_bytes(), &nonce, &sealed].concat())
    }

    /// Decrypts the value stored at `location`.
    ///
    /// The value may contain the record of any consent, so compare the record's [`id`](Record::id)
    /// with the id that you expect.
    ///
    /// # Errors
    ///
    /// Returns an [`EnvelopeError`] if the value is damaged, was sealed by a newer version of this
    /// crate or was moved from another location, or if the key set does not contain the key that it
    /// was encrypted with.
    pub fn open(&self, value: &[u8], location: &str) -> Result<Record, EnvelopeError> {
        const DAMAGED: EnvelopeError = EnvelopeError::Damaged;
        let mut colons = value.iter().enumerate().filter(|(_, byte)| **byte == b':').map(|(index, _)| index);
        let end = colons.nth(2).ok_or(DAMAGED)?;
        let (header, sealed) = value.split_at_checked(end.saturating_add(1)).ok_or(DAMAGED)?;
        let header = std::str::from_utf8(header).map_err(|_| DAMAGED)?;
        let Some(fields) = header.strip_prefix(PREFIX) else {
            return Err(if has_other_version(header) { EnvelopeError::NewerVersion } else { DAMAGED });
        };
        // The generation is not parsed, because decryption fails if it was changed.
        let id: u32 = fields.split(':').nth(1).and_then(|field| field.parse().ok()).ok_or(DAMAGED)?;
        let key = self.encryption_key(id).ok_or(EnvelopeError::UnknownKey { id })?;
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE>().ok_or(DAMAGED)?;
        let payload = Payload { msg: sealed, aad: &authenticated_data(header, location) };
        let clear = cipher(key).decrypt(&XNonce::from(*nonce), payload).map_err(|_| DAMAGED)?;
        Record::decode_any(&Zeroizing::new(clear)).map_err(EnvelopeError::Record)
    }
}

fn cipher(key: &Key) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(key.bytes().into())
}

/// Returns the data that is authenticated together with the encrypted record.
fn authenticated_data(header: &str, location: &str) -> Vec<u8> {
    [header.as_bytes(), location.as_bytes()].concat()
}

/// Returns whether a header has another version number. The header must not start with [`PREFIX`].
fn has_other_version(header: &str) -> bool {
    let version = header.strip_prefix("flinks").and_then(|rest| rest.split(':').next());
    version.is_some_and(|version| version.parse::<u32>().is_ok())
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use crate::consents::Consents;
    use crate::store::ConsentId;
    use crate::store::{MemoryStore, StoreError, TokenStore as _};
    use flinks::outbound::{Client, ClientAuthentication, RefreshToken};

    use super::*;

    /// Creates a record by importing a consent, because only `Consents` can create records.
    async fn record() -> Record {
        let store = MemoryStore::new();
        let nowhere = "http://127.0.0.1:9".parse().unwrap();
        let client =
            Client::builder(nowhere, ClientAuthentication::None { client_id: "a".to_owned() }).build().unwrap();
        let id: ConsentId = "user-7".parse().unwrap();
        let consents = Consents::builder(client).store(store.clone()).build();
        consents.import(&id, RefreshToken::new("canary").unwrap(), SystemTime::now()).await.unwrap();
        store.load(&id).await.unwrap().unwrap()
    }

    fn keys() -> EncryptionKeys {
        keys_with(1, 1)
    }

    fn keys_with(id: u32, key: u8) -> EncryptionKeys {
        EncryptionKeys::new(Key::new([7; 32]), id, Key::new([key; 32]))
    }

    fn opened(value: &[u8], keys: &EncryptionKeys) -> Result<u64, EnvelopeError> {
        keys.open(value, "name").map(|record| record.generation())
    }

    #[tokio::test]
    async fn value_opens_only_at_its_location() {
        let record = record().await;
        let sealed = keys().seal(&record, "name").unwrap();
        assert_eq!(opened(&sealed, &keys()), Ok(record.generation()));
        assert_eq!(keys().open(&sealed, "other").map(drop), Err(EnvelopeError::Damaged));
    }

    #[tokio::test]
    async fn value_with_changed_generation_is_damaged() {
        let record = record().await;
        let mut sealed = keys().seal(&record, "name").unwrap();
        let text = format!(":{}:", record.generation()).into_bytes();
        let at = sealed.windows(text.len()).position(|window| window == text).unwrap();
        sealed.splice(at..at + text.len(), b":77:".iter().copied());
        assert_eq!(opened(&sealed, &keys()), Err(EnvelopeError::Damaged));
    }

    #[tokio::test]
    async fn a3_value_contains_neither_token_nor_id() {
        let sealed = keys().seal(&record().await, "name").unwrap();
        let text = String::from_utf8_lossy(&sealed);
        assert!(!text.contains("canary"));
        assert!(!text.contains("user-7"));
    }

    #[tokio::test]
    async fn sealing_twice_uses_different_nonces() {
        let record = record().await;
        let one = keys().seal(&record, "name").unwrap();
        let other = keys().seal(&record, "name").unwrap();
        let header = one.iter().zip(&other).take_while(|(one, other)| one == other).count();
        assert!(header < one.len() - 16 - NONCE);
        assert_ne!(one[header..header + 8], other[header..header + 8]);
    }

    #[tokio::test]
    async fn every_key_of_the_set_opens_values() {
        let record = record().await;
        let sealed = keys().seal(&record, "name").unwrap();
        let rotated = keys_with(2, 2).with_decryption_key(1, Key::new([1; 32])).unwrap();
        assert_eq!(opened(&sealed, &rotated), Ok(record.generation()));
        assert_eq!(opened(&sealed, &keys_with(2, 2)), Err(EnvelopeError::UnknownKey { id: 1 }));
        assert_eq!(opened(&sealed, &keys_with(1, 9)), Err(EnvelopeError::Damaged));
        // Once the record has been sealed again, only the newest key is needed.
        let sealed_again = rotated.seal(&record, "name").unwrap();
        assert_eq!(opened(&sealed_again, &keys_with(2, 2)), Ok(record.generation()));
    }

    #[test]
    fn malformed_values_are_damaged() {
        for bytes in [&b""[..], b"x", b"flinks1:", b"flinks1:a:b:c", b"flinks1:7:1:", b"flinks1:7:1:short", b"a:b:c:d"]
        {
            assert_eq!(opened(bytes, &keys()), Err(EnvelopeError::Damaged), "{bytes:?}");
        }
        assert_eq!(opened(b"flinks2:7:1:x", &keys()), Err(EnvelopeError::NewerVersion));
    }

    #[test]
    fn envelope_errors_convert_into_store_errors() {
        assert!(matches!(StoreError::from(EnvelopeError::Damaged), StoreError::Damaged(_)));
        assert!(matches!(StoreError::from(EnvelopeError::NewerVersion), StoreError::Misconfigured(_)));
        assert!(matches!(StoreError::from(EnvelopeError::UnknownKey { id: 1 }), StoreError::Misconfigured(_)));
        assert!(matches!(StoreError::from(EnvelopeError::NoRandomness), StoreError::Unavailable(_)));
    }
}
