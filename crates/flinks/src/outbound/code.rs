//! The code with which an end user comes back.

use flinks_core::Secret;

/// A code, bound to the redirect URI that it was issued for (O9). It is exchanged by value; it cannot be copied, compared,
/// printed or stored.
#[derive(derive_more::Debug)]
#[debug("AuthorizationCode {{ .. }}")]
#[must_use = "a code that is not exchanged expires"]
pub struct AuthorizationCode {
    pub(super) code: Secret,
    pub(super) redirect_uri: String,
}
