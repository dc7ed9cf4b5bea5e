//! Rule O5: a refresh token idles out 30 days after its last exchange. The deadline is known,
//! reported, and moved by a refresh.

use tokio::sync::mpsc::unbounded_channel;

use crate::prelude::*;

#[tokio::test]
async fn o5_idle_deadline_is_reported_and_survives_a_restart() {
    let local = start().await;
    let store = MemoryStore::new();
    let began = local.now();
    let first = consent_in(&local, store.clone()).await;
    drop(first);
    let (sender, mut events) = unbounded_channel();
    let restart = || {
        let sender = sender.clone();
        let consents = local.builder().store(store.clone());
        consents.on_event(move |_, event| sender.send(event.clone()).unwrap()).build()
    };
    // A record keeps whole milliseconds.
    let near = |one: SystemTime, other: SystemTime| {
        one.duration_since(other).or(other.duration_since(one)).unwrap() < Duration::from_millis(2)
    };
    assert!(near(restart().consent(&user()).idle_deadline().await.unwrap(), began + 30 * DAY));

    // A little less than three days are left.
    local.advance(27 * DAY + SECOND);
    assert_eq!(restart().due_within(3 * DAY, 10).await.unwrap(), [user()]);
    assert_eq!(restart().due_within(2 * DAY, 10).await.unwrap(), []);
    let consent = restart().consent(&user());
    let _ = consent.access_token().await.unwrap();
    let Some(Event::IdleDeadlineNear { idle_deadline, .. }) = events.recv().await else { panic!() };
    assert!(near(idle_deadline, began + 30 * DAY));
    assert!(matches!(events.recv().await, Some(Event::Refreshed { .. })));
    assert!(near(consent.idle_deadline().await.unwrap(), began + 57 * DAY + SECOND));
    assert_eq!(restart().due_within(29 * DAY, 10).await.unwrap(), []);

    // After the deadline there is one attempt, and then none.
    local.advance(30 * DAY + SECOND);
    let consent = restart().consent(&user());
    let error = consent.access_token().await.unwrap_err();
    assert!(error.needs_consent());
    assert!(error.oauth_error().is_some());
    assert!(matches!(events.recv().await, Some(Event::IdleDeadlineNear { .. })));
    let Some(Event::ConsentEnded { error, .. }) = events.recv().await else { panic!() };
    assert!(error.needs_consent());
    assert_eq!(local.tokens(), 2);
    for consent in [consent, restart().consent(&user())] {
        let error = consent.access_token().await.unwrap_err();
        assert!(error.needs_consent(), "{error}");
        assert!(!error.may_have_been_sent(), "{error}");
        assert!(!error.is_transient(), "{error}");
        assert!(consent.idle_deadline().await.unwrap_err().needs_consent());
    }
    assert_eq!(restart().due_within(90 * DAY, 10).await.unwrap(), []);
    assert_eq!(local.tokens(), 2);
    assert!(events.try_recv().is_err());
}

#[tokio::test]
async fn o5_explicit_refresh_keeps_a_consent_alive() {
    let local = start().await;
    let consent = local.consent().await;
    let first = consent.access_token().await.unwrap();
    for _ in 0..3 {
        local.advance(29 * DAY);
        let _ = consent.refresh_now().await.unwrap();
    }
    assert_eq!(local.tokens(), 4);
    let left = consent.idle_deadline().await.unwrap().duration_since(local.now()).unwrap();
    assert!(left > 30 * DAY - HOUR, "{left:?}");
    // Its token is shared, although the previous one is still valid.
    local.advance(SECOND);
    let now = consent.refresh_now().await.unwrap();
    assert_eq!(text(&consent.access_token().await.unwrap()), text(&now));
    assert_ne!(text(&now), text(&first));
    assert_eq!(local.tokens(), 5);
    // Many at once are one refresh.
    local.advance(SECOND);
    local.emulator.fail_next(TOKEN, hold(When::After));
    let all: Vec<_> = (0..10)
        .map(|_| {
            let consent = consent.clone();
            tokio::spawn(async move { consent.refresh_now().await })
        })
        .collect();
    local.emulator.received(TOKEN, 6).await;
    tokio::task::yield_now().await;
    local.emulator.release();
    assert_eq!(tokens_of(all).await.len(), 1);
    assert_eq!(local.tokens(), 6);
}

#[tokio::test]
async fn o5_explicit_refresh_does_not_accept_a_token_from_the_store() {
    let local = start().await;
    let store = FaultyStore::default();
    let _ = consent_in(&local, store.inner().clone()).await.access_token().await.unwrap();
    // A new process finds the token in the store. While it loads the record, a refresh is
    // requested.
    let consent = local.consents(store.clone()).consent(&user());
    store.fail_next(Load, StoreFault::Hold);
    let finds = spawn(&consent);
    store.received(Load, 1).await;
    let mut now = Box::pin(consent.refresh_now());
    assert!(is_pending(&mut now).await);
    store.release();
    let found = finds.await.unwrap().unwrap();
    assert_ne!(text(&now.await.unwrap()), text(&found));
    assert_eq!(local.tokens(), 2);
}

#[tokio::test]
async fn o5_due_lists_consents_by_idle_deadline_without_overflow() {
    let local = start().await;
    let consents = local.consents(MemoryStore::new());
    for (name, days) in [("b", 20), ("a", 10), ("c", 29)] {
        consents.import(&id(name), refresh_token(), local.now() - days * DAY).await.unwrap();
    }
    assert_eq!(consents.due_within(2 * DAY, 10).await.unwrap(), [id("c")]);
    assert_eq!(consents.due_within(Duration::MAX, 10).await.unwrap(), [id("c"), id("b"), id("a")]);
    assert_eq!(consents.due_within(Duration::MAX, 2).await.unwrap(), [id("c"), id("b")]);
}

#[tokio::test]
async fn o5_no_consent_is_evicted_among_ten_thousand() {
    let local = start().await;
    let consents = local.consents(MemoryStore::new());
    let name = |number: i32| id(&format!("user-{number}"));
    for number in 0..10_000 {
        let token = RefreshToken::new(format!("emu_{number}")).unwrap();
        consents.import(&name(number), token, local.now()).await.unwrap();
    }
    for number in 0..10_000 {
        assert!(consents.consent(&name(number)).idle_deadline().await.unwrap() > local.now());
    }
    assert_eq!(local.tokens(), 0);
}
