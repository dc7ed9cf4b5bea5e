//! Waits until other processes have released their leases or finished their writes.
//! `Consent::lease` in `refresh.rs` acquires a lease.
//!
//! To acquire the right to refresh a consent, a process writes a [`Lease`] into the record with a
//! single compare-and-swap. It releases the lease by writing the result of the refresh. If the
//! holder crashes, the lease expires.

use std::time::Duration;

use flinks::Clock;

use crate::error::ConsentError;
use crate::jitter::jittered;
use crate::store::{Lease, MAX_SKEW, Record, StoreError};

/// Waits until other processes have released their leases or finished their writes.
pub(crate) struct LeaseWaiter<'a> {
    clock: &'a dyn Clock,
    /// The duration of the leases that this process acquires.
    duration: Duration,
    give_up_at: Duration,
    /// The record's generation, and the monotonic time at which this process first saw that
    /// generation.
    first_seen: Option<(u64, Duration)>,
    conflicts: u32,
    waits: u32,
}

/// The maximum time for which a lease is treated as valid, regardless of its holder's timeouts.
pub(crate) const MAX_DURATION: Duration = Duration::from_secs(60 * 60);
/// The maximum time that a process waits for a lease, as a multiple of the lease duration. A
/// process may have to wait for a crashed process's lease to expire, and then for other processes
/// that acquire the lease first.
pub(crate) const MAX_LEASES: u32 = 3;

impl<'a> LeaseWaiter<'a> {
    pub(crate) fn new(clock: &'a dyn Clock, duration: Duration) -> Self {
        let give_up_at = clock.monotonic().saturating_add(duration.saturating_mul(MAX_LEASES));
        Self { clock, duration, give_up_at, first_seen: None, conflicts: 0, waits: 0 }
    }

    /// Returns the unexpired lease that another process holds on the record, if any.
    ///
    /// The lease holder's clock may be wrong. A lease is therefore treated as expired only if this
    /// process has seen the lease unchanged for its full duration, or if the local wall clock is
    /// more than [`MAX_SKEW`] past the expiry time.
    pub(crate) fn lease_of_another<'r>(&mut self, record: &'r Record, owner: &str) -> Option<&'r Lease> {
        let lease = record.lease.as_deref()?;
        if lease.owner == owner {
            return None;
        }
        let now = self.clock.monotonic();
        let first_seen = match self.first_seen {
            Some((generation, at)) if generation == record.generation => at,
            _ => now,
        };
        self.first_seen = Some((record.generation, first_seen));
        let expired_long_ago = self.clock.wall().duration_since(lease.expires_at).is_ok_and(|ago| ago > MAX_SKEW);
        let duration = lease.duration.min(MAX_DURATION).max(self.duration);
        if expired_long_ago || now.saturating_sub(first_seen) >= duration {
            return None;
        }
        Some(lease)
    }

    /// Waits before the record is loaded again. The first wait is about as long as a fast refresh,
    /// and no wait is longer than half a second.
    pub(crate) async fn wait_for(&mut self, lease: &Lease) -> Result<(), ConsentError> {
        const MAX_WAIT: Duration = Duration::from_millis(500);
        let longer = lease.duration.min(MAX_DURATION).saturating_sub(self.duration);
        if self.clock.monotonic() >= self.give_up_at.saturating_add(longer) {
            return Err(StoreError::busy("is busy: other processes hold the consent's lease").into());
        }
        let wait = Duration::from_millis(20).saturating_mul(1 << self.waits.min(5)).min(MAX_WAIT);
        self.waits = self.waits.saturating_add(1);
        self.clock.sleep(jittered(wait)).await;
        Ok(())
    }

    /// Waits for a short, random time after another process has changed the record.
    pub(crate) async fn wait_after_conflict(&mut self) -> Result<(), ConsentError> {
        // Each conflict means that another process's write has succeeded. If there are more
        // conflicts than this, the store is faulty.
        const MAX_CONFLICTS: u32 = 100;
        self.conflicts = self.conflicts.saturating_add(1);
        if self.conflicts > MAX_CONFLICTS {
            return Err(StoreError::busy("is busy: other processes keep changing the record").into());
        }
        self.clock.sleep(Duration::from_millis(20).mul_f64(fastrand::f64())).await;
        Ok(())
    }
}
