//! The error type for operations on consents.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use flinks::{Advice, Cause, Error, FlinksCode, OAuthError, Refusal, SpendError};

use crate::store::{InvalidId, StoreError};

/// An error from an operation on a consent or on the application's own token.
///
/// Possible causes include a store failure, an unknown consent id, an ended consent and a failed
/// call to Flinks. [`advice`](Self::advice) suggests what to do about the error. A `ConsentError`
/// provides most of the methods of [`flinks::Error`].
///
/// The error contains no secrets, and its `Display` output contains no text from a server. Cloning
/// is cheap. ([A3, A6](flinks::rules))
#[derive(Clone)]
pub struct ConsentError(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    kind: Kind,
    /// How certain it is that a refusal has ended the consent. `Some` only if more is known about
    /// the refusal than the response shows.
    refusal: Option<Refusal>,
    retry_after: Option<Duration>,
    /// Whether a request was sent before the failure.
    follows_request: bool,
    /// `true` if it is unknown whether an authorization code was spent.
    is_outcome_unknown: bool,
}

#[derive(Clone)]
pub(crate) enum Kind {
    Store(StoreError),
    InvalidId(InvalidId),
    /// The store has no record of the consent.
    NotFound,
    /// The record shows that the consent has ended. Nothing was sent.
    Ended,
    /// The last refresh was refused with this status, and the next refresh must wait. Nothing was
    /// sent. (O6)
    Suspected {
        status: u16,
    },
    /// The operation's task panicked, or the task's runtime shut down.
    Abandoned,
    /// The in-flight refresh exceeded the maximum refresh duration.
    TimedOut,
    /// The caller is not running in a Tokio runtime with time and I/O drivers.
    NoRuntime,
    /// The access token had already expired when it was received.
    Expired,
    /// The response to a code exchange contained no refresh token.
    NoRefreshToken,
    Call(Error),
}

impl ConsentError {
    fn new(kind: Kind) -> Self {
        let inner = Inner { kind, refusal: None, retry_after: None, follows_request: false, is_outcome_unknown: false };
        Self(Arc::new(inner))
    }

    pub(crate) fn not_found() -> Self {
        Self::new(Kind::NotFound)
    }

    pub(crate) fn ended() -> Self {
        Self::new(Kind::Ended)
    }

    pub(crate) fn suspected(status: u16, confirm_after: Duration, retry_after: Duration) -> Self {
        Self::new(Kind::Suspected { status })
            .with_refusal(Refusal::suspected(confirm_after))
            .no_sooner_than(retry_after)
    }

    pub(crate) fn abandoned() -> Self {
        Self::new(Kind::Abandoned)
    }

    pub(crate) fn timed_out() -> Self {
        Self::new(Kind::TimedOut)
    }

    pub(crate) fn no_runtime() -> Self {
        Self::new(Kind::NoRuntime)
    }

    pub(crate) fn expired() -> Self {
        Self::new(Kind::Expired)
    }

    pub(crate) fn no_refresh_token() -> Self {
        Self::new(Kind::NoRefreshToken)
    }

    /// Overrides the [`Refusal`] derived from the server's response.
    pub(crate) fn with_refusal(self, refusal: Refusal) -> Self {
        self.change(|inner| inner.refusal = Some(refusal))
    }

    /// Sets how long to wait before the next refresh, unless the server requested a longer wait.
    pub(crate) fn no_sooner_than(self, wait: Duration) -> Self {
        let wait = self.retry_after().unwrap_or_default().max(wait);
        self.change(|inner| inner.retry_after = Some(wait))
    }

    /// Records that a request was sent before the error occurred.
    pub(crate) fn after_sending(self) -> Self {
        self.change(|inner| inner.follows_request = true)
    }

    /// Records that it is unknown whether an authorization code was spent.
    pub(crate) fn with_unknown_outcome(self) -> Self {
        match self.call().cloned() {
            Some(call) => Self::from(Error::from(SpendError::<()>::Unknown(call))),
            None => self.change(|inner| inner.is_outcome_unknown = true),
        }
    }

    /// Returns the first `ConsentError` among `error` and its sources. Use this function, for
    /// example, on an error from an HTTP client that uses [`BearerAuth`](crate::BearerAuth).
    pub fn find_in<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a Self> {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(found) = error.downcast_ref() {
                return Some(found);
            }
            next = error.source();
        }
        None
    }

    #[cfg(test)]
    pub(crate) fn kind(&self) -> &Kind {
        &self.0.kind
    }

    fn change(mut self, change: impl FnOnce(&mut Inner)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }

    /// Returns the error from the call to Flinks, or `None` if something else failed.
    pub fn call(&self) -> Option<&Error> {
        match &self.0.kind {
            Kind::Call(error) => Some(error),
            _ => None,
        }
    }

    /// Returns the error from the store, or `None` if something else failed.
    pub fn store_error(&self) -> Option<&StoreError> {
        match &self.0.kind {
            Kind::Store(error) => Some(error),
            _ => None,
        }
    }

    /// Returns whether the token store failed. If [`is_transient`](Self::is_transient) also returns
    /// `true`, the same operation may succeed later.
    pub fn is_store(&self) -> bool {
        self.store_error().is_some()
    }

    /// Returns whether the store is unavailable. Returns `false` if the store is only busy because
    /// other processes are using the record.
    pub(crate) fn is_store_unavailable(&self) -> bool {
        matches!(self.0.kind, Kind::Store(StoreError::Unavailable(_)))
    }

    /// Returns `true` if no consent is stored under the id: the consent was never stored or has
    /// been forgotten, or the application uses the wrong store. In that case,
    /// [`needs_consent`](Self::needs_consent) also returns `true`. If many consents are unknown at
    /// once, first check that the application uses the right store.
    pub fn is_unknown_consent(&self) -> bool {
        matches!(self.0.kind, Kind::NotFound)
    }

    /// Returns `true` if nothing was sent because the record shows that the consent has ended.
    pub(crate) fn is_recorded_end(&self) -> bool {
        matches!(self.0.kind, Kind::Ended)
    }

    /// Returns whether the end user must authorize again. [`refusal`](Self::refusal) indicates how
    /// certain it is that the consent has ended. ([O6](flinks::rules))
    pub fn needs_consent(&self) -> bool {
        match &self.0.kind {
            Kind::NotFound | Kind::Ended => true,
            Kind::Call(error) => self.0.refusal.is_some() || error.needs_consent(),
            _ => self.0.refusal.is_some(),
        }
    }

    /// Returns how certain it is that a refusal has ended the consent. Returns `None` if no refresh
    /// was refused. ([O6](flinks::rules))
    pub fn refusal(&self) -> Option<Refusal> {
        match &self.0.kind {
            _ if self.0.refusal.is_some() => self.0.refusal,
            Kind::Ended => Some(Refusal::Final),
            Kind::Call(error) => error.refusal(),
            _ => None,
        }
    }

    pub(crate) fn is_suspected(&self) -> bool {
        matches!(self.refusal(), Some(Refusal::Suspected { .. }))
    }

    /// Returns whether the same operation may succeed later. Transient errors include exceeded rate
    /// limits and temporary failures of the network, the server, the bank or the store.
    pub fn is_transient(&self) -> bool {
        match &self.0.kind {
            Kind::Store(error) => matches!(error, StoreError::Unavailable(_) | StoreError::Busy(_)),
            Kind::Abandoned | Kind::TimedOut => true,
            Kind::Call(error) => error.is_transient(),
            _ => false,
        }
    }

    /// Returns the cause of the error. Returns `None` if the store failed, if no consent is stored
    /// under the id, or if the record shows that the consent has ended.
    pub fn cause(&self) -> Option<Cause> {
        match &self.0.kind {
            Kind::Store(_) | Kind::NotFound | Kind::Ended => None,
            Kind::InvalidId(_) => Some(Cause::Input),
            Kind::Suspected { .. } => Some(Cause::Refused),
            Kind::Abandoned => Some(Cause::Abandoned),
            Kind::TimedOut => Some(Cause::Timeout),
            Kind::NoRuntime => Some(Cause::NoRuntime),
            Kind::Expired => Some(Cause::Expired),
            Kind::NoRefreshToken => Some(Cause::Malformed),
            Kind::Call(error) => Some(error.cause()),
        }
    }

    /// Returns whether Flinks refused the client id or secret. See
    /// [`flinks::Error::is_credentials`].
    pub fn is_credentials(&self) -> bool {
        self.call().is_some_and(Error::is_credentials)
    }

    /// Returns whether Flinks refused the token. See [`flinks::Error::is_token_refused`].
    pub fn is_token_refused(&self) -> bool {
        self.call().is_some_and(Error::is_token_refused)
    }

    /// Returns whether a rate limit was reached. See [`flinks::Error::is_rate_limited`].
    pub fn is_rate_limited(&self) -> bool {
        self.call().is_some_and(Error::is_rate_limited)
    }

    /// Returns whether the server may have received a request. Returns `false` only if it is
    /// certain that the server did not receive one.
    pub fn may_have_been_sent(&self) -> bool {
        match &self.0.kind {
            _ if self.0.follows_request => true,
            Kind::Abandoned | Kind::TimedOut | Kind::Expired | Kind::NoRefreshToken => true,
            Kind::Call(error) => error.may_have_been_sent(),
            _ => false,
        }
    }

    /// Returns how many times the failed call was attempted, or 0 if nothing was sent.
    pub fn attempts(&self) -> u32 {
        self.call().map_or(0, Error::attempts)
    }

    /// Returns how long to wait before the next refresh. Returns `None` unless the server requested
    /// a wait or the consent is suspected.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after.or_else(|| self.call()?.retry_after())
    }

    /// Returns the name of the invalid field in the caller's input or in the response.
    pub fn field(&self) -> Option<&'static str> {
        match &self.0.kind {
            Kind::InvalidId(error) => Some(error.field()),
            Kind::NoRefreshToken => Some("refresh_token"),
            Kind::Call(error) => error.field(),
            _ => None,
        }
    }

    /// Returns the HTTP status of the response. For a suspected consent whose next refresh must
    /// wait, returns the status of the last refusal.
    pub fn status(&self) -> Option<u16> {
        match &self.0.kind {
            Kind::Suspected { status } => Some(*status),
            _ => self.call()?.status(),
        }
    }

    /// Returns the `operationId` of the failed call. See [`flinks::Error::operation`].
    pub fn operation(&self) -> Option<&'static str> {
        self.call()?.operation()
    }

    /// Returns the OAuth error code in the response. See [`flinks::Error::oauth_error`].
    pub fn oauth_error(&self) -> Option<&OAuthError> {
        self.call()?.oauth_error()
    }

    /// Returns the `FlinksCode` in the response. See [`flinks::Error::flinks_code`].
    pub fn flinks_code(&self) -> Option<&FlinksCode> {
        self.call()?.flinks_code()
    }

    /// Returns the error message from the server. See [`flinks::Error::message`].
    pub fn message(&self) -> Option<&str> {
        self.call()?.message()
    }

    /// Returns the correlation id of the response. See [`flinks::Error::correlation_id`].
    pub fn correlation_id(&self) -> Option<&str> {
        self.call()?.correlation_id()
    }

    /// Returns the trace id of the response. See [`flinks::Error::trace_id`].
    pub fn trace_id(&self) -> Option<&str> {
        self.call()?.trace_id()
    }

    /// Returns advice on what to do about the error.
    pub fn advice(&self) -> Advice {
        if let Kind::Call(error) = &self.0.kind {
            return match (error.advice(), self.0.refusal) {
                // The response alone did not show that the refusal was final, but the refusal is
                // now confirmed.
                (Advice::WaitOrStartOver, Some(Refusal::Final)) => Advice::StartOver,
                (advice, _) => advice,
            };
        }
        // The authorization code may be spent, so it cannot be exchanged again.
        if self.0.is_outcome_unknown {
            return Advice::StartOver;
        }
        match &self.0.kind {
            Kind::Store(StoreError::Unavailable(_) | StoreError::Busy(_)) => Advice::RetryLater,
            Kind::Store(StoreError::Misconfigured(_)) | Kind::NoRuntime => Advice::FixConfiguration,
            Kind::InvalidId(_) => Advice::FixInput,
            Kind::NotFound | Kind::Ended => Advice::StartOver,
            Kind::Suspected { .. } => Advice::WaitOrStartOver,
            Kind::Abandoned | Kind::TimedOut => Advice::RetryLater,
            Kind::Expired => Advice::NewToken,
            Kind::Store(StoreError::Damaged(_)) | Kind::NoRefreshToken | Kind::Call(_) => Advice::Investigate,
        }
    }
}

impl fmt::Display for ConsentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.kind {
            Kind::Store(error) => write!(f, "{error}"),
            Kind::InvalidId(error) => write!(f, "{error}"),
            Kind::NotFound => f.write_str("no consent is stored under this id"),
            Kind::Ended => f.write_str("the consent has ended: the end user must authorize again"),
            Kind::Suspected { status } => write!(
                f,
                "the last refresh was refused with status {status}, perhaps by a gateway, so the next refresh must wait; nothing was sent"
            ),
            Kind::Abandoned => f.write_str("the task panicked or its runtime shut down; a request may have been sent"),
            Kind::TimedOut => f.write_str("timed out while waiting for the in-flight refresh"),
            Kind::NoRuntime => f.write_str("not running in a Tokio runtime with time and I/O drivers"),
            Kind::Expired => f.write_str("the access token had already expired when it was received"),
            Kind::NoRefreshToken => f.write_str("malformed response to the code exchange: `refresh_token` is missing"),
            Kind::Call(error) => {
                write!(f, "{error}")?;
                match (error.refusal(), self.0.refusal) {
                    (Some(Refusal::Suspected { .. }), Some(Refusal::Final)) => {
                        f.write_str("; the refusal is confirmed")
                    }
                    _ => Ok(()),
                }
            }
        }
    }
}

/// Includes the `Display` text, because an error returned from `main` is printed with `Debug`.
impl fmt::Debug for ConsentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConsentError({self})")
    }
}

impl std::error::Error for ConsentError {}

impl From<Error> for ConsentError {
    fn from(error: Error) -> Self {
        Self::new(Kind::Call(error))
    }
}

/// Converts a [`SpendError`] into its underlying error, for use with `?`. [`ConsentError::advice`]
/// takes into account whether the token may have been spent.
impl<T> From<SpendError<T>> for ConsentError {
    fn from(error: SpendError<T>) -> Self {
        Error::from(error).into()
    }
}

impl From<StoreError> for ConsentError {
    fn from(error: StoreError) -> Self {
        Self::new(Kind::Store(error))
    }
}

impl From<InvalidId> for ConsentError {
    fn from(error: InvalidId) -> Self {
        Self::new(Kind::InvalidId(error))
    }
}

/// Converts a [`SpendError`] into a `ConsentError`, for use with `?`. The conversion drops an
/// unspent authorization code. If it is unknown whether the code was spent,
/// [`advice`](ConsentError::advice) returns [`Advice::StartOver`].
impl<T> From<SpendError<T, Self>> for ConsentError {
    fn from(error: SpendError<T, Self>) -> Self {
        match error {
            SpendError::Unspent(_, error) | SpendError::Spent(error) => error,
            SpendError::Unknown(error) => error.with_unknown_outcome(),
        }
    }
}
