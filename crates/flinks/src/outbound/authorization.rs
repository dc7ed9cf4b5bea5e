//! How an end user consents, and comes back with a code (O10).

use flinks_core::Secret;
use serde::{Deserialize, Serialize};

use super::client::Client;
use super::code::AuthorizationCode;
use crate::callback::{self, CsrfState};
use crate::error::{Error, Kind};
use crate::operation::Operation;
use crate::validate::{query, token_problem};
use crate::{Language, RedirectUrl, Started};

impl Client {
    /// Asks an end user to consent at a provider, and to come back to `redirect_uri` (O10).
    ///
    /// # Errors
    ///
    /// An [`Error`] where `redirect_uri` has a parameter of its own that the return adds: `state`, `code`, `error` or
    /// `error_description`; or where the provider id is empty.
    pub fn authorization(
        &self,
        provider_id: impl Into<String>,
        redirect_uri: &RedirectUrl,
    ) -> Result<AuthorizationRequest<'_>, Error> {
        let provider_id = provider_id.into();
        if provider_id.trim().is_empty() {
            return Err(Error::input("provider id", "is empty"));
        }
        callback::check(redirect_uri, "code")?;
        let scope = BASIC.to_owned();
        Ok(AuthorizationRequest {
            client: self,
            provider_id,
            redirect_uri: redirect_uri.clone(),
            scope,
            language: None,
        })
    }

    /// Verifies the URL, or its query, with which an end user came back, and consumes what was pending (O10). The code that
    /// it gives is bound to the redirect URI of the authorization, byte for byte (O9).
    ///
    /// # Errors
    ///
    /// [`Cause::InvalidCallback`](crate::Cause::InvalidCallback) where the `state` is missing, is not the one that is pending, or is older than 10
    /// minutes; where a parameter is there twice; where there is neither a code nor an error, or both. With the right
    /// `state` and an error, [`Error::oauth_error`] tells it.
    pub fn verify(&self, pending: PendingAuthorization, callback: &str) -> Result<AuthorizationCode, Error> {
        let PendingAuthorization { state, redirect_uri, .. } = pending;
        let code = state.verify(callback, "code", Operation::OutboundAuthorizationReturn, self.clock().as_ref())?;
        match token_problem(&code) {
            Some(_) => Err(Error::new(
                Operation::OutboundAuthorizationReturn,
                Kind::Callback("has a code that is empty or no plain text"),
            )),
            None => Ok(AuthorizationCode { code: Secret::new(code), redirect_uri }),
        }
    }
}

/// What every scope must hold.
const BASIC: &str = "ACCOUNT_BASIC";

/// An authorization, before it starts.
#[derive(derive_more::Debug)]
#[debug("AuthorizationRequest {{ .. }}")]
#[must_use = "nothing happens until `start`"]
pub struct AuthorizationRequest<'a> {
    client: &'a Client,
    provider_id: String,
    redirect_uri: RedirectUrl,
    scope: String,
    language: Option<Language>,
}

impl AuthorizationRequest<'_> {
    /// What is asked for beside `ACCOUNT_BASIC`, such as `["TRANSACTIONS"]`.
    pub fn scope(self, scopes: &[&str]) -> Self {
        let others = scopes.iter().filter(|scope| **scope != BASIC);
        Self { scope: std::iter::once(&BASIC).chain(others).copied().collect::<Vec<_>>().join(" "), ..self }
    }

    /// The language of the page.
    pub fn language(self, language: Language) -> Self {
        Self { language: Some(language), ..self }
    }

    /// The address to which the end user's browser goes, which holds the state, and what is pending until they are back. Keep
    /// the latter in the end user's own session, and nowhere that another could reach: that is what makes a forged return
    /// fail.
    pub fn start(self) -> Started<PendingAuthorization> {
        let Self { client, provider_id, redirect_uri, scope, language } = self;
        let state = CsrfState::new(client.clock().as_ref());
        let parameters = [
            ("client_id", client.authentication.client_id()),
            ("redirect_uri", redirect_uri.as_str()),
            ("state", state.expose()),
            ("response_type", "code"),
            ("scope", &scope),
            ("provider_id", &provider_id),
        ];
        let language = language.map(|language| ("language", language.as_str()));
        let query = query(parameters.into_iter().chain(language));
        let url = format!("{}/api/v1/authorize?{query}", client.base_url);
        let redirect_uri = redirect_uri.as_str().to_owned();
        Started { url: Secret::new(url), pending: PendingAuthorization { state, redirect_uri, provider_id } }
    }
}

/// An authorization that has started, at one provider and for one redirect URI. It is verified by value, once (O10). It can
/// be stored in the end user's session, which is then to be emptied of it.
#[derive(Serialize, Deserialize, derive_more::Debug)]
#[debug("PendingAuthorization {{ provider_id: {provider_id:?}, .. }}")]
#[must_use = "the return of the end user cannot be verified without it"]
pub struct PendingAuthorization {
    state: CsrfState,
    redirect_uri: String,
    provider_id: String,
}

impl PendingAuthorization {
    /// The provider at which the end user consents.
    pub fn provider_id(&self) -> &str {
        &self.provider_id
    }
}
