//! Which consents are close to their idle deadline (O5).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::id::ConsentId;
use super::record::{IDLE, MAX_SKEW, Record};

/// The consents that [`TokenStore::due`](super::TokenStore::due) lists.
///
/// A consent is due if its refresh token idles out before a certain time. It is also due if its last exchange lies in the future,
/// which happens if the wall clock was ahead at that time: nobody knows how old the refresh token really is.
///
/// A store that has the record at hand calls [`rank`](Self::rank). A store with an index compares
/// [`Record::idle_deadline`] with [`before`](Self::before) and [`beyond`](Self::beyond).
#[derive(Clone, Copy, Debug)]
pub struct DueWindow {
    pub(super) before: SystemTime,
    pub(super) beyond: SystemTime,
}

/// The place of a consent among those that are due. The smallest comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DueRank {
    is_suspected: bool,
    deadline: SystemTime,
}

impl DueWindow {
    /// Creates a window for the refresh tokens that idle out within `within` from `now`.
    pub fn new(now: SystemTime, within: Duration) -> Self {
        // Not beyond what a clock or a store can hold. All consents are due within a month.
        const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);
        let before = now.checked_add(within.min(LONGEST)).unwrap_or(now);
        // No exchange that has already happened leads to a later deadline.
        let beyond = now.checked_add(IDLE.saturating_add(MAX_SKEW)).unwrap_or(now);
        Self { before, beyond }
    }

    /// A consent whose idle deadline is earlier than this is due.
    pub fn before(&self) -> SystemTime {
        self.before
    }

    /// A consent whose idle deadline is later than this is due as well, and comes before the others.
    pub fn beyond(&self) -> SystemTime {
        self.beyond
    }

    /// Returns the place of a record among those that are due, or `None` if it is not due.
    ///
    /// Consents that a refusal has made [suspected](Record::is_suspected) come after all others, so that they do not delay them.
    pub fn rank(&self, record: &Record) -> Option<DueRank> {
        if record.is_ended() {
            return None;
        }
        let is_suspected = record.is_suspected();
        let deadline = record.idle_deadline();
        if deadline > self.beyond {
            return Some(DueRank { is_suspected, deadline: UNIX_EPOCH });
        }
        if deadline < self.before {
            return Some(DueRank { is_suspected, deadline });
        }
        None
    }

    /// Returns the ids of the records that are due, in the order of their ranks.
    pub(super) fn select<'a>(&self, records: impl Iterator<Item = &'a Record>, limit: usize) -> Vec<ConsentId> {
        let mut due: Vec<_> = records.filter_map(|record| Some((self.rank(record)?, record.id().clone()))).collect();
        due.sort();
        due.truncate(limit);
        due.into_iter().map(|(_, id)| id).collect()
    }
}

#[cfg(test)]
mod tests {
    use flinks::outbound::RefreshToken;

    use super::*;

    #[test]
    fn o5_a_window_that_is_too_long_holds_everything() {
        let now = SystemTime::now();
        let record = Record::new("user-7".parse().unwrap(), RefreshToken::new("r").unwrap(), now, now);
        assert!(DueWindow::new(now, Duration::MAX).rank(&record).is_some());
    }
}
