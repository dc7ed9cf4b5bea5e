//! Calls the code generated from a small banking API and compares each request with the bytes that
//! arrive at a server.
//!
//! The document and the generated code are in `tests/features`, alongside one test file for each
//! group of features. `documents.rs` checks that the code is up to date.
//! `UPDATE=1 cargo test -p xtask --test documents` regenerates the code.

#![allow(clippy::panic, clippy::unwrap_used)] // helpers of tests are test code too

#[path = "features/bodies.rs"]
mod bodies;
#[path = "features/choices.rs"]
mod choices;
#[path = "features/credentials.rs"]
mod credentials;
#[rustfmt::skip]
#[path = "features/generated.rs"]
#[allow(dead_code, unreachable_pub)] // a test uses only some items
#[allow(clippy::elidable_lifetime_names)] // generated code names all lifetimes
#[allow(clippy::enum_variant_names, clippy::wrong_self_convention)] // clippy accepts these names in a public API
mod generated;
#[path = "features/parameters.rs"]
mod parameters;
#[path = "features/responses.rs"]
mod responses;
#[path = "features/server.rs"]
mod server;
#[path = "features/streams.rs"]
mod streams;
