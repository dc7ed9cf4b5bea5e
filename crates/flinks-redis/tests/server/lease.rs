//! Tests workers that lose a lease during a run.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use flinks_consents::flinks::Settings;
use flinks_consents::store::StoreError;
use flinks_consents::{ConsentId, Consents};
use flinks_redis::KeepAlive;

use crate::common::{
    Tests, create_ended_consents, import_idle, is_in_first_shard, run, run_on_another_thread, store, worker,
};
use crate::support::{self, AutoAdvancingClock, Server};

/// Tests that need `redis-server`.
pub(crate) const WITH_SERVER: Tests = &[
    ("o5_run_stops_if_its_lease_cannot_be_renewed", || run(failed_renewal)),
    ("o6_worker_that_lost_its_lease_stops_reporting", || run(expired_lease)),
];

/// Overwrites the Redis key of the lease and advances the clock, so that renewing the lease fails
/// while refreshes are in flight. Checks that no refresh token is lost, although the runtime of the
/// worker stops after the run.
async fn failed_renewal() {
    let server = Server::start(&[]);
    let flinks = support::emulator().await;
    flinks.rotate_refresh_tokens();
    let names = (0..).map(|number| format!("user-{number}")).filter(|name| is_in_first_shard(name));
    let ids: Vec<ConsentId> = names.take(40).map(|name| name.parse().unwrap()).collect();
    import_idle(&server, &flinks, &ids).await;
    let before = flinks.refreshes();
    flinks.hold_next(15);
    let clock = AutoAdvancingClock::new(Duration::from_secs(2));
    let client = support::client_of(flinks.address(), &Settings::new().clock(clock.clone()));
    let address = server.address();
    let server = Arc::new(server);
    let times_overwritten = AtomicUsize::new(0);
    let overwrite_lease = {
        let server = Arc::clone(&server);
        move |progress: &flinks_redis::Progress| {
            if progress.summary.refreshed > 0 && times_overwritten.fetch_add(1, Ordering::SeqCst) == 0 {
                server.command(&["DEL", "{flinks:000}:worker"]);
                server.command(&["HSET", "{flinks:000}:worker", "a", "b"]);
                clock.advance(Duration::from_secs(21));
            }
        }
    };
    let process = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let store = store(&address);
        let consents = Consents::builder(client).store(store.clone()).build();
        runtime.block_on(
            KeepAlive::new(consents, store).rate(10_000).max_concurrency(16).on_progress(overwrite_lease).run_once(),
        )
    });
    // The emulator sends the first response. It sends the others only after the renewal has
    // failed.
    while !server.info().contains("errorstat_WRONGTYPE") {
        tokio::task::yield_now().await;
    }
    flinks.release_held();
    let outcome = tokio::task::spawn_blocking(|| process.join().unwrap()).await.unwrap();
    assert!(matches!(outcome, Err(StoreError::Damaged(_))), "{outcome:?}");
    let refreshed = flinks.refreshes() - before;
    assert!((1..40).contains(&refreshed), "{refreshed}");
    server.remove_leases();
    let summary = worker(&server, &flinks).run_once().await.unwrap();
    assert_eq!(summary.refreshed, 40 - refreshed, "{summary}");
    assert_eq!(summary.failed, 0, "{summary}");
    assert_eq!(summary.ended, 0, "{summary}");
}

/// Tests a callback that takes longer than the lease lasts, so that another worker acquires the
/// lease.
async fn expired_lease() {
    check_expired_lease(OtherWorker::ReportsAll).await;
    check_expired_lease(OtherWorker::HoldsLease).await;
}

/// The other worker's actions while the first worker's callback is running.
#[derive(Clone, Copy, PartialEq)]
enum OtherWorker {
    /// The other worker reports all ended consents.
    ReportsAll,
    /// The other worker acquires the lease but reports nothing yet.
    HoldsLease,
}

async fn check_expired_lease(other_worker: OtherWorker) {
    let server = Arc::new(Server::start(&[]));
    let flinks = support::emulator().await;
    create_ended_consents(&server, &flinks, 5).await;
    let reports = Arc::new(AtomicUsize::new(0));
    let count_reports = |worker: KeepAlive| {
        let reports = Arc::clone(&reports);
        worker.on_ended(move |_| {
            reports.fetch_add(1, Ordering::SeqCst);
        })
    };
    let second = Mutex::new(Some(count_reports(worker(&server, &flinks))));
    let clock = AutoAdvancingClock::new(Duration::from_secs(2));
    let client = support::client_of(flinks.address(), &Settings::new().clock(clock.clone()));
    let store = store(&server.address());
    let count = Arc::clone(&reports);
    let redis = Arc::clone(&server);
    let consents = Consents::builder(client).store(store.clone()).build();
    let first = KeepAlive::new(consents, store).on_ended(move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        if let Some(second) = second.lock().unwrap().take() {
            clock.advance(Duration::from_secs(121));
            redis.remove_leases();
            if other_worker == OtherWorker::ReportsAll {
                run_on_another_thread(async { assert_eq!(second.run_once().await.unwrap().ended, 5) });
            } else {
                redis.set("{flinks:000}:worker", b"second");
            }
        }
    });
    assert_eq!(first.run_once().await.unwrap().ended, 1);
    // The workers report only one consent twice: the consent in the first worker's callback.
    let expected = if other_worker == OtherWorker::ReportsAll { 6 } else { 1 };
    assert_eq!(reports.load(Ordering::SeqCst), expected);
}
