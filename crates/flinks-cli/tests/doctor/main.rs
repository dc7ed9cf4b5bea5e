//! Runs `flinks doctor` against real faults, and checks that it finds each fault and says how to
//! fix it.
//!
//! The tests that need `redis-server` or PostgreSQL start their own servers. They are ignored if
//! that server is not installed.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, clippy::expect_used)] // tests

mod certificates;
mod configuration;
mod credentials;
mod files;
mod http;
mod network;
mod postgres;
mod redis_server;
mod servers;
mod support;
mod tls;

use libtest_mimic::{Arguments, Trial};

/// A list of test names and test functions.
type Tests = &'static [(&'static str, fn())];

fn main() {
    let without_server: [Tests; 6] =
        [configuration::TESTS, credentials::TESTS, files::TESTS, http::TESTS, network::TESTS, tls::TESTS];
    let mut trials: Vec<Trial> =
        without_server.concat().into_iter().map(|(name, test)| trial(name.to_owned(), test)).collect();
    trials.extend(with_server(redis_server::TESTS, redis_server::is_installed(), "redis-server"));
    trials.extend(with_server(postgres::TESTS, postgres::is_installed(), "PostgreSQL"));
    let conclusion = libtest_mimic::run(&Arguments::from_args(), trials);
    postgres::stop_shared_server();
    conclusion.exit();
}

fn trial(name: String, test: fn()) -> Trial {
    Trial::test(name, move || {
        test();
        Ok(())
    })
}

fn with_server(tests: Tests, is_installed: bool, server: &str) -> Vec<Trial> {
    let create = |(name, test): &(&str, fn())| {
        if is_installed {
            return trial((*name).to_owned(), *test);
        }
        trial(format!("{name} ({server} is not installed)"), *test).with_ignored_flag(true)
    };
    tests.iter().map(create).collect()
}
