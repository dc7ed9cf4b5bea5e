//! The Outbound client, which has one method for each OAuth grant.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use flinks_core::{
    Authorization, BaseUrl, Clock, DEFAULT_TIMEOUT, Deadline, ExpiresIn, ResponseValue, Secret, SendMarker, Timestamps,
    Transport,
};
use flinks_outbound::types;

use super::authentication::{ClientAuthentication, ClientCredentials};
use super::code::AuthorizationCode;
use super::tokens::{AccessToken, RefreshToken, Tokens};
use crate::OAuthError;
use crate::bearer::{Bearer, BearerResponse};
use crate::builder::ClientBuilder;
use crate::builder::sealed::Configure;
use crate::config::{self, Field, Values, fields};
use crate::error::{Error, ErrorBody, Kind, SpendError};
use crate::hosts::check_host;
use crate::operation::{Operation, Product};
use crate::recent::{RecentSecrets, SecretHash};
use crate::retry::{CallExecutor, RetryPolicy};
use crate::running_call::Success;
use crate::settings::Settings;
use crate::validate::{REPEATS_A_SECRET, is_echo};

/// A client for Flinks Outbound. Cloning is cheap, and clones share their connections.
#[derive(Clone, derive_more::Debug)]
#[debug("Client {{ base_url: {:?}, .. }}", base_url.as_str())]
pub struct Client {
    http: flinks_outbound::Client,
    transport: Transport,
    pub(super) base_url: BaseUrl,
    pub(super) authentication: Arc<ClientAuthentication>,
    /// The request, without a scope, for the application's own access token.
    app_request: Arc<types::TokenRequest>,
    /// Whether the server has ever replaced a refresh token. After the first replacement, a refresh
    /// whose response was lost is not retried (A5).
    has_rotated: Arc<AtomicBool>,
    /// The authorization codes that have been sent. If an end user reloads the callback page, the
    /// code must not be sent again, because the server might revoke the tokens that it issued for
    /// the code (RFC 6749, section 4.1.2).
    codes: Arc<RecentSecrets>,
    executor: CallExecutor,
}

/// The maximum lifetime of an authorization code (RFC 6749, section 4.1.2).
const CODE_LIFETIME: Duration = Duration::from_secs(10 * 60);

impl Client {
    /// Creates a builder. The base URL has no default. [O11](crate::rules)
    pub fn builder(base_url: BaseUrl, authentication: impl Into<ClientAuthentication>) -> ClientBuilder<Self> {
        ClientBuilder::new((base_url, authentication.into()))
    }

    /// Creates a client from the `FLINKS_OUTBOUND_…` environment variables; see [`ClientBuilder`].
    ///
    /// # Errors
    ///
    /// Returns an error if [`ClientBuilder::from_env`] or [`ClientBuilder::build`] fails.
    pub fn from_env() -> Result<Self, Error> {
        ClientBuilder::from_env()?.build()
    }

    /// Returns a clone that has a different timeout and shares this client's connections. The
    /// minimum timeout is one millisecond.
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        let transport = self.transport.with_timeout(timeout);
        Self {
            http: flinks_outbound::Client::with_transport(transport.clone()),
            transport,
            executor: self.executor.with_timeout(timeout),
            ..self.clone()
        }
    }

    /// Requests an access token for the application itself, with the `client_credentials` grant.
    ///
    /// With the `client:admin` scope, the token can be used for app management. [O1](crate::rules)
    ///
    /// # Errors
    ///
    /// Returns an error if the request fails. [`Error::is_credentials`] returns `true` if the
    /// client id or the client secret is wrong.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, at most one unused token is lost.
    pub async fn client_credentials(&self, scope: Option<&str>) -> Result<AccessToken, Error> {
        let scoped = scope.map(|scope| types::TokenRequest::clone(&self.app_request).scope(scope));
        let request = scoped.as_ref().unwrap_or(&self.app_request);
        let tokens = self.token(Operation::OutboundClientCredentials, RetryPolicy::AsNeeded, request).await?;
        Ok(tokens.access_token)
    }

    /// Exchanges an authorization code for tokens.
    ///
    /// The code is sent at most once. A failed attempt is repeated only if no part of the request
    /// has left this machine.
    ///
    /// If this client or a clone has sent the same code within the last ten minutes, for example
    /// because the end user has reloaded the callback page, the code is rejected. Only the first
    /// exchange of a code returns the tokens. [O9](crate::rules)
    ///
    /// # Errors
    ///
    /// Returns a [`SpendError`] that reports the code's fate. If this fate is unknown, the end user
    /// must consent again, because a second exchange of the code could end the connection that the
    /// first exchange created.
    ///
    /// # Cancel safety
    ///
    /// A code is treated as sent as soon as any part of the request may have left this machine. If
    /// the future is dropped before that point, for example while the client is connecting, nothing
    /// is sent, and the code can still be exchanged when the end user reloads the page. If the
    /// future is dropped later, the response is lost.
    pub async fn exchange_code(&self, code: AuthorizationCode) -> Result<Tokens, SpendError<AuthorizationCode>> {
        let Some(hash) = self.codes.insert(code.code.expose_secret(), self.executor.clock.as_ref()) else {
            let error = Error::new(Operation::OutboundExchangeCode, Kind::Callback("the code has already been sent"));
            return Err(SpendError::Unknown(error.after_sending()));
        };
        let sending = SendingCode { hash, codes: &self.codes, marker: SendMarker::new() };
        let transport = self.transport.with_marker(sending.marker.clone());
        let client = Self { http: flinks_outbound::Client::with_transport(transport), ..self.clone() };
        let request = self
            .authentication
            .request(types::GrantType::AuthorizationCode)
            .code(code.code.clone())
            .redirect_uri(code.redirect_uri.as_str());
        match client.token(Operation::OutboundExchangeCode, RetryPolicy::Code, &request).await {
            Ok(tokens) => Ok(tokens),
            Err(error) if sending.marker.abandon() => Err(SpendError::new(code, error.before_sending())),
            Err(error) => Err(SpendError::new(code, error)),
        }
    }

    /// Refreshes an access token with a refresh token. Each refresh restarts the refresh token's
    /// 30-day idle period.
    ///
    /// If the response contains a new refresh token, that token replaces the old one. Store the new
    /// refresh token before you use the access token. [O5](crate::rules)
    ///
    /// # Errors
    ///
    /// Returns an error if the request fails. [`Error::needs_consent`] returns `true` if the end
    /// user must consent again. [O6](crate::rules)
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped after the request has been sent, the response is lost, including
    /// any new refresh token. If the caller may be cancelled, run the call in a separate task
    /// (`tokio::spawn`).
    pub async fn refresh(&self, refresh_token: &RefreshToken) -> Result<Tokens, Error> {
        let request =
            self.authentication.request(types::GrantType::RefreshToken).refresh_token(refresh_token.secret().clone());
        let policy = if self.rotates_refresh_tokens() { RetryPolicy::RotatingRefresh } else { RetryPolicy::Refresh };
        let mut tokens = self.token(Operation::OutboundRefresh, policy, &request).await?;
        // Some servers return the refresh token unchanged, which is not a rotation.
        tokens.refresh_token.take_if(|new| new.expose_secret() == refresh_token.expose_secret());
        if tokens.refresh_token.is_some() {
            self.assume_rotating_refresh_tokens();
        }
        Ok(tokens)
    }

    /// Revokes an end user's access tokens and refresh tokens, which ends the connection.
    ///
    /// Only `Ok` proves that the connection has ended. `Ok` means that the response was a 204, or a
    /// 200 with an empty body. [O10](crate::rules)
    ///
    /// # Errors
    ///
    /// Returns an error if Flinks rejects the token or if the response does not confirm the
    /// revocation. For a response such as a 202 or a firewall's page, the cause is
    /// [`Cause::Malformed`](crate::Cause::Malformed), and the connection may or may not have ended.
    /// Keep the refresh token after an error.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped after the request has been sent, the connection may or may not have
    /// ended.
    pub async fn revoke(&self, access_token: &AccessToken) -> Result<(), Error> {
        let authorization = &Authorization::bearer(access_token.secret());
        let attempt = || async move {
            let response = self.http.revoke(authorization).send().await;
            let response = response.map_err(|error| Error::from_call(Operation::OutboundRevoke, error, error_body))?;
            Ok(Success { status: response.status(), value: () })
        };
        self.executor.call(Operation::OutboundRevoke, RetryPolicy::Never, DEFAULT_TIMEOUT, attempt).await
    }

    /// Restores an access token that was stored outside this process, for example in a database.
    ///
    /// `issued_at` and `lifetime` are the values returned by the [`AccessToken`] methods of the
    /// same names. The maximum lifetime is one day.
    ///
    /// Returns `None` if the token has expired, if `secret` is empty or contains a character that
    /// is invalid in a token, or if `issued_at` is in the future. In the last case, the wall clock
    /// was ahead when the token was issued or is behind now, so the token's age is unknown.
    pub fn restore_access_token(
        &self,
        secret: impl Into<Secret>,
        issued_at: SystemTime,
        lifetime: Duration,
    ) -> Option<AccessToken> {
        let deadline = Deadline::continued(issued_at, lifetime.min(ExpiresIn::MAX), &self.executor.clock)?;
        AccessToken::new(Bearer::new(secret.into(), deadline))
    }

    /// Returns the HTTP client, for requests to the Open Banking API that your application sends
    /// itself.
    ///
    /// The HTTP client shares this client's proxy, certificates and connections, and does not
    /// follow redirects. Its only timeout is the connect timeout, so set a timeout for each
    /// request. Send access tokens only to the [`base_url`](Self::base_url).
    #[cfg(feature = "reqwest-0_13")]
    pub fn http_client(&self) -> &reqwest::Client {
        self.transport.http_client()
    }

    /// Returns the base URL.
    pub fn base_url(&self) -> &BaseUrl {
        &self.base_url
    }

    /// Returns the client's clock, which is the system clock unless [`Settings::clock`] is set.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.executor.clock
    }

    /// Returns the timeout for a call, including all of its attempts and the waits between them.
    pub fn timeout(&self) -> Duration {
        self.executor.timeout.unwrap_or(DEFAULT_TIMEOUT)
    }

    /// Returns whether this client or a clone has received a refresh token that replaced an earlier
    /// one.
    ///
    /// After such a replacement, a refresh whose response was lost is not retried, because that
    /// response may have contained the next refresh token. [A5](crate::rules)
    pub fn rotates_refresh_tokens(&self) -> bool {
        self.has_rotated.load(Ordering::Relaxed)
    }

    /// Records, for this client and its clones, that the server replaces refresh tokens. Call this
    /// method if another process has observed a replacement; see
    /// [`rotates_refresh_tokens`](Self::rotates_refresh_tokens).
    pub fn assume_rotating_refresh_tokens(&self) {
        self.has_rotated.store(true, Ordering::Relaxed);
    }

    async fn token(
        &self,
        operation: Operation,
        policy: RetryPolicy,
        request: &types::TokenRequest,
    ) -> Result<Tokens, Error> {
        let basic = &match &*self.authentication {
            ClientAuthentication::Basic(ClientCredentials { client_id, client_secret }) => {
                Some(Authorization::basic(client_id, client_secret))
            }
            _ => None,
        };
        let attempt = || async move {
            let sent = Timestamps::now(self.executor.clock.as_ref());
            let mut call = self.http.token(request);
            if let Some(basic) = basic {
                call = call.authorization(basic);
            }
            let response = call.send().await.map_err(|error| Error::from_call(operation, error, error_body))?;
            Ok(Success { status: response.status(), value: self.tokens(operation, request, response, sent)? })
        };
        self.executor.call(operation, policy, DEFAULT_TIMEOUT, attempt).await
    }

    fn tokens(
        &self,
        operation: Operation,
        request: &types::TokenRequest,
        response: ResponseValue<types::TokenResponse>,
        sent: Timestamps,
    ) -> Result<Tokens, Error> {
        let (head, response) = response.into_parts();
        let malformed = |field, reason| Error::malformed(operation, &head, field, reason);
        let types::TokenResponse { access_token, token_type, expires_in, refresh_token, scope, .. } = response;
        let bearer = BearerResponse { access_token, token_type, expires_in };
        let bearer = bearer.check(operation, &head, sent, &self.executor.clock)?;
        let credentials = [self.authentication.client_secret(), request.code.as_ref()];
        let credentials = credentials.into_iter().flatten().map(Secret::expose_secret);
        let old_refresh_token = request.refresh_token.as_ref().map(Secret::expose_secret);
        if is_echo(bearer.secret().expose_secret(), credentials.clone().chain(old_refresh_token)) {
            return Err(malformed("access_token", REPEATS_A_SECRET));
        }
        let access_token =
            AccessToken::new(bearer).ok_or_else(|| malformed("access_token", "is not valid in a header"))?;
        let refresh_token = match refresh_token {
            // The client credentials grant has no refresh token (RFC 6749, section 4.4.3).
            _ if request.grant_type == types::GrantType::ClientCredentials => None,
            Some(new) if !new.expose_secret().trim().is_empty() => {
                // The request's refresh token is not treated as an echo, because a server may
                // return it unchanged (O5).
                if is_echo(new.expose_secret(), credentials) {
                    return Err(malformed("refresh_token", REPEATS_A_SECRET));
                }
                // An invalid refresh token must not be treated as absent.
                let new =
                    RefreshToken::new(new).map_err(|_| malformed("refresh_token", "contains a control character"));
                Some(new?)
            }
            // The old refresh token stays valid (O5).
            _ => None,
        };
        // If the response contained a refresh token, returning an error would lose both tokens.
        if refresh_token.is_none() && access_token.is_expired() {
            return Err(Error::expired_on_arrival(operation, &head));
        }
        Ok(Tokens { access_token, refresh_token, scope })
    }
}

impl Configure for Client {
    type Parts = (BaseUrl, ClientAuthentication);

    const FIELDS: &'static [Field] = fields!("OUTBOUND",
        "client_id" => "CLIENT_ID",
        "client_secret" => "CLIENT_SECRET",
        "client_authentication" => "CLIENT_AUTHENTICATION",
    );

    fn parts(values: &Values) -> Result<Self::Parts, Error> {
        let base_url = config::base_url(values, values.required("url")?, Product::Outbound)?;
        let client_id = values.required("client_id")?;
        let credentials = || {
            let credentials = ClientCredentials::new(client_id, values.required("client_secret")?);
            credentials.map_err(|error| config::with_setting_name(values, error))
        };
        let authentication = match values.optional("client_authentication")?.unwrap_or("fields") {
            "fields" => ClientAuthentication::Fields(credentials()?),
            "basic" => ClientAuthentication::Basic(credentials()?),
            "none" if values.optional("client_secret")?.is_some() => {
                return Err(values
                    .error("client_secret", "must not be set if the client authentication is `none`")
                    .into());
            }
            "none" => ClientAuthentication::None { client_id: client_id.to_owned() },
            _ => return Err(values.error("client_authentication", "must be `fields`, `basic` or `none`").into()),
        };
        authentication.check().map_err(|error| config::with_setting_name(values, error))?;
        Ok((base_url, authentication))
    }

    fn build((base_url, authentication): Self::Parts, settings: &Settings) -> Result<Self, Error> {
        authentication.check()?;
        check_host(&base_url, Product::Outbound)?;
        let transport = settings.transport(base_url.clone())?;
        Ok(Self {
            http: flinks_outbound::Client::with_transport(transport.clone()),
            transport,
            executor: settings.executor(&base_url),
            base_url,
            app_request: Arc::new(authentication.request(types::GrantType::ClientCredentials)),
            authentication: Arc::new(authentication),
            has_rotated: Arc::default(),
            codes: Arc::new(RecentSecrets::new(CODE_LIFETIME)),
        })
    }
}

/// A code that is being sent. If the call returns or is cancelled before any byte of the request
/// has left this machine, the code is not treated as sent.
struct SendingCode<'a> {
    hash: SecretHash,
    codes: &'a RecentSecrets,
    marker: SendMarker,
}

impl Drop for SendingCode<'_> {
    fn drop(&mut self) {
        if self.marker.abandon() {
            self.codes.remove(self.hash);
        }
    }
}

fn error_body(error: &types::ErrorResponse) -> ErrorBody {
    let oauth = error.error.clone().map(OAuthError::from);
    ErrorBody { code: None, oauth, message: error.error_description.clone() }
}
