//! Tests the store against PostgreSQL.
//!
//! The tests share one server, on which each test has its own database. The tests that change the
//! server start their own. The tests are ignored if PostgreSQL is not installed.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)] // test helpers are tests too

mod access;
mod common;
mod conformance;
mod faults;
mod keep_alive;
mod migrations;
mod plans;
mod records;
#[path = "../support/mod.rs"]
mod support;
#[cfg(feature = "rustls")]
mod tls;

#[path = "../../../flinks/tests/shared/log.rs"]
mod log;

use common::Tests;
use libtest_mimic::Arguments;

fn with_server() -> Vec<Tests> {
    vec![
        access::WITH_SERVER,
        conformance::WITH_SERVER,
        faults::WITH_SERVER,
        keep_alive::WITH_SERVER,
        migrations::WITH_SERVER,
        plans::WITH_SERVER,
        records::WITH_SERVER,
        #[cfg(feature = "rustls")]
        tls::WITH_SERVER,
    ]
}

fn main() {
    // Captures the log output from all tests. The tests' secrets start with `canary`.
    let log = log::Log::capture();
    let with_server = with_server().concat();
    let with_server = with_server.into_iter().map(|(name, test)| support::trial_with_server(name, test));
    let always = access::ALWAYS.iter().map(|(name, test)| support::trial(*name, test));
    let trials = with_server.chain(always).collect();
    let conclusion = libtest_mimic::run(&Arguments::from_args(), trials);
    common::stop_shared_server();
    let text = log.text();
    // The emulator's tokens are secrets as well. Refresh tokens start with `emu_`. Access tokens
    // are JWTs, which start with `eyJ`.
    let secret = text.lines().find(|line| ["canary", "emu_", "eyJ"].iter().any(|secret| line.contains(secret)));
    assert_eq!(secret, None, "a3_no_secret_is_in_the_logs");
    conclusion.exit();
}
