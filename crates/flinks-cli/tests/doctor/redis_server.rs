//! Faults in a Redis store.

#[allow(dead_code, unreachable_pub)] // the tests of flinks-redis use the rest
#[path = "../../../flinks-redis/tests/support/server.rs"]
mod server;

use flinks_emulator::Emulator;

use self::server::Server;
use crate::Tests;
use crate::servers::closed_port;
use crate::support::{Doctor, OTHER_KEY, emulator};

pub(crate) const TESTS: Tests = &[
    ("nothing_is_wrong_with_redis", nothing_is_wrong),
    ("a_redis_server_that_does_not_run_is_found", unreachable),
    ("a_wrong_redis_password_is_found", wrong_password),
    ("an_evicting_redis_server_is_found", evicts),
    ("a_redis_server_without_persistence_is_found", does_not_persist),
    ("a_read_only_redis_server_is_found", read_only),
    ("a_redis_user_without_permissions_is_found", permissions),
    ("a_redis_store_with_other_encryption_keys_is_found", other_keys),
    ("a_redis_store_with_another_name_key_is_found", other_name_key),
    ("a_damaged_redis_record_is_found", damaged_record),
];

pub(crate) fn is_installed() -> bool {
    Server::is_installed()
}

const PERSISTENT: &[&str] = &["--appendonly", "yes"];
fn doctor(address: &str) -> (Emulator, Doctor) {
    let emulator = emulator();
    let doctor = Doctor::of(&emulator).with_store("REDIS", address);
    (emulator, doctor)
}

fn nothing_is_wrong() {
    let server = Server::start(PERSISTENT);
    let (_emulator, doctor) = doctor(&server.address());
    doctor.add_consent("user-7", &[]);
    let keys = server.keys();
    doctor.run(&["store"]).assert_nothing_is_wrong();
    assert_eq!(server.keys(), keys);
}

fn unreachable() {
    let (_emulator, doctor) = doctor(&format!("redis://{}", closed_port()));
    let report = doctor.run(&["store"]);
    report.assert_failed("store", "connection").has_cure("start the server").exits_with(75);
}

fn wrong_password() {
    let server = Server::start(&["--requirepass", "canary-password"]);
    let (_emulator, doctor) = doctor(&server.address().replace("redis://", "redis://:canary-wrong@"));
    let report = doctor.run(&["store"]);
    report
        .assert_failed("store", "connection")
        .is("credentials")
        .has_cure("flinks config set-secret store.url")
        .exits_with(4);
}

fn evicts() {
    let policy = ["--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"];
    let server = Server::start(&[PERSISTENT, &policy].concat());
    let (_emulator, doctor) = doctor(&server.address());
    let report = doctor.run(&["store"]);
    report.assert_failed("store", "server settings").is("evict").has_cure("maxmemory-policy noeviction").exits_with(4);
    assert_eq!(report.outcome("store", "consents"), "passed");
}

fn does_not_persist() {
    let server = Server::start(&[]);
    let (_emulator, doctor) = doctor(&server.address());
    let report = doctor.run(&["store"]);
    report.assert_failed("store", "server settings").is("append-only").has_cure("appendonly yes").exits_with(4);
}

fn read_only() {
    let server =
        Server::start(&[PERSISTENT, &["--replicaof", "127.0.0.1", &closed_port().port().to_string()]].concat());
    let (_emulator, doctor) = doctor(&server.address());
    let report = doctor.run(&["store"]);
    report.assert_failed("store", "writes").is("read-only replica").has_cure("connect to the primary").exits_with(75);
}

fn permissions() {
    let server = Server::start(PERSISTENT);
    server.command(&["ACL", "SETUSER", "app", "on", ">canary", "~*", "+get", "+set", "+info", "+scan"]);
    let (_emulator, doctor) = doctor(&server.address().replace("redis://", "redis://app:canary@"));
    let report = doctor.run(&["store"]);
    report.assert_failed("store", "writes").is("denied a command").has_cure("ACL SETUSER").exits_with(4);
}

fn other_keys() {
    let server = Server::start(PERSISTENT);
    let (_emulator, doctor) = doctor(&server.address());
    doctor.add_consent("user-7", &[]);
    let report = doctor.with("FLINKS_REDIS_KEYS", &format!("2:{OTHER_KEY}")).run(&["store"]);
    report
        .assert_failed("store", "records")
        .is("1 of 1 records are unreadable")
        .has_cure("flinks config set-secret store.keys")
        .guessed()
        .exits_with(4);
}

fn other_name_key() {
    let server = Server::start(PERSISTENT);
    let (_emulator, doctor) = doctor(&server.address());
    doctor.add_consent("user-7", &[]);
    let report = doctor.with("FLINKS_REDIS_NAME_KEY", OTHER_KEY).run(&["store"]);
    report
        .assert_failed("store", "connection")
        .is("a different name key")
        .has_cure("flinks config set-secret store.name_key")
        .exits_with(4);
}

fn damaged_record() {
    let server = Server::start(PERSISTENT);
    let (_emulator, doctor) = doctor(&server.address());
    doctor.add_consent("user-7", &[]);
    let record = server.keys().into_iter().find(|key| key.rsplit(':').next().unwrap().len() == 32).unwrap();
    server.set(&record, b"canary");
    let report = doctor.run(&["store"]);
    report.assert_failed("store", "records").is("1 of 1 records are unreadable").has_cure("backup").exits_with(4);
}
