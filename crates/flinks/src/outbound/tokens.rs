//! The tokens that a grant returns.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use flinks_core::{Deadline, Secret};

use super::claims::{Claims, claims};
use crate::bearer::Bearer;
use crate::error::Error;

/// What an exchange gives.
#[derive(derive_more::Debug)]
// The scope is text of the server, and is not shown (A6).
#[debug("Tokens {{ access_token: {access_token:?}, refresh_token: {refresh_token:?}, .. }}")]
#[non_exhaustive]
#[must_use = "a new refresh token must be stored, because the old one may no longer be valid"]
pub struct Tokens {
    /// For the Open Banking API, until it expires. With a new refresh token beside it, it may have expired already.
    pub access_token: AccessToken,
    /// For the next access token. After an exchange of a code the pages promise it; after one of a refresh token it is there
    /// only if that has been replaced (O5).
    pub refresh_token: Option<RefreshToken>,
    /// The scope, where the reply tells one.
    pub scope: Option<String>,
}

/// A bearer token, which can be used again until it expires (O4). Cloning is cheap.
#[derive(Clone, derive_more::Debug)]
#[debug("AccessToken {{ is_expired: {:?}, .. }}", self.is_expired())]
pub struct AccessToken(Arc<Bearer>);

impl AccessToken {
    pub(super) fn new(bearer: Bearer) -> Self {
        Self(Arc::new(bearer))
    }

    pub(super) fn secret(&self) -> &Secret {
        self.0.secret()
    }

    /// Returns the token, for `Authorization: Bearer …`. Keep it out of logs, and mark the header as sensitive.
    pub fn expose_secret(&self) -> &str {
        self.secret().expose_secret()
    }

    /// Returns when the token was issued, on the wall clock: just before it was requested (A4). `None` if its lifetime is unknown
    /// (O3).
    pub fn issued_at(&self) -> Option<SystemTime> {
        self.0.deadline().and_then(Deadline::issued_at)
    }

    /// Returns how long the token is valid in all, from when it was issued. `None` if the reply did not include a lifetime (O3).
    pub fn lifetime(&self) -> Option<Duration> {
        self.0.deadline().map(Deadline::lifetime)
    }

    /// Returns how long the token is still valid, by the clock that leaves less of it (A4). Zero if it has expired, and `None` if
    /// its lifetime is unknown (O3).
    pub fn remaining(&self) -> Option<Duration> {
        self.0.deadline().map(Deadline::remaining)
    }

    /// Returns when the token expires, on the wall clock, counted from just before it was requested (A4). `None` if its lifetime
    /// is unknown (O3).
    pub fn expires_at(&self) -> Option<SystemTime> {
        self.0.expires_at()
    }

    /// Returns whether the token has expired, on either clock (A4).
    pub fn is_expired(&self) -> bool {
        self.0.is_expired()
    }

    /// Returns what an end user's token says of itself (O8), **without verifying its signature**: for your own records, and never
    /// for a decision about who somebody is. `None` if it is not a JWT, as with `client_credentials`.
    pub fn unverified_claims(&self) -> Option<Claims> {
        claims(self.expose_secret())
    }
}

/// A refresh token: it does not expire and does not change, but idles out after 30 days without an exchange (O5). Store it as
/// the secret that it is.
#[derive(Clone, Debug)]
pub struct RefreshToken(Secret);

impl RefreshToken {
    /// Wraps the clear text, as it was stored.
    ///
    /// # Errors
    ///
    /// An [`Error`] where it is empty, or holds a line break or another control character.
    pub fn new(secret: impl Into<Secret>) -> Result<Self, Error> {
        let secret = secret.into();
        if secret.expose_secret().trim().is_empty() {
            return Err(Error::input("refresh token", "is empty"));
        }
        if secret.expose_secret().contains(char::is_control) {
            return Err(Error::input("refresh token", "holds a line break or another control character"));
        }
        Ok(Self(secret))
    }

    /// The clear text, to store it.
    pub fn expose_secret(&self) -> &str {
        self.0.expose_secret()
    }

    pub(super) fn secret(&self) -> &Secret {
        &self.0
    }
}
