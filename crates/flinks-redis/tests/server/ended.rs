//! Tests how workers report ended consents (O6).

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use flinks_consents::flinks::outbound::RefreshToken;
use flinks_consents::store::StoreError;
use flinks_consents::{ConsentId, Consents};

use crate::common::{
    Tests, create_ended_consents, run, run_on_another_thread, start_with_idle_consents, store, worker,
};
use crate::keep_alive;
use crate::support::{self, Server};

/// Tests that need `redis-server`.
pub(crate) const WITH_SERVER: Tests = &[
    ("o6_ended_consent_is_reported_once", || run(reported_once)),
    ("o6_ended_consent_is_reported_even_if_redis_stops_during_the_report", || run(reported_after_crash)),
    ("o6_renewed_consent_is_not_reported", || run(renewed)),
];

async fn reported_once() {
    let (server, flinks, ids) = start_with_idle_consents(10).await;
    let consents = Consents::builder(flinks.client()).store(store(&server.address())).build();
    keep_alive::misconfigured(&server, &flinks).await;
    let unknown_token = RefreshToken::new("canary-unknown").unwrap();
    consents.import(&ids[3], unknown_token, SystemTime::now() - Duration::from_secs(29 * 24 * 60 * 60)).await.unwrap();
    let reported = Arc::new(Mutex::new(Vec::new()));
    for expected in [
        "9 refreshed, 0 refreshed elsewhere, 1 ended, 0 failed",
        "0 refreshed, 0 refreshed elsewhere, 0 ended, 0 failed",
    ] {
        let callback_reported = Arc::clone(&reported);
        let worker = worker(&server, &flinks).on_ended(move |id| {
            callback_reported.lock().unwrap().push(id.clone());
            // Panics without printing a message.
            std::panic::resume_unwind(Box::new("a callback"));
        });
        assert_eq!(worker.run_once().await.unwrap().to_string(), expected);
        assert_eq!(*reported.lock().unwrap(), [ids[3].clone()]);
    }
}

/// Tests a worker that cannot record that it has reported an ended consent, because Redis stops
/// while the callback of the worker is running.
async fn reported_after_crash() {
    let server = Server::start(&["--appendonly", "yes", "--appendfsync", "always"]);
    let flinks = support::emulator().await;
    let consents = Consents::builder(flinks.client()).store(store(&server.address())).build();
    let id: ConsentId = "user-7".parse().unwrap();
    let unknown_token = || RefreshToken::new("canary-unknown").unwrap();
    consents.import(&id, unknown_token(), SystemTime::now()).await.unwrap();
    assert!(consents.consent(&id).access_token().await.unwrap_err().needs_consent());
    let reports = Arc::new(AtomicUsize::new(0));
    let worker = |stops_redis: bool, server: Arc<Mutex<Server>>| {
        let reports = Arc::clone(&reports);
        self::worker(&server.clone().lock().unwrap(), &flinks).on_ended(move |_| {
            reports.fetch_add(1, Ordering::SeqCst);
            if stops_redis {
                server.lock().unwrap().kill();
            }
        })
    };
    let server = Arc::new(Mutex::new(server));
    assert!(matches!(worker(true, server.clone()).run_once().await, Err(StoreError::Unavailable(_))));
    server.lock().unwrap().start_again();
    server.lock().unwrap().remove_leases();
    for (number, expected) in [(1, 2), (0, 2)] {
        let summary = worker(false, server.clone()).run_once().await.unwrap();
        assert_eq!(summary.ended, number, "{summary}");
        assert_eq!(reports.load(Ordering::SeqCst), expected, "{summary}");
    }
    // If the end user consents again, a worker reports the consent only after the new consent has
    // ended, too.
    let consents = Consents::builder(flinks.client()).store(store(&server.lock().unwrap().address())).build();
    consents.import(&id, unknown_token(), SystemTime::now()).await.unwrap();
    assert!(consents.consent(&id).access_token().await.unwrap_err().needs_consent());
    consents.import(&id, flinks.new_refresh_token().await, SystemTime::now()).await.unwrap();
    assert_eq!(worker(false, server.clone()).run_once().await.unwrap().ended, 0);
    consents.import(&id, unknown_token(), SystemTime::now()).await.unwrap();
    assert!(consents.consent(&id).access_token().await.unwrap_err().needs_consent());
    assert_eq!(worker(false, server.clone()).run_once().await.unwrap().ended, 1);
    // `forget` removes everything from Redis, even if the ended consent was not reported.
    consents.import(&id, unknown_token(), SystemTime::now()).await.unwrap();
    assert!(consents.consent(&id).access_token().await.unwrap_err().needs_consent());
    consents.consent(&id).forget().await.unwrap();
    assert_eq!(server.lock().unwrap().keys(), Vec::<String>::new());
}

/// Tests an end user who renews one of two ended consents while the worker reports the other ended
/// consent.
async fn renewed() {
    let server = Server::start(&[]);
    let flinks = support::emulator().await;
    let ids = create_ended_consents(&server, &flinks, 2).await;
    let new_token = Mutex::new(Some(flinks.new_refresh_token().await));
    let reports = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&reports);
    let address = server.address();
    let client = flinks.client();
    let worker = worker(&server, &flinks).on_ended(move |id| {
        count.fetch_add(1, Ordering::SeqCst);
        if let Some(new_token) = new_token.lock().unwrap().take() {
            let other = ids.iter().find(|other| *other != id).unwrap();
            run_on_another_thread(async {
                let consents = Consents::builder(client.clone()).store(store(&address)).build();
                consents.import(other, new_token, SystemTime::now()).await.unwrap();
            });
        }
    });
    assert_eq!(worker.run_once().await.unwrap().ended, 1);
    assert_eq!(reports.load(Ordering::SeqCst), 1);
}
