//! Checks that frequently called functions do not allocate memory.
//!
//! This test is a separate binary, because the counting allocator applies to the whole process.

#![allow(clippy::unwrap_used)] // helpers of tests are tests too

use allocation_counter::measure;
use flinks::pay::{self, Credentials};
use flinks_emulator::Emulator;
use flinks_emulator::credentials::*;

#[test]
fn cloning_a_client_and_reading_a_deadline_do_not_allocate() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let credentials = Credentials::new(PAY_USERNAME, PAY_PASSWORD).unwrap();
    let (_emulator, client, token) = runtime.block_on(async {
        let emulator = Emulator::start().await.unwrap();
        let client = pay::Client::builder(emulator.base_url().parse().unwrap(), credentials).build().unwrap();
        let token = client.authorize().await.unwrap();
        (emulator, client, token)
    });
    let counted = measure(|| {
        let _ = client.clone();
        assert!(!token.is_expired());
        assert!(token.expires_at().is_some());
    });
    assert_eq!(counted.count_total, 0);
}
