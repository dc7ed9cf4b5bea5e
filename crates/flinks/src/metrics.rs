//! Metrics for calls and for token pools. Without the `metrics` feature, the functions in this
//! module do nothing.
//!
//! `OBSERVABILITY.md` in the `flinks-consents` crate documents the metrics. Each label has a fixed
//! set of values, none of which contains an id or text from a server.

use crate::operation::{Operation, Product};

const CALL_DURATION: &str = "flinks_call_duration_seconds";
const RETRIES: &str = "flinks_retries_total";
#[cfg(feature = "pool")]
const POOL_TOKENS: &str = "flinks_pool_tokens_total";

/// Describes the metrics to the installed recorder. This function is called whenever a client is
/// built, because the recorder may have been installed after earlier clients were built.
#[cfg(feature = "metrics")]
pub(crate) fn describe() {
    use ::metrics::{Unit, describe_counter, describe_histogram};
    describe_histogram!(CALL_DURATION, Unit::Seconds, "Duration of a call to Flinks, including its retries");
    describe_counter!(RETRIES, Unit::Count, "Attempts made after an earlier attempt of the same call failed");
    #[cfg(feature = "pool")]
    describe_counter!(POOL_TOKENS, Unit::Count, "Tokens that a token pool handed out");
}

#[cfg(not(feature = "metrics"))]
pub(crate) fn describe() {}

/// Measures a duration in real time, because a client's clock may stand still during a test.
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

    /// Records the duration and the outcome of a call that has ended. For the possible outcomes,
    /// see [`RunningCall`](crate::running_call::RunningCall).
    pub(crate) fn record_call(self, operation: Operation, outcome: &'static str) {
        let labels =
            [("product", product_name(operation.product())), ("operation", operation.id()), ("outcome", outcome)];
        record(CALL_DURATION, self, labels);
    }
}

pub(crate) fn count_retry(operation: Operation) {
    count(RETRIES, [("product", product_name(operation.product())), ("operation", operation.id())]);
}

/// The source of a token that a pool hands out.
#[cfg(feature = "pool")]
#[derive(Clone, Copy)]
pub(crate) enum PoolSource {
    /// The token was requested in advance.
    Pool,
    /// The pool was empty, so the caller waited for a new token.
    Request,
}

#[cfg(feature = "pool")]
pub(crate) fn count_pool_token(product: Product, source: PoolSource) {
    let source = match source {
        PoolSource::Pool => "pool",
        PoolSource::Request => "request",
    };
    count(POOL_TOKENS, [("product", product_name(product)), ("source", source)]);
}

fn product_name(product: Product) -> &'static str {
    match product {
        Product::Pay => "pay",
        Product::Connect => "connect",
        Product::Outbound => "outbound",
    }
}

type Label = (&'static str, &'static str);

#[cfg(feature = "metrics")]
fn count<const N: usize>(name: &'static str, labels: [Label; N]) {
    ::metrics::counter!(name, &labels).increment(1);
}

#[cfg(not(feature = "metrics"))]
fn count<const N: usize>(_: &'static str, _: [Label; N]) {}

#[cfg(feature = "metrics")]
fn record<const N: usize>(name: &'static str, timer: Timer, labels: [Label; N]) {
    ::metrics::histogram!(name, &labels).record(timer.started.elapsed());
}

#[cfg(not(feature = "metrics"))]
fn record<const N: usize>(_: &'static str, _: Timer, _: [Label; N]) {}
