//! Tests `Consent::revoke`: the request to Flinks and the removal of the record. (O10)

use crate::prelude::*;
use crate::wall_clock::consents_with_fast_clock;

/// Creates the consent for [`user`] in `store` and fetches an access token.
async fn consents_in(store: &FaultyStore, policy: OutagePolicy) -> (Setup, Consents) {
    let setup = start().await;
    let consents = setup.consents_with(store.clone(), policy);
    let consent = setup.import(&consents).await;
    let _ = consent.access_token().await.unwrap();
    (setup, consents)
}

#[tokio::test]
async fn o10_revocation_is_confirmed_while_the_store_is_unavailable() {
    for policy in [OutagePolicy::FailClosed, OutagePolicy::RefreshWithoutStore] {
        let store = FaultyStore::default();
        let (setup, consents) = consents_in(&store, policy).await;
        let consent = consents.consent(&user());
        store.fail_always(StoreFault::unavailable());
        assert_eq!(consent.revoke().await.unwrap(), Revoked::Confirmed);
        assert_eq!(setup.emulator.count(REVOKE), 1);
        // The removal is pending, and the token is no longer returned.
        for _ in 0..3 {
            assert!(consent.access_token().await.is_err());
            assert!(consents.flush().await.unwrap_err().is_store());
            setup.advance(MINUTE);
        }
        store.clear_faults();
        consents.flush().await.unwrap();
        assert!(consent.access_token().await.unwrap_err().is_unknown_consent());
        assert!(store.inner().load(&user()).await.unwrap().is_none());
        assert_eq!(setup.token_requests(), 1);
    }
}

#[tokio::test]
async fn o10_pending_removal_keeps_a_newer_consent() {
    let store = FaultyStore::default();
    let (setup, consents) = consents_in(&store, OutagePolicy::FailClosed).await;
    store.fail_always(StoreFault::unavailable());
    assert_eq!(consents.consent(&user()).revoke().await.unwrap(), Revoked::Confirmed);
    // The end user consents again in another process before the removal succeeds.
    setup.advance(MINUTE);
    let elsewhere = setup.consents(store.inner().clone());
    let _ = elsewhere.exchange_code(&user(), setup.code()).await.unwrap();
    store.clear_faults();
    consents.flush().await.unwrap();
    let _ = consents.consent(&user()).access_token().await.unwrap();
}

#[tokio::test]
async fn o10_unknown_id_is_reported_as_not_found() {
    let setup = start().await;
    let consents = setup.consents(MemoryStore::new());
    assert_eq!(consents.consent(&id("nobody")).revoke().await.unwrap(), Revoked::NotFound);
    assert_eq!(setup.emulator.count(REVOKE), 0);
}

#[tokio::test]
async fn o10_unconfirmed_revocation_keeps_the_record() {
    let responses = [
        Fault::reply(200, "<html>welcome</html>"),
        Fault::reply(200, r#"{"error":"server_error"}"#),
        Fault::reply(500, ""),
        Fault::reply(403, "<html>"),
    ];
    for fault in responses {
        let store = FaultyStore::default();
        let (setup, consents) = consents_in(&store, OutagePolicy::FailClosed).await;
        let consent = consents.consent(&user());
        setup.emulator.fail_next(REVOKE, fault.clone());
        assert!(consent.revoke().await.is_err(), "{fault:?}");
        assert!(store.inner().load(&user()).await.unwrap().is_some(), "{fault:?}");
        assert_eq!(consent.revoke().await.unwrap(), Revoked::Confirmed, "{fault:?}");
        assert!(store.inner().load(&user()).await.unwrap().is_none(), "{fault:?}");
    }
}

/// Creates a consent that was ended by a refusal.
async fn ended(setup: &Setup, store: &MemoryStore) -> Consents {
    let consents = setup.consents(store.clone());
    let consent = setup.import(&consents).await;
    setup.emulator.fail_next(TOKEN, invalid_grant());
    assert!(consent.access_token().await.unwrap_err().needs_consent());
    setup.advance(SECOND);
    consents
}

#[tokio::test]
async fn o10_ended_consent_is_refreshed_and_revoked() {
    let setup = start().await;
    let store = MemoryStore::new();
    let consents = ended(&setup, &store).await;
    assert_eq!(consents.consent(&user()).revoke().await.unwrap(), Revoked::Confirmed);
    assert_eq!(setup.emulator.count(REVOKE), 1);
    assert!(consents.consent(&user()).access_token().await.unwrap_err().is_unknown_consent());
}

#[tokio::test]
async fn o10_only_invalid_grant_means_already_ended() {
    let setup = start().await;
    let store = MemoryStore::new();
    let consents = ended(&setup, &store).await;
    let consent = consents.consent(&user());
    for fault in [Fault::status(403), Fault::reply(401, r#"{"error":"invalid_client"}"#), Fault::status(502)] {
        setup.emulator.clear_faults();
        setup.emulator.fail_always(TOKEN, fault.clone());
        assert!(consent.revoke().await.is_err(), "{fault:?}");
        assert!(stored_record(&store).await.contains(refresh_token().expose_secret()), "{fault:?}");
        setup.advance(SECOND * 120);
    }
    setup.emulator.clear_faults();
    setup.emulator.fail_always(TOKEN, invalid_grant());
    assert_eq!(consent.revoke().await.unwrap(), Revoked::AlreadyEnded);
    assert_eq!(setup.emulator.count(REVOKE), 0);
    assert!(consent.access_token().await.unwrap_err().is_unknown_consent());
}

#[tokio::test]
async fn o10_revocation_completes_when_its_caller_is_cancelled() {
    let store = FaultyStore::default();
    let (setup, consents) = consents_in(&store, OutagePolicy::FailClosed).await;
    setup.emulator.fail_next(REVOKE, hold(When::After));
    let caller = tokio::spawn({
        let consent = consents.consent(&user());
        async move { consent.revoke().await }
    });
    setup.emulator.received(REVOKE, 1).await;
    caller.abort();
    assert!(caller.await.unwrap_err().is_cancelled());
    setup.emulator.release();
    consents.shutdown(SECOND * 500).await.unwrap();
    assert!(store.inner().load(&user()).await.unwrap().is_none());
    setup.advance(LIFETIME);
}

#[tokio::test]
async fn o10_revocation_ends_the_stored_connection() {
    let setup = start().await;
    let store = MemoryStore::new();
    let here = setup.consents(store.clone());
    let elsewhere = setup.consents(store.clone());
    let consent = here.exchange_code(&user(), setup.code()).await.unwrap();
    // The end user consents again in another process, while this process has an access token from
    // the first consent.
    let _ = elsewhere.exchange_code(&user(), setup.code()).await.unwrap();
    let newest = RefreshToken::new(setup.newest_refresh_token().value).unwrap();
    assert_eq!(consent.revoke().await.unwrap(), Revoked::Confirmed);
    assert!(store.load(&user()).await.unwrap().is_none());
    assert!(here.client().refresh(&newest).await.is_err(), "the new connection was not revoked");
}

#[tokio::test]
async fn o10_new_consent_during_a_revocation_works_only_if_it_is_stored() {
    let setup = start().await;
    let store = MemoryStore::new();
    let consents = setup.consents(store.clone());
    let consent = setup.import(&consents).await;
    setup.emulator.fail_next(TOKEN, hold(When::After));
    let revocation = tokio::spawn({
        let consent = consent.clone();
        async move { consent.revoke().await }
    });
    setup.emulator.received(TOKEN, 1).await;
    let _ = consents.exchange_code(&user(), setup.code()).await.unwrap();
    setup.emulator.release();
    assert_eq!(revocation.await.unwrap().unwrap(), Revoked::Confirmed);
    setup.advance(LIFETIME);
    let is_stored = store.load(&user()).await.unwrap().is_some();
    assert_eq!(consent.access_token().await.is_ok(), is_stored);
}

#[tokio::test]
async fn o10_pending_removal_keeps_a_newer_consent_despite_clock_skew() {
    for by in [Duration::ZERO, HOUR] {
        let store = FaultyStore::default();
        let (setup, consents) = consents_in(&store, OutagePolicy::FailClosed).await;
        store.fail_always(StoreFault::unavailable());
        assert_eq!(consents.consent(&user()).revoke().await.unwrap(), Revoked::Confirmed);
        // The end user consents again on another machine. That machine's clock is either behind or
        // ahead of this machine's clock.
        if by.is_zero() {
            setup.move_wall_clock_forward(SECOND * 120);
        }
        let elsewhere = consents_with_fast_clock(&setup, by, store.inner().clone());
        let _ = elsewhere.exchange_code(&user(), setup.code()).await.unwrap();
        store.clear_faults();
        consents.flush().await.unwrap();
        assert!(store.inner().load(&user()).await.unwrap().is_some(), "{by:?}");
    }
}

#[tokio::test]
async fn o10_revoked_token_is_not_returned_during_the_removal() {
    let store = FaultyStore::default();
    let (_setup, consents) = consents_in(&store, OutagePolicy::FailClosed).await;
    let consent = consents.consent(&user());
    store.fail_next(Remove, StoreFault::Hold);
    let revocation = tokio::spawn({
        let consent = consent.clone();
        async move { consent.revoke().await }
    });
    store.received(Remove, 1).await;
    let mut call = Box::pin(consent.access_token());
    assert!(is_pending(&mut call).await);
    revocation.abort();
}

#[tokio::test]
async fn o10_invalid_grant_with_another_status_keeps_the_record() {
    for status in [200, 404, 500] {
        for operation in [TOKEN, REVOKE] {
            let setup = start().await;
            let store = MemoryStore::new();
            let consents = setup.consents(store.clone());
            let consent = setup.import(&consents).await;
            setup.emulator.fail_always(operation, Fault::reply(status, r#"{"error":"invalid_grant"}"#));
            assert!(consent.revoke().await.is_err(), "{status} {operation:?}");
            assert!(store.load(&user()).await.unwrap().is_some(), "{status} {operation:?}");
        }
    }
}

#[tokio::test]
async fn o10_revoked_consent_is_forgotten() {
    let setup = start().await;
    let consent = setup.consent().await;
    setup.emulator.fail_next(REVOKE, Fault::status(500));
    assert_eq!(consent.revoke().await.unwrap_err().status(), Some(500));
    let _ = consent.access_token().await.unwrap();
    assert_eq!(consent.revoke().await.unwrap(), Revoked::Confirmed);
    let error = consent.access_token().await.unwrap_err();
    assert!(error.needs_consent());
    assert!(!error.may_have_been_sent());
    assert_eq!(setup.token_requests(), 1);
    assert_eq!(setup.emulator.count(REVOKE), 2);
    assert_eq!(error.to_string(), "no consent is stored under this id");
}

#[tokio::test]
async fn o10_revocation_refreshes_a_refused_access_token() {
    let setup = start().await;
    let consent = setup.consent().await;
    let _ = consent.access_token().await.unwrap();
    // The server's clock is fast, so the server treats the token as expired.
    setup.emulator.advance(LIFETIME);
    assert_eq!(consent.revoke().await.unwrap(), Revoked::Confirmed);
    assert_eq!(setup.token_requests(), 2);
    assert_eq!(setup.emulator.count(REVOKE), 2);
}

#[tokio::test]
async fn o10_unconfirmed_revocation_keeps_the_consent() {
    let setup = start().await;
    let consent = setup.consent().await;
    let html = vec![("content-type".to_owned(), "text/html".to_owned())];
    for fault in [
        Fault::Reply { status: 200, headers: html, body: "<html>canary</html>".to_owned() },
        Fault::reply(200, r#"{"error":"server_error"}"#),
        Fault::status(202),
        Fault::status(203),
    ] {
        setup.emulator.fail_next(REVOKE, fault.clone());
        assert!(consent.revoke().await.is_err(), "{fault:?}");
        let _ = consent.refresh_now().await.unwrap();
    }
    assert_eq!(consent.revoke().await.unwrap(), Revoked::Confirmed);
    assert!(consent.access_token().await.unwrap_err().needs_consent());
}
