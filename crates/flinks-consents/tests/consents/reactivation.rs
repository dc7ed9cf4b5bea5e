//! Rule O6: a consent that a refusal has ended keeps its refresh token, and is reactivated by one
//! refresh.

use crate::prelude::*;
use crate::suspected::{gateway, refused};

/// A consent that a refusal has ended, and whose refresh token is still valid at Flinks.
async fn ended(local: &Local, consents: &Consents) -> Consent {
    let consent = local.import(consents).await;
    let error = refused(local, &consent, invalid_grant()).await;
    assert_eq!(error.refusal(), Some(Refusal::Final));
    local.advance(Duration::from_secs(1));
    consent
}

#[tokio::test]
async fn o6_ended_consent_is_reactivated_by_one_refresh() {
    let local = start().await;
    let store = MemoryStore::new();
    let here = local.consents(store.clone());
    let elsewhere = local.consents(store.clone());
    let consent = ended(&local, &here).await;
    let before = local.tokens();
    let all: Vec<_> = (0..50)
        .map(|number| {
            let consents = if number % 2 == 0 { here.clone() } else { elsewhere.clone() };
            tokio::spawn(async move { consents.reactivate(&user()).await })
        })
        .collect();
    for one in all {
        let _ = one.await.unwrap().unwrap();
    }
    assert_eq!(local.tokens() - before, 1);
    let token = text(&consent.access_token().await.unwrap());
    assert_eq!(text(&elsewhere.consent(&user()).access_token().await.unwrap()), token);
    // The store has the reactivated consent, so a new process can use it.
    let fresh = local.consents(store).consent(&user());
    assert_eq!(text(&fresh.access_token().await.unwrap()), token);
    // A consent that has not ended is not refreshed.
    let _ = here.reactivate(&user()).await.unwrap();
    assert_eq!(local.tokens() - before, 1);
}

#[tokio::test]
async fn o6_failed_reactivation_leaves_the_consent_ended() {
    let local = start().await;
    let consents = local.consents(MemoryStore::new());
    let consent = ended(&local, &consents).await;
    for fault in [invalid_grant(), gateway(), Fault::reply(502, "<html>")] {
        local.emulator.clear_faults();
        local.emulator.fail_always(TOKEN, fault.clone());
        assert!(consents.reactivate(&user()).await.is_err(), "{fault:?}");
        local.emulator.clear_faults();
        local.advance(2 * MINUTE);
        let before = local.tokens();
        let error = consent.access_token().await.unwrap_err();
        assert_eq!(error.refusal(), Some(Refusal::Final), "{fault:?}");
        assert_eq!(local.tokens(), before, "{fault:?}");
    }
    let _ = consents.reactivate(&user()).await.unwrap();
    let _ = consent.access_token().await.unwrap();
}

#[tokio::test]
async fn o6_erased_or_idle_consent_cannot_be_reactivated() {
    let local = start().await;
    let consents = local.consents(MemoryStore::new());
    assert!(consents.reactivate(&id("nobody")).await.unwrap_err().is_unknown_consent());
    let consent = ended(&local, &consents).await;
    let before = local.tokens();
    local.advance(30 * 24 * HOUR);
    assert!(consents.reactivate(&user()).await.unwrap_err().needs_consent());
    consent.forget().await.unwrap();
    assert!(consents.reactivate(&user()).await.unwrap_err().is_unknown_consent());
    assert_eq!(local.tokens(), before);
}

#[tokio::test]
async fn o6_replaced_consent_leaves_no_refresh_token_to_reactivate() {
    let local = start().await;
    let store = MemoryStore::new();
    let consents = local.consents(store.clone());
    let consent = ended(&local, &consents).await;
    let old = refresh_token();
    let _ = consents.exchange_code(consent.id(), local.code()).await.unwrap();
    let newest = local.newest_refresh_token();
    let kept = kept_in(&store).await;
    assert!(kept.contains(&newest.value));
    assert!(!kept.contains(old.expose_secret()));
}

#[tokio::test]
async fn o6_ended_consent_stays_ended_when_a_gateway_refuses_its_reactivation() {
    let local = start().await;
    let consents = local.consents(MemoryStore::new());
    let consent = ended(&local, &consents).await;
    local.emulator.fail_always(TOKEN, gateway());
    assert_eq!(consents.reactivate(&user()).await.unwrap_err().refusal(), Some(Refusal::Final));
    local.advance(Duration::from_secs(1));
    assert_eq!(consent.access_token().await.unwrap_err().refusal(), Some(Refusal::Final));
}
