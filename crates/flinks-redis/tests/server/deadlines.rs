//! Tests the idle deadlines of refresh tokens (O5).

use std::time::{Duration, SystemTime};

use flinks_consents::store::TokenStore as _;
use flinks_consents::store::{DueWindow, StoreError};
use flinks_consents::{ConsentId, Consents};
use flinks_redis::{EncryptionKeys, Key, RedisStore};
use flinks_store_tests::{keys, record};

use crate::common::{NO_OTHER_NODES, Tests, run, store};
use crate::support::{self, Server};

/// Tests that need `redis-server`.
pub(crate) const WITH_SERVER: Tests = &[
    ("o5_due_consents_are_listed_in_order_despite_damaged_records", || run(due_in_order)),
    ("o5_lost_deadlines_are_restored", || run(restored)),
    ("o5_lost_deadlines_are_restored_on_a_cluster", || run(restored_on_a_cluster)),
    ("record_is_not_written_if_its_deadline_cannot_be_written", || run(unwritable_deadline)),
];

async fn due_in_order() {
    let server = Server::start(&[]);
    let store = store(&server.address());
    let now = SystemTime::now();
    let days = |days: u64| Duration::from_secs(days * 24 * 60 * 60);
    for number in 0..300_u64 {
        let record = record(&format!("user-{number}"), "r", now - days(29) + Duration::from_secs(number)).await;
        assert!(store.compare_and_swap(None, &record).await.unwrap());
    }
    let listed = store.due(DueWindow::new(now, days(2)), 40).await.unwrap();
    let expected: Vec<ConsentId> = (0..40).map(|number| format!("user-{number}").parse().unwrap()).collect();
    assert_eq!(listed, expected);
    assert_eq!(store.due(DueWindow::new(now, days(2)), 1000).await.unwrap().len(), 300);
    assert_eq!(store.due(DueWindow::new(now, Duration::ZERO), 1000).await.unwrap(), []);
    // The store lists the other records even if one record is missing and another is damaged.
    let keys: Vec<String> = server.keys().into_iter().filter(|key| !key.ends_with(":due")).collect();
    server.command(&["DEL", &keys[0]]);
    server.set(&keys[1], b"garbage");
    assert_eq!(store.due(DueWindow::new(now, days(2)), 1000).await.unwrap().len(), 298);
    assert_eq!(server.deadlines(), 299, "the deadline of the missing record must be removed, and no other");
    assert_eq!(store.due(DueWindow::new(now, days(2)), usize::MAX).await.unwrap().len(), 298);
    // The store lists the next readable record even after many damaged records.
    for key in &keys[2..] {
        server.set(key, b"garbage");
    }
    let last = record("user-last", "r", now - days(28)).await;
    assert!(store.compare_and_swap(None, &last).await.unwrap());
    assert_eq!(store.due(DueWindow::new(now, days(3)), 1).await.unwrap(), [last.id().clone()]);
}

async fn restored() {
    let server = Server::start(&[]);
    restored_in(&server, store(&server.address())).await;
}

async fn restored_on_a_cluster() {
    let server = Server::start(&["--cluster-enabled", "yes"]);
    server.own_all_slots();
    restored_in(&server, RedisStore::builder(server.address(), keys()).cluster(NO_OTHER_NODES).build().unwrap()).await;
}

async fn restored_in(server: &Server, store: RedisStore) {
    let flinks = support::emulator().await;
    let in_two_months = DueWindow::new(SystemTime::now(), Duration::from_secs(5_000_000));
    let consents = Consents::builder(flinks.client()).store(store.clone()).build();
    for number in 0..300 {
        let record = record(&format!("user-{number}"), "r", SystemTime::now() - Duration::from_secs(number)).await;
        assert!(store.compare_and_swap(None, &record).await.unwrap());
    }
    let ended: ConsentId = "user-7".parse().unwrap();
    assert!(consents.consent(&ended).access_token().await.unwrap_err().needs_consent());
    let before = store.due(in_two_months, 1000).await.unwrap();
    assert_eq!(before.len(), 299);
    assert_eq!(store.restore_indexes().await, Ok(0));
    let sets: Vec<String> = server.keys().into_iter().filter(|key| key.ends_with(":due")).collect();
    for set in &sets {
        server.command(&["DEL", set]);
    }
    assert_eq!(store.due(in_two_months, 1000).await.unwrap(), []);
    // Restoring indexes does not change other applications' keys or unreadable records.
    server.set("else", b"garbage");
    let longer_namespace = RedisStore::builder(server.address(), keys()).namespace("flinks:eu");
    let longer_namespace =
        if server.is_cluster() { longer_namespace.cluster(NO_OTHER_NODES) } else { longer_namespace };
    let foreign_record = record("user-7", "r", SystemTime::now()).await;
    assert!(longer_namespace.build().unwrap().compare_and_swap(None, &foreign_record).await.unwrap());
    let damaged = server.keys().into_iter().find(|key| !key.contains(":eu") && key.len() > 40).unwrap();
    let value = server.get(&damaged);
    server.set_bytes(b"\xff\xfe", b"garbage");
    server.set(&damaged, b"garbage");
    assert_eq!(store.restore_indexes().await, Ok(298));
    server.set(&damaged, &value);
    assert_eq!(store.restore_indexes().await, Ok(1));
    assert_eq!(store.restore_indexes().await, Ok(0));
    assert_eq!(store.due(in_two_months, 1000).await.unwrap(), before);
    let other_keys = EncryptionKeys::new(Key::new([8; 32]), 1, Key::new([1; 32]));
    let other = RedisStore::builder(server.address(), other_keys);
    let other = if server.is_cluster() { other.cluster(NO_OTHER_NODES) } else { other };
    let other = other.build().unwrap();
    assert!(matches!(other.restore_indexes().await, Err(StoreError::Misconfigured(_))));
    server.command(&["DEL", "{flinks:000}:names"]);
    assert_eq!(other.restore_indexes().await, Ok(0));
}

async fn unwritable_deadline() {
    let server = Server::start(&[]);
    let store = store(&server.address());
    let one = record("one", "r1", SystemTime::now()).await;
    assert!(store.compare_and_swap(None, &one).await.unwrap());
    let [key, due] = server.keys().try_into().unwrap();
    let before = server.get(&key);
    server.command(&["DEL", &due]);
    server.set(&due, b"not a sorted set");
    assert!(matches!(store.compare_and_swap(Some(one.generation()), &one).await, Err(StoreError::Misconfigured(_))));
    assert!(matches!(store.remove(one.id(), one.generation()).await, Err(StoreError::Misconfigured(_))));
    assert_eq!(server.get(&key), before);
    assert_eq!(server.get(&due), b"not a sorted set".to_vec());
}
