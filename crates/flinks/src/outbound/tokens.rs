//! The tokens returned by a grant.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use flinks_core::{Authorization, Deadline, HeaderValue, Secret, bearer_header};

use super::claims::{self, Claims};
use crate::bearer::Bearer;
use crate::error::Error;
use crate::validate::MUST_NOT_BE_EMPTY;

/// The tokens returned by a grant.
#[derive(derive_more::Debug)]
// The scope is text from the server, so `Debug` omits it (A6).
#[debug("Tokens {{ access_token: {access_token:?}, refresh_token: {refresh_token:?}, .. }}")]
#[non_exhaustive]
#[must_use = "a new refresh token must be stored, because the old one may no longer be valid"]
pub struct Tokens {
    /// The access token for the Open Banking API. If the response also contains a refresh token,
    /// the access token is returned even if it has already expired.
    pub access_token: AccessToken,
    /// The refresh token for requesting the next access token.
    ///
    /// According to the Flinks documentation, a refresh token is present after an authorization
    /// code has been exchanged. After a refresh, a refresh token is present only if the server
    /// replaced the old one. [O5](crate::rules)
    pub refresh_token: Option<RefreshToken>,
    /// The scope, if the response contains it.
    pub scope: Option<String>,
}

/// An access token, which can be used any number of times until it expires. Cloning is cheap.
/// [O4](crate::rules)
#[derive(Clone, derive_more::Debug)]
#[debug("AccessToken {{ is_expired: {:?}, .. }}", self.is_expired())]
pub struct AccessToken(Arc<Inner>);

struct Inner {
    bearer: Bearer,
    authorization: HeaderValue,
}

impl AccessToken {
    /// Creates a token. Returns `None` if the token is not a valid header value.
    pub(super) fn new(bearer: Bearer) -> Option<Self> {
        let authorization = bearer_header(bearer.secret()).ok()?;
        Some(Self(Arc::new(Inner { bearer, authorization })))
    }

    pub(super) fn secret(&self) -> &Secret {
        self.0.bearer.secret()
    }

    /// Returns the token for the `Authorization: Bearer …` header. Keep it out of logs, and mark
    /// the header as sensitive.
    pub fn expose_secret(&self) -> &str {
        self.secret().expose_secret()
    }

    /// Returns the value of the `Authorization` header: `Bearer …`, marked as sensitive. This
    /// method does not allocate, because the value is created once for each token.
    pub fn authorization(&self) -> HeaderValue {
        self.0.authorization.clone()
    }

    /// Returns the wall-clock time when the token was issued, or `None` if its lifetime is unknown.
    /// The time is recorded just before the token is requested. [A4, O3](crate::rules)
    pub fn issued_at(&self) -> Option<SystemTime> {
        self.0.bearer.deadline().and_then(Deadline::issued_at)
    }

    /// Returns the token's lifetime, measured from the time of issue, or `None` if the response did
    /// not include a lifetime. [O3](crate::rules)
    pub fn lifetime(&self) -> Option<Duration> {
        self.0.bearer.deadline().map(Deadline::lifetime)
    }

    /// Returns the token's remaining lifetime: the shorter of the values given by the monotonic
    /// clock and the wall clock. Returns zero if the token has expired, and `None` if its lifetime
    /// is unknown. [A4, O3](crate::rules)
    pub fn remaining(&self) -> Option<Duration> {
        self.0.bearer.deadline().map(Deadline::remaining)
    }

    /// Returns the wall-clock time when the token expires, or `None` if its lifetime is unknown.
    /// The lifetime starts just before the request is sent. [A4, O3](crate::rules)
    pub fn expires_at(&self) -> Option<SystemTime> {
        self.0.bearer.expires_at()
    }

    /// Returns whether the token has expired according to either the monotonic clock or the wall
    /// clock. [A4](crate::rules)
    pub fn is_expired(&self) -> bool {
        self.0.bearer.is_expired()
    }

    /// Returns the claims in an end user's access token, **without verifying its signature**. Use
    /// the claims only for your own records, never to authenticate anyone.
    ///
    /// Returns `None` if the token is not a JWT, as is the case with tokens from the
    /// `client_credentials` grant. [O8](crate::rules)
    pub fn unverified_claims(&self) -> Option<Claims> {
        claims::parse(self.expose_secret())
    }
}

/// Creates the bearer-token argument for an operation in a generated crate.
impl From<&AccessToken> for Authorization {
    fn from(token: &AccessToken) -> Self {
        Self::bearer(token.secret())
    }
}

/// A refresh token. It has no fixed expiry and usually does not change, but becomes invalid if it
/// is not used for 30 days. Store it as a secret. [O5](crate::rules)
#[derive(Clone, Debug)]
pub struct RefreshToken(Secret);

impl RefreshToken {
    /// Creates a refresh token from its stored plain text.
    ///
    /// # Errors
    ///
    /// Returns an error if the text is empty or contains a line break or another control character.
    pub fn new(secret: impl Into<Secret>) -> Result<Self, Error> {
        let secret = secret.into();
        if secret.expose_secret().trim().is_empty() {
            return Err(Error::input("refresh token", MUST_NOT_BE_EMPTY));
        }
        if secret.expose_secret().contains(char::is_control) {
            return Err(Error::input("refresh token", "must not contain a line break or another control character"));
        }
        Ok(Self(secret))
    }

    /// Returns the token's plain text, for storage.
    pub fn expose_secret(&self) -> &str {
        self.0.expose_secret()
    }

    pub(super) fn secret(&self) -> &Secret {
        &self.0
    }
}
