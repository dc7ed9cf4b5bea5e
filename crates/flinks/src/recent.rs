//! Secrets that were seen lately: codes that were sent (O9), and one-time tokens that were handed out (P5, C3).

use std::collections::{HashSet, VecDeque};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use flinks_core::Clock;

/// Remembers recent secrets as keyed hashes, and holds no secret itself.
///
/// A secret is forgotten when it is older than the lifetime, on the monotonic clock, or when [`MAX`] later ones were seen.
pub(crate) struct RecentSecrets {
    lifetime: Duration,
    key: RandomState,
    seen: Mutex<Seen>,
}

/// The hash of a secret, under the key of its [`RecentSecrets`].
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct SecretHash(u64);

#[derive(Default)]
struct Seen {
    hashes: HashSet<SecretHash>,
    /// The same hashes with the time at which each was seen, the oldest first.
    order: VecDeque<(Duration, SecretHash)>,
}

/// About a megabyte of hashes at most.
const MAX: usize = 16 * 1024;

impl RecentSecrets {
    /// Remembers each secret for so long.
    pub(crate) fn new(lifetime: Duration) -> Self {
        Self { lifetime, key: RandomState::new(), seen: Mutex::default() }
    }

    /// Adds a secret. Returns `None` if it was added before.
    pub(crate) fn insert(&self, secret: &str, clock: &dyn Clock) -> Option<SecretHash> {
        let hash = SecretHash(self.key.hash_one(secret));
        let now = clock.monotonic();
        let mut seen = self.seen();
        while seen.order.front().is_some_and(|(at, _)| now.saturating_sub(*at) > self.lifetime) {
            seen.forget_oldest();
        }
        if !seen.hashes.insert(hash) {
            return None;
        }
        seen.order.push_back((now, hash));
        if seen.order.len() > MAX {
            seen.forget_oldest();
        }
        Some(hash)
    }

    /// Forgets a secret, so that it can be added again.
    pub(crate) fn remove(&self, hash: SecretHash) {
        let mut seen = self.seen();
        seen.hashes.remove(&hash);
        seen.order.retain(|(_, other)| *other != hash);
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    fn forget_oldest(&mut self) {
        if let Some((_, hash)) = self.order.pop_front() {
            self.hashes.remove(&hash);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ManualClock;

    #[test]
    fn a_secret_is_new_once_until_it_is_removed_or_old() {
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
    fn no_more_secrets_are_remembered_than_fit() {
        let clock = ManualClock::new();
        let recent = RecentSecrets::new(Duration::MAX);
        for index in 0..=MAX {
            assert!(recent.insert(&index.to_string(), &clock).is_some());
        }
        assert_eq!(recent.seen().hashes.len(), MAX);
        assert_eq!(recent.seen().order.len(), MAX);
        // The oldest made room for the newest.
        assert!(recent.insert("1", &clock).is_none());
        assert!(recent.insert("0", &clock).is_some());
    }
}
