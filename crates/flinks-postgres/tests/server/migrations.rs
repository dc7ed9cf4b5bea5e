//! Tests the migrations and the checks of the tables and the name key.

use std::time::SystemTime;

use flinks_consents::store::{StoreError, TokenStore as _};
use flinks_postgres::{EncryptionKeys, Key, PostgresStore};

use crate::common::{Database, Tests, builder, record, run};

pub(crate) const WITH_SERVER: Tests = &[
    ("migrations_can_run_in_several_processes_at_once", || run(concurrent)),
    ("migration_files_can_be_run_by_another_tool", || run(files)),
    ("wrong_version_of_the_tables_is_an_error", || run(versions)),
    ("missing_or_changed_tables_are_an_error", || run(tables)),
    ("wrong_name_key_is_an_error", || run(name_key)),
];

fn has_no_tables(error: &StoreError) -> bool {
    matches!(error, StoreError::Misconfigured(_)) && error.to_string().contains("run the flinks-postgres migrations")
}

async fn concurrent() {
    let database = Database::new();
    for schema in ["flinks", "app"] {
        let tasks: Vec<_> = (0..16)
            .map(|_| {
                let store = builder(&database.url()).schema(schema).max_connections(1).build().unwrap();
                tokio::spawn(async move { store.migrate().await })
            })
            .collect();
        for task in tasks {
            task.await.unwrap().unwrap();
        }
    }
    let tables = database.sql("SELECT count(*) FROM pg_tables WHERE schemaname IN ('flinks', 'app')");
    assert_eq!(tables, "6");
    assert_eq!(database.sql("SELECT value FROM app.meta"), "1");
    // Nothing is left to do.
    database.store().migrate().await.unwrap();
}

async fn files() {
    let database = Database::new();
    for migration in PostgresStore::migrations("app").unwrap() {
        database.sql(&migration.sql);
        database.sql(&migration.sql);
    }
    let store = builder(&database.url()).schema("app").build().unwrap();
    assert!(store.load(&"user-7".parse().unwrap()).await.unwrap().is_none());
}

async fn versions() {
    let database = Database::migrated().await;
    let id = "user-7".parse().unwrap();
    for (version, expected) in [
        ("0", "the token store has tables from an older version: run the flinks-postgres migrations"),
        ("2", "the token store has tables from a newer version of this crate"),
    ] {
        database.sql(&format!("UPDATE flinks.meta SET value = '{version}' WHERE key = 'version'"));
        let error = database.store().load(&id).await.unwrap_err();
        assert!(matches!(error, StoreError::Misconfigured(_)), "{error}");
        assert_eq!(error.to_string(), expected);
    }
    assert!(matches!(database.store().migrate().await, Err(StoreError::Misconfigured(_))));
    database.sql("UPDATE flinks.meta SET value = 'canary' WHERE key = 'version'");
    assert!(matches!(database.store().load(&id).await, Err(StoreError::Damaged(_))));
}

async fn tables() {
    let database = Database::new();
    let id = "user-7".parse().unwrap();
    let store = database.store();
    assert!(has_no_tables(&store.load(&id).await.unwrap_err()));
    // A store that found no tables works as soon as they exist.
    store.migrate().await.unwrap();
    assert!(store.load(&id).await.unwrap().is_none());
    for sql in ["ALTER TABLE flinks.consents RENAME TO aside", "DROP SCHEMA flinks CASCADE"] {
        database.sql(sql);
        assert!(has_no_tables(&store.load(&id).await.unwrap_err()), "{sql}");
    }
    let record = record("user-7", "canary", SystemTime::now()).await;
    for sql in [
        "ALTER TABLE flinks.consents DROP COLUMN deadline",
        "ALTER TABLE flinks.consents ALTER COLUMN generation TYPE boolean USING true",
        "ALTER TABLE flinks.consents DROP CONSTRAINT consents_pkey",
        "ALTER TABLE flinks.consents ADD COLUMN added int8 NOT NULL",
    ] {
        database.sql("DROP SCHEMA IF EXISTS flinks CASCADE");
        store.migrate().await.unwrap();
        database.sql(sql);
        let error = store.compare_and_swap(None, &record).await.unwrap_err();
        assert!(matches!(error, StoreError::Misconfigured(_)), "{sql}: {error}");
        assert!(!error.to_string().contains("canary"), "{sql}: {error}");
    }
    database.sql("DROP SCHEMA flinks CASCADE");
    store.migrate().await.unwrap();
    assert!(store.compare_and_swap(None, &record).await.unwrap());
    database.sql("ALTER TABLE flinks.consents ALTER COLUMN value TYPE text USING 'canary'");
    assert!(matches!(store.load(&id).await, Err(StoreError::Damaged(_))));
}

async fn name_key() {
    let database = Database::migrated().await;
    let first = record("one", "r1", SystemTime::now()).await;
    assert!(database.store().compare_and_swap(None, &first).await.unwrap());
    let keys = EncryptionKeys::new(Key::new([8; 32]), 1, Key::new([1; 32]));
    let wrong = PostgresStore::builder(database.url(), keys).build().unwrap();
    let expected = StoreError::misconfigured("was written with a different name key");
    assert_eq!(wrong.load(first.id()).await.unwrap_err(), expected);
    assert_eq!(wrong.compare_and_swap(None, &first).await, Err(expected));
    assert_eq!(database.sql("SELECT count(*) FROM flinks.consents"), "1");
}
