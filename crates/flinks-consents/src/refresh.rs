//! Refreshes a consent and ensures that only one of the processes that share the store sends the
//! refresh request. (O5, O6)
//!
//! ```text
//!            ┌─────────────── another process changed the record ◄──────────┐
//!            ▼                                                              │
//!  store the pending write ─► load ─► usable token? ──yes──► return it      │
//!                                       │ no                                │
//!                                       ├─► suspected, must wait ──► error  │
//!                                       ├─► leased by another ──► wait ────►┤
//!                                       ▼                                   │
//!                             acquire the lease ──── conflict ─────────────►┤
//!                                       ▼                                   │
//!                               refresh at Flinks ─► save ─── superseded ──►┘
//!                                       ▼              ▼
//!                                     error         new token
//! ```

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use flinks::outbound::{AccessToken, Tokens};
use flinks::{Clock, Error, Refusal};
use tokio_util::task::TaskTracker;

use crate::cached_token::CachedToken;
use crate::consent::Consent;
use crate::error::ConsentError;
use crate::event::Event;
use crate::lease::MAX_LEASES;
use crate::metrics::TokenKind;
use crate::pending_write::{IfMissing, PendingWrite};
use crate::save::WriteOutcome;
use crate::shared::OutagePolicy;
use crate::shared_token::Source;
use crate::store::{End, EndReason, Lease, Record, Standing, StoredToken, Suspicion, whole_milliseconds};
use crate::suspicion::{SUSPECTED_INTERVAL, clears_suspicion};
use crate::token_cache::{Epoch, FetchedToken, Need, Outcome, TokenCache};
use crate::token_id::TokenId;

/// How long before the idle deadline a warning is logged: a tenth of the 30-day idle period.
const IDLE_WARNING: Duration = Duration::from_secs(3 * 24 * 60 * 60);

impl Source for Consent {
    const KIND: TokenKind = TokenKind::Consent;

    fn cache(&self) -> &TokenCache {
        &self.state.cache
    }

    fn clock(&self) -> &Arc<dyn Clock> {
        self.shared.clock()
    }

    fn tasks(&self) -> &TaskTracker {
        &self.shared.tasks
    }

    fn fetch_timeout(&self) -> Duration {
        // A turn takes at most one lease duration. After waiting for other processes' leases, a
        // fetch needs one turn, or three if it may continue without the store.
        let turns = match self.shared.outage_policy {
            OutagePolicy::FailClosed => 1,
            OutagePolicy::RefreshWithoutStore => 3,
        };
        self.shared.lease_duration().saturating_mul(MAX_LEASES.saturating_add(turns))
    }

    async fn fetch(self, need: Need) -> Outcome {
        match self.fetch_with_store(need).await {
            Err(error) if error.is_store_unavailable() => match self.fetch_without_store(need).await {
                Some(outcome) => outcome,
                None => Err(error),
            },
            outcome => outcome,
        }
    }

    fn emit(&self, event: &Event) {
        event.emit(Some(&self.log_name()), |event| {
            if let Some(callback) = &self.shared.on_event {
                callback(&self.state.id, event);
            }
        });
    }
}

impl Consent {
    async fn fetch_with_store(&self, need: Need) -> Outcome {
        let owner = self.shared.process_name.name();
        let mut waiter = self.shared.lease_waiter();
        let mut first_refreshed_at = None;
        loop {
            self.save_pending().await?;
            let epoch = self.state.cache.epoch();
            let record = self.load_for(need).await?;
            let was_refreshed = *first_refreshed_at.get_or_insert(record.refreshed_at) != record.refreshed_at;
            let lease = waiter.lease_of_another(&record, &owner).cloned();
            let wait_error = self.wait_error(&record);
            if let Some(token) = self.usable_token_in(&record) {
                // While this process is not allowed to send a refresh, it accepts a token that is
                // about to expire.
                let must_wait = lease.is_some() || wait_error.is_some();
                let is_enough = match need {
                    Need::Token | Need::Reactivation => {
                        token.is_fresh(self.shared.clock().as_ref()) || (must_wait && token.outlives_a_call())
                    }
                    Need::Refresh => was_refreshed,
                };
                if is_enough {
                    return Ok(FetchedToken { token, was_refreshed });
                }
            }
            if let Some(error) = wait_error {
                return Err(error);
            }
            if let Some(lease) = lease {
                waiter.wait_for(&lease).await?;
                continue;
            }
            if let Some(leased) = self.lease(record).await?
                && let Some(token) = self.refresh(leased, epoch).await?
            {
                return Ok(FetchedToken { token, was_refreshed: true });
            }
            waiter.wait_after_conflict().await?;
        }
    }

    async fn load_for(&self, need: Need) -> Result<Record, ConsentError> {
        let Some(record) = self.load().await? else { return Err(ConsentError::not_found()) };
        if record.is_ended() && need != Need::Reactivation {
            return Err(ConsentError::ended());
        }
        Ok(record)
    }

    async fn load(&self) -> Result<Option<Record>, ConsentError> {
        let epoch = self.state.cache.epoch();
        let found = self.shared.load(&self.state.id).await?;
        self.try_remember(epoch, found.as_ref());
        if found.as_ref().is_some_and(|record| record.has_rotated) {
            self.shared.client.assume_rotating_refresh_tokens();
        }
        Ok(found)
    }

    /// Returns the newest record: the one in the pending write or, if there is no pending write,
    /// the stored one.
    pub(crate) async fn current_record(&self) -> Result<Option<Record>, ConsentError> {
        {
            let local = self.lock().await?;
            if let Some(write) = local.pending_write() {
                return Ok(write.record().cloned());
            }
        }
        self.load().await
    }

    /// Returns the access token in a record if the token has neither expired nor been invalidated.
    pub(crate) fn usable_token_in(&self, record: &Record) -> Option<Arc<CachedToken>> {
        let StoredToken { secret, issued_at, lifetime } = record.access_token.as_deref()?;
        let cache = &self.state.cache;
        let id = TokenId::new(secret.expose_secret(), Some(*issued_at));
        if cache.is_invalidated(id) {
            return None;
        }
        // The cached token's age is measured on both clocks, whereas the record contains only a
        // wall-clock time.
        if let Some(current) = cache.current()
            && current.id == id
        {
            return if current.token.is_expired() { None } else { Some(current) };
        }
        let token = self.shared.client.restore_access_token(secret.clone(), *issued_at, *lifetime)?;
        Some(self.cached_token(token, record))
    }

    pub(crate) fn cached_token(&self, token: AccessToken, record: &Record) -> Arc<CachedToken> {
        Arc::new(CachedToken::new(token, Some(record.grant), self.shared.clock().as_ref()))
    }

    /// Returns an error if the consent is suspected and its next refresh must wait. (O6)
    pub(crate) fn wait_error(&self, record: &Record) -> Option<ConsentError> {
        let Standing::Suspected(suspicion) = &record.standing else { return None };
        let now = self.shared.clock().wall();
        let wait = suspicion.remaining_wait(now)?;
        Some(ConsentError::suspected(suspicion.status, suspicion.confirm_after(now), wait))
    }

    /// Acquires the lease. Returns `None` if another process has changed the record in the
    /// meantime, or if the lease expired while it was being written.
    async fn lease(&self, record: Record) -> Result<Option<Record>, ConsentError> {
        let shared = &self.shared;
        let clock = shared.clock();
        let duration = shared.lease_duration();
        let expected = record.generation;
        let since_monotonic = clock.monotonic();
        let since_wall = clock.wall();
        let lease = Lease {
            owner: shared.process_name.name(),
            expires_at: since_wall.checked_add(duration).unwrap_or(since_wall),
            duration,
        };
        let leased = Record { lease: Some(Box::new(lease)), ..record }.after(expected);
        if !shared.swap(Some(expected), &leased).await? {
            return Ok(None);
        }
        // If the machine was suspended during the write, the lease may already have expired.
        let on_monotonic = clock.monotonic().saturating_sub(since_monotonic);
        let on_wall = clock.wall().duration_since(since_wall).unwrap_or_default();
        if on_monotonic.max(on_wall) >= duration {
            return Ok(None);
        }
        Ok(Some(leased))
    }

    /// Refreshes a consent whose lease this process holds. Returns `None` if a newer record
    /// supersedes the result of the refresh.
    async fn refresh(&self, leased: Record, epoch: Epoch) -> Result<Option<Arc<CachedToken>>, ConsentError> {
        let refreshed_at = whole_milliseconds(self.shared.clock().wall());
        let idle_deadline = leased.idle_deadline();
        if idle_deadline.duration_since(refreshed_at).unwrap_or_default() < IDLE_WARNING {
            self.emit(&Event::IdleDeadlineNear { idle_deadline });
        }
        match self.shared.client.refresh(&leased.refresh_token).await {
            Ok(tokens) => self.save_refreshed(leased, tokens, refreshed_at, epoch).await,
            Err(error) => self.save_failure(leased, error, refreshed_at, epoch).await,
        }
    }

    async fn save_refreshed(
        &self,
        leased: Record,
        tokens: Tokens,
        refreshed_at: SystemTime,
        epoch: Epoch,
    ) -> Result<Option<Arc<CachedToken>>, ConsentError> {
        let expected = leased.generation;
        let used = tokens.refresh_token.is_some().then(|| leased.refresh_token.clone());
        let record = self.record_after_refresh(leased, &tokens, refreshed_at);
        let token = self.cached_token(tokens.access_token, &record);
        let if_missing = if used.is_some() { IfMissing::Restore } else { IfMissing::Drop };
        let write = PendingWrite::Refreshed { record, expected, used, if_missing };
        let must_persist = write.must_persist();
        match self.save_result(write, epoch).await {
            Ok(WriteOutcome::Applied) => {}
            Ok(WriteOutcome::Superseded) => return Ok(None),
            Err(error) if must_persist => return Err(error.after_sending()),
            // The stored refresh token is still valid, and so is the new access token.
            Err(_) => {}
        }
        self.shared.witnesses.add(&self.state.id, refreshed_at);
        if token.token.is_expired() {
            return Err(ConsentError::expired());
        }
        Ok(Some(token))
    }

    async fn save_failure(
        &self,
        leased: Record,
        error: Error,
        failed_at: SystemTime,
        epoch: Epoch,
    ) -> Result<Option<Arc<CachedToken>>, ConsentError> {
        let expected = leased.generation;
        let (record, error) = self.record_after_failure(leased, error, failed_at);
        let saved = if error.refusal() == Some(Refusal::Final) {
            self.save_result(PendingWrite::Ended { record, expected }, epoch).await
        } else {
            // If the store fails, the lease is left to expire.
            self.release_lease(record, epoch).await
        };
        match saved {
            // Another process had already replaced the refused token.
            Ok(WriteOutcome::Superseded) if error.needs_consent() => return Ok(None),
            // The record could not be written, so only the cache can delay the next refresh.
            Err(_) if error.is_suspected() => self.state.cache.delay(SUSPECTED_INTERVAL, self.shared.clock().as_ref()),
            Ok(_) | Err(_) => {}
        }
        Err(error)
    }

    /// Releases the lease by storing the record without it, unless another process has changed the
    /// record.
    async fn release_lease(&self, record: Record, epoch: Epoch) -> Result<WriteOutcome, ConsentError> {
        let expected = record.generation;
        let record = record.after(expected);
        if !self.shared.swap(Some(expected), &record).await? {
            return Ok(WriteOutcome::Superseded);
        }
        self.try_remember(epoch, Some(&record));
        Ok(WriteOutcome::Applied)
    }

    /// Returns the record, updated with the result of a successful refresh.
    pub(crate) fn record_after_refresh(&self, record: Record, tokens: &Tokens, refreshed_at: SystemTime) -> Record {
        Record {
            refresh_token: tokens.refresh_token.clone().unwrap_or(record.refresh_token),
            // The end user authorized before this refresh, even if a fast clock recorded a later
            // time.
            consented_at: record.consented_at.min(refreshed_at),
            refreshed_at,
            has_rotated: self.shared.client.rotates_refresh_tokens(),
            standing: Standing::Active,
            access_token: stored_token(&tokens.access_token),
            lease: None,
            ..record
        }
    }

    /// Returns the record, updated with the result of a failed refresh. Also returns the error,
    /// updated with the refusal that applies to the consent. (O6)
    fn record_after_failure(&self, leased: Record, error: Error, now: SystemTime) -> (Record, ConsentError) {
        let released = Record { lease: None, ..leased };
        let Some(refusal) = error.refusal() else {
            let standing = match released.standing {
                Standing::Suspected(_) if clears_suspicion(&error) => Standing::Active,
                standing => standing,
            };
            return (Record { standing, ..released }, error.into());
        };
        let earlier = match released.standing {
            // A consent that has ended stays ended.
            Standing::Ended(_) => return (released, ConsentError::from(error).with_refusal(Refusal::Final)),
            Standing::Suspected(suspicion) => Some(suspicion),
            Standing::Active => None,
        };
        let suspicion = Suspicion::after(earlier, &error, now);
        let has_witness = self.shared.witnesses.has_other(&self.state.id, suspicion.first_seen, now);
        if refusal == Refusal::Final || suspicion.is_confirmed(has_witness) {
            let reason = match refusal {
                Refusal::Final => EndReason::Refused,
                _ => EndReason::SuspicionConfirmed,
            };
            let end = End { at: now, reason };
            let ended = Record { standing: Standing::Ended(Some(end)), access_token: None, ..released };
            return (ended, ConsentError::from(error).with_refusal(Refusal::Final));
        }
        let confirm_after = Refusal::suspected(suspicion.confirm_after(now));
        let suspected = Record { standing: Standing::Suspected(suspicion), ..released };
        (suspected, ConsentError::from(error).with_refusal(confirm_after).no_sooner_than(SUSPECTED_INTERVAL))
    }
}

/// Returns the access token in its stored form. Returns `None` if the issue time or the lifetime of
/// the token is unknown. (O3)
pub(crate) fn stored_token(token: &AccessToken) -> Option<Box<StoredToken>> {
    let issued_at = token.issued_at()?;
    let lifetime = token.lifetime()?;
    let secret = flinks::Secret::new(token.expose_secret());
    Some(Box::new(StoredToken { secret, issued_at, lifetime }))
}
