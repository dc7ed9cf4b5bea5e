//! The status of a consent, for an application to show.

use std::time::SystemTime;

use crate::consent::Consent;
use crate::error::ConsentError;
use crate::store::{ConsentId, EndReason, OwnerId, Record, Standing, StoredToken};

/// The status of a consent, without its tokens.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ConsentStatus {
    /// Your name for the consent.
    pub id: ConsentId,
    /// Whose consent it is.
    pub owner: Option<OwnerId>,
    /// Your label, such as the name of the bank.
    pub label: Option<String>,
    /// When the end user consented, as far as that is known.
    pub consented_at: SystemTime,
    /// When the refresh token idles out, unless it is refreshed before (O5).
    pub idle_deadline: SystemTime,
    /// When the stored access token expires. `None` if none is stored.
    pub access_token_expires_at: Option<SystemTime>,
    /// Whether the consent still holds.
    pub standing: ConsentStanding,
}

/// Whether a consent still holds (O6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConsentStanding {
    /// It holds, as far as is known.
    Active,
    /// A refresh was refused, perhaps by a gateway.
    Suspected {
        /// When that was seen first.
        since: SystemTime,
        /// The HTTP status of the refusal.
        status: u16,
    },
    /// The end user must consent again.
    Ended {
        /// When that was seen. `None` if it is not known.
        at: Option<SystemTime>,
        /// Why.
        reason: EndReason,
    },
}

impl Consent {
    /// Returns the status of the consent. It sends nothing to Flinks.
    ///
    /// # Errors
    ///
    /// Returns an error if there is no such consent, or if the store fails.
    pub async fn status(&self) -> Result<ConsentStatus, ConsentError> {
        let consent = self.clone();
        let record = self.shared.complete_with_store(async move { consent.current_record().await }).await?;
        let record = record.ok_or_else(ConsentError::not_found)?;
        Ok(ConsentStatus::new(&record, self.shared.clock().wall()))
    }
}

impl ConsentStatus {
    pub(crate) fn new(record: &Record, now: SystemTime) -> Self {
        let idle_deadline = record.idle_deadline();
        let standing = match &record.standing {
            Standing::Ended(Some(end)) => ConsentStanding::Ended { at: Some(end.at), reason: end.reason },
            Standing::Ended(None) => ConsentStanding::Ended { at: None, reason: EndReason::Unknown },
            _ if idle_deadline <= now => ConsentStanding::Ended { at: Some(idle_deadline), reason: EndReason::Idle },
            Standing::Suspected(suspicion) => {
                ConsentStanding::Suspected { since: suspicion.first_seen, status: suspicion.status }
            }
            Standing::Live => ConsentStanding::Active,
        };
        let expires_at = |token: &StoredToken| token.issued_at.checked_add(token.lifetime);
        Self {
            id: record.id.clone(),
            owner: record.owner.clone(),
            label: record.label.as_deref().map(str::to_owned),
            consented_at: record.consented_at,
            idle_deadline,
            access_token_expires_at: record.access_token.as_deref().and_then(expires_at),
            standing,
        }
    }
}
