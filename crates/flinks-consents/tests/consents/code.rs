//! Rule O9: a code becomes a consent once.

use crate::prelude::*;
use flinks_consents::flinks::Cause;

#[tokio::test]
async fn o9_code_creates_or_replaces_a_consent() {
    let local = start().await;
    let consents = local.consents(MemoryStore::new());
    let consent = consents.exchange_code(&user(), local.code()).await.unwrap();
    let token = consent.access_token().await.unwrap();
    assert!(token.unverified_claims().is_some());
    assert_eq!(local.tokens(), 1);
    // A second consent with the same id replaces it, also for those who hold the first.
    let again = consents.exchange_code(&user(), local.code()).await.unwrap();
    assert_ne!(text(&consent.access_token().await.unwrap()), text(&token));
    assert_eq!(text(&consent.access_token().await.unwrap()), text(&again.access_token().await.unwrap()));
    assert_eq!(local.tokens(), 2);

    local.emulator.fail_next(TOKEN, Fault::Drop { when: When::After });
    assert!(matches!(consents.exchange_code(&id("x"), local.code()).await, Err(SpendError::Unknown(_))));
    assert!(consents.consent(&id("x")).access_token().await.unwrap_err().needs_consent());
    // A reply without a refresh token cannot become a consent.
    local.emulator.fail_next(TOKEN, lives("299"));
    let Err(SpendError::Spent(error)) = consents.exchange_code(&id("x"), local.code()).await else { panic!() };
    assert_eq!(error.field(), Some("refresh_token"));
    assert!(error.cause() == Some(Cause::Malformed));
    assert_eq!(local.tokens(), 4);
}

#[tokio::test]
async fn o9_code_exchange_completes_when_its_caller_is_cancelled() {
    let local = start().await;
    let consents = local.consents(MemoryStore::new());
    local.emulator.fail_next(TOKEN, hold(When::After));
    let code = local.code();
    let caller = tokio::spawn({
        let consents = consents.clone();
        async move { consents.exchange_code(&id("new"), code).await }
    });
    local.emulator.received(TOKEN, 1).await;
    let consent = consents.consent(&id("new"));
    caller.abort();
    assert!(caller.await.unwrap_err().is_cancelled());
    assert!(consent.access_token().await.unwrap_err().needs_consent());
    local.emulator.release();
    while consent.access_token().await.is_err() {
        tokio::task::yield_now().await;
    }
    assert_eq!(local.tokens(), 1);
}
