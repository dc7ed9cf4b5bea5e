//! The recommended next step after an error.

use flinks_core::{StatusCode, TransportErrorKind};

use super::error::Error;
use super::kind::Kind;
use super::refusal::Refusal;
use crate::FlinksCode;
use crate::operation::Operation;

/// The recommended next step after an [`Error`].
///
/// For a call that spends a token, [`SpendError`](crate::SpendError) also reports the token's fate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Advice {
    /// Try the same call again later, because the network, the server or the bank failed, or a rate
    /// limit was exceeded.
    ///
    /// This advice also applies if the host name cannot be resolved. If the name has never been
    /// resolved successfully, check the configuration.
    RetryLater,
    /// Request a new token.
    NewToken,
    /// Ask the end user to enter a different value, to take action at the bank, or to consent.
    AskUser,
    /// Send the end user through the bank authorization again, from the start.
    StartOver,
    /// A refresh was refused, possibly by a gateway; see [`Refusal::Suspected`]. A background job
    /// should try again later. An interactive caller can start a new authorization.
    WaitOrStartOver,
    /// Correct an argument to this call, such as an amount, a name or a login id; see
    /// [`Error::field`]. Nothing was sent. If an end user entered the value, respond with 400 or
    /// 422.
    FixInput,
    /// Correct the configuration. The credentials, the base URL or another setting is wrong, or the
    /// server rejects the requests that this version of the crate sends. The call will keep failing
    /// until the configuration is corrected.
    FixConfiguration,
    /// Find out what happened before you repeat the call. Either this version of the crate does not
    /// recognise the response, or a call that spends a token (for example, one that starts a
    /// payment session) may or may not have taken effect.
    Investigate,
}

impl Advice {
    /// Returns the HTTP status that a web application can send to its own user.
    ///
    /// | advice | status |
    /// | --- | --- |
    /// | `FixInput` | 422 Unprocessable Content |
    /// | `AskUser`, `StartOver`, `WaitOrStartOver` | 409 Conflict |
    /// | `RetryLater`, `NewToken` | 503 Service Unavailable |
    /// | `FixConfiguration`, `Investigate` | 502 Bad Gateway |
    pub fn http_status(self) -> StatusCode {
        match self {
            Self::FixInput => StatusCode::UNPROCESSABLE_ENTITY,
            Self::AskUser | Self::StartOver | Self::WaitOrStartOver => StatusCode::CONFLICT,
            Self::RetryLater | Self::NewToken => StatusCode::SERVICE_UNAVAILABLE,
            Self::FixConfiguration | Self::Investigate => StatusCode::BAD_GATEWAY,
        }
    }
}

impl Error {
    /// Returns the recommended next step. The conditions are checked in a fixed order, and the
    /// first condition that applies determines the advice.
    pub fn advice(&self) -> Advice {
        if self.needs_user() {
            return Advice::AskUser;
        }
        if self.is_credentials() {
            return Advice::FixConfiguration;
        }
        if self.0.is_outcome_unknown {
            return match self.0.operation {
                // The end user must consent again, because the code may be spent.
                Some(Operation::OutboundExchangeCode) => Advice::StartOver,
                _ => Advice::Investigate,
            };
        }
        if let Some(Refusal::Suspected { .. }) = self.refusal() {
            return Advice::WaitOrStartOver;
        }
        if self.needs_consent() {
            return Advice::StartOver;
        }
        if self.is_token_refused() || matches!(self.0.kind, Kind::ExpiredLocally | Kind::ExpiredOnArrival) {
            return Advice::NewToken;
        }
        if self.has_flinks_code(&[FlinksCode::SESSION_EXPIRED, FlinksCode::SESSION_NONEXISTENT]) {
            return Advice::StartOver;
        }
        if self.has_flinks_code(&[
            FlinksCode::DISABLED_INSTITUTION,
            FlinksCode::OPERATION_PENDING,
            FlinksCode::OPERATION_DISPATCHED,
        ]) {
            return Advice::RetryLater;
        }
        if self.has_flinks_code(&[FlinksCode::INVALID_REQUEST]) {
            return Advice::FixConfiguration;
        }
        if self.has_flinks_code(&[FlinksCode::UNAUTHORIZED]) {
            return Advice::AskUser;
        }
        if self.is_transient() {
            return Advice::RetryLater;
        }
        match self.0.kind {
            Kind::Input { .. } => Advice::FixInput,
            Kind::Configuration { .. }
            | Kind::Redirect
            | Kind::NotSent(_)
            | Kind::Interrupted(TransportErrorKind::ClientCertificate)
            | Kind::NoRuntime => Advice::FixConfiguration,
            Kind::Callback(_) | Kind::CallbackError => Advice::StartOver,
            _ if matches!(self.status(), Some(400..=499)) => Advice::FixConfiguration,
            _ => Advice::Investigate,
        }
    }
}
