//! Flinks Connect: a secret key for an authorize token, and with that an end user's account (C1-C8).
//!
//! Facts are those of the pages [/GenerateAuthorizeToken](https://docs.flinks.com/api/authorize/endpoints/generate-authorize-token.md)
//! and [Set Up Authorization](https://docs.flinks.com/guides/connect/setup-authorization.md).

mod authorize;
mod identifiers;
mod oauth;
mod widget;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use flinks_connect::types;

pub use self::authorize::{AnswerError, Answers, Authorize, Challenge, Outcome, Question, Session};
pub use self::identifiers::{CustomerId, Host, Instance, LoginId, RequestId, SecretKey};
pub use self::oauth::{CustomOAuth, PendingAuthorization};
pub use self::widget::{Theme, Widget, WidgetUrl};

use flinks_core::{BaseUrl, Clock, DEFAULT_TIMEOUT, Deadline, ResponseValue, Timestamps, Transport};

use crate::FlinksCode;
use crate::builder::ClientBuilder;
use crate::builder::sealed::Configure;
use crate::config::{self, Field, Values, fields};
use crate::error::{Error, ErrorBody};
use crate::hosts::check_host;
use crate::operation::{Operation, Product};
use crate::recent::RecentSecrets;
use crate::retry::{CallExecutor, RetryPolicy};
use crate::settings::Settings;
use crate::validate::{ECHO, REPEATED, is_echo, token_problem};

/// A client of Flinks Connect. Cloning is cheap; clones share their connections.
#[derive(Clone, derive_more::Debug)]
#[debug("Client {{ api: {:?}, .. }}", api.as_str())]
pub struct Client {
    http: flinks_connect::Client,
    transport: Transport,
    api: BaseUrl,
    iframe: BaseUrl,
    customer_id: CustomerId,
    secret_key: Arc<types::SecretKey>,
    /// The tokens that were handed out (C3).
    handed_out: Option<Arc<RecentSecrets>>,
    executor: CallExecutor,
    /// For `/Authorize`.
    bank_executor: CallExecutor,
}

impl Client {
    /// Creates a builder. The host is an [`Instance`] of Flinks, or a base URL that replaces both of its hosts, such as the
    /// emulator's.
    pub fn builder(host: impl Into<Host>, customer_id: CustomerId, secret_key: SecretKey) -> ClientBuilder<Self> {
        ClientBuilder::new((host.into(), customer_id, secret_key))
    }

    /// Creates a client as the variables `FLINKS_CONNECT_…` configure it: see [`ClientBuilder`].
    ///
    /// # Errors
    ///
    /// Returns the errors of [`ClientBuilder::from_env`] and [`ClientBuilder::build`].
    pub fn from_env() -> Result<Self, Error> {
        ClientBuilder::from_env()?.build()
    }

    /// Returns a clone whose calls have another timeout, `/Authorize` included. It shares the connections of this client. Less than
    /// a millisecond counts as one.
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

    /// Gets an authorize token: a new one with each call. A token that this client has handed out before is refused as
    /// malformed, unless [`Settings::accept_repeated_tokens`] is set (C1, C3).
    ///
    /// A lost or refused-for-now request is repeated, up to three in all, for it costs no more than a token (A5).
    ///
    /// # Errors
    ///
    /// [`Error::is_credentials`] where the secret key is refused (C2); else what the predicates say.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, nothing is lost but a token that nobody has used.
    pub async fn generate_authorize_token(&self) -> Result<AuthorizeToken, Error> {
        let clock = &self.executor.clock;
        let attempt = || async move {
            let sent = Timestamps::now(clock.as_ref());
            let reply = self.http.generate_authorize_token(&self.customer_id.0, &self.secret_key).send().await;
            self.authorize_token(reply.map_err(|error| Error::from_call(GENERATE, error, error_body))?, sent)
        };
        self.executor.call(GENERATE, RetryPolicy::AsNeeded, DEFAULT_TIMEOUT, attempt).await
    }

    /// Returns the base URL of the API's host.
    pub fn base_url(&self) -> &BaseUrl {
        &self.api
    }

    /// Returns the clock of the [`Settings`].
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.executor.clock
    }

    fn authorize_token(
        &self,
        reply: ResponseValue<types::GenerateAuthorizeTokenResponse>,
        sent: Timestamps,
    ) -> Result<AuthorizeToken, Error> {
        let head = reply.head().clone();
        let malformed = |field, reason| Err(Error::malformed(GENERATE, &head, field, reason));
        let types::GenerateAuthorizeTokenResponse { http_status_code, token, .. } = reply.into_inner();
        if http_status_code.is_some_and(|status| status != 200) {
            return malformed("HttpStatusCode", "is not 200, though the status is");
        }
        if let Some(problem) = token_problem(token.expose_secret()) {
            return malformed("Token", problem);
        }
        if is_echo(token.expose_secret(), [self.secret_key.expose_secret()]) {
            return malformed("Token", ECHO);
        }
        if let Some(handed_out) = &self.handed_out
            && handed_out.insert(token.expose_secret(), self.executor.clock.as_ref()).is_none()
        {
            return malformed("Token", REPEATED);
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
                return Err(values
                    .error("url", "cannot be set together with the instance; leave one of the two out")
                    .into());
            }
            (Some(instance), None) => Host::Instance(config::parse(values, instance)?),
            (None, Some(url)) => Host::BaseUrl(config::base_url(values, url, Product::Connect)?),
            (None, None) => {
                return Err(values.error("instance", "is missing, and there is no base URL in its place").into());
            }
        };
        let customer_id = config::parse(values, values.required("customer_id")?)?;
        let secret_key = SecretKey::new(values.required("secret_key")?);
        Ok((host, customer_id, secret_key.map_err(|error| config::named(values, error))?))
    }

    fn build((host, customer_id, secret_key): Self::Parts, settings: &Settings) -> Result<Self, Error> {
        let (api, iframe) = (host.url("api")?, host.url("iframe")?);
        check_host(&api, Product::Connect)?;
        let transport = settings.transport(api.clone())?;
        Ok(Self {
            http: flinks_connect::Client::with_transport(transport.clone()),
            transport,
            api,
            iframe,
            customer_id,
            secret_key: Arc::new(types::SecretKey::new(secret_key.expose_secret())),
            handed_out: settings.handed_out(),
            executor: settings.executor(),
            bank_executor: settings.bank_executor(),
        })
    }
}

const GENERATE: Operation = Operation::ConnectGenerateAuthorizeToken;

/// No reply tells it; the pages do (C3).
const TOKEN_LIFETIME: Duration = Duration::from_secs(30 * 60);

/// What Connect's error body says.
fn error_body(error: &types::ErrorResponse) -> ErrorBody {
    let code = error.flinks_code.clone().map(FlinksCode::from);
    ErrorBody { code, oauth: None, message: error.message.clone() }
}

/// A token that connects one account, within 30 minutes (C3). It is spent by value; it cannot be copied, compared, printed or
/// stored. To spend two, get two: call [`generate_authorize_token`](Client::generate_authorize_token) again.
#[derive(derive_more::Debug)]
#[debug("AuthorizeToken {{ is_expired: {:?}, .. }}", self.is_expired())]
#[must_use = "an authorize token that is not used expires after 30 minutes"]
pub struct AuthorizeToken {
    secret: types::AuthorizeToken,
    pub(crate) deadline: Deadline,
}

impl AuthorizeToken {
    /// When it expires, on the wall clock, counted from before it was asked for (A4). None where that clock cannot tell.
    pub fn expires_at(&self) -> Option<SystemTime> {
        self.deadline.wall()
    }

    /// Whether it has expired, on either clock (A4).
    pub fn is_expired(&self) -> bool {
        self.deadline.is_past()
    }
}
