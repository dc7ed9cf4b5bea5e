//! Rules O5 and O6: one process at a time refreshes a consent, also if a process crashes or is
//! suspended.

use flinks_consents::flinks::Cause;
use std::sync::Arc;

use crate::prelude::*;

#[tokio::test]
async fn o5_two_processes_that_share_a_store_make_one_refresh() {
    // The waits end when the test advances the clock, which is after the refresh.
    let local = start_at(ManualClock::new()).await;
    local.rotate_refresh_tokens();
    let store: Arc<dyn TokenStore> = Arc::new(MemoryStore::new());
    let one = consent_in(&local, Arc::clone(&store)).await;
    let other = local.consents(Arc::clone(&store)).consent(&user());
    local.advance(SECOND);
    let first = local.held_call(&one, When::After).await;
    let second = spawn(&other);
    let now = tokio::spawn({
        let other = local.consents(store).consent(&user());
        async move { other.refresh_now().await }
    });
    // Both wait for the process that holds the lease.
    let mut waiting = 0;
    while waiting < 2 {
        waiting += waits(&local.clock).len();
        tokio::task::yield_now().await;
    }
    local.emulator.release();
    let token = first.await.unwrap().unwrap();
    assert!(!second.is_finished());
    assert!(!now.is_finished());
    for waits in [second, now] {
        let adopted = advance_until_done(&local, SECOND, waits).await.unwrap();
        assert_eq!(text(&adopted), text(&token));
    }
    assert_eq!(local.tokens(), 1);
}

#[tokio::test]
async fn o5_lease_of_a_crashed_process_expires() {
    let local = start().await;
    let store = MemoryStore::new();
    let crashed = consent_in(&local, store.clone()).await;
    local.emulator.fail_next(TOKEN, hold(When::Before));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    drop(runtime.spawn(async move { crashed.access_token().await }));
    local.emulator.received(TOKEN, 1).await;
    runtime.shutdown_background();
    // A lease lasts as long as a refresh may take: a call of 1000 seconds, twice the timeout of the
    // store, and 5 seconds.
    let began = local.clock.monotonic();
    let consent = local.consents(store.clone()).consent(&user());
    let _ = consent.access_token().await.unwrap();
    let waited = local.clock.monotonic() - began;
    assert!(waited >= Duration::from_secs(3000), "{waited:?}");
    assert!(waited < Duration::from_secs(3010), "{waited:?}");
    assert_eq!(local.tokens(), 2);
}

#[tokio::test]
async fn o5_lease_lasts_as_long_as_its_owner_says() {
    let local = start().await;
    local.rotate_refresh_tokens();
    let store = MemoryStore::new();
    let slow = consent_in(&local, store.clone()).await;
    let call = local.held_call(&slow, When::After).await;
    // Another process has other settings. Its waits take no real time: it gives up, or adopts the
    // token.
    let settings = Settings::new().clock(local.clock.clone()).timeout(Duration::from_secs(40));
    let base_url = local.emulator.base_url().parse().unwrap();
    let client = Client::builder(base_url, credentials()).settings(&settings).build().unwrap();
    let hasty = Consents::builder(client).store_timeout(Duration::from_secs(40)).store(store).build();
    let hasty = spawn(&hasty.consent(&user()));
    let began = local.clock.monotonic();
    while local.clock.monotonic() - began < Duration::from_secs(600) {
        tokio::task::yield_now().await;
    }
    assert_eq!(local.tokens(), 1);
    local.emulator.release();
    let _ = call.await.unwrap().unwrap();
    let _ = hasty.await.unwrap();
    assert_eq!(local.tokens(), 1);
}

/// A process that was suspended while its refresh was in flight, and another process that takes
/// over its lease.
struct Suspended {
    local: Local,
    store: MemoryStore,
    /// The call of the suspended process, which goes on when the emulator releases its request.
    suspended: JoinHandle<Result<AccessToken, ConsentError>>,
    other: Consent,
    clock_of_other: ManualClock,
}

/// `fault` is what the request of the other process meets.
async fn suspended(fault: Option<Fault>) -> Suspended {
    let local = start().await;
    let store = MemoryStore::new();
    let consent = consent_in(&local, store.clone()).await;
    let _ = consent.access_token().await.unwrap();
    local.advance(LIFETIME);
    let suspended = local.held_call(&consent, When::Before).await;
    if let Some(fault) = fault {
        local.emulator.fail_next(TOKEN, fault);
    }
    // The other process waits until the lease expires.
    let clock_of_other = auto_advancing_clock();
    clock_of_other.advance(LIFETIME);
    let other = process(&local, &clock_of_other, &store);
    Suspended { local, store, suspended, other, clock_of_other }
}

/// The consent in a process with its own clock.
fn process(local: &Local, clock: &ManualClock, store: &MemoryStore) -> Consent {
    let client = client_at(&local.emulator, clock, credentials());
    Consents::builder(client).store_timeout(TIMEOUT).store(store.clone()).build().consent(&user())
}

#[tokio::test]
async fn o6_suspended_process_does_not_end_a_consent_that_another_refreshed() {
    for is_refused in [true, false] {
        let Suspended { local, store, suspended, other, clock_of_other } = suspended(None).await;
        let good = other.access_token().await.unwrap();
        assert_eq!(local.tokens(), 3);
        let deadline = other.idle_deadline().await.unwrap();
        if is_refused {
            // The refused token was valid a moment ago, when the other process refreshed it.
            local.client().revoke(&good).await.unwrap();
        }
        local.clock.set_wall(clock_of_other.wall());
        local.emulator.release();
        let is_of_other = text(&suspended.await.unwrap().unwrap()) == text(&good);
        assert_eq!(is_of_other, is_refused);
        let record = store.load(&user()).await.unwrap().unwrap();
        // Its own result is older, and does not replace the one of the other process.
        assert!(!record.is_ended());
        assert_eq!(record.idle_deadline(), deadline);
    }
}

#[tokio::test]
async fn o5_suspended_process_stores_its_result_and_keeps_the_lease_of_another() {
    let never = Fault::SlowBytes { milliseconds: 3_600_000 };
    let Suspended { local, store, suspended, other, clock_of_other } = suspended(Some(never)).await;
    let waits = spawn(&other);
    local.emulator.received(TOKEN, 3).await;
    local.emulator.release();
    let token = suspended.await.unwrap().unwrap();
    let record = kept_in(&store).await;
    assert!(record.contains("\"claim\":{"));
    assert!(record.contains(token.expose_secret()));
    clock_of_other.advance(TIMEOUT);
    assert!(waits.await.unwrap().unwrap_err().cause() == Some(Cause::Timeout));
}

#[tokio::test]
async fn o5_suspended_process_stores_its_rotated_token_after_another_failed() {
    let Suspended { local, store, suspended, other, .. } = suspended(Some(Fault::status(500))).await;
    local.rotate_refresh_tokens();
    local.emulator.fail_next(TOKEN, Fault::status(500));
    assert!(other.access_token().await.is_err());
    local.emulator.release();
    let token = suspended.await.unwrap().unwrap();
    let record = kept_in(&store).await;
    assert!(record.contains(token.expose_secret()));
    assert!(!record.contains(refresh_token().expose_secret()));
}

#[tokio::test]
async fn o5_lease_tolerates_clocks_that_differ_by_ten_minutes() {
    let Suspended { local, store, suspended, .. } = suspended(None).await;
    // By the clock of a third process the lease of 3005 seconds has expired, but it has not seen it
    // for that long.
    for (minutes, waits_for_it) in [(9, true), (11, false)] {
        let clock = ManualClock::new();
        clock.advance(LIFETIME + 3005 * SECOND + minutes * MINUTE);
        let call = spawn(&process(&local, &clock, &store));
        while waits(&clock).is_empty() && !call.is_finished() {
            tokio::task::yield_now().await;
        }
        assert_eq!(call.is_finished(), !waits_for_it);
        assert_eq!(local.tokens(), if waits_for_it { 2 } else { 3 });
        call.abort();
    }
    local.emulator.release();
    let _ = suspended.await.unwrap().unwrap();
}

#[tokio::test]
async fn o5_lease_that_expired_while_it_was_written_is_not_used() {
    let local = start().await;
    let store = FaultyStore::default();
    let consent = consent_in(&local, store.clone()).await;
    let before = store.count(CompareAndSwap);
    store.fail_next(CompareAndSwap, StoreFault::HoldAfter);
    let call = spawn(&consent);
    store.received(CompareAndSwap, before + 1).await;
    // The machine sleeps for longer than the lease of 3005 seconds, and its monotonic clock stops.
    local.turn_wall_clock_ahead(HOUR);
    store.release();
    let _ = call.await.unwrap().unwrap();
    assert_eq!(store.count(CompareAndSwap) - before, 3, "two leases, and the result");
    assert_eq!(local.tokens(), 1);
}
