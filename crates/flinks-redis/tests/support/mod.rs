//! Shared helpers for tests and examples: Redis servers, the Flinks emulator and a clock.

#![allow(dead_code, unused_imports)] // each program uses only some of them

mod backend;
mod fake;
mod resp;
mod server;

pub(crate) use flinks_store_tests::{AutoAdvancingClock, Fault, Flinks, client_of, emulator};

pub(crate) use self::backend::record_key;
pub(crate) use self::fake::FakeServer;
pub(crate) use self::resp::length;
pub(crate) use self::server::{Server, join};

pub(crate) type Proxy = flinks_store_tests::Proxy<Server>;

/// Creates a test that is ignored if `redis-server` is not installed.
pub(crate) fn trial_with_server(name: &str, test: impl FnOnce() + Send + 'static) -> libtest_mimic::Trial {
    flinks_store_tests::trial_with_server::<Server>(name, test)
}
