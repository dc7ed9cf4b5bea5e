//! Connect's state, except its authorize tokens, which are in the ledger.

use std::time::Duration;

use url::Url;

use crate::bank::{BankKey, Banks, UserKey};
use crate::bounded_map::BoundedMap;
use crate::config::{Limits, Party};
use crate::credentials::CONNECT_LOGIN_ID;
use crate::pages::{Events, Look};

pub(crate) struct ConnectState {
    /// The logins, keyed by `LoginId`.
    pub(crate) logins: BoundedMap<Login>,
    /// The unanswered questions, keyed by `RequestId`.
    pub(crate) challenges: BoundedMap<Challenge>,
    /// The sessions of logged-in end users, keyed by `RequestId`.
    pub(crate) sessions: BoundedMap<DataSession>,
    /// The visits to the iframe page, keyed by the id in each visit's address.
    pub(crate) iframes: BoundedMap<Iframe>,
    /// The visits to the bank's page, keyed by the id in each visit's address.
    pub(crate) bank_redirects: BoundedMap<BankRedirect>,
}

/// The login of an end user who has connected.
pub(crate) struct Login {
    pub(crate) user: UserKey,
    /// Whether the bank asks questions when the login is used again. After custom OAuth, it does
    /// not, because it has already asked its questions on its own page.
    pub(crate) has_mfa: bool,
    /// The customer for which the end user connected.
    pub(crate) party: Party,
}

/// A security question that has not been answered yet.
pub(crate) struct Challenge {
    pub(crate) user: UserKey,
    /// The index of the question.
    pub(crate) question: usize,
    /// The authorize token that started the session.
    pub(crate) token: String,
    pub(crate) expires_at: Duration,
    /// The existing login that the session refreshes, if any.
    pub(crate) login_id: Option<String>,
    /// Whether to store a new login, as requested with `Save`.
    pub(crate) save: bool,
    /// The customer that started the session.
    pub(crate) party: Party,
}

/// A session in which the data of a logged-in end user can be requested.
pub(crate) struct DataSession {
    pub(crate) party: Party,
    pub(crate) user: UserKey,
    pub(crate) login_id: String,
    pub(crate) expires_at: Duration,
    /// How many more requests get a 202 response before the data is ready.
    pub(crate) pending_replies: u64,
    /// The request for the data, or `None` if the client has not sent one.
    pub(crate) request: Option<DataRequest>,
}

/// The data that a client has requested with `GetAccountsDetail`.
#[derive(Clone, Copy)]
pub(crate) struct DataRequest {
    pub(crate) with_identity: bool,
    pub(crate) with_transactions: bool,
}

/// An end user's visit to the iframe page. Each submitted form changes the visit, and the response
/// redirects to the page for the current stage.
pub(crate) struct Iframe {
    /// The customer whose authorize token was spent.
    pub(crate) party: Party,
    pub(crate) look: Look,
    /// Whether the page has a Back button, which `backEnable` controls.
    pub(crate) has_back: bool,
    pub(crate) return_url: Url,
    pub(crate) stage: Stage,
    /// The number of form submissions that have changed the visit. A form with a lower number is
    /// outdated.
    pub(crate) turn: u32,
    /// The `FlinksCode` with which the bank refused the last form, if any.
    pub(crate) problem: Option<&'static str>,
    /// The user whose name was entered last, which is kept so that the end user need not enter it
    /// again. A name that the bank does not know is not kept, because it may be real.
    pub(crate) user: Option<UserKey>,
    /// The events that have not been sent to the parent page yet.
    pub(crate) events: Events,
}

pub(crate) enum Stage {
    Choosing,
    LoggingIn { bank: BankKey },
    Questioned { user: UserKey, question: usize },
    Connected { url: Url },
    Cancelled,
}

/// The URL that the end user returns to after a visit, and the application's `state`, which is
/// added to the URL.
pub(crate) struct Return {
    pub(crate) url: Url,
    pub(crate) state: Option<String>,
}

/// An end user's visit to the bank's login page (custom OAuth).
pub(crate) struct BankRedirect {
    /// The customer that sent the end user.
    pub(crate) party: Party,
    pub(crate) look: Look,
    pub(crate) bank: BankKey,
    pub(crate) return_to: Return,
    /// The `FlinksCode` with which the bank refused the last login, if any.
    pub(crate) problem: Option<&'static str>,
    /// The user whose name was entered last.
    pub(crate) user: Option<UserKey>,
    /// The URL to which the end user was redirected at the end of the visit, or `None` if the visit
    /// is not complete. The first outcome is final.
    pub(crate) end: Option<Url>,
}

impl ConnectState {
    pub(crate) fn new(limits: &Limits, banks: &Banks) -> Self {
        let mut logins = BoundedMap::default();
        if let Some(user) = banks.able_users().first() {
            let login = Login { user: *user, has_mfa: true, party: Party::Main };
            logins.insert(CONNECT_LOGIN_ID.into(), login, limits.tokens);
        }
        Self {
            logins,
            challenges: BoundedMap::default(),
            sessions: BoundedMap::default(),
            iframes: BoundedMap::default(),
            bank_redirects: BoundedMap::default(),
        }
    }
}
