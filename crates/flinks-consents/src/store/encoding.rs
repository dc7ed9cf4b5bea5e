//! The encoding of a record as JSON with a version number.

use std::time::Duration;

use flinks::Secret;
use flinks::outbound::RefreshToken;
use serde::{Deserialize, Serialize};

use super::error::StoreError;
use super::id::{ConsentId, OwnerId};
use super::record::{
    End, EndReason, Lease, Record, Standing, StoredToken, Suspicion, from_milliseconds, to_milliseconds, whole_number,
};
use crate::token_id::TokenId;

/// The newest version of the encoding. Version 2 added `suspicion`. Version 3 added `owner`,
/// `label` and `end`. This crate can decode all earlier versions.
const VERSION: u32 = 3;

#[derive(Deserialize)]
struct Version {
    version: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EncodedRecord {
    version: u32,
    id: String,
    generation: u64,
    refresh_token: Secret,
    #[serde(rename = "consent")]
    grant: u64,
    consented_at_ms: u64,
    #[serde(rename = "exchanged_at_ms")]
    last_refreshed_at_ms: u64,
    has_rotated: bool,
    is_ended: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    suspicion: Option<EncodedSuspicion>,
    access_token: Option<EncodedToken>,
    #[serde(rename = "claim")]
    lease: Option<EncodedLease>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    label: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    end: Option<EncodedEnd>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EncodedEnd {
    at_ms: u64,
    reason: EncodedReason,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum EncodedReason {
    Refused,
    SuspicionConfirmed,
    Idle,
    Unknown,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EncodedSuspicion {
    status: u16,
    code: Option<u64>,
    first_seen_ms: u64,
    last_seen_ms: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EncodedToken {
    /// An identifier derived from the other fields. This version of the crate writes it, but only
    /// earlier versions read it.
    id: u64,
    secret: Secret,
    issued_at_ms: u64,
    lifetime_ms: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EncodedLease {
    owner: String,
    #[serde(rename = "until_ms")]
    expires_at_ms: u64,
    #[serde(rename = "lasts_ms")]
    duration_ms: u64,
}

const DAMAGED: StoreError = StoreError::damaged("contains a value that is not a record");
const NEWER_VERSION: StoreError = StoreError::misconfigured("contains a record from a newer version of this crate");

impl Record {
    /// Encodes the record as unencrypted JSON.
    ///
    /// # Errors
    ///
    /// Returns [`StoreError::Misconfigured`] if the record cannot be encoded.
    pub fn encode(&self) -> Result<Secret, StoreError> {
        let suspicion = match &self.standing {
            Standing::Suspected(suspicion) => Some(EncodedSuspicion::from(suspicion)),
            Standing::Active | Standing::Ended(_) => None,
        };
        let end = match &self.standing {
            Standing::Ended(end) => end.map(EncodedEnd::from),
            Standing::Active | Standing::Suspected(_) => None,
        };
        // Uses the lowest version that has all the required fields, so that processes with an
        // earlier version of this crate can read the record if possible.
        let version = match (&self.owner, &self.label, &end, &suspicion) {
            (None, None, None, None) => 1,
            (None, None, None, Some(_)) => 2,
            _ => VERSION,
        };
        let encoded = EncodedRecord {
            version,
            id: self.id.as_str().to_owned(),
            generation: self.generation,
            refresh_token: Secret::new(self.refresh_token.expose_secret()),
            grant: self.grant,
            consented_at_ms: to_milliseconds(self.consented_at),
            last_refreshed_at_ms: to_milliseconds(self.refreshed_at),
            has_rotated: self.has_rotated,
            is_ended: self.is_ended(),
            suspicion,
            access_token: self.access_token.as_deref().map(EncodedToken::from),
            lease: self.lease.as_deref().map(EncodedLease::from),
            owner: self.owner.as_ref().map(|owner| owner.as_str().to_owned()),
            label: self.label.as_deref().map(str::to_owned),
            end,
        };
        let text =
            serde_json::to_string(&encoded).map_err(|_| StoreError::misconfigured("failed to encode a record"))?;
        Ok(Secret::new(text))
    }

    /// Decodes the record of the consent `id` from the output of [`encode`](Self::encode).
    ///
    /// # Errors
    ///
    /// Returns [`StoreError::Damaged`] if the value is not a record or belongs to another consent.
    /// Returns [`StoreError::Misconfigured`] if a later version of this crate wrote the record.
    pub fn decode(id: &ConsentId, bytes: &[u8]) -> Result<Self, StoreError> {
        let record = Self::decode_any(bytes)?;
        if record.id != *id {
            return Err(StoreError::damaged("returned another consent's record"));
        }
        Ok(record)
    }

    /// Decodes the record of any consent. The [`id`](Self::id) of the decoded record identifies its
    /// consent.
    ///
    /// # Errors
    ///
    /// Returns [`StoreError::Damaged`] if the value is not a record. Returns
    /// [`StoreError::Misconfigured`] if a later version of this crate wrote the record.
    pub fn decode_any(bytes: &[u8]) -> Result<Self, StoreError> {
        match serde_json::from_slice::<EncodedRecord>(bytes) {
            Ok(encoded) if encoded.version <= VERSION => encoded.decode().ok_or(DAMAGED),
            Ok(_) => Err(NEWER_VERSION),
            // A newer version may have other fields.
            Err(_) => match serde_json::from_slice(bytes) {
                Ok(Version { version }) if version > VERSION => Err(NEWER_VERSION),
                _ => Err(DAMAGED),
            },
        }
    }
}

impl EncodedRecord {
    /// Converts the fields into a record. Returns `None` if a value is out of range.
    fn decode(self) -> Option<Record> {
        let standing = match (self.is_ended, self.suspicion) {
            (true, _) => Standing::Ended(match self.end {
                Some(end) => Some(end.decode()?),
                None => None,
            }),
            (false, Some(suspicion)) => Standing::Suspected(suspicion.decode()?),
            (false, None) => Standing::Active,
        };
        let access_token = match self.access_token {
            Some(token) => Some(Box::new(token.decode()?)),
            None => None,
        };
        let lease = match self.lease {
            Some(lease) => Some(Box::new(lease.decode()?)),
            None => None,
        };
        Some(Record {
            id: ConsentId::new(self.id).ok()?,
            generation: self.generation,
            grant: self.grant,
            consented_at: from_milliseconds(self.consented_at_ms)?,
            refresh_token: RefreshToken::new(self.refresh_token).ok()?,
            refreshed_at: from_milliseconds(self.last_refreshed_at_ms)?,
            has_rotated: self.has_rotated,
            standing,
            owner: self.owner.map(OwnerId::new).transpose().ok()?,
            label: self.label.map(String::into_boxed_str),
            is_owner_new: false,
            access_token,
            lease,
        })
    }
}

impl From<End> for EncodedEnd {
    fn from(end: End) -> Self {
        let reason = match end.reason {
            EndReason::Refused => EncodedReason::Refused,
            EndReason::SuspicionConfirmed => EncodedReason::SuspicionConfirmed,
            EndReason::Idle => EncodedReason::Idle,
            EndReason::Unknown => EncodedReason::Unknown,
        };
        Self { at_ms: to_milliseconds(end.at), reason }
    }
}

impl EncodedEnd {
    fn decode(self) -> Option<End> {
        let reason = match self.reason {
            EncodedReason::Refused => EndReason::Refused,
            EncodedReason::SuspicionConfirmed => EndReason::SuspicionConfirmed,
            EncodedReason::Idle => EndReason::Idle,
            EncodedReason::Unknown => EndReason::Unknown,
        };
        Some(End { at: from_milliseconds(self.at_ms)?, reason })
    }
}

impl From<&Suspicion> for EncodedSuspicion {
    fn from(suspicion: &Suspicion) -> Self {
        Self {
            status: suspicion.status,
            code: suspicion.code,
            first_seen_ms: to_milliseconds(suspicion.first_seen),
            last_seen_ms: to_milliseconds(suspicion.last_seen),
        }
    }
}

impl EncodedSuspicion {
    fn decode(self) -> Option<Suspicion> {
        Some(Suspicion {
            status: self.status,
            code: self.code,
            first_seen: from_milliseconds(self.first_seen_ms)?,
            last_seen: from_milliseconds(self.last_seen_ms)?,
        })
    }
}

impl From<&StoredToken> for EncodedToken {
    fn from(token: &StoredToken) -> Self {
        Self {
            id: TokenId::new(token.secret.expose_secret(), Some(token.issued_at)).to_u64(),
            secret: token.secret.clone(),
            issued_at_ms: to_milliseconds(token.issued_at),
            lifetime_ms: whole_number(token.lifetime),
        }
    }
}

impl EncodedToken {
    fn decode(self) -> Option<StoredToken> {
        Some(StoredToken {
            secret: self.secret,
            issued_at: from_milliseconds(self.issued_at_ms)?,
            lifetime: Duration::from_millis(self.lifetime_ms),
        })
    }
}

impl From<&Lease> for EncodedLease {
    fn from(lease: &Lease) -> Self {
        Self {
            owner: lease.owner.clone(),
            expires_at_ms: to_milliseconds(lease.expires_at),
            duration_ms: whole_number(lease.duration),
        }
    }
}

impl EncodedLease {
    fn decode(self) -> Option<Lease> {
        Some(Lease {
            owner: self.owner,
            expires_at: from_milliseconds(self.expires_at_ms)?,
            duration: Duration::from_millis(self.duration_ms),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::{SystemTime, UNIX_EPOCH};

    use super::*;

    fn record() -> Record {
        let now = SystemTime::now();
        Record::new("user-7".parse().unwrap(), RefreshToken::new("r").unwrap(), now, now)
    }

    fn text_of(record: &Record) -> String {
        record.encode().unwrap().expose_secret().to_owned()
    }

    fn decode(text: &str) -> Result<Record, StoreError> {
        Record::decode(&"user-7".parse().unwrap(), text.as_bytes())
    }

    #[test]
    fn record_is_encoded_with_the_lowest_possible_version() {
        let text = text_of(&record());
        assert!(text.contains("\"version\":1"));
        assert!(!text.contains("suspicion"));
        assert!(!decode(&text).unwrap().is_suspected());
        let suspicion = Suspicion { status: 403, code: None, first_seen: UNIX_EPOCH, last_seen: UNIX_EPOCH };
        let text = text_of(&Record { standing: Standing::Suspected(suspicion), ..record() });
        assert!(text.contains("\"version\":2"));
        assert!(decode(&text).unwrap().is_suspected());
        let owned = Record { owner: Some("user-7".parse().unwrap()), label: Some("My bank".into()), ..record() };
        let text = text_of(&owned);
        assert!(text.contains("\"version\":3"));
        let found = decode(&text).unwrap();
        assert_eq!(found.owner(), owned.owner());
        assert_eq!(found.label.as_deref(), Some("My bank"));
        assert!(owned.is_owner_new());
        assert!(!found.is_owner_new());
        let end = End { at: UNIX_EPOCH, reason: EndReason::SuspicionConfirmed };
        let text = text_of(&Record { standing: Standing::Ended(Some(end)), ..record() });
        let Standing::Ended(Some(found)) = decode(&text).unwrap().standing else { panic!("the end is lost") };
        assert_eq!(found.at, end.at);
        assert_eq!(found.reason, end.reason);
        // Earlier versions did not store when and why a consent ended.
        let text = text_of(&Record { standing: Standing::Ended(None), ..record() });
        assert!(text.contains("\"version\":1"));
        assert!(decode(&text).unwrap().is_ended());
    }

    #[test]
    fn record_of_a_newer_version_is_not_damaged() {
        let text = text_of(&record());
        let newer = text.replace("\"version\":1", "\"version\":4");
        assert_eq!(decode(&newer).map(drop), Err(NEWER_VERSION));
        assert_eq!(decode(&newer.replace("\"has_rotated", "\"new\":1,\"has_rotated")).map(drop), Err(NEWER_VERSION));
        assert_eq!(decode("{\"version\":4}").map(drop), Err(NEWER_VERSION));
        assert_eq!(decode("{\"version\":1}").map(drop), Err(DAMAGED));
        assert_eq!(decode(&text.replace("\"version\":1,", "")).map(drop), Err(DAMAGED));
        assert_eq!(decode("{").map(drop), Err(DAMAGED));
    }

    #[test]
    fn out_of_range_time_never_panics() {
        let text = text_of(&record());
        for field in ["consented_at_ms", "exchanged_at_ms"] {
            let start = text.find(field).unwrap() + field.len() + 2;
            let digits = text.get(start..).unwrap().find(',').unwrap();
            let mut text = text.clone();
            text.replace_range(start..start + digits, &u64::MAX.to_string());
            // Clock ranges differ between platforms, so decoding may succeed here. It must not
            // panic in either case.
            let _ = decode(&text).map(|record| record.idle_deadline());
            text.replace_range(start..start + 1, "-");
            assert!(decode(&text).is_err());
        }
    }
}
