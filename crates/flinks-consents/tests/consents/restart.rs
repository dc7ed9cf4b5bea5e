//! A consent in a new process, and after the end of a runtime.

use crate::prelude::*;
use flinks_consents::flinks::Cause;

#[tokio::test]
async fn access_token_survives_a_restart() {
    let local = start().await;
    let store = MemoryStore::new();
    let token = consent_in(&local, store.clone()).await.access_token().await.unwrap();
    // A new process returns the same token, which expires at the same time.
    local.advance(Duration::from_secs(100));
    let consent = local.consents(store.clone()).consent(&user());
    let again = consent.access_token().await.unwrap();
    assert_eq!(text(&again), text(&token));
    assert_eq!(again.expires_at(), token.expires_at());
    assert_eq!(local.tokens(), 1);
    // On a clock that was turned back to before its issue, its age is unknown.
    local.turn_wall_clock_back(HOUR);
    let consent = local.consents(store).consent(&user());
    assert_ne!(text(&consent.access_token().await.unwrap()), text(&token));
    assert_eq!(local.tokens(), 2);
}

#[tokio::test]
async fn consent_works_after_the_runtime_of_its_refresh_has_shut_down() {
    let local = start().await;
    let consent = local.consent().await;
    local.emulator.fail_next(TOKEN, hold(When::Before));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let began = runtime.spawn({
        let consent = consent.clone();
        async move { consent.access_token().await }
    });
    local.emulator.received(TOKEN, 1).await;
    let waits = spawn(&consent);
    tokio::task::yield_now().await;
    runtime.shutdown_background();
    drop(began);
    // A waiting call fails, or starts another refresh.
    if let Err(error) = waits.await.unwrap() {
        assert!(error.is_transient(), "{error}");
        assert!(error.may_have_been_sent(), "{error}");
    }
    let _ = consent.access_token().await.unwrap();
    assert_eq!(local.tokens(), 2);
}

#[tokio::test]
async fn refresh_on_a_stopped_runtime_does_not_hang_other_callers() {
    let local = start_at(ManualClock::new()).await;
    let consent = local.consent().await;
    let asleep = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    {
        let _inside = asleep.enter();
        let mut began = Box::pin(consent.access_token());
        assert!(is_pending(&mut began).await);
    }
    let waits = spawn(&consent);
    tokio::task::yield_now().await;
    local.clock.advance(5 * 3005 * SECOND);
    let error = waits.await.unwrap().unwrap_err();
    assert!(error.cause() == Some(Cause::Timeout));
    assert_eq!(local.tokens(), 0);
    // A later call starts a new refresh.
    let _ = consent.access_token().await.unwrap();
    asleep.shutdown_background();
}

#[test]
fn lock_held_on_a_stopped_runtime_is_not_waited_for_indefinitely() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let asleep = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let store = FaultyStore::default();
    let (local, consents) = runtime.block_on(async {
        let local = start_at(ManualClock::new()).await;
        let consents = local.consents(store.clone());
        (local, consents)
    });
    store.fail_next(CompareAndSwap, StoreFault::Hold);
    // The insertion reaches the store, and then nobody polls it.
    let name = user();
    let now = local.now();
    let mut insertion = Box::pin(consents.import(&name, RefreshToken::new("hangs").unwrap(), now));
    asleep.block_on(async {
        while store.count(CompareAndSwap) == 0 {
            assert!(is_pending(&mut insertion).await);
            tokio::task::yield_now().await;
        }
    });
    runtime.block_on(async {
        let forgets = tokio::spawn({
            let consent = consents.consent(&name);
            async move { consent.forget().await }
        });
        assert!(advance_until_done(&local, 3005 * SECOND, forgets).await.unwrap_err().is_store());
        let inserts = tokio::spawn({
            let consents = consents.clone();
            let name = name.clone();
            async move { consents.import(&name, refresh_token(), now).await }
        });
        assert!(advance_until_done(&local, 3005 * SECOND, inserts).await.unwrap_err().is_store());
    });
    // The second insertion is not lost: it is queued for the lock, ahead of later calls.
    drop(asleep);
    let _ = runtime.block_on(consents.consent(&name).access_token()).unwrap();
}
