//! Remembers recently seen secrets: codes that were sent (O9), and single-use tokens that were
//! handed out (P5, C3).

use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use flinks_core::Clock;
use hashlink::LinkedHashMap;

/// A set of recent secrets. It stores keyed hashes, never the secrets themselves.
///
/// A secret is forgotten once its lifetime has elapsed on the monotonic clock, or once [`MAX`]
/// newer secrets have been added.
pub(crate) struct RecentSecrets {
    lifetime: Duration,
    key: RandomState,
    /// The hashes and the times when they were added, oldest first.
    added: Mutex<LinkedHashMap<SecretHash, Duration>>,
}

/// The keyed hash of a secret in a [`RecentSecrets`] set.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct SecretHash(u64);

/// The maximum number of hashes in a set. A full set takes up about one megabyte.
const MAX: usize = 16 * 1024;

impl RecentSecrets {
    /// Creates a set that remembers each secret for `lifetime`.
    pub(crate) fn new(lifetime: Duration) -> Self {
        Self { lifetime, key: RandomState::new(), added: Mutex::default() }
    }

    /// Adds a secret. Returns `None` if the secret is already in the set.
    pub(crate) fn insert(&self, secret: &str, clock: &dyn Clock) -> Option<SecretHash> {
        let hash = SecretHash(self.key.hash_one(secret));
        let now = clock.monotonic();
        let mut added = self.added();
        while added.front().is_some_and(|(_, at)| now.saturating_sub(*at) > self.lifetime) {
            added.pop_front();
        }
        if added.contains_key(&hash) {
            return None;
        }
        added.insert(hash, now);
        if added.len() > MAX {
            added.pop_front();
        }
        Some(hash)
    }

    /// Removes a secret so that it can be added again.
    #[cfg(feature = "outbound")]
    pub(crate) fn remove(&self, hash: SecretHash) {
        self.added().remove(&hash);
    }

    fn added(&self) -> MutexGuard<'_, LinkedHashMap<SecretHash, Duration>> {
        self.added.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ManualClock;

    #[test]
    fn secret_can_be_added_again_only_after_removal_or_expiry() {
        let clock = ManualClock::new();
        let recent = RecentSecrets::new(Duration::from_secs(600));
        let first = recent.insert("a", &clock).unwrap();
        assert!(recent.insert("a", &clock).is_none());
        assert!(recent.insert("b", &clock).is_some());
        recent.remove(first);
        assert!(recent.insert("a", &clock).is_some());
        clock.advance(Duration::from_secs(600));
        assert!(recent.insert("a", &clock).is_none());
        clock.advance(Duration::from_secs(1));
        assert!(recent.insert("a", &clock).is_some());
    }

    #[test]
    fn oldest_secret_is_removed_when_the_set_is_full() {
        let clock = ManualClock::new();
        let recent = RecentSecrets::new(Duration::MAX);
        for index in 0..=MAX {
            assert!(recent.insert(&index.to_string(), &clock).is_some());
        }
        assert_eq!(recent.added().len(), MAX);
        // The oldest secret was removed to make room for the newest.
        assert!(recent.insert("1", &clock).is_none());
        assert!(recent.insert("0", &clock).is_some());
    }
}
