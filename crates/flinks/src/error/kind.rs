//! The kinds of failures.

use std::time::Duration;

use flinks_core::{InvalidResponse, TransportErrorKind};

#[derive(Clone, Default)]
pub(crate) enum Kind {
    /// An argument of a call is invalid.
    Input { field: &'static str, reason: &'static str },
    /// A value of the configuration is invalid.
    Configuration { field: &'static str, reason: &'static str },
    /// The token had expired before anything was sent.
    ExpiredLocally,
    /// The token in the response had already expired.
    ExpiredOnArrival,
    /// Nothing was sent, because no connection could be made.
    NotSent(TransportErrorKind),
    /// The request may have reached the server, and no complete response arrived.
    Interrupted(TransportErrorKind),
    /// The documented error body arrived.
    Rejected,
    /// The response was a redirect.
    Redirect,
    /// The status is not a success, and the body is not the documented error body.
    #[default]
    Status,
    /// The status is a success, and the body is not the documented one.
    Malformed { field: Option<&'static str>, detail: Detail },
    /// The callback of an end user cannot be trusted or read. The text is a clause that says why.
    Callback(&'static str),
    /// The callback of an end user contains an error.
    CallbackError,
    /// The task that made the call panicked.
    Abandoned,
    /// No Tokio runtime with the drivers that a call needs is running.
    NoRuntime,
}

/// The reason why a response is malformed.
#[derive(Clone)]
pub(crate) enum Detail {
    /// The body does not fit its schema.
    Body(InvalidResponse),
    /// A field cannot be used, and the text completes a sentence about that field. Without a field,
    /// the text is a noun phrase about the whole response.
    Value(&'static str),
}

/// The delay that a server requested.
#[derive(Clone)]
pub(super) enum RetryAfter {
    /// The header as it arrived. A date is compared with the clock of the call.
    Header(String),
    Wait(Duration),
}
