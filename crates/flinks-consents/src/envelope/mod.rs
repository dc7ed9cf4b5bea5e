//! The envelope of stored records: encryption at rest, key rotation and hidden names, for any store.
//!
//! A store writes what [`EncryptionKeys::seal`] returns, under a name that
//! [`EncryptionKeys::hidden_name`] returns, so that neither tokens nor ids are readable in it. This
//! module does not depend on Redis. A table of a database, with its name as the primary key:
//!
//! ```
//! use flinks_consents::store::{Record, StoreError};
//! use flinks_consents::envelope::EncryptionKeys;
//!
//! struct Row {
//!     name: String,
//!     generation: u64, // for the condition of compare-and-swap
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
//! A value is a head in clear, `flinks1:GENERATION:KEY-ID:`, then a nonce of 24 bytes, then the
//! record encrypted with XChaCha20-Poly1305. The generation is in clear because a store compares it
//! without the keys. The head and the location of the value are authenticated: a value does not open
//! if its head was changed, or if it was moved to another location.

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

/// The bytes of a nonce of XChaCha20. They are enough for random nonces never to repeat.
const NONCE: usize = 24;

/// The start of each value of this version.
const PREFIX: &str = "flinks1:";

impl EncryptionKeys {
    /// Encrypts a record with the newest key. Sealing a record twice gives two different values.
    ///
    /// `location` is where the value will be stored, such as the primary key of its row. The same text
    /// must be passed to [`open`](Self::open).
    ///
    /// # Errors
    ///
    /// Returns an [`EnvelopeError`] if the operating system returns no random bytes, or if the record
    /// cannot be encoded.
    pub fn seal(&self, record: &Record, location: &str) -> Result<Vec<u8>, EnvelopeError> {
        let head = format!("{PREFIX}{}:{}:", record.generation(), self.newest_id);
        let mut nonce = [0_u8; NONCE];
        getrandom::fill(&mut nonce).map_err(|_| EnvelopeError::NoRandomness)?;
        let clear = record.encode().map_err(EnvelopeError::Record)?;
        let payload = Payload { msg: clear.expose_secret().as_bytes(), aad: &authenticated(&head, location) };
        let sealed =
            cipher(&self.newest).encrypt(&XNonce::from(nonce), payload).map_err(|_| EnvelopeError::NotEncrypted)?;
        Ok([head.as_bytes(), &nonce, &sealed].concat())
    }

    /// Decrypts the value that is stored at `location`. The result may be the record of any consent:
    /// compare its [`id`](Record::id).
    ///
    /// # Errors
    ///
    /// Returns an [`EnvelopeError`] if the value is damaged or from a newer version, if it was moved
    /// from another location, or if its key is not in this set.
    pub fn open(&self, value: &[u8], location: &str) -> Result<Record, EnvelopeError> {
        const DAMAGED: EnvelopeError = EnvelopeError::Damaged;
        let mut colons = value.iter().enumerate().filter(|(_, byte)| **byte == b':').map(|(index, _)| index);
        let end = colons.nth(2).ok_or(DAMAGED)?;
        let (head, sealed) = value.split_at_checked(end.saturating_add(1)).ok_or(DAMAGED)?;
        let head = std::str::from_utf8(head).map_err(|_| DAMAGED)?;
        let Some(fields) = head.strip_prefix(PREFIX) else {
            return Err(if is_of_another_version(head) { EnvelopeError::NewerVersion } else { DAMAGED });
        };
        // The generation is not read: decryption shows whether it was changed.
        let id: u32 = fields.split(':').nth(1).and_then(|field| field.parse().ok()).ok_or(DAMAGED)?;
        let key = self.encryption_key(id).ok_or(EnvelopeError::UnknownKey { id })?;
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE>().ok_or(DAMAGED)?;
        let payload = Payload { msg: sealed, aad: &authenticated(head, location) };
        let clear = cipher(key).decrypt(&XNonce::from(*nonce), payload).map_err(|_| DAMAGED)?;
        Record::decode_any(&Zeroizing::new(clear)).map_err(EnvelopeError::Record)
    }
}

fn cipher(key: &Key) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(key.bytes().into())
}

fn authenticated(head: &str, location: &str) -> Vec<u8> {
    [head.as_bytes(), location.as_bytes()].concat()
}

fn is_of_another_version(head: &str) -> bool {
    let version = head.strip_prefix("flinks").and_then(|rest| rest.split(':').next());
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

    /// Only the facade can make a record, so it goes through a store.
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
    async fn a_value_opens_at_its_location_only() {
        let record = record().await;
        let sealed = keys().seal(&record, "name").unwrap();
        assert_eq!(opened(&sealed, &keys()), Ok(record.generation()));
        assert_eq!(keys().open(&sealed, "other").map(drop), Err(EnvelopeError::Damaged));
    }

    #[tokio::test]
    async fn a_value_whose_generation_was_changed_is_damaged() {
        let record = record().await;
        let mut sealed = keys().seal(&record, "name").unwrap();
        let text = format!(":{}:", record.generation()).into_bytes();
        let at = sealed.windows(text.len()).position(|window| window == text).unwrap();
        sealed.splice(at..at + text.len(), b":77:".iter().copied());
        assert_eq!(opened(&sealed, &keys()), Err(EnvelopeError::Damaged));
    }

    #[tokio::test]
    async fn a3_a_value_shows_neither_token_nor_id() {
        let sealed = keys().seal(&record().await, "name").unwrap();
        let text = String::from_utf8_lossy(&sealed);
        assert!(!text.contains("canary"));
        assert!(!text.contains("user-7"));
    }

    #[tokio::test]
    async fn a_nonce_is_used_once() {
        let record = record().await;
        let (one, other) = (keys().seal(&record, "name").unwrap(), keys().seal(&record, "name").unwrap());
        let head = one.iter().zip(&other).take_while(|(one, other)| one == other).count();
        assert!(head < one.len() - 16 - NONCE);
        assert_ne!(one[head..head + 8], other[head..head + 8]);
    }

    #[tokio::test]
    async fn any_key_of_the_set_opens_a_value() {
        let record = record().await;
        let sealed = keys().seal(&record, "name").unwrap();
        let rotated = keys_with(2, 2).with_decryption_key(1, Key::new([1; 32])).unwrap();
        assert_eq!(opened(&sealed, &rotated), Ok(record.generation()));
        assert_eq!(opened(&sealed, &keys_with(2, 2)), Err(EnvelopeError::UnknownKey { id: 1 }));
        assert_eq!(opened(&sealed, &keys_with(1, 9)), Err(EnvelopeError::Damaged));
        // A value that is written again needs the newest key only.
        let sealed_again = rotated.seal(&record, "name").unwrap();
        assert_eq!(opened(&sealed_again, &keys_with(2, 2)), Ok(record.generation()));
    }

    #[test]
    fn other_bytes_do_not_open() {
        for bytes in [&b""[..], b"x", b"flinks1:", b"flinks1:a:b:c", b"flinks1:7:1:", b"flinks1:7:1:short", b"a:b:c:d"]
        {
            assert_eq!(opened(bytes, &keys()), Err(EnvelopeError::Damaged), "{bytes:?}");
        }
        assert_eq!(opened(b"flinks2:7:1:x", &keys()), Err(EnvelopeError::NewerVersion));
    }

    #[test]
    fn an_error_becomes_that_of_a_store() {
        assert!(matches!(StoreError::from(EnvelopeError::Damaged), StoreError::Damaged(_)));
        assert!(matches!(StoreError::from(EnvelopeError::NewerVersion), StoreError::Misconfigured(_)));
        assert!(matches!(StoreError::from(EnvelopeError::UnknownKey { id: 1 }), StoreError::Misconfigured(_)));
        assert!(matches!(StoreError::from(EnvelopeError::NoRandomness), StoreError::Unavailable(_)));
    }
}
