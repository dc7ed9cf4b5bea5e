//! Rules O5, O6 and O9 while the store is unavailable, under both outage policies.

use crate::prelude::*;

/// A consent whose access token has expired, on a store that has become unavailable.
async fn without_store(policy: OutagePolicy) -> (Local, FaultyStore, Consents, Consent) {
    let local = start().await;
    let store = FaultyStore::default();
    let consents = local.consents_with(store.clone(), policy);
    let consent = local.import(&consents).await;
    let _ = consent.access_token().await.unwrap();
    store.fail_always(StoreFault::unavailable());
    let _ = consent.access_token().await.unwrap();
    local.advance(LIFETIME);
    assert_eq!(local.tokens(), 1);
    (local, store, consents, consent)
}

#[tokio::test]
async fn o5_outage_policy_decides_whether_a_refresh_needs_the_store() {
    let (local, _, _, consent) = without_store(OutagePolicy::FailClosed).await;
    assert!(consent.access_token().await.unwrap_err().is_store());
    assert_eq!(local.tokens(), 1);

    let (local, store, consents, consent) = without_store(OutagePolicy::RefreshWithoutStore).await;
    // The consent is remembered among many about which nothing is known.
    drop(consent);
    for number in 0..3000 {
        drop(consents.consent(&id(&format!("other-{number}"))));
    }
    let consent = consents.consent(&user());
    for exchanges in 2..5 {
        assert_eq!(tokens_of(spawn_many(&consent, 50)).await.len(), 1);
        assert_eq!(local.tokens(), exchanges);
        local.advance(LIFETIME);
    }
    let _ = consent.refresh_now().await.unwrap();
    // A consent that was never loaded is unknown, and so is a forgotten one.
    assert!(consents.consent(&id("user-8")).access_token().await.unwrap_err().is_store());
    assert_eq!(local.tokens(), 5);
    store.clear_faults();
    consent.forget().await.unwrap();
    store.fail_always(StoreFault::unavailable());
    local.advance(SECOND);
    assert!(consent.access_token().await.unwrap_err().is_store());
    assert_eq!(local.tokens(), 5);
}

#[tokio::test]
async fn o5_rotated_token_is_not_refreshed_again_during_an_outage() {
    let (local, store, consents, consent) = without_store(OutagePolicy::RefreshWithoutStore).await;
    local.rotate_refresh_tokens();
    // The first rotated token is kept in memory, whoever holds the consent, and the access token
    // that came with it is used.
    let _ = consent.access_token().await.unwrap();
    drop(consent);
    let consent = consents.consent(&user());
    let _ = consent.access_token().await.unwrap();
    local.advance(LIFETIME);
    for _ in 0..3 {
        let error = consent.access_token().await.unwrap_err();
        assert!(error.is_store(), "{error}");
        assert!(!error.needs_consent(), "{error}");
        local.advance(MINUTE);
    }
    assert_eq!(local.tokens(), 2);
    store.clear_faults();
    consents.flush().await.unwrap();
    assert!(kept_in(store.inner()).await.contains(&local.newest_refresh_token().value));
    let _ = consent.access_token().await.unwrap();
    // From now on, another machine may have the next refresh token.
    store.fail_always(StoreFault::unavailable());
    local.advance(LIFETIME);
    assert!(consent.access_token().await.unwrap_err().is_store());
    assert_eq!(local.tokens(), 3);
}

#[tokio::test]
async fn o5_unconfirmed_write_blocks_refresh_during_an_outage() {
    let local = start().await;
    local.rotate_refresh_tokens();
    let store = FaultyStore::default();
    let consents = local.consents_with(store.clone(), OutagePolicy::RefreshWithoutStore);
    let consent = local.import(&consents).await;
    // The result is stored, but the reply is lost; then the store is unavailable for this machine.
    store.fail_nth(CompareAndSwap, 2, StoreFault::lost_reply());
    let _ = consent.access_token().await.unwrap();
    store.fail_always(StoreFault::unavailable());
    local.advance(LIFETIME);
    assert!(consent.access_token().await.unwrap_err().is_store());
    let other = local.consents(store.inner().clone()).consent(&user());
    let _ = other.access_token().await.unwrap();
    assert_eq!(local.tokens(), 2);
    store.clear_faults();
    local.advance(LIFETIME);
    let _ = consent.access_token().await.unwrap();
    assert_eq!(local.tokens(), 3);
}

#[tokio::test]
async fn o5_newest_consent_is_refreshed_during_an_outage() {
    let (local, store, consents, consent) = without_store(OutagePolicy::RefreshWithoutStore).await;
    assert!(consents.exchange_code(&user(), local.code()).await.is_err());
    let newest = local.newest_refresh_token().value;
    store.clear_faults();
    consents.flush().await.unwrap();
    store.fail_always(StoreFault::unavailable());
    local.advance(LIFETIME);
    let _ = consent.access_token().await.unwrap();
    assert!(local.emulator.count_carrying(&newest) > 0);
}

#[tokio::test]
async fn o5_busy_store_is_not_an_outage() {
    let (local, store, _, consent) = without_store(OutagePolicy::RefreshWithoutStore).await;
    store.fail_always(StoreFault::Conflict);
    let error = advance_until_done(&local, SECOND, spawn(&consent)).await.unwrap_err();
    assert!(error.is_store(), "{error}");
    assert!(error.to_string().contains("other processes keep changing the record"), "{error}");
    assert_eq!(local.tokens(), 1);
}

#[tokio::test]
async fn o6_refusal_during_an_outage_does_not_end_the_consent() {
    let (local, store, _, consent) = without_store(OutagePolicy::RefreshWithoutStore).await;
    local.emulator.fail_next(TOKEN, invalid_grant());
    let error = consent.access_token().await.unwrap_err();
    assert!(error.is_store(), "{error}");
    assert!(!error.needs_consent(), "{error}");
    local.advance(SECOND);
    assert!(consent.access_token().await.unwrap_err().is_store());
    assert_eq!(local.tokens(), 2, "the server is not asked again");
    store.clear_faults();
    local.advance(MINUTE);
    let _ = consent.access_token().await.unwrap();
    assert_eq!(local.tokens(), 3);

    // While the store works, the refusal ends the consent, which is remembered during an outage.
    local.emulator.fail_next(TOKEN, invalid_grant());
    local.advance(LIFETIME);
    assert!(consent.access_token().await.unwrap_err().needs_consent());
    store.fail_always(StoreFault::unavailable());
    local.advance(SECOND);
    assert!(consent.access_token().await.unwrap_err().needs_consent());
    assert_eq!(local.tokens(), 4);
    // It is remembered too if it could not be stored.
    store.clear_faults();
    let consents = local.consents_with(store.clone(), OutagePolicy::RefreshWithoutStore);
    let consent = local.import(&consents).await;
    let _ = consent.access_token().await.unwrap();
    local.advance(LIFETIME);
    local.emulator.fail_next(TOKEN, invalid_grant());
    store.fail_nth(CompareAndSwap, 2, StoreFault::unavailable());
    assert!(consent.access_token().await.unwrap_err().needs_consent());
    store.fail_always(StoreFault::unavailable());
    local.advance(SECOND);
    assert!(consent.access_token().await.unwrap_err().needs_consent());
    assert_eq!(local.tokens(), 6);
}

#[tokio::test]
async fn o9_unconfirmed_new_consent_survives_a_rotation() {
    let cases =
        [(StoreFault::lost_reply(), false), (StoreFault::lost_reply(), true), (StoreFault::unavailable(), true)];
    for (fault, had_one) in cases {
        let local = start().await;
        let store = FaultyStore::default();
        let consents = local.consents_with(store.clone(), OutagePolicy::RefreshWithoutStore);
        if had_one {
            consents.import(&user(), token("emu_old"), local.now()).await.unwrap();
            local.advance(SECOND);
        }
        local.rotate_refresh_tokens();
        store.fail_next(CompareAndSwap, fault);
        assert!(consents.import(&user(), refresh_token(), local.now()).await.is_err());
        store.fail_always(StoreFault::unavailable());
        let _ = consents.consent(&user()).access_token().await.unwrap();
        store.clear_faults();
        consents.flush().await.unwrap();
        assert!(kept_in(store.inner()).await.contains(&local.newest_refresh_token().value));
    }
}

#[tokio::test]
async fn o9_new_consent_serves_during_an_outage() {
    let local = start().await;
    let store = FaultyStore::default();
    let consents = local.consents_with(store.clone(), OutagePolicy::RefreshWithoutStore);
    let stored = consents.import(&id("user-8"), refresh_token(), local.now()).await.unwrap();
    store.fail_always(StoreFault::unavailable());
    let _ = stored.access_token().await.unwrap();
    local.emulator.reset();
    assert!(matches!(consents.exchange_code(&user(), local.code()).await, Err(SpendError::Spent(_))));
    let consent = consents.consent(&user());
    let _ = consent.access_token().await.unwrap();
    assert_eq!(local.tokens(), 1, "the token of the code");
    local.advance(SECOND);
    let _ = consent.refresh_now().await.unwrap();
    assert_eq!(local.tokens(), 2);
    local.advance(LIFETIME);
    for _ in 0..5 {
        let _ = consent.access_token().await.unwrap();
        assert_eq!(local.tokens(), 3);
        local.advance(SECOND);
    }
    // The same holds for a consent that was inserted, without an access token.
    assert!(consents.import(&id("user-9"), refresh_token(), local.now()).await.is_err());
    for _ in 0..5 {
        let _ = consents.consent(&id("user-9")).access_token().await.unwrap();
        assert_eq!(local.tokens(), 4);
        local.advance(SECOND);
    }
}
