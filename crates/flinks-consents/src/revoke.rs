//! Revokes a consent's connection at Flinks. (O10)

use std::sync::Arc;

use flinks::{OAuthError, Refusal};

use crate::cached_token::CachedToken;
use crate::consent::{Consent, Revoked};
use crate::error::ConsentError;
use crate::shared_token;

impl Consent {
    pub(crate) async fn revoke_and_erase(&self) -> Result<Revoked, ConsentError> {
        let stored = match self.current_record().await {
            Ok(Some(record)) => Some(record.grant),
            Ok(None) => return Ok(Revoked::NotFound),
            // While the store is unavailable, the cached token can still be used to revoke the
            // connection.
            Err(_) => None,
        };
        // If another process has stored a newer consent, the cached token belongs to the old
        // consent's connection.
        let cached = self.state.cache.current();
        if stored.is_some() && cached.is_some_and(|cached| cached.grant != stored) {
            self.state.cache.replace(None);
        }
        let (revoked, grant) = match self.revoke_at_flinks().await {
            // The token determines which connection was revoked, regardless of which grant was
            // stored before.
            Ok(token) => (Revoked::Confirmed, token.grant.or(stored)),
            Err(error) if error.is_unknown_consent() => return Ok(Revoked::NotFound),
            Err(error) if is_invalid_grant(&error) && stored.is_some() => (Revoked::AlreadyEnded, stored),
            Err(error) => return Err(error),
        };
        if let Some(grant) = grant {
            self.erase_revoked(grant).await;
        }
        Ok(revoked)
    }

    /// Revokes the connection and returns the token that was used for the revocation.
    async fn revoke_at_flinks(&self) -> Result<Arc<CachedToken>, ConsentError> {
        let client = &self.shared.client;
        let cached = self.token_to_revoke().await?;
        match client.revoke(&cached.token).await {
            Ok(()) => Ok(cached),
            Err(error) if error.is_token_refused() => {
                self.invalidate(&cached.token);
                let another = self.token_to_revoke().await?;
                client.revoke(&another.token).await?;
                Ok(another)
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn token_to_revoke(&self) -> Result<Arc<CachedToken>, ConsentError> {
        match shared_token::cached_token(self).await {
            // The refusal that ended the consent may not have come from Flinks.
            Err(error) if error.is_recorded_end() => shared_token::reactivate(self).await,
            outcome => outcome,
        }
    }
}

/// Returns whether a refresh was refused because the grant is no longer valid.
fn is_invalid_grant(error: &ConsentError) -> bool {
    error.refusal() == Some(Refusal::Final) && error.oauth_error() == Some(&OAuthError::INVALID_GRANT)
}
