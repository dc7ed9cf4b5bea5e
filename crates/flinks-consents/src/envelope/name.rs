//! Hidden names: keyed hashes of ids. Someone who can read the store cannot derive the ids from the
//! names.

use std::fmt;

use crate::store::{ConsentId, OwnerId};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::keys::{EncryptionKeys, Key};

/// The hidden name of a consent or an owner: the first 128 bits of the HMAC-SHA256 of its id.
///
/// With the same name key, an id always has the same hidden name. `Display` writes
/// [`DIGITS`](Self::DIGITS) hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HiddenName([u8; 16]);

impl HiddenName {
    /// The number of hexadecimal digits in a hidden name.
    pub const DIGITS: usize = 32;

    /// Creates a hidden name from the bytes that [`to_bytes`](Self::to_bytes) returned.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Returns the 16 bytes of the name, for stores that keep names in binary form.
    pub fn to_bytes(self) -> [u8; 16] {
        self.0
    }

    /// Returns the shard that the name belongs to. Names are distributed evenly across 256 shards.
    pub fn shard(&self) -> u8 {
        let [first, ..] = self.0;
        first
    }
}

impl fmt::Display for HiddenName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Formatting a single number is several times faster than formatting sixteen.
        write!(f, "{:0width$x}", u128::from_be_bytes(self.0), width = Self::DIGITS)
    }
}

impl EncryptionKeys {
    /// Returns the hidden name of a consent.
    pub fn hidden_name(&self, id: &ConsentId) -> HiddenName {
        self.name_key.hidden_name(id)
    }

    /// Returns the hidden name of an owner. It differs from the hidden name of a consent with the
    /// same id.
    pub fn hidden_owner(&self, owner: &OwnerId) -> HiddenName {
        self.name_key.hidden_owner(owner)
    }

    /// Returns a fingerprint that identifies the name key without revealing it.
    ///
    /// If the name key changed, a store could not find its records, and every consent would be
    /// stored a second time. To detect a changed name key, a store can save the fingerprint with
    /// its records and return an error if the fingerprint later differs.
    pub fn name_key_fingerprint(&self) -> String {
        self.name_key.fingerprint()
    }
}

impl Key {
    pub(super) fn hidden_name(&self, id: &ConsentId) -> HiddenName {
        self.name_of(id.as_str())
    }

    pub(super) fn hidden_owner(&self, owner: &OwnerId) -> HiddenName {
        // The prefixed text cannot be a consent id, because ids contain no control characters.
        self.name_of(&format!("\0owner\0{}", owner.as_str()))
    }

    pub(super) fn fingerprint(&self) -> String {
        // This text is not a valid consent id, because ids contain no control characters.
        self.name_of("\0names").to_string()
    }

    fn name_of(&self, text: &str) -> HiddenName {
        // HMAC pads a short key with zeros to the block size of the hash (RFC 2104), so the padded
        // key produces the same hash. Passing an array of this length cannot fail, unlike passing a
        // slice.
        let mut block = Zeroizing::new([0; 64]);
        for (byte, key_byte) in block.iter_mut().zip(self.bytes()) {
            *byte = *key_byte;
        }
        let mut mac = Hmac::<Sha256>::new((&*block).into());
        mac.update(text.as_bytes());
        let mut name = [0; 16];
        for (byte, hash_byte) in name.iter_mut().zip(mac.finalize().into_bytes()) {
            *byte = hash_byte;
        }
        HiddenName(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(name_key: u8) -> EncryptionKeys {
        EncryptionKeys::new(Key::new([name_key; 32]), 1, Key::new([1; 32]))
    }

    fn name(id: &str, name_key: u8) -> HiddenName {
        keys(name_key).hidden_name(&id.parse().unwrap())
    }

    #[test]
    fn a3_hidden_name_does_not_contain_the_id() {
        let text = name("user-7", 7).to_string();
        assert!(!text.contains("user"));
        assert_eq!(text.len(), HiddenName::DIGITS);
    }

    #[test]
    fn owner_and_consent_with_the_same_text_have_different_names() {
        let owner = keys(7).hidden_owner(&"user-7".parse().unwrap());
        assert_ne!(owner, name("user-7", 7));
        assert_eq!(owner, keys(7).hidden_owner(&"user-7".parse().unwrap()));
        assert_ne!(owner, keys(8).hidden_owner(&"user-7".parse().unwrap()));
    }

    #[test]
    fn hidden_name_depends_on_id_and_name_key() {
        assert_eq!(name("user-7", 7), name("user-7", 7));
        assert_ne!(name("user-7", 7), name("user-8", 7));
        assert_ne!(name("user-7", 7), name("user-7", 8));
        assert_ne!(keys(7).name_key_fingerprint(), keys(8).name_key_fingerprint());
    }

    /// A hidden name must remain the plain HMAC with the 32-byte key, because existing records are
    /// stored under such names.
    #[test]
    fn hidden_name_is_the_hmac_of_the_id() {
        let mut mac = Hmac::<Sha256>::new_from_slice(&[7; 32]).unwrap();
        mac.update(b"user-7");
        let digits: String = mac.finalize().into_bytes().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        let name = name("user-7", 7);
        assert_eq!(name.to_string(), digits);
        assert!(digits.starts_with(&format!("{:02x}", name.shard())));
    }
}
