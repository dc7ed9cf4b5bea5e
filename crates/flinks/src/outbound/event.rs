//! What happens while nobody looks.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::SystemTime;

use crate::error::Error;

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
        error: Error,
        /// Until when callers still get the one that is there. None where there is none, so that they get the error.
        valid_until: Option<SystemTime>,
    },
    /// A refresh token was about to idle out, or had done so (O5). An exchange is tried now; consents that are so seldom used
    /// are kept alive by [`Consents::due`](super::Consents::due).
    #[non_exhaustive]
    IdleDeadlineNear {
        /// When it idles out.
        idle_deadline: SystemTime,
    },
    /// The end user must consent again (O6).
    #[non_exhaustive]
    ConsentOver {
        /// What the server said.
        error: Error,
    },
    /// The store failed after an exchange. The refresh token is in memory, and is stored with the next call after the pause
    /// that follows, or with [`Consents::flush`](super::Consents::flush).
    #[non_exhaustive]
    NotStored {
        /// What the store said.
        error: Error,
    },
}

impl Event {
    /// Tells it to `tracing`, and then to `callback`, whose panics end here.
    pub(super) fn tell(&self, callback: impl FnOnce(&Self)) {
        match self {
            Self::Refreshed { .. } => tracing::debug!("there is a new access token"),
            Self::RefreshFailed { error, valid_until } => {
                tracing::warn!(%error, is_still_valid = valid_until.is_some(), "there is no new access token");
            }
            Self::IdleDeadlineNear { .. } => tracing::warn!("a refresh token is about to idle out"),
            Self::ConsentOver { error } => tracing::warn!(%error, "a consent is over"),
            Self::NotStored { error } => tracing::error!(%error, "a refresh token is in memory only"),
        }
        if catch_unwind(AssertUnwindSafe(|| callback(self))).is_err() {
            tracing::error!("the callback for events panicked");
        }
    }
}
