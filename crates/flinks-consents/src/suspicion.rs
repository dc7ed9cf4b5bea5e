//! When a refusal that a gateway may have sent ends a consent (O6).
//!
//! The README of this crate has the states and their transitions.
//!
//! A refusal is confirmed if the same status and code return at least 10 minutes after the first one, and another consent was
//! refreshed successfully in between; or, without such a witness, after 24 hours.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use flinks::{Error, Refusal};
use sha2::{Digest as _, Sha256};

use crate::store::{ConsentId, Suspicion, whole_milliseconds};
use crate::token_id::first_bytes;

/// At most one refresh a minute is sent while a consent is suspected.
pub(crate) const PAUSE: Duration = Duration::from_secs(60);
/// Without a witness, a refusal is confirmed after this time.
const CONFIRM_ALONE: Duration = Duration::from_secs(24 * 60 * 60);

impl Suspicion {
    /// Returns the suspicion after another refusal, given the earlier one.
    pub(crate) fn after(earlier: Option<Self>, error: &Error, now: SystemTime) -> Self {
        let now = whole_milliseconds(now);
        let status = error.status().unwrap_or_default();
        let code = error.oauth_error().map(|code| first_bytes(&Sha256::digest(code.as_str())));
        match earlier {
            // A time in the future was written while the clock was wrong, so its age is unknown.
            Some(earlier) if earlier.status == status && earlier.code == code && earlier.first_seen <= now => {
                Self { last_seen: now, ..earlier }
            }
            _ => Self { status, code, first_seen: now, last_seen: now },
        }
    }

    /// How long it is too early for another refresh. `None` if it is not.
    pub(crate) fn pause(&self, now: SystemTime) -> Option<Duration> {
        // A time in the future does not cause a wait.
        let since = now.duration_since(self.last_seen).ok()?;
        PAUSE.checked_sub(since).filter(|pause| !pause.is_zero())
    }

    /// How long until another such refusal can confirm it.
    pub(crate) fn confirm_after(&self, now: SystemTime) -> Duration {
        Refusal::CONFIRM_AFTER.saturating_sub(now.duration_since(self.first_seen).unwrap_or_default())
    }

    /// Whether the refusal that was seen last confirms the first one.
    pub(crate) fn is_confirmed(&self, has_witness: bool) -> bool {
        let age = self.last_seen.duration_since(self.first_seen).unwrap_or_default();
        age >= CONFIRM_ALONE || (age >= Refusal::CONFIRM_AFTER && has_witness)
    }
}

/// Returns whether the reply names a cause other than the grant, which proves that Flinks was reached.
pub(crate) fn clears_suspicion(error: &Error) -> bool {
    if error.refusal().is_some() {
        return false;
    }
    error.oauth_error().is_some_and(|code| code.is_documented() || error.is_rate_limited())
}

/// The last refreshes that succeeded, of two different consents: for each consent, one of them is another one's.
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

    /// Returns whether another consent than `id` was refreshed after `since`. A time after `now` was written while the clock was ahead.
    pub(crate) fn has_other(&self, id: &ConsentId, since: SystemTime, now: SystemTime) -> bool {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.iter().flatten().any(|(known, at)| known != id && *at > since && *at <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn o6_a_refusal_is_confirmed_after_ten_minutes_with_a_witness_or_after_a_day() {
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
            assert_eq!(seconds(age).is_confirmed(has_witness), is_confirmed, "{age} {has_witness}");
        }
    }

    #[test]
    fn o6_a_witness_is_another_consent() {
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
