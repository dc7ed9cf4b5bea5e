//! Tests that a refresh token idles out 30 days after its last use. Also tests that the idle
//! deadline is reported and that a refresh extends it. (O5)

use tokio::sync::mpsc::unbounded_channel;

use crate::prelude::*;

#[tokio::test]
async fn o5_idle_deadline_is_reported_and_survives_a_restart() {
    let setup = start().await;
    let store = MemoryStore::new();
    let consented_at = setup.now();
    let first = consent_in(&setup, store.clone()).await;
    drop(first);
    let (sender, mut events) = unbounded_channel();
    let restart = || {
        let sender = sender.clone();
        let consents = setup.builder().store(store.clone());
        consents.on_event(move |_, event| sender.send(event.clone()).unwrap()).build()
    };
    // A record stores times in whole milliseconds.
    let near = |one: SystemTime, other: SystemTime| {
        one.duration_since(other).or(other.duration_since(one)).unwrap() < Duration::from_millis(2)
    };
    assert!(near(restart().consent(&user()).idle_deadline().await.unwrap(), consented_at + 30 * DAY));

    // Slightly less than three days are left until the deadline.
    setup.advance(27 * DAY + SECOND);
    assert_eq!(restart().due_within(3 * DAY, 10).await.unwrap(), [user()]);
    assert_eq!(restart().due_within(2 * DAY, 10).await.unwrap(), []);
    let consent = restart().consent(&user());
    let _ = consent.access_token().await.unwrap();
    let Some(Event::IdleDeadlineNear { idle_deadline, .. }) = events.recv().await else {
        panic!("expected Event::IdleDeadlineNear")
    };
    assert!(near(idle_deadline, consented_at + 30 * DAY));
    assert!(matches!(events.recv().await, Some(Event::Refreshed { .. })));
    assert!(near(consent.idle_deadline().await.unwrap(), consented_at + 57 * DAY + SECOND));
    assert_eq!(restart().due_within(29 * DAY, 10).await.unwrap(), []);

    // After the deadline, the first call sends one request. Later calls fail without a request.
    setup.advance(30 * DAY + SECOND);
    let consent = restart().consent(&user());
    let error = consent.access_token().await.unwrap_err();
    assert!(error.needs_consent());
    assert!(error.oauth_error().is_some());
    assert!(matches!(events.recv().await, Some(Event::IdleDeadlineNear { .. })));
    let Some(Event::ConsentEnded { error, .. }) = events.recv().await else { panic!("expected Event::ConsentEnded") };
    assert!(error.needs_consent());
    assert_eq!(setup.token_requests(), 2);
    for consent in [consent, restart().consent(&user())] {
        let error = consent.access_token().await.unwrap_err();
        assert!(error.needs_consent(), "{error}");
        assert!(!error.may_have_been_sent(), "{error}");
        assert!(!error.is_transient(), "{error}");
        assert!(consent.idle_deadline().await.unwrap_err().needs_consent());
    }
    assert_eq!(restart().due_within(90 * DAY, 10).await.unwrap(), []);
    assert_eq!(setup.token_requests(), 2);
    assert!(events.try_recv().is_err());
}

#[tokio::test]
async fn o5_explicit_refresh_keeps_a_consent_alive() {
    let setup = start().await;
    let consent = setup.consent().await;
    let first = consent.access_token().await.unwrap();
    for _ in 0..3 {
        setup.advance(29 * DAY);
        let _ = consent.refresh_now().await.unwrap();
    }
    assert_eq!(setup.token_requests(), 4);
    let left = consent.idle_deadline().await.unwrap().duration_since(setup.now()).unwrap();
    assert!(left > 30 * DAY - HOUR, "{left:?}");
    // Later calls return the new token, although the previous one is still valid.
    setup.advance(SECOND);
    let refreshed = consent.refresh_now().await.unwrap();
    assert_eq!(text(&consent.access_token().await.unwrap()), text(&refreshed));
    assert_ne!(text(&refreshed), text(&first));
    assert_eq!(setup.token_requests(), 5);
    // Concurrent calls share one refresh.
    setup.advance(SECOND);
    setup.emulator.fail_next(TOKEN, hold(When::After));
    let all: Vec<_> = (0..10)
        .map(|_| {
            let consent = consent.clone();
            tokio::spawn(async move { consent.refresh_now().await })
        })
        .collect();
    setup.emulator.received(TOKEN, 6).await;
    tokio::task::yield_now().await;
    setup.emulator.release();
    assert_eq!(distinct_tokens(all).await.len(), 1);
    assert_eq!(setup.token_requests(), 6);
}

#[tokio::test]
async fn o5_explicit_refresh_does_not_accept_a_token_from_the_store() {
    let setup = start().await;
    let store = FaultyStore::default();
    let _ = consent_in(&setup, store.inner().clone()).await.access_token().await.unwrap();
    // A new process loads the record, which has an access token. The test calls `refresh_now`
    // during the load.
    let consent = setup.consents(store.clone()).consent(&user());
    store.fail_next(Load, StoreFault::Hold);
    let call = spawn(&consent);
    store.received(Load, 1).await;
    let mut refresh = Box::pin(consent.refresh_now());
    assert!(is_pending(&mut refresh).await);
    store.release();
    let stored = call.await.unwrap().unwrap();
    assert_ne!(text(&refresh.await.unwrap()), text(&stored));
    assert_eq!(setup.token_requests(), 2);
}

#[tokio::test]
async fn o5_due_lists_consents_by_idle_deadline_without_overflow() {
    let setup = start().await;
    let consents = setup.consents(MemoryStore::new());
    for (name, days) in [("b", 20), ("a", 10), ("c", 29)] {
        consents.import(&id(name), refresh_token(), setup.now() - days * DAY).await.unwrap();
    }
    assert_eq!(consents.due_within(2 * DAY, 10).await.unwrap(), [id("c")]);
    assert_eq!(consents.due_within(Duration::MAX, 10).await.unwrap(), [id("c"), id("b"), id("a")]);
    assert_eq!(consents.due_within(Duration::MAX, 2).await.unwrap(), [id("c"), id("b")]);
}

#[tokio::test]
async fn o5_no_consent_is_evicted_among_ten_thousand() {
    let setup = start().await;
    let consents = setup.consents(MemoryStore::new());
    let name = |number: i32| id(&format!("user-{number}"));
    for number in 0..10_000 {
        let token = RefreshToken::new(format!("emu_{number}")).unwrap();
        consents.import(&name(number), token, setup.now()).await.unwrap();
    }
    for number in 0..10_000 {
        assert!(consents.consent(&name(number)).idle_deadline().await.unwrap() > setup.now());
    }
    assert_eq!(setup.token_requests(), 0);
}
