//! Tests how consents behave after the process has restarted, or after the runtime that was running
//! a refresh has stopped.

use crate::prelude::*;
use flinks_consents::flinks::Cause;

#[tokio::test]
async fn access_token_survives_a_restart() {
    let setup = start().await;
    let store = MemoryStore::new();
    let token = consent_in(&setup, store.clone()).await.access_token().await.unwrap();
    // A new process returns the same token, which expires at the same time.
    setup.advance(Duration::from_secs(100));
    let consent = setup.consents(store.clone()).consent(&user());
    let again = consent.access_token().await.unwrap();
    assert_eq!(text(&again), text(&token));
    assert_eq!(again.expires_at(), token.expires_at());
    assert_eq!(setup.token_requests(), 1);
    // The wall clock is set back to a time before the token was issued, so the token's age is
    // unknown.
    setup.move_wall_clock_back(HOUR);
    let consent = setup.consents(store).consent(&user());
    assert_ne!(text(&consent.access_token().await.unwrap()), text(&token));
    assert_eq!(setup.token_requests(), 2);
}

#[tokio::test]
async fn consent_works_after_the_runtime_of_its_refresh_has_shut_down() {
    let setup = start().await;
    let consent = setup.consent().await;
    setup.emulator.fail_next(TOKEN, hold(When::Before));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let leader = runtime.spawn({
        let consent = consent.clone();
        async move { consent.access_token().await }
    });
    setup.emulator.received(TOKEN, 1).await;
    let waiter = spawn(&consent);
    tokio::task::yield_now().await;
    runtime.shutdown_background();
    drop(leader);
    // The waiting call fails or starts another refresh.
    if let Err(error) = waiter.await.unwrap() {
        assert!(error.is_transient(), "{error}");
        assert!(error.may_have_been_sent(), "{error}");
    }
    let _ = consent.access_token().await.unwrap();
    assert_eq!(setup.token_requests(), 2);
}

#[tokio::test]
async fn refresh_on_a_stopped_runtime_does_not_hang_other_callers() {
    let setup = start_with_clock(ManualClock::new()).await;
    let consent = setup.consent().await;
    let stopped = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut leader = Box::pin(consent.access_token());
    {
        let _inside = stopped.enter();
        assert!(is_pending(&mut leader).await);
    }
    let waiter = spawn(&consent);
    // The call that started the refresh continues on this test's runtime.
    assert!(is_pending(&mut leader).await);
    tokio::task::yield_now().await;
    setup.clock.advance(5 * 3005 * SECOND);
    for outcome in [waiter.await.unwrap(), leader.await] {
        assert_eq!(outcome.unwrap_err().cause(), Some(Cause::Timeout));
    }
    assert_eq!(setup.token_requests(), 0);
    // A later call starts a new refresh.
    let _ = consent.access_token().await.unwrap();
    stopped.shutdown_background();
}

#[test]
fn calls_time_out_if_a_stopped_runtime_holds_a_lock() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let stopped = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let store = FaultyStore::default();
    let (setup, consents) = runtime.block_on(async {
        let setup = start_with_clock(ManualClock::new()).await;
        let consents = setup.consents(store.clone());
        (setup, consents)
    });
    store.fail_next(CompareAndSwap, StoreFault::Hold);
    // The import is not polled again after its write has reached the store.
    let name = user();
    let now = setup.now();
    let mut import = Box::pin(consents.import(&name, RefreshToken::new("hangs").unwrap(), now));
    stopped.block_on(async {
        while store.count(CompareAndSwap) == 0 {
            assert!(is_pending(&mut import).await);
            tokio::task::yield_now().await;
        }
    });
    runtime.block_on(async {
        let forget = tokio::spawn({
            let consent = consents.consent(&name);
            async move { consent.forget().await }
        });
        assert!(advance_until_done(&setup, 3005 * SECOND, forget).await.unwrap_err().is_store());
        let second_import = tokio::spawn({
            let consents = consents.clone();
            let name = name.clone();
            async move { consents.import(&name, refresh_token(), now).await }
        });
        assert!(advance_until_done(&setup, 3005 * SECOND, second_import).await.unwrap_err().is_store());
    });
    // The second import is not lost. It is ahead of later calls in the queue for the lock.
    drop(stopped);
    let _ = runtime.block_on(consents.consent(&name).access_token()).unwrap();
}
