//! The keys of an envelope: the name key, which is used to hide ids, and the encryption keys.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// A 32-byte secret key. Its bytes are erased from memory when it is dropped.
#[derive(Clone)]
pub struct Key(Zeroizing<[u8; 32]>);

impl Key {
    /// Creates a key from 32 random bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Parses a 32-byte key from base64, such as the output of `openssl rand -base64 32`. Ignores
    /// leading and trailing whitespace.
    ///
    /// # Errors
    ///
    /// Returns [`InvalidKey::Encoding`] if the text is not valid base64 or does not encode exactly
    /// 32 bytes.
    pub fn from_base64(text: &str) -> Result<Self, InvalidKey> {
        let bytes = Zeroizing::new(STANDARD.decode(text.trim()).map_err(|_| InvalidKey::Encoding)?);
        let bytes: [u8; 32] = bytes.as_slice().try_into().map_err(|_| InvalidKey::Encoding)?;
        Ok(Self::new(bytes))
    }

    pub(super) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Writes `Key(..)` instead of the secret bytes.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

/// A store's keys: a name key that never changes and encryption keys that can be rotated.
///
/// Each encryption key has an id, which is stored unencrypted with each value that is encrypted
/// with that key. New values are encrypted with the newest key, and values encrypted with any key
/// in the set can be decrypted.
///
/// To rotate the encryption key without downtime:
///
/// 1. Add the new key to every process with [`with_decryption_key`](Self::with_decryption_key).
/// 2. In every process, pass the new key to [`new`](Self::new) and keep the old key for decryption.
/// 3. Remove the old key after 30 days. By then, the record of every consent that has not ended
///    will have been rewritten.
///
/// The record of an ended consent is not rewritten, so removing the old key makes that record
/// unreadable.
#[derive(Clone, Debug)]
pub struct EncryptionKeys {
    pub(super) name_key: Key,
    pub(super) newest_id: u32,
    pub(super) newest: Key,
    others: BTreeMap<u32, Key>,
}

impl EncryptionKeys {
    /// Creates a key set from a name key and the newest encryption key, whose id is `id`.
    pub fn new(name_key: Key, id: u32, key: Key) -> Self {
        Self { name_key, newest_id: id, newest: key, others: BTreeMap::new() }
    }

    /// Parses a list of encryption keys with their ids, newest first, such as `2:BASE64,1:BASE64`.
    /// Each key is 32 bytes in base64.
    ///
    /// # Errors
    ///
    /// Returns [`InvalidKey::List`] if the text does not have this form, or
    /// [`InvalidKey::DuplicateId`] if two keys have the same id.
    pub fn from_list(name_key: Key, list: &str) -> Result<Self, InvalidKey> {
        let mut keys = list.split(',').map(|entry| {
            let (id, key) = entry.split_once(':').ok_or(InvalidKey::List)?;
            let id: u32 = id.trim().parse().map_err(|_| InvalidKey::List)?;
            Ok::<_, InvalidKey>((id, Key::from_base64(key).map_err(|_| InvalidKey::List)?))
        });
        let (id, newest) = keys.next().ok_or(InvalidKey::List)??;
        keys.try_fold(Self::new(name_key, id, newest), |keys, older| {
            let (id, key) = older?;
            keys.with_decryption_key(id, key)
        })
    }

    /// Adds a key that is used only for decryption: either a key that older values were encrypted
    /// with, or one that other processes will soon use for new values.
    ///
    /// # Errors
    ///
    /// Returns [`InvalidKey::DuplicateId`] if the set already contains a key with this id.
    pub fn with_decryption_key(mut self, id: u32, key: Key) -> Result<Self, InvalidKey> {
        if id == self.newest_id || self.others.insert(id, key).is_some() {
            return Err(InvalidKey::DuplicateId(id));
        }
        Ok(self)
    }

    /// Replaces the name key with that of `current`.
    ///
    /// A store calls this method when its keys are replaced at run time. With a different name key,
    /// the store could not find any of its records.
    #[must_use]
    pub fn with_name_key_of(self, current: &Self) -> Self {
        Self { name_key: current.name_key.clone(), ..self }
    }

    /// Returns the encryption key with this id, or `None` if the set does not contain it.
    pub(super) fn encryption_key(&self, id: u32) -> Option<&Key> {
        if id == self.newest_id { Some(&self.newest) } else { self.others.get(&id) }
    }
}

/// The error returned for an invalid key or a duplicate key id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidKey {
    /// The text is not the base64 encoding of 32 bytes.
    Encoding,
    /// The set already contains an encryption key with this id.
    DuplicateId(u32),
    /// The list of encryption keys does not have the form `2:BASE64,1:BASE64`.
    List,
}

impl InvalidKey {
    /// Returns a verb phrase that describes the problem, such as `must be 32 bytes in base64`. The
    /// phrase does not contain any part of the text.
    pub fn problem(self) -> &'static str {
        match self {
            Self::Encoding => "must be 32 bytes in base64",
            Self::DuplicateId(_) => "contains the same key id twice",
            Self::List => "must be a list of ids and 32-byte keys such as `2:BASE64,1:BASE64`",
        }
    }
}

impl fmt::Display for InvalidKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Encoding => f.write_str("invalid key: expected 32 bytes in base64"),
            Self::DuplicateId(id) => write!(f, "invalid key id: two encryption keys have the id `{id}`"),
            Self::List => f.write_str("invalid list of keys: expected ids and keys such as `2:BASE64,1:BASE64`"),
        }
    }
}

impl std::error::Error for InvalidKey {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_is_parsed_from_base64_of_32_bytes() {
        let parsed = |text: &str| Key::from_base64(text).map(drop);
        assert_eq!(parsed("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"), Ok(()));
        for text in ["", "canary", "AAAA", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"] {
            assert_eq!(parsed(text), Err(InvalidKey::Encoding), "{text}");
        }
    }

    #[test]
    fn list_of_keys_is_parsed_newest_first() {
        const KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
        let parsed = |list: &str| EncryptionKeys::from_list(Key::new([7; 32]), list).map(|keys| keys.newest_id);
        assert_eq!(parsed(&format!("2:{KEY},1:{KEY}")), Ok(2));
        assert_eq!(parsed(&format!("1:{KEY},1:{KEY}")), Err(InvalidKey::DuplicateId(1)));
        for text in ["", "canary", "1:canary", &format!("canary:{KEY}"), &format!("1:{KEY},")] {
            assert_eq!(parsed(text), Err(InvalidKey::List), "{text}");
        }
    }

    #[test]
    fn duplicate_key_id_is_rejected() {
        let keys = || EncryptionKeys::new(Key::new([7; 32]), 1, Key::new([1; 32]));
        let duplicate = keys().with_decryption_key(1, Key::new([2; 32]));
        assert_eq!(duplicate.map(drop), Err(InvalidKey::DuplicateId(1)));
        let with_older = keys().with_decryption_key(0, Key::new([2; 32])).unwrap();
        assert_eq!(with_older.with_decryption_key(0, Key::new([3; 32])).map(drop), Err(InvalidKey::DuplicateId(0)));
    }

    #[test]
    fn a3_debug_output_of_keys_does_not_contain_their_bytes() {
        let keys = EncryptionKeys::new(Key::new([7; 32]), 1, Key::new([77; 32]));
        let text = format!("{keys:?}");
        assert!(!text.contains("77"), "{text}");
    }
}
