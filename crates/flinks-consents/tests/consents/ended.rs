//! Tests which errors end a consent. (O6)

use crate::prelude::*;

#[tokio::test]
async fn o6_ended_consent_stays_ended_until_the_user_consents_again() {
    let setup = start().await;
    let store = MemoryStore::new();
    let consent = consent_in(&setup, store.clone()).await;
    let first = consent.access_token().await.unwrap();
    assert!(stored_record(&store).await.contains(first.expose_secret()));
    setup.client().revoke(&first).await.unwrap();
    consent.invalidate(&first);
    setup.advance(SECOND);
    let error = consent.access_token().await.unwrap_err();
    assert!(error.needs_consent());
    assert_eq!(error.status(), Some(400));
    assert!(
        !stored_record(&store).await.contains(first.expose_secret()),
        "the record of the ended consent still contains an access token"
    );
    for _ in 0..10 {
        assert!(consent.access_token().await.unwrap_err().needs_consent());
        assert!(consent.refresh_now().await.unwrap_err().needs_consent());
        setup.advance(HOUR);
    }
    assert_eq!(setup.token_requests(), 2);

    // After the end user has consented again, the same handle works.
    let consents = setup.consents(MemoryStore::new());
    let consent = consents.consent(&user());
    assert!(consent.access_token().await.unwrap_err().needs_consent());
    let _ = consents.exchange_code(&user(), setup.code()).await.unwrap();
    let _ = consent.access_token().await.unwrap();
    assert_eq!(setup.token_requests(), 3);
}

#[tokio::test]
async fn o6_early_refresh_that_ends_the_consent_keeps_the_valid_token() {
    let setup = start().await;
    let (consent, mut events) = setup.consent_with_events().await;
    let first = consent.access_token().await.unwrap();
    setup.advance(LIFETIME - MINUTE);
    setup.emulator.fail_next(TOKEN, invalid_grant());
    assert_eq!(text(&consent.access_token().await.unwrap()), text(&first));
    let _ = events.recv().await;
    assert!(matches!(events.recv().await, Some(Event::ConsentEnded { .. })));
    assert_eq!(text(&consent.access_token().await.unwrap()), text(&first));
    setup.advance(MINUTE);
    assert!(consent.access_token().await.unwrap_err().needs_consent());
    assert_eq!(setup.token_requests(), 2);
}

#[tokio::test]
async fn o6_caller_error_does_not_end_the_consent() {
    let setup = start().await;
    let consent = setup.consent().await;
    for (status, code) in [(401, "invalid_client"), (400, "invalid_scope"), (403, "")] {
        let body = if code.is_empty() { "<html>".to_owned() } else { format!(r#"{{"error":"{code}"}}"#) };
        setup.emulator.fail_next(TOKEN, Fault::reply(status, body));
        let error = consent.access_token().await.unwrap_err();
        assert!(!error.needs_consent());
        assert_eq!(error.status(), Some(status));
        setup.advance(MINUTE);
    }
    let _ = consent.access_token().await.unwrap();
}

#[tokio::test]
async fn o6_refusal_of_a_replaced_token_does_not_end_the_consent() {
    let setup = start().await;
    let consents = setup.consents(MemoryStore::new());
    let consent = setup.import(&consents).await;
    let first = consent.access_token().await.unwrap();
    setup.advance(SECOND);
    consent.invalidate(&first);
    let call = setup.held_call(&consent, When::Before).await;
    let _ = consents.exchange_code(&user(), setup.code()).await.unwrap();
    setup.client().revoke(&first).await.unwrap();
    setup.emulator.release();
    let token = call.await.unwrap().unwrap();
    assert_eq!(text(&token), text(&consent.access_token().await.unwrap()));
    assert_eq!(setup.token_requests(), 3);
}

#[tokio::test]
async fn o6_refusal_that_could_not_be_stored_is_remembered() {
    let setup = start().await;
    let store = FaultyStore::default();
    let consent = consent_in(&setup, store.clone()).await;
    let first = consent.access_token().await.unwrap();
    setup.client().revoke(&first).await.unwrap();
    consent.invalidate(&first);
    setup.advance(SECOND);
    let call = setup.held_call(&consent, When::Before).await;
    store.fail_always(StoreFault::unavailable());
    setup.emulator.release();
    assert!(call.await.unwrap().unwrap_err().needs_consent());
    assert!(consent.idle_deadline().await.unwrap_err().needs_consent());
}
