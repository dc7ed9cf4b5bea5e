//! A record change that might not have been stored yet, and the logic that decides whether the
//! change still applies to the stored record.
//!
//! All functions in this module are pure. `save.rs` performs the writes.

use std::time::SystemTime;

use flinks::outbound::RefreshToken;
use subtle::ConstantTimeEq as _;

use crate::store::{Record, trusted};

/// A change that must be stored.
#[derive(Clone)]
pub(crate) enum PendingWrite {
    /// The end user has authorized a new consent, which may replace an earlier one.
    NewConsent {
        record: Record,
        /// The refresh token that was used most recently. `None` unless Flinks replaced the new
        /// consent's refresh token before the consent could be stored.
        used: Option<RefreshToken>,
    },
    /// A refresh succeeded.
    Refreshed {
        record: Record,
        /// The stored generation that this write replaces.
        expected: u64,
        /// The refresh token sent in the request. `None` unless the response contained a new one.
        used: Option<RefreshToken>,
        if_missing: IfMissing,
    },
    /// A refusal has ended the consent.
    Ended { record: Record, expected: u64 },
    /// The consent was revoked, so its record must be removed.
    Removal { grant: u64 },
}

/// What to do if the record of a refreshed consent is no longer in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IfMissing {
    /// Store the record. The stored record was damaged, and this write contains the only copy of
    /// the refresh token.
    Restore,
    /// Drop the write. The consent was forgotten.
    Drop,
}

/// Whether a write is attempted for the first time or retried as a pending write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attempt {
    First,
    Deferred,
}

/// Whether a write still applies to the stored record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The write replaces the stored record.
    Apply,
    /// The store already contains the result of the write or an equivalent record.
    AlreadyStored,
    /// The write is out of date, so it is dropped.
    Superseded,
}

impl PendingWrite {
    /// Returns the record to store, or `None` for a removal.
    pub(crate) fn record(&self) -> Option<&Record> {
        match self {
            Self::NewConsent { record, .. } | Self::Refreshed { record, .. } | Self::Ended { record, .. } => {
                Some(record)
            }
            Self::Removal { .. } => None,
        }
    }

    /// Returns the generation that the write replaces, or `None` for a new consent or a removal.
    pub(crate) fn expected(&self) -> Option<u64> {
        match self {
            Self::Refreshed { expected, .. } | Self::Ended { expected, .. } => Some(*expected),
            Self::NewConsent { .. } | Self::Removal { .. } => None,
        }
    }

    /// Returns whether the write must be persisted. The result of a refresh that did not replace
    /// the refresh token does not have to be persisted, because the stored refresh token is still
    /// valid.
    pub(crate) fn must_persist(&self) -> bool {
        !matches!(self, Self::Refreshed { used: None, .. })
    }

    /// Returns the pending write that replaces `self` after another refresh of the consent.
    pub(crate) fn after_refresh(
        self,
        new_record: Record,
        newly_used: Option<RefreshToken>,
        if_missing: IfMissing,
    ) -> Self {
        match self {
            Self::NewConsent { used, .. } => Self::NewConsent { record: new_record, used: newly_used.or(used) },
            Self::Refreshed { expected, used, if_missing: earlier, .. } => Self::Refreshed {
                record: new_record,
                expected,
                used: newly_used.or(used),
                if_missing: if earlier == IfMissing::Restore { earlier } else { if_missing },
            },
            Self::Ended { .. } | Self::Removal { .. } => self,
        }
    }

    /// Decides whether the write still applies to the stored record.
    pub(crate) fn verdict(&self, found: Option<&Record>, attempt: Attempt, now: SystemTime) -> Verdict {
        let Some(found) = found else { return self.verdict_on_nothing() };
        let (record, used) = match self {
            Self::NewConsent { record, used } | Self::Refreshed { record, used, .. } => (record, used.as_ref()),
            Self::Ended { record, .. } => (record, None),
            // Another process may have stored a newer consent.
            Self::Removal { grant } if found.grant == *grant => return Verdict::Apply,
            Self::Removal { .. } => return Verdict::Superseded,
        };
        if is_same_token(&found.refresh_token, &record.refresh_token) {
            return self.verdict_on_same_token(record, found, now);
        }
        // The write is the result of a refresh that used the stored refresh token.
        if used.is_some_and(|used| is_same_token(&found.refresh_token, used)) {
            return Verdict::Apply;
        }
        match (self, attempt) {
            // The end user has just authorized this consent.
            (Self::NewConsent { .. }, Attempt::First) => Verdict::Apply,
            (Self::NewConsent { .. }, Attempt::Deferred) => {
                // If the grant is the same, the first attempt succeeded even though it seemed to
                // fail, and the stored record is based on the record from that attempt.
                let is_same_consent = found.grant == record.grant;
                if is_same_consent || trusted(found.consented_at, now) > record.consented_at {
                    return Verdict::Superseded;
                }
                Verdict::Apply
            }
            _ => Verdict::Superseded,
        }
    }

    fn verdict_on_nothing(&self) -> Verdict {
        match self {
            Self::NewConsent { .. } | Self::Refreshed { if_missing: IfMissing::Restore, .. } => Verdict::Apply,
            Self::Refreshed { if_missing: IfMissing::Drop, .. } | Self::Ended { .. } => Verdict::Superseded,
            Self::Removal { .. } => Verdict::AlreadyStored,
        }
    }

    fn verdict_on_same_token(&self, record: &Record, found: &Record, now: SystemTime) -> Verdict {
        // Another process has refreshed the consent since the refusal, so the consent has not
        // ended.
        if matches!(self, Self::Ended { .. }) && found.refreshed_at != record.refreshed_at {
            return Verdict::Superseded;
        }
        // This write was stored even though it seemed to fail, or the stored record is equivalent.
        let is_as_new = trusted(found.refreshed_at, now) >= trusted(record.refreshed_at, now);
        if found.is_ended() == record.is_ended() && is_as_new {
            return Verdict::AlreadyStored;
        }
        Verdict::Apply
    }

    /// Returns whether this write replaces `pending`, which is older.
    pub(crate) fn replaces(&self, pending: &Self) -> bool {
        match (self, pending) {
            (Self::Removal { grant }, other) => other.record().is_some_and(|record| record.grant == *grant),
            // Any other write belongs to the revoked consent.
            (this, Self::Removal { .. }) => matches!(this, Self::NewConsent { .. }),
            (this, other) => match (this.record(), other.record()) {
                (Some(this), Some(other)) => this.consented_at > other.consented_at,
                _ => false,
            },
        }
    }
}

fn is_same_token(one: &RefreshToken, other: &RefreshToken) -> bool {
    one.expose_secret().as_bytes().ct_eq(other.expose_secret().as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Verdict::{AlreadyStored, Apply, Superseded};
    use super::*;
    use crate::store::Standing;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000 + seconds)
    }

    fn token(text: &str) -> RefreshToken {
        RefreshToken::new(text).unwrap()
    }

    /// Returns a record whose grant id is `grant` and whose consent was authorized `grant` seconds
    /// after the start of the test's timeline.
    fn record(grant: u64, refresh_token: &str, refreshed_at: u64) -> Record {
        let id = "user-7".parse().unwrap();
        Record { grant, ..Record::new(id, token(refresh_token), at(grant), at(refreshed_at)) }
    }

    fn ended(record: Record) -> Record {
        Record { standing: Standing::Ended(None), ..record }
    }

    fn new_consent(record: Record) -> PendingWrite {
        PendingWrite::NewConsent { record, used: None }
    }

    fn rotated(record: Record, used: &str, if_missing: IfMissing) -> PendingWrite {
        PendingWrite::Refreshed { record, expected: 7, used: Some(token(used)), if_missing }
    }

    fn check(cases: impl IntoIterator<Item = (&'static str, PendingWrite, Option<Record>, Attempt, Verdict)>) {
        for (name, write, found, attempt, verdict) in cases {
            assert_eq!(write.verdict(found.as_ref(), attempt, at(1000)), verdict, "{name}");
        }
    }

    #[test]
    fn o9_new_consent_replaces_whatever_is_stored_unless_that_is_newer() {
        let write = || new_consent(record(5, "new", 5));
        check([
            ("no record", write(), None, Attempt::First, Apply),
            ("an older consent", write(), Some(record(1, "old", 400)), Attempt::First, Apply),
            ("a newer consent by a clock that is ahead", write(), Some(record(9, "old", 9)), Attempt::First, Apply),
            ("its own write", write(), Some(record(5, "new", 5)), Attempt::First, AlreadyStored),
            ("deferred, an older consent", write(), Some(record(1, "old", 400)), Attempt::Deferred, Apply),
            ("deferred, a newer consent", write(), Some(record(9, "newer", 9)), Attempt::Deferred, Superseded),
            ("deferred, the same after a rotation", write(), Some(record(5, "next", 9)), Attempt::Deferred, Superseded),
            (
                "deferred, the same after a refresh",
                write(),
                Some(record(5, "new", 9)),
                Attempt::Deferred,
                AlreadyStored,
            ),
            ("deferred, the same one ended", write(), Some(ended(record(5, "new", 5))), Attempt::Deferred, Apply),
            (
                "deferred, an older consent that was refreshed later",
                write(),
                Some(record(1, "old", 9)),
                Attempt::Deferred,
                Apply,
            ),
        ]);
    }

    #[test]
    fn o9_new_consent_rotated_in_an_outage_replaces_its_own_first_write() {
        let write = PendingWrite::NewConsent { record: record(5, "second", 9), used: Some(token("first")) };
        check([
            ("its first write", write.clone(), Some(record(5, "first", 5)), Attempt::Deferred, Apply),
            ("its second write", write, Some(record(5, "second", 9)), Attempt::Deferred, AlreadyStored),
        ]);
    }

    #[test]
    fn o5_rotated_token_replaces_only_the_one_that_was_used() {
        let write = |if_missing| rotated(record(5, "second", 9), "first", if_missing);
        let restore = || write(IfMissing::Restore);
        check([
            ("the token that was used", restore(), Some(record(5, "first", 5)), Attempt::First, Apply),
            ("its own write", restore(), Some(record(5, "second", 9)), Attempt::First, AlreadyStored),
            ("an earlier refresh of the same token", restore(), Some(record(5, "second", 8)), Attempt::First, Apply),
            ("a new consent", restore(), Some(record(8, "other", 8)), Attempt::Deferred, Superseded),
            ("a damaged record", restore(), None, Attempt::First, Apply),
            ("a forgotten consent", write(IfMissing::Drop), None, Attempt::First, Superseded),
        ]);
    }

    #[test]
    fn o6_end_applies_only_to_the_refused_token() {
        let write = || PendingWrite::Ended { record: ended(record(5, "first", 5)), expected: 7 };
        check([
            ("the record that was refused", write(), Some(record(5, "first", 5)), Attempt::First, Apply),
            ("its own write", write(), Some(ended(record(5, "first", 5))), Attempt::First, AlreadyStored),
            ("refreshed since", write(), Some(record(5, "first", 8)), Attempt::First, Superseded),
            ("rotated since", write(), Some(record(5, "second", 8)), Attempt::First, Superseded),
            ("authorized again", write(), Some(record(8, "other", 8)), Attempt::Deferred, Superseded),
            ("forgotten", write(), None, Attempt::First, Superseded),
        ]);
    }

    #[test]
    fn o10_removal_applies_only_to_the_revoked_consent() {
        let write = || PendingWrite::Removal { grant: 5 };
        check([
            ("the revoked consent", write(), Some(record(5, "first", 5)), Attempt::Deferred, Apply),
            ("the revoked consent after a rotation", write(), Some(record(5, "second", 9)), Attempt::Deferred, Apply),
            ("a new consent", write(), Some(record(8, "other", 8)), Attempt::Deferred, Superseded),
            ("no record", write(), None, Attempt::Deferred, AlreadyStored),
        ]);
    }

    #[test]
    fn o5_time_in_the_future_does_not_count_as_newer() {
        // Both records were written while a clock was a year ahead.
        let year = 365 * 24 * 60 * 60;
        let write = rotated(record(5, "second", 9), "first", IfMissing::Restore);
        let found = record(5, "second", year);
        check([("refreshed in the future", write, Some(found), Attempt::First, Apply)]);
        let found = Record { consented_at: at(year), ..record(8, "other", 8) };
        check([("authorized in the future", new_consent(record(5, "new", 5)), Some(found), Attempt::Deferred, Apply)]);
    }

    #[test]
    fn later_write_replaces_a_pending_one_only_for_a_newer_consent() {
        let removal = |grant| PendingWrite::Removal { grant };
        let refreshed = |grant| rotated(record(grant, "second", 9), "first", IfMissing::Restore);
        let consent = |grant| new_consent(record(grant, "new", grant));
        for (name, later, pending, replaces) in [
            ("a newer consent", consent(8), consent(5), true),
            ("an older consent", consent(5), consent(8), false),
            ("a refresh of the same consent", refreshed(5), consent(5), false),
            ("a consent after a removal", consent(8), removal(5), true),
            ("a refresh after a removal", refreshed(5), removal(5), false),
            ("a removal of the pending consent", removal(5), consent(5), true),
            ("a removal of an earlier consent", removal(5), consent(8), false),
            ("a second removal", removal(5), removal(5), false),
        ] {
            assert_eq!(later.replaces(&pending), replaces, "{name}");
        }
    }
}
