//! Events of consents and of the application's own token.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::SystemTime;

use crate::error::ConsentError;

/// Something that happened to a consent, or to the application's own token. Each event also goes to `tracing`. Callers who wait for a
/// refresh may get its outcome before the event is emitted.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// A refresh has returned a new access token.
    #[non_exhaustive]
    Refreshed {
        /// When it expires. `None` if the reply did not include a lifetime (O3).
        expires_at: Option<SystemTime>,
    },
    /// A refresh has failed.
    #[non_exhaustive]
    RefreshFailed {
        /// The reason.
        error: ConsentError,
        /// When the current token expires. Callers get it until then. `None` if there is no valid token, so that they get the error.
        valid_until: Option<SystemTime>,
    },
    /// A refresh token is about to idle out, or has done so (O5). A refresh is attempted now. [`KeepAlive`](crate::KeepAlive) refreshes
    /// consents that are used this rarely.
    #[non_exhaustive]
    IdleDeadlineNear {
        /// When it idles out.
        idle_deadline: SystemTime,
    },
    /// A refresh was refused in a way that a gateway may have caused (O6), so that the consent has not ended yet. At most one
    /// refresh a minute is sent until the refusal is confirmed or a refresh succeeds, and each further refusal causes this event.
    #[non_exhaustive]
    ConsentSuspected {
        /// The refusal.
        error: ConsentError,
    },
    /// The end user must consent again (O6).
    #[non_exhaustive]
    ConsentEnded {
        /// The refusal.
        error: ConsentError,
    },
    /// The store failed after a refresh, a code exchange or a revocation. The change is in memory, and is stored with the next call after the
    /// pause that follows, or with [`Consents::flush`](crate::Consents::flush) or
    /// [`Consents::shutdown`](crate::Consents::shutdown).
    #[non_exhaustive]
    NotStored {
        /// The error of the store.
        error: ConsentError,
    },
}

impl Event {
    /// Logs the event, and then calls `callback`, whose panics are caught. `consent` is the name of the consent in the log.
    pub(crate) fn emit(&self, consent: Option<&str>, callback: impl FnOnce(&Self)) {
        match self {
            Self::Refreshed { .. } => tracing::debug!(consent, "received a new access token"),
            Self::RefreshFailed { error, valid_until } => {
                let is_still_valid = valid_until.is_some();
                tracing::warn!(consent, %error, is_still_valid, "could not refresh the access token");
            }
            Self::IdleDeadlineNear { .. } => tracing::warn!(consent, "a refresh token is about to idle out"),
            Self::ConsentSuspected { error } => {
                tracing::warn!(consent, %error, "a refresh was refused, perhaps by a gateway; the consent is suspected");
            }
            Self::ConsentEnded { error } => tracing::warn!(consent, %error, "a consent has ended"),
            Self::NotStored { error } => {
                tracing::error!(consent, %error, "a change of a consent could not be stored, and is in memory only");
            }
        }
        if catch_unwind(AssertUnwindSafe(|| callback(self))).is_err() {
            tracing::error!(consent, "the callback for events panicked");
        }
    }
}
