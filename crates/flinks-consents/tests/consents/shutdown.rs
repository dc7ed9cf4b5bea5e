//! Rule O5: the end of a process waits for refreshes, and stores what is pending.

use std::task::{Context, Waker};

use crate::prelude::*;

/// A consent whose refresh token rotates.
async fn rotating(store: &FaultyStore) -> (Local, Consents) {
    let local = start().await;
    local.rotate_refresh_tokens();
    let consents = local.consents(store.clone());
    let _ = local.import(&consents).await;
    (local, consents)
}

#[tokio::test]
async fn o5_shutdown_waits_for_a_background_refresh() {
    let store = FaultyStore::default();
    let (local, consents) = rotating(&store).await;
    let token = consents.consent(&user()).access_token().await.unwrap();
    // During an early refresh, callers have their token, and the refresh continues in the
    // background.
    local.advance(LIFETIME - SECOND * 100);
    local.emulator.fail_next(TOKEN, hold(When::After));
    assert_eq!(text(&consents.consent(&user()).access_token().await.unwrap()), text(&token));
    local.emulator.received(TOKEN, 2).await;
    let shutdown = tokio::spawn({
        let consents = consents.clone();
        async move { consents.shutdown(SECOND * 500).await }
    });
    while !shutdown.is_finished() {
        local.emulator.release();
        tokio::task::yield_now().await;
    }
    shutdown.await.unwrap().unwrap();
    assert!(kept_in(store.inner()).await.contains(&local.newest_refresh_token().value));
}

#[tokio::test]
async fn o5_shutdown_stops_at_its_limit_and_counts_unfinished_calls() {
    let store = FaultyStore::default();
    let (local, consents) = rotating(&store).await;
    let waits = local.held_call(&consents.consent(&user()), When::After).await;
    let shutdown = tokio::spawn({
        let consents = consents.clone();
        async move { consents.shutdown(SECOND * 45).await }
    });
    let unfinished = advance_until_done(&local, SECOND * 5, shutdown).await.unwrap_err();
    assert_eq!(unfinished.in_flight(), 1);
    assert!(unfinished.error().is_none());
    local.emulator.release();
    let _ = waits.await.unwrap().unwrap();
    consents.shutdown(SECOND * 45).await.unwrap();
}

#[tokio::test]
async fn o5_shutdown_stores_pending_writes_and_names_the_rest() {
    let store = FaultyStore::default();
    let (local, consents) = rotating(&store).await;
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
    assert!(kept_in(store.inner()).await.contains(&local.newest_refresh_token().value));
}

#[tokio::test]
async fn call_that_is_not_polled_holds_no_lock() {
    let store = FaultyStore::default();
    let (local, consents) = rotating(&store).await;
    let consent = consents.consent(&user());
    let mut context = Context::from_waker(Waker::noop());
    // Each is polled once, and then kept.
    let mut forget = Box::pin(consent.forget());
    let mut flush = Box::pin(consents.flush());
    let mut deadline = Box::pin(consent.idle_deadline());
    let mut revoke = Box::pin(consent.revoke());
    store.fail_next(Load, StoreFault::unavailable());
    for kept in [
        forget.as_mut().poll(&mut context).is_pending(),
        flush.as_mut().poll(&mut context).is_pending(),
        deadline.as_mut().poll(&mut context).is_pending(),
        revoke.as_mut().poll(&mut context).is_pending(),
    ] {
        assert!(kept);
    }
    consents.shutdown(SECOND * 500).await.unwrap();
    // The insertion waits for none of them: the clock has not advanced.
    let before = local.clock.monotonic();
    let _ = local.import(&consents).await;
    assert!(local.clock.monotonic() - before < SECOND);
    drop((forget, flush, deadline, revoke));
}

#[tokio::test]
async fn o5_busy_record_does_not_stop_a_shutdown_from_storing_the_others() {
    let local = start().await;
    let store = FaultyStore::default();
    let busy = || StoreFault::Fail(StoreError::busy("is in use"));
    let consents = local.consents(store.clone());
    let names: Vec<ConsentId> = (0..20).map(|number| id(&format!("user-{number}"))).collect();
    store.fail_always(busy());
    for name in &names {
        assert!(consents.import(name, refresh_token(), local.now()).await.is_err());
    }
    store.clear_faults();
    store.fail_consent(&names[0], busy());
    let unfinished = consents.shutdown(SECOND * 500).await.unwrap_err();
    assert_eq!(unfinished.unstored(), [names[0].clone()]);
}

/// Each round is a process that ends while the server takes two seconds for each reply. A refresh token that is lost would be
/// refused in the next round, because each replaces the one before.
#[tokio::test]
async fn o5_no_refresh_token_is_lost_in_200_shutdowns_under_load() {
    const CONSENTS: u64 = 6;
    let local = start().await;
    local.rotate_refresh_tokens();
    let store = MemoryStore::new();
    let names: Vec<ConsentId> = (0..CONSENTS).map(|number| id(&format!("user-{number}"))).collect();
    for name in &names {
        let _ = local.consents(store.clone()).exchange_code(name, local.code()).await.unwrap();
    }
    for round in 0..200 {
        local.advance(HOUR);
        let consents = local.consents(store.clone());
        let before = local.tokens();
        local.emulator.fail_times(TOKEN, hold(When::After), CONSENTS);
        let callers: Vec<_> = names.iter().map(|name| spawn(&consents.consent(name))).collect();
        local.emulator.received(TOKEN, before + CONSENTS).await;
        // Some callers give up, as those do whose connections the server of the application closes.
        for caller in callers.iter().skip(round % 3).step_by(2) {
            caller.abort();
        }
        let shutdown = tokio::spawn({
            let consents = consents.clone();
            async move { consents.shutdown(SECOND * 45).await }
        });
        local.advance(SECOND * 2);
        while !shutdown.is_finished() {
            local.emulator.release();
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
    local.advance(HOUR);
    let consents = local.consents(store);
    for name in &names {
        let _ = consents.consent(name).access_token().await.unwrap();
    }
    assert_eq!(local.tokens(), CONSENTS * 202);
}
