//! The record of a consent.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use flinks::Secret;
use flinks::outbound::RefreshToken;

use super::id::{ConsentId, OwnerId};

/// The stored data for a consent.
///
/// A store saves the output of [`encode`](Self::encode), which contains the whole record. Apart
/// from that, a store needs only [`id`](Self::id), [`generation`](Self::generation),
/// [`idle_deadline`](Self::idle_deadline), [`is_ended`](Self::is_ended) and [`owner`](Self::owner).
#[derive(Clone)]
pub struct Record {
    pub(crate) id: ConsentId,
    /// The record's version, which changes with each write.
    pub(crate) generation: u64,
    /// The id of the grant. It changes only when the end user authorizes again, and not when the
    /// refresh token is replaced.
    pub(crate) grant: u64,
    /// The time when the end user consented or, for an imported consent, the time of the import.
    pub(crate) consented_at: SystemTime,
    pub(crate) refresh_token: RefreshToken,
    pub(crate) refreshed_at: SystemTime,
    /// Whether Flinks has ever replaced the refresh token. After the first replacement, a refresh
    /// whose response was lost is not retried (A5).
    pub(crate) has_rotated: bool,
    pub(crate) standing: Standing,
    /// The owner of the consent.
    pub(crate) owner: Option<OwnerId>,
    /// The label that the application set.
    pub(crate) label: Option<Box<str>>,
    /// Whether the record may be missing from the store's index of owners, which is possible if the
    /// record was not loaded from the store.
    pub(crate) is_owner_new: bool,
    /// The stored access token. It is boxed, like `lease`, so that a record without an access token
    /// stays small.
    pub(crate) access_token: Option<Box<StoredToken>>,
    pub(crate) lease: Option<Box<Lease>>,
}

/// Whether a consent can still be refreshed (O6). `suspicion.rs` implements the transitions.
#[derive(Clone, Copy)]
pub(crate) enum Standing {
    Active,
    /// A refresh was refused, possibly by a gateway rather than by Flinks.
    Suspected(Suspicion),
    /// The consent has ended, and the end user must authorize again. `None` if the record was
    /// written by an earlier version of this crate, which did not store this information.
    Ended(Option<End>),
}

/// When and why a consent ended.
#[derive(Clone, Copy)]
pub(crate) struct End {
    pub(crate) at: SystemTime,
    pub(crate) reason: EndReason,
}

/// The reason a consent ended. ([O5, O6](flinks::rules))
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EndReason {
    /// Flinks refused a refresh with a final error code, such as `invalid_grant`.
    Refused,
    /// Refreshes were refused without a final error code for so long that a gateway is unlikely to
    /// be the cause.
    SuspicionConfirmed,
    /// The refresh token was not used for 30 days.
    Idle,
    /// The reason was not stored, because an earlier version of this crate wrote the record.
    Unknown,
}

/// The refusals that caused a consent to be suspected.
#[derive(Clone, Copy)]
pub(crate) struct Suspicion {
    /// The HTTP status of the refusals.
    pub(crate) status: u16,
    /// A hash of the error code. The code itself is not stored, because it is text from a server.
    /// `None` if the response contained no error code.
    pub(crate) code: Option<u64>,
    pub(crate) first_seen: SystemTime,
    pub(crate) last_seen: SystemTime,
}

/// A stored access token, which every process can use.
#[derive(Clone)]
pub(crate) struct StoredToken {
    pub(crate) secret: Secret,
    pub(crate) issued_at: SystemTime,
    pub(crate) lifetime: Duration,
}

/// The exclusive right of one process to refresh a consent until the lease expires.
#[derive(Clone)]
pub(crate) struct Lease {
    /// The lease holder.
    pub(crate) owner: String,
    pub(crate) expires_at: SystemTime,
    /// The total duration. It depends on the settings of the lease holder, which may differ from
    /// those of this process.
    pub(crate) duration: Duration,
}

/// How long a refresh token stays valid without a refresh (O5).
pub(super) const IDLE: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// The number of bits in a generation. JSON, Lua and JavaScript represent integers up to 2^53
/// exactly.
const GENERATION_BITS: u32 = 52;
/// The largest accepted difference between the wall clocks of two machines. A time that is further
/// in the future than this is treated as invalid.
pub(crate) const MAX_SKEW: Duration = Duration::from_secs(10 * 60);

impl Record {
    pub(crate) fn new(
        id: ConsentId,
        refresh_token: RefreshToken,
        consented_at: SystemTime,
        refreshed_at: SystemTime,
    ) -> Self {
        Self {
            id,
            generation: random_generation(),
            grant: random_id(),
            consented_at: whole_milliseconds(consented_at),
            refresh_token,
            refreshed_at: whole_milliseconds(refreshed_at),
            has_rotated: false,
            standing: Standing::Active,
            owner: None,
            label: None,
            is_owner_new: true,
            access_token: None,
            lease: None,
        }
    }

    /// Returns this record with a random generation, for a store that has no record of the consent.
    pub(crate) fn with_random_generation(self) -> Self {
        Self { generation: random_generation(), ..self }
    }

    /// Returns this record with the generation that follows `generation`.
    pub(crate) fn after(self, generation: u64) -> Self {
        Self { generation: generation.wrapping_add(1) % (1 << GENERATION_BITS), ..self }
    }

    /// Returns the id of the consent.
    pub fn id(&self) -> &ConsentId {
        &self.id
    }

    /// Returns the version of the record, which is less than 2^52 and changes with each write.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Returns the time at which the refresh token idles out: 30 days after the last refresh.
    /// [O5](flinks::rules)
    pub fn idle_deadline(&self) -> SystemTime {
        self.refreshed_at.checked_add(IDLE).unwrap_or(self.refreshed_at)
    }

    /// Returns the owner of the consent, or `None` if no owner was set.
    pub fn owner(&self) -> Option<&OwnerId> {
        self.owner.as_ref()
    }

    /// Returns whether the [`owner`](Self::owner) may be missing from the store's index of owners.
    /// Returns `false` for a record that was loaded from the store and then refreshed, so a refresh
    /// does not have to update the index.
    pub fn is_owner_new(&self) -> bool {
        self.owner.is_some() && self.is_owner_new
    }

    /// Returns whether the consent has ended and the end user must therefore authorize again.
    /// [O6](flinks::rules)
    pub fn is_ended(&self) -> bool {
        matches!(self.standing, Standing::Ended(_))
    }

    /// Returns `true` if the last refresh was refused and the refusal is not known to be final.
    /// [O6](flinks::rules)
    pub fn is_suspected(&self) -> bool {
        matches!(self.standing, Standing::Suspected(_))
    }
}

/// The output contains neither the id nor any secret.
impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("generation", &self.generation)
            .field("is_ended", &self.is_ended())
            .finish_non_exhaustive()
    }
}

/// Returns `time`, or the Unix epoch if `time` is more than [`MAX_SKEW`] in the future.
///
/// A time that is too far in the future was recorded while the wall clock was ahead, so the actual
/// time is unknown. The Unix epoch makes the consent due and is earlier than any recorded time.
pub(crate) fn trusted(time: SystemTime, now: SystemTime) -> SystemTime {
    if time.duration_since(now).is_ok_and(|ahead| ahead > MAX_SKEW) {
        return UNIX_EPOCH;
    }
    time
}

/// Returns a random generation, so that a record that is removed and created again gets a different
/// one. A delayed write that expects the removed record then fails.
fn random_generation() -> u64 {
    random_id() >> (u64::BITS - GENERATION_BITS + 4)
}

/// Returns 64 random bits from the operating system.
///
/// After a `fork`, an in-process random number generator would return the same bits in both
/// processes. Such a generator is therefore used only if the operating system does not return
/// random bits.
pub(crate) fn random_id() -> u64 {
    let mut bytes = [0; 8];
    match getrandom::fill(&mut bytes) {
        Ok(()) => u64::from_le_bytes(bytes),
        Err(_) => fastrand::u64(..),
    }
}

/// Rounds a time down to whole milliseconds, the precision of a stored record. The result equals
/// the time that is later loaded from the store.
pub(crate) fn whole_milliseconds(time: SystemTime) -> SystemTime {
    from_milliseconds(to_milliseconds(time)).unwrap_or(time)
}

pub(super) fn to_milliseconds(time: SystemTime) -> u64 {
    whole_number(time.duration_since(UNIX_EPOCH).unwrap_or_default())
}

pub(super) fn whole_number(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

pub(super) fn from_milliseconds(milliseconds: u64) -> Option<SystemTime> {
    UNIX_EPOCH.checked_add(Duration::from_millis(milliseconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recreated_record_has_a_different_generation() {
        let record = || {
            let now = SystemTime::now();
            Record::new("user-7".parse().unwrap(), RefreshToken::new("r").unwrap(), now, now)
        };
        let (one, other) = (record(), record());
        assert_ne!(one.generation(), other.generation());
        assert_ne!(one.grant, other.grant);
        assert_eq!(one.clone().after(7).generation(), 8);
        assert_eq!(one.after((1 << GENERATION_BITS) - 1).generation(), 0);
    }
}
