//! Hidden names: a consent's id, so that whoever reads the store cannot recognize it.

use std::fmt;

use crate::store::{ConsentId, OwnerId};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::keys::EncryptionKeys;

/// The name under which a store keeps a consent: 128 bits of an HMAC-SHA256 of its id.
///
/// The same id has the same name as long as the name key is the same. `Display` writes
/// [`DIGITS`](Self::DIGITS) hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HiddenName([u8; 16]);

impl HiddenName {
    /// The number of hexadecimal digits of a name.
    pub const DIGITS: usize = 32;

    /// Returns which of 256 shards the name belongs to. Names are spread evenly over the shards.
    pub fn shard(&self) -> u8 {
        let [first, ..] = self.0;
        first
    }
}

impl fmt::Display for HiddenName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl EncryptionKeys {
    /// Returns the hidden name of a consent.
    pub fn hidden_name(&self, id: &ConsentId) -> HiddenName {
        self.name_of(id.as_str())
    }

    /// Returns the hidden name of an owner. It differs from that of a consent with the same text.
    pub fn hidden_owner(&self, owner: &OwnerId) -> HiddenName {
        // No id holds a control character.
        self.name_of(&format!("\0owner\0{}", owner.as_str()))
    }

    /// Returns a text that identifies the name key, and does not reveal it.
    ///
    /// With another name key, a store finds none of its records and would write each of them a
    /// second time. A store can keep this text next to its records, and refuse to work if it differs.
    pub fn name_key_fingerprint(&self) -> String {
        // No consent has this id, because an id holds no control character.
        self.name_of("\0names").to_string()
    }

    fn name_of(&self, text: &str) -> HiddenName {
        // A key that is shorter than a block of the hash is padded with zeros (RFC 2104), so a whole
        // block gives the same result. Unlike a slice of any length, it cannot be rejected.
        let mut block = Zeroizing::new([0; 64]);
        for (byte, of_key) in block.iter_mut().zip(self.name_key.bytes()) {
            *byte = *of_key;
        }
        let mut mac = Hmac::<Sha256>::new((&*block).into());
        mac.update(text.as_bytes());
        let mut name = [0; 16];
        for (byte, of_hash) in name.iter_mut().zip(mac.finalize().into_bytes()) {
            *byte = of_hash;
        }
        HiddenName(name)
    }
}

#[cfg(test)]
mod tests {
    use super::super::keys::Key;
    use super::*;

    fn keys(name_key: u8) -> EncryptionKeys {
        EncryptionKeys::new(Key::new([name_key; 32]), 1, Key::new([1; 32]))
    }

    fn name(id: &str, name_key: u8) -> HiddenName {
        keys(name_key).hidden_name(&id.parse().unwrap())
    }

    #[test]
    fn a3_a_name_does_not_reveal_the_id() {
        let text = name("user-7", 7).to_string();
        assert!(!text.contains("user"));
        assert_eq!(text.len(), HiddenName::DIGITS);
    }

    #[test]
    fn an_owner_is_hidden_under_another_name_than_a_consent() {
        let owner = keys(7).hidden_owner(&"user-7".parse().unwrap());
        assert_ne!(owner, name("user-7", 7));
        assert_eq!(owner, keys(7).hidden_owner(&"user-7".parse().unwrap()));
        assert_ne!(owner, keys(8).hidden_owner(&"user-7".parse().unwrap()));
    }

    #[test]
    fn a_name_belongs_to_one_id_and_one_name_key() {
        assert_eq!(name("user-7", 7), name("user-7", 7));
        assert_ne!(name("user-7", 7), name("user-8", 7));
        assert_ne!(name("user-7", 7), name("user-7", 8));
        assert_ne!(keys(7).name_key_fingerprint(), keys(8).name_key_fingerprint());
    }

    /// Records of earlier versions are found again: a name is the plain HMAC with the 32 bytes as key.
    #[test]
    fn a_name_is_an_hmac_of_the_id() {
        let mut mac = Hmac::<Sha256>::new_from_slice(&[7; 32]).unwrap();
        mac.update(b"user-7");
        let digits: String = mac.finalize().into_bytes().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        let name = name("user-7", 7);
        assert_eq!(name.to_string(), digits);
        assert!(digits.starts_with(&format!("{:02x}", name.shard())));
    }
}
