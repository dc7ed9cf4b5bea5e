//! Tests that a consent keeps its refresh token after a refusal has ended it, and that a single
//! refresh reactivates the consent. (O6)

use crate::prelude::*;
use crate::suspected::{error_with_fault, gateway};

/// Creates a consent that was ended by a refusal, even though the server still accepts its refresh
/// token.
async fn ended(setup: &Setup, consents: &Consents) -> Consent {
    let consent = setup.import(consents).await;
    let error = error_with_fault(setup, &consent, invalid_grant()).await;
    assert_eq!(error.refusal(), Some(Refusal::Final));
    setup.advance(Duration::from_secs(1));
    consent
}

#[tokio::test]
async fn o6_ended_consent_is_reactivated_by_one_refresh() {
    let setup = start().await;
    let store = MemoryStore::new();
    let here = setup.consents(store.clone());
    let elsewhere = setup.consents(store.clone());
    let consent = ended(&setup, &here).await;
    let before = setup.token_requests();
    let calls: Vec<_> = (0..50)
        .map(|number| {
            let consents = if number % 2 == 0 { here.clone() } else { elsewhere.clone() };
            tokio::spawn(async move { consents.reactivate(&user()).await })
        })
        .collect();
    for call in calls {
        let _ = call.await.unwrap().unwrap();
    }
    assert_eq!(setup.token_requests() - before, 1);
    let token = text(&consent.access_token().await.unwrap());
    assert_eq!(text(&elsewhere.consent(&user()).access_token().await.unwrap()), token);
    // The reactivated consent is stored, so a new process can use it.
    let fresh = setup.consents(store).consent(&user());
    assert_eq!(text(&fresh.access_token().await.unwrap()), token);
    // Reactivating an active consent does not refresh it.
    let _ = here.reactivate(&user()).await.unwrap();
    assert_eq!(setup.token_requests() - before, 1);
}

#[tokio::test]
async fn o6_failed_reactivation_leaves_the_consent_ended() {
    let setup = start().await;
    let consents = setup.consents(MemoryStore::new());
    let consent = ended(&setup, &consents).await;
    for fault in [invalid_grant(), gateway(), Fault::reply(502, "<html>")] {
        setup.emulator.clear_faults();
        setup.emulator.fail_always(TOKEN, fault.clone());
        assert!(consents.reactivate(&user()).await.is_err(), "{fault:?}");
        setup.emulator.clear_faults();
        setup.advance(2 * MINUTE);
        let before = setup.token_requests();
        let error = consent.access_token().await.unwrap_err();
        assert_eq!(error.refusal(), Some(Refusal::Final), "{fault:?}");
        assert_eq!(setup.token_requests(), before, "{fault:?}");
    }
    let _ = consents.reactivate(&user()).await.unwrap();
    let _ = consent.access_token().await.unwrap();
}

#[tokio::test]
async fn o6_forgotten_or_idle_consent_cannot_be_reactivated() {
    let setup = start().await;
    let consents = setup.consents(MemoryStore::new());
    assert!(consents.reactivate(&id("nobody")).await.unwrap_err().is_unknown_consent());
    let consent = ended(&setup, &consents).await;
    let before = setup.token_requests();
    setup.advance(30 * 24 * HOUR);
    assert!(consents.reactivate(&user()).await.unwrap_err().needs_consent());
    consent.forget().await.unwrap();
    assert!(consents.reactivate(&user()).await.unwrap_err().is_unknown_consent());
    assert_eq!(setup.token_requests(), before);
}

#[tokio::test]
async fn o6_replaced_consent_leaves_no_refresh_token_to_reactivate() {
    let setup = start().await;
    let store = MemoryStore::new();
    let consents = setup.consents(store.clone());
    let consent = ended(&setup, &consents).await;
    let old = refresh_token();
    let _ = consents.exchange_code(consent.id(), setup.code()).await.unwrap();
    let newest = setup.newest_refresh_token();
    let record = stored_record(&store).await;
    assert!(record.contains(&newest.value));
    assert!(!record.contains(old.expose_secret()));
}

#[tokio::test]
async fn o6_ended_consent_stays_ended_when_a_gateway_refuses_its_reactivation() {
    let setup = start().await;
    let consents = setup.consents(MemoryStore::new());
    let consent = ended(&setup, &consents).await;
    setup.emulator.fail_always(TOKEN, gateway());
    assert_eq!(consents.reactivate(&user()).await.unwrap_err().refusal(), Some(Refusal::Final));
    setup.advance(Duration::from_secs(1));
    assert_eq!(consent.access_token().await.unwrap_err().refusal(), Some(Refusal::Final));
}
