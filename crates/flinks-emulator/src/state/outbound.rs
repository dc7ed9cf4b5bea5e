//! The data of Outbound. Its codes and tokens are in the ledger.

use url::Url;

use crate::bounded_map::BoundedMap;

#[derive(Default)]
pub(crate) struct OutboundState {
    /// By the id in the address of the consent page.
    pub(crate) consents: BoundedMap<Consent>,
}

/// An end user's visit to the consent page.
#[derive(Clone)]
pub(crate) struct Consent {
    pub(crate) return_url: Url,
    pub(crate) scopes: Vec<String>,
    /// Kept as it was sent, because the exchange of the code compares it byte for byte (O9).
    pub(crate) redirect_uri: String,
    pub(crate) state: Option<String>,
    /// The URL to which the end user was sent back. The first decision is final.
    pub(crate) end: Option<Url>,
}
