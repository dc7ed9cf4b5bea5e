//! Tests consents under both outage policies while the store is unavailable. (O5, O6, O9)

use crate::prelude::*;

/// Creates a consent whose access token has expired and whose store has become unavailable.
async fn consent_without_store(policy: OutagePolicy) -> (Setup, FaultyStore, Consents, Consent) {
    let setup = start().await;
    let store = FaultyStore::default();
    let consents = setup.consents_with(store.clone(), policy);
    let consent = setup.import(&consents).await;
    let _ = consent.access_token().await.unwrap();
    store.fail_always(StoreFault::unavailable());
    let _ = consent.access_token().await.unwrap();
    setup.advance(LIFETIME);
    assert_eq!(setup.token_requests(), 1);
    (setup, store, consents, consent)
}

#[tokio::test]
async fn o5_outage_policy_decides_whether_a_refresh_needs_the_store() {
    let (setup, _, _, consent) = consent_without_store(OutagePolicy::FailClosed).await;
    assert!(consent.access_token().await.unwrap_err().is_store());
    assert_eq!(setup.token_requests(), 1);

    let (setup, store, consents, consent) = consent_without_store(OutagePolicy::RefreshWithoutStore).await;
    // This consent's state stays in memory even after 3000 other consents have been opened.
    drop(consent);
    for number in 0..3000 {
        drop(consents.consent(&id(&format!("other-{number}"))));
    }
    let consent = consents.consent(&user());
    for requests in 2..5 {
        assert_eq!(distinct_tokens(spawn_many(&consent, 50)).await.len(), 1);
        assert_eq!(setup.token_requests(), requests);
        setup.advance(LIFETIME);
    }
    let _ = consent.refresh_now().await.unwrap();
    // During an outage, a consent that was never loaded or that was forgotten cannot be used.
    assert!(consents.consent(&id("user-8")).access_token().await.unwrap_err().is_store());
    assert_eq!(setup.token_requests(), 5);
    store.clear_faults();
    consent.forget().await.unwrap();
    store.fail_always(StoreFault::unavailable());
    setup.advance(SECOND);
    assert!(consent.access_token().await.unwrap_err().is_store());
    assert_eq!(setup.token_requests(), 5);
}

#[tokio::test]
async fn o5_rotating_consent_is_refreshed_only_once_during_an_outage() {
    let (setup, store, consents, consent) = consent_without_store(OutagePolicy::RefreshWithoutStore).await;
    setup.rotate_refresh_tokens();
    // The first refresh rotates the refresh token. The new refresh token stays in memory even if no
    // handle to the consent exists, and the new access token is returned.
    let _ = consent.access_token().await.unwrap();
    drop(consent);
    let consent = consents.consent(&user());
    let _ = consent.access_token().await.unwrap();
    setup.advance(LIFETIME);
    for _ in 0..3 {
        let error = consent.access_token().await.unwrap_err();
        assert!(error.is_store(), "{error}");
        assert!(!error.needs_consent(), "{error}");
        setup.advance(MINUTE);
    }
    assert_eq!(setup.token_requests(), 2);
    store.clear_faults();
    consents.flush().await.unwrap();
    assert!(stored_record(store.inner()).await.contains(&setup.newest_refresh_token().value));
    let _ = consent.access_token().await.unwrap();
    // The consent is not refreshed during the next outage, because another machine might have
    // rotated the refresh token again.
    store.fail_always(StoreFault::unavailable());
    setup.advance(LIFETIME);
    assert!(consent.access_token().await.unwrap_err().is_store());
    assert_eq!(setup.token_requests(), 3);
}

#[tokio::test]
async fn o5_unconfirmed_write_blocks_refresh_during_an_outage() {
    let setup = start().await;
    setup.rotate_refresh_tokens();
    let store = FaultyStore::default();
    let consents = setup.consents_with(store.clone(), OutagePolicy::RefreshWithoutStore);
    let consent = setup.import(&consents).await;
    // The result is stored, but the confirmation is lost. Then the store becomes unavailable to
    // this machine.
    store.fail_nth(CompareAndSwap, 2, StoreFault::lost_reply());
    let _ = consent.access_token().await.unwrap();
    store.fail_always(StoreFault::unavailable());
    setup.advance(LIFETIME);
    assert!(consent.access_token().await.unwrap_err().is_store());
    let other = setup.consents(store.inner().clone()).consent(&user());
    let _ = other.access_token().await.unwrap();
    assert_eq!(setup.token_requests(), 2);
    store.clear_faults();
    setup.advance(LIFETIME);
    let _ = consent.access_token().await.unwrap();
    assert_eq!(setup.token_requests(), 3);
}

#[tokio::test]
async fn o5_newest_consent_is_refreshed_during_an_outage() {
    let (setup, store, consents, consent) = consent_without_store(OutagePolicy::RefreshWithoutStore).await;
    assert!(consents.exchange_code(&user(), setup.code()).await.is_err());
    let newest = setup.newest_refresh_token().value;
    store.clear_faults();
    consents.flush().await.unwrap();
    store.fail_always(StoreFault::unavailable());
    setup.advance(LIFETIME);
    let _ = consent.access_token().await.unwrap();
    assert!(setup.emulator.count_carrying(&newest) > 0);
}

#[tokio::test]
async fn o5_busy_store_is_not_an_outage() {
    let (setup, store, _, consent) = consent_without_store(OutagePolicy::RefreshWithoutStore).await;
    store.fail_always(StoreFault::Conflict);
    let error = advance_until_done(&setup, SECOND, spawn(&consent)).await.unwrap_err();
    assert!(error.is_store(), "{error}");
    assert!(error.to_string().contains("other processes keep changing the record"), "{error}");
    assert_eq!(setup.token_requests(), 1);
}

#[tokio::test]
async fn o6_refusal_during_an_outage_does_not_end_the_consent() {
    let (setup, store, _, consent) = consent_without_store(OutagePolicy::RefreshWithoutStore).await;
    setup.emulator.fail_next(TOKEN, invalid_grant());
    let error = consent.access_token().await.unwrap_err();
    assert!(error.is_store(), "{error}");
    assert!(!error.needs_consent(), "{error}");
    setup.advance(SECOND);
    assert!(consent.access_token().await.unwrap_err().is_store());
    assert_eq!(setup.token_requests(), 2, "the second call sent a request");
    store.clear_faults();
    setup.advance(MINUTE);
    let _ = consent.access_token().await.unwrap();
    assert_eq!(setup.token_requests(), 3);

    // While the store is available, a refusal ends the consent. During a later outage, the consent
    // is still known to have ended.
    setup.emulator.fail_next(TOKEN, invalid_grant());
    setup.advance(LIFETIME);
    assert!(consent.access_token().await.unwrap_err().needs_consent());
    store.fail_always(StoreFault::unavailable());
    setup.advance(SECOND);
    assert!(consent.access_token().await.unwrap_err().needs_consent());
    assert_eq!(setup.token_requests(), 4);
    // The consent is known to have ended even if its end could not be stored.
    store.clear_faults();
    let consents = setup.consents_with(store.clone(), OutagePolicy::RefreshWithoutStore);
    let consent = setup.import(&consents).await;
    let _ = consent.access_token().await.unwrap();
    setup.advance(LIFETIME);
    setup.emulator.fail_next(TOKEN, invalid_grant());
    store.fail_nth(CompareAndSwap, 2, StoreFault::unavailable());
    assert!(consent.access_token().await.unwrap_err().needs_consent());
    store.fail_always(StoreFault::unavailable());
    setup.advance(SECOND);
    assert!(consent.access_token().await.unwrap_err().needs_consent());
    assert_eq!(setup.token_requests(), 6);
}

#[tokio::test]
async fn o9_new_consent_with_an_unconfirmed_write_survives_a_rotation() {
    let cases =
        [(StoreFault::lost_reply(), false), (StoreFault::lost_reply(), true), (StoreFault::unavailable(), true)];
    for (fault, has_old_consent) in cases {
        let setup = start().await;
        let store = FaultyStore::default();
        let consents = setup.consents_with(store.clone(), OutagePolicy::RefreshWithoutStore);
        if has_old_consent {
            consents.import(&user(), token("emu_old"), setup.now()).await.unwrap();
            setup.advance(SECOND);
        }
        setup.rotate_refresh_tokens();
        store.fail_next(CompareAndSwap, fault);
        assert!(consents.import(&user(), refresh_token(), setup.now()).await.is_err());
        store.fail_always(StoreFault::unavailable());
        let _ = consents.consent(&user()).access_token().await.unwrap();
        store.clear_faults();
        consents.flush().await.unwrap();
        assert!(stored_record(store.inner()).await.contains(&setup.newest_refresh_token().value));
    }
}

#[tokio::test]
async fn o9_new_consent_works_during_an_outage() {
    let setup = start().await;
    let store = FaultyStore::default();
    let consents = setup.consents_with(store.clone(), OutagePolicy::RefreshWithoutStore);
    let stored = consents.import(&id("user-8"), refresh_token(), setup.now()).await.unwrap();
    store.fail_always(StoreFault::unavailable());
    let _ = stored.access_token().await.unwrap();
    setup.emulator.reset();
    assert!(matches!(consents.exchange_code(&user(), setup.code()).await, Err(SpendError::Spent(_))));
    let consent = consents.consent(&user());
    let _ = consent.access_token().await.unwrap();
    assert_eq!(setup.token_requests(), 1, "the token of the code exchange was not used");
    setup.advance(SECOND);
    let _ = consent.refresh_now().await.unwrap();
    assert_eq!(setup.token_requests(), 2);
    setup.advance(LIFETIME);
    for _ in 0..5 {
        let _ = consent.access_token().await.unwrap();
        assert_eq!(setup.token_requests(), 3);
        setup.advance(SECOND);
    }
    // An imported consent also works during an outage, although it has no access token.
    assert!(consents.import(&id("user-9"), refresh_token(), setup.now()).await.is_err());
    for _ in 0..5 {
        let _ = consents.consent(&id("user-9")).access_token().await.unwrap();
        assert_eq!(setup.token_requests(), 4);
        setup.advance(SECOND);
    }
}
