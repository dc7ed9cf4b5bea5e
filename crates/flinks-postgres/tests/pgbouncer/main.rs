//! Tests the store through PgBouncer in transaction mode, with fewer server connections than
//! callers.
//!
//! The tests are ignored if PostgreSQL or PgBouncer is not installed.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)] // test helpers are tests too

#[path = "../shared/backend.rs"]
#[allow(dead_code)] // other test programs use the rest
mod backend;
mod bouncer;
#[path = "../shared/protocol.rs"]
mod protocol;
#[path = "../support/server.rs"]
#[allow(dead_code)] // other test programs use the rest
mod server;

use bouncer::Pooled;
use flinks_store_tests::processes::{self, Rounds};
use flinks_store_tests::{keep_alive, owners, sharing, store, trials};
use libtest_mimic::{Arguments, Trial};

fn main() {
    processes::run_if_child::<Pooled>();
    let tests = [
        keep_alive::tests::<Pooled>(),
        owners::tests::<Pooled>(),
        sharing::tests::<Pooled>(),
        store::tests::<Pooled>(),
    ];
    let mut all: Vec<Trial> = tests.into_iter().flat_map(trials::<Pooled>).collect();
    all.extend(processes::tests::<Pooled>(Rounds { sharing: 8, killed: 8 }));
    libtest_mimic::run(&Arguments::from_args(), all).exit();
}
