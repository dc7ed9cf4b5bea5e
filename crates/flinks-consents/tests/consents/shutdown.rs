//! Tests that a shutdown waits for refreshes and stores pending writes. (O5)

use std::task::{Context, Waker};

use crate::prelude::*;

/// Creates a consent on a server that rotates refresh tokens.
async fn rotating_consent(store: &FaultyStore) -> (Setup, Consents) {
    let setup = start().await;
    setup.rotate_refresh_tokens();
    let consents = setup.consents(store.clone());
    let _ = setup.import(&consents).await;
    (setup, consents)
}

#[tokio::test]
async fn o5_shutdown_waits_for_a_background_refresh() {
    let store = FaultyStore::default();
    let (setup, consents) = rotating_consent(&store).await;
    let token = consents.consent(&user()).access_token().await.unwrap();
    // An early refresh runs in the background, and callers receive the cached token.
    setup.advance(LIFETIME - SECOND * 100);
    setup.emulator.fail_next(TOKEN, hold(When::After));
    assert_eq!(text(&consents.consent(&user()).access_token().await.unwrap()), text(&token));
    setup.emulator.received(TOKEN, 2).await;
    let shutdown = tokio::spawn({
        let consents = consents.clone();
        async move { consents.shutdown(SECOND * 500).await }
    });
    while !shutdown.is_finished() {
        setup.emulator.release();
        tokio::task::yield_now().await;
    }
    shutdown.await.unwrap().unwrap();
    assert!(stored_record(store.inner()).await.contains(&setup.newest_refresh_token().value));
}

#[tokio::test]
async fn o5_shutdown_stops_at_its_limit_and_counts_unfinished_calls() {
    let store = FaultyStore::default();
    let (setup, consents) = rotating_consent(&store).await;
    let call = setup.held_call(&consents.consent(&user()), When::After).await;
    let shutdown = tokio::spawn({
        let consents = consents.clone();
        async move { consents.shutdown(SECOND * 45).await }
    });
    let unfinished = advance_until_done(&setup, SECOND * 5, shutdown).await.unwrap_err();
    assert_eq!(unfinished.in_flight(), 1);
    assert!(unfinished.error().is_none());
    setup.emulator.release();
    let _ = call.await.unwrap().unwrap();
    consents.shutdown(SECOND * 45).await.unwrap();
}

#[tokio::test]
async fn o5_shutdown_stores_pending_writes_and_reports_failed_ones() {
    let store = FaultyStore::default();
    let (setup, consents) = rotating_consent(&store).await;
    store.fail_nth(CompareAndSwap, 2, StoreFault::unavailable());
    assert!(consents.consent(&user()).access_token().await.unwrap_err().is_store());
    store.fail_always(StoreFault::unavailable());
    let unfinished = consents.shutdown(SECOND * 500).await.unwrap_err();
    assert_eq!(unfinished.unstored(), [user()]);
    assert!(unfinished.error().unwrap().is_store());
    assert_eq!(unfinished.in_flight(), 0);
    assert!(!unfinished.to_string().contains("user-7"));
    store.clear_faults();
    consents.shutdown(SECOND * 500).await.unwrap();
    assert!(stored_record(store.inner()).await.contains(&setup.newest_refresh_token().value));
}

#[tokio::test]
async fn call_that_is_not_polled_holds_no_lock() {
    let store = FaultyStore::default();
    let (setup, consents) = rotating_consent(&store).await;
    let consent = consents.consent(&user());
    let mut context = Context::from_waker(Waker::noop());
    // Each future is polled once and then kept without being polled again.
    let mut forget = Box::pin(consent.forget());
    let mut flush = Box::pin(consents.flush());
    let mut deadline = Box::pin(consent.idle_deadline());
    let mut revoke = Box::pin(consent.revoke());
    store.fail_next(Load, StoreFault::unavailable());
    assert!(forget.as_mut().poll(&mut context).is_pending());
    assert!(flush.as_mut().poll(&mut context).is_pending());
    assert!(deadline.as_mut().poll(&mut context).is_pending());
    assert!(revoke.as_mut().poll(&mut context).is_pending());
    consents.shutdown(SECOND * 500).await.unwrap();
    // The clock has not advanced, so the import did not wait for any of these futures.
    let before = setup.clock.monotonic();
    let _ = setup.import(&consents).await;
    assert!(setup.clock.monotonic() - before < SECOND);
    drop((forget, flush, deadline, revoke));
}

#[tokio::test]
async fn o5_busy_record_does_not_stop_a_shutdown_from_storing_the_others() {
    let setup = start().await;
    let store = FaultyStore::default();
    let busy = || StoreFault::Fail(StoreError::busy("is in use"));
    let consents = setup.consents(store.clone());
    let names: Vec<ConsentId> = (0..20).map(|number| id(&format!("user-{number}"))).collect();
    store.fail_always(busy());
    for name in &names {
        assert!(consents.import(name, refresh_token(), setup.now()).await.is_err());
    }
    store.clear_faults();
    store.fail_consent(&names[0], busy());
    let unfinished = consents.shutdown(SECOND * 500).await.unwrap_err();
    assert_eq!(unfinished.unstored(), [names[0].clone()]);
}

/// Each round simulates a process that shuts down while refreshes are in flight. If a refresh token
/// were lost, the next round would fail, because the server accepts only the newest refresh token.
#[tokio::test]
async fn o5_no_refresh_token_is_lost_in_200_shutdowns_under_load() {
    const CONSENTS: u64 = 6;
    let setup = start().await;
    setup.rotate_refresh_tokens();
    let store = MemoryStore::new();
    let names: Vec<ConsentId> = (0..CONSENTS).map(|number| id(&format!("user-{number}"))).collect();
    for name in &names {
        let _ = setup.consents(store.clone()).exchange_code(name, setup.code()).await.unwrap();
    }
    for round in 0..200 {
        setup.advance(HOUR);
        let consents = setup.consents(store.clone());
        let before = setup.token_requests();
        setup.emulator.fail_times(TOKEN, hold(When::After), CONSENTS);
        let callers: Vec<_> = names.iter().map(|name| spawn(&consents.consent(name))).collect();
        setup.emulator.received(TOKEN, before + CONSENTS).await;
        // Some callers are cancelled, as if the application had closed their connections.
        for caller in callers.iter().skip(round % 3).step_by(2) {
            caller.abort();
        }
        let shutdown = tokio::spawn({
            let consents = consents.clone();
            async move { consents.shutdown(SECOND * 45).await }
        });
        setup.advance(SECOND * 2);
        while !shutdown.is_finished() {
            setup.emulator.release();
            tokio::task::yield_now().await;
        }
        shutdown.await.unwrap().unwrap();
        for caller in callers {
            match caller.await {
                Ok(token) => drop(token.unwrap()),
                Err(error) => assert!(error.is_cancelled()),
            }
        }
    }
    setup.advance(HOUR);
    let consents = setup.consents(store);
    for name in &names {
        let _ = consents.consent(name).access_token().await.unwrap();
    }
    assert_eq!(setup.token_requests(), CONSENTS * 202);
}
