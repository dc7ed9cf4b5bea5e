//! The product crates against a raw TCP listener: what goes out, byte for byte, and what is made of what comes back.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)] // helpers of tests are tests too

mod errors;
#[allow(dead_code)] // shared with `leak.rs`
mod raw;
mod success;
mod transport;
mod wire;
