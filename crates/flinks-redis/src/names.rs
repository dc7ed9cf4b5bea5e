//! The names of all keys in Redis.
//!
//! Every key starts with the namespace and the shard in braces, so that all keys of a shard lie in one
//! slot of a cluster and one script can use them.

use flinks_consents::ConsentId;

use crate::error::InvalidConfiguration;
use flinks_consents::envelope::{EncryptionKeys, HiddenName};

/// The number of shards that the consents are spread over: as many as a [`HiddenName`] has.
pub(crate) const SHARDS: u16 = 256;

/// The start of all keys of a store. Stores with different namespaces do not see each other.
#[derive(Clone)]
pub(crate) struct Namespace(String);

/// The keys that belong to one consent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RedisKeys {
    /// The key of the sealed record.
    pub(crate) value: String,
    /// The two sorted sets of the shard.
    pub(crate) due: String,
    pub(crate) ended: String,
    /// The consent's name in these sets.
    pub(crate) member: String,
}

/// A sorted set of a shard. Each consent is in one of the two, or has ended and was reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Index {
    /// The consents that have not ended, by the deadline of their refresh tokens.
    Due,
    /// The consents that have ended and were not reported yet.
    Ended,
}

impl Namespace {
    pub(crate) fn new(text: String) -> Result<Self, InvalidConfiguration> {
        let is_reserved = |c: char| matches!(c, '{' | '}') || c.is_whitespace() || c.is_control();
        if text.is_empty() || text.contains(is_reserved) {
            return Err(InvalidConfiguration::new(
                "namespace",
                "is empty, or holds a brace, white space or a control character",
            ));
        }
        Ok(Self(text))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the keys of a consent.
    pub(crate) fn keys_of(&self, id: &ConsentId, keys: &EncryptionKeys) -> RedisKeys {
        let name = keys.hidden_name(id);
        let (shard, member) = (u16::from(name.shard()), name.to_string());
        RedisKeys {
            value: self.value(shard, &member),
            due: self.index(shard, Index::Due),
            ended: self.index(shard, Index::Ended),
            member,
        }
    }

    /// Returns the key of the record that has this name in the sorted sets of a shard.
    pub(crate) fn value(&self, shard: u16, member: &str) -> String {
        format!("{}:{member}", self.tag(shard))
    }

    /// Returns the key of a sorted set.
    pub(crate) fn index(&self, shard: u16, index: Index) -> String {
        let name = match index {
            Index::Due => "due",
            Index::Ended => "over",
        };
        format!("{}:{name}", self.tag(shard))
    }

    /// Returns the key of the record with this name. `None` if the text is not a name.
    pub(crate) fn value_named(&self, member: &str) -> Option<String> {
        let shard = u16::from_str_radix(member.get(..2)?, 16).ok()?;
        (member.len() == HiddenName::DIGITS).then(|| self.value(shard, member))
    }

    /// Returns the key of the entries of an owner.
    pub(crate) fn owner(&self, owner: &HiddenName) -> String {
        format!("{}:owner:{owner}", self.tag(u16::from(owner.shard())))
    }

    /// Returns the key of the lease of a shard.
    pub(crate) fn lease(&self, shard: u16) -> String {
        format!("{}:worker", self.tag(shard))
    }

    /// Returns the key of the fingerprint of the name key.
    pub(crate) fn name_key_fingerprint(&self) -> String {
        format!("{}:names", self.tag(0))
    }

    /// Returns whether `key` may be the key of a record in this namespace.
    pub(crate) fn is_value(&self, key: &str) -> bool {
        let rest = key.strip_prefix('{').and_then(|rest| rest.strip_prefix(self.as_str())?.strip_prefix(':'));
        let Some((shard, member)) = rest.and_then(|rest| rest.split_once("}:")) else { return false };
        // A shard has three digits: another namespace may start with this one.
        let is_shard = shard.len() == 3 && shard.parse::<u16>().is_ok();
        is_shard && member.len() == HiddenName::DIGITS
    }

    /// Returns the hash tag: what stands in braces decides the slot in a cluster.
    fn tag(&self, shard: u16) -> String {
        format!("{{{}:{shard:03}}}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flinks_consents::envelope::Key;

    fn keys_of(id: &str, name_key: u8) -> RedisKeys {
        let keys = EncryptionKeys::new(Key::new([name_key; 32]), 1, Key::new([1; 32]));
        Namespace::new("flinks".to_owned()).unwrap().keys_of(&id.parse().unwrap(), &keys)
    }

    #[test]
    fn a3_a_key_does_not_reveal_the_id() {
        let keys = keys_of("user-7", 7);
        assert!(!keys.value.contains("user"), "{keys:?}");
        assert_eq!(keys, keys_of("user-7", 7));
        assert_ne!(keys, keys_of("user-8", 7));
        assert_ne!(keys, keys_of("user-7", 8));
    }

    #[test]
    fn all_keys_of_a_consent_lie_in_one_slot() {
        let keys = keys_of("user-7", 7);
        let tag = |key: &str| key.split(['{', '}']).nth(1).map(str::to_owned);
        assert_eq!(tag(&keys.value), tag(&keys.due));
        assert_eq!(tag(&keys.value), tag(&keys.ended));
    }

    #[test]
    fn a_record_is_found_by_its_name() {
        let keys = keys_of("user-7", 7);
        let namespace = Namespace::new("flinks".to_owned()).unwrap();
        assert_eq!(namespace.value_named(&keys.member).as_deref(), Some(keys.value.as_str()));
        for other in ["", "0", "zz", "é", "00"] {
            assert_eq!(namespace.value_named(other), None, "{other}");
        }
    }

    #[test]
    fn only_a_key_of_this_namespace_may_be_a_record() {
        let namespace = Namespace::new("flinks".to_owned()).unwrap();
        let digits = "0".repeat(HiddenName::DIGITS);
        assert!(namespace.is_value(&format!("{{flinks:007}}:{digits}")));
        for key in [
            "{flinks:007}:owner:00000000000000000000000000000000",
            "{flinks:007}:due",
            "{flinks:007}:worker",
            "else",
            "",
        ] {
            assert!(!namespace.is_value(key), "{key}");
        }
        assert!(!namespace.is_value(&format!("{{flinks:eu:007}}:{digits}")));
        assert!(!namespace.is_value(&format!("{{other:007}}:{digits}")));
    }
}
