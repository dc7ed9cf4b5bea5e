//! The kinds of failures.

use std::time::Duration;

use flinks_core::{InvalidResponse, TransportErrorKind};

#[derive(Clone, Default)]
pub(crate) enum Kind {
    /// An argument to a call is invalid.
    Input { field: &'static str, reason: &'static str },
    /// A configuration value is invalid.
    Configuration { field: &'static str, reason: &'static str },
    /// The token had expired before anything was sent.
    ExpiredLocally,
    /// The token in the response had already expired.
    ExpiredOnArrival,
    /// Nothing was sent, because no connection could be made.
    NotSent(TransportErrorKind),
    /// The request may have reached the server, but no complete response was received.
    Interrupted(TransportErrorKind),
    /// The server responded with the documented error body, or with no body and a status that
    /// indicates a refusal, such as 401.
    Rejected,
    /// The response was a redirect.
    Redirect,
    /// The response status does not indicate success, and the body does not match the documented
    /// error format.
    #[default]
    Status,
    /// The response status indicates success, but the body does not match the documented format.
    Malformed { field: Option<&'static str>, detail: Detail },
    /// An end user's callback cannot be trusted or read. The string states the reason.
    Callback(&'static str),
    /// An end user's callback contains an error.
    CallbackError,
    /// The task that made the call panicked.
    Abandoned,
    /// No Tokio runtime is running, or the runtime lacks a driver that a call requires.
    NoRuntime,
}

/// The reason a response is malformed.
#[derive(Clone)]
pub(crate) enum Detail {
    /// The body does not match its schema.
    Body(InvalidResponse),
    /// A field, or the response as a whole, cannot be used. The string is a verb phrase such as "is
    /// empty" if a field is named, and a complete clause otherwise.
    Value(&'static str),
}

/// The delay that a server requested.
#[derive(Clone)]
pub(super) enum RetryAfter {
    /// The header as it was received. A date in the header is compared with the time on the call's
    /// clock.
    Header(String),
    Wait(Duration),
}
