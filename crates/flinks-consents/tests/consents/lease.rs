//! Tests that only one process at a time refreshes a consent, even if a process crashes or is
//! suspended. (O5, O6)

use flinks_consents::flinks::Cause;
use std::sync::Arc;

use crate::prelude::*;

#[tokio::test]
async fn o5_two_processes_that_share_a_store_make_one_refresh() {
    // This clock does not advance by itself, so the waiting processes continue only after the
    // refresh.
    let setup = start_with_clock(ManualClock::new()).await;
    setup.rotate_refresh_tokens();
    let store: Arc<dyn TokenStore> = Arc::new(MemoryStore::new());
    let one = consent_in(&setup, Arc::clone(&store)).await;
    let other = setup.consents(Arc::clone(&store)).consent(&user());
    setup.advance(SECOND);
    let first = setup.held_call(&one, When::After).await;
    let second = spawn(&other);
    let refresh = tokio::spawn({
        let other = setup.consents(store).consent(&user());
        async move { other.refresh_now().await }
    });
    // Both calls wait for the process that holds the lease.
    let mut waiting = 0;
    while waiting < 2 {
        waiting += waits(&setup.clock).len();
        tokio::task::yield_now().await;
    }
    setup.emulator.release();
    let token = first.await.unwrap().unwrap();
    assert!(!second.is_finished());
    assert!(!refresh.is_finished());
    for call in [second, refresh] {
        let adopted = advance_until_done(&setup, SECOND, call).await.unwrap();
        assert_eq!(text(&adopted), text(&token));
    }
    assert_eq!(setup.token_requests(), 1);
}

#[tokio::test]
async fn o5_lease_of_a_crashed_process_expires() {
    let setup = start().await;
    let store = MemoryStore::new();
    let crashed = consent_in(&setup, store.clone()).await;
    setup.emulator.fail_next(TOKEN, hold(When::Before));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    drop(runtime.spawn(async move { crashed.access_token().await }));
    setup.emulator.received(TOKEN, 1).await;
    runtime.shutdown_background();
    // A lease lasts as long as a refresh can take: 1000 seconds for the call, twice the store
    // timeout of 1000 seconds, and another 5 seconds.
    let started = setup.clock.monotonic();
    let consent = setup.consents(store.clone()).consent(&user());
    let _ = consent.access_token().await.unwrap();
    let waited = setup.clock.monotonic() - started;
    assert!(waited >= Duration::from_secs(3000), "{waited:?}");
    assert!(waited < Duration::from_secs(3010), "{waited:?}");
    assert_eq!(setup.token_requests(), 2);
}

#[tokio::test]
async fn o5_lease_duration_is_set_by_its_holder() {
    let setup = start().await;
    setup.rotate_refresh_tokens();
    let store = MemoryStore::new();
    let slow = consent_in(&setup, store.clone()).await;
    let call = setup.held_call(&slow, When::After).await;
    // Another process has shorter timeouts, and its waits take no real time. That process either
    // times out or uses the first process's token.
    let settings = Settings::new().clock(setup.clock.clone()).timeout(Duration::from_secs(40));
    let base_url = setup.emulator.base_url().parse().unwrap();
    let client = Client::builder(base_url, credentials()).settings(&settings).build().unwrap();
    let hasty = Consents::builder(client).store_timeout(Duration::from_secs(40)).store(store).build();
    let hasty = spawn(&hasty.consent(&user()));
    let started = setup.clock.monotonic();
    while setup.clock.monotonic() - started < Duration::from_secs(600) {
        tokio::task::yield_now().await;
    }
    assert_eq!(setup.token_requests(), 1);
    setup.emulator.release();
    let _ = call.await.unwrap().unwrap();
    let _ = hasty.await.unwrap();
    assert_eq!(setup.token_requests(), 1);
}

/// A process that was suspended while its refresh was in flight, and another process that refreshes
/// the consent after the lease has expired.
struct Suspended {
    setup: Setup,
    store: MemoryStore,
    /// The call in the suspended process. The suspended call continues when the emulator releases
    /// the request.
    suspended: JoinHandle<Result<AccessToken, ConsentError>>,
    other: Consent,
    clock_of_other: ManualClock,
}

/// Suspends a process during its refresh. `fault` applies to the next request, which the other
/// process sends.
async fn suspend(fault: Option<Fault>) -> Suspended {
    let setup = start().await;
    let store = MemoryStore::new();
    let consent = consent_in(&setup, store.clone()).await;
    let _ = consent.access_token().await.unwrap();
    setup.advance(LIFETIME);
    let suspended = setup.held_call(&consent, When::Before).await;
    if let Some(fault) = fault {
        setup.emulator.fail_next(TOKEN, fault);
    }
    // The other process waits until the lease expires.
    let clock_of_other = auto_advancing_clock();
    clock_of_other.advance(LIFETIME);
    let other = consent_in_process(&setup, &clock_of_other, &store);
    Suspended { setup, store, suspended, other, clock_of_other }
}

/// Returns the consent for [`user`] in another process, which has its own clock.
fn consent_in_process(setup: &Setup, clock: &ManualClock, store: &MemoryStore) -> Consent {
    let client = client_at(&setup.emulator, clock, credentials());
    Consents::builder(client).store_timeout(TIMEOUT).store(store.clone()).build().consent(&user())
}

#[tokio::test]
async fn o6_suspended_process_does_not_end_a_consent_that_another_refreshed() {
    for is_refused in [true, false] {
        let Suspended { setup, store, suspended, other, clock_of_other } = suspend(None).await;
        let token = other.access_token().await.unwrap();
        assert_eq!(setup.token_requests(), 3);
        let deadline = other.idle_deadline().await.unwrap();
        if is_refused {
            // The refresh token is revoked after the other process has used it.
            setup.client().revoke(&token).await.unwrap();
        }
        setup.clock.set_wall(clock_of_other.wall());
        setup.emulator.release();
        let returns_other_token = text(&suspended.await.unwrap().unwrap()) == text(&token);
        assert_eq!(returns_other_token, is_refused);
        let record = store.load(&user()).await.unwrap().unwrap();
        // The suspended process's result is older, so it does not replace the newer record.
        assert!(!record.is_ended());
        assert_eq!(record.idle_deadline(), deadline);
    }
}

#[tokio::test]
async fn o5_suspended_process_stores_its_result_and_keeps_the_lease_of_another() {
    let slow_response = Fault::SlowBytes { milliseconds: 3_600_000 };
    let Suspended { setup, store, suspended, other, clock_of_other } = suspend(Some(slow_response)).await;
    let call = spawn(&other);
    setup.emulator.received(TOKEN, 3).await;
    setup.emulator.release();
    let token = suspended.await.unwrap().unwrap();
    let record = stored_record(&store).await;
    assert!(record.contains("\"claim\":{"));
    assert!(record.contains(token.expose_secret()));
    clock_of_other.advance(TIMEOUT);
    assert_eq!(call.await.unwrap().unwrap_err().cause(), Some(Cause::Timeout));
}

#[tokio::test]
async fn o5_suspended_process_stores_its_rotated_token_after_another_failed() {
    let Suspended { setup, store, suspended, other, .. } = suspend(Some(Fault::status(500))).await;
    setup.rotate_refresh_tokens();
    setup.emulator.fail_next(TOKEN, Fault::status(500));
    assert!(other.access_token().await.is_err());
    setup.emulator.release();
    let token = suspended.await.unwrap().unwrap();
    let record = stored_record(&store).await;
    assert!(record.contains(token.expose_secret()));
    assert!(!record.contains(refresh_token().expose_secret()));
}

#[tokio::test]
async fn o5_lease_tolerates_clocks_that_differ_by_ten_minutes() {
    let Suspended { setup, store, suspended, .. } = suspend(None).await;
    // According to a third process's clock, the 3005-second lease expired 9 or 11 minutes ago.
    // Clocks may differ by ten minutes, so the process waits for the lease only in the first case.
    for (minutes, waits_for_lease) in [(9, true), (11, false)] {
        let clock = ManualClock::new();
        clock.advance(LIFETIME + 3005 * SECOND + minutes * MINUTE);
        let call = spawn(&consent_in_process(&setup, &clock, &store));
        while waits(&clock).is_empty() && !call.is_finished() {
            tokio::task::yield_now().await;
        }
        assert_eq!(call.is_finished(), !waits_for_lease);
        assert_eq!(setup.token_requests(), if waits_for_lease { 2 } else { 3 });
        call.abort();
    }
    setup.emulator.release();
    let _ = suspended.await.unwrap().unwrap();
}

#[tokio::test]
async fn o5_lease_that_expired_while_it_was_written_is_not_used() {
    let setup = start().await;
    let store = FaultyStore::default();
    let consent = consent_in(&setup, store.clone()).await;
    let before = store.count(CompareAndSwap);
    store.fail_next(CompareAndSwap, StoreFault::HoldAfter);
    let call = spawn(&consent);
    store.received(CompareAndSwap, before + 1).await;
    // The machine is suspended for longer than the 3005-second lease. The monotonic clock does not
    // advance during that time.
    setup.move_wall_clock_forward(HOUR);
    store.release();
    let _ = call.await.unwrap().unwrap();
    assert_eq!(store.count(CompareAndSwap) - before, 3, "expected two writes of a lease and one of the result");
    assert_eq!(setup.token_requests(), 1);
}
