//! Names and values: what Redis sees of a consent.
//!
//! A value is `flinks1:GENERATION:KEY-ID:` in clear, for the script that compares generations, and then a nonce and the
//! encrypted record. The part in clear and the key under which the value lies are authenticated with it.

use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use flinks::outbound::ConsentId;
use flinks::outbound::store::{Record, StoreError};
use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::failure::NO_VALUE;
use crate::keys::Keys;

/// How many parts the consents are spread over; each lies in one slot of a cluster. As many as one byte of a name tells.
pub(crate) const PARTS: u16 = 256;

/// The bytes of a nonce of XChaCha20: so many that one by chance does not come twice.
const NONCE: usize = 24;

/// The hexadecimal digits of a name within its part: 128 bits, so many that two ids do not meet by chance.
const MEMBER: usize = 32;

const PREFIX: &str = "flinks1:";

/// Where a consent lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Name {
    /// The key of its value.
    pub(crate) key: String,
    /// The sorted sets of its part, and what it is called in them.
    pub(crate) due: String,
    pub(crate) over: String,
    pub(crate) member: String,
}

/// A sorted set of a part: each consent is in one of them, or was told to be over.
#[derive(Clone, Copy)]
pub(crate) enum Set {
    /// Those whose refresh token idles out.
    Due,
    /// Those that are over, which nobody was told yet.
    Over,
}

impl Name {
    pub(crate) fn of(id: &ConsentId, namespace: &str, keys: &Keys) -> Result<Self, StoreError> {
        let (first, member) = digest(id.as_str(), keys)?;
        let part = u16::from(first);
        let [due, over] = [Set::Due, Set::Over].map(|set| set.key(namespace, part));
        Ok(Self { key: Self::key_of(namespace, part, &member), due, over, member })
    }

    /// Whether this may be the key of a value.
    pub(crate) fn is_of_value(key: &str, namespace: &str) -> bool {
        let rest = key.strip_prefix('{').and_then(|rest| rest.strip_prefix(namespace)?.strip_prefix(':'));
        // Of three digits: another namespace may begin with this one.
        let is_part = |part: &str| part.len() == 3 && part.parse::<u16>().is_ok();
        rest.and_then(|rest| rest.split_once("}:"))
            .is_some_and(|(part, member)| is_part(part) && member.len() == MEMBER)
    }

    /// What is called so in a sorted set of a part.
    pub(crate) fn key_of(namespace: &str, part: u16, member: &str) -> String {
        format!("{}:{member}", tag(namespace, part))
    }
}

impl Set {
    pub(crate) fn key(self, namespace: &str, part: u16) -> String {
        let name = match self {
            Self::Due => "due",
            Self::Over => "over",
        };
        format!("{}:{name}", tag(namespace, part))
    }
}

/// Whose a part is, for a while.
pub(crate) fn lease(namespace: &str, part: u16) -> String {
    format!("{}:worker", tag(namespace, part))
}

/// Which key for names it is.
pub(crate) fn names(namespace: &str) -> String {
    format!("{}:names", tag(namespace, 0))
}

/// What is the same for the same key for names: of a text that no id is.
pub(crate) fn fingerprint(keys: &Keys) -> Result<String, StoreError> {
    digest("\0names", keys).map(|(_, digits)| digits)
}

/// The first byte, and hexadecimal digits.
fn digest(text: &str, keys: &Keys) -> Result<(u8, String), StoreError> {
    let mut mac = Hmac::<Sha256>::new_from_slice(keys.names.bytes()).map_err(|_| StoreError::refused("has no key"))?;
    mac.update(text.as_bytes());
    let bytes = mac.finalize().into_bytes();
    let digits = bytes.iter().take(MEMBER / 2).map(|byte| format!("{byte:02x}")).collect();
    Ok((bytes.first().copied().unwrap_or_default(), digits))
}

/// In braces, so that all keys of a part lie in one slot.
fn tag(namespace: &str, part: u16) -> String {
    format!("{{{namespace}:{part:03}}}")
}

/// A record as a value under `key`.
pub(crate) fn seal(record: &Record, key: &str, keys: &Keys) -> Result<Vec<u8>, StoreError> {
    let head = format!("{PREFIX}{}:{}:", record.generation(), keys.newest);
    let secret = keys.value(keys.newest).ok_or(StoreError::refused("has no key"))?;
    let mut nonce = [0_u8; NONCE];
    getrandom::fill(&mut nonce).map_err(|_| StoreError::unavailable("has no good chance to encrypt with"))?;
    let clear = record.encode()?;
    let payload = Payload { msg: clear.expose_secret().as_bytes(), aad: &authenticated(&head, key) };
    let sealed = XChaCha20Poly1305::new(secret.bytes().into())
        .encrypt(&XNonce::from(nonce), payload)
        .map_err(|_| StoreError::refused("cannot encrypt a record"))?;
    Ok([head.as_bytes(), &nonce, &sealed].concat())
}

/// The record that lies under `key`, of whatever consent.
pub(crate) fn open(value: &[u8], key: &str, keys: &Keys) -> Result<Record, StoreError> {
    const DAMAGED: StoreError = StoreError::damaged(NO_VALUE);
    let mut colons = value.iter().enumerate().filter(|(_, byte)| **byte == b':').map(|(index, _)| index);
    let end = colons.nth(2).ok_or(DAMAGED)?;
    let (head, sealed) = value.split_at_checked(end.saturating_add(1)).ok_or(DAMAGED)?;
    let head = std::str::from_utf8(head).map_err(|_| DAMAGED)?;
    let Some(rest) = head.strip_prefix(PREFIX) else {
        let version = head.strip_prefix("flinks").and_then(|rest| rest.split(':').next()?.parse::<u32>().ok());
        return Err(match version {
            Some(_) => StoreError::refused("was written by a newer version"),
            None => DAMAGED,
        });
    };
    // The generation is for the script; that nobody changed it is shown when the rest is decrypted.
    let id: u32 = rest.split(':').nth(1).and_then(|field| field.parse().ok()).ok_or(DAMAGED)?;
    let secret = keys.value(id).ok_or(StoreError::refused("was written with a key that is not here"))?;
    let (nonce, sealed) = sealed.split_first_chunk::<NONCE>().ok_or(DAMAGED)?;
    let payload = Payload { msg: sealed, aad: &authenticated(head, key) };
    let clear = XChaCha20Poly1305::new(secret.bytes().into()).decrypt(&XNonce::from(*nonce), payload);
    Record::decode_any(&Zeroizing::new(clear.map_err(|_| DAMAGED)?))
}

fn authenticated(head: &str, key: &str) -> Vec<u8> {
    [head.as_bytes(), key.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use flinks::outbound::store::{MemoryStore, TokenStore as _};
    use flinks::outbound::{Client, ClientAuthentication, Consents, RefreshToken};

    use super::*;
    use crate::Key;

    async fn record() -> Record {
        let store = MemoryStore::new();
        let nowhere = "http://127.0.0.1:9".parse().unwrap();
        let client = Client::new(nowhere, ClientAuthentication::None { client_id: "a".to_owned() }).unwrap();
        let id: ConsentId = "user-7".parse().unwrap();
        let consents = Consents::builder(client).store(store.clone()).build();
        consents.insert(&id, RefreshToken::new("r").unwrap(), SystemTime::now()).await.unwrap();
        store.load(&id).await.unwrap().unwrap()
    }

    #[tokio::test]
    async fn a_value_is_good_under_its_name_and_with_its_generation_only() {
        let (record, keys) = (record().await, Keys::new(Key::new([7; 32]), 1, Key::new([1; 32])));
        let sealed = seal(&record, "name", &keys).unwrap();
        assert_eq!(open(&sealed, "name", &keys).unwrap().generation(), record.generation());
        assert!(open(&sealed, "other", &keys).is_err());
        let text = format!(":{}:", record.generation()).into_bytes();
        let at = sealed.windows(text.len()).position(|window| window == text).unwrap();
        let mut later = sealed.clone();
        later.splice(at..at + text.len(), b":77:".iter().copied());
        assert_eq!(open(&later, "name", &keys).unwrap_err(), StoreError::damaged(NO_VALUE));
        // A nonce comes once.
        let again = seal(&record, "name", &keys).unwrap();
        let head = sealed.iter().zip(&again).take_while(|(one, other)| one == other).count();
        assert!(head < sealed.len() - 16 - NONCE && sealed[head..head + 8] != again[head..head + 8]);
    }

    #[test]
    fn parts_are_slots_and_names_tell_nothing() {
        let keys = Keys::new(Key::new([7; 32]), 1, Key::new([1; 32]));
        let name = |id: &str| Name::of(&id.parse().unwrap(), "flinks", &keys).unwrap();
        let (one, other) = (name("user-7"), name("user-8"));
        assert!(one != other && !one.key.contains("user") && one == name("user-7"));
        let tag = |key: &str| key.split(['{', '}']).nth(1).map(str::to_owned);
        assert!(tag(&one.key) == tag(&one.due) && tag(&one.key) == tag(&one.over));
        assert_ne!(
            one,
            Name::of(&"user-7".parse().unwrap(), "flinks", &Keys::new(Key::new([8; 32]), 1, Key::new([1; 32])))
                .unwrap()
        );
    }
}
