//! The landing: the redirect that takes the end user from the widget back to the application (C5).
//!
//! ```text
//! Widget::start ──┬─▶ url ──────▶ an iframe ──▶ redirectUrl?loginId=…&institution=…
//!                 │                                        │ callback
//!                 └─▶ pending ──▶ the session ──▶ verify_landing ──▶ Landing { login_id, .. }
//!                                                                              │
//!                                     UnverifiedLoginId::authorize ◀───────────┤
//!                                         │ /Authorize                         │
//!                                         └──▶ Session ──▶ UnverifiedLoginId::confirm ──▶ LoginId
//! ```

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::oauth::INVALID_LOGIN_ID;
use super::{Authorize, AuthorizeToken, Client, LoginId, Session, Widget, WidgetUrl};
use crate::callback::{CallbackForm, CsrfState, last_path_segment};
use crate::error::{Detail, Error, Kind, SpendError};
use crate::operation::Operation;

/// The placement of the `state`, a random value that ties a landing to the session that started the
/// widget.
///
/// Flinks does not document which parts of the redirect URL the widget keeps, or whether a
/// whitelisted URL may have an added parameter or path segment. Test the placement with your
/// instance, because every landing is rejected if the widget removes the `state`. The placements
/// are listed in order of preference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum StatePlacement {
    /// The `state` parameter in the query of the redirect URL.
    Query,
    /// A path segment that is appended to the redirect URL. Your application must route every such
    /// path to its landing handler.
    Path,
    /// The `state` is not in the URL. Only the [`PendingLanding`] in the session ties the landing
    /// to the end user.
    ///
    /// This placement is weaker than the others. A verified landing proves that *a* visit to the
    /// widget was started in this session within the last 30 minutes. It does not prove that the
    /// landing belongs to that visit: another site can send the end user's browser to your redirect
    /// URL with a login id of its choice while the visit is pending.
    Session,
}

impl StatePlacement {
    /// Returns the redirect URL with the `state` added as this placement specifies.
    fn add_state(self, redirect_url: &str, state: &str) -> String {
        let (path, query) = match redirect_url.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (redirect_url, None),
        };
        match (self, query) {
            (Self::Query, None | Some("")) => format!("{path}?state={state}"),
            (Self::Query, Some(query)) => format!("{path}?{query}&state={state}"),
            (Self::Path, query) => {
                let path = path.strip_suffix('/').unwrap_or(path);
                let query = query.map(|query| format!("?{query}")).unwrap_or_default();
                format!("{path}/{state}{query}")
            }
            (Self::Session, _) => redirect_url.to_owned(),
        }
    }
}

/// A widget that has started. Load `url` in one iframe, and keep `pending` in the end user's
/// session until the landing.
#[derive(Debug)]
#[non_exhaustive]
#[must_use = "load the URL in an iframe and keep the pending landing in the end user's session"]
pub struct StartedWidget {
    /// The URL for one iframe. It contains the token and, depending on the placement, the `state`,
    /// so keep it out of logs.
    pub url: WidgetUrl,
    /// The pending landing, which is required to verify the redirect from the widget.
    pub pending: PendingLanding,
}

impl Widget {
    /// Spends the token and returns the URL for one iframe, together with the pending landing.
    /// [C5](crate::rules)
    ///
    /// Keep the pending landing in the end user's session, where nobody else can read or replace
    /// it. The pending landing protects against forged landings.
    ///
    /// # Errors
    ///
    /// Returns a [`SpendError`] with the unspent token if
    ///
    /// - the token has expired, or
    /// - the redirect URL contains a parameter that Flinks adds to the landing: `state`, `loginId`,
    ///   `institution`, `error` or `error_description`.
    pub fn start(
        &self,
        token: AuthorizeToken,
        placement: StatePlacement,
    ) -> Result<StartedWidget, SpendError<AuthorizeToken>> {
        if let Err(error) = LANDING.check_redirect_url(&self.redirect_url) {
            return Err(SpendError::Unspent(token, error.in_operation(Operation::ConnectWidget)));
        }
        let state = CsrfState::new(self.clock.as_ref());
        let redirect_url = placement.add_state(self.redirect_url.as_str(), state.expose());
        let url = self.url_with_redirect(token, &redirect_url)?;
        Ok(StartedWidget { url, pending: PendingLanding { placement, state } })
    }
}

/// A pending visit to the widget.
///
/// Verification consumes the pending landing, so a landing can be verified only once. You can
/// serialize this value into the end user's session; remove it when the end user returns.
/// [C5](crate::rules)
#[derive(Serialize, Deserialize, derive_more::Debug)]
#[debug("PendingLanding {{ .. }}")]
#[must_use = "the redirect from the widget cannot be verified without the pending landing"]
pub struct PendingLanding {
    placement: StatePlacement,
    state: CsrfState,
}

impl Client {
    /// Verifies the redirect that takes the end user back from the widget, and returns the landing.
    /// Consumes the pending landing. Sends nothing. [C5](crate::rules)
    ///
    /// `callback` is the URL of the landing, or the path and query of that URL. Unless the `state`
    /// is in the path, `callback` can also be the bare query. Keep `callback` out of logs; see
    /// [Callbacks and landings](crate#callbacks-and-landings).
    ///
    /// The `state` does not authenticate the login id, because the end user can edit the URL.
    /// Continue with [`UnverifiedLoginId::authorize`].
    ///
    /// # Errors
    ///
    /// Returns an error with [`Cause::InvalidCallback`](crate::Cause::InvalidCallback) if
    ///
    /// - the `state` is missing or does not match the pending landing,
    /// - the widget started more than 30 minutes ago,
    /// - a parameter that Flinks adds appears more than once,
    /// - the landing URL contains neither a login id nor an error, or contains both, or
    /// - the login id is empty or contains an invalid character.
    ///
    /// If the `state` matches and the landing contains an error, [`Error::oauth_error`] returns
    /// that error's code.
    pub fn verify_landing(&self, pending: PendingLanding, callback: &str) -> Result<Landing, Error> {
        let PendingLanding { placement, state } = pending;
        let mut parameters = LANDING.parse(callback)?;
        match placement {
            StatePlacement::Query => state.check(parameters.take("state").as_deref(), &LANDING)?,
            StatePlacement::Path => state.check(last_path_segment(callback), &LANDING)?,
            StatePlacement::Session => {}
        }
        state.check_age(&LANDING, self.executor.clock.as_ref())?;
        let institution = parameters.take("institution");
        let login_id = LoginId::new(parameters.into_result(&LANDING)?);
        let login_id = login_id.map_err(|_| LANDING.rejection(INVALID_LOGIN_ID))?;
        Ok(Landing { login_id: UnverifiedLoginId(login_id), institution })
    }
}

const LANDING: CallbackForm = CallbackForm {
    operation: Operation::ConnectLanding,
    result: "loginId",
    details: &["institution"],
    // A visit can take longer than a login on a bank's page. The token that starts the visit is
    // also valid for 30 minutes.
    max_age: Duration::from_secs(30 * 60),
    too_late: "the widget was not completed within 30 minutes",
    mismatch: "`state` does not match the pending landing",
};

/// A verified landing.
#[derive(derive_more::Debug)]
#[debug("Landing {{ .. }}")]
#[non_exhaustive]
#[must_use = "the login id is not verified yet"]
pub struct Landing {
    /// The login id from the URL. It comes from the browser and is not verified.
    pub login_id: UnverifiedLoginId,
    /// The name of the bank, from the URL. The text is untrusted.
    pub institution: Option<String>,
}

/// A login id that a browser sent.
///
/// Flinks does not sign the landing URL, so the end user can replace the login id in it. Your
/// application must do two things before it uses the login id:
///
/// 1. Call `/Authorize` with the login id, and [`confirm`](Self::confirm) it with the resulting
///    session. A successful confirmation proves that the login belongs to your Flinks customer id.
/// 2. Reject the login id if it is already stored for another user of your application. Flinks does
///    not know your users, so only your records can show whether the login belongs to someone else.
///    [`LoginId`] values are compared in constant time.
///
/// ```no_run
/// use flinks::connect::{Client, LoginId, Outcome, PendingLanding};
///
/// /// Handles a landing. `logins_of_others` are the stored login ids of all other users.
/// async fn land(
///     client: &Client,
///     pending: PendingLanding,
///     callback: &str,
///     logins_of_others: &[LoginId],
/// ) -> Result<LoginId, Box<dyn std::error::Error>> {
///     let login_id = client.verify_landing(pending, callback)?.login_id;
///     let token = client.generate_authorize_token().await?;
///     let Outcome::Complete(session) = client.authorize(token, &login_id.authorize()).await? else {
///         return Err("the bank asks a security question".into());
///     };
///     let login_id = login_id.confirm(&session)?;
///     if logins_of_others.contains(&login_id) {
///         return Err("the login belongs to another user".into());
///     }
///     Ok(login_id) // Store it for this user.
/// }
/// ```
#[derive(derive_more::Debug)]
#[debug("UnverifiedLoginId {{ .. }}")]
#[must_use = "the login id can be used once `confirm` has verified it"]
pub struct UnverifiedLoginId(LoginId);

impl UnverifiedLoginId {
    /// Creates a request with this login id, as [`Authorize::cached`] does.
    pub fn authorize(&self) -> Authorize {
        Authorize::cached(&self.0)
    }

    /// Returns the login id if it matches the login id in `session`. Sends nothing.
    ///
    /// A match does not show whether the login belongs to the end user; see [`UnverifiedLoginId`].
    ///
    /// # Errors
    ///
    /// Returns an error with
    ///
    /// - [`Cause::InvalidCallback`](crate::Cause::InvalidCallback) if the session has a different
    ///   login id, or
    /// - [`Cause::Malformed`](crate::Cause::Malformed) if the session has no login id.
    pub fn confirm(self, session: &Session) -> Result<LoginId, Error> {
        match session.login_id() {
            Some(login_id) if *login_id == self.0 => Ok(self.0),
            Some(_) => Err(LANDING.rejection("`loginId` does not match the session")),
            None => {
                let kind = Kind::Malformed { field: Some("Login.Id"), detail: Detail::Value("is missing") };
                Err(Error::new(Operation::ConnectLanding, kind))
            }
        }
    }
}
