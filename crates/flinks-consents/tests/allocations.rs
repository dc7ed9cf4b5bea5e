//! Uses a counting allocator to check that a cached token is returned without allocating.
//!
//! This test is a separate binary, because the counting allocator applies to the whole process.

#![allow(clippy::unwrap_used)] // test helpers are tests too

use std::time::SystemTime;

use allocation_counter::measure;
use flinks::outbound::{AccessToken, Client, ClientCredentials, RefreshToken};
use flinks_consents::{AppTokenSource, Consents};
use flinks_emulator::Emulator;
use flinks_emulator::credentials::*;

#[test]
fn o4_cached_token_is_returned_without_an_allocation() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (_emulator, consent, source) = runtime.block_on(async {
        let emulator = Emulator::start().await.unwrap();
        let credentials = ClientCredentials::new(OUTBOUND_CLIENT_ID, OUTBOUND_CLIENT_SECRET).unwrap();
        let client = Client::builder(emulator.base_url().parse().unwrap(), credentials).build().unwrap();
        let consents = Consents::builder(client.clone()).build();
        let refresh_token = RefreshToken::new(OUTBOUND_REFRESH_TOKEN).unwrap();
        let consent = consents.import(&"user-7".parse().unwrap(), refresh_token, SystemTime::now()).await.unwrap();
        let source = AppTokenSource::new(client, None);
        // The first reads fetch the tokens.
        consent.with_token(|_| ()).await.unwrap();
        source.with_token(|_| ()).await.unwrap();
        (emulator, consent, source)
    });
    let counted = measure(|| {
        runtime.block_on(async {
            for _ in 0..1000 {
                let _ = (consent.access_token().await.unwrap(), source.access_token().await.unwrap());
                let _ = (consent.header().await.unwrap(), source.header().await.unwrap());
                let is_expired =
                    (consent.with_token(AccessToken::is_expired), source.with_token(AccessToken::is_expired));
                assert!(!is_expired.0.await.unwrap());
                assert!(!is_expired.1.await.unwrap());
            }
        });
    });
    assert_eq!(counted.count_total, 0, "6 000 reads allocated");
}
