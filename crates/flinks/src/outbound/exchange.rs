//! Refreshing a consent, once in all processes together: who may do it, and what a reply means for the consent (O5, O6).

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::cache::{Fetched, Need, Source, TokenCache};
use super::consent::{Consent, Shared, StoreOutage};
use super::event::Event;
use super::patience::{CLAIMS, LONGEST_CLAIM, Patience};
use super::pending::{Change, Durability, Pending, Saved};
use super::store::{
    Claim, ConsentId, KeptToken, Record, StoreError, StoreFuture, Suspicion, TokenStore, trusted, whole_milliseconds,
};
use super::suspicion::PAUSE;
use super::tokens::{AccessToken, Tokens};
use super::{CONSENT, REFRESH};
use crate::bearer::Bearer;
use crate::error::{Error, Operation, Refusal};
use crate::in_flight::InFlight;
use crate::runtime::caught;
use crate::time::{Clock, Deadline, Moment};

/// A tenth of the 30 days: then somebody should look.
const IDLE_WARNING: Duration = Duration::from_secs(3 * 24 * 60 * 60);

impl Source for Consent {
    fn cache(&self) -> &TokenCache {
        &self.state.cache
    }

    fn clock(&self) -> &Arc<dyn Clock> {
        self.shared.clock()
    }

    fn operation(&self) -> &'static Operation {
        &CONSENT
    }

    fn in_flight(&self) -> &InFlight {
        &self.shared.in_flight
    }

    fn longest(&self) -> Duration {
        // Others are waited for, and then it is this one's turn; with the store, and perhaps without.
        let turns = match self.shared.store_outage {
            StoreOutage::Refuse => 1,
            StoreOutage::GoOn => 3,
        };
        self.shared.claim().saturating_mul(CLAIMS.saturating_add(turns))
    }

    async fn fetch(self, need: Need) -> Result<Fetched, Error> {
        match self.fetch_with_store(need).await {
            Err(error) if error.is_store_away() => self.go_on(need).await.unwrap_or(Err(error)),
            outcome => outcome,
        }
    }

    fn tell(&self, event: &Event) {
        event.tell(Some(&self.log_name()), |event| {
            if let Some(callback) = &self.shared.on_event {
                callback(&self.state.id, event);
            }
        });
    }
}

impl Consent {
    async fn fetch_with_store(&self, need: Need) -> Result<Fetched, Error> {
        let owner = self.shared.owner.name();
        let mut patience = self.shared.patience();
        let mut first_exchanged_at = None;
        loop {
            self.save_unsaved().await?;
            let epoch = self.state.cache.epoch();
            let record = match need {
                Need::Token | Need::Exchange => self.load_live().await?,
                Need::Revival => self.load_any().await?,
            };
            let was_exchanged = *first_exchanged_at.get_or_insert(record.exchanged_at) != record.exchanged_at;
            let claim = record.claim.clone().filter(|claim| claim.owner != owner && patience.holds(&record, claim));
            let paused = self.pause_of(&record);
            // As long as no refresh may be sent from here, a token that is about to expire is enough.
            let must_wait = claim.is_some() || paused.is_some();
            let is_enough = |token: &AccessToken| match need {
                Need::Token | Need::Revival => token.0.is_fresh() || (must_wait && token.0.lasts()),
                Need::Exchange => was_exchanged,
            };
            if let Some(token) = self.found(&record).filter(is_enough) {
                return Ok(Fetched { token, was_exchanged });
            }
            if let Some(error) = paused {
                return Err(error);
            }
            if let Some(claim) = claim {
                patience.wait_for_another(&claim).await?;
                continue;
            }
            if let Some(claimed) = self.claim(record).await?
                && let Some(token) = self.exchange(claimed, epoch).await?
            {
                return Ok(Fetched { token, was_exchanged: true });
            }
            // Another process was faster.
            patience.wait_after_conflict().await?;
        }
    }

    /// Returns a token without the store and without a claim, from the record in memory. `None` if the policy or
    /// the state of the consent forbids that.
    async fn go_on(&self, need: Need) -> Option<Result<Fetched, Error>> {
        let (client, epoch) = (&self.shared.client, self.state.cache.epoch());
        if self.shared.store_outage == StoreOutage::Refuse {
            return None;
        }
        let mut unsaved = self.lock().await.ok()?;
        let change = match unsaved.as_deref() {
            Some(Pending::Record(change)) => change.clone(),
            // It was revoked.
            Some(Pending::Removal(_)) => return Some(Err(Error::no_consent(&CONSENT))),
            None => {
                let record = self.state.seen().as_deref().cloned()?;
                Change { expected: Some(record.generation), record, is_new: false, replaces: None, may_return: false }
            }
        };
        let record = &change.record;
        if record.is_over {
            return Some(Err(Error::consent_over(&CONSENT)));
        }
        if need == Need::Token
            && let Some(token) = self.found(record).filter(|token| token.0.lasts())
        {
            return Some(Ok(Fetched { token, was_exchanged: false }));
        }
        if let Some(error) = self.pause_of(record) {
            return Some(Err(error));
        }
        // Another process may exchange the token at this moment, or may have done so. That includes a change
        // whose write seemed to fail.
        if record.has_rotated || client.has_rotated() {
            return None;
        }
        tracing::warn!(consent = self.log_name(), "refreshing without the store, which is unavailable");
        let exchanged_at = whole_milliseconds(self.clock().wall());
        let used = record.refresh_token.clone();
        match client.refresh(&used).await {
            Ok(tokens) => {
                let record = self.exchanged(change.record, &tokens, exchanged_at);
                let may_return = change.may_return || self.state.cache.epoch() == epoch;
                if tokens.refresh_token.is_some() {
                    let change = Change { record, replaces: Some(used), may_return, ..change };
                    let parked = self.park(&mut unsaved, change, &StoreError::unavailable("is unavailable").into());
                    drop(unsaved);
                    self.tell_if_any(parked);
                } else if unsaved.is_some() {
                    self.set(&mut unsaved, Some(Pending::Record(Change { record, ..change })));
                }
                Some(fetched(tokens.access_token))
            }
            // Another process may have received a new refresh token, so the refusal is not evidence.
            Err(error) if error.needs_consent() => {
                self.see(epoch, None);
                None
            }
            Err(error) => Some(Err(error)),
        }
    }

    /// The error while it is too early for another refresh of a suspected consent (O6).
    fn pause_of(&self, record: &Record) -> Option<Error> {
        let now = self.clock().wall();
        let suspicion = record.suspicion?;
        let pause = suspicion.pause(now)?;
        Some(Error::still_suspected(&REFRESH, suspicion.status, suspicion.confirm_after(now)).with_pause(pause))
    }

    /// Claims the right to exchange. `None` if another process was faster.
    async fn claim(&self, record: Record) -> Result<Option<Record>, Error> {
        let shared = &self.shared;
        let (lasts, expected) = (shared.claim(), record.generation);
        let held = Deadline::after(Moment::now(shared.clock().as_ref()), lasts, shared.clock());
        let until = held.wall().unwrap_or(held.from());
        let claim = Claim { owner: shared.owner.name(), until, lasts };
        let claimed = Record { claim: Some(Box::new(claim)), ..record }.after(expected);
        // A machine that slept after its claim no longer has it.
        let is_claimed = shared.swap(Some(expected), &claimed).await? && !held.is_past();
        Ok(is_claimed.then_some(claimed))
    }

    /// Exchanges the refresh token of a record that is claimed. `None` if the store holds a newer record by then.
    async fn exchange(&self, claimed: Record, epoch: u64) -> Result<Option<AccessToken>, Error> {
        let client = &self.shared.client;
        let exchanged_at = whole_milliseconds(self.clock().wall());
        let idle_deadline = claimed.idle_deadline();
        if idle_deadline.duration_since(exchanged_at).unwrap_or_default() < IDLE_WARNING {
            self.tell(&Event::IdleDeadlineNear { idle_deadline });
        }
        let (used, expected) = (claimed.refresh_token.clone(), claimed.generation);
        let change = |record| Change {
            record,
            expected: Some(expected),
            is_new: false,
            replaces: Some(used.clone()),
            may_return: false,
        };
        match client.refresh(&used).await {
            Ok(tokens) => {
                let durability = match tokens.refresh_token {
                    Some(_) => Durability::MustPersist,
                    // What the store has is still good, and so is the token.
                    None => Durability::BestEffort,
                };
                let record = self.exchanged(claimed, &tokens, exchanged_at);
                match (self.save_result(change(record), durability, epoch).await, durability) {
                    (Ok(Saved::Done), _) | (Err(_), Durability::BestEffort) => {}
                    (Ok(Saved::Overtaken), _) => return Ok(None),
                    (Err(error), Durability::MustPersist) => return Err(error.after_sending()),
                }
                self.shared.witnesses.add(&self.state.id, exchanged_at);
                fetched(tokens.access_token).map(|fetched| Some(fetched.token))
            }
            Err(error) => {
                let (record, error) = self.refused(claimed, error, exchanged_at);
                let saved = match error.refusal() {
                    Some(Refusal::Final) => self.save_result(change(record), Durability::MustPersist, epoch).await,
                    // If the store fails, the claim ends by itself.
                    Some(Refusal::Suspected { .. }) | None => self.release(record, epoch).await,
                };
                if saved.is_err() && error.is_suspected() {
                    // No record has the pause.
                    self.state.cache.delay(PAUSE, self.clock().as_ref());
                }
                match saved {
                    // The refused token had been replaced.
                    Ok(Saved::Overtaken) if error.needs_consent() => Ok(None),
                    Ok(_) | Err(_) => Err(error),
                }
            }
        }
    }

    /// Stores a record whose claim was given back, unless somebody else has changed it.
    async fn release(&self, released: Record, epoch: u64) -> Result<Saved, Error> {
        let expected = released.generation;
        let released = released.after(expected);
        if !self.shared.swap(Some(expected), &released).await? {
            return Ok(Saved::Overtaken);
        }
        self.see(epoch, Some(&released));
        Ok(Saved::Done)
    }

    /// The record after a refresh that failed, and the error as the consent sees it (O6).
    fn refused(&self, claimed: Record, error: Error, now: SystemTime) -> (Record, Error) {
        let released = Record { claim: None, ..claimed };
        let refusal = match error.refusal() {
            Some(refusal) => refusal,
            None if error.clears_suspicion() => return (Record { suspicion: None, ..released }, error),
            None => return (released, error),
        };
        // A consent that has ended stays as it is.
        if released.is_over {
            return (released, error.with_refusal(Refusal::Final));
        }
        let ended = |released| Record { is_over: true, suspicion: None, access_token: None, ..released };
        if refusal == Refusal::Final {
            return (ended(released), error);
        }
        let suspicion = Suspicion::after(released.suspicion, &error, now);
        if suspicion.is_confirmed(self.shared.witnesses.has_other(&self.state.id, suspicion.first_seen, now)) {
            return (ended(released), error.with_refusal(Refusal::Final));
        }
        let confirm_after = suspicion.confirm_after(now);
        let suspected = Record { suspicion: Some(suspicion), ..released };
        (suspected, error.with_refusal(Refusal::Suspected { confirm_after }).with_pause(PAUSE))
    }

    /// A record after an exchange.
    fn exchanged(&self, record: Record, tokens: &Tokens, exchanged_at: SystemTime) -> Record {
        let _ = tokens.access_token.0.consent.set(record.consent);
        Record {
            refresh_token: tokens.refresh_token.clone().unwrap_or(record.refresh_token),
            // It happened before this exchange, whatever a clock that was ahead wrote down.
            consented_at: record.consented_at.min(exchanged_at),
            exchanged_at,
            has_rotated: self.shared.client.has_rotated(),
            is_over: false,
            suspicion: None,
            access_token: kept(&tokens.access_token),
            claim: None,
            ..record
        }
    }

    /// The record of a consent that has not ended.
    async fn load_live(&self) -> Result<Record, Error> {
        let record = self.load_any().await?;
        if record.is_over {
            return Err(Error::consent_over(&CONSENT));
        }
        Ok(record)
    }

    /// The record of a consent, ended or not.
    async fn load_any(&self) -> Result<Record, Error> {
        self.load().await?.ok_or(Error::no_consent(&CONSENT))
    }

    /// The record in the store, and what follows from it for this process.
    async fn load(&self) -> Result<Option<Record>, Error> {
        let epoch = self.state.cache.epoch();
        let found = self.shared.load(&self.state.id).await?;
        self.see(epoch, found.as_ref());
        if found.as_ref().is_some_and(|record| record.has_rotated) {
            self.shared.client.remember_rotation();
        }
        Ok(found)
    }

    /// The record that counts: what could not be stored yet is newer than what is in the store.
    pub(super) async fn current_record(&self) -> Result<Option<Record>, Error> {
        match self.lock().await?.as_deref() {
            Some(Pending::Record(change)) => return Ok(Some(change.record.clone())),
            Some(Pending::Removal(_)) => return Ok(None),
            None => {}
        }
        self.load().await
    }

    pub(super) async fn idle_deadline_of_record(&self) -> Result<SystemTime, Error> {
        let Some(record) = self.current_record().await? else { return Err(Error::no_consent(&CONSENT)) };
        if record.is_over {
            return Err(Error::consent_over(&CONSENT));
        }
        let now = self.clock().wall();
        if trusted(record.exchanged_at, now) != record.exchanged_at {
            return Ok(now);
        }
        Ok(record.idle_deadline())
    }

    /// The access token of a record, if it can be used.
    fn found(&self, record: &Record) -> Option<AccessToken> {
        let KeptToken { id, secret, issued_at, lifetime } = record.access_token.as_deref()?;
        let cache = &self.state.cache;
        if cache.is_rejected(*id) {
            return None;
        }
        // The cache knows the age of a token on both clocks.
        if let Some(current) = cache.current().filter(|current| current.0.id == *id) {
            return Some(current).filter(|current| !current.is_expired());
        }
        let clock = self.clock();
        let now = Moment::now(clock.as_ref());
        // A time in the future was written while the clock was wrong, so the age of the token is unknown.
        let remaining = lifetime.checked_sub(now.since(*issued_at)?)?;
        let bearer = Bearer::new(secret.clone(), Some(Deadline::after(now, remaining, clock)));
        let token = AccessToken::kept(bearer, *id, *lifetime);
        let _ = token.0.consent.set(record.consent);
        Some(token)
    }
}

impl Shared {
    pub(super) async fn load(&self, id: &ConsentId) -> Result<Option<Record>, Error> {
        let record = self.guarded(|store| store.load(id)).await?;
        match record.as_ref().is_none_or(|record| record.id == *id) {
            true => Ok(record),
            false => Err(StoreError::damaged("gave the record of another consent").into()),
        }
    }

    pub(super) async fn swap(&self, expected: Option<u64>, record: &Record) -> Result<bool, Error> {
        self.guarded(|store| store.compare_and_swap(expected, record)).await
    }

    /// Calls the store, which may hang or panic.
    pub(super) async fn guarded<'a, T>(
        &'a self,
        call: impl FnOnce(&'a dyn TokenStore) -> StoreFuture<'a, T>,
    ) -> Result<T, Error> {
        let answer = tokio::select! {
            biased;
            answer = caught(async { call(self.store.as_ref()).await }) => answer,
            () = self.clock().sleep(self.store_timeout) => Some(Err(StoreError::unavailable("did not answer in time"))),
        };
        answer.unwrap_or(Err(StoreError::unavailable("panicked"))).map_err(Error::from)
    }

    /// How long a claim lasts: longer than an exchange takes, with what is stored before and after it.
    pub(super) fn claim(&self) -> Duration {
        const MORE: Duration = Duration::from_secs(5);
        let store = self.store_timeout.saturating_mul(2);
        self.client.timeout().saturating_add(store).saturating_add(MORE).min(LONGEST_CLAIM)
    }

    pub(super) fn patience(&self) -> Patience<'_> {
        Patience::new(self.clock().as_ref(), self.claim())
    }
}

fn fetched(token: AccessToken) -> Result<Fetched, Error> {
    match token.is_expired() {
        true => Err(Error::stale(&REFRESH, None)),
        false => Ok(Fetched { token, was_exchanged: true }),
    }
}

/// What of an access token is kept: nothing of one whose lifetime is unknown (O3).
pub(super) fn kept(token: &AccessToken) -> Option<Box<KeptToken>> {
    let deadline = token.0.bearer.deadline()?;
    let (issued_at, lifetime) = (deadline.from(), deadline.lifetime());
    Some(Box::new(KeptToken { id: token.0.id, secret: token.secret().clone(), issued_at, lifetime }))
}
