//! Decides when a suspected refusal, which may have come from a gateway, ends a consent. (O6)
//!
//! This crate's README shows the states and their transitions.
//!
//! A refusal is confirmed if the same status and code are received again at least 10 minutes after
//! the first refusal, and if this process has refreshed another consent in between. That consent is
//! the *witness*: its successful refresh shows that requests reach Flinks. Without a witness, a
//! repeated refusal is confirmed only after 24 hours.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use flinks::{Error, Refusal};
use sha2::{Digest as _, Sha256};

use crate::store::{ConsentId, Suspicion, whole_milliseconds};
use crate::token_id::first_bytes;

/// The shortest time between two refreshes of a suspected consent.
pub(crate) const SUSPECTED_INTERVAL: Duration = Duration::from_secs(60);
/// The time after which a repeated refusal is confirmed without a witness.
const CONFIRM_ALONE: Duration = Duration::from_secs(24 * 60 * 60);

impl Suspicion {
    /// Returns the suspicion that results from a refusal. `earlier` is the suspicion before this
    /// refusal, if any.
    pub(crate) fn after(earlier: Option<Self>, error: &Error, now: SystemTime) -> Self {
        let now = whole_milliseconds(now);
        let status = error.status().unwrap_or_default();
        let code = error.oauth_error().map(|code| first_bytes(&Sha256::digest(code.as_str())));
        match earlier {
            // A time in the future was written while the clock was wrong, so the age of the
            // suspicion is unknown.
            Some(earlier) if earlier.status == status && earlier.code == code && earlier.first_seen <= now => {
                Self { last_seen: now, ..earlier }
            }
            _ => Self { status, code, first_seen: now, last_seen: now },
        }
    }

    /// Returns how long the next refresh must wait, or `None` if the refresh can start now.
    pub(crate) fn remaining_wait(&self, now: SystemTime) -> Option<Duration> {
        // If the last refusal is dated in the future, no wait is needed.
        let since = now.duration_since(self.last_seen).ok()?;
        SUSPECTED_INTERVAL.checked_sub(since).filter(|wait| !wait.is_zero())
    }

    /// Returns the minimum wait before a repeated refusal can confirm this suspicion.
    pub(crate) fn confirm_after(&self, now: SystemTime) -> Duration {
        Refusal::CONFIRM_AFTER.saturating_sub(now.duration_since(self.first_seen).unwrap_or_default())
    }

    /// Returns whether the latest refusal confirms the first one.
    pub(crate) fn is_confirmed(&self, has_witness: bool) -> bool {
        let age = self.last_seen.duration_since(self.first_seen).unwrap_or_default();
        age >= CONFIRM_ALONE || (age >= Refusal::CONFIRM_AFTER && has_witness)
    }
}

/// Returns whether the response shows that the request failed for a reason unrelated to the grant.
/// Such a response proves that the request reached Flinks.
pub(crate) fn clears_suspicion(error: &Error) -> bool {
    if error.refusal().is_some() {
        return false;
    }
    error.oauth_error().is_some_and(|code| code.is_documented() || error.is_rate_limited())
}

/// The latest successful refreshes of two different consents. Two refreshes are enough: for any
/// given consent, at least one of them is a refresh of another consent.
#[derive(Default)]
pub(crate) struct Witnesses(Mutex<[Option<(ConsentId, SystemTime)>; 2]>);

impl Witnesses {
    pub(crate) fn add(&self, id: &ConsentId, now: SystemTime) {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let [first, second] = &mut *last;
        if first.as_ref().is_some_and(|(known, _)| known != id) {
            *second = first.take();
        }
        *first = Some((id.clone(), now));
    }

    /// Returns whether a consent other than `id` was refreshed after `since`. Times after `now` are
    /// ignored, because they were recorded while the clock was ahead.
    pub(crate) fn has_other(&self, id: &ConsentId, since: SystemTime, now: SystemTime) -> bool {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.iter().flatten().any(|(known, at)| known != id && *at > since && *at <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn o6_refusal_is_confirmed_after_10_minutes_with_a_witness_or_after_a_day() {
        let first_seen = SystemTime::UNIX_EPOCH;
        let seconds = |seconds| {
            let last_seen = first_seen.checked_add(Duration::from_secs(seconds)).unwrap();
            Suspicion { status: 403, code: None, first_seen, last_seen }
        };
        for (age, has_witness, is_confirmed) in [
            (0, true, false),
            (599, true, false),
            (600, true, true),
            (600, false, false),
            (86_399, false, false),
            (86_400, false, true),
            (86_400, true, true),
        ] {
            assert_eq!(seconds(age).is_confirmed(has_witness), is_confirmed, "age: {age} s, witness: {has_witness}");
        }
    }

    #[test]
    fn o6_witness_is_another_consent() {
        let witnesses = Witnesses::default();
        let [a, b, c] = ["a", "b", "c"].map(|id| id.parse::<ConsentId>().unwrap());
        let at = |seconds| SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds)).unwrap();
        assert!(!witnesses.has_other(&a, at(0), at(9)));
        witnesses.add(&a, at(1));
        assert!(!witnesses.has_other(&a, at(0), at(9)));
        assert!(witnesses.has_other(&b, at(0), at(9)));
        assert!(!witnesses.has_other(&b, at(1), at(9)));
        witnesses.add(&b, at(2));
        witnesses.add(&b, at(3));
        assert!(witnesses.has_other(&a, at(2), at(9)));
        assert!(witnesses.has_other(&b, at(0), at(9)));
        assert!(!witnesses.has_other(&b, at(1), at(9)));
        assert!(witnesses.has_other(&c, at(2), at(9)));
    }
}
