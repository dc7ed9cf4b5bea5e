//! The id of an access token.

use std::time::SystemTime;

use flinks::outbound::AccessToken;
use sha2::{Digest as _, Sha256};

use crate::store::whole_milliseconds;

/// The id of an access token. It is the same in all processes and does not contain the token. It
/// also depends on the time of issue, so a token string that is issued at two different times has
/// two ids.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TokenId(u64);

impl TokenId {
    pub(crate) fn new(secret: &str, issued_at: Option<SystemTime>) -> Self {
        let issued_at = issued_at.map(whole_milliseconds);
        let since_epoch = issued_at.and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
        let mut hash = Sha256::new();
        hash.update(since_epoch.unwrap_or_default().as_millis().to_le_bytes());
        hash.update(secret);
        Self(first_bytes(&hash.finalize()))
    }

    pub(crate) fn from_token(token: &AccessToken) -> Self {
        Self::new(token.expose_secret(), token.issued_at())
    }

    pub(crate) fn to_u64(self) -> u64 {
        self.0
    }
}

/// Returns the first 8 bytes of a hash as a number.
pub(crate) fn first_bytes(hash: &[u8]) -> u64 {
    let mut bytes = [0_u8; 8];
    for (to, from) in bytes.iter_mut().zip(hash) {
        *to = *from;
    }
    u64::from_be_bytes(bytes)
}
