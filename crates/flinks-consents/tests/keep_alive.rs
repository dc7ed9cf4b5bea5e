//! Tests the keep-alive worker with an in-memory store, which has no leases.

#![allow(clippy::unwrap_used)] // test helpers are tests too

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use flinks::outbound::{Client, ClientCredentials, RefreshToken};
use flinks::{Clock as _, ManualClock, Settings};
use flinks_consents::KeepAlive;
use flinks_consents::store::testing::{FaultyStore, StoreFault, StoreOperation};
use flinks_consents::{ConsentId, Consents, MemoryStore};
use flinks_emulator::credentials::{OUTBOUND_CLIENT_ID, OUTBOUND_CLIENT_SECRET, OUTBOUND_REFRESH_TOKEN};
use flinks_emulator::{Emulator, Fault, Operation};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Returns a worker, its consents, and the ids of the consents that the worker reports.
fn worker(flinks: &Emulator) -> (KeepAlive, Consents, Arc<Mutex<Vec<ConsentId>>>) {
    let credentials = ClientCredentials::new(OUTBOUND_CLIENT_ID, OUTBOUND_CLIENT_SECRET).unwrap();
    let client = Client::builder(flinks.base_url().parse().unwrap(), credentials).build().unwrap();
    let store = MemoryStore::new();
    let consents = Consents::builder(client).store(store.clone()).build();
    let reported: Arc<Mutex<Vec<ConsentId>>> = Arc::default();
    let report = Arc::clone(&reported);
    let worker = KeepAlive::new(consents.clone(), store)
        .rate(10_000)
        .on_ended(move |id| report.lock().unwrap().push(id.clone()));
    (worker, consents, reported)
}

async fn insert_ended(consents: &Consents, id: &str) -> ConsentId {
    let id: ConsentId = id.parse().unwrap();
    let idle = SystemTime::now() - DAY * 28;
    let _ = consents.import(&id, RefreshToken::new("canary-dead").unwrap(), idle).await.unwrap();
    id
}

#[tokio::test]
async fn o6_worker_without_an_index_reports_each_ended_consent_once() {
    let flinks = Emulator::start().await.unwrap();
    let (worker, consents, reported) = worker(&flinks);
    let id = insert_ended(&consents, "user-7").await;
    let summary = worker.run_once().await.unwrap();
    assert_eq!(summary.ended, 1, "{summary}");
    assert_eq!(*reported.lock().unwrap(), [id]);
    let summary = worker.run_once().await.unwrap();
    assert_eq!(summary.ended, 0, "{summary}");
    assert_eq!(summary.shards_leased_elsewhere, 0, "{summary}");
}

#[tokio::test]
async fn o6_next_run_reports_what_a_stopped_run_did_not() {
    let flinks = Arc::new(Emulator::start().await.unwrap());
    let (worker, consents, reported) = worker(&flinks);
    let worker = worker.max_concurrency(1);
    let ended = insert_ended(&consents, "user-0").await;
    for number in 1..=20 {
        let id: ConsentId = format!("user-{number}").parse().unwrap();
        let idle = SystemTime::now() - DAY * 27;
        let _ = consents.import(&id, RefreshToken::new("r").unwrap(), idle).await.unwrap();
    }
    // Flinks refuses the first request, and a gateway refuses the others.
    let worker = worker.on_progress({
        let flinks = Arc::clone(&flinks);
        move |progress| {
            if progress.examined == 1 {
                let refusal = Fault::Reply { status: 403, headers: vec![], body: String::new() };
                flinks.fail_always(Operation::OutboundToken, refusal);
            }
        }
    });
    let summary = worker.run_once().await.unwrap();
    assert!(summary.stopped.is_some(), "{summary}");
    assert_eq!(summary.ended, 0, "{summary}");
    flinks.clear_faults();
    assert_eq!(*reported.lock().unwrap(), []);
    for number in 1..=20 {
        consents.consent(&format!("user-{number}").parse().unwrap()).forget().await.unwrap();
    }
    let summary = worker.run_once().await.unwrap();
    assert_eq!(summary.ended, 1, "{summary}");
    assert_eq!(*reported.lock().unwrap(), [ended]);
}

/// A store that can fail and contains a due consent, and a clock that does not advance by itself.
struct Due {
    flinks: Emulator,
    clock: ManualClock,
    store: FaultyStore<MemoryStore>,
    consents: Consents,
}

impl Due {
    async fn new() -> Self {
        let flinks = Emulator::start().await.unwrap();
        let clock = ManualClock::new();
        let credentials = ClientCredentials::new(OUTBOUND_CLIENT_ID, OUTBOUND_CLIENT_SECRET).unwrap();
        let settings = Settings::new().clock(clock.clone());
        let client =
            Client::builder(flinks.base_url().parse().unwrap(), credentials).settings(&settings).build().unwrap();
        let store = FaultyStore::new(MemoryStore::new());
        let consents = Consents::builder(client).store(store.clone()).build();
        let id: ConsentId = "user-7".parse().unwrap();
        let refreshed_at = clock.wall() - DAY * 25;
        consents.import(&id, RefreshToken::new(OUTBOUND_REFRESH_TOKEN).unwrap(), refreshed_at).await.unwrap();
        Self { flinks, clock, store, consents }
    }
}

/// Waits until a task sleeps, and returns the duration of the sleep.
async fn next_wait(clock: &ManualClock) -> Duration {
    loop {
        match clock.take_sleeps().first() {
            Some(wait) => return *wait,
            None => tokio::task::yield_now().await,
        }
    }
}

#[tokio::test]
async fn o5_repeated_runs_wait_for_the_interval_or_back_off_after_a_failure() {
    const HOUR: Duration = Duration::from_secs(60 * 60);
    let Due { flinks: _flinks, clock, store, consents } = Due::new().await;
    let (sender, mut runs) = tokio::sync::mpsc::unbounded_channel();
    let worker = KeepAlive::new(consents, store.clone()).on_run({
        let clock = clock.clone();
        move |result| {
            clock.take_sleeps();
            sender.send(result.as_ref().map(|summary| summary.refreshed).map_err(ToString::to_string)).unwrap();
            panic!("a panic in the callback is caught");
        }
    });
    let worker = tokio::spawn(async move { worker.run_every(HOUR).await });
    let mut results = Vec::new();
    let mut waits = Vec::new();
    for number in 0..6 {
        results.push(runs.recv().await.unwrap());
        match number {
            0 => store.fail_always(StoreFault::unavailable()),
            3 => store.clear_faults(),
            _ => {}
        }
        let wait = next_wait(&clock).await;
        waits.push(wait);
        clock.advance(wait);
    }
    worker.abort();
    assert_eq!(results[0], Ok(1));
    assert!(results[1..4].iter().all(Result::is_err), "{results:?}");
    assert_eq!(results[4..], [Ok(0), Ok(0)]);
    assert_eq!([waits[0], waits[4], waits[5]], [HOUR; 3]);
    assert!(waits[1] <= Duration::from_secs(1), "{waits:?}");
    assert!(waits[3] >= Duration::from_secs(2), "{waits:?}");
    assert!(waits[3] <= Duration::from_secs(4), "{waits:?}");
}

#[tokio::test]
async fn o5_run_that_leaves_a_pending_write_is_repeated_soon() {
    let Due { flinks, clock, store, consents } = Due::new().await;
    flinks.configure(|config| config.outbound.rotate_refresh_tokens = true);
    let (sender, mut runs) = tokio::sync::mpsc::unbounded_channel();
    let worker = KeepAlive::new(consents, store.clone()).on_run({
        let (clock, store) = (clock.clone(), store.clone());
        move |result| {
            clock.take_sleeps();
            store.clear_faults();
            sender.send(result.as_ref().unwrap().unstored.is_some()).unwrap();
        }
    });
    // The first write acquires the lease. The next two store the new refresh token.
    for nth in [2, 3] {
        store.fail_nth(StoreOperation::CompareAndSwap, nth, StoreFault::unavailable());
    }
    let worker = tokio::spawn(async move { worker.run_every(DAY).await });
    for (is_unstored, longest) in [(true, Duration::from_secs(1)), (false, DAY)] {
        assert_eq!(runs.recv().await.unwrap(), is_unstored);
        let wait = next_wait(&clock).await;
        assert!(wait <= longest, "{wait:?}");
        clock.advance(wait);
    }
    worker.abort();
}
