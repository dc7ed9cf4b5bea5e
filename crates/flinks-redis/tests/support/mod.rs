//! Shared helpers for tests and examples: Redis servers, the Flinks emulator and a clock.

#![allow(dead_code, unused_imports)] // each program uses only some of them

mod clock;
mod fake;
mod flinks;
mod proxy;
mod resp;
mod server;

use libtest_mimic::Trial;

pub(crate) use self::clock::AutoAdvancingClock;
pub(crate) use self::fake::FakeServer;
pub(crate) use self::flinks::{Flinks, client_of, emulator};
pub(crate) use self::proxy::{Fault, Proxy};
pub(crate) use self::resp::length;
pub(crate) use self::server::{Server, join};

/// Creates a test that passes unless it panics.
pub(crate) fn trial(name: impl Into<String>, test: impl FnOnce() + Send + 'static) -> Trial {
    Trial::test(name, move || {
        test();
        Ok(())
    })
}

/// Creates a test that is ignored if `redis-server` is not installed.
pub(crate) fn trial_with_server(name: &str, test: impl FnOnce() + Send + 'static) -> Trial {
    if Server::is_installed() {
        return trial(name, test);
    }
    trial(format!("{name} (redis-server is not installed)"), test).with_ignored_flag(true)
}
