//! The claims of an access token (O8).

use std::collections::HashMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::IgnoredAny;

/// The claims of an access token (O8). They decide no lifetime, because the clock of the server may be wrong.
///
/// A claim that is missing or has another type is `None`, and costs no other claim.
#[derive(Clone, PartialEq, Eq, derive_more::Debug)]
// A server wrote them, and `sub` is somebody.
#[debug("Claims {{ exp: {exp:?}, .. }}")]
#[non_exhaustive]
pub struct Claims {
    /// Your client id.
    pub client_id: Option<String>,
    /// Who the end user is at the data provider: the same in each of their tokens.
    pub sub: Option<String>,
    /// When it expires, in whole seconds since the Unix epoch, on the server's clock. A fraction is cut off.
    pub exp: Option<u64>,
}

pub(crate) fn claims(token: &str) -> Option<Claims> {
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
