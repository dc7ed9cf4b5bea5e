//! Tests how the store keeps track of an owner's consents.

use flinks_consents::Page;
use flinks_store_tests::owners::{bank, import_banks, list_ids};

use crate::common::{Tests, run, store};
use crate::support::Server;

/// Tests that need `redis-server`.
pub(crate) const WITH_SERVER: Tests = &[
    ("a3_owners_and_labels_are_not_readable", || run(not_readable)),
    ("entry_of_an_owner_without_its_record_is_removed_after_an_hour", || run(stale_entry)),
];

async fn not_readable() {
    let server = Server::start(&[]);
    let _ = import_banks(&server, 1).await;
    for key in server.keys() {
        assert!(!key.contains("canary"), "{key}");
    }
    let index = server.keys().into_iter().find(|key| key.contains(":owner:")).unwrap();
    let entries: Vec<String> = server.query(&["HGETALL", &index]);
    assert!(!format!("{entries:?}").contains("canary"));
}

async fn stale_entry() {
    let server = Server::start(&[]);
    let consents = import_banks(&server, 2).await;
    let index = server.keys().into_iter().find(|key| key.contains(":owner:")).unwrap();
    let entries = || server.query::<u64>(&["HLEN", &index]);
    // Removing a record also removes its index entry.
    consents.consent(&bank(0)).forget().await.unwrap();
    assert_eq!(entries(), 1);
    // The store keeps an entry without a record at first, because another process may be about to
    // write the record.
    server.command(&["HSET", &index, &"0".repeat(32), "9223372036854775807"]);
    assert_eq!(list_ids(&consents, &Page::first(100)).await, [bank(1)]);
    assert_eq!(entries(), 2);
    // Once the entry is more than an hour old, the store removes it.
    let script =
        "for _, name in ipairs(redis.call('HKEYS', KEYS[1])) do redis.call('HSET', KEYS[1], name, '1') end return 1";
    server.command(&["EVAL", script, "1", &index]);
    assert_eq!(list_ids(&consents, &Page::first(100)).await, [bank(1)]);
    assert_eq!(entries(), 1);
    // `restore_indexes` restores a lost index.
    server.command(&["DEL", &index]);
    assert!(list_ids(&consents, &Page::first(100)).await.is_empty());
    assert_eq!(store(&server.address()).restore_indexes().await, Ok(0));
    assert_eq!(list_ids(&consents, &Page::first(100)).await, [bank(1)]);
}
