//! Tests workers whose lease expires during a run.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use flinks_consents::flinks::Settings;
use flinks_consents::keep_alive::WorkLeases as _;
use flinks_consents::{Consents, KeepAlive};

use crate::backend::Backend;
use crate::clock::AutoAdvancingClock;
use crate::common::{Tests, create_ended_consents, open, run, run_on_another_thread, worker};
use crate::flinks::{client_of, emulator};

/// Returns the tests.
pub fn tests<B: Backend>() -> Tests {
    vec![("o6_worker_that_lost_its_lease_stops_reporting", || run(expired_lease::<B>))]
}

/// Tests a callback that takes longer than the lease lasts, so that another worker acquires the
/// lease.
async fn expired_lease<B: Backend>() {
    check_expired_lease::<B>(OtherWorker::ReportsAll).await;
    check_expired_lease::<B>(OtherWorker::HoldsLease).await;
}

/// The other worker's actions while the first worker's callback is running.
#[derive(Clone, Copy, PartialEq)]
enum OtherWorker {
    /// The other worker reports all ended consents.
    ReportsAll,
    /// The other worker acquires the lease but reports nothing yet.
    HoldsLease,
}

async fn check_expired_lease<B: Backend>(other_worker: OtherWorker) {
    let server = Arc::new(B::start());
    let flinks = emulator().await;
    create_ended_consents(&*server, &flinks, 5).await;
    let reports = Arc::new(AtomicUsize::new(0));
    let count_reports = |worker: KeepAlive| {
        let reports = Arc::clone(&reports);
        worker.on_ended(move |_| {
            reports.fetch_add(1, Ordering::SeqCst);
        })
    };
    let second = Mutex::new(Some(count_reports(worker(&*server, &flinks))));
    let clock = AutoAdvancingClock::new(Duration::from_secs(2));
    let client = client_of(flinks.address(), &Settings::new().clock(clock.clone()));
    let store = open::<B>(&server.address());
    let count = Arc::clone(&reports);
    let leases = store.clone();
    let consents = Consents::builder(client).store(store.clone()).build();
    let first = KeepAlive::new(consents, store).on_ended(move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        if let Some(second) = second.lock().unwrap().take() {
            clock.advance(Duration::from_secs(121));
            server.remove_leases();
            if other_worker == OtherWorker::ReportsAll {
                run_on_another_thread(async { assert_eq!(second.run_once().await.unwrap().ended, 5) });
            } else {
                run_on_another_thread(async {
                    assert!(leases.acquire(0, "second", Duration::from_secs(120)).await.unwrap());
                });
            }
        }
    });
    assert_eq!(first.run_once().await.unwrap().ended, 1);
    // The workers report only one consent twice: the consent in the first worker's callback.
    let expected = if other_worker == OtherWorker::ReportsAll { 6 } else { 1 };
    assert_eq!(reports.load(Ordering::SeqCst), expected);
}
