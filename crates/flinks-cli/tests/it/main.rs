//! Runs the commands against an emulator, and compares exit codes and output with snapshots.
//!
//! After a change, `INSTA_UPDATE=always cargo test -p flinks-cli --test it` writes the new
//! snapshots.

#![allow(clippy::unwrap_used)] // test helpers are tests too

mod config;
mod consents;
mod explain;
mod help;
mod interruption;
mod login;
mod request;
mod support;
#[cfg(unix)]
mod terminal;
mod token;
