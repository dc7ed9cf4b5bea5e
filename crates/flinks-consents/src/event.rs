//! Events of consents and of the application's own token.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::SystemTime;

use crate::error::ConsentError;

/// Something that happened to a consent, or to an application's own token. Each goes to `tracing`, too. Who waited for an
/// exchange may have its outcome before the event is told.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// There is a new access token.
    #[non_exhaustive]
    Refreshed {
        /// When it expires, if the reply told (O3).
        expires_at: Option<SystemTime>,
    },
    /// There is no new access token.
    #[non_exhaustive]
    RefreshFailed {
        /// Why.
        error: ConsentError,
        /// Until when callers still get the one that is there. None where there is none, so that they get the error.
        valid_until: Option<SystemTime>,
    },
    /// A refresh token was about to idle out, or had done so (O5). An exchange is tried now; consents that are so seldom used
    /// are kept alive by [`Consents::due`](crate::Consents::due).
    #[non_exhaustive]
    IdleDeadlineNear {
        /// When it idles out.
        idle_deadline: SystemTime,
    },
    /// A refresh was refused in a way that a gateway may have caused (O6), so that the consent has not ended yet. At most one
    /// refresh a minute is sent until it is confirmed or succeeds, and each that is refused again causes this event.
    #[non_exhaustive]
    ConsentSuspected {
        /// The refusal.
        error: ConsentError,
    },
    /// The end user must consent again (O6).
    #[non_exhaustive]
    ConsentOver {
        /// What the server said.
        error: ConsentError,
    },
    /// The store failed after an exchange or a revocation. The change is in memory, and is stored with the next call after the
    /// pause that follows, or with [`Consents::flush`](crate::Consents::flush) or
    /// [`Consents::shutdown`](crate::Consents::shutdown).
    #[non_exhaustive]
    NotStored {
        /// What the store said.
        error: ConsentError,
    },
}

impl Event {
    /// Logs the event, and then calls `callback`, whose panics end here. `consent` is how the log names the consent.
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
            Self::ConsentOver { error } => tracing::warn!(consent, %error, "a consent has ended"),
            Self::NotStored { error } => {
                tracing::error!(consent, %error, "a change of a consent could not be stored, and is in memory only");
            }
        }
        if catch_unwind(AssertUnwindSafe(|| callback(self))).is_err() {
            tracing::error!(consent, "the callback for events panicked");
        }
    }
}
