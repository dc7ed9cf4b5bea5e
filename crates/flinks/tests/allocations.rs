//! What is handed out often allocates nothing: a counting allocator is exact, whatever the machine does.
//!
//! In a binary of its own, because the allocator is that of the whole process.

#![allow(clippy::unwrap_used)] // helpers of tests are tests too

use std::time::SystemTime;

use allocation_counter::measure;
use flinks::outbound::{AppTokenSource, Client, ClientCredentials, Consents, RefreshToken};
use flinks::pay::{self, Credentials};
use flinks_emulator::Emulator;
use flinks_emulator::credentials::*;

#[test]
fn o4_a_token_that_is_there_is_handed_out_without_an_allocation() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (_emulator, consent, source) = runtime.block_on(async {
        let emulator = Emulator::start().await.unwrap();
        let credentials = ClientCredentials::new(OUTBOUND_CLIENT_ID, OUTBOUND_CLIENT_SECRET).unwrap();
        let client = Client::new(emulator.base_url().parse().unwrap(), credentials).unwrap();
        let consents = Consents::builder(client.clone()).build();
        let refresh_token = RefreshToken::new(OUTBOUND_REFRESH_TOKEN).unwrap();
        let consent = consents.insert(&"user-7".parse().unwrap(), refresh_token, SystemTime::now()).await.unwrap();
        let source = AppTokenSource::new(client, None);
        let _ = (consent.access_token().await.unwrap(), source.access_token().await.unwrap());
        (emulator, consent, source)
    });
    let counted = measure(|| {
        runtime.block_on(async {
            for _ in 0..1000 {
                let _ = (consent.access_token().await.unwrap(), source.access_token().await.unwrap());
            }
        });
    });
    assert_eq!(counted.count_total, 0, "of 2 000 reads");
}

#[test]
fn clients_are_cloned_and_tokens_are_looked_at_without_an_allocation() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let credentials = Credentials::new(PAY_USERNAME, PAY_PASSWORD).unwrap();
    let (_emulator, client, token) = runtime.block_on(async {
        let emulator = Emulator::start().await.unwrap();
        let client = pay::Client::new(emulator.base_url().parse().unwrap(), credentials).unwrap();
        let token = client.authorize().await.unwrap();
        (emulator, client, token)
    });
    let counted = measure(|| {
        let _ = client.clone();
        assert!(!token.is_expired() && token.expires_at().is_some());
    });
    assert_eq!(counted.count_total, 0);
}
