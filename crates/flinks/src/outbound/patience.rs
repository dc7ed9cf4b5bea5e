//! How long others are waited for.

use std::time::Duration;

use super::store::{Claim, MAX_SKEW, Record, StoreError};
use crate::error::Error;
use crate::time::{Clock, jittered};

pub(super) struct Patience<'a> {
    clock: &'a dyn Clock,
    /// How long a claim of one's own would last.
    claim: Duration,
    end: Duration,
    /// A generation, and since when it has been seen.
    seen: Option<(u64, Duration)>,
    conflicts: u32,
    waits: u32,
}

/// No claim lasts longer, whatever the timeout of its owner is.
pub(super) const LONGEST_CLAIM: Duration = Duration::from_secs(60 * 60);
/// How many claims are waited for: of one who died, and of those who were faster after that.
pub(super) const CLAIMS: u32 = 3;

impl<'a> Patience<'a> {
    pub(super) fn new(clock: &'a dyn Clock, claim: Duration) -> Self {
        let end = clock.monotonic().saturating_add(claim.saturating_mul(CLAIMS));
        Self { clock, claim, end, seen: None, conflicts: 0, waits: 0 }
    }

    /// Whether a claim of another's still holds. Their clock may be off: what counts is how long it has been seen here. Only
    /// one that ended long ago is known to be left over.
    pub(super) fn holds(&mut self, record: &Record, claim: &Claim) -> bool {
        let now = self.clock.monotonic();
        let since =
            self.seen.filter(|(generation, _)| *generation == record.generation).map_or(now, |(_, since)| since);
        self.seen = Some((record.generation, since));
        let is_left_over = self.clock.wall().duration_since(claim.until).is_ok_and(|ago| ago > MAX_SKEW);
        now.saturating_sub(since) < claim.lasts.min(LONGEST_CLAIM).max(self.claim) && !is_left_over
    }

    /// Waits a little for one who exchanges: at first as long as a quick exchange takes, and at most half a second.
    pub(super) async fn wait_for_another(&mut self, claim: &Claim) -> Result<(), Error> {
        let longer = claim.lasts.min(LONGEST_CLAIM).saturating_sub(self.claim);
        if self.clock.monotonic() >= self.end.saturating_add(longer) {
            return Err(StoreError::busy("is always claimed by others").into());
        }
        let longest = Duration::from_millis(20).saturating_mul(1 << self.waits.min(5)).min(Duration::from_millis(500));
        self.waits = self.waits.saturating_add(1);
        self.clock.sleep(jittered(longest)).await;
        Ok(())
    }

    /// Waits a moment before another try.
    pub(super) async fn wait_after_conflict(&mut self) -> Result<(), Error> {
        // Each is somebody's success, so a store that tells of this many does not tell the truth.
        const MAX_CONFLICTS: u32 = 100;
        self.conflicts = self.conflicts.saturating_add(1);
        if self.conflicts > MAX_CONFLICTS {
            return Err(StoreError::busy("does not stop changing").into());
        }
        self.clock.sleep(Duration::from_millis(20).mul_f64(fastrand::f64())).await;
        Ok(())
    }
}
