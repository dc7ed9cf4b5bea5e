//! Reads the claims in an access token (O8).

use std::collections::HashMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::IgnoredAny;

/// The unverified claims in an access token. They do not determine the token's lifetime, because
/// the server's clock may be wrong. [O8](crate::rules)
///
/// A claim is `None` if it is missing or has an unexpected type. An invalid claim does not affect
/// the others.
#[derive(Clone, PartialEq, Eq, derive_more::Debug)]
// The claims come from a server, and `sub` identifies a person.
#[debug("Claims {{ exp: {exp:?}, .. }}")]
#[non_exhaustive]
pub struct Claims {
    /// Your client id.
    pub client_id: Option<String>,
    /// The data provider's identifier for the end user. It is the same in all of the end user's
    /// tokens.
    pub sub: Option<String>,
    /// The time when the token expires according to the server's clock, in whole seconds since the
    /// Unix epoch. Fractions of a second are dropped.
    pub exp: Option<u64>,
}

/// Reads the claims of a JWT without verifying its signature. Returns `None` if the token is not a
/// JWT.
pub(crate) fn parse(token: &str) -> Option<Claims> {
    let payload = token.split('.').nth(1)?;
    let payload = URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
    // The payload must be an object. Each claim is parsed separately, so an invalid claim does not
    // affect the others.
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

/// An `exp` claim with a fractional number of seconds, which RFC 7519, section 2, allows.
#[derive(Deserialize)]
struct FractionalExpClaim {
    exp: Option<f64>,
}

fn whole_seconds(claim: FractionalExpClaim) -> Option<u64> {
    Duration::try_from_secs_f64(claim.exp?).ok().map(|since_epoch| since_epoch.as_secs())
}
