//! Runs the tests for shared stores on PostgreSQL, and tests failovers.
//!
//! The tests are ignored if PostgreSQL is not installed.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)] // test helpers are tests too

mod backend;
mod failover;
mod protocol;
#[path = "../support/server.rs"]
#[allow(dead_code)] // other test programs use the rest
mod server;

use backend::Postgres;
use flinks_store_tests::processes::{self, Rounds};
use flinks_store_tests::{ended, faults, gateway, keep_alive, lease, migration, owners, sharing, store, trials};
use libtest_mimic::{Arguments, Trial};

fn main() {
    migration::run_if_child::<Postgres>();
    processes::run_if_child::<Postgres>();
    let tests = [
        ended::tests::<Postgres>(),
        failover::tests(),
        gateway::tests::<Postgres>(),
        keep_alive::tests::<Postgres>(),
        lease::tests::<Postgres>(),
        owners::tests::<Postgres>(),
        sharing::tests::<Postgres>(),
        store::tests::<Postgres>(),
    ];
    let mut all: Vec<Trial> = tests.into_iter().flat_map(trials::<Postgres>).collect();
    all.extend(faults::tests::<Postgres>());
    all.extend(migration::tests::<Postgres>());
    all.extend(processes::tests::<Postgres>(Rounds { sharing: 8, killed: 8 }));
    libtest_mimic::run(&Arguments::from_args(), all).exit();
}
