//! Rule O6: which refusal of a refresh ends a consent, which one makes it suspected, and how it is revived.

use std::time::Duration;

use flinks::outbound::{Consent, Consents, Event, MemoryStore, StoreOutage};
use flinks::{Advice, Error, Refusal};
use flinks_emulator::{Fault, Kind};
use tokio::sync::mpsc::unbounded_channel;

use crate::Local;
use crate::consents::{BadStore, LIFETIME, Plan, TOKEN, builder, consent, consent_in, id, spawn, start, text};
use crate::outbound::{client_at, code, credentials, refresh_token};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);

/// The reply of a gateway between the client and Flinks.
fn gateway() -> Fault {
    Fault::status(403)
}

/// Another consent of the same client, which can be refreshed while a gateway refuses the first one.
async fn witness(local: &Local, consents: &Consents) -> Consent {
    let code = code(local, &client_at(local, credentials())).await;
    consents.exchange_code(&id("witness"), code).await.unwrap()
}

async fn refresh(witness: &Consent) {
    let _ = witness.exchange_now().await.unwrap();
}

async fn refused(local: &Local, consent: &Consent, fault: Fault) -> Error {
    local.emulator.clear_faults();
    local.emulator.fail_always(TOKEN, fault);
    let error = consent.access_token().await.unwrap_err();
    local.emulator.clear_faults();
    error
}

fn suspicion(error: &Error) -> Option<Duration> {
    match error.refusal() {
        Some(Refusal::Suspected { confirm_after, .. }) => Some(confirm_after),
        _ => None,
    }
}

#[tokio::test]
async fn o6_refusals_that_a_gateway_sends_are_suspected_and_others_are_not() {
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
            let consent = consent(&local).await;
            let error = refused(&local, &consent, Fault::reply(status, body)).await;
            assert_eq!(suspicion(&error), Some(10 * MINUTE), "{status} {body}");
            assert!(error.needs_consent(), "{status} {body}");
            assert_eq!(error.advice(), Advice::WaitOrStartOver, "{status} {body}");
        }
        for body in [r#"{"error":"invalid_grant"}"#, r#"{"error":"access_denied"}"#] {
            let consent = consent(&local).await;
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
            let consent = consent(&local).await;
            let error = refused(&local, &consent, Fault::reply(status, body)).await;
            assert_eq!(error.refusal(), None, "{status} {body}");
            assert!(!error.needs_consent(), "{status} {body}");
        }
    }
}

#[tokio::test]
async fn o6_another_status_is_no_refusal() {
    let local = start().await;
    for status in [402, 404, 405, 407, 410, 418, 451, 500, 502, 503] {
        let consent = consent(&local).await;
        let error = refused(&local, &consent, Fault::reply(status, r#"{"error":"Unauthorized"}"#)).await;
        assert_eq!(error.refusal(), None, "{status}");
        assert!(!error.needs_consent(), "{status}");
    }
}

#[tokio::test]
async fn o6_a_suspected_consent_lives_on_when_the_gateway_is_gone() {
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
    // The success has cleared the suspicion: the next refusal is a first one.
    local.advance(LIFETIME);
    let error = refused(&local, &consent, gateway()).await;
    assert_eq!(suspicion(&error), Some(10 * MINUTE));
}

#[tokio::test]
async fn o6_one_refresh_a_minute_is_sent_while_a_consent_is_suspected() {
    let local = start().await;
    let store = MemoryStore::new();
    let here = consent_in(&local, store.clone()).await;
    let elsewhere = builder(&local).store(store).build().consent(&id("user-7"));
    local.emulator.fail_always(TOKEN, gateway());
    let first = here.access_token().await.unwrap_err();
    assert_eq!(local.tokens(), 1);
    // Others in this process, and in another one, get the same error.
    for consent in [&here, &elsewhere] {
        let all: Vec<_> = (0..20).map(|_| spawn(consent)).collect();
        for one in all {
            let error = one.await.unwrap().unwrap_err();
            assert_eq!(error.status(), first.status());
            assert!(suspicion(&error).is_some());
            assert_eq!(error.advice(), first.advice());
        }
        assert!(suspicion(&consent.exchange_now().await.unwrap_err()).is_some());
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
async fn o6_a_restart_neither_shortens_nor_prolongs_the_minute() {
    let local = start().await;
    let store = MemoryStore::new();
    let consent = consent_in(&local, store.clone()).await;
    let error = refused(&local, &consent, gateway()).await;
    assert_eq!(error.retry_after(), Some(MINUTE));
    assert!(error.may_have_been_sent());
    local.advance(Duration::from_secs(50));
    let restarted = builder(&local).store(store).build().consent(&id("user-7"));
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
async fn o6_a_refusal_is_confirmed_by_the_same_one_and_a_witness_in_between() {
    let local = start().await;
    let (sender, mut events) = unbounded_channel();
    let consents = builder(&local).on_event(move |id, event| sender.send((id.clone(), event.clone())).unwrap()).build();
    let witness = witness(&local, &consents).await;
    let consent = consents.insert(&id("user-7"), refresh_token(), local.now()).await.unwrap();
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
        if of == id("user-7") {
            told.push(event);
        }
    }
    assert!(matches!(
        told.as_slice(),
        [Event::ConsentSuspected { .. }, Event::ConsentSuspected { .. }, Event::ConsentOver { .. }]
    ));
}

#[tokio::test]
async fn o6_before_ten_minutes_a_witness_confirms_nothing() {
    let local = start().await;
    let consents = builder(&local).build();
    let witness = witness(&local, &consents).await;
    let consent = consents.insert(&id("user-7"), refresh_token(), local.now()).await.unwrap();
    assert!(suspicion(&refused(&local, &consent, gateway()).await).is_some());
    local.advance(9 * MINUTE);
    refresh(&witness).await;
    assert_eq!(suspicion(&refused(&local, &consent, gateway()).await), Some(MINUTE));
}

#[tokio::test]
async fn o6_another_status_or_code_begins_a_new_suspicion() {
    let local = start().await;
    let consents = builder(&local).build();
    let witness = witness(&local, &consents).await;
    let consent = consents.insert(&id("user-7"), refresh_token(), local.now()).await.unwrap();
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
async fn o6_without_a_witness_a_refusal_is_confirmed_after_a_day() {
    let local = start().await;
    let store = MemoryStore::new();
    let consent = consent_in(&local, store.clone()).await;
    assert!(suspicion(&refused(&local, &consent, gateway()).await).is_some());
    local.advance(24 * HOUR - MINUTE);
    // The first sighting survives a restart.
    let consent = builder(&local).store(store).build().consent(&id("user-7"));
    assert!(suspicion(&refused(&local, &consent, gateway()).await).is_some());
    local.advance(MINUTE);
    assert_eq!(refused(&local, &consent, gateway()).await.refusal(), Some(Refusal::Final));
}

#[tokio::test]
async fn o6_a_code_that_names_another_cause_clears_a_suspicion_and_an_unreadable_body_does_not() {
    let local = start().await;
    for (body, clears) in
        [(r#"{"error":"invalid_client"}"#, true), (r#"{"error":"temporarily_unavailable"}"#, true), ("<html>", false)]
    {
        let consent = consent(&local).await;
        assert!(suspicion(&refused(&local, &consent, gateway()).await).is_some());
        local.advance(5 * MINUTE);
        assert_eq!(refused(&local, &consent, Fault::reply(400, body)).await.refusal(), None, "{body}");
        local.advance(MINUTE);
        let expected = if clears { 10 * MINUTE } else { 4 * MINUTE };
        assert_eq!(suspicion(&refused(&local, &consent, gateway()).await), Some(expected), "{body}");
    }
}

#[tokio::test]
async fn o6_a_suspected_consent_hands_out_its_valid_token() {
    let local = start().await;
    let consent = consent(&local).await;
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
async fn o6_a_suspected_consent_hands_out_its_valid_token_in_another_process() {
    let local = start().await;
    let store = MemoryStore::new();
    let consent = consent_in(&local, store.clone()).await;
    let token = consent.access_token().await.unwrap();
    // It is about to expire, so it is refreshed early, and that is refused.
    local.advance(LIFETIME - 2 * MINUTE);
    local.emulator.fail_always(TOKEN, gateway());
    assert!(suspicion(&consent.exchange_now().await.unwrap_err()).is_some());
    let before = local.tokens();
    let elsewhere = builder(&local).store(store).build().consent(&id("user-7"));
    assert_eq!(text(&elsewhere.access_token().await.unwrap()), text(&token));
    assert_eq!(local.tokens(), before);
}

#[tokio::test]
async fn o6_one_refresh_a_minute_is_sent_without_the_store_too() {
    let local = start().await;
    let store = BadStore::default();
    let here = consent_in(&local, store.clone()).await;
    assert!(suspicion(&refused(&local, &here, gateway()).await).is_some());
    // Another process has seen the suspicion in the store, and has sent nothing itself.
    let elsewhere = builder(&local).store(store.clone()).store_outage(StoreOutage::GoOn).build().consent(&id("user-7"));
    let _ = elsewhere.idle_deadline().await.unwrap();
    store.always(Plan::Fail);
    assert!(suspicion(&elsewhere.access_token().await.unwrap_err()).is_some());
    assert_eq!(local.tokens(), 1);
    local.advance(MINUTE);
    let _ = elsewhere.access_token().await.unwrap();
    assert_eq!(local.tokens(), 2);
}

#[tokio::test]
async fn o6_a_sighting_that_cannot_be_stored_loses_nothing() {
    let local = start().await;
    let store = BadStore::default();
    let consent = consent_in(&local, store.clone()).await;
    // The load and the claim work; the sighting cannot be written.
    store.plan([Plan::Work, Plan::Work, Plan::Fail]);
    assert!(suspicion(&refused(&local, &consent, gateway()).await).is_some());
    local.advance(HOUR);
    let _ = consent.access_token().await.unwrap();
}

/// A consent that a refusal has ended, and whose refresh token is still valid at Flinks.
async fn ended(local: &Local, consents: &Consents) -> Consent {
    let consent = consents.insert(&id("user-7"), refresh_token(), local.now()).await.unwrap();
    let error = refused(local, &consent, Fault::reply(400, r#"{"error":"invalid_grant"}"#)).await;
    assert_eq!(error.refusal(), Some(Refusal::Final));
    local.advance(Duration::from_secs(1));
    consent
}

#[tokio::test]
async fn o6_a_consent_that_a_refusal_has_ended_is_revived_by_one_refresh() {
    let local = start().await;
    let store = MemoryStore::new();
    let here = builder(&local).store(store.clone()).build();
    let elsewhere = builder(&local).store(store.clone()).build();
    let consent = ended(&local, &here).await;
    let before = local.tokens();
    let all: Vec<_> = (0..50)
        .map(|number| {
            let consents = if number % 2 == 0 { here.clone() } else { elsewhere.clone() };
            tokio::spawn(async move { consents.revive(&id("user-7")).await })
        })
        .collect();
    for one in all {
        let _ = one.await.unwrap().unwrap();
    }
    assert_eq!(local.tokens() - before, 1);
    let token = text(&consent.access_token().await.unwrap());
    assert_eq!(text(&elsewhere.consent(&id("user-7")).access_token().await.unwrap()), token);
    // The store has the revived consent, so a new process can use it.
    let fresh = builder(&local).store(store).build().consent(&id("user-7"));
    assert_eq!(text(&fresh.access_token().await.unwrap()), token);
    // A consent that has not ended is not refreshed.
    let _ = here.revive(&id("user-7")).await.unwrap();
    assert_eq!(local.tokens() - before, 1);
}

#[tokio::test]
async fn o6_a_revival_that_fails_leaves_the_consent_ended() {
    let local = start().await;
    let consents = builder(&local).build();
    let consent = ended(&local, &consents).await;
    for fault in [Fault::reply(400, r#"{"error":"invalid_grant"}"#), gateway(), Fault::reply(502, "<html>")] {
        local.emulator.clear_faults();
        local.emulator.fail_always(TOKEN, fault.clone());
        assert!(consents.revive(&id("user-7")).await.is_err(), "{fault:?}");
        local.emulator.clear_faults();
        local.advance(2 * MINUTE);
        let before = local.tokens();
        let error = consent.access_token().await.unwrap_err();
        assert_eq!(error.refusal(), Some(Refusal::Final), "{fault:?}");
        assert_eq!(local.tokens(), before, "{fault:?}");
    }
    let _ = consents.revive(&id("user-7")).await.unwrap();
    let _ = consent.access_token().await.unwrap();
}

#[tokio::test]
async fn o6_what_was_erased_or_has_idled_out_cannot_be_revived() {
    let local = start().await;
    let consents = builder(&local).build();
    assert!(consents.revive(&id("nobody")).await.unwrap_err().is_unknown_consent());
    let consent = ended(&local, &consents).await;
    let before = local.tokens();
    local.advance(30 * 24 * HOUR);
    assert!(consents.revive(&id("user-7")).await.unwrap_err().needs_consent());
    consent.forget().await.unwrap();
    assert!(consents.revive(&id("user-7")).await.unwrap_err().is_unknown_consent());
    assert_eq!(local.tokens(), before);
}

#[tokio::test]
async fn o6_a_replaced_consent_leaves_no_refresh_token_to_revive() {
    let local = start().await;
    let store = MemoryStore::new();
    let consents = builder(&local).store(store.clone()).build();
    let consent = ended(&local, &consents).await;
    let old = refresh_token();
    let code = code(&local, consents.client()).await;
    let _ = consents.exchange_code(consent.id(), code).await.unwrap();
    let newest = local.emulator.issued().into_iter().rfind(|issued| issued.kind == Kind::RefreshToken).unwrap();
    let kept = crate::consents::kept_in(&store).await;
    assert!(kept.contains(&newest.value));
    assert!(!kept.contains(old.expose_secret()));
}

#[tokio::test]
async fn o6_a_consent_that_is_given_again_elsewhere_is_not_suspected_here() {
    let (local, store) = (start().await, MemoryStore::new());
    let here = builder(&local).store(store.clone()).build();
    let elsewhere = builder(&local).store(store).build();
    let consent = here.insert(&id("user-7"), refresh_token(), local.now()).await.unwrap();
    assert!(suspicion(&refused(&local, &consent, gateway()).await).is_some());
    assert!(suspicion(&elsewhere.consent(&id("user-7")).access_token().await.unwrap_err()).is_some());
    let again = code(&local, here.client()).await;
    let _ = here.exchange_code(&id("user-7"), again).await.unwrap();
    local.advance(Duration::from_secs(1));
    let _ = elsewhere.consent(&id("user-7")).access_token().await.unwrap();
}

#[tokio::test]
async fn o6_a_witness_from_the_future_confirms_nothing() {
    let local = start().await;
    let consents = builder(&local).build();
    let witness = witness(&local, &consents).await;
    let consent = consents.insert(&id("user-7"), refresh_token(), local.now()).await.unwrap();
    local.clock.advance_wall(24 * HOUR);
    refresh(&witness).await;
    local.clock.set_wall_back(24 * HOUR);
    assert!(suspicion(&refused(&local, &consent, gateway()).await).is_some());
    local.advance(11 * MINUTE);
    assert_eq!(suspicion(&refused(&local, &consent, gateway()).await), Some(Duration::ZERO));
}

#[tokio::test]
async fn o6_an_ended_consent_is_not_suspected_after_a_revival_that_a_gateway_refuses() {
    let local = start().await;
    let consents = builder(&local).build();
    let consent = ended(&local, &consents).await;
    local.emulator.fail_always(TOKEN, gateway());
    assert_eq!(consents.revive(&id("user-7")).await.unwrap_err().refusal(), Some(Refusal::Final));
    local.advance(Duration::from_secs(1));
    assert_eq!(consent.access_token().await.unwrap_err().refusal(), Some(Refusal::Final));
}
