//! The authorization code from an end user's redirect.

use flinks_core::Secret;

/// An authorization code, bound to the redirect URI for which it was issued.
///
/// Exchanging the code consumes it. It cannot be copied, compared, printed or stored.
/// [O9](crate::rules)
#[derive(derive_more::Debug)]
#[debug("AuthorizationCode {{ .. }}")]
#[must_use = "an authorization code expires unless it is exchanged"]
pub struct AuthorizationCode {
    pub(super) code: Secret,
    pub(super) redirect_uri: String,
}
