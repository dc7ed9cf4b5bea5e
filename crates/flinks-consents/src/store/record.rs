//! What is kept of a consent.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use flinks::Secret;
use flinks::outbound::RefreshToken;

use super::id::{ConsentId, OwnerId};

/// What is kept of a consent.
///
/// A store keeps it as a whole, as [`encode`](Self::encode) writes it, and needs only [`id`](Self::id),
/// [`generation`](Self::generation), [`idle_deadline`](Self::idle_deadline), [`is_ended`](Self::is_ended) and [`owner`](Self::owner) of it.
#[derive(Clone)]
pub struct Record {
    pub(crate) id: ConsentId,
    /// Which version of the record this is.
    pub(crate) generation: u64,
    /// Which consent of the end user this is, whatever its refresh token is by now. It changes only if they consent again.
    pub(crate) grant: u64,
    /// When the end user consented, as far as that is known.
    pub(crate) consented_at: SystemTime,
    pub(crate) refresh_token: RefreshToken,
    pub(crate) refreshed_at: SystemTime,
    /// Whether a refresh token was ever replaced. From then on a lost reply is not requested again (A5).
    pub(crate) has_rotated: bool,
    pub(crate) standing: Standing,
    /// Whose consent it is, and what the application calls it.
    pub(crate) owner: Option<OwnerId>,
    pub(crate) label: Option<Box<str>>,
    /// Whether the owner may be missing in an index of the store, because this record was not loaded from there.
    pub(crate) is_owner_new: bool,
    /// Boxed, as the lease is, because most consents are at rest.
    pub(crate) access_token: Option<Box<StoredToken>>,
    pub(crate) lease: Option<Box<Lease>>,
}

/// Whether the end user's consent still holds (O6). `suspicion.rs` has the transitions.
#[derive(Clone, Copy)]
pub(crate) enum Standing {
    Live,
    /// A refresh was refused, perhaps by a gateway.
    Suspected(Suspicion),
    /// A refresh was refused for good. The end user must consent again. `None` if a version wrote it that did not keep more.
    Ended(Option<End>),
}

/// The end of a consent.
#[derive(Clone, Copy)]
pub(crate) struct End {
    pub(crate) at: SystemTime,
    pub(crate) reason: EndReason,
}

/// Why a consent has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EndReason {
    /// Flinks refused a refresh with a code that is final, such as `invalid_grant` (O6).
    Refused,
    /// Refreshes were refused without such a code, for so long that it was not a gateway (O6).
    SuspicionConfirmed,
    /// The refresh token was not used for 30 days (O5).
    Idle,
    /// A version of this crate wrote the record that did not keep the reason.
    Unknown,
}

/// The refusals that have made a consent suspected.
#[derive(Clone, Copy)]
pub(crate) struct Suspicion {
    pub(crate) status: u16,
    /// A hash of the error code, because a server wrote it. `None` if the reply had no code.
    pub(crate) code: Option<u64>,
    pub(crate) first_seen: SystemTime,
    pub(crate) last_seen: SystemTime,
}

/// An access token that other processes may use.
#[derive(Clone)]
pub(crate) struct StoredToken {
    pub(crate) secret: Secret,
    pub(crate) issued_at: SystemTime,
    pub(crate) lifetime: Duration,
}

/// The right of one process to refresh the consent.
#[derive(Clone)]
pub(crate) struct Lease {
    pub(crate) owner: String,
    pub(crate) expires_at: SystemTime,
    /// The whole duration, as its owner calculates it, who may have other settings.
    pub(crate) duration: Duration,
}

/// A refresh token idles out after 30 days without a refresh (O5).
pub(super) const IDLE: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// A generation is a number in JSON, Lua and JavaScript, too, where integers up to 2^53 are exact.
const GENERATION_BITS: u32 = 52;
/// How far apart the wall clocks of two machines may be before a time counts as wrong.
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
            // Random, so that a generation from before a removal does not return after it.
            generation: random_id() >> (u64::BITS - GENERATION_BITS + 4),
            grant: random_id(),
            consented_at: whole_milliseconds(consented_at),
            refresh_token,
            refreshed_at: whole_milliseconds(refreshed_at),
            has_rotated: false,
            standing: Standing::Live,
            owner: None,
            label: None,
            is_owner_new: true,
            access_token: None,
            lease: None,
        }
    }

    /// Makes this the record that follows `generation`.
    pub(crate) fn after(self, generation: u64) -> Self {
        Self { generation: generation.wrapping_add(1) % (1 << GENERATION_BITS), ..self }
    }

    /// Returns the id of the consent.
    pub fn id(&self) -> &ConsentId {
        &self.id
    }

    /// Returns the version of the record: another one after each change, and below 2^52.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Returns when the refresh token idles out unless it is refreshed before: 30 days after the last refresh (O5).
    pub fn idle_deadline(&self) -> SystemTime {
        self.refreshed_at.checked_add(IDLE).unwrap_or(self.refreshed_at)
    }

    /// Returns whose consent this is.
    pub fn owner(&self) -> Option<&OwnerId> {
        self.owner.as_ref()
    }

    /// Returns whether the [`owner`](Self::owner) may be missing in an index of the store. It is `false` for a record that
    /// follows from one that the store has, so that a refresh does not need to write the index.
    pub fn is_owner_new(&self) -> bool {
        self.owner.is_some() && self.is_owner_new
    }

    /// Returns whether the end user must consent again (O6).
    pub fn is_ended(&self) -> bool {
        matches!(self.standing, Standing::Ended(_))
    }

    /// Returns whether the last refresh was refused in a way that does not end the consent yet (O6).
    pub fn is_suspected(&self) -> bool {
        matches!(self.standing, Standing::Suspected(_))
    }
}

/// Shows neither the id nor a secret.
impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("generation", &self.generation)
            .field("is_ended", &self.is_ended())
            .finish_non_exhaustive()
    }
}

/// Returns `time`, or the Unix epoch if `time` lies in the future: the wall clock was ahead when that time was written, so nobody
/// knows when it really was. The epoch makes a consent due, and is earlier than every time that is known.
pub(crate) fn trusted(time: SystemTime, now: SystemTime) -> SystemTime {
    if time.duration_since(now).is_ok_and(|ahead| ahead > MAX_SKEW) {
        return UNIX_EPOCH;
    }
    time
}

/// Returns 64 random bits of the operating system. A generator in this process could repeat itself in two processes that come from
/// one `fork`, so it is used only if the operating system has none.
pub(crate) fn random_id() -> u64 {
    let mut bytes = [0; 8];
    match getrandom::fill(&mut bytes) {
        Ok(()) => u64::from_le_bytes(bytes),
        Err(_) => fastrand::u64(..),
    }
}

/// Rounds a time down to the precision of a stored record, so that both compare as equal.
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
    fn a_generation_is_not_repeated_after_a_removal() {
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
