//! Tests that secrets are not readable in Redis and that the store handles unreadable values.

use std::time::SystemTime;

use flinks_consents::envelope::{DataKey, DataKeys, Envelope, KeyError, KeyFuture, KeyProvider};
use flinks_consents::store::StoreError;
use flinks_consents::store::TokenStore as _;
use flinks_redis::{EncryptionKeys, Key, RedisStore};
use flinks_store_tests::{keys, record};

use crate::common::{Tests, run, store};
use crate::support::{Server, record_key};

/// Tests that need `redis-server`.
pub(crate) const WITH_SERVER: Tests = &[
    ("a3_ids_and_tokens_are_not_readable_in_redis", || run(nothing_readable)),
    ("moved_or_changed_value_is_damaged_and_not_overwritten", || run(damaged_values)),
    ("unreadable_values_are_not_overwritten", || run(unreadable_values)),
    ("encryption_keys_can_be_rotated", || run(key_rotation)),
    ("data_keys_are_stored_with_the_records", || run(stored_data_keys)),
    ("name_key_is_checked_later_if_its_fingerprint_is_unreadable", || run(name_key_checked_later)),
];

async fn nothing_readable() {
    let server = Server::start(&[]);
    let store = store(&server.address());
    let record = record("canary-user", "canary-token", SystemTime::now()).await;
    assert!(store.compare_and_swap(None, &record).await.unwrap());
    let second = RedisStore::builder(server.address(), keys()).namespace("other").build().unwrap();
    assert!(second.load(record.id()).await.unwrap().is_none(), "the namespaces are not separate");
    assert!(second.compare_and_swap(None, &record).await.unwrap());
    let all = server.dump();
    assert_eq!(all.len(), 4, "{all:?}");
    for (key, bytes) in &all {
        let text = format!("{key} {}", String::from_utf8_lossy(bytes));
        assert!(!text.contains("canary"), "{text}");
        assert!(text.contains("flinks") || text.contains("other"), "{text}");
    }
    // Encrypting the same record again produces different values.
    let values: Vec<&Vec<u8>> = all.iter().filter(|(key, _)| !key.ends_with(":due")).map(|(_, bytes)| bytes).collect();
    assert_ne!(values[0], values[1]);
    assert!(
        !format!("{store:?} {:?} {:?}", keys(), RedisStore::builder("redis://:canary@127.0.0.1", keys()))
            .contains("canary")
    );
}

async fn damaged_values() {
    let server = Server::start(&[]);
    let store = store(&server.address());
    let one = record("one", "r1", SystemTime::now()).await;
    let other = record("other", "r2", SystemTime::now()).await;
    for record in [&one, &other] {
        assert!(store.compare_and_swap(None, record).await.unwrap());
    }
    let value_keys: Vec<String> = server.keys().into_iter().filter(|key| !key.ends_with(":due")).collect();
    let [first, second] = value_keys.as_slice() else { panic!("{value_keys:?}") };
    let value = server.get(first);
    let value_of_another_record = server.get(second);
    let generation =
        format!(":{}:", if record_key(one.id()) == *first { one.generation() } else { other.generation() });
    let mut changes: Vec<Vec<u8>> =
        vec![value_of_another_record, value[..value.len() - 1].to_vec(), value[..30].to_vec()];
    let text = generation.clone().into_bytes();
    let at = value.windows(text.len()).position(|window| window == text).unwrap();
    let mut later_generation = value.clone();
    later_generation.splice(at..at + text.len(), b":77:".to_vec());
    changes.push(later_generation);
    for index in [0, value.len() / 2, value.len() - 1] {
        let mut flipped = value.clone();
        flipped[index] ^= 1;
        changes.push(flipped);
    }
    let changed_record = if record_key(one.id()) == *first { &one } else { &other };
    for changed in changes {
        server.set(first, &changed);
        let loaded = store.load(changed_record.id()).await;
        assert!(matches!(loaded, Err(StoreError::Damaged(_) | StoreError::Misconfigured(_))), "{loaded:?}");
        assert_eq!(server.get(first), changed);
    }
    server.set(first, &value);
    assert!(store.load(changed_record.id()).await.unwrap().is_some());
}

async fn unreadable_values() {
    let server = Server::start(&[]);
    let store = store(&server.address());
    let record = record("one", "r1", SystemTime::now()).await;
    let key = record_key(record.id());
    for (bytes, is_misconfigured) in
        [(&b""[..], false), (b"x", false), (b"flinks1:", false), (b"flinks1:a:b:c", false), (b"flinks3:7:1:x", true)]
    {
        server.set(&key, bytes);
        let loaded = store.load(record.id()).await.unwrap_err();
        assert_eq!(matches!(loaded, StoreError::Misconfigured(_)), is_misconfigured, "{loaded}");
        for expected in [None, Some(7), Some(record.generation())] {
            let swapped = store.compare_and_swap(expected, &record).await;
            assert!(!matches!(swapped, Ok(true)), "{swapped:?}");
        }
        assert!(!matches!(store.remove(record.id(), 7).await, Ok(true)));
        assert_eq!(server.get(&key), bytes);
    }
    server.command(&["DEL", &key]);
    server.command(&["HSET", &key, "a", "b"]);
    assert!(matches!(store.load(record.id()).await, Err(StoreError::Damaged(_))));
    assert!(matches!(store.compare_and_swap(None, &record).await, Err(StoreError::Damaged(_))));
    assert!(matches!(store.remove(record.id(), 7).await, Err(StoreError::Damaged(_))));
    server.command(&["HGET", &key, "a"]);
}

async fn key_rotation() {
    let server = Server::start(&[]);
    let store = store(&server.address());
    let first = record("one", "r1", SystemTime::now()).await;
    assert!(store.compare_and_swap(None, &first).await.unwrap());
    let newer = || EncryptionKeys::new(Key::new([9; 32]), 2, Key::new([2; 32]));
    // The name key stays the same. Without the older encryption key, the store cannot read the
    // record, but the record is not lost.
    store.set_keys(newer());
    assert!(matches!(store.load(first.id()).await, Err(StoreError::Misconfigured(_))));
    store.set_keys(newer().with_decryption_key(1, Key::new([1; 32])).unwrap());
    let loaded = store.load(first.id()).await.unwrap().unwrap();
    assert!(store.compare_and_swap(Some(first.generation()), &loaded).await.unwrap());
    // Once the record has been written again, only the newer key is needed.
    store.set_keys(newer());
    assert!(store.load(first.id()).await.unwrap().is_some());
    // A different key with the same id cannot decrypt the record.
    store.set_keys(EncryptionKeys::new(Key::new([7; 32]), 2, Key::new([3; 32])));
    assert!(matches!(store.load(first.id()).await, Err(StoreError::Damaged(_))));
}

/// A key service that always wraps the same key.
struct KeyService(Result<(), KeyError>);

impl KeyProvider for KeyService {
    fn generate_key(&self) -> KeyFuture<'_, DataKey> {
        let key = self.0.map(|()| DataKey { key: Key::new([5; 32]), wrapped: b"wrapped".to_vec() });
        Box::pin(std::future::ready(key))
    }

    fn unwrap_key<'a>(&'a self, wrapped: &'a [u8]) -> KeyFuture<'a, Key> {
        assert_eq!(wrapped, b"wrapped");
        Box::pin(std::future::ready(self.0.map(|()| Key::new([5; 32]))))
    }
}

async fn stored_data_keys() {
    let server = Server::start(&[]);
    let envelope = |service| Envelope::new(Key::new([7; 32]), DataKeys::new(KeyService(service)));
    let open = |envelope: Envelope| RedisStore::builder(server.address(), envelope).build().unwrap();
    let one = record("one", "r1", SystemTime::now()).await;
    let configured = store(&server.address());
    assert!(configured.compare_and_swap(None, &one).await.unwrap());
    let first = open(envelope(Ok(())).with_decryption_keys(keys()));
    let loaded = first.load(one.id()).await.unwrap().unwrap();
    assert!(first.compare_and_swap(Some(one.generation()), &loaded).await.unwrap());
    // From now on, only the key service is needed.
    let second = open(envelope(Ok(())));
    assert!(second.load(one.id()).await.unwrap().is_some());
    assert!(matches!(configured.load(one.id()).await, Err(StoreError::Misconfigured(_))));
    let unavailable = open(envelope(Err(KeyError::Unavailable)));
    assert!(matches!(unavailable.load(one.id()).await, Err(StoreError::Unavailable(_))));
    let refused = open(envelope(Err(KeyError::Refused)));
    assert!(matches!(refused.load(one.id()).await, Err(StoreError::Misconfigured(_))));
    assert!(matches!(refused.compare_and_swap(None, &one).await, Err(StoreError::Misconfigured(_))));
    assert!(second.remove(one.id(), one.generation()).await.unwrap());
}

/// Checks that a store that cannot read the fingerprint when it connects compares its name key with
/// the fingerprint in a later call.
async fn name_key_checked_later() {
    let server = Server::start(&[]);
    let one = record("one", "r1", SystemTime::now()).await;
    assert!(store(&server.address()).compare_and_swap(None, &one).await.unwrap());
    let keys = EncryptionKeys::new(Key::new([8; 32]), 1, Key::new([1; 32]));
    let wrong = RedisStore::builder(server.address(), keys).build().unwrap();
    server.command(&["RENAME", "{flinks:000}:names", "{flinks:000}:aside"]);
    server.command(&["HSET", "{flinks:000}:names", "a", "b"]);
    assert!(wrong.load(one.id()).await.unwrap().is_none());
    server.command(&["RENAME", "{flinks:000}:aside", "{flinks:000}:names"]);
    let expected = StoreError::misconfigured("was written with a different name key");
    assert_eq!(wrong.load(one.id()).await.unwrap_err(), expected);
    assert_eq!(wrong.compare_and_swap(None, &one).await, Err(expected));
}
