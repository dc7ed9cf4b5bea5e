//! Rule O6: what ends a consent, and what does not.

use crate::prelude::*;

#[tokio::test]
async fn o6_ended_consent_stays_ended_until_the_user_consents_again() {
    let local = start().await;
    let store = MemoryStore::new();
    let consent = consent_in(&local, store.clone()).await;
    let first = consent.access_token().await.unwrap();
    assert!(kept_in(&store).await.contains(first.expose_secret()));
    local.client().revoke(&first).await.unwrap();
    consent.invalidate(&first);
    local.advance(SECOND);
    let error = consent.access_token().await.unwrap_err();
    assert!(error.needs_consent());
    assert_eq!(error.status(), Some(400));
    assert!(!kept_in(&store).await.contains(first.expose_secret()), "an ended consent keeps no access token");
    for _ in 0..10 {
        assert!(consent.access_token().await.unwrap_err().needs_consent());
        assert!(consent.refresh_now().await.unwrap_err().needs_consent());
        local.advance(HOUR);
    }
    assert_eq!(local.tokens(), 2);

    // After the end user has consented again, the same handle works.
    let consents = local.consents(MemoryStore::new());
    let consent = consents.consent(&user());
    assert!(consent.access_token().await.unwrap_err().needs_consent());
    let _ = consents.exchange_code(&user(), local.code()).await.unwrap();
    let _ = consent.access_token().await.unwrap();
    assert_eq!(local.tokens(), 3);
}

#[tokio::test]
async fn o6_early_refresh_that_ends_the_consent_keeps_the_valid_token() {
    let local = start().await;
    let (consent, mut events) = local.consent_with_events().await;
    let first = consent.access_token().await.unwrap();
    local.advance(LIFETIME - MINUTE);
    local.emulator.fail_next(TOKEN, invalid_grant());
    assert_eq!(text(&consent.access_token().await.unwrap()), text(&first));
    let _ = events.recv().await;
    assert!(matches!(events.recv().await, Some(Event::ConsentEnded { .. })));
    assert_eq!(text(&consent.access_token().await.unwrap()), text(&first));
    local.advance(MINUTE);
    assert!(consent.access_token().await.unwrap_err().needs_consent());
    assert_eq!(local.tokens(), 2);
}

#[tokio::test]
async fn o6_caller_mistake_does_not_end_the_consent() {
    let local = start().await;
    let consent = local.consent().await;
    for (status, code) in [(401, "invalid_client"), (400, "invalid_scope"), (403, "")] {
        let body = if code.is_empty() { "<html>".to_owned() } else { format!(r#"{{"error":"{code}"}}"#) };
        local.emulator.fail_next(TOKEN, Fault::reply(status, body));
        let error = consent.access_token().await.unwrap_err();
        assert!(!error.needs_consent());
        assert_eq!(error.status(), Some(status));
        local.advance(MINUTE);
    }
    let _ = consent.access_token().await.unwrap();
}

#[tokio::test]
async fn o6_refusal_of_a_replaced_token_does_not_end_the_consent() {
    let local = start().await;
    let consents = local.consents(MemoryStore::new());
    let consent = local.import(&consents).await;
    let first = consent.access_token().await.unwrap();
    local.advance(SECOND);
    consent.invalidate(&first);
    let call = local.held_call(&consent, When::Before).await;
    let _ = consents.exchange_code(&user(), local.code()).await.unwrap();
    local.client().revoke(&first).await.unwrap();
    local.emulator.release();
    let token = call.await.unwrap().unwrap();
    assert_eq!(text(&token), text(&consent.access_token().await.unwrap()));
    assert_eq!(local.tokens(), 3);
}

#[tokio::test]
async fn o6_end_that_could_not_be_stored_is_remembered() {
    let local = start().await;
    let store = FaultyStore::default();
    let consent = consent_in(&local, store.clone()).await;
    let first = consent.access_token().await.unwrap();
    local.client().revoke(&first).await.unwrap();
    consent.invalidate(&first);
    local.advance(SECOND);
    let call = local.held_call(&consent, When::Before).await;
    store.fail_always(StoreFault::unavailable());
    local.emulator.release();
    assert!(call.await.unwrap().unwrap_err().needs_consent());
    assert!(consent.idle_deadline().await.unwrap_err().needs_consent());
}
