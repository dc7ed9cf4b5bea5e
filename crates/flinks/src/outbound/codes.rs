//! The codes that went out (O9): an end user who loads the page of their return twice must not end their consent, as a server
//! may when it sees a code again (RFC 6749, section 4.1.2).

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::AuthorizationCode;
use crate::time::Clock;

/// Holds no code, only keyed hashes: of the last minutes, on the monotonic clock.
#[derive(Default)]
pub(super) struct SentCodes {
    sent: Mutex<HashMap<u64, Duration>>,
    key: RandomState,
}

/// No code should live longer (RFC 6749, section 4.1.2).
const LIFETIME: Duration = Duration::from_secs(10 * 60);

impl SentCodes {
    /// False where it was added before.
    pub(super) fn add(&self, code: &AuthorizationCode, clock: &dyn Clock) -> bool {
        let now = clock.monotonic();
        let mut sent = self.sent();
        sent.retain(|_, at| now.saturating_sub(*at) <= LIFETIME);
        sent.insert(self.hash(code), now).is_none()
    }

    /// It did not leave this machine.
    pub(super) fn remove(&self, code: &AuthorizationCode) {
        self.sent().remove(&self.hash(code));
    }

    fn hash(&self, code: &AuthorizationCode) -> u64 {
        self.key.hash_one(code.code.expose_secret())
    }

    fn sent(&self) -> MutexGuard<'_, HashMap<u64, Duration>> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
