//! Tests the reports of ended consents (O6).

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use flinks_consents::flinks::outbound::RefreshToken;
use flinks_consents::store::StoreError;
use flinks_consents::{ConsentId, Consents};

use crate::common::{Tests, run_on_another_thread, ended, idle, run, store, worker};
use crate::keep_alive;
use crate::support::{self, Server};

/// Tests that need `redis-server`.
pub(crate) const WITH_SERVER: Tests = &[
    ("o6_ended_consent_is_reported_once", || run(needs_consent)),
    ("o6_ended_consent_is_reported_even_if_its_reporter_dies", || run(reported_after_crash)),
    ("o6_renewed_consent_is_not_reported", || run(renewed)),
];

async fn needs_consent() {
    let (server, flinks, ids) = idle(10).await;
    let consents = Consents::builder(flinks.client()).store(store(&server.address())).build();
    keep_alive::misconfigured(&server, &flinks).await;
    let dead = RefreshToken::new("canary-dead").unwrap();
    consents.import(&ids[3], dead, SystemTime::now() - Duration::from_secs(29 * 24 * 60 * 60)).await.unwrap();
    let told = Arc::new(Mutex::new(Vec::new()));
    for expected in [
        "9 refreshed, 0 refreshed elsewhere, 1 ended, 0 failed",
        "0 refreshed, 0 refreshed elsewhere, 0 ended, 0 failed",
    ] {
        let kept = Arc::clone(&told);
        let worker = worker(&server, &flinks).on_needs_consent(move |id| {
            kept.lock().unwrap().push(id.clone());
            // Like a panic, but without a message.
            std::panic::resume_unwind(Box::new("a callback"));
        });
        assert_eq!(worker.run_once().await.unwrap().to_string(), expected);
        assert_eq!(*told.lock().unwrap(), [ids[3].clone()]);
    }
}

/// An application detects that a consent has ended. A worker is then interrupted between its callback
/// and its note that the consent was reported.
async fn reported_after_crash() {
    let server = Server::start(&["--appendonly", "yes", "--appendfsync", "always"]);
    let flinks = support::emulator().await;
    let consents = Consents::builder(flinks.client()).store(store(&server.address())).build();
    let id: ConsentId = "user-7".parse().unwrap();
    let dead = || RefreshToken::new("canary-dead").unwrap();
    consents.import(&id, dead(), SystemTime::now()).await.unwrap();
    assert!(consents.consent(&id).access_token().await.unwrap_err().needs_consent());
    let told = Arc::new(AtomicUsize::new(0));
    let worker = |dies: bool, server: Arc<Mutex<Server>>| {
        let told = Arc::clone(&told);
        self::worker(&server.clone().lock().unwrap(), &flinks).on_needs_consent(move |_| {
            told.fetch_add(1, Ordering::SeqCst);
            if dies {
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
        assert_eq!(summary.needing_consent, number, "{summary}");
        assert_eq!(told.load(Ordering::SeqCst), expected, "{summary}");
    }
    // An end user who has consented again is not reported until the new consent has ended as well.
    let consents = Consents::builder(flinks.client()).store(store(&server.lock().unwrap().address())).build();
    consents.import(&id, dead(), SystemTime::now()).await.unwrap();
    assert!(consents.consent(&id).access_token().await.unwrap_err().needs_consent());
    consents.import(&id, flinks.new_refresh_token().await, SystemTime::now()).await.unwrap();
    assert_eq!(worker(false, server.clone()).run_once().await.unwrap().needing_consent, 0);
    consents.import(&id, dead(), SystemTime::now()).await.unwrap();
    assert!(consents.consent(&id).access_token().await.unwrap_err().needs_consent());
    assert_eq!(worker(false, server.clone()).run_once().await.unwrap().needing_consent, 1);
    // A forgotten consent leaves nothing in Redis, whether it was reported or not.
    consents.import(&id, dead(), SystemTime::now()).await.unwrap();
    assert!(consents.consent(&id).access_token().await.unwrap_err().needs_consent());
    consents.consent(&id).forget().await.unwrap();
    assert_eq!(server.lock().unwrap().keys(), Vec::<String>::new());
}

/// While the first consent is reported, the end user of the other one consents again.
async fn renewed() {
    let server = Server::start(&[]);
    let flinks = support::emulator().await;
    let ids = ended(&server, &flinks, 2).await;
    let fresh = Mutex::new(Some(flinks.new_refresh_token().await));
    let told = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&told);
    let address = server.address();
    let client = flinks.client();
    let worker = worker(&server, &flinks).on_needs_consent(move |id| {
        count.fetch_add(1, Ordering::SeqCst);
        if let Some(fresh) = fresh.lock().unwrap().take() {
            let other = ids.iter().find(|other| *other != id).unwrap();
            run_on_another_thread(async {
                let consents = Consents::builder(client.clone()).store(store(&address)).build();
                consents.import(other, fresh, SystemTime::now()).await.unwrap();
            });
        }
    });
    assert_eq!(worker.run_once().await.unwrap().needing_consent, 1);
    assert_eq!(told.load(Ordering::SeqCst), 1);
}
