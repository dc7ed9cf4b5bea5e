//! A consent that was forgotten or replaced stays so, whatever was in flight.

use crate::prelude::*;

#[tokio::test]
async fn consent_forgotten_during_a_refresh_stays_forgotten() {
    let local = start().await;
    let consent = local.consent().await;
    let call = local.held_call(&consent, When::After).await;
    consent.forget().await.unwrap();
    local.emulator.release();
    assert!(call.await.unwrap().unwrap_err().needs_consent());
    assert!(consent.access_token().await.unwrap_err().needs_consent());
    assert_eq!(local.tokens(), 1);
}

#[tokio::test]
async fn consent_replaced_during_a_refresh_stays_replaced() {
    let local = start().await;
    let consents = local.consents(MemoryStore::new());
    let consent = local.import(&consents).await;
    let call = local.held_call(&consent, When::After).await;
    let new = consents.exchange_code(&user(), local.code()).await.unwrap().access_token().await.unwrap();
    local.emulator.release();
    assert_eq!(text(&call.await.unwrap().unwrap()), text(&new));
    assert_eq!(text(&consent.access_token().await.unwrap()), text(&new));
    local.advance(LIFETIME);
    let next = consent.access_token().await.unwrap();
    assert_eq!(next.unverified_claims().unwrap().sub, new.unverified_claims().unwrap().sub);
}

#[tokio::test]
async fn consent_forgotten_while_a_refresh_completes_returns_no_token() {
    for rotates in [false, true] {
        let local = start().await;
        local.emulator.configure(|config| config.outbound.rotate_refresh_tokens = rotates);
        let store = FaultyStore::default();
        let consent = consent_in(&local, store.clone()).await;
        let call = local.held_call(&consent, When::After).await;
        let loads = store.count(Load);
        store.fail_next(Load, StoreFault::Hold);
        let forget = tokio::spawn({
            let consent = consent.clone();
            async move { consent.forget().await }
        });
        store.received(Load, loads + 1).await;
        local.emulator.release();
        // The refresh has its result, and waits for the lock that `forget` holds.
        while local.emulator.issued().iter().filter(|issued| issued.kind == Kind::AccessToken).count() < 1 {
            tokio::task::yield_now().await;
        }
        store.release();
        forget.await.unwrap().unwrap();
        let _ = call.await.unwrap();
        assert!(store.inner().load(&user()).await.unwrap().is_none());
        assert!(consent.access_token().await.unwrap_err().is_unknown_consent());
        assert_eq!(local.tokens(), 1);
    }
}

#[tokio::test]
async fn forgotten_consent_does_not_return_with_the_store() {
    let local = start().await;
    local.rotate_refresh_tokens();
    let store = FaultyStore::default();
    let consents = local.consents(store.clone());
    let consent = local.import(&consents).await;
    let call = local.held_call(&consent, When::After).await;
    consent.forget().await.unwrap();
    store.fail_next(CompareAndSwap, StoreFault::unavailable());
    local.emulator.release();
    assert!(call.await.unwrap().unwrap_err().is_store());
    consents.flush().await.unwrap();
    assert!(store.inner().load(&user()).await.unwrap().is_none());

    // A pending write is forgotten too.
    store.fail_next(CompareAndSwap, StoreFault::unavailable());
    assert!(consents.import(&user(), token("parked"), local.now()).await.is_err());
    consent.forget().await.unwrap();
    consents.flush().await.unwrap();
    assert!(consent.access_token().await.unwrap_err().is_unknown_consent());
}
