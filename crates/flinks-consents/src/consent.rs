//! The handle of one consent.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use flinks::outbound::AccessToken;

use crate::error::ConsentError;
use crate::runtime;
use crate::shared::Shared;
use crate::shared_token;
use crate::state::ConsentState;
use crate::store::{ConsentId, trusted};

/// One end user's consent. Cloning is cheap; all handles with the same id, of the same [`Consents`](crate::Consents), are one consent.
#[derive(Clone)]
pub struct Consent {
    pub(crate) shared: Arc<Shared>,
    pub(crate) state: Arc<ConsentState>,
}

impl Consent {
    /// Returns your name for the consent.
    pub fn id(&self) -> &ConsentId {
        &self.state.id
    }

    /// Returns a valid access token: the cached one, or a new one (O4).
    ///
    /// However many callers ask, in however many processes that share the store, there is one refresh, and all who wait get its
    /// outcome. A token that will soon expire is refreshed while it is still valid. After a failure there is a pause of half a second
    /// to a minute, or of up to five if the server requests that. During the pause callers get the token while it is valid, and then
    /// the same error at once. Two refreshes are at least a second apart.
    ///
    /// # Errors
    ///
    /// Returns an error if there is no valid token and the refresh fails. [`ConsentError::needs_consent`] is true if there is no such
    /// consent, or if the end user must consent again (O6). [`ConsentError::is_store`] is true if the store failed.
    ///
    /// # Cancel safety
    ///
    /// The refresh completes and its result is stored if the caller is cancelled.
    pub async fn access_token(&self) -> Result<AccessToken, ConsentError> {
        shared_token::access_token(self).await
    }

    /// Reports that a server has refused `token`, as the Open Banking API does with 401. The next call fetches another one, at least
    /// a second after the last refresh. If the token has been replaced already, nothing happens, so every caller that used the token
    /// may call this.
    pub fn invalidate(&self, token: &AccessToken) {
        self.state.cache.invalidate(token, self.shared.clock().as_ref());
    }

    /// Refreshes now, though the access token may still be valid: that restarts the 30 days of the refresh token (O5). If a refresh
    /// is under way, this waits for that one. If the last refresh was less than a second ago, this waits out the rest of that second.
    ///
    /// # Errors
    ///
    /// As [`access_token`](Self::access_token). During the pause after a failure this sends nothing and returns that failure. It may
    /// return that the consent has ended while an access token is still valid.
    ///
    /// # Cancel safety
    ///
    /// The refresh completes and its result is stored if the caller is cancelled.
    pub async fn refresh_now(&self) -> Result<AccessToken, ConsentError> {
        shared_token::refresh_now(self).await
    }

    /// Returns when the refresh token idles out, unless it is refreshed before (O5). If the last refresh lies in the future, because
    /// the wall clock was wrong then, this returns the current time: nobody knows how old the token is.
    ///
    /// # Errors
    ///
    /// Returns an error if there is no such consent, if it has ended, or if the store fails.
    pub async fn idle_deadline(&self) -> Result<SystemTime, ConsentError> {
        let consent = self.clone();
        self.shared.complete_with_store(async move { consent.idle_deadline_of_record().await }).await
    }

    async fn idle_deadline_of_record(&self) -> Result<SystemTime, ConsentError> {
        let Some(record) = self.current_record().await? else { return Err(ConsentError::not_found()) };
        if record.is_ended() {
            return Err(ConsentError::ended());
        }
        let now = self.shared.clock().wall();
        if trusted(record.refreshed_at, now) != record.refreshed_at {
            return Ok(now);
        }
        Ok(record.idle_deadline())
    }

    /// Ends the connection at Flinks (O10), and erases the consent. If the access token is refused, this tries another one. If a
    /// refusal has ended the consent, its refresh token is used once more first, because the refusal may not have been Flinks'.
    ///
    /// The reply of Flinks decides the result. If the store is unavailable after that, the removal is tried again with the next
    /// call and with [`Consents::flush`](crate::Consents::flush); until it succeeds, this process hands out no token of the consent.
    ///
    /// # Errors
    ///
    /// All errors of [`access_token`](Self::access_token), because revoking needs a token, and those of the revocation itself. The
    /// connection may exist after an error, so the consent is kept.
    ///
    /// # Cancel safety
    ///
    /// The revocation completes if the caller is cancelled.
    pub async fn revoke(&self) -> Result<Revoked, ConsentError> {
        let runtime = runtime::current(self.shared.clock().as_ref())?;
        let consent = self.clone();
        let outcome = self.shared.complete(&runtime, async move { consent.revoke_and_erase().await }).await;
        outcome.unwrap_or_else(|| Err(ConsentError::abandoned()))
    }

    /// Erases the consent with its refresh token. Flinks is not informed: the connection remains. If another process is refreshing
    /// at this moment and gets another refresh token, or has one that it could not store, it keeps the consent.
    ///
    /// # Errors
    ///
    /// Returns an error if the store fails.
    ///
    /// # Cancel safety
    ///
    /// The removal completes if the caller is cancelled.
    pub async fn forget(&self) -> Result<(), ConsentError> {
        let consent = self.clone();
        self.shared.complete_with_store(async move { consent.erase().await }).await
    }

    /// Returns how the log names this consent: a short hash with a key of this process, or the id if the consents were built with
    /// [`log_ids`](crate::ConsentsBuilder::log_ids). Log it together with the id to find the lines of one consent.
    pub fn log_name(&self) -> String {
        self.shared.log_name(&self.state.id)
    }
}

/// The result of [`Consent::revoke`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[must_use = "a mistyped id is `NotFound`, and revokes nothing"]
pub enum Revoked {
    /// Flinks has ended the connection.
    Confirmed,
    /// Flinks refused the refresh token with `invalid_grant`: the connection had ended before.
    AlreadyEnded,
    /// There is no such consent. Nothing was sent.
    NotFound,
}

impl fmt::Debug for Consent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consent").field("id", &self.state.id).finish_non_exhaustive()
    }
}
