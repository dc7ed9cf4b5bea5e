//! The kinds of failures.

use std::time::Duration;

use flinks_core::{InvalidResponse, TransportErrorKind};

#[derive(Clone, Default)]
pub(crate) enum Kind {
    /// A value of a call is invalid.
    Input { field: &'static str, reason: &'static str },
    /// A value of the configuration is invalid.
    Configuration { field: &'static str, reason: &'static str },
    /// A token had expired before anything was sent.
    ExpiredLocally,
    /// A token had expired when it arrived.
    ExpiredOnArrival,
    /// Nothing was sent, because there was no connection.
    NotSent(TransportErrorKind),
    /// The request may have been received, and no complete reply arrived.
    Interrupted(TransportErrorKind),
    /// The documented error body arrived.
    Rejected,
    /// The reply was a redirect.
    Redirect,
    /// The status was not a success, and the body was not the documented one.
    #[default]
    Status,
    /// The status was a success, and the body was not the documented one.
    Malformed { field: Option<&'static str>, detail: Detail },
    /// An end user came back with something that cannot be trusted or read.
    Callback(&'static str),
    /// An end user came back with an error.
    CallbackError,
    /// The task of a call panicked.
    Abandoned,
    /// There is no tokio runtime with the drivers that a call needs.
    NoRuntime,
}

#[derive(Clone)]
pub(crate) enum Detail {
    Body(InvalidResponse),
    Value(&'static str),
}

/// The wait that a server requested.
#[derive(Clone)]
pub(super) enum RetryAfter {
    /// The header as it arrived. An HTTP date is read against the clock of the call.
    Header(String),
    Wait(Duration),
}
