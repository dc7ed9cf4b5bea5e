//! The status of a consent, for display in an application.

use std::time::SystemTime;

use crate::consent::Consent;
use crate::error::ConsentError;
use crate::store::{ConsentId, EndReason, OwnerId, Record, Standing, StoredToken};

/// The status of a consent. It contains no token.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ConsentStatus {
    /// The consent's id.
    pub id: ConsentId,
    /// The consent's owner.
    pub owner: Option<OwnerId>,
    /// The consent's label, such as the bank's name.
    pub label: Option<String>,
    /// When the end user authorized the consent or, for an imported consent, when it was imported.
    pub consented_at: SystemTime,
    /// When the refresh token expires if it is not used before then. ([O5](flinks::rules))
    pub idle_deadline: SystemTime,
    /// When the stored access token expires. `None` if no access token is stored.
    pub access_token_expires_at: Option<SystemTime>,
    /// Whether the consent is active, suspected or ended.
    pub standing: ConsentStanding,
}

/// Whether a consent is active, suspected or ended. ([O6](flinks::rules))
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConsentStanding {
    /// The consent is active, as far as is known.
    Active,
    /// A refresh was refused, perhaps by a gateway. The consent is suspected to have ended, but
    /// this has not been confirmed yet.
    Suspected {
        /// When the first refusal was received.
        since: SystemTime,
        /// The HTTP status of the refusal.
        status: u16,
    },
    /// The end user must authorize again.
    Ended {
        /// When the consent ended. `None` if the time is not known.
        at: Option<SystemTime>,
        /// Why the consent ended.
        reason: EndReason,
    },
}

impl Consent {
    /// Returns the consent's status from the store. Nothing is sent to Flinks.
    ///
    /// # Errors
    ///
    /// Returns an error if no consent is stored under this id, or if the store fails.
    pub async fn status(&self) -> Result<ConsentStatus, ConsentError> {
        let consent = self.clone();
        let record = self.shared.run_store_task(async move { consent.current_record().await }).await?;
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
            Standing::Active => ConsentStanding::Active,
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
