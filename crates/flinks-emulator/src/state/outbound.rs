//! Outbound's state, except its codes and tokens, which are in the ledger.

use url::Url;

use crate::bounded_map::BoundedMap;
use crate::config::Party;
use crate::pkce::CodeChallenge;

#[derive(Default)]
pub(crate) struct OutboundState {
    /// The visits to the consent page, by the id in each visit's address.
    pub(crate) consents: BoundedMap<Consent>,
}

/// An end user's visit to the consent page.
#[derive(Clone)]
pub(crate) struct Consent {
    pub(crate) return_url: Url,
    pub(crate) scopes: Vec<String>,
    /// The redirect URI as the client sent it. When the client exchanges the code, it must send the
    /// same URI, byte for byte (O9).
    pub(crate) redirect_uri: String,
    pub(crate) state: Option<String>,
    pub(crate) code_challenge: Option<CodeChallenge>,
    /// The client that sent the end user.
    pub(crate) party: Party,
    /// The URL to which the end user was redirected after the decision, or `None` if the end user
    /// has not decided yet. The first decision is final.
    pub(crate) end: Option<Url>,
}
