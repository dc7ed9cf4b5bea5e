//! The error returned by calls that spend a token.

use std::fmt;

use super::advice::Advice;
use super::error::Error;
use super::verdict::TokenFate;

/// The error returned by calls that spend a single-use token. The variant reports the token's fate.
/// [P3, C3](crate::rules)
///
/// Only [`Unspent`](Self::Unspent) contains the token, so an unsafe retry with the same token is
/// impossible:
///
/// ```
/// use flinks::{Error, SpendError};
///
/// fn next<T>(error: SpendError<T>) -> Result<T, Error> {
///     match error {
///         // Nothing was sent. Try again with the same token, unless it has expired.
///         SpendError::Unspent(token, error) if error.is_transient() => Ok(token),
///         SpendError::Unspent(_, error) => Err(error),
///         // The server refused the call. Request a new token if the reason makes that worthwhile.
///         SpendError::Spent(error) => Err(error),
///         // The call may have taken effect. Find out before you repeat it with a new token.
///         SpendError::Unknown(error) => Err(error),
///     }
/// }
/// ```
#[derive(derive_more::Display)]
#[must_use = "the error reports whether the token was spent"]
pub enum SpendError<T, E = Error> {
    /// Nothing was sent, so the token is returned.
    #[display("{_1}; the token is unspent")]
    Unspent(T, E),
    /// The server refused the call with a complete, readable response, so the call did not take
    /// effect. The token is spent, or the server does not accept it.
    #[display("{_0}; the token is spent")]
    Spent(E),
    /// The request may have reached the server, and the outcome of the call is unknown: no readable
    /// response was received, an intermediate server failed, or the code had already been sent.
    /// Treat the token as spent.
    #[display("{_0}; it is unknown whether the token is spent")]
    Unknown(E),
}

impl<T> SpendError<T> {
    pub(crate) fn new(token: T, error: Error) -> Self {
        match error.token_fate() {
            TokenFate::Unspent => Self::Unspent(token, error),
            TokenFate::Spent => Self::Spent(error),
            TokenFate::Unknown => Self::Unknown(error),
        }
    }

    /// Returns the recommended next step.
    ///
    /// If the token's fate is unknown, the advice is never [`Advice::RetryLater`]. If the token is
    /// an authorization code, the end user must consent again. After any other call, find out what
    /// happened before you repeat the call.
    pub fn advice(&self) -> Advice {
        match self {
            Self::Unspent(_, error) | Self::Spent(error) => error.advice(),
            Self::Unknown(error) => error.clone().with_unknown_outcome().advice(),
        }
    }
}

impl<T, E> SpendError<T, E> {
    /// Returns the underlying error.
    pub fn error(&self) -> &E {
        match self {
            Self::Unspent(_, error) | Self::Spent(error) | Self::Unknown(error) => error,
        }
    }

    /// Converts this error into the underlying error and drops the token.
    pub fn into_error(self) -> E {
        match self {
            Self::Unspent(_, error) | Self::Spent(error) | Self::Unknown(error) => error,
        }
    }

    /// Converts the underlying error. The token and its fate do not change.
    pub fn map_error<F>(self, convert: impl FnOnce(E) -> F) -> SpendError<T, F> {
        match self {
            Self::Unspent(token, error) => SpendError::Unspent(token, convert(error)),
            Self::Spent(error) => SpendError::Spent(convert(error)),
            Self::Unknown(error) => SpendError::Unknown(convert(error)),
        }
    }
}

/// Converts a [`SpendError`] into its underlying error, for use with `?`. An unspent token is
/// dropped.
///
/// If the token's fate is unknown, the error's message states this, and [`Error::advice`] returns
/// the same advice as [`SpendError::advice`].
impl<T> From<SpendError<T>> for Error {
    fn from(error: SpendError<T>) -> Self {
        match error {
            SpendError::Unspent(_, error) | SpendError::Spent(error) => error,
            SpendError::Unknown(error) => error.with_unknown_outcome(),
        }
    }
}

impl Error {
    /// Records that it is unknown whether the call took effect.
    fn with_unknown_outcome(self) -> Self {
        self.change(|inner| inner.is_outcome_unknown = true)
    }
}

impl<T, E: fmt::Display> fmt::Debug for SpendError<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SpendError({self})")
    }
}

impl<T, E: fmt::Display> std::error::Error for SpendError<T, E> {}
