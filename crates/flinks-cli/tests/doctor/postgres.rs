//! Faults in a PostgreSQL store.

#[allow(dead_code, unreachable_pub)] // the tests of flinks-postgres use the rest
#[path = "../../../flinks-postgres/tests/support/server.rs"]
mod server;

use std::sync::{Arc, Mutex, PoisonError};

use flinks_emulator::Emulator;
use flinks_postgres::PostgresStore;

use self::server::Server;
use crate::Tests;
use crate::servers::closed_port;
use crate::support::{Doctor, OTHER_KEY, emulator};

pub(crate) const TESTS: Tests = &[
    ("nothing_is_wrong_with_postgres", nothing_is_wrong),
    ("a_postgres_server_that_does_not_run_is_found", unreachable),
    ("a_missing_postgres_database_is_found", missing_database),
    ("missing_postgres_tables_are_found", missing_tables),
    ("postgres_tables_of_another_version_are_found", other_version),
    ("missing_postgres_privileges_are_found", missing_privileges),
    ("a_read_only_postgres_database_is_found", read_only),
    ("an_unsafe_postgres_setting_is_found", unlogged),
    ("a_postgres_store_with_other_encryption_keys_is_found", other_keys),
    ("a_postgres_store_with_another_name_key_is_found", other_name_key),
];

pub(crate) fn is_installed() -> bool {
    Server::is_installed()
}

/// The server that the tests share.
static SHARED: Mutex<Option<Arc<Server>>> = Mutex::new(None);

/// Stops the shared server. Statics are not dropped.
pub(crate) fn stop_shared_server() {
    drop(SHARED.lock().unwrap_or_else(PoisonError::into_inner).take());
}

/// A database for one test.
struct Database {
    server: Arc<Server>,
    name: String,
}

impl Database {
    fn empty() -> Self {
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        // The last value of a setting applies.
        let start = || Arc::new(Server::start(&["fsync=on", "full_page_writes=on"]));
        let server = Arc::clone(shared.get_or_insert_with(start));
        drop(shared);
        let name = server.create_database();
        Self { server, name }
    }

    fn with_tables() -> Self {
        let this = Self::empty();
        for migration in PostgresStore::migrations("flinks").unwrap() {
            this.sql(&migration.sql);
        }
        this
    }

    fn sql(&self, sql: &str) {
        self.server.sql(&self.name, sql);
    }

    fn doctor(&self) -> (Emulator, Doctor) {
        doctor(&self.server.url(&self.name))
    }
}

fn doctor(url: &str) -> (Emulator, Doctor) {
    let emulator = emulator();
    let doctor = Doctor::of(&emulator).with_store("POSTGRES", url);
    (emulator, doctor)
}

fn nothing_is_wrong() {
    let database = Database::with_tables();
    let (_emulator, doctor) = database.doctor();
    doctor.add_consent("user-7", &[]);
    doctor.run(&["store"]).assert_nothing_is_wrong();
    assert_eq!(database.server.sql(&database.name, "SELECT count(*) FROM flinks.work_leases"), "0");
    assert_eq!(database.server.sql(&database.name, "SELECT count(*) FROM flinks.consents"), "1");
}

fn unreachable() {
    let (_emulator, doctor) = doctor(&format!("postgres://app:canary@{}/app", closed_port()));
    let report = doctor.run(&["store"]);
    report.assert_failed("store", "connection").has_cure("start the server").exits_with(75);
}

fn missing_database() {
    let database = Database::empty();
    let (_emulator, doctor) = doctor(&database.server.url("missing"));
    let report = doctor.run(&["store"]);
    report.assert_failed("store", "connection").is("no database").has_cure("the database in store.url").exits_with(4);
}

fn missing_tables() {
    let (_emulator, doctor) = Database::empty().doctor();
    let report = doctor.run(&["store"]);
    report.assert_failed("store", "connection").is("no tables").has_cure("run the migrations").exits_with(4);
}

fn other_version() {
    let database = Database::with_tables();
    database.sql("UPDATE flinks.meta SET value = '2' WHERE key = 'version'");
    let (_emulator, doctor) = database.doctor();
    let report = doctor.run(&["store"]);
    report.assert_failed("store", "connection").is("a newer version").has_cure("run the migrations").exits_with(4);
}

fn missing_privileges() {
    let database = Database::with_tables();
    database.sql("CREATE ROLE reader LOGIN; GRANT pg_read_all_data TO reader; GRANT INSERT ON flinks.meta TO reader");
    let (_emulator, doctor) = doctor(&database.server.url_as("reader", &database.name));
    let report = doctor.run(&["store"]);
    report.assert_failed("store", "writes").is("denied a statement").has_cure("GRANT").exits_with(4);
}

fn read_only() {
    let database = Database::with_tables();
    let (_emulator, doctor) = database.doctor();
    doctor.add_consent("user-7", &[]);
    database.sql(&format!("ALTER DATABASE {} SET default_transaction_read_only = on", database.name));
    let report = doctor.run(&["store"]);
    assert_eq!(report.outcome("store", "server settings"), "failed");
    assert_eq!(report.outcome("store", "writes"), "failed");
    report.first_failed().is("accepts no writes").has_cure("primary").exits_with(4);
}

fn unlogged() {
    let database = Database::with_tables();
    database.sql("ALTER TABLE flinks.consents SET UNLOGGED");
    let (_emulator, doctor) = database.doctor();
    let report = doctor.run(&["store"]);
    report.assert_failed("store", "server settings").is("SET LOGGED").exits_with(4);
}

fn other_keys() {
    let database = Database::with_tables();
    let (_emulator, doctor) = database.doctor();
    doctor.add_consent("user-7", &[]);
    let report = doctor.with("FLINKS_POSTGRES_KEYS", &format!("2:{OTHER_KEY}")).run(&["store"]);
    report
        .assert_failed("store", "records")
        .is("1 of 1 records are unreadable")
        .has_cure("flinks config set-secret store.keys")
        .guessed()
        .exits_with(4);
}

fn other_name_key() {
    let database = Database::with_tables();
    let (_emulator, doctor) = database.doctor();
    doctor.add_consent("user-7", &[]);
    let report = doctor.with("FLINKS_POSTGRES_NAME_KEY", OTHER_KEY).run(&["store"]);
    report
        .assert_failed("store", "connection")
        .is("a different name key")
        .has_cure("flinks config set-secret store.name_key")
        .exits_with(4);
}
