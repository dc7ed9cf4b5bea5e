//! Shared helpers for tests and examples: PostgreSQL servers and the Flinks emulator.

#![allow(dead_code, unused_imports)] // each program uses only some of them

mod emulator;
pub(crate) mod server;

use libtest_mimic::Trial;

pub(crate) use self::emulator::Flinks;
pub(crate) use self::server::Server;

/// Creates a test that passes unless it panics.
pub(crate) fn trial(name: impl Into<String>, test: impl FnOnce() + Send + 'static) -> Trial {
    Trial::test(name, move || {
        test();
        Ok(())
    })
}

/// Creates a test that is ignored if PostgreSQL is not installed.
pub(crate) fn trial_with_server(name: &str, test: impl FnOnce() + Send + 'static) -> Trial {
    if Server::is_installed() {
        return trial(name, test);
    }
    trial(format!("{name} (PostgreSQL is not installed)"), test).with_ignored_flag(true)
}
