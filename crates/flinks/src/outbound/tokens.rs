//! What the grants give.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use flinks_core::Secret;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::cache::slack;
use super::store::random_id;
use crate::bearer::Bearer;
use crate::error::Error;
use crate::time::{Deadline, Moment};

/// What an exchange gives.
#[non_exhaustive]
#[must_use]
pub struct Tokens {
    /// For the Open Banking API, until it expires. With a new refresh token beside it, it may have expired already.
    pub access_token: AccessToken,
    /// For the next access token. After an exchange of a code the pages promise it; after one of a refresh token it is there
    /// only if that has been replaced (O5).
    pub refresh_token: Option<RefreshToken>,
    /// The scope, where the reply tells one.
    pub scope: Option<String>,
}

/// The scope is text of the server's, and is not shown (A6).
impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { access_token, refresh_token, .. } = self;
        f.debug_struct("Tokens")
            .field("access_token", access_token)
            .field("refresh_token", refresh_token)
            .finish_non_exhaustive()
    }
}

/// A bearer token, which may be used again until it expires (O4). Cloning is cheap.
#[derive(Clone)]
pub struct AccessToken(pub(super) Arc<Issued>);

pub(super) struct Issued {
    pub(super) bearer: Bearer,
    /// Which one it is, here and in the store: two of the same text, issued one after the other, are two.
    pub(super) id: u64,
    /// It is exchanged when no more than this is left (O4).
    slack: Duration,
    /// When that is. None where its lifetime is unknown: then there is always a reason (O3).
    fresh_until: Option<Moment>,
    /// The consent that it is a token of: the number in the record.
    pub(super) consent: OnceLock<u64>,
}

impl Issued {
    /// Whether there is no reason to exchange it yet.
    pub(super) fn is_fresh(&self) -> bool {
        let (Some(until), Some(deadline)) = (&self.fresh_until, self.bearer.deadline()) else { return false };
        Moment::now(deadline.clock()).is_before(until)
    }

    /// Whether it will do for a call that begins now.
    pub(super) fn lasts(&self) -> bool {
        self.remaining() > MARGIN.min(self.slack.mul_f64(0.25))
    }

    fn remaining(&self) -> Duration {
        self.bearer.deadline().map_or(Duration::ZERO, Deadline::remaining)
    }
}

/// A call that takes longer should ask for its token later.
const MARGIN: Duration = Duration::from_secs(10);

impl AccessToken {
    /// One that was just issued.
    pub(super) fn new(bearer: Bearer) -> Self {
        let lifetime = bearer.deadline().map(Deadline::lifetime).unwrap_or_default();
        Self::kept(bearer, random_id(), lifetime)
    }

    /// One that was kept, of whose `lifetime` a part may be over.
    pub(super) fn kept(bearer: Bearer, id: u64, lifetime: Duration) -> Self {
        let slack = slack(lifetime);
        let fresh_until = bearer.deadline().map(|deadline| deadline.before_end(slack));
        Self(Arc::new(Issued { bearer, id, slack, fresh_until, consent: OnceLock::new() }))
    }

    pub(super) fn secret(&self) -> &Secret {
        self.0.bearer.secret()
    }

    /// The token, for `Authorization: Bearer …`. Keep it out of logs, and mark the header as sensitive.
    pub fn expose_secret(&self) -> &str {
        self.secret().expose_secret()
    }

    /// When it expires, on the wall clock, counted from before it was asked for (A4). None where the reply did not tell (O3).
    pub fn expires_at(&self) -> Option<SystemTime> {
        self.0.bearer.expires_at()
    }

    /// Whether it has expired, on either clock (A4).
    pub fn is_expired(&self) -> bool {
        self.0.bearer.is_expired()
    }

    /// What an end user's token says of itself (O8), **without verifying its signature**: for your own records, and never for
    /// a decision about who somebody is. None where it is no JWT, as with `client_credentials`.
    pub fn unverified_claims(&self) -> Option<Claims> {
        claims(self.expose_secret())
    }
}

#[doc(hidden)]
pub fn claims(token: &str) -> Option<Claims> {
    let payload = token.split('.').nth(1)?;
    let payload = URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
    // It must be an object. Each claim is read by itself, so that an odd one costs no other.
    serde_json::from_slice::<HashMap<String, IgnoredAny>>(&payload).ok()?;
    let ClientIdClaim { client_id } = serde_json::from_slice(&payload).unwrap_or_default();
    let SubClaim { sub } = serde_json::from_slice(&payload).unwrap_or_default();
    let ExpClaim { exp } = serde_json::from_slice(&payload).unwrap_or_default();
    let exp = exp.or_else(|| whole_seconds(serde_json::from_slice(&payload).ok()?));
    Some(Claims { client_id, sub, exp })
}

#[derive(Default, Deserialize)]
struct ClientIdClaim {
    client_id: Option<String>,
}

#[derive(Default, Deserialize)]
struct SubClaim {
    sub: Option<String>,
}

#[derive(Default, Deserialize)]
struct ExpClaim {
    exp: Option<u64>,
}

/// RFC 7519 section 2 allows a fraction.
#[derive(Deserialize)]
struct FractionalExpClaim {
    exp: Option<f64>,
}

fn whole_seconds(claim: FractionalExpClaim) -> Option<u64> {
    Duration::try_from_secs_f64(claim.exp?).ok().map(|since_epoch| since_epoch.as_secs())
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessToken").field("is_expired", &self.is_expired()).finish_non_exhaustive()
    }
}

/// What an access token says of itself (O8). They decide no lifetime: the server's clock may be off.
///
/// A claim that is missing or has another type is `None`, and costs no other claim.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Claims {
    /// Your client id.
    pub client_id: Option<String>,
    /// Who the end user is at the data provider: the same in each of their tokens.
    pub sub: Option<String>,
    /// When it expires, in whole seconds since the Unix epoch, on the server's clock. A fraction is cut off.
    pub exp: Option<u64>,
}

/// A server wrote them, and `sub` is somebody.
impl fmt::Debug for Claims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claims").field("exp", &self.exp).finish_non_exhaustive()
    }
}

/// A refresh token: it does not expire and does not change, but idles out after 30 days without an exchange (O5). Store it as
/// the secret that it is.
#[derive(Clone)]
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

impl fmt::Debug for RefreshToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RefreshToken").field(&self.0).finish()
    }
}
