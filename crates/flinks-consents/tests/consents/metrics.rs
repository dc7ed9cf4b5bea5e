//! Tests the metrics for consents, the store and keep-alive. Each test also checks that
//! `OBSERVABILITY.md` lists all recorded labels and values.

use flinks_consents::KeepAlive;

use crate::observability::Page;
use crate::prelude::*;
use crate::recorder::Recorder;
use crate::suspected::gateway;

const REFRESHES: &str = "flinks_refreshes_total";
const WAITING: &str = "flinks_waiting_callers";
const STORE_CALLS: &str = "flinks_store_call_duration_seconds_count";
const PENDING_WRITES: &str = "flinks_pending_writes";
const KEEP_ALIVE: &str = "flinks_keep_alive_consents_total";
const DUE: &str = "flinks_keep_alive_due";
const LAST_RUN: &str = "flinks_keep_alive_last_run_timestamp_seconds";

fn of_consent(outcome: &'static str) -> [(&'static str, &'static str); 2] {
    [("source", "consent"), ("outcome", outcome)]
}

fn store_call(operation: &'static str, outcome: &'static str) -> [(&'static str, &'static str); 2] {
    [("operation", operation), ("outcome", outcome)]
}

/// Waits until the metric reaches the given value. Panics if the metric does not reach the value
/// within ten seconds.
async fn wait_for(recorder: &Recorder, name: &str, labels: &[(&str, &str)], value: f64) {
    let reached = async {
        while recorder.sum(name, labels) != value {
            tokio::task::yield_now().await;
        }
    };
    if tokio::time::timeout(10 * SECOND, reached).await.is_err() {
        panic!("{name} {labels:?} did not become {value}:\n{}", recorder.text());
    }
}

/// Returns all metrics in sorted order. The recorder renders metrics in an arbitrary order.
fn sorted_lines(recorder: &Recorder) -> Vec<String> {
    let mut lines: Vec<_> = recorder.text().lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

#[tokio::test]
async fn o4_refresh_is_counted_once_for_all_callers() {
    let recorder = Recorder::new();
    let _guard = recorder.record();
    let setup = start().await;
    let consent = setup.consent().await;
    let calls = spawn_many(&consent, 20);
    assert_eq!(distinct_tokens(calls).await.len(), 1);
    wait_for(&recorder, REFRESHES, &of_consent("refreshed"), 1.0).await;
    assert_eq!(recorder.sum("flinks_call_duration_seconds_count", &[("operation", "refresh"), ("outcome", "ok")]), 1.0);
    // Reading the cached token records nothing.
    let before = sorted_lines(&recorder);
    let _ = consent.access_token().await.unwrap();
    assert_eq!(sorted_lines(&recorder), before);
    assert_eq!(recorder.sum(REFRESHES, &[]), 1.0);

    let _ = AppTokenSource::new(setup.client(), None).access_token().await.unwrap();
    wait_for(&recorder, REFRESHES, &[("source", "application"), ("outcome", "refreshed")], 1.0).await;
    Page::read().check(&recorder);
}

#[tokio::test]
async fn o6_refresh_is_counted_by_outcome() {
    let recorder = Recorder::new();
    let _guard = recorder.record();
    let setup = start().await;
    let store = MemoryStore::new();
    let consents = setup.consents(store.clone());
    let consent = setup.import(&consents).await;
    let _ = consent.access_token().await.unwrap();
    // Another process finds the token in the store.
    let _ = setup.consents(store).consent(&user()).access_token().await.unwrap();
    wait_for(&recorder, REFRESHES, &of_consent("from_store"), 1.0).await;

    setup.advance(SECOND);
    setup.emulator.fail_next(TOKEN, Fault::status(404));
    assert!(consent.refresh_now().await.is_err());
    wait_for(&recorder, REFRESHES, &of_consent("failed"), 1.0).await;

    setup.advance(MINUTE);
    setup.emulator.fail_next(TOKEN, gateway());
    assert!(consent.refresh_now().await.is_err());
    wait_for(&recorder, REFRESHES, &of_consent("suspected"), 1.0).await;

    setup.advance(MINUTE);
    setup.emulator.fail_next(TOKEN, invalid_grant());
    assert!(consent.refresh_now().await.is_err());
    wait_for(&recorder, REFRESHES, &of_consent("ended"), 1.0).await;

    // The record says that the consent has ended, so nothing is sent and nothing is counted.
    setup.advance(MINUTE);
    assert!(consent.refresh_now().await.unwrap_err().needs_consent());
    consents.shutdown(SECOND).await.unwrap();
    assert_eq!(recorder.sum(REFRESHES, &of_consent("ended")), 1.0);
    Page::read().check(&recorder);
}

#[tokio::test]
async fn o4_caller_is_counted_while_it_waits() {
    let recorder = Recorder::new();
    let _guard = recorder.record();
    let setup = start().await;
    let consent = setup.consent().await;
    let leader = setup.held_call(&consent, When::Before).await;
    let follower = spawn(&consent);
    let cancelled = spawn(&consent);
    wait_for(&recorder, WAITING, &[], 3.0).await;
    cancelled.abort();
    wait_for(&recorder, WAITING, &[], 2.0).await;
    setup.emulator.release();
    let _ = (leader.await.unwrap().unwrap(), follower.await.unwrap().unwrap());
    assert_eq!(recorder.sum(WAITING, &[]), 0.0);
    Page::read().check(&recorder);
}

#[tokio::test]
async fn store_call_is_counted_by_outcome() {
    let recorder = Recorder::new();
    let _guard = recorder.record();
    let setup = start().await;
    let store = FaultyStore::default();
    let consents = setup.consents(store.clone());
    let consent = setup.import(&consents).await;
    assert_eq!(recorder.sum(STORE_CALLS, &store_call("compare_and_swap", "ok")), 1.0);

    // An import's first write expects no record to exist.
    setup.import(&consents).await;
    assert_eq!(recorder.sum(STORE_CALLS, &store_call("compare_and_swap", "conflict")), 1.0);

    store.fail_next(Load, StoreFault::unavailable());
    assert!(consent.access_token().await.unwrap_err().is_store());
    assert_eq!(recorder.sum(STORE_CALLS, &store_call("load", "error")), 1.0);

    setup.advance(MINUTE);
    store.fail_next(Load, StoreFault::Hold);
    let calls = store.count(Load);
    let call = spawn(&consent);
    store.received(Load, calls + 1).await;
    setup.advance(TIMEOUT);
    assert!(call.await.unwrap().unwrap_err().is_store());
    assert_eq!(recorder.sum(STORE_CALLS, &store_call("load", "timeout")), 1.0);

    consent.forget().await.unwrap();
    assert_eq!(recorder.sum(STORE_CALLS, &store_call("remove", "ok")), 1.0);
    consents.due_within(DAY, 10).await.unwrap();
    assert_eq!(recorder.sum(STORE_CALLS, &store_call("due", "ok")), 1.0);
    consents.list(&"owner".parse().unwrap(), &flinks_consents::Page::first(1)).await.unwrap();
    assert_eq!(recorder.sum(STORE_CALLS, &store_call("list", "ok")), 1.0);
    Page::read().check(&recorder);
}

#[tokio::test]
async fn o5_pending_write_is_counted_until_it_is_stored_or_lost() {
    let recorder = Recorder::new();
    let _guard = recorder.record();
    let setup = start().await;
    let store = FaultyStore::default();
    let consents = setup.consents(store.clone());
    store.fail_always(StoreFault::unavailable());
    assert!(consents.import(&user(), token("pending"), setup.now()).await.is_err());
    assert_eq!(recorder.sum(PENDING_WRITES, &[]), 1.0);
    // A new pending write replaces the old one.
    assert!(consents.import(&user(), token("newer"), setup.now()).await.is_err());
    assert_eq!(recorder.sum(PENDING_WRITES, &[]), 1.0);
    assert!(consents.import(&id("user-8"), token("other"), setup.now()).await.is_err());
    assert_eq!(recorder.sum(PENDING_WRITES, &[]), 2.0);
    store.clear_faults();
    consents.flush().await.unwrap();
    assert_eq!(recorder.sum(PENDING_WRITES, &[]), 0.0);

    store.fail_always(StoreFault::unavailable());
    assert!(consents.import(&user(), token("lost"), setup.now()).await.is_err());
    assert_eq!(recorder.sum(PENDING_WRITES, &[]), 1.0);
    drop(consents);
    // The import's task keeps its handle until it is polled for the last time.
    wait_for(&recorder, PENDING_WRITES, &[], 0.0).await;
    Page::read().check(&recorder);
}

#[tokio::test]
async fn o5_keep_alive_run_is_recorded() {
    let recorder = Recorder::new();
    let _guard = recorder.record();
    let setup = start().await;
    let store = FaultyStore::default();
    let consents = setup.consents(store.clone());
    let worker = KeepAlive::new(consents.clone(), store.clone()).max_concurrency(1);
    let before_deadline = setup.now() - 28 * DAY;
    consents.import(&user(), refresh_token(), before_deadline).await.unwrap();
    consents.import(&id("ended"), token("canary-unknown"), before_deadline).await.unwrap();

    let summary = worker.run_once().await.unwrap();
    assert_eq!((summary.refreshed, summary.ended), (1, 1));
    assert_eq!(recorder.sum(KEEP_ALIVE, &[("outcome", "refreshed")]), 1.0);
    assert_eq!(recorder.sum(KEEP_ALIVE, &[("outcome", "ended")]), 1.0);
    assert_eq!(recorder.sum("flinks_idle_deadline_near_total", &[]), 2.0);
    assert_eq!(recorder.sum(DUE, &[]), 2.0);
    let wall = |setup: &Setup| setup.now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64();
    let last_run = recorder.sum(LAST_RUN, &[]);
    assert!((last_run - wall(&setup)).abs() < 1.0, "{last_run}");

    // A run that fails is not complete. It does not change the gauges.
    setup.advance(HOUR);
    store.fail_always(StoreFault::unavailable());
    worker.run_once().await.unwrap_err();
    assert_eq!(recorder.sum(LAST_RUN, &[]), last_run);
    assert_eq!(recorder.sum(DUE, &[]), 2.0);
    store.clear_faults();

    // A run that stops early counts the consents that it has examined.
    for number in 0..21 {
        let _ = consents.import(&id(&format!("user-1{number}")), token("r"), setup.now() - 25 * DAY).await.unwrap();
    }
    setup.emulator.fail_always(TOKEN, Fault::status(404));
    assert!(worker.run_once().await.unwrap().stopped.is_some());
    assert_eq!(recorder.sum(KEEP_ALIVE, &[("outcome", "failed")]), 20.0);
    assert_eq!(recorder.sum(LAST_RUN, &[]), last_run);
    assert!(!recorder.text().contains("canary"));
    assert!(!recorder.text().contains("user-"));
    Page::read().check(&recorder);
}
