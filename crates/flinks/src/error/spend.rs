//! The error of a call that spends a token.

use std::fmt;

use super::advice::Advice;
use super::error::Error;
use super::verdict::TokenFate;

/// Why a call that spends a single-use token failed, and what happened to the token (P3, C3).
///
/// Only the first variant returns the token, so only what is safe to repeat can be repeated:
///
/// ```
/// use flinks::{Error, SpendError};
///
/// fn next<T>(error: SpendError<T>) -> Result<T, Error> {
///     match error {
///         // Nothing left this machine. Another try with the same token may succeed, unless it has expired.
///         SpendError::Unspent(token, error) if error.is_transient() => Ok(token),
///         SpendError::Unspent(_, error) => Err(error),
///         // The server has replied. Get a new token if the reason makes that worthwhile.
///         SpendError::Spent(error) => Err(error),
///         // The call may have taken effect. Find out before you repeat it with a new token.
///         SpendError::Unknown(error) => Err(error),
///     }
/// }
/// ```
#[derive(derive_more::Display)]
#[must_use = "it says what became of the token"]
pub enum SpendError<T, E = Error> {
    /// Nothing left this machine: here is the token.
    #[display("{_1}; the token is unspent")]
    Unspent(T, E),
    /// A complete, readable refusal arrived: the call did not take effect. The token is spent or useless.
    #[display("{_0}; the token is spent")]
    Spent(E),
    /// The request may have been received, and its outcome is unknown: there was no reply, or one that cannot be read, or a
    /// server in between failed; or a code was sent before. Treat the token as spent.
    #[display("{_0}; whether the token is spent is unknown")]
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

    /// Returns what to do about the error. For a token whose fate is unknown it is never [`Advice::RetryLater`]: if the token is
    /// a code, the end user must consent again, and anything else has to be investigated first.
    pub fn advice(&self) -> Advice {
        match self {
            Self::Unspent(_, error) | Self::Spent(error) => error.advice(),
            Self::Unknown(error) => error.clone().with_unknown_outcome().advice(),
        }
    }
}

impl<T, E> SpendError<T, E> {
    /// Returns the reason.
    pub fn error(&self) -> &E {
        match self {
            Self::Unspent(_, error) | Self::Spent(error) | Self::Unknown(error) => error,
        }
    }

    /// Returns the reason without the token.
    pub fn into_error(self) -> E {
        match self {
            Self::Unspent(_, error) | Self::Spent(error) | Self::Unknown(error) => error,
        }
    }

    /// Converts the reason, and keeps the token and its fate.
    pub fn map_error<F>(self, convert: impl FnOnce(E) -> F) -> SpendError<T, F> {
        match self {
            Self::Unspent(token, error) => SpendError::Unspent(token, convert(error)),
            Self::Spent(error) => SpendError::Spent(convert(error)),
            Self::Unknown(error) => SpendError::Unknown(convert(error)),
        }
    }
}

/// For `?`. A token that is unspent is dropped. If the fate of the token is unknown, the error says so, and its
/// [`advice`](Error::advice) is that of [`SpendError::advice`].
impl<T> From<SpendError<T>> for Error {
    fn from(error: SpendError<T>) -> Self {
        match error {
            SpendError::Unspent(_, error) | SpendError::Spent(error) => error,
            SpendError::Unknown(error) => error.with_unknown_outcome(),
        }
    }
}

impl Error {
    /// Adds that it is unknown whether the call took effect.
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
