//! The selection of consents that are close to their idle deadline (O5).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::id::ConsentId;
use super::record::{IDLE, MAX_SKEW, Record};

/// The condition under which [`TokenStore::due`](super::TokenStore::due) lists a consent.
///
/// A consent is due if its refresh token idles out before the end of the window. It is also due if
/// the stored time of its last refresh is more than 10 minutes in the future: the wall clock must
/// have been ahead when the refresh was recorded, so the age of the refresh token is unknown.
///
/// A store that loads all its records calls [`rank`](Self::rank) for each record. A store with an
/// index of deadlines compares [`Record::idle_deadline`] with [`before`](Self::before) and
/// [`beyond`](Self::beyond).
#[derive(Clone, Copy, Debug)]
pub struct DueWindow {
    pub(super) before: SystemTime,
    pub(super) beyond: SystemTime,
}

/// The position of a consent in the list of due consents. The consent with the smallest rank comes
/// first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DueRank {
    is_suspected: bool,
    deadline: SystemTime,
}

/// The part of a record that determines its rank.
#[derive(Clone, Copy, Debug)]
pub(super) struct DueState {
    is_ended: bool,
    is_suspected: bool,
    deadline: SystemTime,
}

impl DueState {
    pub(super) fn of(record: &Record) -> Self {
        Self { is_ended: record.is_ended(), is_suspected: record.is_suspected(), deadline: record.idle_deadline() }
    }
}

impl DueWindow {
    /// Creates a window for refresh tokens that idle out before `now + within`.
    pub fn new(now: SystemTime, within: Duration) -> Self {
        // Limits `within` to a year so that clocks and stores can represent the result. A longer
        // window would not select more consents, because every refresh token idles out within 30
        // days.
        const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);
        let before = now.checked_add(within.min(LONGEST)).unwrap_or(now);
        // No past refresh can have set a later deadline than this, even on a machine whose clock
        // was ahead by the accepted skew.
        let beyond = now.checked_add(IDLE.saturating_add(MAX_SKEW)).unwrap_or(now);
        Self { before, beyond }
    }

    /// Returns the end of the window. A consent is due if its idle deadline is earlier.
    pub fn before(&self) -> SystemTime {
        self.before
    }

    /// Returns the latest plausible idle deadline. A consent with a later deadline is also due and
    /// is listed before those with plausible deadlines.
    pub fn beyond(&self) -> SystemTime {
        self.beyond
    }

    /// Returns the rank of a record, or `None` if the consent is not due.
    ///
    /// [Suspected](Record::is_suspected) consents come last, so that they do not delay the others.
    pub fn rank(&self, record: &Record) -> Option<DueRank> {
        self.rank_of(DueState::of(record))
    }

    pub(super) fn rank_of(&self, state: DueState) -> Option<DueRank> {
        let DueState { is_ended, is_suspected, deadline } = state;
        if is_ended {
            return None;
        }
        if deadline > self.beyond {
            return Some(DueRank { is_suspected, deadline: UNIX_EPOCH });
        }
        if deadline < self.before {
            return Some(DueRank { is_suspected, deadline });
        }
        None
    }

    /// Returns the ids of up to `limit` due consents in rank order.
    pub(super) fn select<'a>(
        &self,
        consents: impl Iterator<Item = (DueState, &'a ConsentId)>,
        limit: usize,
    ) -> Vec<ConsentId> {
        let mut due: Vec<_> = consents.filter_map(|(state, id)| Some((self.rank_of(state)?, id))).collect();
        due.sort_unstable();
        due.into_iter().take(limit).map(|(_, id)| id.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use flinks::outbound::RefreshToken;

    use super::*;

    #[test]
    fn o5_longest_window_selects_every_consent() {
        let now = SystemTime::now();
        let record = Record::new("user-7".parse().unwrap(), RefreshToken::new("r").unwrap(), now, now);
        assert!(DueWindow::new(now, Duration::MAX).rank(&record).is_some());
    }
}
