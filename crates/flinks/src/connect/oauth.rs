//! Custom OAuth, in which the end user logs in on the bank's own page (C7).

use std::time::Duration;

use flinks_core::Secret;
use serde::{Deserialize, Serialize};

use super::{Client, LoginId};
use crate::callback::{CallbackForm, CsrfState};
use crate::error::Error;
use crate::operation::Operation;
use crate::validate::query;
use crate::{Language, RedirectUrl, Started};

impl Client {
    /// Creates an authorization at the bank identified by `institution_id`. The bank redirects the
    /// end user back to `redirect_uri`. [C7](crate::rules)
    ///
    /// # Errors
    ///
    /// Returns an error if `redirect_uri` contains a parameter that Flinks adds to the callback:
    /// `state`, `loginId`, `error` or `error_description`.
    pub fn custom_oauth(&self, institution_id: u32, redirect_uri: &RedirectUrl) -> Result<CustomOAuth<'_>, Error> {
        CALLBACK.check_redirect_url(redirect_uri)?;
        let parameters =
            vec![("institution_id", institution_id.to_string()), ("redirect_uri", redirect_uri.as_str().to_owned())];
        Ok(CustomOAuth { client: self, parameters })
    }

    /// Verifies an end user's callback and returns the login id. Consumes the pending
    /// authorization. `callback` is the callback URL or its query. Keep `callback` out of logs; see
    /// [Callbacks and landings](crate#callbacks-and-landings). Continue with
    /// [`Authorize::after_oauth`](super::Authorize::after_oauth). [C7](crate::rules)
    ///
    /// # Errors
    ///
    /// Returns an error with [`Cause::InvalidCallback`](crate::Cause::InvalidCallback) if
    ///
    /// - the `state` is missing or does not match the pending authorization,
    /// - the authorization started more than 10 minutes ago,
    /// - a parameter that Flinks adds appears more than once,
    /// - the callback contains neither a login id nor an error, or contains both, or
    /// - the login id is empty or contains an invalid character.
    ///
    /// If the `state` matches and the bank reported an error, [`Error::oauth_error`] returns the
    /// reported code.
    pub fn verify_oauth(&self, pending: PendingAuthorization, callback: &str) -> Result<LoginId, Error> {
        let login_id = pending.0.verify(callback, &CALLBACK, self.executor.clock.as_ref())?;
        LoginId::new(login_id).map_err(|_| CALLBACK.rejection(INVALID_LOGIN_ID))
    }
}

const CALLBACK: CallbackForm = CallbackForm {
    operation: Operation::ConnectOAuthReturn,
    result: "loginId",
    details: &[],
    max_age: Duration::from_secs(10 * 60),
    too_late: "the authorization was not completed within 10 minutes",
    mismatch: "`state` does not match the pending authorization",
};

/// The error message for a callback or landing that contains an invalid login id.
pub(super) const INVALID_LOGIN_ID: &str = "`loginId` is empty or contains an invalid character";

/// A bank authorization that has not started yet.
#[derive(derive_more::Debug)]
#[debug("CustomOAuth {{ .. }}")]
#[must_use = "an authorization does nothing until `start` is called"]
pub struct CustomOAuth<'a> {
    client: &'a Client,
    parameters: Vec<(&'static str, String)>,
}

impl CustomOAuth<'_> {
    /// Sets `lang`.
    pub fn language(self, language: Language) -> Self {
        self.set("lang", language.as_str().to_owned())
    }

    /// Sets `tag`, a string of your choice that Flinks returns with the data.
    pub fn tag(self, tag: impl Into<String>) -> Self {
        self.set("tag", tag.into())
    }

    fn set(mut self, name: &'static str, value: String) -> Self {
        self.parameters.retain(|(existing, _)| *existing != name);
        self.parameters.push((name, value));
        self
    }

    /// Starts the authorization and returns both the URL for the end user's browser and the pending
    /// authorization.
    ///
    /// Keep the pending authorization in the end user's session, where nobody else can read or
    /// replace it. The pending authorization protects against forged callbacks.
    pub fn start(self) -> Started<PendingAuthorization> {
        let Self { client, parameters } = self;
        let state = CsrfState::new(client.executor.clock.as_ref());
        let parameters = parameters.iter().map(|(name, value)| (*name, &**value));
        let query = query(parameters.chain([("state", state.expose())]));
        let url = format!("{}/v3/oauth/authorize?{query}", client.api);
        Started { url: Secret::new(url), pending: PendingAuthorization(state) }
    }
}

/// An authorization that has started.
///
/// Verification consumes the pending authorization, so a callback can be verified only once. You
/// can serialize this value into the end user's session; remove it when the end user returns.
/// [C7](crate::rules)
#[derive(Serialize, Deserialize, derive_more::Debug)]
#[debug("PendingAuthorization {{ .. }}")]
#[must_use = "the callback cannot be verified without the pending authorization"]
pub struct PendingAuthorization(CsrfState);
