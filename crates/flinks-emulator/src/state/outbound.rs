//! Outbound's state, except its codes and tokens, which are in the ledger.

use url::Url;

use crate::bank::{BankKey, UserKey};
use crate::bounded_map::BoundedMap;
use crate::config::Party;
use crate::pages::Look;
use crate::pkce::CodeChallenge;

#[derive(Default)]
pub(crate) struct OutboundState {
    /// The visits to the consent page, keyed by the id in each visit's address.
    pub(crate) consents: BoundedMap<Consent>,
    /// The connections, keyed by subject.
    pub(crate) connections: BoundedMap<Connection>,
}

impl OutboundState {
    /// Returns the subjects of a user's connections.
    pub(crate) fn subjects_of(&self, user: UserKey) -> Vec<String> {
        let found = self.connections.iter().filter(|(_, connection)| connection.user == Some(user));
        found.map(|(subject, _)| subject.to_owned()).collect()
    }
}

/// A consent that an end user has given. All its tokens have the same subject.
pub(crate) struct Connection {
    pub(crate) user: Option<UserKey>,
    /// The scopes that the end user agreed to, or `None` for all scopes.
    pub(crate) scopes: Option<Vec<String>>,
}

impl Connection {
    pub(crate) fn has_scope(&self, scope: &str) -> bool {
        self.scopes.as_ref().is_none_or(|scopes| scopes.iter().any(|found| found == scope))
    }
}

/// An end user's visit to the consent page.
#[derive(Clone)]
pub(crate) struct Consent {
    pub(crate) look: Look,
    /// The bank, or `None` if the request named an unknown provider.
    pub(crate) bank: Option<BankKey>,
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
