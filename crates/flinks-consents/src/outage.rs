//! Refreshes a consent without its store while the store is unavailable. Does nothing unless the
//! policy is [`OutagePolicy::RefreshWithoutStore`].
//!
//! Only this module refreshes a stored consent without a lease. `refresh.rs` calls into this module
//! after the store has failed.

use flinks::Error;

use crate::consent::Consent;
use crate::error::ConsentError;
use crate::pending_write::{IfMissing, PendingWrite};
use crate::shared::OutagePolicy;
use crate::state::LocalRecord;
use crate::store::{Record, StoreError, whole_milliseconds};
use crate::token_cache::{Epoch, FetchedToken, Need, Outcome};

impl Consent {
    /// Returns a token without using the store or a lease: the token from the record in memory or,
    /// if necessary, a new token. Returns `None` if the outage policy or the state of the consent
    /// does not allow a fetch without the store.
    pub(crate) async fn fetch_without_store(&self, need: Need) -> Option<Outcome> {
        if self.shared.outage_policy == OutagePolicy::FailClosed {
            return None;
        }
        let epoch = self.state.cache.epoch();
        let mut local = self.lock().await.ok()?;
        let write = match &*local {
            LocalRecord::Pending(write) => PendingWrite::clone(write),
            // The result of a refresh replaces this generation.
            LocalRecord::Remembered(record) => PendingWrite::Refreshed {
                record: Record::clone(record),
                expected: record.generation,
                used: None,
                if_missing: IfMissing::Drop,
            },
            LocalRecord::InStore => return None,
        };
        // A pending write without a record is a removal, so the consent was revoked.
        let Some(record) = write.record().cloned() else { return Some(Err(ConsentError::not_found())) };
        if record.is_ended() {
            return Some(Err(ConsentError::ended()));
        }
        if need == Need::Token
            && let Some(token) = self.usable_token_in(&record)
            && token.outlives_a_call()
        {
            return Some(Ok(FetchedToken { token, was_refreshed: false }));
        }
        if let Some(error) = self.wait_error(&record) {
            return Some(Err(error));
        }
        // Another process may be refreshing the consent now, or may have stored a result even
        // though its write seemed to fail. If the server replaces refresh tokens, that process then
        // has a different refresh token.
        if record.has_rotated || self.shared.client.rotates_refresh_tokens() {
            return None;
        }
        tracing::warn!(consent = self.log_name(), "refreshing without the store, which is unavailable");
        let refreshed_at = whole_milliseconds(self.shared.clock().wall());
        let tokens = match self.shared.client.refresh(&record.refresh_token).await {
            Ok(tokens) => tokens,
            Err(error) => return self.fail_without_store(error, &mut local, epoch),
        };
        let has_rotated = tokens.refresh_token.is_some();
        let used = has_rotated.then(|| record.refresh_token.clone());
        let is_forgotten = self.state.cache.epoch() != epoch;
        let if_missing = if has_rotated && !is_forgotten { IfMissing::Restore } else { IfMissing::Drop };
        let record = self.record_after_refresh(record, &tokens, refreshed_at);
        let token = self.cached_token(tokens.access_token, &record);
        let write = write.after_refresh(record, used, if_missing);
        if has_rotated {
            // This write contains the only copy of the new refresh token.
            let error = StoreError::unavailable("is unavailable").into();
            let event = self.defer(&mut local, write, &error);
            drop(local);
            self.emit_if_any(event);
        } else if local.pending_write().is_some() {
            self.set_local(&mut local, LocalRecord::Pending(Box::new(write)));
        }
        if token.token.is_expired() {
            return Some(Err(ConsentError::expired()));
        }
        Some(Ok(FetchedToken { token, was_refreshed: true }))
    }

    fn fail_without_store(&self, error: Error, local: &mut LocalRecord, epoch: Epoch) -> Option<Outcome> {
        // Another process may have received a new refresh token, so this refusal does not prove
        // that the consent has ended.
        if error.needs_consent() {
            self.remember(local, epoch, None);
            return None;
        }
        Some(Err(error.into()))
    }
}
