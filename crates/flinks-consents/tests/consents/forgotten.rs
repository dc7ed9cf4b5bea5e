//! Tests that an in-flight refresh does not undo the removal or replacement of a consent.

use crate::prelude::*;

#[tokio::test]
async fn consent_forgotten_during_a_refresh_stays_forgotten() {
    let setup = start().await;
    let consent = setup.consent().await;
    let call = setup.held_call(&consent, When::After).await;
    consent.forget().await.unwrap();
    setup.emulator.release();
    assert!(call.await.unwrap().unwrap_err().needs_consent());
    assert!(consent.access_token().await.unwrap_err().needs_consent());
    assert_eq!(setup.token_requests(), 1);
}

#[tokio::test]
async fn consent_replaced_during_a_refresh_stays_replaced() {
    let setup = start().await;
    let consents = setup.consents(MemoryStore::new());
    let consent = setup.import(&consents).await;
    let call = setup.held_call(&consent, When::After).await;
    let new = consents.exchange_code(&user(), setup.code()).await.unwrap().access_token().await.unwrap();
    setup.emulator.release();
    assert_eq!(text(&call.await.unwrap().unwrap()), text(&new));
    assert_eq!(text(&consent.access_token().await.unwrap()), text(&new));
    setup.advance(LIFETIME);
    let next = consent.access_token().await.unwrap();
    assert_eq!(next.unverified_claims().unwrap().sub, new.unverified_claims().unwrap().sub);
}

#[tokio::test]
async fn consent_forgotten_while_a_refresh_completes_returns_no_token() {
    for rotates in [false, true] {
        let setup = start().await;
        setup.emulator.configure(|config| config.outbound.rotate_refresh_tokens = rotates);
        let store = FaultyStore::default();
        let consent = consent_in(&setup, store.clone()).await;
        let call = setup.held_call(&consent, When::After).await;
        let loads = store.count(Load);
        store.fail_next(Load, StoreFault::Hold);
        let forget = tokio::spawn({
            let consent = consent.clone();
            async move { consent.forget().await }
        });
        store.received(Load, loads + 1).await;
        setup.emulator.release();
        // The refresh has its result and is waiting for the lock that `forget` holds.
        while setup.emulator.issued().iter().filter(|issued| issued.kind == Kind::AccessToken).count() < 1 {
            tokio::task::yield_now().await;
        }
        store.release();
        forget.await.unwrap().unwrap();
        let _ = call.await.unwrap();
        assert!(store.inner().load(&user()).await.unwrap().is_none());
        assert!(consent.access_token().await.unwrap_err().is_unknown_consent());
        assert_eq!(setup.token_requests(), 1);
    }
}

#[tokio::test]
async fn forgotten_consent_is_not_stored_again_by_a_pending_write() {
    let setup = start().await;
    setup.rotate_refresh_tokens();
    let store = FaultyStore::default();
    let consents = setup.consents(store.clone());
    let consent = setup.import(&consents).await;
    let call = setup.held_call(&consent, When::After).await;
    consent.forget().await.unwrap();
    store.fail_next(CompareAndSwap, StoreFault::unavailable());
    setup.emulator.release();
    assert!(call.await.unwrap().unwrap_err().is_store());
    consents.flush().await.unwrap();
    assert!(store.inner().load(&user()).await.unwrap().is_none());

    // Forgetting a consent also drops its pending write.
    store.fail_next(CompareAndSwap, StoreFault::unavailable());
    assert!(consents.import(&user(), token("pending"), setup.now()).await.is_err());
    consent.forget().await.unwrap();
    consents.flush().await.unwrap();
    assert!(consent.access_token().await.unwrap_err().is_unknown_consent());
}
