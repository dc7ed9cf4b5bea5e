//! Metrics for consents, the store and keep-alive. Without the `metrics` feature, the functions in
//! this module do nothing.
//!
//! `OBSERVABILITY.md` documents the metrics. Each label has a fixed set of values, which never
//! include an id or text from a server. Reading a cached token records nothing.

use std::time::{Duration, SystemTime};

use crate::keep_alive::Progress;
use crate::store::{ConsentId, Record};

const REFRESHES: &str = "flinks_refreshes_total";
const WAITING_CALLERS: &str = "flinks_waiting_callers";
const STORE_CALL_DURATION: &str = "flinks_store_call_duration_seconds";
const IDLE_DEADLINE_NEAR: &str = "flinks_idle_deadline_near_total";
const PENDING_WRITES: &str = "flinks_pending_writes";
const KEEP_ALIVE_CONSENTS: &str = "flinks_keep_alive_consents_total";
const KEEP_ALIVE_DUE: &str = "flinks_keep_alive_due";
const KEEP_ALIVE_LAST_RUN: &str = "flinks_keep_alive_last_run_timestamp_seconds";

/// Registers the descriptions of the metrics with the installed recorder. This happens each time a
/// `Consents` or an `AppTokenSource` is built, because a recorder might have been installed since
/// the last time.
#[cfg(feature = "metrics")]
pub(crate) fn describe() {
    use ::metrics::{Unit, describe_counter, describe_gauge, describe_histogram};
    describe_counter!(REFRESHES, Unit::Count, "Refreshes of shared access tokens");
    describe_gauge!(WAITING_CALLERS, Unit::Count, "Callers that wait for a refresh");
    describe_histogram!(STORE_CALL_DURATION, Unit::Seconds, "Duration of a call to the token store");
    describe_counter!(IDLE_DEADLINE_NEAR, Unit::Count, "Refreshes shortly before the refresh token idles out");
    describe_gauge!(PENDING_WRITES, Unit::Count, "Changes that are not stored yet and exist only in memory");
    describe_counter!(KEEP_ALIVE_CONSENTS, Unit::Count, "Consents that keep-alive runs have examined");
    describe_gauge!(KEEP_ALIVE_DUE, Unit::Count, "Consents that were due when the last complete run started");
    describe_gauge!(KEEP_ALIVE_LAST_RUN, Unit::Seconds, "Unix time at which the last complete run ended");
    // Initialize the gauges so that a dashboard shows 0 instead of no data.
    change(WAITING_CALLERS, 0.0);
    change(PENDING_WRITES, 0.0);
}

#[cfg(not(feature = "metrics"))]
pub(crate) fn describe() {}

/// The kind of a shared access token.
#[derive(Clone, Copy)]
pub(crate) enum TokenKind {
    Consent,
    Application,
}

/// The outcome of a refresh.
#[derive(Clone, Copy)]
pub(crate) enum RefreshOutcome {
    Refreshed,
    /// The token came from the store. Nothing was sent to Flinks.
    FromStore,
    Suspected,
    Ended,
    Failed,
}

pub(crate) fn count_refresh(kind: TokenKind, outcome: RefreshOutcome) {
    let source = match kind {
        TokenKind::Consent => "consent",
        TokenKind::Application => "application",
    };
    let outcome = match outcome {
        RefreshOutcome::Refreshed => "refreshed",
        RefreshOutcome::FromStore => "from_store",
        RefreshOutcome::Suspected => "suspected",
        RefreshOutcome::Ended => "ended",
        RefreshOutcome::Failed => "failed",
    };
    count(REFRESHES, 1, [("source", source), ("outcome", outcome)]);
}

/// Counts a caller as waiting until this value is dropped.
pub(crate) struct WaitingCaller(());

impl WaitingCaller {
    pub(crate) fn new() -> Self {
        change(WAITING_CALLERS, 1.0);
        Self(())
    }
}

impl Drop for WaitingCaller {
    fn drop(&mut self) {
        change(WAITING_CALLERS, -1.0);
    }
}

pub(crate) fn count_idle_deadline_near() {
    count(IDLE_DEADLINE_NEAR, 1, []);
}

pub(crate) fn add_pending_write() {
    change(PENDING_WRITES, 1.0);
}

pub(crate) fn remove_pending_write() {
    change(PENDING_WRITES, -1.0);
}

/// A [`TokenStore`](crate::TokenStore) operation.
#[derive(Clone, Copy)]
pub(crate) enum StoreCall {
    Load,
    CompareAndSwap,
    Remove,
    List,
    Due,
}

/// The outcome of a call to the store.
#[derive(Clone, Copy)]
pub(crate) enum StoreOutcome {
    Ok,
    /// The stored generation did not match the expected generation.
    Conflict,
    Error,
    Timeout,
}

/// A value returned by a store.
pub(crate) trait StoreValue {
    fn outcome(&self) -> StoreOutcome {
        StoreOutcome::Ok
    }
}

impl StoreValue for Option<Record> {}

impl StoreValue for Vec<Record> {}

impl StoreValue for Vec<ConsentId> {}

/// A `bool` reports whether the record was changed.
impl StoreValue for bool {
    fn outcome(&self) -> StoreOutcome {
        if *self { StoreOutcome::Ok } else { StoreOutcome::Conflict }
    }
}

/// Measures a duration in real time, because a client's clock might not advance during a test.
#[derive(Clone, Copy)]
pub(crate) struct Timer {
    #[cfg(feature = "metrics")]
    started: std::time::Instant,
}

impl Timer {
    pub(crate) fn start() -> Self {
        Self {
            #[cfg(feature = "metrics")]
            started: std::time::Instant::now(),
        }
    }

    pub(crate) fn record_store_call(self, call: StoreCall, outcome: StoreOutcome) {
        let operation = match call {
            StoreCall::Load => "load",
            StoreCall::CompareAndSwap => "compare_and_swap",
            StoreCall::Remove => "remove",
            StoreCall::List => "list",
            StoreCall::Due => "due",
        };
        let outcome = match outcome {
            StoreOutcome::Ok => "ok",
            StoreOutcome::Conflict => "conflict",
            StoreOutcome::Error => "error",
            StoreOutcome::Timeout => "timeout",
        };
        record(STORE_CALL_DURATION, self, [("operation", operation), ("outcome", outcome)]);
    }
}

/// Counts the consents that a run examined, even if the run stopped early or failed.
pub(crate) fn count_run(progress: &Progress) {
    let summary = &progress.summary;
    for (outcome, consents) in [
        ("refreshed", summary.refreshed),
        ("refreshed_elsewhere", summary.refreshed_elsewhere),
        ("ended", summary.ended),
        ("suspected", summary.suspected),
        ("failed", summary.failed),
        ("unreadable", summary.unreadable),
    ] {
        count(KEEP_ALIVE_CONSENTS, consents, [("outcome", outcome)]);
    }
}

/// Records a run that has processed all due consents.
pub(crate) fn record_complete_run(due: u64, now: SystemTime) {
    let since_epoch = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    set(KEEP_ALIVE_DUE, due as f64);
    set(KEEP_ALIVE_LAST_RUN, since_epoch.as_secs_f64());
}

type Label = (&'static str, &'static str);

#[cfg(feature = "metrics")]
fn count<const N: usize>(name: &'static str, by: u64, labels: [Label; N]) {
    ::metrics::counter!(name, &labels).increment(by);
}

#[cfg(not(feature = "metrics"))]
fn count<const N: usize>(_: &'static str, _: u64, _: [Label; N]) {}

#[cfg(feature = "metrics")]
fn change(name: &'static str, by: f64) {
    ::metrics::gauge!(name).increment(by);
}

#[cfg(not(feature = "metrics"))]
fn change(_: &'static str, _: f64) {}

#[cfg(feature = "metrics")]
fn set(name: &'static str, value: f64) {
    ::metrics::gauge!(name).set(value);
}

#[cfg(not(feature = "metrics"))]
fn set(_: &'static str, _: f64) {}

#[cfg(feature = "metrics")]
fn record<const N: usize>(name: &'static str, timer: Timer, labels: [Label; N]) {
    ::metrics::histogram!(name, &labels).record(timer.started.elapsed());
}

#[cfg(not(feature = "metrics"))]
fn record<const N: usize>(_: &'static str, _: Timer, _: [Label; N]) {}
