//! Tests the store against `redis-server` and against servers that send unexpected responses.
//!
//! Each test that needs `redis-server` starts its own server on a free port. The tests that need
//! `redis-server` are ignored if it is not installed.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)] // test helpers are tests too

mod access;
mod batching;
mod cluster;
mod common;
mod deadlines;
mod encryption;
mod keep_alive;
mod lease;
mod outage;
mod owners;
mod replies;
mod sharing;
#[path = "../support/mod.rs"]
mod support;

#[path = "../../../flinks/tests/shared/log.rs"]
mod log;

use common::Tests;
use flinks_redis::Warning;
use flinks_store_tests::{trial, trials};
use libtest_mimic::{Arguments, Trial};
use support::Server;

const WITH_SERVER: [Tests; 10] = [
    access::WITH_SERVER,
    batching::WITH_SERVER,
    cluster::WITH_SERVER,
    deadlines::WITH_SERVER,
    encryption::WITH_SERVER,
    keep_alive::WITH_SERVER,
    lease::WITH_SERVER,
    outage::WITH_SERVER,
    owners::WITH_SERVER,
    sharing::WITH_SERVER,
];

const ALWAYS: [Tests; 3] = [access::ALWAYS, batching::ALWAYS, replies::ALWAYS];

/// Returns the tests that every shared store must pass.
fn shared_tests() -> [flinks_store_tests::Tests; 7] {
    [
        flinks_store_tests::ended::tests::<Server>(),
        flinks_store_tests::gateway::tests::<Server>(),
        flinks_store_tests::keep_alive::tests::<Server>(),
        flinks_store_tests::lease::tests::<Server>(),
        flinks_store_tests::owners::tests::<Server>(),
        flinks_store_tests::sharing::tests::<Server>(),
        flinks_store_tests::store::tests::<Server>(),
    ]
}

fn main() {
    // Captures the log output from all tests. The tests' secrets start with `canary`.
    let log = log::Log::capture();
    let _ = flinks_redis::install_default_crypto_provider();
    let mut all: Vec<Trial> = trials::<Server>(WITH_SERVER.concat()).collect();
    all.extend(shared_tests().into_iter().flat_map(trials::<Server>));
    all.extend(ALWAYS.concat().into_iter().map(|(name, test)| trial(name, test)));
    let conclusion = libtest_mimic::run(&Arguments::from_args(), all);
    let text = log.text();
    // The emulator's tokens are secrets as well. Refresh tokens start with `emu_`. Access tokens
    // are JWTs, which start with `eyJ`.
    let secret = text.lines().find(|line| ["canary", "emu_", "eyJ"].iter().any(|secret| line.contains(secret)));
    assert_eq!(secret, None, "a3_no_secret_is_in_the_logs");
    // The store returns its warnings. The application is responsible for logging them.
    let warning = text.lines().find(|line| line.contains(&Warning::Evicts.to_string()));
    assert_eq!(warning, None, "warnings_are_returned_and_not_logged");
    let warnings = text.lines().filter(|line| line.contains("to Redis on another machine is not encrypted")).count();
    assert_eq!(warnings, 1, "a1_plain_connection_to_another_machine_logs_one_warning");
    conclusion.exit();
}
