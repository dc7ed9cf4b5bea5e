//! Why an operation on a consent failed.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use flinks::{Advice, Cause, Error, FlinksCode, OAuthError, Refusal, SpendError};

use crate::store::{InvalidId, StoreError};

/// Why an operation on a consent, or on the application's own token, failed: the store failed, there is no such consent, or a call to
/// Flinks failed.
///
/// It has the predicates of [`flinks::Error`], and [`advice`](Self::advice) for every error. It contains no secret, and shows no
/// text that a server wrote (A3, A6). Cloning is cheap.
#[derive(Clone)]
pub struct ConsentError(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    kind: Kind,
    /// What is known of a refusal beyond the reply of the server.
    refusal: Option<Refusal>,
    retry_after: Option<Duration>,
    /// Whether a request was sent before the failure.
    follows_request: bool,
    /// Whether it is unknown if a code was spent.
    is_outcome_unknown: bool,
}

#[derive(Clone)]
enum Kind {
    Store(StoreError),
    InvalidId(InvalidId),
    /// There is no such consent in the store.
    NotFound,
    /// The record says that the consent has ended. Nothing was sent.
    Ended,
    /// The last refresh was refused with this status, and it is too early for the next one (O6). Nothing was sent.
    Suspected {
        status: u16,
    },
    /// The task of the operation panicked, or its runtime shut down.
    Abandoned,
    /// The refresh in flight did not complete in time.
    TimedOut,
    /// There is no tokio runtime with its time driver.
    NoRuntime,
    /// The access token had expired when it arrived.
    Expired,
    /// A code exchange returned no refresh token.
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

    /// Adds what is known of a refusal beyond the reply of the server.
    pub(crate) fn with_refusal(self, refusal: Refusal) -> Self {
        self.change(|inner| inner.refusal = Some(refusal))
    }

    /// Sets the wait before the next refresh, unless the server requires a longer one.
    pub(crate) fn no_sooner_than(self, wait: Duration) -> Self {
        let wait = self.retry_after().unwrap_or_default().max(wait);
        self.change(|inner| inner.retry_after = Some(wait))
    }

    /// Marks the failure of a step that follows a request.
    pub(crate) fn after_sending(self) -> Self {
        self.change(|inner| inner.follows_request = true)
    }

    /// Adds that it is unknown whether a code was spent.
    pub(crate) fn with_unknown_outcome(self) -> Self {
        match self.call().cloned() {
            Some(call) => Self::from(Error::from(SpendError::<()>::Unknown(call))),
            None => self.change(|inner| inner.is_outcome_unknown = true),
        }
    }

    fn change(mut self, change: impl FnOnce(&mut Inner)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }

    /// Returns the error of the call to Flinks, if that is what failed.
    pub fn call(&self) -> Option<&Error> {
        match &self.0.kind {
            Kind::Call(error) => Some(error),
            _ => None,
        }
    }

    /// Returns the error of the store, if that is what failed.
    pub fn store_error(&self) -> Option<&StoreError> {
        match &self.0.kind {
            Kind::Store(error) => Some(error),
            _ => None,
        }
    }

    /// The token store failed. If [`is_transient`](Self::is_transient) is true, the same operation may succeed later.
    pub fn is_store(&self) -> bool {
        self.store_error().is_some()
    }

    /// Returns whether the store is unavailable, as opposed to in use by others.
    pub(crate) fn is_store_unavailable(&self) -> bool {
        matches!(self.0.kind, Kind::Store(StoreError::Unavailable(_)))
    }

    /// There is no such consent in the store: it was never there, or was forgotten, or this is another store.
    /// [`needs_consent`](Self::needs_consent) is true as well. If it happens for many consents at once, check the location of the
    /// store first.
    pub fn is_unknown_consent(&self) -> bool {
        matches!(self.0.kind, Kind::NotFound)
    }

    /// Returns whether the record says that the consent has ended, and nothing was sent.
    pub(crate) fn is_recorded_end(&self) -> bool {
        matches!(self.0.kind, Kind::Ended)
    }

    /// The end user must consent again (O6). [`refusal`](Self::refusal) returns whether that is final.
    pub fn needs_consent(&self) -> bool {
        match &self.0.kind {
            Kind::NotFound | Kind::Ended => true,
            Kind::Call(error) => self.0.refusal.is_some() || error.needs_consent(),
            _ => self.0.refusal.is_some(),
        }
    }

    /// Returns how certain it is that a refused refresh has ended the consent (O6). `None` if no refresh was refused.
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

    /// The same operation may succeed later: the network, the server, the bank or the store failed, or there is a rate limit.
    pub fn is_transient(&self) -> bool {
        match &self.0.kind {
            Kind::Store(error) => matches!(error, StoreError::Unavailable(_) | StoreError::Busy(_)),
            Kind::Abandoned | Kind::TimedOut => true,
            Kind::Call(error) => error.is_transient(),
            _ => false,
        }
    }

    /// Returns what went wrong, if a value or a call to Flinks is the cause. `None` if the store failed, and for a consent that is
    /// unknown or has ended.
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

    /// As [`flinks::Error::is_credentials`].
    pub fn is_credentials(&self) -> bool {
        self.call().is_some_and(Error::is_credentials)
    }

    /// As [`flinks::Error::is_token_refused`].
    pub fn is_token_refused(&self) -> bool {
        self.call().is_some_and(Error::is_token_refused)
    }

    /// As [`flinks::Error::is_rate_limited`].
    pub fn is_rate_limited(&self) -> bool {
        self.call().is_some_and(Error::is_rate_limited)
    }

    /// Returns whether the server may have received a request. `false` only if it is certain that it did not.
    pub fn may_have_been_sent(&self) -> bool {
        match &self.0.kind {
            _ if self.0.follows_request => true,
            Kind::Abandoned | Kind::TimedOut | Kind::Expired | Kind::NoRefreshToken => true,
            Kind::Call(error) => error.may_have_been_sent(),
            _ => false,
        }
    }

    /// Returns how many requests the failed call made or attempted. 0 if nothing was sent.
    pub fn attempts(&self) -> u32 {
        self.call().map_or(0, Error::attempts)
    }

    /// Returns how long to wait before the next refresh, if the server requested a wait or a refusal is suspected.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after.or_else(|| self.call()?.retry_after())
    }

    /// Returns the field that is invalid, in the caller's values or in the server's reply.
    pub fn field(&self) -> Option<&'static str> {
        match &self.0.kind {
            Kind::InvalidId(error) => Some(error.field()),
            Kind::NoRefreshToken => Some("refresh_token"),
            Kind::Call(error) => error.field(),
            _ => None,
        }
    }

    /// Returns the HTTP status of the reply. For a refresh that is too early, the status of the last refusal.
    pub fn status(&self) -> Option<u16> {
        match &self.0.kind {
            Kind::Suspected { status } => Some(*status),
            _ => self.call()?.status(),
        }
    }

    /// As [`flinks::Error::operation`].
    pub fn operation(&self) -> Option<&'static str> {
        self.call()?.operation()
    }

    /// As [`flinks::Error::oauth_error`].
    pub fn oauth_error(&self) -> Option<&OAuthError> {
        self.call()?.oauth_error()
    }

    /// As [`flinks::Error::flinks_code`].
    pub fn flinks_code(&self) -> Option<&FlinksCode> {
        self.call()?.flinks_code()
    }

    /// As [`flinks::Error::message`].
    pub fn message(&self) -> Option<&str> {
        self.call()?.message()
    }

    /// As [`flinks::Error::correlation_id`].
    pub fn correlation_id(&self) -> Option<&str> {
        self.call()?.correlation_id()
    }

    /// As [`flinks::Error::trace_id`].
    pub fn trace_id(&self) -> Option<&str> {
        self.call()?.trace_id()
    }

    /// Returns what to do about the error.
    pub fn advice(&self) -> Advice {
        if let Kind::Call(error) = &self.0.kind {
            return match (error.advice(), self.0.refusal) {
                // The refusal was confirmed.
                (Advice::WaitOrStartOver, Some(Refusal::Final)) => Advice::StartOver,
                (advice, _) => advice,
            };
        }
        // The code may be spent.
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
            Kind::NotFound => f.write_str("no consent found for this id"),
            Kind::Ended => f.write_str("the consent has ended, and the end user must consent again"),
            Kind::Suspected { status } => write!(
                f,
                "the last refresh was refused, perhaps by a gateway, and the next one must wait; nothing was sent (status {status})"
            ),
            Kind::Abandoned => {
                f.write_str("the task panicked or its runtime shut down; a request may have been received")
            }
            Kind::TimedOut => f.write_str("the refresh did not complete in time"),
            Kind::NoRuntime => f.write_str("this call needs a tokio runtime with its time and I/O drivers enabled"),
            Kind::Expired => f.write_str("the access token had expired when it arrived"),
            Kind::NoRefreshToken => f.write_str("the reply to the code exchange has no refresh_token"),
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

/// The same text as `Display`, because `main` prints errors with `Debug`.
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

/// For `?`. A code that is unspent is dropped. If its fate is unknown, the [`advice`](ConsentError::advice) is to start over.
impl<T> From<SpendError<T, Self>> for ConsentError {
    fn from(error: SpendError<T, Self>) -> Self {
        match error {
            SpendError::Unspent(_, error) | SpendError::Spent(error) => error,
            SpendError::Unknown(error) => error.with_unknown_outcome(),
        }
    }
}
