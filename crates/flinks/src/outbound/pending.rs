//! Storing what an exchange, a code or a revocation leads to, and keeping in memory what the store cannot take.
//!
//! Each consent has one lock, `State::unsaved`. A task holds it while it changes the record, except for taking and returning a
//! claim. The lock guards the one change that the store has not taken yet, which is stored before anything else is done with the
//! consent. Events are reported after the lock is released, because a callback may call something that needs the lock.

use subtle::ConstantTimeEq as _;
use tokio::sync::MutexGuard;

use super::cache::Source as _;
use super::consent::{Consent, StoreOutage};
use super::event::Event;
use super::store::{Record, StoreError, trusted};
use super::tokens::{AccessToken, RefreshToken};
use crate::error::Error;

/// A change that the store has not taken yet.
pub(super) enum Pending {
    /// A record that should be there.
    Record(Change),
    /// A revoked consent that should be gone.
    Removal(u64),
}

/// A record that should take the place of another.
#[derive(Clone)]
pub(super) struct Change {
    pub(super) record: Record,
    /// The generation that it follows. None for an empty place.
    pub(super) expected: Option<u64>,
    /// Whether the end user consented again. Then it replaces any record.
    pub(super) is_new: bool,
    /// The refresh token that was exchanged for it.
    pub(super) replaces: Option<RefreshToken>,
    /// Whether it is stored if there is no record. Not if the consent was forgotten.
    pub(super) may_return: bool,
}

/// The result of storing a change.
pub(super) enum Saved {
    Done,
    /// The store holds a newer record.
    Overtaken,
}

/// Which record stays if the store holds another one than expected, of another refresh token.
#[derive(Clone, Copy)]
enum Precedence {
    /// The one that is stored.
    Stored,
    /// The change.
    Change,
    /// The one of the newer consent.
    Newer,
}

/// Whether a record may be lost if the store fails.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Durability {
    /// The store holds another copy that is as good.
    BestEffort,
    /// It is the only copy.
    MustPersist,
}

impl Pending {
    /// Whether this change, which became known later, replaces the one that waits.
    fn replaces(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Record(this), Self::Record(other)) => this.record.consented_at > other.record.consented_at,
            // Either the end user has consented again, or the record is the result of the consent that was revoked.
            (Self::Record(this), Self::Removal(_)) => this.is_new,
            (Self::Removal(consent), Self::Record(other)) => other.record.consent == *consent,
            (Self::Removal(_), Self::Removal(_)) => false,
        }
    }
}

impl Consent {
    /// Stores the result of an exchange.
    pub(super) async fn save_result(&self, change: Change, durability: Durability, epoch: u64) -> Result<Saved, Error> {
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
        // Everything was stored before the exchange began, so the end user has consented again since then.
        if unsaved.is_some() {
            return Ok(Saved::Overtaken);
        }
        // A missing record was forgotten or damaged. If it was damaged, `change` has the only copy of the refresh token.
        let may_return = must_persist && !change.record.is_over && self.state.cache.epoch() == epoch;
        let change = Change { may_return, ..change };
        let saved = self.save(&change, Precedence::Stored).await;
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

    /// Stores a new consent, in place of any other one.
    pub(super) async fn put(&self, record: Record, access_token: Option<&AccessToken>) -> Result<(), Error> {
        if let Some(token) = access_token {
            let _ = token.0.consent.set(record.consent);
        }
        let change = Change { record, expected: None, is_new: true, replaces: None, may_return: true };
        let mut unsaved = match self.lock().await {
            Ok(unsaved) => unsaved,
            Err(error) => {
                self.park_later(Pending::Record(change), error.clone());
                return Err(error);
            }
        };
        let saved = self.save(&change, Precedence::Change).await;
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
            Some(Pending::Removal(consent)) => self.remove(Some(*consent)).await?,
        }
        self.set(&mut unsaved, None);
        Ok(())
    }

    async fn save_parked(&self, change: &Change, epoch: u64) -> Result<(), Error> {
        let precedence = if change.is_new { Precedence::Newer } else { Precedence::Stored };
        let saved = self.save(change, precedence).await;
        self.see_saved(epoch, &saved, &change.record);
        if let (Saved::Overtaken, true) = (saved?, change.is_new) {
            let consent = self.log_name();
            tracing::warn!(consent, "dropped a consent that could not be stored: the store holds a newer one");
        }
        Ok(())
    }

    /// Removes the record; or, of a revoked consent, only the record of that one.
    async fn remove(&self, consent: Option<u64>) -> Result<(), Error> {
        let mut patience = self.shared.patience();
        while let Some(record) = self.shared.load(&self.state.id).await? {
            if consent.is_some_and(|consent| consent != record.consent) {
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
    pub(super) async fn erase_revoked(&self, consent: u64) {
        let mut unsaved = match self.lock().await {
            Ok(unsaved) => unsaved,
            Err(error) => return self.park_later(Pending::Removal(consent), error),
        };
        if let Some(Pending::Record(change)) = unsaved.as_deref()
            && change.record.consent != consent
        {
            // The end user has consented again, and that is not stored yet.
            return;
        }
        // Before the call to the store, which may be slow: from now on the token is not handed out, and a refresh
        // waits for the lock.
        self.set(&mut unsaved, Some(Pending::Removal(consent)));
        self.clear();
        let Err(error) = self.remove(Some(consent)).await else {
            self.set(&mut unsaved, None);
            return;
        };
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
    pub(super) fn park(&self, unsaved: &mut Option<Box<Pending>>, change: Change, error: &Error) -> Option<Event> {
        let is_over = change.record.is_over;
        self.set(unsaved, Some(Pending::Record(change)));
        // Losing the end of a consent costs one refresh, which is refused again.
        if is_over {
            return None;
        }
        Some(Event::NotStored { error: error.clone() })
    }

    pub(super) fn tell_if_any(&self, event: Option<Event>) {
        if let Some(event) = event {
            self.tell(&event);
        }
    }

    /// Keeps a change in memory as soon as the lock is free. The task queues for the lock now, ahead of later calls.
    fn park_later(&self, pending: Pending, error: Error) {
        let consent = self.clone();
        // The caller runs in a task, so there is a runtime.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let counted = self.shared.in_flight.start();
        runtime.spawn(async move {
            let mut unsaved = consent.state.unsaved.lock().await;
            if unsaved.as_deref().is_none_or(|other| pending.replaces(other)) {
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

    pub(super) fn set(&self, unsaved: &mut Option<Box<Pending>>, pending: Option<Pending>) {
        self.state.cache.set_must_fetch(pending.is_some());
        *unsaved = pending.map(Box::new);
    }

    /// Takes the lock of the consent. It gives up after the time of a claim, because the task that holds the lock
    /// may be in a runtime that is no longer polled.
    pub(super) async fn lock(&self) -> Result<MutexGuard<'_, Option<Box<Pending>>>, Error> {
        let stuck = StoreError::busy("is held by another task that does not continue");
        tokio::select! {
            biased;
            unsaved = self.state.unsaved.lock() => Ok(unsaved),
            () = self.clock().sleep(self.shared.claim()) => Err(stuck.into()),
        }
    }

    /// Makes a change: in the place of what it is the result of, and of another record as the precedence says.
    async fn save(&self, change: &Change, precedence: Precedence) -> Result<Saved, Error> {
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
                    // Another process has exchanged the token since then, so the consent has not ended.
                    if next.is_over && found.exchanged_at != next.exchanged_at {
                        return Ok(Saved::Overtaken);
                    }
                    // Our own write of a call that seemed to fail, or one that is as good.
                    let now = self.clock().wall();
                    let is_as_new = trusted(found.exchanged_at, now) >= trusted(next.exchanged_at, now);
                    if found.is_over == next.is_over && is_as_new {
                        return Ok(Saved::Done);
                    }
                }
                Some(found) if change.replaces.as_ref().is_some_and(|used| is_same(&found.refresh_token, used)) => {}
                None if change.may_return => {}
                None => return Ok(Saved::Overtaken),
                Some(found) => match precedence {
                    Precedence::Stored => return Ok(Saved::Overtaken),
                    Precedence::Newer if self.is_newer(found, &change.record) => return Ok(Saved::Overtaken),
                    Precedence::Newer | Precedence::Change => {}
                },
            }
            expected = found.as_ref().map(|found| found.generation);
            // Another process that took over the claim keeps it.
            next.claim = found.and_then(|found| found.claim).filter(|claim| claim.owner != owner);
            patience.wait_after_conflict().await?;
        }
    }

    /// Whether a record in the store is of a newer consent than another one. It is, too, if it is the same consent: then the other
    /// one was stored after all, and the store holds what came of it.
    fn is_newer(&self, found: &Record, other: &Record) -> bool {
        found.consent == other.consent || trusted(found.consented_at, self.clock().wall()) > other.consented_at
    }

    /// Remembers the record in the store, for an outage. A consent that was replaced or forgotten since `epoch` is not remembered.
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
}

fn is_same(one: &RefreshToken, other: &RefreshToken) -> bool {
    one.expose_secret().as_bytes().ct_eq(other.expose_secret().as_bytes()).into()
}
