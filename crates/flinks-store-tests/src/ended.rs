//! Tests how workers report ended consents (O6).

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use flinks_consents::flinks::outbound::RefreshToken;
use flinks_consents::store::StoreError;
use flinks_consents::{ConsentId, Consents};

use crate::backend::Backend;
use crate::common::{Tests, create_ended_consents, open, run, run_on_another_thread, start_with_idle_consents, worker};
use crate::flinks::emulator;

/// Returns the tests.
pub fn tests<B: Backend>() -> Tests {
    vec![
        ("o6_ended_consent_is_reported_once", || run(reported_once::<B>)),
        ("o6_ended_consent_is_reported_even_if_the_server_stops_during_the_report", || run(reported_after_crash::<B>)),
        ("o6_renewed_consent_is_not_reported", || run(renewed::<B>)),
    ]
}

async fn reported_once<B: Backend>() {
    let (server, flinks, ids) = start_with_idle_consents::<B>(10).await;
    let consents = Consents::builder(flinks.client()).store(open::<B>(&server.address())).build();
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

/// Tests a worker that cannot record that it has reported an ended consent, because the server
/// stops while the worker's callback is running.
async fn reported_after_crash<B: Backend>() {
    let server = B::start_durable();
    let flinks = emulator().await;
    let consents = Consents::builder(flinks.client()).store(open::<B>(&server.address())).build();
    let id: ConsentId = "user-7".parse().unwrap();
    let unknown_token = || RefreshToken::new("canary-unknown").unwrap();
    consents.import(&id, unknown_token(), SystemTime::now()).await.unwrap();
    assert!(consents.consent(&id).access_token().await.unwrap_err().needs_consent());
    let reports = Arc::new(AtomicUsize::new(0));
    let worker = |stops_server: bool, server: Arc<Mutex<B>>| {
        let reports = Arc::clone(&reports);
        let worker = self::worker(&*server.lock().unwrap(), &flinks);
        worker.on_ended(move |_| {
            reports.fetch_add(1, Ordering::SeqCst);
            if stops_server {
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
    // If the end user consents again, a worker reports the consent again only after the new consent
    // has also ended.
    let consents = Consents::builder(flinks.client()).store(open::<B>(&server.lock().unwrap().address())).build();
    consents.import(&id, unknown_token(), SystemTime::now()).await.unwrap();
    assert!(consents.consent(&id).access_token().await.unwrap_err().needs_consent());
    consents.import(&id, flinks.new_refresh_token().await, SystemTime::now()).await.unwrap();
    assert_eq!(worker(false, server.clone()).run_once().await.unwrap().ended, 0);
    consents.import(&id, unknown_token(), SystemTime::now()).await.unwrap();
    assert!(consents.consent(&id).access_token().await.unwrap_err().needs_consent());
    assert_eq!(worker(false, server.clone()).run_once().await.unwrap().ended, 1);
    // `forget` removes all data about the consent from the server, even if its end was not
    // reported.
    consents.import(&id, unknown_token(), SystemTime::now()).await.unwrap();
    assert!(consents.consent(&id).access_token().await.unwrap_err().needs_consent());
    consents.consent(&id).forget().await.unwrap();
    assert!(server.lock().unwrap().is_empty());
}

/// Tests that a worker does not report an ended consent that the end user renews while the worker
/// is reporting another consent.
async fn renewed<B: Backend>() {
    let server = B::start();
    let flinks = emulator().await;
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
                let consents = Consents::builder(client.clone()).store(open::<B>(&address)).build();
                consents.import(other, new_token, SystemTime::now()).await.unwrap();
            });
        }
    });
    assert_eq!(worker.run_once().await.unwrap().ended, 1);
    assert_eq!(reports.load(Ordering::SeqCst), 1);
}
