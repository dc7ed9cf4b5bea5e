//! A handle to a consent.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use flinks::HeaderValue;
use flinks::outbound::AccessToken;

use crate::error::ConsentError;
use crate::runtime;
use crate::shared::Shared;
use crate::shared_token;
use crate::state::ConsentState;
use crate::store::{ConsentId, trusted};

/// A handle to an end user's consent. Cloning is cheap, and all handles that a
/// [`Consents`](crate::Consents) returns for the same id share their state.
#[derive(Clone)]
pub struct Consent {
    pub(crate) shared: Arc<Shared>,
    pub(crate) state: Arc<ConsentState>,
}

impl Consent {
    /// Returns the id that the consent is stored under.
    pub fn id(&self) -> &ConsentId {
        &self.state.id
    }

    /// Returns a valid access token: either the cached token or a new one.
    ///
    /// - All callers share one refresh and its outcome, even across processes that share a store.
    /// - A token is refreshed shortly before it expires. Until the refresh completes, callers
    ///   receive the current token.
    /// - After a failed refresh, the client backs off for between half a second and a minute, or
    ///   for up to 5 minutes if the server requests a longer wait. During the back-off, no request
    ///   is sent: callers receive the current token while it is valid, and then the error from the
    ///   failed refresh.
    /// - Consecutive refreshes are at least one second apart.
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

    /// Calls `read` with the token that [`access_token`](Self::access_token) would return, and
    /// returns the result.
    ///
    /// This is the fastest way to read a cached token. Because it does not change a reference
    /// count, threads that read the same token do not slow each other down. By contrast, cloning
    /// the token or its [header value](AccessToken::authorization) changes a reference count that
    /// all threads share.
    ///
    /// `read` is called at most once and should return quickly. Until `read` returns, the token
    /// stays in memory, even if it has been replaced.
    ///
    /// ```no_run
    /// # use flinks_consents::{Consent, ConsentError};
    /// # async fn example(consent: Consent) -> Result<(), ConsentError> {
    /// let mut request = http::Request::new(());
    /// consent
    ///     .with_token(|token| request.headers_mut().insert(http::header::AUTHORIZATION, token.authorization()))
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`access_token`](Self::access_token).
    ///
    /// # Cancel safety
    ///
    /// If the caller is cancelled, `read` is not called, but an in-flight refresh still completes
    /// and its result is stored.
    pub async fn with_token<T>(&self, read: impl FnOnce(&AccessToken) -> T) -> Result<T, ConsentError> {
        shared_token::with_token(self, |cached| read(&cached.token)).await
    }

    /// Returns the value of the `Authorization` header for a request: `Bearer` followed by a valid
    /// access token. The value is marked as sensitive and is created only once for each token.
    ///
    /// If the API might reject an unexpired token, use [`send`](Self::send) instead.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`access_token`](Self::access_token).
    ///
    /// # Cancel safety
    ///
    /// If the caller is cancelled, an in-flight refresh still completes and its result is stored.
    pub async fn header(&self) -> Result<HeaderValue, ConsentError> {
        shared_token::with_token(self, |cached| cached.token.authorization()).await
    }

    /// Invalidates an access token that has been rejected, for example with a 401 response from the
    /// Open Banking API. The next call to [`access_token`](Self::access_token) returns another
    /// token, but no sooner than one second after the last refresh.
    ///
    /// If the token has already been replaced, this method does nothing, so every caller that used
    /// the token can safely call this method.
    pub fn invalidate(&self, token: &AccessToken) {
        self.state.cache.invalidate(token, self.shared.clock().as_ref());
    }

    /// Refreshes the consent even if the cached access token is still valid. A successful refresh
    /// restarts the 30-day idle period of the refresh token. ([O5](flinks::rules))
    ///
    /// If a refresh is in flight, this method waits for it. If the last refresh was less than a
    /// second ago, this method first waits until that second has passed.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`access_token`](Self::access_token). While the client backs off
    /// after a failure, this method returns the error from that failure again and sends no request.
    /// The error may report that the consent has ended even though an access token is still valid.
    ///
    /// # Cancel safety
    ///
    /// If the caller is cancelled, the refresh still completes and its result is stored.
    pub async fn refresh_now(&self) -> Result<AccessToken, ConsentError> {
        shared_token::refresh_now(self).await
    }

    /// Returns the time at which the refresh token expires if it is not used before then.
    /// ([O5](flinks::rules))
    ///
    /// If the recorded time of the last refresh is more than 10 minutes in the future, this method
    /// returns the current time. The wall clock must have been wrong when the refresh was recorded,
    /// so the age of the refresh token is unknown.
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

    /// Revokes the connection at Flinks and removes the consent from the store.
    /// ([O10](flinks::rules))
    ///
    /// If Flinks refuses the access token, this method tries once more with another token. If the
    /// consent ended because a refresh was refused, this method first tries to refresh the consent,
    /// because the refusal might not have come from Flinks.
    ///
    /// The returned value reports the outcome at Flinks, or that no consent is stored. If the store is unavailable after the
    /// revocation, the removal is retried by the next call that uses this consent, and by
    /// [`Consents::flush`](crate::Consents::flush). Until the removal succeeds, this process returns
    /// no token for the consent.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`access_token`](Self::access_token), because revoking requires a
    /// token. Also returns an error if the revocation itself fails. After an error, the connection
    /// may still exist, so the consent remains in the store.
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

    /// Removes the consent and its refresh token from the store. Nothing is sent to Flinks, so the
    /// connection is not revoked.
    ///
    /// If another process receives a new refresh token for the consent at the same time, or has
    /// received one that it could not store, that process stores the consent again.
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

    /// Returns the name that identifies this consent in the log. By default, the name is a short
    /// hash, computed with a different key in each process. If
    /// [`log_ids`](crate::ConsentsBuilder::log_ids) was called, the name is the consent's id. To
    /// find a consent's log lines later, log this name together with the id.
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
