//! Tests that a consent is suspected after a refusal that a gateway may have sent, until the
//! suspicion is confirmed or cleared. (O6)

use crate::prelude::*;

/// Returns a refusal that a gateway between the client and Flinks might send.
pub(crate) fn gateway() -> Fault {
    Fault::status(403)
}

/// Calls `access_token` while `fault` affects every token request. Returns the call's error.
pub(crate) async fn error_with_fault(setup: &Setup, consent: &Consent, fault: Fault) -> ConsentError {
    setup.emulator.clear_faults();
    setup.emulator.fail_always(TOKEN, fault);
    let error = consent.access_token().await.unwrap_err();
    setup.emulator.clear_faults();
    error
}

/// Returns the minimum wait before the suspicion can be confirmed, or `None` if the error does not
/// report a suspicion.
pub(crate) fn suspicion(error: &ConsentError) -> Option<Duration> {
    match error.refusal() {
        Some(Refusal::Suspected { confirm_after, .. }) => Some(confirm_after),
        _ => None,
    }
}

#[tokio::test]
async fn o6_refusal_without_a_known_code_is_suspected() {
    let setup = start().await;
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
            let consent = setup.consent().await;
            let error = error_with_fault(&setup, &consent, Fault::reply(status, body)).await;
            assert_eq!(suspicion(&error), Some(10 * MINUTE), "{status} {body}");
            assert!(error.needs_consent(), "{status} {body}");
            assert_eq!(error.advice(), Advice::WaitOrStartOver, "{status} {body}");
        }
        for body in [r#"{"error":"invalid_grant"}"#, r#"{"error":"access_denied"}"#] {
            let consent = setup.consent().await;
            let error = error_with_fault(&setup, &consent, Fault::reply(status, body)).await;
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
            let consent = setup.consent().await;
            let error = error_with_fault(&setup, &consent, Fault::reply(status, body)).await;
            assert_eq!(error.refusal(), None, "{status} {body}");
            assert!(!error.needs_consent(), "{status} {body}");
        }
    }
}

#[tokio::test]
async fn o6_other_statuses_are_not_refusals() {
    let setup = start().await;
    for status in [402, 404, 405, 407, 410, 418, 451, 500, 502, 503] {
        let consent = setup.consent().await;
        let error = error_with_fault(&setup, &consent, Fault::reply(status, r#"{"error":"Unauthorized"}"#)).await;
        assert_eq!(error.refusal(), None, "{status}");
        assert!(!error.needs_consent(), "{status}");
    }
}

#[tokio::test]
async fn o6_success_clears_a_suspicion() {
    let setup = start().await;
    let store = MemoryStore::new();
    let consent = consent_in(&setup, store.clone()).await;
    setup.emulator.fail_always(TOKEN, gateway());
    for _ in 0..5 {
        assert!(consent.access_token().await.unwrap_err().needs_consent());
        setup.advance(10 * MINUTE);
    }
    setup.emulator.clear_faults();
    let _ = consent.access_token().await.unwrap();
    // The success has cleared the suspicion, so the next refusal starts a new one.
    setup.advance(LIFETIME);
    let error = error_with_fault(&setup, &consent, gateway()).await;
    assert_eq!(suspicion(&error), Some(10 * MINUTE));
}

#[tokio::test]
async fn o6_suspected_consent_is_refreshed_once_a_minute() {
    let setup = start().await;
    let store = MemoryStore::new();
    let here = consent_in(&setup, store.clone()).await;
    let elsewhere = setup.consents(store).consent(&user());
    setup.emulator.fail_always(TOKEN, gateway());
    let first = here.access_token().await.unwrap_err();
    assert_eq!(setup.token_requests(), 1);
    // Other callers in this process and callers in another process receive the same error.
    for consent in [&here, &elsewhere] {
        let calls = spawn_many(consent, 20);
        for call in calls {
            let error = call.await.unwrap().unwrap_err();
            assert_eq!(error.status(), first.status());
            assert!(suspicion(&error).is_some());
            assert_eq!(error.advice(), first.advice());
        }
        assert!(suspicion(&consent.refresh_now().await.unwrap_err()).is_some());
    }
    assert_eq!(setup.token_requests(), 1);
    setup.advance(Duration::from_secs(59));
    assert!(here.access_token().await.is_err());
    assert_eq!(setup.token_requests(), 1);
    setup.advance(Duration::from_secs(1));
    assert!(here.access_token().await.is_err());
    assert!(elsewhere.access_token().await.is_err());
    assert_eq!(setup.token_requests(), 2);
}

#[tokio::test]
async fn o6_pause_of_a_suspected_consent_survives_a_restart() {
    let setup = start().await;
    let store = MemoryStore::new();
    let consent = consent_in(&setup, store.clone()).await;
    let error = error_with_fault(&setup, &consent, gateway()).await;
    assert_eq!(error.retry_after(), Some(MINUTE));
    assert!(error.may_have_been_sent());
    setup.advance(Duration::from_secs(50));
    let restarted = setup.consents(store).consent(&user());
    let error = restarted.access_token().await.unwrap_err();
    // A record stores times in whole milliseconds.
    assert_eq!(error.retry_after().unwrap().as_millis().div_ceil(1000), 10);
    assert_eq!(error.attempts(), 0);
    assert!(!error.may_have_been_sent());
    assert!(error.to_string().contains("nothing was sent"), "{error}");
    setup.advance(Duration::from_secs(10));
    let _ = restarted.access_token().await.unwrap();
    assert_eq!(setup.token_requests(), 2);
}

#[tokio::test]
async fn o6_suspected_consent_is_refreshed_once_a_minute_during_an_outage() {
    let setup = start().await;
    let store = FaultyStore::default();
    let here = consent_in(&setup, store.clone()).await;
    assert!(suspicion(&error_with_fault(&setup, &here, gateway()).await).is_some());
    // Another process has loaded the suspicion from the store but has not sent a request itself.
    let elsewhere = setup.consents_with(store.clone(), OutagePolicy::RefreshWithoutStore).consent(&user());
    let _ = elsewhere.idle_deadline().await.unwrap();
    store.fail_always(StoreFault::unavailable());
    assert!(suspicion(&elsewhere.access_token().await.unwrap_err()).is_some());
    assert_eq!(setup.token_requests(), 1);
    setup.advance(MINUTE);
    let _ = elsewhere.access_token().await.unwrap();
    assert_eq!(setup.token_requests(), 2);
}

#[tokio::test]
async fn o6_error_code_with_another_cause_clears_a_suspicion() {
    let setup = start().await;
    for (body, clears) in
        [(r#"{"error":"invalid_client"}"#, true), (r#"{"error":"temporarily_unavailable"}"#, true), ("<html>", false)]
    {
        let consent = setup.consent().await;
        assert!(suspicion(&error_with_fault(&setup, &consent, gateway()).await).is_some());
        setup.advance(5 * MINUTE);
        assert_eq!(error_with_fault(&setup, &consent, Fault::reply(400, body)).await.refusal(), None, "{body}");
        setup.advance(MINUTE);
        let expected = if clears { 10 * MINUTE } else { 4 * MINUTE };
        assert_eq!(suspicion(&error_with_fault(&setup, &consent, gateway()).await), Some(expected), "{body}");
    }
}

#[tokio::test]
async fn o6_suspected_consent_returns_its_valid_token() {
    let setup = start().await;
    let consent = setup.consent().await;
    let token = consent.access_token().await.unwrap();
    setup.advance(LIFETIME - MINUTE);
    setup.emulator.fail_always(TOKEN, gateway());
    for _ in 0..3 {
        assert_eq!(text(&consent.access_token().await.unwrap()), text(&token));
    }
    setup.advance(MINUTE);
    assert!(suspicion(&consent.access_token().await.unwrap_err()).is_some());
}

#[tokio::test]
async fn o6_suspected_consent_returns_its_valid_token_in_another_process() {
    let setup = start().await;
    let store = MemoryStore::new();
    let consent = consent_in(&setup, store.clone()).await;
    let token = consent.access_token().await.unwrap();
    // The token is about to expire, and its early refresh is refused.
    setup.advance(LIFETIME - 2 * MINUTE);
    setup.emulator.fail_always(TOKEN, gateway());
    assert!(suspicion(&consent.refresh_now().await.unwrap_err()).is_some());
    let before = setup.token_requests();
    let elsewhere = setup.consents(store).consent(&user());
    assert_eq!(text(&elsewhere.access_token().await.unwrap()), text(&token));
    assert_eq!(setup.token_requests(), before);
}

#[tokio::test]
async fn o6_consent_recovers_if_its_suspicion_could_not_be_stored() {
    let setup = start().await;
    let store = FaultyStore::default();
    let consent = consent_in(&setup, store.clone()).await;
    // Writing the lease succeeds, but writing the suspicion fails.
    store.fail_nth(CompareAndSwap, 2, StoreFault::unavailable());
    assert!(suspicion(&error_with_fault(&setup, &consent, gateway()).await).is_some());
    setup.advance(HOUR);
    let _ = consent.access_token().await.unwrap();
}

#[tokio::test]
async fn o6_new_consent_from_another_process_is_not_suspected() {
    let setup = start().await;
    let store = MemoryStore::new();
    let here = setup.consents(store.clone());
    let elsewhere = setup.consents(store);
    let consent = setup.import(&here).await;
    assert!(suspicion(&error_with_fault(&setup, &consent, gateway()).await).is_some());
    assert!(suspicion(&elsewhere.consent(&user()).access_token().await.unwrap_err()).is_some());
    let _ = here.exchange_code(&user(), setup.code()).await.unwrap();
    setup.advance(Duration::from_secs(1));
    let _ = elsewhere.consent(&user()).access_token().await.unwrap();
}

#[tokio::test]
async fn o6_pause_applies_even_if_the_refusal_could_not_be_stored() {
    let setup = start().await;
    let store = FaultyStore::default();
    let consent = consent_in(&setup, store.clone()).await;
    // Writing the lease succeeds, but writing the refusal fails.
    store.fail_nth(CompareAndSwap, 2, StoreFault::unavailable());
    let error = error_with_fault(&setup, &consent, gateway()).await;
    assert!(suspicion(&error).is_some());
    setup.advance(59 * SECOND);
    assert!(suspicion(&consent.access_token().await.unwrap_err()).is_some());
    assert_eq!(setup.token_requests(), 1);
    setup.advance(SECOND);
    let _ = consent.access_token().await.unwrap();
    assert_eq!(setup.token_requests(), 2);
}
