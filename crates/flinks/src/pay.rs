//! The Flinks Pay client, which exchanges a user name and password for a session token that starts
//! one payment session.
//!
//! This module is based on the Flinks documentation page
//! [/Authorize](https://docs.flinks.com/api/pay/endpoints/authorize/authorize.md).
//! [P1-P8](crate::rules)

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use flinks_core::{Authorization, BaseUrl, Clock, DEFAULT_TIMEOUT, ResponseValue, Secret, Timestamps, Transport};
use flinks_pay::types;

use crate::bearer::{Bearer, BearerResponse};
use crate::builder::ClientBuilder;
use crate::builder::sealed::Configure;
use crate::config::{self, Field, Values, fields};
use crate::error::{Error, ErrorBody, Kind, SpendError};
use crate::hosts::check_host;
use crate::operation::{Operation, Product};
use crate::recent::RecentSecrets;
use crate::retry::{CallExecutor, RetryPolicy};
use crate::running_call::Success;
use crate::settings::Settings;
use crate::validate::{HANDED_OUT_BEFORE, MUST_NOT_BE_EMPTY, REPEATS_A_SECRET, is_echo, query, token_problem};

/// The base URL of the sandbox according to the Flinks documentation, where only the `/Authorize`
/// page gives a different URL. [P7](crate::rules)
pub const SANDBOX: &str = "https://payments-uat.flinksapp.com";
/// The production base URL according to the Flinks documentation, where only the `/Authorize` page
/// gives a different URL. [P7](crate::rules)
pub const PRODUCTION: &str = "https://payments.flinksapp.com";

/// A client for Flinks Pay. Cloning is cheap, and clones share their connections.
#[derive(Clone, derive_more::Debug)]
#[debug("Client {{ base_url: {:?}, .. }}", base_url.as_str())]
pub struct Client {
    http: flinks_pay::Client,
    transport: Transport,
    base_url: BaseUrl,
    credentials: Arc<Credentials>,
    /// The tokens that this client has handed out (P5), or `None` if repeated tokens are accepted.
    handed_out: Option<Arc<RecentSecrets>>,
    executor: CallExecutor,
}

impl Client {
    /// Creates a builder. The base URL has no default; see [`SANDBOX`] and [`PRODUCTION`].
    /// [P7](crate::rules)
    pub fn builder(base_url: BaseUrl, credentials: Credentials) -> ClientBuilder<Self> {
        ClientBuilder::new((base_url, credentials))
    }

    /// Creates a client from the `FLINKS_PAY_…` environment variables; see [`ClientBuilder`].
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
            http: flinks_pay::Client::with_transport(transport.clone()),
            transport,
            executor: self.executor.with_timeout(timeout),
            ..self.clone()
        }
    }

    /// Requests a session token. Each call returns a new token that is not shared with any other
    /// caller.
    ///
    /// A token that this client has handed out before is rejected as malformed, unless
    /// [`Settings::accept_repeated_tokens`] is set. [P5](crate::rules)
    ///
    /// If the network fails or the server is temporarily unavailable, the call makes up to three
    /// attempts. Each retry costs at most one unused token. [A5](crate::rules)
    ///
    /// # Errors
    ///
    /// Returns an error if the request fails. [`Error::is_credentials`] returns `true` for a 400,
    /// because Flinks reports invalid credentials as a 400 without a body. For other failures, see
    /// the methods of [`Error`]. [P6](crate::rules)
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, at most one unused token is lost.
    pub async fn authorize(&self) -> Result<SessionToken, Error> {
        let Credentials { username, password } = &*self.credentials;
        let grant_type = types::GrantType::ClientCredentials;
        let request = &types::AuthorizeRequest::new(grant_type, username.as_str(), password.clone());
        let clock = &self.executor.clock;
        let attempt = || async move {
            let sent = Timestamps::now(clock.as_ref());
            let response = self.http.authorize(request).send().await;
            let response = response.map_err(|error| Error::from_call(AUTHORIZE, error, |()| ErrorBody::default()))?;
            Ok(Success { status: response.status(), value: self.session_token(response, sent)? })
        };
        self.executor.call(AUTHORIZE, RetryPolicy::AsNeeded, DEFAULT_TIMEOUT, attempt).await
    }

    fn session_token(
        &self,
        response: ResponseValue<types::AuthorizeResponse>,
        sent: Timestamps,
    ) -> Result<SessionToken, Error> {
        let (head, types::AuthorizeResponse { access_token, token_type, expires_in, .. }) = response.into_parts();
        let token = BearerResponse { access_token, token_type, expires_in };
        let token = token.check(AUTHORIZE, &head, sent, &self.executor.clock)?;
        if is_echo(token.secret().expose_secret(), [self.credentials.password.expose_secret()]) {
            return Err(Error::malformed(AUTHORIZE, &head, "access_token", REPEATS_A_SECRET));
        }
        if token.is_expired() {
            return Err(Error::expired_on_arrival(AUTHORIZE, &head));
        }
        if let Some(handed_out) = &self.handed_out
            && handed_out.insert(token.secret().expose_secret(), self.executor.clock.as_ref()).is_none()
        {
            return Err(Error::malformed(AUTHORIZE, &head, "access_token", HANDED_OUT_BEFORE));
        }
        Ok(SessionToken(token))
    }

    /// Starts a payment session and spends the session token. The request is sent at most once.
    /// [P3, P8, A5](crate::rules)
    ///
    /// # Errors
    ///
    /// Returns a [`SpendError`] that reports the token's fate. An expired token is rejected before
    /// anything is sent: the error is [`SpendError::Unspent`], but the token can no longer be used.
    /// [P4](crate::rules)
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the token is lost. The session may have started, in which case its
    /// id is lost as well. If the caller may be cancelled, run the call in a separate task
    /// (`tokio::spawn`).
    pub async fn initiate_session(
        &self,
        token: SessionToken,
        session: &NewSession,
    ) -> Result<Session, SpendError<SessionToken>> {
        if token.is_expired() {
            return Err(SpendError::new(token, Error::new(INITIATE, Kind::ExpiredLocally)));
        }
        let secret = token.0.secret();
        let authorization = &Authorization::bearer(secret);
        let attempt = || async move {
            let response = self.http.initiate_session(authorization, &session.0).send().await;
            let response = response.map_err(|error| Error::from_call(INITIATE, error, error_body))?;
            if let Some(problem) = token_problem(response.session_id.expose_secret()) {
                return Err(Error::malformed(INITIATE, response.head(), "sessionId", problem));
            }
            if is_echo(response.session_id.expose_secret(), [secret.expose_secret()]) {
                return Err(Error::malformed(INITIATE, response.head(), "sessionId", REPEATS_A_SECRET));
            }
            let status = response.status();
            let types::SessionResponse { session_id, reference_id, .. } = response.into_inner();
            Ok(Success { status, value: Session { id: session_id, reference_id } })
        };
        let outcome = self.executor.call(INITIATE, RetryPolicy::Never, DEFAULT_TIMEOUT, attempt).await;
        outcome.map_err(|error| SpendError::new(token, error))
    }

    /// Returns the HTTP client, for requests to Flinks Pay that your application sends itself.
    ///
    /// The HTTP client shares this client's proxy, certificates and connections, and does not
    /// follow redirects. Its only timeout is the connect timeout, so set a timeout for each
    /// request. Send tokens only to the [`base_url`](Self::base_url).
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

    /// Returns the URL for the payer's browser: `{base}/app/?sessionId=…`.
    ///
    /// Send the payer to this URL after a payment request has been created for the session. Anyone
    /// who has the URL can pay in the session. [P8](crate::rules)
    pub fn app_url(&self, session: &Session) -> Secret {
        let query = query([("sessionId", session.id.expose_secret())]);
        Secret::new(format!("{}/app/?{query}", self.base_url))
    }
}

impl Configure for Client {
    type Parts = (BaseUrl, Credentials);

    const FIELDS: &'static [Field] = fields!("PAY", "username" => "USERNAME", "password" => "PASSWORD",);

    fn parts(values: &Values) -> Result<Self::Parts, Error> {
        let base_url = config::base_url(values, values.required("url")?, Product::Pay)?;
        let (username, password) = (values.required("username")?, values.required("password")?);
        let credentials = Credentials::new(username, password);
        Ok((base_url, credentials.map_err(|error| config::with_setting_name(values, error))?))
    }

    fn build((base_url, credentials): Self::Parts, settings: &Settings) -> Result<Self, Error> {
        check_host(&base_url, Product::Pay)?;
        let transport = settings.transport(base_url.clone())?;
        Ok(Self {
            http: flinks_pay::Client::with_transport(transport.clone()),
            transport,
            executor: settings.executor(&base_url),
            base_url,
            credentials: Arc::new(credentials),
            handed_out: settings.handed_out(),
        })
    }
}

const AUTHORIZE: Operation = Operation::PayAuthorize;
const INITIATE: Operation = Operation::PayInitiateSession;

fn error_body(error: &types::SessionError) -> ErrorBody {
    ErrorBody { message: error.message.clone().or_else(|| error.error.clone()), ..ErrorBody::default() }
}

/// The user name and password that Flinks issues during onboarding. [P1](crate::rules)
#[derive(Clone, derive_more::Debug)]
#[debug("Credentials {{ .. }}")]
pub struct Credentials {
    username: String,
    password: Secret,
}

impl Credentials {
    /// Creates credentials. They are sent unchanged, whatever characters they contain.
    ///
    /// # Errors
    ///
    /// Returns an error if the user name or the password is empty or contains a line break or NUL.
    /// Trim a value that you read from a file, because it may end with a line break.
    pub fn new(username: impl Into<String>, password: impl Into<Secret>) -> Result<Self, Error> {
        let (username, password) = (username.into(), password.into());
        for (field, text) in [("username", username.as_str()), ("password", password.expose_secret())] {
            if text.trim().is_empty() {
                return Err(Error::configuration(field, "is empty"));
            }
            if text.contains(['\n', '\r', '\0']) {
                return Err(Error::configuration(field, "must not contain a line break or NUL"));
            }
        }
        Ok(Self { username, password })
    }
}

/// A token that starts one payment session.
///
/// Spending the token consumes it. It cannot be copied, compared, printed or stored. For a second
/// session, call [`authorize`](Client::authorize) again. [P3](crate::rules)
#[derive(derive_more::Debug)]
#[debug("SessionToken {{ is_expired: {:?}, .. }}", self.is_expired())]
#[must_use = "an unused session token expires after 299 seconds"]
pub struct SessionToken(pub(crate) Bearer);

impl SessionToken {
    /// Returns the wall-clock time when the token expires, or `None` if the response did not
    /// include a lifetime. The lifetime starts just before the request is sent. [A4](crate::rules)
    pub fn expires_at(&self) -> Option<SystemTime> {
        self.0.expires_at()
    }

    /// Returns whether the token has expired according to either the monotonic clock or the wall
    /// clock. [A4](crate::rules)
    pub fn is_expired(&self) -> bool {
        self.0.is_expired()
    }

    /// Spends the token and returns a header value for a request that your application sends
    /// itself. Use the header that your Flinks environment expects. [P8](crate::rules)
    ///
    /// # Errors
    ///
    /// Returns an error with [`Cause::Expired`](crate::Cause::Expired) if the token has expired.
    /// [P4](crate::rules)
    pub fn into_authorization(self) -> Result<BearerToken, Error> {
        if self.is_expired() {
            return Err(Error::new(INITIATE, Kind::ExpiredLocally));
        }
        Ok(BearerToken(Secret::new(format!("Bearer {}", self.0.secret().expose_secret()))))
    }
}

/// The value of a header that carries a spent [`SessionToken`].
#[derive(Debug)]
#[must_use = "the session token is spent on this header"]
pub struct BearerToken(Secret);

impl BearerToken {
    /// The name of the header that usually carries the token.
    pub const HEADER: &'static str = "authorization";

    /// Returns `Bearer …`. Keep the value out of logs, and mark the header as sensitive.
    pub fn expose_value(&self) -> &str {
        self.0.expose_secret()
    }
}

/// A request to start a payment session.
#[derive(Clone, Debug)]
#[must_use = "no session starts until `initiate_session` sends this request"]
pub struct NewSession(types::SessionRequest);

impl NewSession {
    /// Creates a request for a payment of `amount` by `customer`. `reference_id` is an id that you
    /// choose for the payment.
    ///
    /// # Errors
    ///
    /// Returns an error if a field is empty, or if the amount is 0 or has more than 15 digits. A
    /// larger amount might not be exactly representable as a JSON number. [`Error::field`] names
    /// the invalid field.
    pub fn new(reference_id: impl Into<String>, amount: Cents, customer: Customer) -> Result<Self, Error> {
        let reference_id = reference_id.into();
        let Customer { name, email } = customer;
        for (field, text) in [("referenceId", &reference_id), ("customerName", &name), ("customerEmail", &email)] {
            if text.trim().is_empty() {
                return Err(Error::input(field, MUST_NOT_BE_EMPTY));
            }
        }
        let Cents(cents) = amount;
        if !(1..1_000_000_000_000_000).contains(&cents) {
            return Err(Error::input("amount", "must be between 1 and 999,999,999,999,999 cents"));
        }
        // A decimal number with up to 15 digits survives the conversion to a float and back.
        #[expect(clippy::cast_precision_loss)]
        let amount = cents as f64 / 100.0;
        Ok(Self(types::SessionRequest::new(reference_id, amount, name, email)))
    }
}

/// An amount in cents: `Cents(10_50)` is 10.50 dollars.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cents(pub u64);

/// The payer in a payment session.
#[derive(Clone, PartialEq, Eq, derive_more::Debug)]
#[debug("Customer {{ .. }}")]
pub struct Customer {
    /// The payer's name.
    pub name: String,
    /// The payer's email address.
    pub email: String,
}

/// A payment session that has started.
#[derive(derive_more::Debug)]
#[debug("Session {{ .. }}")]
pub struct Session {
    id: Secret,
    reference_id: Option<String>,
}

impl Session {
    /// Returns the session id. Anyone who has the id can continue the session.
    pub fn expose_id(&self) -> &str {
        self.id.expose_secret()
    }

    /// Returns the `reference_id` that you chose for the payment, if the server returned it.
    pub fn reference_id(&self) -> Option<&str> {
        self.reference_id.as_deref()
    }
}
