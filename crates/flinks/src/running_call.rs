//! Records the tracing span and the metrics for a call.
//!
//! The span covers all attempts of a call, and its fields follow OpenTelemetry's semantic
//! conventions for HTTP clients. Neither the span nor a metric contains a path, a query or any
//! other text that might contain an id or a secret.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use flinks_core::{BaseUrl, StatusCode};
use tracing::Span;

use crate::error::Error;
use crate::metrics::{self, Timer};
use crate::operation::Operation;

/// The host and port of a client's base URL.
#[derive(Clone)]
pub(crate) struct Server {
    address: Arc<str>,
    port: Option<u16>,
}

impl Server {
    pub(crate) fn new(base_url: &BaseUrl) -> Self {
        let url = url::Url::parse(base_url.as_str()).ok();
        Self { address: base_url.host().into(), port: url.and_then(|url| url.port_or_known_default()) }
    }
}

/// The value returned by a call, and the status of the response that contained it.
pub(crate) struct Success<T> {
    pub(crate) status: StatusCode,
    pub(crate) value: T,
}

/// A call in progress. The call is recorded when this value is dropped. If the value is dropped
/// before [`finish`](Self::finish) is called, the call is recorded as cancelled.
pub(crate) struct RunningCall {
    operation: Operation,
    span: Span,
    timer: Timer,
    retries: AtomicU32,
    outcome: &'static str,
}

const OK: &str = "ok";
const CANCELLED: &str = "cancelled";

impl RunningCall {
    pub(crate) fn start(operation: Operation, server: &Server) -> Self {
        let span = tracing::info_span!(
            "flinks",
            product = ?operation.product(),
            operation = operation.id(),
            otel.kind = "client",
            http.request.method = operation.http_method(),
            server.address = &*server.address,
            server.port = server.port,
            http.response.status_code = tracing::field::Empty,
            error.type = tracing::field::Empty,
            http.request.resend_count = tracing::field::Empty,
        );
        Self { operation, span, timer: Timer::start(), retries: AtomicU32::new(0), outcome: CANCELLED }
    }

    pub(crate) fn span(&self) -> &Span {
        &self.span
    }

    pub(crate) fn count_retry(&self) {
        self.retries.fetch_add(1, Ordering::Relaxed);
        metrics::count_retry(self.operation);
    }

    /// Records the outcome: `ok`, or the name of the error's [`Cause`](crate::Cause).
    pub(crate) fn finish<T>(mut self, result: Result<Success<T>, Error>) -> Result<T, Error> {
        let status = match &result {
            Ok(success) => {
                self.outcome = OK;
                Some(success.status.as_u16())
            }
            Err(error) => {
                self.outcome = error.cause().name();
                error.status()
            }
        };
        self.span.record("http.response.status_code", status);
        result.map(|success| success.value)
    }
}

impl Drop for RunningCall {
    fn drop(&mut self) {
        let retries = self.retries.load(Ordering::Relaxed);
        if retries > 0 {
            self.span.record("http.request.resend_count", retries);
        }
        if self.outcome != OK {
            self.span.record("error.type", self.outcome);
        }
        self.timer.record_call(self.operation, self.outcome);
    }
}
