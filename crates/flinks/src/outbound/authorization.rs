//! Authorizations, in which an end user consents and returns with an authorization code (O10).

use std::time::Duration;

use flinks_core::Secret;
use serde::{Deserialize, Serialize};

use super::client::Client;
use super::code::AuthorizationCode;
use crate::callback::{CallbackForm, CsrfState};
use crate::error::Error;
use crate::operation::Operation;
use crate::validate::{MUST_NOT_BE_EMPTY, query, token_problem};
use crate::{Language, RedirectUrl, Started};

impl Client {
    /// Creates a request that asks an end user to consent at a provider. The provider redirects the
    /// end user back to `redirect_uri`. [O10](crate::rules)
    ///
    /// # Errors
    ///
    /// Returns an error if the provider id is empty, or if `redirect_uri` contains a parameter that
    /// is reserved for the callback: `state`, `code`, `error` or `error_description`.
    pub fn authorization(
        &self,
        provider_id: impl Into<String>,
        redirect_uri: &RedirectUrl,
    ) -> Result<AuthorizationRequest<'_>, Error> {
        let provider_id = provider_id.into();
        if provider_id.trim().is_empty() {
            return Err(Error::input("provider id", MUST_NOT_BE_EMPTY));
        }
        CALLBACK.check_redirect_url(redirect_uri)?;
        Ok(AuthorizationRequest {
            client: self,
            provider_id,
            redirect_uri: redirect_uri.clone(),
            scope: REQUIRED_SCOPE.to_owned(),
            language: None,
        })
    }

    /// Verifies an end user's callback and returns the authorization code. Consumes the pending
    /// authorization. `callback` is the callback URL or its query. Keep `callback` out of logs; see
    /// [Callbacks and landings](crate#callbacks-and-landings).
    ///
    /// The returned code is bound to the exact redirect URI of the authorization.
    /// [O9, O10](crate::rules)
    ///
    /// # Errors
    ///
    /// Returns an error with [`Cause::InvalidCallback`](crate::Cause::InvalidCallback) if
    ///
    /// - the `state` is missing or does not match the pending authorization,
    /// - the authorization started more than 10 minutes ago,
    /// - a parameter that Flinks adds appears more than once,
    /// - the callback contains neither a code nor an error, or contains both, or
    /// - the code is empty or contains an invalid character.
    ///
    /// If the `state` matches and the callback contains an error, [`Error::oauth_error`] returns
    /// that error's code.
    pub fn verify(&self, pending: PendingAuthorization, callback: &str) -> Result<AuthorizationCode, Error> {
        let PendingAuthorization { state, redirect_uri, .. } = pending;
        let code = state.verify(callback, &CALLBACK, self.clock().as_ref())?;
        if token_problem(&code).is_some() {
            return Err(CALLBACK.rejection("`code` is empty or contains an invalid character"));
        }
        Ok(AuthorizationCode { code: Secret::new(code), redirect_uri })
    }
}

const CALLBACK: CallbackForm = CallbackForm {
    operation: Operation::OutboundAuthorizationReturn,
    result: "code",
    details: &[],
    max_age: Duration::from_secs(10 * 60),
    too_late: "the authorization was not completed within 10 minutes",
    mismatch: "`state` does not match the pending authorization",
};

/// The value that every scope must contain.
const REQUIRED_SCOPE: &str = "ACCOUNT_BASIC";

/// An authorization that has not started yet.
#[derive(derive_more::Debug)]
#[debug("AuthorizationRequest {{ .. }}")]
#[must_use = "an authorization does nothing until `start` is called"]
pub struct AuthorizationRequest<'a> {
    client: &'a Client,
    provider_id: String,
    redirect_uri: RedirectUrl,
    scope: String,
    language: Option<Language>,
}

impl AuthorizationRequest<'_> {
    /// Sets the scope. `ACCOUNT_BASIC` is always included, so pass only additional values, such as
    /// `["TRANSACTIONS"]`.
    pub fn scope(self, scopes: &[&str]) -> Self {
        let others = scopes.iter().filter(|scope| **scope != REQUIRED_SCOPE);
        Self { scope: std::iter::once(&REQUIRED_SCOPE).chain(others).copied().collect::<Vec<_>>().join(" "), ..self }
    }

    /// Sets the language of the consent page.
    pub fn language(self, language: Language) -> Self {
        Self { language: Some(language), ..self }
    }

    /// Starts the authorization and returns both the URL for the end user's browser and the pending
    /// authorization.
    ///
    /// Keep the pending authorization in the end user's session, where nobody else can read or
    /// replace it. The pending authorization protects against forged callbacks.
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

/// A pending authorization for one provider and one redirect URI.
///
/// Verification consumes the pending authorization, so a callback can be verified only once. You
/// can serialize this value into the end user's session; remove it when the end user returns.
/// [O10](crate::rules)
#[derive(Serialize, Deserialize, derive_more::Debug)]
#[debug("PendingAuthorization {{ provider_id: {provider_id:?}, .. }}")]
#[must_use = "the callback cannot be verified without the pending authorization"]
pub struct PendingAuthorization {
    state: CsrfState,
    redirect_uri: String,
    provider_id: String,
}

impl PendingAuthorization {
    /// Returns the id of the provider where the end user consents.
    pub fn provider_id(&self) -> &str {
        &self.provider_id
    }
}
