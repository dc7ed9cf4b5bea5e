//! The state of one consent in this process, and of all consents in use.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use flinks::Clock;

use crate::pending_write::PendingWrite;
use crate::store::{ConsentId, Record};
use crate::token_cache::TokenCache;

/// The state of one consent in this process. All handles of the consent share it.
pub(crate) struct ConsentState {
    pub(crate) id: ConsentId,
    pub(crate) cache: TokenCache,
    /// The lock of the record. A task that changes the record in another way than by a lease holds it. Only spawned tasks wait for it and
    /// hold it: a future that its caller keeps but does not poll would block all others.
    pub(crate) record: tokio::sync::Mutex<LocalRecord>,
}

/// The knowledge of this process about a record, apart from the store.
#[derive(Default)]
pub(crate) enum LocalRecord {
    /// Nothing: the store has it all.
    #[default]
    InStore,
    /// The record as the store had it last, to refresh without the store.
    Remembered(Box<Record>),
    /// A change that the store has not taken, of which there may be no other copy. It is stored before anything else.
    Unsaved(Box<PendingWrite>),
}

impl LocalRecord {
    pub(crate) fn unsaved(&self) -> Option<&PendingWrite> {
        match self {
            Self::Unsaved(write) => Some(write),
            Self::InStore | Self::Remembered(_) => None,
        }
    }
}

impl ConsentState {
    fn new(id: ConsentId) -> Self {
        Self { id, cache: TokenCache::new(), record: tokio::sync::Mutex::default() }
    }

    /// Returns whether the state has something that the store does not, or may not be available to return.
    fn is_needed(&self, clock: &dyn Clock) -> bool {
        let is_in_store = match self.record.try_lock() {
            Ok(record) => matches!(*record, LocalRecord::InStore),
            Err(_) => false,
        };
        !is_in_store || self.cache.is_needed(clock)
    }

    /// Returns whether the state has a change that the store has not taken. Also true while a task works on it.
    pub(crate) fn may_be_unsaved(&self) -> bool {
        self.record.try_lock().map_or(true, |record| record.unsaved().is_some())
    }
}

/// The states of the consents in use, so that all callers of one consent wait for one refresh, and its failure is remembered.
pub(crate) struct Registry(Mutex<States>);

struct States {
    by_id: HashMap<ConsentId, Arc<ConsentState>>,
    /// At this number, the states are dropped that nobody holds and that the store has.
    prune_at: usize,
}

/// This many states are kept in any case.
const MIN_TRACKED: usize = 1024;

impl Registry {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(States { by_id: HashMap::new(), prune_at: MIN_TRACKED }))
    }

    pub(crate) fn get(&self, id: &ConsentId, clock: &dyn Clock) -> Arc<ConsentState> {
        let mut states = self.lock();
        if let Some(state) = states.by_id.get(id) {
            return Arc::clone(state);
        }
        if states.by_id.len() >= states.prune_at {
            states.by_id.retain(|_, state| Arc::strong_count(state) > 1 || state.is_needed(clock));
            states.prune_at = states.by_id.len().saturating_mul(2).max(MIN_TRACKED);
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
        let (registry, clock) = (Registry::new(), ManualClock::new());
        let get = |number: usize| registry.get(&ConsentId::new(number.to_string()).unwrap(), &clock);
        let held: Vec<_> = (0..2000).map(get).collect();
        // Nobody holds this one, and it must wait.
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
