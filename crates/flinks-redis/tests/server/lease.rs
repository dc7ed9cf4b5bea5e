//! Tests a worker that cannot renew its lease.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use flinks_consents::Consents;
use flinks_consents::flinks::Settings;
use flinks_consents::store::StoreError;
use flinks_redis::KeepAlive;
use flinks_store_tests::{ids_in_first_shard, import_idle, worker};

use crate::common::{Tests, run, store};
use crate::support::{self, AutoAdvancingClock, Server};

/// Tests that need `redis-server`.
pub(crate) const WITH_SERVER: Tests = &[("o5_run_stops_if_its_lease_cannot_be_renewed", || run(failed_renewal))];

/// Overwrites the lease's Redis key and advances the clock, so that renewing the lease fails while
/// refreshes are in flight. Checks that no refresh token is lost, although the worker's runtime
/// stops after the run.
async fn failed_renewal() {
    let server = Server::start(&[]);
    let flinks = support::emulator().await;
    flinks.rotate_refresh_tokens();
    let ids = ids_in_first_shard(40);
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
    let summary = worker(&*server, &flinks).run_once().await.unwrap();
    assert_eq!(summary.refreshed, 40 - refreshed, "{summary}");
    assert_eq!(summary.failed, 0, "{summary}");
    assert_eq!(summary.ended, 0, "{summary}");
}
