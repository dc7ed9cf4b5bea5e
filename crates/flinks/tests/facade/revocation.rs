//! Rule O10: what `revoke` does at Flinks and to the record.

use std::time::Duration;

use flinks::outbound::{Consents, MemoryStore, RefreshToken, Revoked, StoreOutage, TokenStore as _};
use flinks_emulator::{Fault, Operation, When};

use crate::Local;
use crate::consents::{
    BadStore, LIFETIME, Plan, SECOND, TOKEN, builder, hold, id, is_pending, kept_in, newest_refresh_token, start,
};
use crate::outbound::{code, refresh_token};
use crate::wall_clock::ahead;

const REVOKE: Operation = Operation::OutboundRevoke;

async fn on_a_store(store: &BadStore, policy: StoreOutage) -> (Local, Consents) {
    let local = start().await;
    let consents = builder(&local).store(store.clone()).store_outage(policy).build();
    let consent = consents.insert(&id("user-7"), refresh_token(), local.now()).await.unwrap();
    let _ = consent.access_token().await.unwrap();
    (local, consents)
}

#[tokio::test]
async fn o10_the_reply_of_flinks_decides_while_the_store_is_unavailable() {
    for policy in [StoreOutage::Refuse, StoreOutage::GoOn] {
        let store = BadStore::default();
        let (local, consents) = on_a_store(&store, policy).await;
        let consent = consents.consent(&id("user-7"));
        store.always(Plan::Fail);
        assert_eq!(consent.revoke().await.unwrap(), Revoked::Confirmed);
        assert_eq!(local.emulator.count(REVOKE), 1);
        // The removal waits, and the token is handed out no more.
        for _ in 0..3 {
            assert!(consent.access_token().await.is_err());
            assert!(consents.flush().await.unwrap_err().is_store());
            local.advance(SECOND * 60);
        }
        store.always(Plan::Work);
        consents.flush().await.unwrap();
        assert!(consent.access_token().await.unwrap_err().is_unknown_consent());
        assert!(store.good.load(&id("user-7")).await.unwrap().is_none());
        assert_eq!(local.tokens(), 1);
    }
}

#[tokio::test]
async fn o10_a_queued_removal_leaves_a_newer_consent_alone() {
    let store = BadStore::default();
    let (local, consents) = on_a_store(&store, StoreOutage::Refuse).await;
    store.always(Plan::Fail);
    assert_eq!(consents.consent(&id("user-7")).revoke().await.unwrap(), Revoked::Confirmed);
    // The end user consents again, elsewhere, before the removal succeeds.
    local.advance(SECOND * 60);
    let elsewhere = builder(&local).store(store.good.clone()).build();
    let code = crate::outbound::code(&local, elsewhere.client()).await;
    let _ = elsewhere.exchange_code(&id("user-7"), code).await.unwrap();
    store.always(Plan::Work);
    consents.flush().await.unwrap();
    let _ = consents.consent(&id("user-7")).access_token().await.unwrap();
}

#[tokio::test]
async fn o10_a_typed_error_or_an_unknown_id_is_no_success() {
    let local = start().await;
    let consents = builder(&local).build();
    assert_eq!(consents.consent(&id("nobody")).revoke().await.unwrap(), Revoked::NotFound);
    assert_eq!(local.emulator.count(REVOKE), 0);
}

#[tokio::test]
async fn o10_a_reply_that_does_not_confirm_keeps_the_consent() {
    let replies = [
        Fault::reply(200, "<html>welcome</html>"),
        Fault::reply(200, r#"{"error":"server_error"}"#),
        Fault::reply(500, ""),
        Fault::reply(403, "<html>"),
    ];
    for fault in replies {
        let store = BadStore::default();
        let (local, consents) = on_a_store(&store, StoreOutage::Refuse).await;
        let consent = consents.consent(&id("user-7"));
        local.emulator.fail_next(REVOKE, fault.clone());
        assert!(consent.revoke().await.is_err(), "{fault:?}");
        assert!(store.good.load(&id("user-7")).await.unwrap().is_some(), "{fault:?}");
        assert_eq!(consent.revoke().await.unwrap(), Revoked::Confirmed, "{fault:?}");
        assert!(store.good.load(&id("user-7")).await.unwrap().is_none(), "{fault:?}");
    }
}

/// A consent that a refusal has ended.
async fn ended(local: &Local, store: &MemoryStore) -> Consents {
    let consents = builder(local).store(store.clone()).build();
    let consent = consents.insert(&id("user-7"), refresh_token(), local.now()).await.unwrap();
    local.emulator.fail_next(TOKEN, Fault::reply(400, r#"{"error":"invalid_grant"}"#));
    assert!(consent.access_token().await.unwrap_err().needs_consent());
    local.advance(SECOND);
    consents
}

#[tokio::test]
async fn o10_a_consent_that_a_refusal_has_ended_is_refreshed_and_revoked_at_flinks() {
    let (local, store) = (start().await, MemoryStore::new());
    let consents = ended(&local, &store).await;
    assert_eq!(consents.consent(&id("user-7")).revoke().await.unwrap(), Revoked::Confirmed);
    assert_eq!(local.emulator.count(REVOKE), 1);
    assert!(consents.consent(&id("user-7")).access_token().await.unwrap_err().is_unknown_consent());
}

#[tokio::test]
async fn o10_only_invalid_grant_says_that_a_connection_had_ended() {
    let (local, store) = (start().await, MemoryStore::new());
    let consents = ended(&local, &store).await;
    let consent = consents.consent(&id("user-7"));
    for fault in [Fault::status(403), Fault::reply(401, r#"{"error":"invalid_client"}"#), Fault::status(502)] {
        local.emulator.clear_faults();
        local.emulator.fail_always(TOKEN, fault.clone());
        assert!(consent.revoke().await.is_err(), "{fault:?}");
        assert!(kept_in(&store).await.contains(refresh_token().expose_secret()), "{fault:?}");
        local.advance(SECOND * 120);
    }
    local.emulator.clear_faults();
    local.emulator.fail_always(TOKEN, Fault::reply(400, r#"{"error":"invalid_grant"}"#));
    assert_eq!(consent.revoke().await.unwrap(), Revoked::AlreadyEnded);
    assert_eq!(local.emulator.count(REVOKE), 0);
    assert!(consent.access_token().await.unwrap_err().is_unknown_consent());
}

#[tokio::test]
async fn o10_a_revocation_completes_when_its_caller_is_cancelled() {
    let store = BadStore::default();
    let (local, consents) = on_a_store(&store, StoreOutage::Refuse).await;
    local.emulator.fail_next(REVOKE, Fault::Hold { when: flinks_emulator::When::After });
    let caller = tokio::spawn({
        let consent = consents.consent(&id("user-7"));
        async move { consent.revoke().await }
    });
    local.emulator.received(REVOKE, 1).await;
    caller.abort();
    assert!(caller.await.unwrap_err().is_cancelled());
    local.emulator.release();
    consents.shutdown(SECOND * 500).await.unwrap();
    assert!(store.good.load(&id("user-7")).await.unwrap().is_none());
    local.advance(LIFETIME);
}

#[tokio::test]
async fn o10_a_revocation_ends_the_connection_of_the_consent_that_is_stored() {
    let (local, store) = (start().await, MemoryStore::new());
    let here = builder(&local).store(store.clone()).build();
    let elsewhere = builder(&local).store(store.clone()).build();
    let first = code(&local, here.client()).await;
    let consent = here.exchange_code(&id("user-7"), first).await.unwrap();
    // The end user consents again in another process, while this one has an access token of the first consent.
    let second = code(&local, elsewhere.client()).await;
    let _ = elsewhere.exchange_code(&id("user-7"), second).await.unwrap();
    let newest = RefreshToken::new(newest_refresh_token(&local)).unwrap();
    assert_eq!(consent.revoke().await.unwrap(), Revoked::Confirmed);
    assert!(store.load(&id("user-7")).await.unwrap().is_none());
    assert!(here.client().refresh(&newest).await.is_err(), "the connection lives on");
}

#[tokio::test]
async fn o10_a_consent_that_is_given_during_a_revocation_and_its_record_agree() {
    let (local, store) = (start().await, MemoryStore::new());
    let consents = builder(&local).store(store.clone()).build();
    let consent = consents.insert(&id("user-7"), refresh_token(), local.now()).await.unwrap();
    local.emulator.fail_next(TOKEN, hold(When::After));
    let revocation = tokio::spawn({
        let consent = consent.clone();
        async move { consent.revoke().await }
    });
    local.emulator.received(TOKEN, 1).await;
    let again = code(&local, consents.client()).await;
    let _ = consents.exchange_code(&id("user-7"), again).await.unwrap();
    local.emulator.release();
    assert_eq!(revocation.await.unwrap().unwrap(), Revoked::Confirmed);
    local.advance(LIFETIME);
    let is_stored = store.load(&id("user-7")).await.unwrap().is_some();
    assert_eq!(consent.access_token().await.is_ok(), is_stored);
}

#[tokio::test]
async fn o10_a_queued_removal_spares_a_newer_consent_whatever_the_clocks_say() {
    for by in [Duration::ZERO, Duration::from_secs(3600)] {
        let store = BadStore::default();
        let (local, consents) = on_a_store(&store, StoreOutage::Refuse).await;
        store.always(Plan::Fail);
        assert_eq!(consents.consent(&id("user-7")).revoke().await.unwrap(), Revoked::Confirmed);
        // The clock of this machine is behind that of the one on which the end user consents again, or ahead of it.
        if by.is_zero() {
            local.clock.advance_wall(SECOND * 120);
        }
        let elsewhere = ahead(&local, by, store.good.clone());
        let again = code(&local, elsewhere.client()).await;
        let _ = elsewhere.exchange_code(&id("user-7"), again).await.unwrap();
        store.always(Plan::Work);
        consents.flush().await.unwrap();
        assert!(store.good.load(&id("user-7")).await.unwrap().is_some(), "{by:?}");
    }
}

#[tokio::test]
async fn o10_a_revoked_token_is_not_handed_out_while_the_removal_is_under_way() {
    let store = BadStore::default();
    let (local, consents) = on_a_store(&store, StoreOutage::Refuse).await;
    let consent = consents.consent(&id("user-7"));
    // The record is read; the removal hangs.
    store.plan([Plan::Work, Plan::Hang]);
    let revocation = tokio::spawn({
        let consent = consent.clone();
        async move { consent.revoke().await }
    });
    local.emulator.received(REVOKE, 1).await;
    while !store.plans.lock().unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    let mut call = Box::pin(consent.access_token());
    assert!(is_pending(&mut call).await);
    revocation.abort();
}

#[tokio::test]
async fn o10_invalid_grant_with_another_status_ends_nothing() {
    for status in [200, 404, 500] {
        for operation in [TOKEN, REVOKE] {
            let (local, store) = (start().await, MemoryStore::new());
            let consents = builder(&local).store(store.clone()).build();
            let consent = consents.insert(&id("user-7"), refresh_token(), local.now()).await.unwrap();
            local.emulator.fail_always(operation, Fault::reply(status, r#"{"error":"invalid_grant"}"#));
            assert!(consent.revoke().await.is_err(), "{status} {operation:?}");
            assert!(store.load(&id("user-7")).await.unwrap().is_some(), "{status} {operation:?}");
        }
    }
}
