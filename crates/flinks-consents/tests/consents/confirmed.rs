//! Rule O6: when a suspicion is confirmed, which ends the consent.

use tokio::sync::mpsc::unbounded_channel;

use crate::prelude::*;
use crate::suspected::{gateway, refused, suspicion};

/// Another consent of the same client, which can be refreshed while a gateway refuses the first
/// one.
async fn witness(local: &Local, consents: &Consents) -> Consent {
    consents.exchange_code(&id("witness"), local.code()).await.unwrap()
}

async fn refresh(witness: &Consent) {
    let _ = witness.refresh_now().await.unwrap();
}

#[tokio::test]
async fn o6_suspicion_is_confirmed_by_the_same_refusal_after_a_witness() {
    let local = start().await;
    let (sender, mut events) = unbounded_channel();
    let consents = local.builder().on_event(move |id, event| sender.send((id.clone(), event.clone())).unwrap()).build();
    let witness = witness(&local, &consents).await;
    let consent = local.import(&consents).await;
    local.advance(MINUTE);
    refresh(&witness).await;
    assert!(suspicion(&refused(&local, &consent, gateway()).await).is_some());
    // Ten minutes later, without a refresh of another consent since.
    local.advance(10 * MINUTE);
    let error = refused(&local, &consent, gateway()).await;
    assert_eq!(suspicion(&error), Some(Duration::ZERO));
    // With one in between.
    refresh(&witness).await;
    local.advance(MINUTE);
    let error = refused(&local, &consent, gateway()).await;
    assert_eq!(error.refusal(), Some(Refusal::Final));
    assert_eq!(error.advice(), Advice::StartOver);
    local.emulator.clear_faults();
    let before = local.tokens();
    assert_eq!(consent.access_token().await.unwrap_err().refusal(), Some(Refusal::Final));
    assert_eq!(local.tokens(), before, "a consent that has ended sends nothing");
    let mut told = Vec::new();
    while let Ok((of, event)) = events.try_recv() {
        if of == user() {
            told.push(event);
        }
    }
    assert!(matches!(
        told.as_slice(),
        [Event::ConsentSuspected { .. }, Event::ConsentSuspected { .. }, Event::ConsentEnded { .. }]
    ));
}

#[tokio::test]
async fn o6_suspicion_is_not_confirmed_within_ten_minutes() {
    let local = start().await;
    let consents = local.consents(MemoryStore::new());
    let witness = witness(&local, &consents).await;
    let consent = local.import(&consents).await;
    assert!(suspicion(&refused(&local, &consent, gateway()).await).is_some());
    local.advance(9 * MINUTE);
    refresh(&witness).await;
    assert_eq!(suspicion(&refused(&local, &consent, gateway()).await), Some(MINUTE));
}

#[tokio::test]
async fn o6_other_status_or_code_starts_a_new_suspicion() {
    let local = start().await;
    let consents = local.consents(MemoryStore::new());
    let witness = witness(&local, &consents).await;
    let consent = local.import(&consents).await;
    let faults =
        [gateway(), Fault::status(401), Fault::reply(401, r#"{"error":"a"}"#), Fault::reply(401, r#"{"error":"b"}"#)];
    for fault in faults {
        let error = refused(&local, &consent, fault).await;
        assert_eq!(suspicion(&error), Some(10 * MINUTE));
        local.advance(20 * MINUTE);
        refresh(&witness).await;
    }
}

#[tokio::test]
async fn o6_suspicion_without_a_witness_is_confirmed_after_a_day() {
    let local = start().await;
    let store = MemoryStore::new();
    let consent = consent_in(&local, store.clone()).await;
    assert!(suspicion(&refused(&local, &consent, gateway()).await).is_some());
    local.advance(24 * HOUR - MINUTE);
    // The first sighting survives a restart.
    let consent = local.consents(store).consent(&user());
    assert!(suspicion(&refused(&local, &consent, gateway()).await).is_some());
    local.advance(MINUTE);
    assert_eq!(refused(&local, &consent, gateway()).await.refusal(), Some(Refusal::Final));
}

#[tokio::test]
async fn o6_witness_from_the_future_confirms_nothing() {
    let local = start().await;
    let consents = local.consents(MemoryStore::new());
    let witness = witness(&local, &consents).await;
    let consent = local.import(&consents).await;
    local.turn_wall_clock_ahead(24 * HOUR);
    refresh(&witness).await;
    local.turn_wall_clock_back(24 * HOUR);
    assert!(suspicion(&refused(&local, &consent, gateway()).await).is_some());
    local.advance(11 * MINUTE);
    assert_eq!(suspicion(&refused(&local, &consent, gateway()).await), Some(Duration::ZERO));
}
