//! What is kept of a consent, and its form at rest.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use flinks_core::{ExpiresIn, Secret};
use serde::{Deserialize, Serialize};

use super::{ConsentId, StoreError};
use crate::outbound::tokens::RefreshToken;

/// What is kept of a consent. A store keeps it whole: it looks at [`id`](Self::id), [`generation`](Self::generation),
/// [`idle_deadline`](Self::idle_deadline) and [`is_over`](Self::is_over), and writes what [`encode`](Self::encode) gives.
#[derive(Clone)]
pub struct Record {
    pub(in crate::outbound) id: ConsentId,
    pub(in crate::outbound) generation: u64,
    pub(in crate::outbound) refresh_token: RefreshToken,
    /// Which consent of the end user's it is, whatever its refresh token is by now; and when it was given, as far as is known.
    pub(in crate::outbound) consent: u64,
    pub(in crate::outbound) consented_at: SystemTime,
    pub(in crate::outbound) exchanged_at: SystemTime,
    /// Whether a refresh token was ever replaced: then a lost reply is not asked for again (A5).
    pub(in crate::outbound) has_rotated: bool,
    pub(in crate::outbound) is_over: bool,
    pub(in crate::outbound) suspicion: Option<Suspicion>,
    /// Boxed, as the claim is: most consents are at rest.
    pub(in crate::outbound) access_token: Option<Box<KeptToken>>,
    pub(in crate::outbound) claim: Option<Box<Claim>>,
}

/// An access token that others may use.
#[derive(Clone)]
pub(in crate::outbound) struct KeptToken {
    pub(in crate::outbound) id: u64,
    pub(in crate::outbound) secret: Secret,
    pub(in crate::outbound) issued_at: SystemTime,
    pub(in crate::outbound) lifetime: Duration,
}

/// Refusals that do not end the consent yet, because a gateway may have sent them (O6).
#[derive(Clone, Copy)]
pub(in crate::outbound) struct Suspicion {
    pub(in crate::outbound) status: u16,
    /// A hash of the error code, because a server wrote it. `None` if the reply had no code.
    pub(in crate::outbound) code: Option<u64>,
    pub(in crate::outbound) first_seen: SystemTime,
    pub(in crate::outbound) last_seen: SystemTime,
}

/// Who may exchange the refresh token.
#[derive(Clone)]
pub(in crate::outbound) struct Claim {
    pub(in crate::outbound) owner: String,
    pub(in crate::outbound) until: SystemTime,
    /// As its owner reckons, who may have other settings.
    pub(in crate::outbound) lasts: Duration,
}

/// A refresh token idles out after 30 days without an exchange (O5).
const IDLE: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// So that a generation is a number in JSON, Lua and JavaScript, too: 2^53 are exact there.
const GENERATION_BITS: u32 = 52;
/// How far the wall clocks of two machines may be apart before a time counts as wrong.
pub(in crate::outbound) const MAX_SKEW: Duration = Duration::from_secs(10 * 60);

/// Returns `time`, or the Unix epoch if `time` lies in the future: the wall clock was ahead when that time was written, so nobody
/// knows when it really was. The epoch makes a consent due, and loses each comparison with a time that is known.
pub(in crate::outbound) fn trusted(time: SystemTime, now: SystemTime) -> SystemTime {
    if time.duration_since(now).is_ok_and(|ahead| ahead > MAX_SKEW) {
        return UNIX_EPOCH;
    }
    time
}

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
        if record.is_over() {
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
}

impl Record {
    pub(in crate::outbound) fn new(
        id: ConsentId,
        refresh_token: RefreshToken,
        consented_at: SystemTime,
        exchanged_at: SystemTime,
    ) -> Self {
        Self {
            id,
            // Random, so that a generation from before a removal does not return after it.
            generation: random_id() >> (u64::BITS - GENERATION_BITS + 4),
            refresh_token,
            consent: random_id(),
            consented_at: whole_milliseconds(consented_at),
            exchanged_at: whole_milliseconds(exchanged_at),
            has_rotated: false,
            is_over: false,
            suspicion: None,
            access_token: None,
            claim: None,
        }
    }

    /// As the one that follows `generation`.
    pub(in crate::outbound) fn after(self, generation: u64) -> Self {
        Self { generation: generation.wrapping_add(1) % (1 << GENERATION_BITS), ..self }
    }

    /// The consent that it is of.
    pub fn id(&self) -> &ConsentId {
        &self.id
    }

    /// Which version of the record it is: another one with each change, and below 2^52.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// When the refresh token idles out, unless it is exchanged before: 30 days after the last exchange (O5).
    pub fn idle_deadline(&self) -> SystemTime {
        self.exchanged_at.checked_add(IDLE).unwrap_or(self.exchanged_at)
    }

    /// Whether the end user must consent again (O6).
    pub fn is_over(&self) -> bool {
        self.is_over
    }

    /// Whether the last refresh was refused in a way that does not end the consent yet (O6).
    pub fn is_suspected(&self) -> bool {
        self.suspicion.is_some() && !self.is_over
    }

    /// In clear text: JSON, with a version.
    ///
    /// # Errors
    ///
    /// [`StoreError::Refused`] where it cannot be written.
    pub fn encode(&self) -> Result<Secret, StoreError> {
        let stored = Stored {
            // The lowest that holds it, so that processes of the version before can read it.
            version: if self.suspicion.is_some() { VERSION } else { 1 },
            id: self.id.as_str().to_owned(),
            generation: self.generation,
            refresh_token: self.refresh_token.secret().clone(),
            consent: self.consent,
            consented_at_ms: to_milliseconds(self.consented_at),
            exchanged_at_ms: to_milliseconds(self.exchanged_at),
            has_rotated: self.has_rotated,
            is_over: self.is_over,
            suspicion: self.suspicion.map(|suspicion| StoredSuspicion {
                status: suspicion.status,
                code: suspicion.code,
                first_seen_ms: to_milliseconds(suspicion.first_seen),
                last_seen_ms: to_milliseconds(suspicion.last_seen),
            }),
            access_token: self.access_token.as_ref().map(|token| StoredToken {
                id: token.id,
                secret: token.secret.clone(),
                issued_at_ms: to_milliseconds(token.issued_at),
                lifetime_ms: whole_number(token.lifetime),
            }),
            claim: self.claim.as_ref().map(|claim| StoredClaim {
                owner: claim.owner.clone(),
                until_ms: to_milliseconds(claim.until),
                lasts_ms: whole_number(claim.lasts),
            }),
        };
        let text = serde_json::to_string(&stored).map_err(|_| StoreError::refused("cannot write a record"))?;
        Ok(Secret::new(text))
    }

    /// What [`encode`](Self::encode) gave for the consent `id`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`] where it is no record, or one of another consent; [`StoreError::Refused`] where a newer
    /// version of this crate wrote it.
    pub fn decode(id: &ConsentId, bytes: &[u8]) -> Result<Self, StoreError> {
        match Self::decode_any(bytes)? {
            record if record.id == *id => Ok(record),
            _ => Err(StoreError::damaged("holds the record of another consent")),
        }
    }

    /// What [`encode`](Self::encode) gave for whatever consent: [`id`](Self::id) tells.
    ///
    /// # Errors
    ///
    /// As [`decode`](Self::decode).
    pub fn decode_any(bytes: &[u8]) -> Result<Self, StoreError> {
        const DAMAGED: StoreError = StoreError::damaged("holds a value that is not a record");
        let Version { version } = serde_json::from_slice(bytes).map_err(|_| DAMAGED)?;
        if version > VERSION {
            return Err(StoreError::refused("was written by a newer version"));
        }
        let stored: Stored = serde_json::from_slice(bytes).map_err(|_| DAMAGED)?;
        let access_token = match stored.access_token {
            Some(token) => Some(Box::new(KeptToken {
                id: token.id,
                secret: token.secret,
                issued_at: from_milliseconds(token.issued_at_ms).ok_or(DAMAGED)?,
                lifetime: Duration::from_millis(token.lifetime_ms).min(ExpiresIn::MAX),
            })),
            None => None,
        };
        let suspicion = match stored.suspicion {
            Some(suspicion) => Some(Suspicion {
                status: suspicion.status,
                code: suspicion.code,
                first_seen: from_milliseconds(suspicion.first_seen_ms).ok_or(DAMAGED)?,
                last_seen: from_milliseconds(suspicion.last_seen_ms).ok_or(DAMAGED)?,
            }),
            None => None,
        };
        let claim = match stored.claim {
            Some(claim) => Some(Box::new(Claim {
                owner: claim.owner,
                until: from_milliseconds(claim.until_ms).ok_or(DAMAGED)?,
                lasts: Duration::from_millis(claim.lasts_ms),
            })),
            None => None,
        };
        Ok(Self {
            id: ConsentId::new(stored.id).map_err(|_| DAMAGED)?,
            generation: stored.generation,
            refresh_token: RefreshToken::new(stored.refresh_token).map_err(|_| DAMAGED)?,
            consent: stored.consent,
            consented_at: from_milliseconds(stored.consented_at_ms).ok_or(DAMAGED)?,
            exchanged_at: from_milliseconds(stored.exchanged_at_ms).ok_or(DAMAGED)?,
            has_rotated: stored.has_rotated,
            is_over: stored.is_over,
            suspicion,
            access_token,
            claim,
        })
    }
}

/// Neither whose it is, nor a secret.
impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("generation", &self.generation)
            .field("is_over", &self.is_over)
            .finish_non_exhaustive()
    }
}

/// The second version added `suspicion`. The first is read too.
const VERSION: u32 = 2;

#[derive(Deserialize)]
struct Version {
    version: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    version: u32,
    id: String,
    generation: u64,
    refresh_token: Secret,
    consent: u64,
    consented_at_ms: u64,
    exchanged_at_ms: u64,
    has_rotated: bool,
    is_over: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    suspicion: Option<StoredSuspicion>,
    access_token: Option<StoredToken>,
    claim: Option<StoredClaim>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredSuspicion {
    status: u16,
    code: Option<u64>,
    first_seen_ms: u64,
    last_seen_ms: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredToken {
    id: u64,
    secret: Secret,
    issued_at_ms: u64,
    lifetime_ms: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredClaim {
    owner: String,
    until_ms: u64,
    lasts_ms: u64,
}

/// Returns 64 random bits of the operating system. A generator in this process could repeat itself in two processes that come from
/// one `fork`; it is used only if the operating system has none.
pub(in crate::outbound) fn random_id() -> u64 {
    let mut bytes = [0; 8];
    match getrandom::fill(&mut bytes) {
        Ok(()) => u64::from_le_bytes(bytes),
        Err(_) => fastrand::u64(..),
    }
}

/// As a record keeps it, so that one that was stored is equal to what was meant.
pub(in crate::outbound) fn whole_milliseconds(time: SystemTime) -> SystemTime {
    from_milliseconds(to_milliseconds(time)).unwrap_or(time)
}

fn to_milliseconds(time: SystemTime) -> u64 {
    whole_number(time.duration_since(UNIX_EPOCH).unwrap_or_default())
}

fn whole_number(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn from_milliseconds(milliseconds: u64) -> Option<SystemTime> {
    UNIX_EPOCH.checked_add(Duration::from_millis(milliseconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        let (id, now) = ("user-7".parse().unwrap(), SystemTime::now());
        Record::new(id, RefreshToken::new("r").unwrap(), now, now)
    }

    #[test]
    fn a_generation_is_not_met_again_after_a_removal() {
        let (one, other) = (record(), record());
        assert!(one.generation() != other.generation() && one.consent != other.consent);
        let last = (1 << GENERATION_BITS) - 1;
        assert_eq!((one.clone().after(7).generation(), one.after(last).generation()), (8, 0));
    }

    #[test]
    fn o3_no_lifetime_in_a_store_is_longer_than_that_of_any_token() {
        let token = KeptToken { id: 1, secret: Secret::new("a"), issued_at: UNIX_EPOCH, lifetime: Duration::MAX };
        let access_token = Some(Box::new(token));
        let record = Record { access_token, ..record() };
        let read = Record::decode(record.id(), record.encode().unwrap().expose_secret().as_bytes()).unwrap();
        assert_eq!(read.access_token.unwrap().lifetime, ExpiresIn::MAX);
    }

    #[test]
    fn a_record_has_the_lowest_version_that_holds_it() {
        let text = record().encode().unwrap().expose_secret().to_owned();
        assert!(text.contains("\"version\":1"));
        assert!(!text.contains("suspicion"));
        assert!(!Record::decode(&"user-7".parse().unwrap(), text.as_bytes()).unwrap().is_suspected());
        let suspicion = Some(Suspicion { status: 403, code: None, first_seen: UNIX_EPOCH, last_seen: UNIX_EPOCH });
        let text = Record { suspicion, ..record() }.encode().unwrap().expose_secret().to_owned();
        assert!(text.contains("\"version\":2"));
        assert!(Record::decode(&"user-7".parse().unwrap(), text.as_bytes()).unwrap().is_suspected());
    }

    #[test]
    fn o5_a_window_that_is_too_long_holds_everything() {
        let now = SystemTime::now();
        assert!(DueWindow::new(now, Duration::MAX).rank(&record()).is_some());
    }

    #[test]
    fn what_no_clock_can_tell_is_damage() {
        let text = record().encode().unwrap().expose_secret().to_owned();
        for field in ["consented_at_ms", "exchanged_at_ms"] {
            let start = text.find(field).unwrap() + field.len() + 2;
            let digits = text.get(start..).unwrap().find(',').unwrap();
            let mut text = text.clone();
            text.replace_range(start..start + digits, &u64::MAX.to_string());
            // A clock may be able to tell it, and then it is a date; no panic either way.
            let _ = Record::decode(&"user-7".parse().unwrap(), text.as_bytes()).map(|record| record.idle_deadline());
            text.replace_range(start..start + 1, "-");
            assert!(Record::decode(&"user-7".parse().unwrap(), text.as_bytes()).is_err());
        }
    }
}
