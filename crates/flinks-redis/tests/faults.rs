//! Injects Redis and network faults at each step of a refresh.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)] // test helpers are tests too

mod support;

use flinks_store_tests::faults;
use libtest_mimic::Arguments;

fn main() {
    libtest_mimic::run(&Arguments::from_args(), faults::tests::<support::Server>()).exit();
}
