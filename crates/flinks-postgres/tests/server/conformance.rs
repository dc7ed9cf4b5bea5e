//! Runs the conformance test on servers and databases with different settings.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

use flinks_consents::store::{TokenStore as _, conformance};
use flinks_postgres::PostgresStore;

use crate::common::{Database, Tests, builder, record, run, shared_server, store};

pub(crate) const WITH_SERVER: Tests = &[
    ("store_conforms", || run(plain)),
    ("store_conforms_over_a_unix_socket", || run(unix_socket)),
    ("store_conforms_with_unusual_settings", || run(unusual_settings)),
    ("store_conforms_with_serializable_transactions", || run(serializable)),
    ("store_conforms_with_other_encodings", || run(encodings)),
    ("schemas_are_separate", || run(schemas)),
];

/// Runs the conformance test with stores that have separate connection pools.
async fn check(open: impl Fn() -> PostgresStore) {
    open().migrate().await.unwrap();
    // The test opens a store for each of 32 tasks. Two pools are enough to act like two processes.
    let stores = [open(), open()];
    let next = AtomicUsize::new(0);
    conformance::check(|| stores[next.fetch_add(1, Ordering::Relaxed) % stores.len()].clone()).await.unwrap();
}

async fn plain() {
    let database = Database::new();
    check(|| database.store()).await;
    assert_eq!(database.sql("SELECT count(*) FROM flinks.consents"), "0");
}

async fn unix_socket() {
    let database = Database::new();
    check(|| store(&database.server.socket_url(&database.name))).await;
}

async fn unusual_settings() {
    let database = Database::new();
    // Tables with the same names as the store's tables come first in the search path.
    database.sql(
        "CREATE SCHEMA decoy; CREATE TABLE decoy.consents (a int8); CREATE TABLE decoy.meta (key int8); \
         CREATE FUNCTION decoy.now() RETURNS timestamptz LANGUAGE sql AS 'SELECT NULL::timestamptz'",
    );
    for setting in [
        "search_path = decoy",
        "standard_conforming_strings = off",
        "bytea_output = 'escape'",
        "datestyle = 'German'",
        "timezone = 'Pacific/Apia'",
        "extra_float_digits = -15",
        "transform_null_equals = on",
        "default_transaction_deferrable = on",
    ] {
        database.sql(&format!("ALTER DATABASE {} SET {setting}", database.name));
    }
    check(|| database.store()).await;
}

async fn serializable() {
    let database = Database::new();
    database.sql(&format!("ALTER DATABASE {} SET default_transaction_isolation = 'serializable'", database.name));
    check(|| database.store()).await;
}

async fn encodings() {
    for encoding in ["SQL_ASCII", "LATIN1"] {
        let server = shared_server();
        let name = server.create_database_with(&format!("ENCODING '{encoding}' LOCALE 'C'"));
        let database = Database { server, name };
        check(|| database.store()).await;
    }
}

async fn schemas() {
    let database = Database::migrated().await;
    let open = || builder(&database.url()).schema("user").build().unwrap();
    check(open).await;
    let record = record("user-7", "r", SystemTime::now()).await;
    assert!(open().compare_and_swap(None, &record).await.unwrap());
    assert!(database.store().load(record.id()).await.unwrap().is_none());
    assert!(database.store().compare_and_swap(None, &record).await.unwrap());
    assert_eq!(database.sql("SELECT count(*) FROM flinks.consents"), "1");
    assert_eq!(database.sql("SELECT count(*) FROM \"user\".consents"), "1");
}
