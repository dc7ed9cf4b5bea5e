//! The state of each consent that this process uses, and the registry of these states.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use flinks::Clock;

use crate::metrics;
use crate::pending_write::PendingWrite;
use crate::store::{ConsentId, Record};
use crate::token_cache::TokenCache;

/// The state of one consent in this process. All handles to the consent share it.
pub(crate) struct ConsentState {
    pub(crate) id: ConsentId,
    pub(crate) cache: TokenCache,
    /// The record lock. A task holds the lock while it changes the record, unless the task only
    /// acquires or releases a lease. Only spawned tasks wait for or hold this lock, because any
    /// other future could stop being polled while it holds the lock, which would block all tasks.
    pub(crate) record: tokio::sync::Mutex<LocalRecord>,
}

/// The part of a record's state that exists only in this process.
#[derive(Default)]
pub(crate) enum LocalRecord {
    /// Nothing. The store contains the newest record.
    #[default]
    InStore,
    /// The newest stored record known to this process. It is used to refresh the consent while the
    /// store is unavailable.
    Remembered(Box<Record>),
    /// A change that could not be stored yet. It may contain the only copy of a refresh token, so
    /// this process stores it before any other operation on the consent.
    Pending(Box<PendingWrite>),
}

impl LocalRecord {
    pub(crate) fn pending_write(&self) -> Option<&PendingWrite> {
        match self {
            Self::Pending(write) => Some(write),
            Self::InStore | Self::Remembered(_) => None,
        }
    }
}

impl ConsentState {
    fn new(id: ConsentId) -> Self {
        Self { id, cache: TokenCache::new(), record: tokio::sync::Mutex::default() }
    }

    /// Returns whether the state must stay in memory. This is the case if it contains a record or
    /// if its cache still affects later calls.
    fn is_needed(&self, clock: &dyn Clock) -> bool {
        let is_in_store = match self.record.try_lock() {
            Ok(record) => matches!(*record, LocalRecord::InStore),
            Err(_) => false,
        };
        !is_in_store || self.cache.is_needed(clock)
    }

    /// Returns whether the state may have a pending write. Also returns `true` while a task holds
    /// the record lock.
    pub(crate) fn may_have_pending_write(&self) -> bool {
        self.record.try_lock().map_or(true, |record| record.pending_write().is_some())
    }
}

/// When a state is dropped, its pending write, if any, is lost.
impl Drop for ConsentState {
    fn drop(&mut self) {
        if self.record.get_mut().pending_write().is_some() {
            metrics::remove_pending_write();
        }
    }
}

/// The states of the consents in use. All callers that use a consent share its state, so they also
/// share one refresh and its outcome.
pub(crate) struct Registry(Mutex<States>);

struct States {
    by_id: HashMap<ConsentId, Arc<ConsentState>>,
    /// When the number of states reaches this threshold, the registry drops the states that no
    /// handle uses and that need not stay in memory.
    prune_threshold: usize,
}

/// The minimum value of [`States::prune_threshold`].
const MIN_TRACKED: usize = 1024;

impl Registry {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(States { by_id: HashMap::new(), prune_threshold: MIN_TRACKED }))
    }

    pub(crate) fn get(&self, id: &ConsentId, clock: &dyn Clock) -> Arc<ConsentState> {
        let mut states = self.lock();
        if let Some(state) = states.by_id.get(id) {
            return Arc::clone(state);
        }
        if states.by_id.len() >= states.prune_threshold {
            states.by_id.retain(|_, state| Arc::strong_count(state) > 1 || state.is_needed(clock));
            states.prune_threshold = states.by_id.len().saturating_mul(2).max(MIN_TRACKED);
        }
        let state = Arc::new(ConsentState::new(id.clone()));
        states.by_id.insert(id.clone(), Arc::clone(&state));
        state
    }

    pub(crate) fn all(&self) -> Vec<Arc<ConsentState>> {
        self.lock().by_id.values().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, States> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use flinks::ManualClock;

    use super::*;

    #[test]
    fn o5_states_are_dropped_unless_they_are_held_or_needed() {
        let registry = Registry::new();
        let clock = ManualClock::new();
        let get = |number: usize| registry.get(&ConsentId::new(number.to_string()).unwrap(), &clock);
        let held: Vec<_> = (0..2000).map(get).collect();
        // No handle uses this state, but its next refresh is delayed.
        get(2000).cache.delay(Duration::from_secs(60), &clock);
        for number in 3000..100_000 {
            drop(get(number));
        }
        assert!(registry.all().len() <= 2 * 2001, "{}", registry.all().len());
        for state in held {
            assert!(registry.lock().by_id.contains_key(&state.id));
        }
        assert!(registry.lock().by_id.contains_key(&ConsentId::new("2000").unwrap()));
    }
}
