//! Tests worker runs in which a gateway refuses the requests before they reach Flinks (O6). Also
//! tests a consent whose last refresh appears to be in the future, because the wall clock of the
//! machine that refreshed it was ahead (O5).

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use flinks_consents::flinks::Settings;
use flinks_consents::flinks::outbound::RefreshToken;
use flinks_consents::keep_alive::{StopReason, Stopped, Summary};
use flinks_consents::store::{DueWindow, TokenStore as _};
use flinks_consents::{ConsentId, Consents, KeepAlive};

use crate::backend::Backend;
use crate::clock::AutoAdvancingClock;
use crate::common::{Tests, import_idle, open, run, start_with_idle_consents};
use crate::flinks::{Flinks, client_of};

/// Returns the tests.
pub fn tests<B: Backend>() -> Tests {
    vec![
        ("o6_run_behind_a_gateway_stops_and_ends_no_consent", || run(ends_no_consent::<B>)),
        ("o6_suspected_consents_are_refreshed_last", || run(suspected_last::<B>)),
        ("o5_consent_with_a_future_timestamp_is_refreshed", || run(future_timestamp::<B>)),
        ("o6_failed_reactivation_is_not_reported_again", || run(reactivation_not_reported::<B>)),
    ]
}

/// The time between two runs of the worker.
const BETWEEN_RUNS: Duration = Duration::from_secs(120);

/// A worker, its clock and the ended consents that it has reported. The worker sends one request at
/// a time.
struct Worker {
    keep_alive: KeepAlive,
    consents: Consents,
    clock: AutoAdvancingClock,
    reported: Arc<Mutex<Vec<ConsentId>>>,
}

impl Worker {
    fn new<B: Backend>(server: &B, flinks: &Flinks) -> Self {
        let clock = AutoAdvancingClock::new(Duration::from_secs(2));
        let client = client_of(flinks.address(), &Settings::new().clock(clock.clone()));
        let store = open::<B>(&server.address());
        let consents = Consents::builder(client).store(store.clone()).build();
        let reported: Arc<Mutex<Vec<ConsentId>>> = Arc::default();
        let report = Arc::clone(&reported);
        let keep_alive = KeepAlive::new(consents.clone(), store)
            .rate(10_000)
            .max_concurrency(1)
            .on_ended(move |id| report.lock().unwrap().push(id.clone()));
        Self { keep_alive, consents, clock, reported }
    }

    /// Advances the clock and runs the worker.
    async fn run(&self) -> Summary {
        self.clock.advance(BETWEEN_RUNS);
        self.keep_alive.run_once().await.unwrap()
    }
}

fn is_stopped_by_a_gateway(summary: &Summary) -> bool {
    matches!(&summary.stopped, Some(Stopped { reason: StopReason::Suspected(_), .. }))
}

async fn ends_no_consent<B: Backend>() {
    let (server, flinks, _) = start_with_idle_consents::<B>(300).await;
    let worker = Worker::new(&server, &flinks);
    let before = flinks.refreshes();
    flinks.set_gateway_refusing(true);
    let summary = worker.run().await;
    assert!(is_stopped_by_a_gateway(&summary), "{summary}");
    assert_eq!(summary.suspected, 20, "{summary}");
    assert_eq!(flinks.refreshes() - before, 20);
    // Each of the next runs refreshes a single consent.
    for requests in 21..24 {
        let summary = worker.run().await;
        assert!(is_stopped_by_a_gateway(&summary), "{summary}");
        assert_eq!(flinks.refreshes() - before, requests);
    }
    flinks.set_gateway_refusing(false);
    let summary = worker.run().await;
    assert!(summary.stopped.is_none(), "{summary}");
    assert_eq!(summary.refreshed, 300, "{summary}");
    assert_eq!(*worker.reported.lock().unwrap(), []);
}

async fn suspected_last<B: Backend>() {
    let (server, flinks, active) = start_with_idle_consents::<B>(10).await;
    let worker = Worker::new(&server, &flinks);
    let suspected: Vec<ConsentId> = (0..10).map(|number| format!("suspected-{number}").parse().unwrap()).collect();
    import_idle(&server, &flinks, &suspected).await;
    flinks.set_gateway_refusing(true);
    for id in &suspected {
        assert!(worker.consents.consent(id).refresh_now().await.unwrap_err().refusal().is_some());
    }
    flinks.set_gateway_refusing(false);
    worker.clock.advance(BETWEEN_RUNS);
    let active_are_refreshed = Arc::new(tokio::sync::Notify::new());
    let notify = Arc::clone(&active_are_refreshed);
    let keep_alive = worker.keep_alive.on_progress(move |progress| {
        if progress.summary.refreshed == 10 {
            notify.notify_one();
        }
    });
    tokio::select! {
        biased;
        () = active_are_refreshed.notified() => {}
        _ = keep_alive.run_once() => panic!("the run was not cancelled"),
    }
    // The refresh of one suspected consent may have started.
    worker.consents.shutdown(Duration::from_secs(500)).await.unwrap();
    let window = DueWindow::new(SystemTime::now(), Duration::from_secs(7 * 24 * 60 * 60));
    let due = open::<B>(&server.address()).due(window, 100).await.unwrap();
    assert!(due.len() >= 9, "{due:?}");
    assert!(due.iter().all(|id| !active.contains(id)), "{due:?}");
}

async fn future_timestamp<B: Backend>() {
    let (server, flinks, _) = start_with_idle_consents::<B>(0).await;
    let worker = Worker::new(&server, &flinks);
    let id: ConsentId = "user-7".parse().unwrap();
    let ahead = SystemTime::now() + Duration::from_secs(365 * 24 * 60 * 60);
    let _ = worker.consents.import(&id, flinks.new_refresh_token().await, ahead).await.unwrap();
    assert_eq!(worker.consents.due_within(Duration::ZERO, 10).await.unwrap(), [id]);
    let summary = worker.run().await;
    assert_eq!(summary.refreshed, 1, "{summary}");
    assert_eq!(worker.consents.due_within(Duration::from_secs(29 * 24 * 60 * 60), 10).await.unwrap(), []);
}

async fn reactivation_not_reported<B: Backend>() {
    let (server, flinks, _) = start_with_idle_consents::<B>(0).await;
    let worker = Worker::new(&server, &flinks);
    let id: ConsentId = "user-7".parse().unwrap();
    let unknown_token = RefreshToken::new("canary-unknown").unwrap();
    let _ = worker.consents.import(&id, unknown_token, SystemTime::now()).await.unwrap();
    assert!(worker.consents.consent(&id).access_token().await.unwrap_err().needs_consent());
    assert_eq!(worker.run().await.ended, 1);
    assert!(worker.consents.reactivate(&id).await.is_err());
    assert_eq!(worker.run().await.ended, 0);
}
