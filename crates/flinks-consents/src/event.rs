//! Events that concern consents or the application's own token.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::SystemTime;

use crate::error::ConsentError;
use crate::metrics;

/// An event that concerns a consent or the application's own token.
///
/// Each event is also logged with `tracing`. A caller that waits for a refresh may receive the
/// result before the event is emitted.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// A new access token was received.
    #[non_exhaustive]
    Refreshed {
        /// When the token expires. `None` if the response did not include a lifetime.
        /// ([O3](flinks::rules))
        expires_at: Option<SystemTime>,
    },
    /// A refresh failed.
    #[non_exhaustive]
    RefreshFailed {
        /// The error returned by the refresh.
        error: ConsentError,
        /// When the cached token expires. Until then, callers receive that token. `None` if no
        /// valid token is cached, in which case callers receive the error.
        valid_until: Option<SystemTime>,
    },
    /// A refresh token is about to idle out (expire because it was not used) or has already idled
    /// out. A refresh is attempted immediately after this event. Use
    /// [`KeepAlive`](crate::KeepAlive) to refresh consents that are rarely used.
    /// ([O5](flinks::rules))
    #[non_exhaustive]
    IdleDeadlineNear {
        /// When the refresh token expires if it remains unused.
        idle_deadline: SystemTime,
    },
    /// A refresh was refused, perhaps by a gateway. The consent is now suspected to have ended, but
    /// this has not been confirmed yet. Until a refresh succeeds or the refusal is confirmed, at
    /// most one refresh per minute is sent. This event is emitted again for each subsequent
    /// refusal. ([O6](flinks::rules))
    #[non_exhaustive]
    ConsentSuspected {
        /// The error that reports the refusal.
        error: ConsentError,
    },
    /// The consent has ended: the end user must authorize again. ([O6](flinks::rules))
    #[non_exhaustive]
    ConsentEnded {
        /// The error that reports the refusal.
        error: ConsentError,
    },
    /// A write to the store failed after a refresh, a code exchange, an import or a revocation. The
    /// change is now a pending write in memory. The first call after the back-off stores it, unless
    /// [`Consents::flush`](crate::Consents::flush) or
    /// [`Consents::shutdown`](crate::Consents::shutdown) does so first.
    #[non_exhaustive]
    NotStored {
        /// The error from the store.
        error: ConsentError,
    },
}

impl Event {
    /// Logs the event and then calls `callback`. If the callback panics, the panic is caught and
    /// logged. `consent` is the name that identifies the consent in the log.
    pub(crate) fn emit(&self, consent: Option<&str>, callback: impl FnOnce(&Self)) {
        match self {
            Self::Refreshed { .. } => tracing::debug!(consent, "received a new access token"),
            Self::RefreshFailed { error, valid_until } => {
                let is_still_valid = valid_until.is_some();
                tracing::warn!(consent, %error, is_still_valid, "could not refresh the access token");
            }
            Self::IdleDeadlineNear { .. } => {
                metrics::count_idle_deadline_near();
                tracing::warn!(consent, "the refresh token is about to idle out");
            }
            Self::ConsentSuspected { error } => {
                tracing::warn!(consent, %error, "the refresh was refused, perhaps by a gateway, so the consent may have ended");
            }
            Self::ConsentEnded { error } => {
                tracing::warn!(consent, %error, "the consent has ended: the end user must authorize again");
            }
            Self::NotStored { error } => {
                tracing::error!(consent, %error, "failed to store a change to the consent; the change is only in memory");
            }
        }
        if catch_unwind(AssertUnwindSafe(|| callback(self))).is_err() {
            tracing::error!(consent, "the event callback panicked");
        }
    }
}
