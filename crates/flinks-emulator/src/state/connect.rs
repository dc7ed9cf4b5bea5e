//! The data of Connect. Its authorize tokens are in the ledger.

use std::time::Duration;

use url::Url;

use crate::bounded_map::BoundedMap;
use crate::config::Limits;
use crate::credentials::{BANK_USER_NO_MFA, CONNECT_LOGIN_ID};
use crate::pages::Events;

pub(crate) struct ConnectState {
    /// By `LoginId`.
    pub(crate) logins: BoundedMap<Login>,
    /// By `RequestId`.
    pub(crate) challenges: BoundedMap<Challenge>,
    /// By the id in the address of the page.
    pub(crate) iframes: BoundedMap<Iframe>,
    /// By the id in the address of the bank's page.
    pub(crate) bank_redirects: BoundedMap<BankRedirect>,
}

/// An end user who has connected.
pub(crate) struct Login {
    pub(crate) username: String,
    /// Whether the bank asks questions when the login is used again. After custom OAuth it has
    /// asked them on its own page.
    pub(crate) has_mfa: bool,
}

/// A question of the bank that waits for its answer.
pub(crate) struct Challenge {
    pub(crate) username: String,
    /// The index of the question.
    pub(crate) question: usize,
    /// The authorize token that began the session.
    pub(crate) token: String,
    pub(crate) expires_at: Duration,
    /// The existing login that the session is for, if any.
    pub(crate) login_id: Option<String>,
    pub(crate) save: bool,
}

/// An end user's visit to the page in the iframe. A form changes it and redirects to the page,
/// which shows the current stage.
pub(crate) struct Iframe {
    pub(crate) return_url: Url,
    pub(crate) stage: Stage,
    /// Why the bank refused the last form.
    pub(crate) problem: Option<&'static str>,
    /// The events that no page has sent to its parent yet.
    pub(crate) events: Events,
}

pub(crate) enum Stage {
    Choosing,
    LoggingIn,
    Questioned { username: String, question: usize },
    Connected { url: Url },
}

/// An end user's visit to the bank's own page (custom OAuth).
pub(crate) struct BankRedirect {
    pub(crate) return_url: Url,
    pub(crate) state: Option<String>,
    /// Why the bank refused the last login.
    pub(crate) problem: Option<&'static str>,
    /// The URL to which the end user was sent back. The first outcome is final.
    pub(crate) end: Option<Url>,
}

impl ConnectState {
    pub(crate) fn new(limits: &Limits) -> Self {
        let mut logins = BoundedMap::default();
        let login = Login { username: BANK_USER_NO_MFA.into(), has_mfa: false };
        logins.insert(CONNECT_LOGIN_ID.into(), login, limits.tokens);
        Self {
            logins,
            challenges: BoundedMap::default(),
            iframes: BoundedMap::default(),
            bank_redirects: BoundedMap::default(),
        }
    }
}
