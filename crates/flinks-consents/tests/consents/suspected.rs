//! Rule O6: a refusal that a gateway may have sent makes a consent suspected, until it is confirmed
//! or cleared.

use crate::prelude::*;

/// The reply of a gateway between the client and Flinks.
pub(crate) fn gateway() -> Fault {
    Fault::status(403)
}

/// The error of a call that meets a fault.
pub(crate) async fn refused(local: &Local, consent: &Consent, fault: Fault) -> ConsentError {
    local.emulator.clear_faults();
    local.emulator.fail_always(TOKEN, fault);
    let error = consent.access_token().await.unwrap_err();
    local.emulator.clear_faults();
    error
}

/// When a suspicion can be confirmed.
pub(crate) fn suspicion(error: &ConsentError) -> Option<Duration> {
    match error.refusal() {
        Some(Refusal::Suspected { confirm_after, .. }) => Some(confirm_after),
        _ => None,
    }
}

#[tokio::test]
async fn o6_refusal_without_a_known_code_is_suspected() {
    let local = start().await;
    for status in [400, 401, 403] {
        for body in [
            "",
            r#"{"error":"Unauthorized"}"#,
            r#"{"error":"","error_description":"x"}"#,
            r#"{"error":null}"#,
            r#"{"error":{"code":403}}"#,
            r#"{"message":"Forbidden"}"#,
            "{}",
            "[]",
            "null",
            "\u{feff}{}",
        ] {
            let consent = local.consent().await;
            let error = refused(&local, &consent, Fault::reply(status, body)).await;
            assert_eq!(suspicion(&error), Some(10 * MINUTE), "{status} {body}");
            assert!(error.needs_consent(), "{status} {body}");
            assert_eq!(error.advice(), Advice::WaitOrStartOver, "{status} {body}");
        }
        for body in [r#"{"error":"invalid_grant"}"#, r#"{"error":"access_denied"}"#] {
            let consent = local.consent().await;
            let error = refused(&local, &consent, Fault::reply(status, body)).await;
            assert_eq!(error.refusal(), Some(Refusal::Final), "{status} {body}");
            assert!(error.needs_consent(), "{status} {body}");
        }
        for body in [
            "<html>",
            "Forbidden",
            r#"{"message":"cut"#,
            r#"{"error":"invalid_client"}"#,
            r#"{"error":"server_error"}"#,
            r#"{"error":"TOO_MANY_REQUESTS"}"#,
        ] {
            let consent = local.consent().await;
            let error = refused(&local, &consent, Fault::reply(status, body)).await;
            assert_eq!(error.refusal(), None, "{status} {body}");
            assert!(!error.needs_consent(), "{status} {body}");
        }
    }
}

#[tokio::test]
async fn o6_other_statuses_are_not_refusals() {
    let local = start().await;
    for status in [402, 404, 405, 407, 410, 418, 451, 500, 502, 503] {
        let consent = local.consent().await;
        let error = refused(&local, &consent, Fault::reply(status, r#"{"error":"Unauthorized"}"#)).await;
        assert_eq!(error.refusal(), None, "{status}");
        assert!(!error.needs_consent(), "{status}");
    }
}

#[tokio::test]
async fn o6_success_clears_a_suspicion() {
    let local = start().await;
    let store = MemoryStore::new();
    let consent = consent_in(&local, store.clone()).await;
    local.emulator.fail_always(TOKEN, gateway());
    for _ in 0..5 {
        assert!(consent.access_token().await.unwrap_err().needs_consent());
        local.advance(10 * MINUTE);
    }
    local.emulator.clear_faults();
    let _ = consent.access_token().await.unwrap();
    // The success has cleared the suspicion, so the next refusal starts a new one.
    local.advance(LIFETIME);
    let error = refused(&local, &consent, gateway()).await;
    assert_eq!(suspicion(&error), Some(10 * MINUTE));
}

#[tokio::test]
async fn o6_suspected_consent_is_refreshed_once_a_minute() {
    let local = start().await;
    let store = MemoryStore::new();
    let here = consent_in(&local, store.clone()).await;
    let elsewhere = local.consents(store).consent(&user());
    local.emulator.fail_always(TOKEN, gateway());
    let first = here.access_token().await.unwrap_err();
    assert_eq!(local.tokens(), 1);
    // Others in this process, and in another one, get the same error.
    for consent in [&here, &elsewhere] {
        let all = spawn_many(consent, 20);
        for one in all {
            let error = one.await.unwrap().unwrap_err();
            assert_eq!(error.status(), first.status());
            assert!(suspicion(&error).is_some());
            assert_eq!(error.advice(), first.advice());
        }
        assert!(suspicion(&consent.refresh_now().await.unwrap_err()).is_some());
    }
    assert_eq!(local.tokens(), 1);
    local.advance(Duration::from_secs(59));
    assert!(here.access_token().await.is_err());
    assert_eq!(local.tokens(), 1);
    local.advance(Duration::from_secs(1));
    assert!(here.access_token().await.is_err());
    assert!(elsewhere.access_token().await.is_err());
    assert_eq!(local.tokens(), 2);
}

#[tokio::test]
async fn o6_pause_of_a_suspected_consent_survives_a_restart() {
    let local = start().await;
    let store = MemoryStore::new();
    let consent = consent_in(&local, store.clone()).await;
    let error = refused(&local, &consent, gateway()).await;
    assert_eq!(error.retry_after(), Some(MINUTE));
    assert!(error.may_have_been_sent());
    local.advance(Duration::from_secs(50));
    let restarted = local.consents(store).consent(&user());
    let error = restarted.access_token().await.unwrap_err();
    // A record keeps whole milliseconds.
    assert_eq!(error.retry_after().unwrap().as_millis().div_ceil(1000), 10);
    assert_eq!(error.attempts(), 0);
    assert!(!error.may_have_been_sent());
    assert!(error.to_string().contains("nothing was sent"), "{error}");
    local.advance(Duration::from_secs(10));
    let _ = restarted.access_token().await.unwrap();
    assert_eq!(local.tokens(), 2);
}

#[tokio::test]
async fn o6_suspected_consent_is_refreshed_once_a_minute_during_an_outage() {
    let local = start().await;
    let store = FaultyStore::default();
    let here = consent_in(&local, store.clone()).await;
    assert!(suspicion(&refused(&local, &here, gateway()).await).is_some());
    // Another process has seen the suspicion in the store, and has sent nothing itself.
    let elsewhere = local.consents_with(store.clone(), OutagePolicy::RefreshWithoutStore).consent(&user());
    let _ = elsewhere.idle_deadline().await.unwrap();
    store.fail_always(StoreFault::unavailable());
    assert!(suspicion(&elsewhere.access_token().await.unwrap_err()).is_some());
    assert_eq!(local.tokens(), 1);
    local.advance(MINUTE);
    let _ = elsewhere.access_token().await.unwrap();
    assert_eq!(local.tokens(), 2);
}

#[tokio::test]
async fn o6_code_of_another_cause_clears_a_suspicion() {
    let local = start().await;
    for (body, clears) in
        [(r#"{"error":"invalid_client"}"#, true), (r#"{"error":"temporarily_unavailable"}"#, true), ("<html>", false)]
    {
        let consent = local.consent().await;
        assert!(suspicion(&refused(&local, &consent, gateway()).await).is_some());
        local.advance(5 * MINUTE);
        assert_eq!(refused(&local, &consent, Fault::reply(400, body)).await.refusal(), None, "{body}");
        local.advance(MINUTE);
        let expected = if clears { 10 * MINUTE } else { 4 * MINUTE };
        assert_eq!(suspicion(&refused(&local, &consent, gateway()).await), Some(expected), "{body}");
    }
}

#[tokio::test]
async fn o6_suspected_consent_returns_its_valid_token() {
    let local = start().await;
    let consent = local.consent().await;
    let token = consent.access_token().await.unwrap();
    local.advance(LIFETIME - MINUTE);
    local.emulator.fail_always(TOKEN, gateway());
    for _ in 0..3 {
        assert_eq!(text(&consent.access_token().await.unwrap()), text(&token));
    }
    local.advance(MINUTE);
    assert!(suspicion(&consent.access_token().await.unwrap_err()).is_some());
}

#[tokio::test]
async fn o6_suspected_consent_returns_its_valid_token_in_another_process() {
    let local = start().await;
    let store = MemoryStore::new();
    let consent = consent_in(&local, store.clone()).await;
    let token = consent.access_token().await.unwrap();
    // The token is about to expire, and its early refresh is refused.
    local.advance(LIFETIME - 2 * MINUTE);
    local.emulator.fail_always(TOKEN, gateway());
    assert!(suspicion(&consent.refresh_now().await.unwrap_err()).is_some());
    let before = local.tokens();
    let elsewhere = local.consents(store).consent(&user());
    assert_eq!(text(&elsewhere.access_token().await.unwrap()), text(&token));
    assert_eq!(local.tokens(), before);
}

#[tokio::test]
async fn o6_suspicion_that_could_not_be_stored_loses_nothing() {
    let local = start().await;
    let store = FaultyStore::default();
    let consent = consent_in(&local, store.clone()).await;
    // The lease can be stored, and the suspicion cannot.
    store.fail_nth(CompareAndSwap, 2, StoreFault::unavailable());
    assert!(suspicion(&refused(&local, &consent, gateway()).await).is_some());
    local.advance(HOUR);
    let _ = consent.access_token().await.unwrap();
}

#[tokio::test]
async fn o6_new_consent_from_another_process_is_not_suspected() {
    let local = start().await;
    let store = MemoryStore::new();
    let here = local.consents(store.clone());
    let elsewhere = local.consents(store);
    let consent = local.import(&here).await;
    assert!(suspicion(&refused(&local, &consent, gateway()).await).is_some());
    assert!(suspicion(&elsewhere.consent(&user()).access_token().await.unwrap_err()).is_some());
    let _ = here.exchange_code(&user(), local.code()).await.unwrap();
    local.advance(Duration::from_secs(1));
    let _ = elsewhere.consent(&user()).access_token().await.unwrap();
}

#[tokio::test]
async fn o6_pause_holds_although_the_store_did_not_take_the_refusal() {
    let local = start().await;
    let store = FaultyStore::default();
    let consent = consent_in(&local, store.clone()).await;
    // The store takes the lease, and not the refusal.
    store.fail_nth(CompareAndSwap, 2, StoreFault::unavailable());
    let error = refused(&local, &consent, gateway()).await;
    assert!(suspicion(&error).is_some());
    local.advance(59 * SECOND);
    assert!(suspicion(&consent.access_token().await.unwrap_err()).is_some());
    assert_eq!(local.tokens(), 1);
    local.advance(SECOND);
    let _ = consent.access_token().await.unwrap();
    assert_eq!(local.tokens(), 2);
}
