//! Tests that an authorization code is exchanged once and that the new consent is stored. (O9)

use crate::prelude::*;
use flinks_consents::flinks::Cause;

#[tokio::test]
async fn o9_code_creates_or_replaces_a_consent() {
    let setup = start().await;
    let consents = setup.consents(MemoryStore::new());
    let consent = consents.exchange_code(&user(), setup.code()).await.unwrap();
    let token = consent.access_token().await.unwrap();
    assert!(token.unverified_claims().is_some());
    assert_eq!(setup.token_requests(), 1);
    // A second consent with the same id replaces the first one. Existing handles use the new
    // consent.
    let again = consents.exchange_code(&user(), setup.code()).await.unwrap();
    assert_ne!(text(&consent.access_token().await.unwrap()), text(&token));
    assert_eq!(text(&consent.access_token().await.unwrap()), text(&again.access_token().await.unwrap()));
    assert_eq!(setup.token_requests(), 2);

    setup.emulator.fail_next(TOKEN, Fault::Drop { when: When::After });
    assert!(matches!(consents.exchange_code(&id("x"), setup.code()).await, Err(SpendError::Unknown(_))));
    assert!(consents.consent(&id("x")).access_token().await.unwrap_err().needs_consent());
    // A response without a refresh token does not create a consent.
    setup.emulator.fail_next(TOKEN, response_with_lifetime("299"));
    let Err(SpendError::Spent(error)) = consents.exchange_code(&id("x"), setup.code()).await else {
        panic!("expected the code to be spent")
    };
    assert_eq!(error.field(), Some("refresh_token"));
    assert_eq!(error.cause(), Some(Cause::Malformed));
    assert_eq!(setup.token_requests(), 4);
}

#[tokio::test]
async fn o9_code_exchange_completes_when_its_caller_is_cancelled() {
    let setup = start().await;
    let consents = setup.consents(MemoryStore::new());
    setup.emulator.fail_next(TOKEN, hold(When::After));
    let code = setup.code();
    let caller = tokio::spawn({
        let consents = consents.clone();
        async move { consents.exchange_code(&id("new"), code).await }
    });
    setup.emulator.received(TOKEN, 1).await;
    let consent = consents.consent(&id("new"));
    caller.abort();
    assert!(caller.await.unwrap_err().is_cancelled());
    assert!(consent.access_token().await.unwrap_err().needs_consent());
    setup.emulator.release();
    while consent.access_token().await.is_err() {
        tokio::task::yield_now().await;
    }
    assert_eq!(setup.token_requests(), 1);
}
