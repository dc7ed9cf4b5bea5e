//! Writes records to the store. Changes that cannot be stored become pending writes.
//!
//! The record lock ([`ConsentState::record`](crate::state::ConsentState)) protects a consent's
//! pending write. A task holds the lock while it changes the record, unless the task only acquires
//! or releases a lease. A pending write is stored before any other operation on the consent starts.
//!
//! Events are emitted after the lock is released, because a callback may call a method that needs
//! the lock.

use tokio::sync::MutexGuard;

use crate::cached_token::CachedToken;
use crate::consent::Consent;
use crate::error::ConsentError;
use crate::event::Event;
use crate::metrics::{self, StoreCall};
use crate::pending_write::{Attempt, IfMissing, PendingWrite, Verdict};
use crate::shared::OutagePolicy;
use crate::shared_token::Source as _;
use crate::state::LocalRecord;
use crate::store::{Record, StoreError};
use crate::token_cache::Epoch;

/// The result of a write.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum WriteOutcome {
    /// The store contains the record or an equivalent record.
    Applied,
    /// The write was out of date, so it was dropped.
    Superseded,
}

impl Consent {
    /// Acquires the record lock. Gives up after one lease duration, because the task that holds the
    /// lock may belong to a runtime that no longer polls its tasks.
    pub(crate) async fn lock(&self) -> Result<MutexGuard<'_, LocalRecord>, ConsentError> {
        tokio::select! {
            biased;
            local = self.state.record.lock() => Ok(local),
            () = self.shared.clock().sleep(self.shared.lease_duration()) => {
                Err(StoreError::busy("is busy: another task holds the consent's record lock").into())
            }
        }
    }

    /// Stores the result of a refresh that started in `epoch`.
    pub(crate) async fn save_result(&self, write: PendingWrite, epoch: Epoch) -> Result<WriteOutcome, ConsentError> {
        let mut local = match self.lock().await {
            Ok(local) => local,
            Err(error) => {
                if write.must_persist() {
                    self.defer_when_unlocked(write, error.clone());
                }
                return Err(error);
            }
        };
        // There was no pending write when the refresh started, so the consent has been replaced or
        // revoked since then.
        if local.pending_write().is_some() {
            return Ok(WriteOutcome::Superseded);
        }
        let write = match write {
            // The consent has been replaced, revoked or forgotten since the refresh started, so a
            // missing record stays missing.
            PendingWrite::Refreshed { record, expected, used, .. } if self.state.cache.epoch() != epoch => {
                PendingWrite::Refreshed { record, expected, used, if_missing: IfMissing::Drop }
            }
            write => write,
        };
        let saved = self.save(&write, Attempt::First).await;
        let event = match &saved {
            Ok(saved) => {
                self.remember_outcome(&mut local, epoch, *saved, &write);
                None
            }
            Err(error) if write.must_persist() => self.defer(&mut local, write, error),
            Err(_) => None,
        };
        drop(local);
        self.emit_if_any(event);
        saved
    }

    /// Stores a new consent and replaces any existing consent with the same id. Returns whether a
    /// consent was replaced.
    pub(crate) async fn store_new_consent(
        &self,
        record: Record,
        token: Option<CachedToken>,
    ) -> Result<bool, ConsentError> {
        let write = PendingWrite::NewConsent { record, used: None };
        let mut local = match self.lock().await {
            Ok(local) => local,
            Err(error) => {
                self.defer_when_unlocked(write, error.clone());
                return Err(error);
            }
        };
        match self.save_replacing(&write, Attempt::First).await {
            Ok((saved, has_replaced)) => {
                self.state.cache.replace(token.map(Into::into));
                self.set_local(&mut local, LocalRecord::InStore);
                self.remember_outcome(&mut local, self.state.cache.epoch(), saved, &write);
                Ok(has_replaced)
            }
            Err(error) => {
                self.state.cache.replace(None);
                let event = self.defer(&mut local, write, &error);
                drop(local);
                self.emit_if_any(event);
                Err(error)
            }
        }
    }

    /// Stores the pending write, if any.
    pub(crate) async fn save_pending(&self) -> Result<(), ConsentError> {
        let mut local = self.lock().await?;
        let epoch = self.state.cache.epoch();
        let Some(write) = local.pending_write().cloned() else { return Ok(()) };
        if let PendingWrite::Removal { grant } = write {
            self.remove_grant(grant).await?;
            self.set_local(&mut local, LocalRecord::InStore);
            return Ok(());
        }
        let saved = self.save(&write, Attempt::Deferred).await?;
        self.set_local(&mut local, LocalRecord::InStore);
        self.remember_outcome(&mut local, epoch, saved, &write);
        if saved == WriteOutcome::Superseded && matches!(write, PendingWrite::NewConsent { .. }) {
            let consent = self.log_name();
            tracing::warn!(consent, "dropped a new consent that could not be stored: the store has a newer consent");
        }
        Ok(())
    }

    /// Removes the record from the store, and the cached token and the pending write from memory.
    pub(crate) async fn erase(&self) -> Result<(), ConsentError> {
        let mut local = self.lock().await?;
        let mut waiter = self.shared.lease_waiter();
        while let Some(record) = self.shared.load(&self.state.id).await? {
            if self.remove(&record).await? {
                break;
            }
            waiter.wait_after_conflict().await?;
        }
        self.set_local(&mut local, LocalRecord::InStore);
        self.state.cache.replace(None);
        Ok(())
    }

    /// Removes a revoked consent. If the store fails, the removal becomes a pending write and
    /// replaces any other pending write for the same consent.
    pub(crate) async fn erase_revoked(&self, grant: u64) {
        let removal = PendingWrite::Removal { grant };
        let mut local = match self.lock().await {
            Ok(local) => local,
            Err(error) => return self.defer_when_unlocked(removal, error),
        };
        if let Some(record) = local.pending_write().and_then(PendingWrite::record)
            && record.grant != grant
        {
            // The end user has authorized again, and the new consent is a pending write.
            return;
        }
        // These changes are made before the call to the store, because that call may be slow. From
        // now on, no caller receives the token, and a refresh waits for the lock.
        self.set_local(&mut local, LocalRecord::Pending(Box::new(removal)));
        self.state.cache.replace(None);
        let Err(error) = self.remove_grant(grant).await else {
            self.set_local(&mut local, LocalRecord::InStore);
            return;
        };
        drop(local);
        self.emit(&Event::NotStored { error });
    }

    /// Removes the record if it belongs to `grant`.
    async fn remove_grant(&self, grant: u64) -> Result<(), ConsentError> {
        let removal = PendingWrite::Removal { grant };
        let mut waiter = self.shared.lease_waiter();
        loop {
            let found = self.shared.load(&self.state.id).await?;
            let verdict = removal.verdict(found.as_ref(), Attempt::First, self.shared.clock().wall());
            match &found {
                Some(record) if verdict == Verdict::Apply => {
                    if self.remove(record).await? {
                        return Ok(());
                    }
                }
                _ => return Ok(()),
            }
            waiter.wait_after_conflict().await?;
        }
    }

    async fn remove(&self, record: &Record) -> Result<bool, ConsentError> {
        self.shared.call_store(StoreCall::Remove, |store| store.remove(&self.state.id, record.generation)).await
    }

    /// Writes a record if the verdict allows it to replace the stored one. Removals have no record
    /// and are not handled here.
    async fn save(&self, write: &PendingWrite, attempt: Attempt) -> Result<WriteOutcome, ConsentError> {
        self.save_replacing(write, attempt).await.map(|(saved, _)| saved)
    }

    /// Writes a record as [`save`](Self::save) does, and also returns whether another record was
    /// replaced.
    async fn save_replacing(
        &self,
        write: &PendingWrite,
        attempt: Attempt,
    ) -> Result<(WriteOutcome, bool), ConsentError> {
        let Some(record) = write.record() else { return Ok((WriteOutcome::Superseded, false)) };
        let mut waiter = self.shared.lease_waiter();
        let owner = self.shared.process_name.name();
        let mut next = record.clone();
        let mut expected = write.expected();
        loop {
            next = match expected {
                Some(generation) => next.after(generation),
                None => next.with_random_generation(),
            };
            // If the consent has no stored record, the store's owner index may have no entry for
            // the owner.
            next.is_owner_new |= expected.is_none();
            if self.shared.swap(expected, &next).await? {
                return Ok((WriteOutcome::Applied, expected.is_some()));
            }
            let found = self.shared.load(&self.state.id).await?;
            match write.verdict(found.as_ref(), attempt, self.shared.clock().wall()) {
                Verdict::Apply => {}
                Verdict::AlreadyStored => match found.as_ref().and_then(|found| with_owner_and_label_of(record, found))
                {
                    None => return Ok((WriteOutcome::Applied, true)),
                    Some(changed) => {
                        expected = Some(changed.generation);
                        next = changed;
                        waiter.wait_after_conflict().await?;
                        continue;
                    }
                },
                Verdict::Superseded => return Ok((WriteOutcome::Superseded, true)),
            }
            // The stored owner is kept unless the new record has one. The same applies to the
            // label.
            next.owner = record.owner.clone().or_else(|| found.as_ref()?.owner.clone());
            next.label = record.label.clone().or_else(|| found.as_ref()?.label.clone());
            expected = found.as_ref().map(|found| found.generation);
            // If another process has acquired the lease in the meantime, that process keeps the
            // lease.
            next.lease = found.and_then(|found| found.lease).filter(|lease| lease.owner != owner);
            waiter.wait_after_conflict().await?;
        }
    }

    /// Turns a change that could not be stored into a pending write. Returns the event to emit
    /// after the lock is released.
    #[must_use]
    pub(crate) fn defer(&self, local: &mut LocalRecord, write: PendingWrite, error: &ConsentError) -> Option<Event> {
        let is_end = matches!(write, PendingWrite::Ended { .. });
        self.set_local(local, LocalRecord::Pending(Box::new(write)));
        // If this write is lost, the only consequence is one more refused refresh, so no event is
        // needed.
        if is_end {
            return None;
        }
        Some(Event::NotStored { error: error.clone() })
    }

    /// Makes `write` the pending write as soon as the record lock is free. The spawned task joins
    /// the queue for the lock immediately, ahead of later calls.
    fn defer_when_unlocked(&self, write: PendingWrite, error: ConsentError) {
        // The caller runs in a task, so there is always a runtime.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let consent = self.clone();
        runtime.spawn(self.shared.tasks.track_future(async move {
            let mut local = consent.state.record.lock().await;
            if local.pending_write().is_some_and(|waiting| !write.replaces(waiting)) {
                return;
            }
            // The cached token belongs to the previous consent.
            if let PendingWrite::NewConsent { .. } | PendingWrite::Removal { .. } = write {
                consent.state.cache.replace(None);
            }
            let event = consent.defer(&mut local, write, &error);
            drop(local);
            consent.emit_if_any(event);
        }));
    }

    /// Sets the local record, which must not be changed in any other way. If the new record is a
    /// pending write, the next caller must start a fetch, which stores that write first.
    pub(crate) fn set_local(&self, local: &mut LocalRecord, new: LocalRecord) {
        let had_write = local.pending_write().is_some();
        let has_write = new.pending_write().is_some();
        self.state.cache.set_must_fetch(has_write);
        *local = new;
        if has_write && !had_write {
            metrics::add_pending_write();
        }
        if had_write && !has_write {
            metrics::remove_pending_write();
        }
    }

    /// Remembers the stored record so that the consent can be refreshed while the store is
    /// unavailable. Does nothing if the policy does not need the record, if the consent has been
    /// replaced, revoked or forgotten since `epoch`, or if there is a pending write.
    pub(crate) fn remember(&self, local: &mut LocalRecord, epoch: Epoch, record: Option<&Record>) {
        let is_wanted = self.shared.outage_policy == OutagePolicy::RefreshWithoutStore;
        if !is_wanted || local.pending_write().is_some() || self.state.cache.epoch() != epoch {
            return;
        }
        // A record that was loaded earlier must not replace a newer one that another task has
        // written.
        if let (LocalRecord::Remembered(known), Some(record)) = (&*local, record)
            && known.grant == record.grant
            && known.generation > record.generation
        {
            return;
        }
        let new = match record {
            Some(record) => LocalRecord::Remembered(Box::new(record.clone())),
            None => LocalRecord::InStore,
        };
        self.set_local(local, new);
    }

    fn remember_outcome(&self, local: &mut LocalRecord, epoch: Epoch, saved: WriteOutcome, write: &PendingWrite) {
        let record = match saved {
            WriteOutcome::Applied => write.record(),
            WriteOutcome::Superseded => None,
        };
        self.remember(local, epoch, record);
    }

    /// Remembers the stored record as [`remember`](Self::remember) does, without requiring the
    /// caller to hold the lock. If another task holds the lock, that task is about to remember a
    /// newer record, so this method does nothing.
    pub(crate) fn try_remember(&self, epoch: Epoch, record: Option<&Record>) {
        if let Ok(mut local) = self.state.record.try_lock() {
            self.remember(&mut local, epoch, record);
        }
    }

    pub(crate) fn emit_if_any(&self, event: Option<Event>) {
        if let Some(event) = event {
            self.emit(&event);
        }
    }
}

/// Returns the stored record with the owner and label of the new record, or `None` if the stored
/// record already has both.
fn with_owner_and_label_of(record: &Record, found: &Record) -> Option<Record> {
    let owner = record.owner.clone().or_else(|| found.owner.clone());
    let label = record.label.clone().or_else(|| found.label.clone());
    let is_same = owner == found.owner && label == found.label;
    if is_same {
        return None;
    }
    Some(Record { owner, label, is_owner_new: true, ..found.clone() })
}
