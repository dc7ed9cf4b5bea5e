//! Tests that secrets are not readable in PostgreSQL and that the store handles unreadable rows.

use std::sync::Arc;
use std::time::SystemTime;

use flinks_consents::migrate::Migration;
use flinks_consents::store::{MemoryStore, ScanRecords as _, StoreError, TokenStore as _};
use flinks_consents::{Consents, OwnerId, Page};
use flinks_postgres::{EncryptionKeys, Key, PostgresStore};

use crate::common::{Database, Tests, keys, record, run, store};
use crate::support::{Flinks, Server};

pub(crate) const WITH_SERVER: Tests = &[
    ("a3_ids_and_tokens_are_not_readable_in_postgres", || run(nothing_readable)),
    ("a3_server_log_contains_no_secret", || run(server_log)),
    ("moved_or_changed_row_is_damaged_and_not_overwritten", || run(damaged_rows)),
    ("encryption_keys_can_be_rotated", || run(key_rotation)),
    ("all_records_are_scanned", || run(scanned)),
    ("consents_move_to_another_store_and_back", || run(moved)),
    ("o10_unreadable_consent_does_not_end_the_list_of_an_owner", || run(owners)),
];

async fn nothing_readable() {
    let database = Database::migrated().await;
    let store = database.store();
    let record = record("canary-user", "canary-token", SystemTime::now()).await;
    assert!(store.compare_and_swap(None, &record).await.unwrap());
    let flinks = Flinks::start().await;
    let consents = Consents::builder(flinks.client()).store(store.clone()).build();
    let new = consents.new_consent(&"canary-2".parse().unwrap()).owner("canary-owner".parse().unwrap());
    let _ = new.label("canary label").import(flinks.new_refresh_token().await, SystemTime::now()).await.unwrap();
    let dump = database.sql(
        "SELECT c, encode(value, 'escape'), encode(name, 'escape'), encode(owner, 'escape') FROM flinks.consents AS c; \
         SELECT l FROM flinks.work_leases AS l; SELECT m FROM flinks.meta AS m",
    );
    assert!(dump.contains("flinks1:"), "{dump}");
    for secret in ["canary", "emu_", "63616e617279"] {
        assert!(!dump.contains(secret), "{dump}");
    }
    let builder = PostgresStore::builder("postgres://app:canary@127.0.0.1/app", keys());
    assert!(!format!("{store:?} {builder:?}").contains("canary"));
}

/// Tests a server that logs every statement with its parameters.
async fn server_log() {
    for (max_length, shows_values) in [("-1", true), ("0", false)] {
        let setting = format!("log_parameter_max_length={max_length}");
        let server = Arc::new(Server::start(&["log_statement=all", "log_min_messages=debug1", &setting]));
        let database = Database::on(Arc::clone(&server));
        let store = database.store();
        store.migrate().await.unwrap();
        let record = record("canary-user", "canary-token", SystemTime::now()).await;
        assert!(store.compare_and_swap(None, &record).await.unwrap());
        assert!(store.load(record.id()).await.unwrap().is_some());
        // A failed statement is logged as well.
        database.sql("ALTER TABLE flinks.consents ADD CHECK (generation < 0) NOT VALID");
        assert!(store.compare_and_swap(Some(record.generation()), &record).await.is_err());
        database.sql("ALTER TABLE flinks.consents DROP COLUMN value");
        assert!(store.load(record.id()).await.is_err());
        let log = server.log();
        assert!(log.contains("INSERT INTO \"flinks\".consents"), "{log}");
        for secret in ["canary", "63616e617279"] {
            assert!(!log.contains(secret), "{log}");
        }
        let name = keys().hidden_name(record.id()).to_string();
        assert_eq!(log.contains(&name), shows_values || log.contains("Failing row contains"), "{log}");
    }
}

async fn damaged_rows() {
    let database = Database::migrated().await;
    let store = database.store();
    let one = record("one", "r1", SystemTime::now()).await;
    let other = record("other", "r2", SystemTime::now()).await;
    for record in [&one, &other] {
        assert!(store.compare_and_swap(None, record).await.unwrap());
    }
    let name = |id| format!("'\\x{}'", keys().hidden_name(id));
    let (one_name, other_name) = (name(one.id()), name(other.id()));
    let original = database.sql(&format!("SELECT value FROM flinks.consents WHERE name = {one_name}"));
    for (value, is_misconfigured) in [
        (format!("(SELECT value FROM flinks.consents WHERE name = {other_name})"), false),
        ("substring(value FROM 1 FOR length(value) - 1)".to_owned(), false),
        ("substring(value FROM 1 FOR 30)".to_owned(), false),
        ("set_byte(value, length(value) - 1, get_byte(value, length(value) - 1) # 1)".to_owned(), false),
        ("set_byte(value, length(value) / 2, get_byte(value, length(value) / 2) # 1)".to_owned(), false),
        ("'\\x'::bytea".to_owned(), false),
        ("'x'::bytea".to_owned(), false),
        ("'flinks9:7:1:x'::bytea".to_owned(), true),
    ] {
        database.sql(&format!("UPDATE flinks.consents SET value = {value} WHERE name = {one_name}"));
        let changed = database.sql("SELECT c FROM flinks.consents AS c ORDER BY name");
        let error = store.load(one.id()).await.unwrap_err();
        assert_eq!(matches!(error, StoreError::Misconfigured(_)), is_misconfigured, "{value}: {error}");
        assert_eq!(matches!(error, StoreError::Damaged(_)), !is_misconfigured, "{value}: {error}");
        for expected in [None, Some(7)] {
            assert_eq!(store.compare_and_swap(expected, &one).await, Ok(false), "{value}");
        }
        assert_eq!(store.remove(one.id(), 7).await, Ok(false), "{value}");
        assert_eq!(database.sql("SELECT c FROM flinks.consents AS c ORDER BY name"), changed);
        database.sql(&format!("UPDATE flinks.consents SET value = '{original}' WHERE name = {one_name}"));
    }
    assert!(store.load(one.id()).await.unwrap().is_some());
    // A generation that differs from the one in the value also counts as damage.
    database.sql(&format!("UPDATE flinks.consents SET generation = 7 WHERE name = {one_name}"));
    assert!(matches!(store.load(one.id()).await, Err(StoreError::Damaged(_))));
    // A value that was moved to another schema cannot be decrypted.
    let moved = crate::common::builder(&database.url()).schema("moved").build().unwrap();
    moved.migrate().await.unwrap();
    database.sql("INSERT INTO moved.consents SELECT * FROM flinks.consents");
    assert!(matches!(moved.load(other.id()).await, Err(StoreError::Damaged(_))));
    assert!(store.load(other.id()).await.unwrap().is_some());
}

async fn key_rotation() {
    let database = Database::migrated().await;
    let store = database.store();
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

async fn owners() {
    let database = Database::migrated().await;
    let flinks = Flinks::start().await;
    let store = store(&database.url());
    let consents = Consents::builder(flinks.client()).store(store.clone()).build();
    let owner: OwnerId = "canary-owner".parse().unwrap();
    for number in 0..7 {
        let new = consents.new_consent(&format!("bank-{number}").parse().unwrap()).owner(owner.clone());
        let _ = new.import(flinks.new_refresh_token().await, SystemTime::now()).await.unwrap();
    }
    let all = store.list(&owner, &Page::first(100)).await.unwrap();
    assert_eq!(all.len(), 7);
    // The second row of the list is unreadable.
    let name = |index: usize| format!("'\\x{}'", keys().hidden_name(all[index].id()));
    database.sql(&format!("UPDATE flinks.consents SET value = 'x' WHERE name = {}", name(1)));
    let stranger = consents.new_consent(&"stranger".parse().unwrap()).owner("other".parse().unwrap());
    let _ = stranger.import(flinks.new_refresh_token().await, SystemTime::now()).await.unwrap();
    // This row's column names the owner, but its record does not.
    let stranger_name = format!("'\\x{}'", keys().hidden_name(&"stranger".parse().unwrap()));
    let owner_name = format!("'\\x{}'", keys().hidden_owner(&owner));
    database.sql(&format!("UPDATE flinks.consents SET owner = {owner_name} WHERE name = {stranger_name}"));
    let mut paged = Vec::new();
    loop {
        let page = match paged.last() {
            None => Page::first(2),
            Some(last) => Page::after(flinks_consents::store::Record::id(last).clone(), 2),
        };
        let records = store.list(&owner, &page).await.unwrap();
        let is_last = records.len() < 2;
        paged.extend(records);
        if is_last {
            break;
        }
    }
    let ids = |records: &[flinks_consents::store::Record]| records.iter().map(|r| r.id().clone()).collect::<Vec<_>>();
    let mut expected = ids(&all);
    expected.remove(1);
    assert_eq!(ids(&paged), expected);
}

async fn scanned() {
    let database = Database::migrated().await;
    let store = database.store();
    let mut expected = Vec::new();
    for number in 0..25 {
        let record = record(&format!("user-{number}"), "r", SystemTime::now()).await;
        assert!(store.compare_and_swap(None, &record).await.unwrap());
        expected.push(record.id().clone());
    }
    let unreadable = format!("'\\x{}'", keys().hidden_name(&expected.remove(7)));
    database.sql(&format!("UPDATE flinks.consents SET value = 'x' WHERE name = {unreadable}"));
    assert_eq!(store.count().await.unwrap(), Some(25));
    let (mut found, mut count, mut cursor) = (Vec::new(), 0, None);
    loop {
        let page = store.scan(cursor.as_deref(), 10).await.unwrap();
        found.extend(page.records.iter().map(|record| record.id().clone()));
        count += page.unreadable;
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
    assert_eq!(count, 1);
    for cursor in ["", "canary", "0"] {
        assert!(matches!(store.scan(Some(cursor), 10).await, Err(StoreError::Misconfigured(_))), "{cursor}");
    }
}

async fn moved() {
    let database = Database::migrated().await;
    let flinks = Flinks::start().await;
    let (memory, store) = (MemoryStore::new(), database.store());
    let consents = Consents::builder(flinks.client()).store(memory.clone()).build();
    for number in 0..30 {
        let new = consents.new_consent(&format!("user-{number}").parse().unwrap()).owner("owner".parse().unwrap());
        let _ = new.import(flinks.new_refresh_token().await, SystemTime::now()).await.unwrap();
    }
    let summary = Migration::new(memory.clone(), store.clone()).run().await.unwrap();
    assert!(summary.is_complete(), "{summary}");
    assert_eq!(summary.moved, 30);
    assert_eq!(memory.count().await.unwrap(), Some(0));
    assert_eq!(store.list(&"owner".parse().unwrap(), &Page::first(100)).await.unwrap().len(), 30);
    // An end that has not been reported yet is still unreported after the move.
    let other = crate::common::builder(&database.url()).schema("other").build().unwrap();
    other.migrate().await.unwrap();
    let of_postgres = Consents::builder(flinks.client()).store(store.clone()).build();
    let ended = "user-7".parse().unwrap();
    let unknown_token = flinks_consents::flinks::outbound::RefreshToken::new("canary-unknown").unwrap();
    of_postgres.import(&ended, unknown_token, SystemTime::now()).await.unwrap();
    assert!(of_postgres.consent(&ended).access_token().await.unwrap_err().needs_consent());
    assert!(store.is_end_unreported(&ended).await.unwrap());
    let summary = Migration::new(store.clone(), other.clone()).run().await.unwrap();
    assert!(summary.is_complete(), "{summary}");
    assert_eq!(database.sql("SELECT count(*) FROM flinks.consents"), "0");
    assert!(other.is_end_unreported(&ended).await.unwrap());
    assert!(!other.is_end_unreported(&"user-8".parse().unwrap()).await.unwrap());
    let summary = Migration::new(other.clone(), memory.clone()).run().await.unwrap();
    assert!(summary.is_complete(), "{summary}");
    assert_eq!(memory.count().await.unwrap(), Some(30));
}
