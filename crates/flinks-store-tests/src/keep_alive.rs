//! Tests the keep-alive worker's runs (O5).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use flinks_consents::flinks::Settings;
use flinks_consents::{Consents, KeepAlive};

use crate::backend::Backend;
use crate::clock::AutoAdvancingClock;
use crate::common::{
    Tests, ids_in_first_shard, import_idle, nothing_is_due, open, run, run_on_another_thread, start_with_idle_consents,
    worker,
};
use crate::flinks::{client_of, emulator};
use crate::proxy::{Fault, Proxy};

/// Returns the tests.
pub fn tests<B: Backend>() -> Tests {
    vec![
        ("o5_workers_share_the_consents_and_refresh_each_once", || run(three_workers::<B>)),
        ("o5_progress_counts_damaged_and_removed_records", || run(progress::<B>)),
        ("o5_damaged_record_does_not_stop_the_worker", || run(damaged_record::<B>)),
        ("o5_consent_refreshed_since_the_listing_is_skipped", || run(refreshed_elsewhere::<B>)),
        ("o5_run_stops_if_flinks_fails_and_loses_nothing", || run(flinks_fails::<B>)),
        ("o5_next_worker_continues_after_an_interrupted_run", || run(interrupted_run::<B>)),
    ]
}

async fn three_workers<B: Backend>() {
    let (server, flinks, _) = start_with_idle_consents::<B>(100).await;
    let before = flinks.refreshes();
    let runs: Vec<_> = (0..3)
        .map(|_| {
            let worker = worker(&server, &flinks);
            tokio::spawn(async move { worker.run_once().await.unwrap() })
        })
        .collect();
    let mut refreshed = 0;
    for run in runs {
        let summary = run.await.unwrap();
        assert_eq!(summary.ended, 0, "{summary}");
        assert_eq!(summary.failed, 0, "{summary}");
        refreshed += summary.refreshed;
    }
    // A worker skips the shards that another worker has leased. The next run refreshes the
    // remaining consents.
    refreshed += worker(&server, &flinks).run_once().await.unwrap().refreshed;
    assert_eq!(refreshed, 100);
    assert_eq!(flinks.refreshes() - before, 100);
    assert!(nothing_is_due(&server).await);
    assert!(!server.has_leases(), "a lease was not released");
    let summary = worker(&server, &flinks).run_once().await.unwrap();
    assert_eq!(summary.to_string(), "0 refreshed, 0 refreshed elsewhere, 0 ended, 0 failed");
}

/// Damages one record and removes another after the worker has listed the consents and refreshed the
/// first one.
async fn progress<B: Backend>() {
    let server = Arc::new(B::start());
    let flinks = emulator().await;
    let ids = ids_in_first_shard(4);
    import_idle(&*server, &flinks, &ids).await;
    let last_due = Arc::new(AtomicU64::new(0));
    let last_examined = Arc::new(AtomicU64::new(0));
    let due = Arc::clone(&last_due);
    let examined = Arc::clone(&last_examined);
    let changed = Arc::clone(&server);
    let worker = worker(&*server, &flinks).max_concurrency(1).on_progress(move |progress| {
        if progress.examined == 1 && examined.swap(1, Ordering::SeqCst) == 0 {
            changed.damage_record(&ids[2]);
            changed.delete_record(&ids[3]);
        }
        due.store(progress.due, Ordering::SeqCst);
        examined.store(progress.examined, Ordering::SeqCst);
    });
    let summary = worker.run_once().await.unwrap();
    assert_eq!(summary.refreshed, 2, "{summary}");
    assert_eq!(summary.refreshed_elsewhere, 1, "{summary}");
    assert_eq!(summary.unreadable, 1, "{summary}");
    assert_eq!(last_due.load(Ordering::SeqCst), 4);
    assert_eq!(last_examined.load(Ordering::SeqCst), 4);
}

/// Tests a consent whose new refresh token cannot be stored and whose stored record is then
/// damaged.
async fn damaged_record<B: Backend>() {
    let (server, flinks, ids) = start_with_idle_consents::<B>(3).await;
    flinks.rotate_refresh_tokens();
    let proxy = Proxy::<B>::to(&server);
    let store = open::<B>(proxy.address());
    let consents = Consents::builder(flinks.client()).store(store.clone()).build();
    let (_, outage) = B::ERROR_RESPONSES[0];
    proxy.inject(2, Fault::ErrorResponse(outage));
    assert!(consents.consent(&ids[0]).refresh_now().await.unwrap_err().is_store());
    server.damage_record(&ids[0]);
    let summary = KeepAlive::new(consents, store).rate(10_000).run_once().await.unwrap();
    assert_eq!(summary.refreshed, 2, "{summary}");
    assert_eq!(summary.unreadable, 1, "{summary}");
    assert!(summary.unstored.is_some(), "{summary}");
    assert!(summary.to_string().contains("only in this process"), "{summary}");
}

/// Tests an application that refreshes the other due consents after the worker's first refresh.
async fn refreshed_elsewhere<B: Backend>() {
    let server = B::start();
    let flinks = emulator().await;
    let ids = ids_in_first_shard(10);
    import_idle(&server, &flinks, &ids).await;
    let before = flinks.refreshes();
    let address = server.address();
    let client = flinks.client();
    let first_refreshes = AtomicUsize::new(0);
    let worker = worker(&server, &flinks).max_concurrency(1).on_progress(move |progress| {
        if progress.summary.refreshed == 1 && first_refreshes.fetch_add(1, Ordering::SeqCst) == 0 {
            run_on_another_thread(async {
                let consents = Consents::builder(client.clone()).store(open::<B>(&address)).build();
                for id in consents.due_within(Duration::from_secs(7 * 24 * 60 * 60), 100).await.unwrap() {
                    consents.consent(&id).refresh_now().await.unwrap();
                }
            });
        }
    });
    let summary = worker.run_once().await.unwrap();
    assert_eq!(summary.refreshed, 1, "{summary}");
    assert_eq!(summary.refreshed_elsewhere, 9, "{summary}");
    assert_eq!(flinks.refreshes() - before, 10);
}

async fn flinks_fails<B: Backend>() {
    let (server, flinks, _) = start_with_idle_consents::<B>(100).await;
    let before = flinks.refreshes();
    flinks.set_failing(true);
    // The clock skips the waits between attempts, which last up to 30 seconds. Deadlines are
    // longer, so they do not expire.
    let long = Duration::from_secs(1000);
    let settings = Settings::new().clock(AutoAdvancingClock::new(Duration::from_secs(31))).timeout(long);
    let store = open::<B>(&server.address());
    let consents = Consents::builder(client_of(flinks.address(), &settings)).store(store.clone()).store_timeout(long);
    let first_worker = KeepAlive::new(consents.build(), store).rate(10_000).max_concurrency(1);
    let summary = first_worker.run_once().await.unwrap();
    assert_eq!(summary.refreshed, 0, "{summary}");
    assert_eq!(summary.failed, 20, "{summary}");
    assert!(summary.stopped.is_some(), "{summary}");
    assert!(summary.to_string().contains("20 refreshes in a row failed"), "{summary}");
    // The run stops after 20 failed refreshes, and each refresh makes three attempts.
    assert_eq!(flinks.refreshes() - before, 60);
    flinks.set_failing(false);
    let summary = worker(&server, &flinks).run_once().await.unwrap();
    assert_eq!(summary.refreshed, 100, "{summary}");
    assert_eq!(summary.failed, 0, "{summary}");
    assert!(nothing_is_due(&server).await);
}

async fn interrupted_run<B: Backend>() {
    let (server, flinks, _) = start_with_idle_consents::<B>(60).await;
    let before = flinks.refreshes();
    let has_started = Arc::new(tokio::sync::Notify::new());
    let notifications = Arc::new(AtomicUsize::new(0));
    let first = {
        let has_started = Arc::clone(&has_started);
        let notifications = Arc::clone(&notifications);
        worker(&server, &flinks).on_progress(move |progress| {
            if progress.summary.refreshed == 10 && notifications.fetch_add(1, Ordering::SeqCst) == 0 {
                has_started.notify_one();
            }
        })
    };
    tokio::select! {
        _ = first.run_once() => panic!("the run was not interrupted"),
        () = has_started.notified() => {}
    }
    // The interrupted worker may still hold one shard's lease. The next worker processes all other
    // shards.
    let summary = worker(&server, &flinks).run_once().await.unwrap();
    assert!(summary.shards_leased_elsewhere <= 1, "{summary}");
    assert_eq!(summary.failed, 0, "{summary}");
    server.remove_leases();
    worker(&server, &flinks).run_once().await.unwrap();
    assert!(nothing_is_due(&server).await);
    assert_eq!(flinks.refreshes() - before, 60, "a consent was refreshed twice");
}
