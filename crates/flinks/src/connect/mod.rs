//! The Flinks Connect client, which exchanges a secret key for an authorize token that connects an
//! end user's bank account.
//!
//! This module is based on the Flinks documentation pages
//! [/GenerateAuthorizeToken](https://docs.flinks.com/api/authorize/endpoints/generate-authorize-token.md)
//! and [Set Up Authorization](https://docs.flinks.com/guides/connect/setup-authorization.md).
//! [C1-C8](crate::rules)

mod authorize;
mod identifiers;
mod landing;
mod message;
mod oauth;
mod widget;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use flinks_connect::types;

pub use self::authorize::{AnswerError, Answers, Authorize, Challenge, Outcome, Question, Session};
pub use self::identifiers::{CustomerId, Host, Instance, LoginId, RequestId, SecretKey};
pub use self::landing::{Landing, PendingLanding, StartedWidget, StatePlacement, UnverifiedLoginId};
pub use self::message::WidgetMessage;
pub use self::oauth::{CustomOAuth, PendingAuthorization};
pub use self::widget::{Theme, Widget, WidgetUrl};

use flinks_core::{BaseUrl, Clock, DEFAULT_TIMEOUT, Deadline, ResponseValue, Timestamps, Transport};

use crate::FlinksCode;
use crate::builder::ClientBuilder;
use crate::builder::sealed::Configure;
use crate::config::{self, Field, Values, fields};
use crate::error::{Error, ErrorBody, Kind};
use crate::hosts::check_host;
use crate::operation::{Operation, Product};
use crate::recent::RecentSecrets;
use crate::retry::{CallExecutor, RetryPolicy};
use crate::running_call::Success;
use crate::settings::Settings;
use crate::validate::{HANDED_OUT_BEFORE, REPEATS_A_SECRET, is_echo, token_problem};

/// A client for Flinks Connect. Cloning is cheap, and clones share their connections.
#[derive(Clone, derive_more::Debug)]
#[debug("Client {{ api: {:?}, .. }}", api.as_str())]
pub struct Client {
    http: flinks_connect::Client,
    transport: Transport,
    api: BaseUrl,
    iframe: BaseUrl,
    customer_id: CustomerId,
    secret_key: Arc<types::SecretKey>,
    /// The tokens that this client has handed out (C3), or `None` if repeated tokens are accepted.
    handed_out: Option<Arc<RecentSecrets>>,
    executor: CallExecutor,
    /// Executes calls to `/Authorize`, which have a longer timeout.
    bank_executor: CallExecutor,
}

impl Client {
    /// Creates a builder. The host is a Flinks [`Instance`] or a base URL, such as the base URL of
    /// the emulator. A base URL replaces both hosts of an instance.
    pub fn builder(host: impl Into<Host>, customer_id: CustomerId, secret_key: SecretKey) -> ClientBuilder<Self> {
        ClientBuilder::new((host.into(), customer_id, secret_key))
    }

    /// Creates a client from the `FLINKS_CONNECT_…` environment variables; see [`ClientBuilder`].
    ///
    /// # Errors
    ///
    /// Returns an error if [`ClientBuilder::from_env`] or [`ClientBuilder::build`] fails.
    pub fn from_env() -> Result<Self, Error> {
        ClientBuilder::from_env()?.build()
    }

    /// Returns a clone that has a different timeout and shares this client's connections. The
    /// timeout also applies to `/Authorize`. The minimum timeout is one millisecond.
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        let transport = self.transport.with_timeout(timeout);
        Self {
            http: flinks_connect::Client::with_transport(transport.clone()),
            transport,
            executor: self.executor.with_timeout(timeout),
            bank_executor: self.bank_executor.with_timeout(timeout),
            ..self.clone()
        }
    }

    /// Requests an authorize token. Each call returns a new token.
    ///
    /// A token that this client has handed out before is rejected as malformed, unless
    /// [`Settings::accept_repeated_tokens`] is set. [C1, C3](crate::rules)
    ///
    /// If the network fails or the server is temporarily unavailable, the call makes up to three
    /// attempts. Each retry costs at most one unused token. [A5](crate::rules)
    ///
    /// # Errors
    ///
    /// Returns an error if the request fails. [`Error::is_credentials`] returns `true` if the
    /// secret key was refused; for other failures, see the methods of [`Error`]. [C2](crate::rules)
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, at most one unused token is lost.
    pub async fn generate_authorize_token(&self) -> Result<AuthorizeToken, Error> {
        let clock = &self.executor.clock;
        let attempt = || async move {
            let sent = Timestamps::now(clock.as_ref());
            let response = self.http.generate_authorize_token(&self.customer_id.0, &self.secret_key).send().await;
            let response = response.map_err(|error| Error::from_call(GENERATE, error, error_body))?;
            Ok(Success { status: response.status(), value: self.authorize_token(response, sent)? })
        };
        self.executor.call(GENERATE, RetryPolicy::AsNeeded, DEFAULT_TIMEOUT, attempt).await
    }

    /// Returns the HTTP client, for requests to Flinks Connect that your application sends itself.
    ///
    /// The HTTP client shares this client's proxy, certificates and connections, and does not
    /// follow redirects. Its only timeout is the connect timeout, so set a timeout for each
    /// request. Send tokens only to the [`base_url`](Self::base_url).
    #[cfg(feature = "reqwest-0_13")]
    pub fn http_client(&self) -> &reqwest::Client {
        self.transport.http_client()
    }

    /// Returns the base URL of the API host.
    pub fn base_url(&self) -> &BaseUrl {
        &self.api
    }

    /// Returns the client's clock, which is the system clock unless [`Settings::clock`] is set.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.executor.clock
    }

    fn authorize_token(
        &self,
        response: ResponseValue<types::GenerateAuthorizeTokenResponse>,
        sent: Timestamps,
    ) -> Result<AuthorizeToken, Error> {
        let (head, response) = response.into_parts();
        let malformed = |field, reason| Err(Error::malformed(GENERATE, &head, field, reason));
        let types::GenerateAuthorizeTokenResponse { http_status_code, token, .. } = response;
        if http_status_code.is_some_and(|status| status != 200) {
            return malformed("HttpStatusCode", "is not 200, although the HTTP status is 200");
        }
        if let Some(problem) = token_problem(token.expose_secret()) {
            return malformed("Token", problem);
        }
        if is_echo(token.expose_secret(), [self.secret_key.expose_secret()]) {
            return malformed("Token", REPEATS_A_SECRET);
        }
        if let Some(handed_out) = &self.handed_out
            && handed_out.insert(token.expose_secret(), self.executor.clock.as_ref()).is_none()
        {
            return malformed("Token", HANDED_OUT_BEFORE);
        }
        Ok(AuthorizeToken { secret: token, deadline: Deadline::after(sent, TOKEN_LIFETIME, &self.executor.clock) })
    }
}

impl Configure for Client {
    type Parts = (Host, CustomerId, SecretKey);

    const FIELDS: &'static [Field] = fields!("CONNECT",
        "instance" => "INSTANCE",
        "customer_id" => "CUSTOMER_ID",
        "secret_key" => "SECRET_KEY",
        "bank_timeout_seconds" => "BANK_TIMEOUT_SECONDS",
    );

    fn parts(values: &Values) -> Result<Self::Parts, Error> {
        let host = match (values.optional("instance")?, values.optional("url")?) {
            (Some(_), Some(_)) => {
                return Err(values.error("url", "must not be set if the instance is set").into());
            }
            (Some(instance), None) => Host::Instance(config::parse(values, instance)?),
            (None, Some(url)) => Host::BaseUrl(config::base_url(values, url, Product::Connect)?),
            (None, None) => {
                return Err(values.error("instance", "is not set, and neither is a base URL").into());
            }
        };
        let customer_id = config::parse(values, values.required("customer_id")?)?;
        let secret_key = SecretKey::new(values.required("secret_key")?);
        Ok((host, customer_id, secret_key.map_err(|error| config::with_setting_name(values, error))?))
    }

    fn build((host, customer_id, secret_key): Self::Parts, settings: &Settings) -> Result<Self, Error> {
        let (api, iframe) = (host.url("api")?, host.url("iframe")?);
        check_host(&api, Product::Connect)?;
        let transport = settings.transport(api.clone())?;
        Ok(Self {
            http: flinks_connect::Client::with_transport(transport.clone()),
            transport,
            executor: settings.executor(&api),
            bank_executor: settings.bank_executor(&api),
            api,
            iframe,
            customer_id,
            secret_key: Arc::new(types::SecretKey::new(secret_key.expose_secret())),
            handed_out: settings.handed_out(),
        })
    }
}

const GENERATE: Operation = Operation::ConnectGenerateAuthorizeToken;

/// The lifetime of a token according to the Flinks documentation (C3). Responses do not include the
/// lifetime.
const TOKEN_LIFETIME: Duration = Duration::from_secs(30 * 60);

/// Extracts the parts of the documented error body.
fn error_body(error: &types::ErrorResponse) -> ErrorBody {
    let code = error.flinks_code.clone().map(FlinksCode::from);
    ErrorBody { code, oauth: None, message: error.message.clone() }
}

/// A token that can connect one bank account and expires after 30 minutes.
///
/// Spending the token consumes it. It cannot be copied, compared, printed or stored. To connect a
/// second account, call [`generate_authorize_token`](Client::generate_authorize_token) again.
/// [C3](crate::rules)
#[derive(derive_more::Debug)]
#[debug("AuthorizeToken {{ is_expired: {:?}, .. }}", self.is_expired())]
#[must_use = "an unused authorize token expires after 30 minutes"]
pub struct AuthorizeToken {
    secret: types::AuthorizeToken,
    pub(crate) deadline: Deadline,
}

impl AuthorizeToken {
    /// Returns the wall-clock time when the token expires, or `None` if the wall clock cannot
    /// represent that time. The lifetime starts just before the request is sent. [A4](crate::rules)
    pub fn expires_at(&self) -> Option<SystemTime> {
        self.deadline.wall()
    }

    /// Returns whether the token has expired according to either the monotonic clock or the wall
    /// clock. [A4](crate::rules)
    pub fn is_expired(&self) -> bool {
        self.deadline.is_past()
    }

    /// Spends the token and returns a header value for a request to `/Authorize` that your
    /// application sends itself. [C4](crate::rules)
    ///
    /// # Errors
    ///
    /// Returns an error with [`Cause::Expired`](crate::Cause::Expired) if the token has expired.
    pub fn into_header(self) -> Result<AuthorizeHeader, Error> {
        if self.is_expired() {
            return Err(Error::new(Operation::ConnectAuthorize, Kind::ExpiredLocally));
        }
        Ok(AuthorizeHeader(self.secret))
    }
}

/// The value of a header that carries a spent [`AuthorizeToken`].
#[derive(Debug)]
#[must_use = "the authorize token is spent on this header"]
pub struct AuthorizeHeader(types::AuthorizeToken);

impl AuthorizeHeader {
    /// The name of the header. Requests to `/GenerateAuthorizeToken` carry the secret key in a
    /// header with the same name. Never send the secret key to `/Authorize`.
    pub const NAME: &'static str = "flinks-auth-key";

    /// Returns the value. Keep it out of logs, and mark the header as sensitive.
    pub fn expose_value(&self) -> &str {
        self.0.expose_secret()
    }
}
