//! Tests the conditions that confirm a suspicion. A confirmed suspicion ends the consent. (O6)

use tokio::sync::mpsc::unbounded_channel;

use crate::prelude::*;
use crate::suspected::{error_with_fault, gateway, suspicion};

/// Creates a second consent for the same client. The second consent's refreshes succeed while a
/// gateway refuses those of the first consent.
async fn witness(setup: &Setup, consents: &Consents) -> Consent {
    consents.exchange_code(&id("witness"), setup.code()).await.unwrap()
}

async fn refresh(witness: &Consent) {
    let _ = witness.refresh_now().await.unwrap();
}

#[tokio::test]
async fn o6_suspicion_is_confirmed_by_the_same_refusal_after_a_witness() {
    let setup = start().await;
    let (sender, mut events) = unbounded_channel();
    let consents = setup.builder().on_event(move |id, event| sender.send((id.clone(), event.clone())).unwrap()).build();
    let witness = witness(&setup, &consents).await;
    let consent = setup.import(&consents).await;
    setup.advance(MINUTE);
    refresh(&witness).await;
    assert!(suspicion(&error_with_fault(&setup, &consent, gateway()).await).is_some());
    // Ten minutes pass, but no other consent is refreshed.
    setup.advance(10 * MINUTE);
    let error = error_with_fault(&setup, &consent, gateway()).await;
    assert_eq!(suspicion(&error), Some(Duration::ZERO));
    // Another consent is refreshed before the next refusal.
    refresh(&witness).await;
    setup.advance(MINUTE);
    let error = error_with_fault(&setup, &consent, gateway()).await;
    assert_eq!(error.refusal(), Some(Refusal::Final));
    assert_eq!(error.advice(), Advice::StartOver);
    setup.emulator.clear_faults();
    let before = setup.token_requests();
    assert_eq!(consent.access_token().await.unwrap_err().refusal(), Some(Refusal::Final));
    assert_eq!(setup.token_requests(), before, "an ended consent sends no request");
    let mut reported = Vec::new();
    while let Ok((id, event)) = events.try_recv() {
        if id == user() {
            reported.push(event);
        }
    }
    assert!(matches!(
        reported.as_slice(),
        [Event::ConsentSuspected { .. }, Event::ConsentSuspected { .. }, Event::ConsentEnded { .. }]
    ));
}

#[tokio::test]
async fn o6_suspicion_is_not_confirmed_within_ten_minutes() {
    let setup = start().await;
    let consents = setup.consents(MemoryStore::new());
    let witness = witness(&setup, &consents).await;
    let consent = setup.import(&consents).await;
    assert!(suspicion(&error_with_fault(&setup, &consent, gateway()).await).is_some());
    setup.advance(9 * MINUTE);
    refresh(&witness).await;
    assert_eq!(suspicion(&error_with_fault(&setup, &consent, gateway()).await), Some(MINUTE));
}

#[tokio::test]
async fn o6_other_status_or_code_starts_a_new_suspicion() {
    let setup = start().await;
    let consents = setup.consents(MemoryStore::new());
    let witness = witness(&setup, &consents).await;
    let consent = setup.import(&consents).await;
    let faults =
        [gateway(), Fault::status(401), Fault::reply(401, r#"{"error":"a"}"#), Fault::reply(401, r#"{"error":"b"}"#)];
    for fault in faults {
        let error = error_with_fault(&setup, &consent, fault).await;
        assert_eq!(suspicion(&error), Some(10 * MINUTE));
        setup.advance(20 * MINUTE);
        refresh(&witness).await;
    }
}

#[tokio::test]
async fn o6_suspicion_without_a_witness_is_confirmed_after_a_day() {
    let setup = start().await;
    let store = MemoryStore::new();
    let consent = consent_in(&setup, store.clone()).await;
    assert!(suspicion(&error_with_fault(&setup, &consent, gateway()).await).is_some());
    setup.advance(24 * HOUR - MINUTE);
    // The time of the first refusal is stored, so it survives a restart.
    let consent = setup.consents(store).consent(&user());
    assert!(suspicion(&error_with_fault(&setup, &consent, gateway()).await).is_some());
    setup.advance(MINUTE);
    assert_eq!(error_with_fault(&setup, &consent, gateway()).await.refusal(), Some(Refusal::Final));
}

#[tokio::test]
async fn o6_witness_with_a_future_time_confirms_nothing() {
    let setup = start().await;
    let consents = setup.consents(MemoryStore::new());
    let witness = witness(&setup, &consents).await;
    let consent = setup.import(&consents).await;
    setup.move_wall_clock_forward(24 * HOUR);
    refresh(&witness).await;
    setup.move_wall_clock_back(24 * HOUR);
    assert!(suspicion(&error_with_fault(&setup, &consent, gateway()).await).is_some());
    setup.advance(11 * MINUTE);
    assert_eq!(suspicion(&error_with_fault(&setup, &consent, gateway()).await), Some(Duration::ZERO));
}
