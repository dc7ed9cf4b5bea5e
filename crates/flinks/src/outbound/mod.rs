//! Flinks Outbound: the three grants of OAuth 2.0 (O1-O3, O6-O10).
//!
//! [`Client`] makes one exchange with each call. On top of it, [`Consents`] look after the consents of end users, so that each
//! access token is shared and no refresh token is lost (O4-O6); and [`AppTokenSource`] after the application's own token.
//!
//! Facts are those of the page [Token](https://docs.flinks.com/api/outbound/endpoints/authorize/token.md).

mod app;
mod authorization;
mod cache;
mod consent;
mod event;
mod exchange;
mod owner;
mod patience;
mod pending;
mod shutdown;
mod single_flight;
pub mod store;
mod suspicion;
mod tokens;

/// What the model check of `single_flight` replaces.
mod sync {
    pub(super) use std::sync::{Mutex, MutexGuard};
}

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use flinks_core::{Authorization, BaseUrl, DEFAULT_TIMEOUT, ResponseValue, Secret, SendMarker, Transport};
use flinks_outbound::types;

pub use self::app::AppTokenSource;
pub use self::authorization::{AuthorizationCode, AuthorizationRequest, PendingAuthorization};
pub use self::consent::{Consent, Consents, ConsentsBuilder, Revoked, StoreOutage};
pub use self::event::Event;
pub use self::shutdown::ShutdownError;
pub use self::store::{ConsentId, FileStore, MemoryStore, TokenStore};
#[doc(hidden)]
pub use self::tokens::claims;
pub use self::tokens::{AccessToken, Claims, RefreshToken, Tokens};

use crate::OAuthError;
use crate::bearer::Bearer;
use crate::error::{Error, Operation, Product, Said, SpendError};
use crate::recent::{RecentSecrets, SecretHash};
use crate::retry::{Caller, Repeat};
use crate::settings::Settings;
use crate::text::{ECHO, is_echo, token_problem};
use crate::time::Moment;

/// A client of Flinks Outbound. Cloning is cheap; clones share their connections.
#[derive(Clone)]
pub struct Client {
    http: flinks_outbound::Client,
    transport: Transport,
    base_url: BaseUrl,
    authentication: Arc<ClientAuthentication>,
    /// Whether a refresh token was ever replaced: then a lost reply is not asked for again (A5).
    has_rotated: Arc<AtomicBool>,
    /// The codes that went out. An end user who loads the page of their return twice must not end their consent, as a server
    /// may when it sees a code again (RFC 6749, section 4.1.2).
    codes: Arc<RecentSecrets>,
    caller: Caller,
}

/// No code should live longer (RFC 6749, section 4.1.2).
const CODE_LIFETIME: Duration = Duration::from_secs(10 * 60);

/// How your application authenticates itself (O2). Which one your Flinks wants is part of the configuration: it is never
/// tried out.
#[derive(Clone)]
#[non_exhaustive]
pub enum ClientAuthentication {
    /// `client_id` and `client_secret` as fields of each request.
    Fields(ClientCredentials),
    /// HTTP Basic.
    Basic(ClientCredentials),
    /// Not at all, as the published document has it. The client id is still in the address to which end users go.
    None {
        /// The client id, such as `dc-…`.
        client_id: String,
    },
}

impl ClientAuthentication {
    fn client_id(&self) -> &str {
        match self {
            Self::Fields(credentials) | Self::Basic(credentials) => &credentials.client_id,
            Self::None { client_id } => client_id,
        }
    }

    fn client_secret(&self) -> Option<&Secret> {
        match self {
            Self::Fields(credentials) | Self::Basic(credentials) => Some(&credentials.client_secret),
            Self::None { .. } => None,
        }
    }
}

/// As [`ClientAuthentication::Fields`], which is the usual way.
impl From<ClientCredentials> for ClientAuthentication {
    fn from(credentials: ClientCredentials) -> Self {
        Self::Fields(credentials)
    }
}

impl fmt::Debug for ClientAuthentication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fields(_) => "Fields(..)",
            Self::Basic(_) => "Basic(..)",
            Self::None { .. } => "None { .. }",
        })
    }
}

/// `client_id` and `client_secret`, from Flinks.
#[derive(Clone)]
pub struct ClientCredentials {
    client_id: String,
    client_secret: Secret,
}

impl ClientCredentials {
    /// Takes both.
    ///
    /// # Errors
    ///
    /// An [`Error`] where one is empty, or holds a space, a line break, a control or a non-ASCII character.
    pub fn new(client_id: impl Into<String>, client_secret: impl Into<Secret>) -> Result<Self, Error> {
        let (client_id, client_secret) = (client_id.into(), client_secret.into());
        for (field, text) in [("client id", client_id.as_str()), ("client secret", client_secret.expose_secret())] {
            if let Some(problem) = token_problem(text) {
                return Err(Error::configuration(field, problem));
            }
        }
        Ok(Self { client_id, client_secret })
    }
}

impl fmt::Debug for ClientCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientCredentials").finish_non_exhaustive()
    }
}

impl Client {
    /// A client with the default settings. The base URL is always yours (O11).
    ///
    /// # Errors
    ///
    /// An [`Error`] where TLS is needed and not there.
    pub fn new(base_url: BaseUrl, authentication: impl Into<ClientAuthentication>) -> Result<Self, Error> {
        Self::with_settings(base_url, authentication, &Settings::new())
    }

    /// A client with settings of one's own.
    ///
    /// # Errors
    ///
    /// An [`Error`] where TLS is needed and not there.
    pub fn with_settings(
        base_url: BaseUrl,
        authentication: impl Into<ClientAuthentication>,
        settings: &Settings,
    ) -> Result<Self, Error> {
        let transport = settings.transport(base_url.clone())?;
        let http = flinks_outbound::Client::with_transport(transport.clone());
        let authentication = authentication.into();
        if let Some(problem) = token_problem(authentication.client_id()) {
            return Err(Error::configuration("client id", problem));
        }
        Ok(Self {
            http,
            transport,
            base_url,
            authentication: Arc::new(authentication),
            has_rotated: Arc::default(),
            codes: Arc::new(RecentSecrets::new(CODE_LIFETIME)),
            caller: settings.caller(),
        })
    }

    /// Gets an access token for your application itself, with the grant `client_credentials` (O1): for app management, with
    /// the scope `client:admin`.
    ///
    /// # Errors
    ///
    /// [`Error::is_credentials`] for a wrong client id or secret; else what the predicates say.
    pub async fn client_credentials(&self, scope: Option<&str>) -> Result<AccessToken, Error> {
        let mut request = self.request(types::GrantType::ClientCredentials);
        if let Some(scope) = scope {
            request = request.scope(scope);
        }
        Ok(self.token(&CLIENT_CREDENTIALS, Repeat::AsNeeded, &request).await?.access_token)
    }

    /// Exchanges a code, once. It is sent again only if nothing of it has left this machine. A code that this client, or a
    /// clone, has sent in the last ten minutes is refused here, as when an end user loads the page of their return twice: the
    /// first call returns what became of it (O9).
    ///
    /// # Errors
    ///
    /// Returns a [`SpendError`] that says what became of the code. If its fate is unknown, the end user must consent again: to
    /// exchange the code once more could end the connection that it made.
    ///
    /// # Cancel safety
    ///
    /// A code counts as sent from the moment a byte of its request may have left this machine. If the future is dropped before
    /// that, as while it connects, nothing is sent, and the code can be exchanged when the end user loads the page again. If it
    /// is dropped later, what Flinks replies is lost.
    pub async fn exchange_code(&self, code: AuthorizationCode) -> Result<Tokens, SpendError<AuthorizationCode>> {
        let Some(hash) = self.codes.insert(code.code.expose_secret(), self.caller.clock.as_ref()) else {
            let error = Error::callback(&EXCHANGE_CODE, "holds a code that was sent before");
            return Err(SpendError::Unknown(error.after_sending()));
        };
        let sending = SendingCode { hash, codes: &self.codes, marker: SendMarker::new() };
        let transport = self.transport.with_marker(sending.marker.clone());
        let client = Self { http: flinks_outbound::Client::with_transport(transport), ..self.clone() };
        let request = self
            .request(types::GrantType::AuthorizationCode)
            .code(code.code.clone())
            .redirect_uri(code.redirect_uri.as_str());
        let outcome = client.token(&EXCHANGE_CODE, Repeat::Code, &request).await;
        outcome.map_err(|error| {
            if sending.marker.abandon() {
                return SpendError::new(code, error.before_sending());
            }
            SpendError::new(code, error)
        })
    }

    /// Exchanges a refresh token for a new access token, and restarts its 30 days (O5). A reply that holds another refresh
    /// token has replaced the old one: store it first.
    ///
    /// # Errors
    ///
    /// [`Error::needs_consent`] where the end user must consent again (O6): that is permanent.
    pub async fn refresh(&self, refresh_token: &RefreshToken) -> Result<Tokens, Error> {
        let request = self.request(types::GrantType::RefreshToken).refresh_token(refresh_token.secret().clone());
        let repeat = match self.has_rotated() {
            true => Repeat::RotatingRefresh,
            false => Repeat::Refresh,
        };
        let mut tokens = self.token(&REFRESH, repeat, &request).await?;
        // The same one is none: some servers repeat it.
        tokens.refresh_token.take_if(|new| new.expose_secret() == refresh_token.expose_secret());
        if tokens.refresh_token.is_some() {
            self.remember_rotation();
        }
        Ok(tokens)
    }

    /// Ends the connection of an end user: Flinks revokes their access and refresh tokens. The connection has ended only if
    /// this returns `Ok`, that is after a 204, or a 200 with an empty body (O10).
    ///
    /// # Errors
    ///
    /// Returns an error if Flinks refuses the token, or if the reply does not confirm the revocation, such as a 202 or the
    /// page of a firewall: then [`Error::is_malformed`] is true, and the connection may or may not have ended. Keep the refresh
    /// token after an error.
    pub async fn revoke(&self, access_token: &AccessToken) -> Result<(), Error> {
        let authorization = &Authorization::bearer(access_token.secret());
        let once = || async move {
            let reply = self.http.revoke(authorization).send().await;
            reply.map(drop).map_err(|error| Error::of(&REVOKE, error, said))
        };
        self.caller.call(&REVOKE, Repeat::Never, DEFAULT_TIMEOUT, once).await
    }

    /// For a whole call.
    fn timeout(&self) -> Duration {
        self.caller.timeout.unwrap_or(DEFAULT_TIMEOUT)
    }

    fn has_rotated(&self) -> bool {
        self.has_rotated.load(Ordering::Relaxed)
    }

    fn remember_rotation(&self) {
        self.has_rotated.store(true, Ordering::Relaxed);
    }

    fn request(&self, grant_type: types::GrantType) -> types::TokenRequest {
        let request = types::TokenRequest::new(grant_type);
        match &*self.authentication {
            ClientAuthentication::Fields(ClientCredentials { client_id, client_secret }) => {
                request.client_id(client_id.as_str()).client_secret(client_secret.clone())
            }
            ClientAuthentication::Basic(_) | ClientAuthentication::None { .. } => request,
        }
    }

    async fn token(
        &self,
        operation: &'static Operation,
        repeat: Repeat,
        request: &types::TokenRequest,
    ) -> Result<Tokens, Error> {
        let clock = &self.caller.clock;
        let basic = &match &*self.authentication {
            ClientAuthentication::Basic(ClientCredentials { client_id, client_secret }) => {
                Some(Authorization::basic(client_id, client_secret))
            }
            _ => None,
        };
        let once = || async move {
            let sent = Moment::now(clock.as_ref());
            let mut call = self.http.token(request);
            if let Some(basic) = basic {
                call = call.authorization(basic);
            }
            let reply = call.send().await.map_err(|error| Error::of(operation, error, said))?;
            self.tokens(operation, request, reply, sent)
        };
        self.caller.call(operation, repeat, DEFAULT_TIMEOUT, once).await
    }

    fn tokens(
        &self,
        operation: &'static Operation,
        request: &types::TokenRequest,
        reply: ResponseValue<types::TokenResponse>,
        sent: Moment,
    ) -> Result<Tokens, Error> {
        let head = reply.head().clone();
        let malformed = |field, reason| Error::malformed(operation, &head, field, reason);
        let types::TokenResponse { access_token, token_type, expires_in, refresh_token, scope, .. } =
            reply.into_inner();
        let fields = (access_token, token_type, expires_in);
        let bearer = Bearer::read(operation, &head, fields, sent, &self.caller.clock)?;
        let credentials = [self.authentication.client_secret(), request.code.as_ref()];
        let credentials = credentials.into_iter().flatten().map(Secret::expose_secret);
        let old_refresh_token = request.refresh_token.as_ref().map(Secret::expose_secret);
        if is_echo(bearer.secret().expose_secret(), credentials.clone().chain(old_refresh_token)) {
            return Err(malformed("access_token", ECHO));
        }
        let access_token = AccessToken::new(bearer);
        // An empty one means that the old one stays (O5). One that cannot be used must not be taken for that. With
        // `client_credentials` there is nothing that it could refresh.
        let refresh_token = match refresh_token {
            Some(new) if !new.expose_secret().trim().is_empty() && has_refresh_token(request.grant_type) => {
                // An unchanged one is normal (O5).
                if is_echo(new.expose_secret(), credentials) {
                    return Err(malformed("refresh_token", ECHO));
                }
                let new =
                    RefreshToken::new(new).map_err(|_| malformed("refresh_token", "holds a control character"))?;
                Some(new)
            }
            _ => None,
        };
        // Not where the refresh token in the reply would be lost with it.
        if refresh_token.is_none() && access_token.is_expired() {
            return Err(Error::stale(operation, Some(&head)));
        }
        Ok(Tokens { access_token, refresh_token, scope })
    }
}

/// Whether a reply to this grant may hold a refresh token.
fn has_refresh_token(grant_type: types::GrantType) -> bool {
    grant_type != types::GrantType::ClientCredentials
}

/// A code that is being sent. When the call returns or is cancelled and nothing of the code has left this machine, the code
/// does not count as sent.
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

fn said(error: &types::ErrorResponse) -> Said {
    let oauth = error.error.clone().map(OAuthError::of);
    Said { oauth, message: error.error_description.clone(), ..Said::default() }
}

const CLIENT_CREDENTIALS: Operation =
    Operation { product: Product::Outbound, id: "clientCredentials", purpose: "get an access token" };
const EXCHANGE_CODE: Operation =
    Operation { product: Product::Outbound, id: "exchangeCode", purpose: "exchange a code" };
const REFRESH: Operation = Operation { product: Product::Outbound, id: "refresh", purpose: "exchange a refresh token" };
pub(crate) const CONSENT: Operation =
    Operation { product: Product::Outbound, id: "consent", purpose: "look after a consent" };
const REVOKE: Operation = Operation { product: Product::Outbound, id: "revoke", purpose: "end a connection" };

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("base_url", &self.base_url.as_str()).finish_non_exhaustive()
    }
}
