//! Tests consents that several processes share through one Redis server.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)] // helpers of tests are tests too

mod support;

use flinks_store_tests::processes::{self, Rounds};

fn main() {
    processes::main::<support::Server>(Rounds { sharing: 200, killed: 200 });
}
