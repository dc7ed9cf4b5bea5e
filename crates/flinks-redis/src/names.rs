//! The names of the keys in Redis.
//!
//! Every key starts with the namespace and the shard, both inside one pair of braces. In a cluster,
//! all of a shard's keys are therefore in the same slot, so one script can use several of them.

use flinks_consents::ConsentId;

use crate::error::InvalidConfiguration;
use flinks_consents::envelope::{Envelope, HiddenName};

/// The number of shards. [`HiddenName::shard`] returns a number less than `SHARDS`.
pub(crate) const SHARDS: u16 = 256;

/// The prefix of all keys that a store uses. Stores with different namespaces do not share keys.
#[derive(Clone)]
pub(crate) struct Namespace(String);

/// The Redis keys for one consent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RedisKeys {
    /// The key for the encrypted record.
    pub(crate) record: String,
    /// The key for the shard's sorted set of deadlines.
    pub(crate) due: String,
    /// The key for the shard's sorted set of ended consents.
    pub(crate) ended: String,
    /// The consent's hidden name, which identifies it in the two sorted sets.
    pub(crate) member: String,
}

/// One of a shard's two sorted sets. A consent is in one of them until its end has been reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Index {
    /// The consents that have not ended, with their idle deadlines as scores.
    Due,
    /// The ended consents that have not been reported yet.
    Ended,
}

impl Namespace {
    pub(crate) fn new(text: String) -> Result<Self, InvalidConfiguration> {
        let is_reserved = |c: char| matches!(c, '{' | '}') || c.is_whitespace() || c.is_control();
        if text.is_empty() || text.contains(is_reserved) {
            return Err(InvalidConfiguration::new(
                "namespace",
                "must not be empty or contain a brace, white space or a control character",
            ));
        }
        Ok(Self(text))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the Redis keys for a consent.
    pub(crate) fn consent_keys(&self, id: &ConsentId, envelope: &Envelope) -> RedisKeys {
        let name = envelope.hidden_name(id);
        let shard = u16::from(name.shard());
        let member = name.to_string();
        RedisKeys {
            record: self.record_key(shard, &member),
            due: self.index_key(shard, Index::Due),
            ended: self.index_key(shard, Index::Ended),
            member,
        }
    }

    /// Returns the Redis key for a consent's record.
    pub(crate) fn consent_key(&self, id: &ConsentId, envelope: &Envelope) -> String {
        let name = envelope.hidden_name(id);
        format!("{{{}:{:03}}}:{name}", self.0, name.shard())
    }

    /// Returns the Redis key for the record with this hidden name.
    pub(crate) fn record_key(&self, shard: u16, name: &str) -> String {
        format!("{}:{name}", self.hash_tag(shard))
    }

    /// Returns the Redis key for one of a shard's sorted sets.
    pub(crate) fn index_key(&self, shard: u16, index: Index) -> String {
        let name = match index {
            Index::Due => "due",
            Index::Ended => "over",
        };
        format!("{}:{name}", self.hash_tag(shard))
    }

    /// Returns the Redis key for the record with this hidden name, or `None` if `name` is not a
    /// hidden name.
    pub(crate) fn parse_record_key(&self, name: &str) -> Option<String> {
        let shard = u16::from_str_radix(name.get(..2)?, 16).ok()?;
        (name.len() == HiddenName::DIGITS).then(|| self.record_key(shard, name))
    }

    /// Returns the Redis key for the hash that lists an owner's consents.
    pub(crate) fn owner_key(&self, owner: &HiddenName) -> String {
        format!("{}:owner:{owner}", self.hash_tag(u16::from(owner.shard())))
    }

    /// Returns the Redis key for a shard's lease.
    pub(crate) fn lease_key(&self, shard: u16) -> String {
        format!("{}:worker", self.hash_tag(shard))
    }

    /// Returns the Redis key for the fingerprint of the name key.
    pub(crate) fn fingerprint_key(&self) -> String {
        format!("{}:names", self.hash_tag(0))
    }

    /// Returns whether `key` has the form of a record key in this namespace.
    pub(crate) fn is_record_key(&self, key: &str) -> bool {
        let rest = key.strip_prefix('{').and_then(|rest| rest.strip_prefix(self.as_str())?.strip_prefix(':'));
        let Some((shard, name)) = rest.and_then(|rest| rest.split_once("}:")) else { return false };
        // The shard must have exactly three digits, because this namespace may be a prefix of
        // another one.
        let is_shard = shard.len() == 3 && shard.parse::<u16>().is_ok();
        is_shard && name.len() == HiddenName::DIGITS
    }

    /// Returns a shard's hash tag. In a cluster, the text in braces determines a key's slot.
    fn hash_tag(&self, shard: u16) -> String {
        format!("{{{}:{shard:03}}}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flinks_consents::envelope::{EncryptionKeys, Key};

    fn consent_keys(id: &str, name_key: u8) -> RedisKeys {
        let keys = EncryptionKeys::new(Key::new([name_key; 32]), 1, Key::new([1; 32]));
        Namespace::new("flinks".to_owned()).unwrap().consent_keys(&id.parse().unwrap(), &keys.into())
    }

    #[test]
    fn a3_key_does_not_contain_the_id() {
        let keys = consent_keys("user-7", 7);
        assert!(!keys.record.contains("user"), "{keys:?}");
        assert_eq!(keys, consent_keys("user-7", 7));
        assert_ne!(keys, consent_keys("user-8", 7));
        assert_ne!(keys, consent_keys("user-7", 8));
    }

    #[test]
    fn all_keys_of_a_consent_are_in_the_same_slot() {
        let keys = consent_keys("user-7", 7);
        let slot_tag = |key: &str| key.split(['{', '}']).nth(1).map(str::to_owned);
        assert_eq!(slot_tag(&keys.record), slot_tag(&keys.due));
        assert_eq!(slot_tag(&keys.record), slot_tag(&keys.ended));
    }

    #[test]
    fn record_key_is_derived_from_a_hidden_name() {
        let keys = consent_keys("user-7", 7);
        let namespace = Namespace::new("flinks".to_owned()).unwrap();
        assert_eq!(namespace.parse_record_key(&keys.member).as_deref(), Some(keys.record.as_str()));
        let envelope = EncryptionKeys::new(Key::new([7; 32]), 1, Key::new([1; 32])).into();
        assert_eq!(namespace.consent_key(&"user-7".parse().unwrap(), &envelope), keys.record);
        for other in ["", "0", "zz", "é", "00"] {
            assert_eq!(namespace.parse_record_key(other), None, "{other}");
        }
    }

    #[test]
    fn record_keys_of_other_namespaces_are_rejected() {
        let namespace = Namespace::new("flinks".to_owned()).unwrap();
        let digits = "0".repeat(HiddenName::DIGITS);
        assert!(namespace.is_record_key(&format!("{{flinks:007}}:{digits}")));
        for key in [
            "{flinks:007}:owner:00000000000000000000000000000000",
            "{flinks:007}:due",
            "{flinks:007}:worker",
            "other",
            "",
        ] {
            assert!(!namespace.is_record_key(key), "{key}");
        }
        assert!(!namespace.is_record_key(&format!("{{flinks:eu:007}}:{digits}")));
        assert!(!namespace.is_record_key(&format!("{{other:007}}:{digits}")));
    }
}
