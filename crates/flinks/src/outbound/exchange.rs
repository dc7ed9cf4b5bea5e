//! One exchange in however many processes, and nothing lost: who may exchange, and what is stored of it (O5, O6).

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use subtle::ConstantTimeEq as _;
use tokio::sync::MutexGuard;

use super::cache::{Fetched, Need, Source, TokenCache};
use super::consent::{Consent, Shared, StoreOutage};
use super::event::Event;
use super::patience::{CLAIMS, LONGEST_CLAIM, Patience};
use super::store::{
    Claim, ConsentId, KeptToken, Record, StoreError, StoreFuture, Suspicion, TokenStore, trusted, whole_milliseconds,
};
use super::tokens::{AccessToken, RefreshToken, Tokens};
use super::{CONSENT, REFRESH};
use crate::bearer::Bearer;
use crate::error::{Error, Operation, Refusal};
use crate::in_flight::InFlight;
use crate::runtime::caught;
use crate::time::{Clock, Deadline, Moment};

/// What the store could not take yet.
pub(super) enum Pending {
    /// A record that should be there.
    Record(Change),
    /// A revoked consent that should be gone.
    Removal(Revocation),
}

/// Which consent was revoked. One that the end user has given since stays.
#[derive(Clone, Copy)]
pub(super) enum Revocation {
    /// The one that the store held.
    OfConsent(u64),
    /// The store could not be asked: one that was given before this time.
    Before(SystemTime),
}

impl Revocation {
    fn is_of(self, record: &Record, now: SystemTime) -> bool {
        match self {
            Self::OfConsent(consent) => record.consent == consent,
            Self::Before(time) => trusted(record.consented_at, now) <= time,
        }
    }
}

/// A record that should take the place of another.
#[derive(Clone)]
pub(super) struct Change {
    record: Record,
    /// The generation that it follows. None for an empty place.
    expected: Option<u64>,
    /// Whether the end user consented again, so that it replaces whatever is there.
    is_new: bool,
    /// The refresh token that was exchanged for it.
    replaces: Option<RefreshToken>,
    /// Whether it also goes where there is nothing: not where that was forgotten.
    may_return: bool,
}

/// What became of a change.
enum Saved {
    Done,
    /// Something newer is there.
    Overtaken,
}

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

/// Whether a record may be lost if the store fails.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Durability {
    /// What the store has is as good.
    BestEffort,
    /// It is the only copy.
    MustPersist,
}

impl Pending {
    /// Whether this, which became known later, takes the place of what waits already.
    fn replaces(&self, other: &Self, now: SystemTime) -> bool {
        match (self, other) {
            (Self::Record(this), Self::Record(other)) => this.record.consented_at > other.record.consented_at,
            // The end user has consented again; or it is what came of a consent that was revoked.
            (Self::Record(this), Self::Removal(_)) => this.is_new,
            (Self::Removal(revocation), Self::Record(other)) => revocation.is_of(&other.record, now),
            (Self::Removal(_), Self::Removal(_)) => false,
        }
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
            let is_enough = |token: &AccessToken| match need {
                // While another exchanges, one that lasts will do.
                Need::Token | Need::Revival => token.0.is_fresh() || (claim.is_some() && token.0.lasts()),
                Need::Exchange => was_exchanged,
            };
            if let Some(token) = self.found(&record).filter(is_enough) {
                return Ok(Fetched { token, was_exchanged });
            }
            let now = self.clock().wall();
            if let Some(suspicion) = &record.suspicion
                && suspicion.is_paused(now)
            {
                return Err(Error::still_suspected(&REFRESH, suspicion.status, suspicion.confirm_after(now)));
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
            // Another was faster.
            patience.wait_after_conflict().await?;
        }
    }

    /// A token without the store, from what is in memory, and without a claim. None where that must not be.
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
        // Another may exchange it at this moment, or have done so: also what seemed not to be stored.
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
                    let parked = self.park(&mut unsaved, change, &StoreError::unavailable("is away").into());
                    drop(unsaved);
                    self.tell_if_any(parked);
                } else if unsaved.is_some() {
                    self.set(&mut unsaved, Some(Pending::Record(Change { record, ..change })));
                }
                Some(fetched(tokens.access_token))
            }
            // Others may have another one by now, so that says nothing.
            Err(error) if error.needs_consent() => {
                self.see(epoch, None);
                None
            }
            Err(error) => Some(Err(error)),
        }
    }

    /// Claims the right to exchange. None where another was faster.
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

    /// Exchanges the refresh token of a record that is claimed. None where its result was overtaken.
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
                match saved {
                    // The token that was refused is no longer the one: it had been replaced.
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
        // One that has ended stays as it is.
        if released.is_over {
            return (released, error);
        }
        let ended = |released| Record { is_over: true, suspicion: None, access_token: None, ..released };
        if refusal == Refusal::Final {
            return (ended(released), error);
        }
        let suspicion = Suspicion::after(released.suspicion, &error, now);
        if suspicion.is_confirmed(self.shared.witnesses.has_other(&self.state.id, suspicion.first_seen)) {
            return (ended(released), error.with_refusal(Refusal::Final));
        }
        let confirm_after = suspicion.confirm_after(now);
        let suspected = Record { suspicion: Some(suspicion), ..released };
        (suspected, error.with_refusal(Refusal::Suspected { confirm_after }))
    }

    /// A record after an exchange.
    fn exchanged(&self, record: Record, tokens: &Tokens, exchanged_at: SystemTime) -> Record {
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

    /// Stores what an exchange gave.
    async fn save_result(&self, change: Change, durability: Durability, epoch: u64) -> Result<Saved, Error> {
        let must_persist = durability == Durability::MustPersist;
        let mut unsaved = match self.lock().await {
            Ok(unsaved) => unsaved,
            Err(error) => {
                if must_persist {
                    self.park_later(Pending::Record(change), error.clone());
                }
                return Err(error);
            }
        };
        // It was saved before the exchange began, so the end user has consented again meanwhile.
        if unsaved.is_some() {
            return Ok(Saved::Overtaken);
        }
        // A record that is gone was forgotten; or damaged, and then this is the only copy of a refresh token.
        let may_return = must_persist && !change.record.is_over && self.state.cache.epoch() == epoch;
        let change = Change { may_return, ..change };
        let saved = self.save(&change, |_| true).await;
        self.see_saved(epoch, &saved, &change.record);
        let mut parked = None;
        if let Err(error) = &saved
            && must_persist
        {
            parked = self.park(&mut unsaved, change, error);
        }
        drop(unsaved);
        self.tell_if_any(parked);
        saved
    }

    /// Stores a new consent, in the place of whatever is there.
    pub(super) async fn put(&self, record: Record, access_token: Option<&AccessToken>) -> Result<(), Error> {
        let change = Change { record, expected: None, is_new: true, replaces: None, may_return: true };
        let mut unsaved = match self.lock().await {
            Ok(unsaved) => unsaved,
            Err(error) => {
                self.park_later(Pending::Record(change), error.clone());
                return Err(error);
            }
        };
        let saved = self.save(&change, |_| false).await;
        self.state.cache.replace(access_token.filter(|_| saved.is_ok()));
        let mut parked = None;
        match &saved {
            Ok(_) => {
                self.see_saved(self.state.cache.epoch(), &saved, &change.record);
                self.set(&mut unsaved, None);
            }
            Err(error) => parked = self.park(&mut unsaved, change, error),
        }
        drop(unsaved);
        self.tell_if_any(parked);
        saved.map(drop)
    }

    /// Stores what could not be stored before, ahead of anything else.
    pub(super) async fn save_unsaved(&self) -> Result<(), Error> {
        let (mut unsaved, epoch) = (self.lock().await?, self.state.cache.epoch());
        match unsaved.as_deref() {
            None => return Ok(()),
            Some(Pending::Record(change)) => self.save_parked(change, epoch).await?,
            Some(Pending::Removal(revocation)) => self.remove(Some(*revocation)).await?,
        }
        self.set(&mut unsaved, None);
        Ok(())
    }

    async fn save_parked(&self, change: &Change, epoch: u64) -> Result<(), Error> {
        let now = self.clock().wall();
        let Record { consent, consented_at, .. } = change.record;
        let saved = self.save(change, |found| {
            // It was stored after all, and this is what came of it; or the end user has consented once more.
            !change.is_new || found.consent == consent || trusted(found.consented_at, now) > consented_at
        });
        let saved = saved.await;
        self.see_saved(epoch, &saved, &change.record);
        if let (Saved::Overtaken, true) = (saved?, change.is_new) {
            let consent = self.log_name();
            tracing::warn!(consent, "dropped a consent that could not be stored: the store holds a newer one");
        }
        Ok(())
    }

    /// Removes the record; or, of a revoked consent, only the record of that one.
    async fn remove(&self, revocation: Option<Revocation>) -> Result<(), Error> {
        let mut patience = self.shared.patience();
        while let Some(record) = self.shared.load(&self.state.id).await? {
            let now = self.clock().wall();
            if revocation.is_some_and(|revocation| !revocation.is_of(&record, now)) {
                return Ok(());
            }
            if self.shared.guarded(|store| store.remove(&self.state.id, record.generation)).await? {
                return Ok(());
            }
            patience.wait_after_conflict().await?;
        }
        Ok(())
    }

    /// Removes the record and what is in memory.
    pub(super) async fn erase(&self) -> Result<(), Error> {
        let mut unsaved = self.lock().await?;
        self.remove(None).await?;
        self.set(&mut unsaved, None);
        self.clear();
        Ok(())
    }

    /// Removes a revoked consent. If the store fails, the removal stays in memory, ahead of anything else.
    pub(super) async fn erase_revoked(&self, revocation: Revocation) {
        let mut unsaved = match self.lock().await {
            Ok(unsaved) => unsaved,
            Err(error) => return self.park_later(Pending::Removal(revocation), error),
        };
        if let Some(Pending::Record(change)) = unsaved.as_deref()
            && !revocation.is_of(&change.record, self.clock().wall())
        {
            // The end user has consented again, and that is not stored yet.
            return;
        }
        let error = match self.remove(Some(revocation)).await {
            Ok(()) => {
                self.set(&mut unsaved, None);
                self.clear();
                return;
            }
            Err(error) => error,
        };
        self.set(&mut unsaved, Some(Pending::Removal(revocation)));
        self.clear();
        drop(unsaved);
        self.tell(&Event::NotStored { error });
    }

    /// Forgets what is in memory, but not what the store could not take.
    fn clear(&self) {
        self.state.cache.replace(None);
        self.see(self.state.cache.epoch(), None);
    }

    /// Keeps in memory what the store could not take. The event is for when the lock is released, because a callback may call
    /// what needs the lock.
    #[must_use]
    fn park(&self, unsaved: &mut Option<Box<Pending>>, change: Change, error: &Error) -> Option<Event> {
        let is_over = change.record.is_over;
        self.set(unsaved, Some(Pending::Record(change)));
        // The end of a consent is no loss: the next refresh finds out again.
        if is_over {
            return None;
        }
        Some(Event::NotStored { error: error.clone() })
    }

    fn tell_if_any(&self, event: Option<Event>) {
        if let Some(event) = event {
            self.tell(&event);
        }
    }

    /// Keeps it in memory as soon as who has the lock lets it go: it waits ahead of those who ask after this.
    fn park_later(&self, pending: Pending, error: Error) {
        let consent = self.clone();
        // Whoever got this far is in a runtime; without one, there is nothing to wait in.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let counted = self.shared.in_flight.start();
        runtime.spawn(async move {
            let mut unsaved = consent.state.unsaved.lock().await;
            let now = consent.clock().wall();
            if unsaved.as_deref().is_none_or(|other| pending.replaces(other, now)) {
                if let Pending::Removal(_) = pending {
                    consent.clear();
                }
                consent.set(&mut unsaved, Some(pending));
                drop(unsaved);
                consent.tell(&Event::NotStored { error });
            }
            drop(counted);
        });
    }

    fn set(&self, unsaved: &mut Option<Box<Pending>>, pending: Option<Pending>) {
        self.state.cache.set_must_fetch(pending.is_some());
        *unsaved = pending.map(Box::new);
    }

    /// The right to change the record in another way than by a claim. It is not waited for for ever: who has it may be in a
    /// runtime that nobody drives.
    async fn lock(&self) -> Result<MutexGuard<'_, Option<Box<Pending>>>, Error> {
        tokio::select! {
            biased;
            unsaved = self.state.unsaved.lock() => Ok(unsaved),
            () = self.clock().sleep(self.shared.claim()) => Err(StoreError::busy("is held by another task that does not continue").into()),
        }
    }

    /// Makes a change: in the place of what it is the result of, and elsewhere unless what is there `overtakes` it.
    async fn save(&self, change: &Change, overtakes: impl Fn(&Record) -> bool) -> Result<Saved, Error> {
        let mut patience = self.shared.patience();
        let owner = self.shared.owner.name();
        let (mut next, mut expected) = (change.record.clone(), change.expected);
        loop {
            next = match expected {
                Some(generation) => next.after(generation),
                None => next,
            };
            if self.shared.swap(expected, &next).await? {
                return Ok(Saved::Done);
            }
            let found = self.shared.load(&self.state.id).await?;
            match &found {
                Some(found) if is_same(&found.refresh_token, &next.refresh_token) => {
                    // It was exchanged meanwhile, so it is not dead.
                    if next.is_over && found.exchanged_at != next.exchanged_at {
                        return Ok(Saved::Overtaken);
                    }
                    // Ours, of a call that seemed to fail; or as good.
                    let now = self.clock().wall();
                    let is_as_new = trusted(found.exchanged_at, now) >= trusted(next.exchanged_at, now);
                    if found.is_over == next.is_over && is_as_new {
                        return Ok(Saved::Done);
                    }
                }
                Some(found) if change.replaces.as_ref().is_some_and(|used| is_same(&found.refresh_token, used)) => {}
                None if change.may_return => {}
                None => return Ok(Saved::Overtaken),
                Some(found) if overtakes(found) => return Ok(Saved::Overtaken),
                Some(_) => {}
            }
            expected = found.as_ref().map(|found| found.generation);
            // Who took the claim over may go on.
            next.claim = found.and_then(|found| found.claim).filter(|claim| claim.owner != owner);
            patience.wait_after_conflict().await?;
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

    /// Remembers what the store has, for when it is away; not of a consent that was replaced or forgotten meanwhile.
    pub(super) fn see(&self, epoch: u64, record: Option<&Record>) {
        if self.shared.store_outage == StoreOutage::GoOn {
            let mut seen = self.state.seen();
            if self.state.cache.epoch() == epoch {
                *seen = record.cloned().map(Box::new);
            }
        }
    }

    fn see_saved(&self, epoch: u64, saved: &Result<Saved, Error>, record: &Record) {
        match saved {
            Ok(Saved::Done) => self.see(epoch, Some(record)),
            Ok(Saved::Overtaken) => self.see(epoch, None),
            Err(_) => {}
        }
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
        // Here it is known since when it is there, on both clocks.
        if let Some(current) = cache.current().filter(|current| current.0.id == *id) {
            return Some(current).filter(|current| !current.is_expired());
        }
        let clock = self.clock();
        let now = Moment::now(clock.as_ref());
        // One from the future is of a clock that was turned: nothing can be said of its age.
        let remaining = lifetime.checked_sub(now.since(*issued_at)?)?;
        let bearer = Bearer::new(secret.clone(), Some(Deadline::after(now, remaining, clock)));
        Some(AccessToken::kept(bearer, *id, *lifetime))
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

    async fn swap(&self, expected: Option<u64>, record: &Record) -> Result<bool, Error> {
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
    fn claim(&self) -> Duration {
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

fn is_same(one: &RefreshToken, other: &RefreshToken) -> bool {
    one.expose_secret().as_bytes().ct_eq(other.expose_secret().as_bytes()).into()
}
