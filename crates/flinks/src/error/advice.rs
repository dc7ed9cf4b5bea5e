//! What to do about an error.

use flinks_core::TransportErrorKind;

use super::error::Error;
use super::kind::Kind;
use super::refusal::Refusal;
use crate::FlinksCode;
use crate::operation::Operation;

/// What to do about an [`Error`]. [`SpendError`](crate::SpendError) says more about a token that the call would have spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Advice {
    /// The network, the server, the bank or a rate limit: the same call may succeed later. A host name that cannot be resolved is
    /// one of these; if it never resolved, check the configuration.
    RetryLater,
    /// Get a new token.
    NewToken,
    /// The end user must enter something else, act at the bank, or agree.
    AskUser,
    /// Send the end user through the bank again, from the start.
    StartOver,
    /// The refusal may be that of a gateway ([`Refusal::Suspected`]). A job should try again later. An interactive caller may
    /// send the end user through the bank again.
    WaitOrStartOver,
    /// A value of this call is invalid, such as an amount, a name or a login id; [`Error::field`] names it. Nothing was sent.
    /// If an end user typed the value, respond with 400 or 422.
    FixInput,
    /// The credentials, the base URL or another setting are wrong, or the server refuses what this version sends. The call
    /// fails again until somebody changes that.
    FixConfiguration,
    /// The reply is not one that this version knows; or it is unknown whether a call that spends a token took effect, such as the
    /// start of a payment session. Find out before you do it again.
    Investigate,
}

impl Error {
    /// Returns what to do about the error. The first rule that applies wins.
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
