//! Custom OAuth: the end user logs in on the bank's own page (C7).

use flinks_core::Secret;
use serde::{Deserialize, Serialize};

use super::{Client, LoginId};
use crate::callback::{self, CsrfState};
use crate::error::{Error, Kind};
use crate::operation::Operation;
use crate::validate::query;
use crate::{Language, RedirectUrl, Started};

impl Client {
    /// An authorization at a bank, by its institution id, that comes back to `redirect_uri` (C7).
    ///
    /// # Errors
    ///
    /// An [`Error`] where `redirect_uri` has a parameter of its own that the return adds: `state`, `loginId`, `error` or
    /// `error_description`.
    pub fn custom_oauth(&self, institution_id: u32, redirect_uri: &RedirectUrl) -> Result<CustomOAuth<'_>, Error> {
        callback::check(redirect_uri, "loginId")?;
        let parameters =
            vec![("institution_id", institution_id.to_string()), ("redirect_uri", redirect_uri.as_str().to_owned())];
        Ok(CustomOAuth { client: self, parameters })
    }

    /// Verifies the URL, or its query, with which an end user came back, and consumes what was pending (C7). Continue with
    /// [`Authorize::after_oauth`](super::Authorize::after_oauth).
    ///
    /// # Errors
    ///
    /// [`Cause::InvalidCallback`](crate::Cause::InvalidCallback) where the `state` is missing, is not the one that is pending, or is older than 10
    /// minutes; where a parameter is there twice; where there is neither a login nor an error, or both. With the right
    /// `state` and an error of the bank's, [`Error::oauth_error`] tells it.
    pub fn verify_oauth(&self, pending: PendingAuthorization, callback: &str) -> Result<LoginId, Error> {
        let login_id =
            pending.0.verify(callback, "loginId", Operation::ConnectOAuthReturn, self.executor.clock.as_ref())?;
        let unfit = |_| {
            Error::new(Operation::ConnectOAuthReturn, Kind::Callback("has a loginId that is empty or no plain text"))
        };
        LoginId::new(login_id).map_err(unfit)
    }
}

/// An authorization at a bank, before it starts.
#[derive(derive_more::Debug)]
#[debug("CustomOAuth {{ .. }}")]
#[must_use = "nothing happens until `start`"]
pub struct CustomOAuth<'a> {
    client: &'a Client,
    parameters: Vec<(&'static str, String)>,
}

impl CustomOAuth<'_> {
    /// Sets `lang`.
    pub fn language(self, language: Language) -> Self {
        self.set("lang", language.as_str().to_owned())
    }

    /// `tag`: a text of yours that comes back with the data.
    pub fn tag(self, tag: impl Into<String>) -> Self {
        self.set("tag", tag.into())
    }

    fn set(mut self, name: &'static str, value: String) -> Self {
        self.parameters.retain(|(known, _)| *known != name);
        self.parameters.push((name, value));
        self
    }

    /// The address to which the end user's browser goes, which holds the state, and what is pending until they are back. Keep
    /// the latter in the end user's own session, and nowhere that another could reach: that is what makes a forged return
    /// fail.
    pub fn start(self) -> Started<PendingAuthorization> {
        let Self { client, parameters } = self;
        let state = CsrfState::new(client.executor.clock.as_ref());
        let parameters = parameters.iter().map(|(name, value)| (*name, &**value));
        let query = query(parameters.chain([("state", state.expose())]));
        let url = format!("{}/v3/oauth/authorize?{query}", client.api);
        Started { url: Secret::new(url), pending: PendingAuthorization(state) }
    }
}

/// An authorization that has started. It is verified by value, once (C7). It can be stored in the end user's session, which
/// is then to be emptied of it.
#[derive(Serialize, Deserialize, derive_more::Debug)]
#[debug("PendingAuthorization {{ .. }}")]
#[must_use = "the return of the end user cannot be verified without it"]
pub struct PendingAuthorization(CsrfState);
