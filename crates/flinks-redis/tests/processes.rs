//! Tests consents that several processes share through one Redis server, and migrations to and from
//! Redis.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)] // test helpers are tests too

mod support;

use flinks_store_tests::migration;
use flinks_store_tests::processes::{self, Rounds};
use libtest_mimic::Arguments;
use support::Server;

fn main() {
    migration::run_if_child::<Server>();
    processes::run_if_child::<Server>();
    let mut tests = processes::tests::<Server>(Rounds { sharing: 200, killed: 200 });
    tests.extend(migration::tests::<Server>());
    libtest_mimic::run(&Arguments::from_args(), tests).exit();
}
