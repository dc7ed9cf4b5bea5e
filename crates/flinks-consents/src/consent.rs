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

/// A handle of one consent of an end user. Cloning is cheap. All handles that the same
/// [`Consents`](crate::Consents) returned for an id share one state.
#[derive(Clone)]
pub struct Consent {
    pub(crate) shared: Arc<Shared>,
    pub(crate) state: Arc<ConsentState>,
}

impl Consent {
    /// Returns the id under which the consent is stored.
    pub fn id(&self) -> &ConsentId {
        &self.state.id
    }

    /// Returns a valid access token: the cached token, or a new one.
    ///
    /// - All callers share one refresh and its outcome, even in several processes that share a
    ///   store.
    /// - A token that is about to expire is refreshed early. Until the refresh completes, callers
    ///   receive the current token.
    /// - After a failed refresh, this backs off for half a second to a minute, or for up to 5
    ///   minutes if the server requests it. Until then, callers receive the current token while it
    ///   is valid, and otherwise the same error without another request.
    /// - At least one second passes between two refreshes.
    ///
    /// ([O4](flinks::rules))
    ///
    /// # Errors
    ///
    /// Returns an error if there is no valid token and the refresh fails.
    /// [`ConsentError::needs_consent`] returns `true` if no consent is stored under this id, or if
    /// the end user must authorize again. [`ConsentError::is_store`] returns `true` if the store
    /// failed. ([O6](flinks::rules))
    ///
    /// # Cancel safety
    ///
    /// If the caller is cancelled, the refresh still completes and its result is stored.
    pub async fn access_token(&self) -> Result<AccessToken, ConsentError> {
        shared_token::access_token(self).await
    }

    /// Invalidates an access token that a server has refused, for example if the Open Banking API
    /// responded with 401. The next call of [`access_token`](Self::access_token) returns another
    /// token. It waits until one second has passed since the last refresh.
    ///
    /// If the token has already been replaced, this does nothing. Every caller that used the token
    /// may therefore call it.
    pub fn invalidate(&self, token: &AccessToken) {
        self.state.cache.invalidate(token, self.shared.clock().as_ref());
    }

    /// Refreshes the consent even if the cached access token is still valid. This restarts the 30
    /// days after which the refresh token idles out. ([O5](flinks::rules))
    ///
    /// If a refresh is in flight, this waits for that refresh. If the last refresh was less than a
    /// second ago, this waits until one second has passed.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`access_token`](Self::access_token). While this client backs off
    /// after a failure, it returns that failure and sends nothing. It may report that the consent
    /// has ended although an access token is still valid.
    ///
    /// # Cancel safety
    ///
    /// If the caller is cancelled, the refresh still completes and its result is stored.
    pub async fn refresh_now(&self) -> Result<AccessToken, ConsentError> {
        shared_token::refresh_now(self).await
    }

    /// Returns when the refresh token idles out if it is not used before. ([O5](flinks::rules))
    ///
    /// If the time of the last refresh is in the future, it was written while the wall clock was
    /// wrong, and the age of the token is unknown. In that case, this returns the current time.
    ///
    /// # Errors
    ///
    /// Returns an error if no consent is stored under this id, if the consent has ended, or if the
    /// store fails.
    pub async fn idle_deadline(&self) -> Result<SystemTime, ConsentError> {
        let consent = self.clone();
        self.shared.run_store_task(async move { consent.idle_deadline_of_record().await }).await
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

    /// Revokes the connection at Flinks, and removes the consent from the store.
    /// ([O10](flinks::rules))
    ///
    /// If Flinks refuses the access token, this tries once more with another one. If a refusal has
    /// ended the consent, this first tries to refresh it, because the refusal may not have come
    /// from Flinks.
    ///
    /// The result is the response of Flinks. If the store is unavailable afterwards, the removal is
    /// retried by the next call and by [`Consents::flush`](crate::Consents::flush). Until the
    /// removal succeeds, this process returns no token of the consent.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`access_token`](Self::access_token), because revoking requires a
    /// token, and those of the revocation itself. After an error the connection may still exist, so
    /// the consent stays stored.
    ///
    /// # Cancel safety
    ///
    /// If the caller is cancelled, the revocation still completes.
    pub async fn revoke(&self) -> Result<Revoked, ConsentError> {
        let runtime = runtime::current(self.shared.clock().as_ref())?;
        let consent = self.clone();
        let outcome = self.shared.run_in_task(&runtime, async move { consent.revoke_and_erase().await }).await;
        outcome.unwrap_or_else(|| Err(ConsentError::abandoned()))
    }

    /// Removes the consent and its refresh token from the store. This does not contact Flinks, so
    /// the connection remains.
    ///
    /// If another process is refreshing the consent and receives a new refresh token, or holds a
    /// new refresh token that it could not store, that process stores the consent again.
    ///
    /// # Errors
    ///
    /// Returns an error if the store fails.
    ///
    /// # Cancel safety
    ///
    /// If the caller is cancelled, the removal still completes.
    pub async fn forget(&self) -> Result<(), ConsentError> {
        let consent = self.clone();
        self.shared.run_store_task(async move { consent.erase().await }).await
    }

    /// Returns the name of this consent in the log. It is a short hash whose key is different in
    /// each process, or the id if [`log_ids`](crate::ConsentsBuilder::log_ids) was called. To find
    /// the log lines of one consent, log this name together with the id.
    pub fn log_name(&self) -> String {
        self.shared.log_name(&self.state.id)
    }
}

/// The result of [`Consent::revoke`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[must_use = "if no consent is stored under the id, nothing was revoked"]
pub enum Revoked {
    /// Flinks confirmed that it has ended the connection.
    Confirmed,
    /// Flinks refused the refresh token with `invalid_grant`, so the connection had already ended.
    AlreadyEnded,
    /// No consent is stored under this id. Nothing was sent.
    NotFound,
}

impl fmt::Debug for Consent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consent").field("id", &self.state.id).finish_non_exhaustive()
    }
}
