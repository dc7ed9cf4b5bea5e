//! Tests for stores that several machines share, generic over the store.
//!
//! The tests of a store crate implement [`Backend`] for the store's server. Each test program then
//! runs the tests that one of these functions returns:
//!
//! | function | tests |
//! | --- | --- |
//! | [`store::tests`] | one store: conformance, restarts, slow and silent servers |
//! | [`sharing::tests`], [`owners::tests`] | consents that several machines share, and their owners |
//! | [`keep_alive::tests`], [`ended::tests`], [`gateway::tests`], [`lease::tests`] | keep-alive workers |
//! | [`processes::tests`] | eight processes, and processes that are killed |
//! | [`migration::tests`] | migrations between files and the server, killed at random moments |
//! | [`faults::tests`] | a fault at each step of a refresh |

#![allow(
    clippy::indexing_slicing,
    clippy::missing_errors_doc,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used
)] // tests

mod backend;
mod clock;
mod common;
pub mod ended;
pub mod faults;
mod first_shard;
mod flinks;
pub mod gateway;
pub mod keep_alive;
pub mod lease;
pub mod migration;
pub mod owners;
pub mod processes;
mod proxy;
pub mod sharing;
pub mod store;

pub use backend::{Backend, Protocol, Request};
pub use clock::AutoAdvancingClock;
pub use common::{
    Tests, block_on, create_ended_consents, ids_in_first_shard, import_idle, is_in_first_shard, keys, load_until,
    nothing_is_due, open, record, run, run_on_another_thread, start_with_idle_consents, trial, trial_with_server,
    trials, worker,
};
pub use flinks::{Flinks, client_of, emulator};
pub use proxy::{Fault, Proxy};
