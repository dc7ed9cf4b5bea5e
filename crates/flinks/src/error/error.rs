//! The opaque error type, its accessors and its constructors.

use std::sync::Arc;
use std::time::Duration;

use flinks_core::{ErrorKind, InvalidBaseUrl, ResponseHead, TransportErrorKind};

use super::kind::{Detail, Kind, RetryAfter};
use crate::operation::{Operation, Product};
use crate::{FlinksCode, OAuthError};

/// The error returned if a call fails or a value is invalid.
///
/// Use [`cause`](Self::cause), [`advice`](Self::advice) and the `is_*` and `needs_*` methods to
/// classify an error. The documentation for these methods includes Flinks' recommendations.
///
/// An error never contains a secret. `Debug` and `Display` omit text from the server. This text is
/// available from [`message`](Self::message), [`flinks_code`](Self::flinks_code),
/// [`oauth_error`](Self::oauth_error) and the request ids. [`source`](std::error::Error::source) is
/// always `None`. Cloning is cheap. [A3, A6](crate::rules)
#[derive(Clone)]
pub struct Error(pub(super) Arc<Inner>);

#[derive(Clone, Default)]
pub(super) struct Inner {
    pub(super) operation: Option<Operation>,
    pub(super) kind: Kind,
    pub(super) status: Option<u16>,
    pub(super) body: ErrorBody,
    retry_after: Option<RetryAfter>,
    correlation_id: Option<String>,
    trace_id: Option<String>,
    attempts: u32,
    /// Whether an earlier attempt in the same call may have reached the server.
    pub(super) earlier_may_have_been_sent: bool,
    /// Whether the response has an unsuccessful status and a JSON body that does not match the
    /// documented error format.
    pub(super) is_undocumented_json: bool,
    /// Whether the outcome of a call that spends a token is unknown.
    pub(super) is_outcome_unknown: bool,
}

/// The contents of a documented error body.
#[derive(Clone, Default)]
pub(crate) struct ErrorBody {
    pub(crate) code: Option<FlinksCode>,
    pub(crate) oauth: Option<OAuthError>,
    pub(crate) message: Option<String>,
}

impl Error {
    /// Returns the product whose call failed, or `None` if the error concerns a value that was
    /// rejected before a client used it.
    pub fn product(&self) -> Option<Product> {
        self.0.operation.map(Operation::product)
    }

    /// Returns the `operationId` of the failed call, or this crate's own name for a grant or a
    /// local step, such as `refresh` or `widget`.
    pub fn operation(&self) -> Option<&'static str> {
        self.0.operation.map(Operation::id)
    }

    /// Returns the HTTP status, if a response was received.
    pub fn status(&self) -> Option<u16> {
        self.0.status
    }

    /// Returns the `FlinksCode` in the response. [C6](crate::rules)
    pub fn flinks_code(&self) -> Option<&FlinksCode> {
        self.0.body.code.as_ref()
    }

    /// Returns the OAuth `error` code from an Outbound response or from an end user's callback.
    /// [O7, C7, O10](crate::rules)
    pub fn oauth_error(&self) -> Option<&OAuthError> {
        self.0.body.oauth.as_ref()
    }

    /// Returns the error description from the response or the callback.
    /// The text is untrusted, so escape it before you display it.
    pub fn message(&self) -> Option<&str> {
        self.0.body.message.as_deref()
    }

    /// Returns the delay that the server requested with `Retry-After`, unless the call has already
    /// waited that long and retried.
    pub fn retry_after(&self) -> Option<Duration> {
        match self.0.retry_after {
            Some(RetryAfter::Wait(wait)) => Some(wait),
            _ => None,
        }
    }

    /// Returns the `ob-correlation-id` response header, for support requests to Flinks. The text is
    /// untrusted. [O10](crate::rules)
    pub fn correlation_id(&self) -> Option<&str> {
        self.0.correlation_id.as_deref()
    }

    /// Returns the `ob-trace-id` response header, for support requests to Flinks. The text is
    /// untrusted. [O10](crate::rules)
    pub fn trace_id(&self) -> Option<&str> {
        self.0.trace_id.as_deref()
    }

    /// Returns the number of requests that were sent or attempted.
    pub fn attempts(&self) -> u32 {
        self.0.attempts
    }

    /// Returns the name of the invalid field, either in the caller's values or in the server's
    /// response.
    pub fn field(&self) -> Option<&'static str> {
        match self.0.kind {
            Kind::Input { field, .. } | Kind::Configuration { field, .. } => Some(field),
            Kind::Malformed { field, .. } => field,
            _ => None,
        }
    }

    pub(super) fn has_flinks_code(&self, codes: &[FlinksCode]) -> bool {
        self.flinks_code().is_some_and(|code| codes.contains(code))
    }

    pub(super) fn has_oauth_error(&self, codes: &[OAuthError]) -> bool {
        self.oauth_error().is_some_and(|code| codes.contains(code))
    }

    pub(crate) fn new(operation: impl Into<Option<Operation>>, kind: Kind) -> Self {
        Self(Arc::new(Inner { operation: operation.into(), kind, ..Inner::default() }))
    }

    /// Creates the error for an invalid call argument, which an end user may have entered. `reason`
    /// is a verb phrase such as "must not be empty".
    pub(crate) fn input(field: &'static str, reason: &'static str) -> Self {
        Self::new(None, Kind::Input { field, reason })
    }

    /// Creates the error for an invalid value that an operator or a developer has set. `reason` is
    /// a verb phrase such as "is not set".
    pub(crate) fn configuration(field: &'static str, reason: &'static str) -> Self {
        Self::new(None, Kind::Configuration { field, reason })
    }

    pub(crate) fn expired_on_arrival(operation: Operation, head: &ResponseHead) -> Self {
        Self::new(operation, Kind::ExpiredOnArrival).with_head(head)
    }

    /// Creates the error for a response that matches its schema but cannot be used.
    pub(crate) fn malformed(
        operation: Operation,
        head: &ResponseHead,
        field: &'static str,
        reason: &'static str,
    ) -> Self {
        let kind = Kind::Malformed { field: Some(field), detail: Detail::Value(reason) };
        Self::new(operation, kind).with_head(head)
    }

    pub(crate) fn callback_failed(operation: Operation, error: String, description: Option<String>) -> Self {
        Self::new(operation, Kind::CallbackError).change(|inner| {
            inner.body = ErrorBody { code: None, oauth: Some(OAuthError::from(error)), message: description };
        })
    }

    /// Converts an error from a product crate. `read` extracts the parts of the documented error
    /// body.
    pub(crate) fn from_call<E>(
        operation: Operation,
        error: flinks_core::Error<E>,
        read: impl FnOnce(&E) -> ErrorBody,
    ) -> Self {
        let kind = match error.kind() {
            ErrorKind::InvalidRequest(invalid) => Kind::Input { field: invalid.field(), reason: "cannot be sent" },
            ErrorKind::Transport(transport) if transport.may_have_been_sent() => Kind::Interrupted(transport.kind()),
            ErrorKind::Transport(transport) => Kind::NotSent(transport.kind()),
            ErrorKind::ErrorResponse(_) => Kind::Rejected,
            ErrorKind::Redirect => Kind::Redirect,
            ErrorKind::InvalidResponse(invalid) => {
                Kind::Malformed { field: invalid.field(), detail: Detail::Body(*invalid) }
            }
            // An undocumented success status, such as a 204 where a token is expected.
            _ if error.status().is_some_and(|status| status.is_success()) => {
                Kind::Malformed { field: None, detail: Detail::Value("undocumented success status") }
            }
            // Pay's refusals have no body (P6), and Outbound's refusals may lack one (O6).
            ErrorKind::Status(None) if operation.product() != Product::Connect => {
                match error.status().map(|status| status.as_u16()) {
                    Some(400 | 401 | 403 | 429) => Kind::Rejected,
                    _ => Kind::Status,
                }
            }
            _ => Kind::Status,
        };
        let this = Self::new(operation, kind).change(|inner| {
            inner.is_undocumented_json = matches!(error.kind(), ErrorKind::Status(Some(invalid)) if invalid.is_json());
            inner.body = error.body().map(read).unwrap_or_default();
        });
        match error.head() {
            Some(head) => this.with_head(head),
            None => this,
        }
    }

    /// Replaces the name of the invalid value with the name that the caller used.
    pub(crate) fn with_field(self, name: &'static str) -> Self {
        self.change(|inner| {
            if let Kind::Input { field, .. } | Kind::Configuration { field, .. } = &mut inner.kind {
                *field = name;
            }
        })
    }

    pub(crate) fn in_operation(self, operation: Operation) -> Self {
        self.change(|inner| inner.operation = Some(operation))
    }

    pub(crate) fn after_attempts(self, attempts: u32, earlier_may_have_been_sent: bool) -> Self {
        self.change(|inner| {
            inner.attempts = attempts;
            inner.earlier_may_have_been_sent = earlier_may_have_been_sent;
        })
    }

    /// Records that nothing was sent.
    #[cfg(feature = "outbound")]
    pub(crate) fn before_sending(self) -> Self {
        self.change(|inner| {
            inner.earlier_may_have_been_sent = false;
            inner.kind = match inner.kind {
                Kind::Interrupted(kind) => Kind::NotSent(kind),
                // The task panicked, for example in a resolver that the application provides.
                Kind::Abandoned => Kind::NotSent(TransportErrorKind::Interrupted),
                _ => return,
            };
        })
    }

    /// Records that a request had already been sent before this call.
    #[cfg(feature = "outbound")]
    pub(crate) fn after_sending(self) -> Self {
        self.change(|inner| inner.earlier_may_have_been_sent = true)
    }

    pub(crate) fn with_retry_after(self, wait: Option<Duration>) -> Self {
        self.change(|inner| inner.retry_after = wait.map(RetryAfter::Wait))
    }

    /// Returns the `Retry-After` header as the server sent it.
    pub(crate) fn retry_after_header(&self) -> Option<&str> {
        match &self.0.retry_after {
            Some(RetryAfter::Header(text)) => Some(text),
            _ => None,
        }
    }

    fn with_head(self, head: &ResponseHead) -> Self {
        self.change(|inner| {
            inner.status = Some(head.status().as_u16());
            inner.retry_after = head.retry_after().map(|text| RetryAfter::Header(text.to_owned()));
            inner.correlation_id = head.correlation_id().map(str::to_owned);
            inner.trace_id = head.trace_id().map(str::to_owned);
        })
    }

    pub(super) fn change(mut self, change: impl FnOnce(&mut Inner)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }
}

impl std::error::Error for Error {}

impl From<InvalidBaseUrl> for Error {
    fn from(error: InvalidBaseUrl) -> Self {
        Self::configuration("base URL", error.reason())
    }
}
