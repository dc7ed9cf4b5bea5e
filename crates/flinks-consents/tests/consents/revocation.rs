//! Rule O10: what `revoke` does at Flinks and to the record.

use crate::prelude::*;
use crate::wall_clock::ahead;

async fn on_a_store(store: &FaultyStore, policy: OutagePolicy) -> (Local, Consents) {
    let local = start().await;
    let consents = local.consents_with(store.clone(), policy);
    let consent = local.import(&consents).await;
    let _ = consent.access_token().await.unwrap();
    (local, consents)
}

#[tokio::test]
async fn o10_revocation_is_confirmed_while_the_store_is_unavailable() {
    for policy in [OutagePolicy::FailClosed, OutagePolicy::RefreshWithoutStore] {
        let store = FaultyStore::default();
        let (local, consents) = on_a_store(&store, policy).await;
        let consent = consents.consent(&user());
        store.fail_always(StoreFault::unavailable());
        assert_eq!(consent.revoke().await.unwrap(), Revoked::Confirmed);
        assert_eq!(local.emulator.count(REVOKE), 1);
        // The removal is pending, and the token is not returned any more.
        for _ in 0..3 {
            assert!(consent.access_token().await.is_err());
            assert!(consents.flush().await.unwrap_err().is_store());
            local.advance(MINUTE);
        }
        store.clear_faults();
        consents.flush().await.unwrap();
        assert!(consent.access_token().await.unwrap_err().is_unknown_consent());
        assert!(store.inner().load(&user()).await.unwrap().is_none());
        assert_eq!(local.tokens(), 1);
    }
}

#[tokio::test]
async fn o10_pending_removal_keeps_a_newer_consent() {
    let store = FaultyStore::default();
    let (local, consents) = on_a_store(&store, OutagePolicy::FailClosed).await;
    store.fail_always(StoreFault::unavailable());
    assert_eq!(consents.consent(&user()).revoke().await.unwrap(), Revoked::Confirmed);
    // The end user consents again in another process, before the removal succeeds.
    local.advance(MINUTE);
    let elsewhere = local.consents(store.inner().clone());
    let _ = elsewhere.exchange_code(&user(), local.code()).await.unwrap();
    store.clear_faults();
    consents.flush().await.unwrap();
    let _ = consents.consent(&user()).access_token().await.unwrap();
}

#[tokio::test]
async fn o10_unknown_id_is_reported_as_not_found() {
    let local = start().await;
    let consents = local.consents(MemoryStore::new());
    assert_eq!(consents.consent(&id("nobody")).revoke().await.unwrap(), Revoked::NotFound);
    assert_eq!(local.emulator.count(REVOKE), 0);
}

#[tokio::test]
async fn o10_unconfirmed_revocation_keeps_the_record() {
    let replies = [
        Fault::reply(200, "<html>welcome</html>"),
        Fault::reply(200, r#"{"error":"server_error"}"#),
        Fault::reply(500, ""),
        Fault::reply(403, "<html>"),
    ];
    for fault in replies {
        let store = FaultyStore::default();
        let (local, consents) = on_a_store(&store, OutagePolicy::FailClosed).await;
        let consent = consents.consent(&user());
        local.emulator.fail_next(REVOKE, fault.clone());
        assert!(consent.revoke().await.is_err(), "{fault:?}");
        assert!(store.inner().load(&user()).await.unwrap().is_some(), "{fault:?}");
        assert_eq!(consent.revoke().await.unwrap(), Revoked::Confirmed, "{fault:?}");
        assert!(store.inner().load(&user()).await.unwrap().is_none(), "{fault:?}");
    }
}

/// A consent that a refusal has ended.
async fn ended(local: &Local, store: &MemoryStore) -> Consents {
    let consents = local.consents(store.clone());
    let consent = local.import(&consents).await;
    local.emulator.fail_next(TOKEN, invalid_grant());
    assert!(consent.access_token().await.unwrap_err().needs_consent());
    local.advance(SECOND);
    consents
}

#[tokio::test]
async fn o10_ended_consent_is_refreshed_and_revoked() {
    let local = start().await;
    let store = MemoryStore::new();
    let consents = ended(&local, &store).await;
    assert_eq!(consents.consent(&user()).revoke().await.unwrap(), Revoked::Confirmed);
    assert_eq!(local.emulator.count(REVOKE), 1);
    assert!(consents.consent(&user()).access_token().await.unwrap_err().is_unknown_consent());
}

#[tokio::test]
async fn o10_only_invalid_grant_means_already_ended() {
    let local = start().await;
    let store = MemoryStore::new();
    let consents = ended(&local, &store).await;
    let consent = consents.consent(&user());
    for fault in [Fault::status(403), Fault::reply(401, r#"{"error":"invalid_client"}"#), Fault::status(502)] {
        local.emulator.clear_faults();
        local.emulator.fail_always(TOKEN, fault.clone());
        assert!(consent.revoke().await.is_err(), "{fault:?}");
        assert!(kept_in(&store).await.contains(refresh_token().expose_secret()), "{fault:?}");
        local.advance(SECOND * 120);
    }
    local.emulator.clear_faults();
    local.emulator.fail_always(TOKEN, invalid_grant());
    assert_eq!(consent.revoke().await.unwrap(), Revoked::AlreadyEnded);
    assert_eq!(local.emulator.count(REVOKE), 0);
    assert!(consent.access_token().await.unwrap_err().is_unknown_consent());
}

#[tokio::test]
async fn o10_revocation_completes_when_its_caller_is_cancelled() {
    let store = FaultyStore::default();
    let (local, consents) = on_a_store(&store, OutagePolicy::FailClosed).await;
    local.emulator.fail_next(REVOKE, hold(When::After));
    let caller = tokio::spawn({
        let consent = consents.consent(&user());
        async move { consent.revoke().await }
    });
    local.emulator.received(REVOKE, 1).await;
    caller.abort();
    assert!(caller.await.unwrap_err().is_cancelled());
    local.emulator.release();
    consents.shutdown(SECOND * 500).await.unwrap();
    assert!(store.inner().load(&user()).await.unwrap().is_none());
    local.advance(LIFETIME);
}

#[tokio::test]
async fn o10_revocation_ends_the_stored_connection() {
    let local = start().await;
    let store = MemoryStore::new();
    let here = local.consents(store.clone());
    let elsewhere = local.consents(store.clone());
    let consent = here.exchange_code(&user(), local.code()).await.unwrap();
    // The end user consents again in another process, while this one has an access token of the
    // first consent.
    let _ = elsewhere.exchange_code(&user(), local.code()).await.unwrap();
    let newest = RefreshToken::new(local.newest_refresh_token().value).unwrap();
    assert_eq!(consent.revoke().await.unwrap(), Revoked::Confirmed);
    assert!(store.load(&user()).await.unwrap().is_none());
    assert!(here.client().refresh(&newest).await.is_err(), "the connection lives on");
}

#[tokio::test]
async fn o10_consent_given_during_a_revocation_agrees_with_its_record() {
    let local = start().await;
    let store = MemoryStore::new();
    let consents = local.consents(store.clone());
    let consent = local.import(&consents).await;
    local.emulator.fail_next(TOKEN, hold(When::After));
    let revocation = tokio::spawn({
        let consent = consent.clone();
        async move { consent.revoke().await }
    });
    local.emulator.received(TOKEN, 1).await;
    let _ = consents.exchange_code(&user(), local.code()).await.unwrap();
    local.emulator.release();
    assert_eq!(revocation.await.unwrap().unwrap(), Revoked::Confirmed);
    local.advance(LIFETIME);
    let is_stored = store.load(&user()).await.unwrap().is_some();
    assert_eq!(consent.access_token().await.is_ok(), is_stored);
}

#[tokio::test]
async fn o10_pending_removal_keeps_a_newer_consent_whatever_the_clocks_say() {
    for by in [Duration::ZERO, HOUR] {
        let store = FaultyStore::default();
        let (local, consents) = on_a_store(&store, OutagePolicy::FailClosed).await;
        store.fail_always(StoreFault::unavailable());
        assert_eq!(consents.consent(&user()).revoke().await.unwrap(), Revoked::Confirmed);
        // The clock of this machine is behind that of the one on which the end user consents again,
        // or ahead of it.
        if by.is_zero() {
            local.turn_wall_clock_ahead(SECOND * 120);
        }
        let elsewhere = ahead(&local, by, store.inner().clone());
        let _ = elsewhere.exchange_code(&user(), local.code()).await.unwrap();
        store.clear_faults();
        consents.flush().await.unwrap();
        assert!(store.inner().load(&user()).await.unwrap().is_some(), "{by:?}");
    }
}

#[tokio::test]
async fn o10_revoked_token_is_not_returned_during_the_removal() {
    let store = FaultyStore::default();
    let (_local, consents) = on_a_store(&store, OutagePolicy::FailClosed).await;
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
            let local = start().await;
            let store = MemoryStore::new();
            let consents = local.consents(store.clone());
            let consent = local.import(&consents).await;
            local.emulator.fail_always(operation, Fault::reply(status, r#"{"error":"invalid_grant"}"#));
            assert!(consent.revoke().await.is_err(), "{status} {operation:?}");
            assert!(store.load(&user()).await.unwrap().is_some(), "{status} {operation:?}");
        }
    }
}

#[tokio::test]
async fn o10_revoked_consent_is_forgotten() {
    let local = start().await;
    let consent = local.consent().await;
    local.emulator.fail_next(REVOKE, Fault::status(500));
    assert_eq!(consent.revoke().await.unwrap_err().status(), Some(500));
    let _ = consent.access_token().await.unwrap();
    assert_eq!(consent.revoke().await.unwrap(), Revoked::Confirmed);
    let error = consent.access_token().await.unwrap_err();
    assert!(error.needs_consent());
    assert!(!error.may_have_been_sent());
    assert_eq!(local.tokens(), 1);
    assert_eq!(local.emulator.count(REVOKE), 2);
    assert_eq!(error.to_string(), "no consent is stored under this id");
}

#[tokio::test]
async fn o10_revocation_refreshes_a_refused_access_token() {
    let local = start().await;
    let consent = local.consent().await;
    let _ = consent.access_token().await.unwrap();
    // The server's clock is ahead, so there the token has expired.
    local.emulator.advance(LIFETIME);
    assert_eq!(consent.revoke().await.unwrap(), Revoked::Confirmed);
    assert_eq!(local.tokens(), 2);
    assert_eq!(local.emulator.count(REVOKE), 2);
}

#[tokio::test]
async fn o10_unconfirmed_revocation_keeps_the_consent() {
    let local = start().await;
    let consent = local.consent().await;
    let html = vec![("content-type".to_owned(), "text/html".to_owned())];
    for fault in [
        Fault::Reply { status: 200, headers: html, body: "<html>canary</html>".to_owned() },
        Fault::reply(200, r#"{"error":"server_error"}"#),
        Fault::status(202),
        Fault::status(203),
    ] {
        local.emulator.fail_next(REVOKE, fault.clone());
        assert!(consent.revoke().await.is_err(), "{fault:?}");
        let _ = consent.refresh_now().await.unwrap();
    }
    assert_eq!(consent.revoke().await.unwrap(), Revoked::Confirmed);
    assert!(consent.access_token().await.unwrap_err().needs_consent());
}
