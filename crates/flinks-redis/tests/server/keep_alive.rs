//! Tests the keep-alive worker's runs (O5).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use flinks_consents::flinks::Settings;
use flinks_consents::store::StoreError;
use flinks_consents::store::TokenStore as _;
use flinks_consents::{ConsentId, Consents};
use flinks_redis::{EncryptionKeys, KeepAlive, Key, RedisStore};

use crate::common::{
    Tests, import_idle, is_in_first_shard, nothing_is_due, record, record_key, run, run_on_another_thread,
    start_with_idle_consents, store, worker,
};
use crate::support::{self, AutoAdvancingClock, Fault, Flinks, Proxy, Server};

/// Tests that need `redis-server`.
pub(crate) const WITH_SERVER: Tests = &[
    ("o5_workers_share_the_consents_and_refresh_each_once", || run(three_workers)),
    ("o5_progress_counts_damaged_and_removed_records", || run(progress)),
    ("o5_damaged_record_does_not_stop_the_worker", || run(damaged_record)),
    ("o5_consent_refreshed_since_the_listing_is_skipped", || run(refreshed_elsewhere)),
    ("o5_run_stops_if_flinks_fails_and_loses_nothing", || run(flinks_fails)),
    ("o5_next_worker_continues_after_an_interrupted_run", || run(interrupted_run)),
];

async fn three_workers() {
    let (server, flinks, _) = start_with_idle_consents(100).await;
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
    assert!(!server.keys().iter().any(|key| key.ends_with(":worker")), "a lease was not released");
    let summary = worker(&server, &flinks).run_once().await.unwrap();
    assert_eq!(summary.to_string(), "0 refreshed, 0 refreshed elsewhere, 0 ended, 0 failed");
}

async fn progress() {
    let (server, flinks, _) = start_with_idle_consents(4).await;
    let keys: Vec<String> = server.keys().into_iter().filter(|key| key.len() > 40).collect();
    server.set(&keys[0], b"garbage");
    server.command(&["DEL", &keys[1]]);
    let last_due = Arc::new(AtomicU64::new(0));
    let last_examined = Arc::new(AtomicU64::new(0));
    let due = Arc::clone(&last_due);
    let examined = Arc::clone(&last_examined);
    let worker = worker(&server, &flinks).on_progress(move |progress| {
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
async fn damaged_record() {
    let (server, flinks, ids) = start_with_idle_consents(3).await;
    flinks.rotate_refresh_tokens();
    let proxy = Proxy::to(&server);
    let store = store(&proxy.address());
    let consents = Consents::builder(flinks.client()).store(store.clone()).build();
    proxy.inject(2, Fault::ErrorResponse("LOADING"));
    assert!(consents.consent(&ids[0]).refresh_now().await.unwrap_err().is_store());
    let key = record_key(&record(ids[0].as_str(), "r", SystemTime::now()).await).await;
    server.set(&key, b"garbage");
    let summary = KeepAlive::new(consents, store).rate(10_000).run_once().await.unwrap();
    assert_eq!(summary.refreshed, 2, "{summary}");
    assert_eq!(summary.unreadable, 1, "{summary}");
    assert!(summary.unstored.is_some(), "{summary}");
    assert!(summary.to_string().contains("only in this process"), "{summary}");
}

/// Checks that a worker that has the wrong keys, or whose `Consents` uses a different store,
/// refreshes nothing but still counts the consents that it lists.
pub(crate) async fn misconfigured(server: &Server, flinks: &Flinks) {
    let with = |keys: EncryptionKeys| {
        let store = RedisStore::builder(server.address(), keys).build().unwrap();
        KeepAlive::new(Consents::builder(flinks.client()).store(store.clone()).build(), store)
    };
    let unreadable = with(EncryptionKeys::new(Key::new([7; 32]), 2, Key::new([2; 32]))).run_once().await.unwrap();
    assert_eq!(unreadable.unreadable, 10, "{unreadable}");
    assert_eq!(unreadable.refreshed, 0, "{unreadable}");
    let other = || EncryptionKeys::new(Key::new([8; 32]), 1, Key::new([1; 32]));
    let wrong_name_key = StoreError::misconfigured("was written with a different name key");
    assert_eq!(with(other()).run_once().await.unwrap_err(), wrong_name_key);
    // Without the fingerprint, the store does not detect the wrong name key, but the records are
    // unreadable.
    server.command(&["DEL", "{flinks:000}:names"]);
    let summary = with(other()).run_once().await.unwrap();
    assert_eq!(summary.unreadable, 10, "{summary}");
    assert_eq!(summary.refreshed, 0, "{summary}");
    let correct = store(&server.address());
    assert_eq!(correct.load(&"user-7".parse().unwrap()).await.unwrap_err(), wrong_name_key);
    server.command(&["DEL", "{flinks:000}:names"]);
    assert!(correct.load(&"user-7".parse().unwrap()).await.unwrap().is_some());
    // The worker lists the consents in one store and loads their records from another store.
    let elsewhere = Consents::builder(flinks.client()).build();
    let summary = KeepAlive::new(elsewhere, store(&server.address())).run_once().await.unwrap();
    assert_eq!(summary.refreshed, 0, "{summary}");
    assert_eq!(summary.refreshed_elsewhere, 10, "{summary}");
}

/// Tests an application that refreshes the other due consents after the worker's first refresh.
async fn refreshed_elsewhere() {
    let server = Server::start(&[]);
    let flinks = support::emulator().await;
    let names = (0..).map(|number| format!("user-{number}")).filter(|name| is_in_first_shard(name));
    let ids: Vec<ConsentId> = names.take(10).map(|name| name.parse().unwrap()).collect();
    import_idle(&server, &flinks, &ids).await;
    let before = flinks.refreshes();
    let address = server.address();
    let client = flinks.client();
    let first_refreshes = AtomicUsize::new(0);
    let worker = worker(&server, &flinks).max_concurrency(1).on_progress(move |progress| {
        if progress.summary.refreshed == 1 && first_refreshes.fetch_add(1, Ordering::SeqCst) == 0 {
            run_on_another_thread(async {
                let consents = Consents::builder(client.clone()).store(store(&address)).build();
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

async fn flinks_fails() {
    let (server, flinks, _) = start_with_idle_consents(100).await;
    let before = flinks.refreshes();
    flinks.set_failing(true);
    // The clock completes the waits between attempts, which last up to 30 seconds. Deadlines are
    // longer, so they do not expire.
    let long = Duration::from_secs(1000);
    let settings = Settings::new().clock(AutoAdvancingClock::new(Duration::from_secs(31))).timeout(long);
    let store = store(&server.address());
    let consents =
        Consents::builder(support::client_of(flinks.address(), &settings)).store(store.clone()).store_timeout(long);
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

async fn interrupted_run() {
    let (server, flinks, _) = start_with_idle_consents(60).await;
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
