//! Flinks Pay: user name and password for a session token, which starts one payment session (P1-P8).
//!
//! Facts are those of the pages [/Authorize](https://docs.flinks.com/api/pay/endpoints/authorize/authorize.md).

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use flinks_core::{Authorization, BaseUrl, Clock, DEFAULT_TIMEOUT, ResponseValue, Secret, Timestamps, Transport};
use flinks_pay::types;

use crate::bearer::{Bearer, BearerReply};
use crate::builder::ClientBuilder;
use crate::builder::sealed::Configure;
use crate::config::{self, Field, Values, fields};
use crate::error::{Error, ErrorBody, Kind, SpendError};
use crate::hosts::check_host;
use crate::operation::{Operation, Product};
use crate::recent::RecentSecrets;
use crate::retry::{CallExecutor, RetryPolicy};
use crate::settings::Settings;
use crate::validate::{ECHO, REPEATED, is_echo, query, token_problem};

/// The base URL of the sandbox, as other pages of Flinks name it (P7).
pub const SANDBOX: &str = "https://payments-uat.flinksapp.com";
/// The base URL of production, as other pages of Flinks name it (P7).
pub const PRODUCTION: &str = "https://payments.flinksapp.com";

/// A client of Flinks Pay. Cloning is cheap; clones share their connections.
#[derive(Clone, derive_more::Debug)]
#[debug("Client {{ base_url: {:?}, .. }}", base_url.as_str())]
pub struct Client {
    http: flinks_pay::Client,
    transport: Transport,
    base_url: BaseUrl,
    credentials: Arc<Credentials>,
    /// The tokens that were handed out (P5).
    handed_out: Option<Arc<RecentSecrets>>,
    executor: CallExecutor,
}

impl Client {
    /// Creates a builder. The base URL is always yours (P7).
    pub fn builder(base_url: BaseUrl, credentials: Credentials) -> ClientBuilder<Self> {
        ClientBuilder::new((base_url, credentials))
    }

    /// Creates a client as the variables `FLINKS_PAY_…` configure it: see [`ClientBuilder`].
    ///
    /// # Errors
    ///
    /// Returns the errors of [`ClientBuilder::from_env`] and [`ClientBuilder::build`].
    pub fn from_env() -> Result<Self, Error> {
        ClientBuilder::from_env()?.build()
    }

    /// Returns a clone whose calls have another timeout. It shares the connections of this client. Less than a millisecond counts
    /// as one.
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        let transport = self.transport.with_timeout(timeout);
        Self {
            http: flinks_pay::Client::with_transport(transport.clone()),
            transport,
            executor: self.executor.with_timeout(timeout),
            ..self.clone()
        }
    }

    /// Gets a token: a new one with each call, which nobody else has. A token that this client has handed out before is refused
    /// as malformed, unless [`Settings::accept_repeated_tokens`] is set (P5).
    ///
    /// A lost or refused-for-now request is repeated, up to three in all, for it costs no more than a token (A5).
    ///
    /// # Errors
    ///
    /// [`Error::is_credentials`] for a 400, which Flinks sends without a body (P6); else what the predicates say.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, nothing is lost but a token that nobody has used.
    pub async fn authorize(&self) -> Result<SessionToken, Error> {
        let Credentials { username, password } = &*self.credentials;
        let grant_type = types::GrantType::ClientCredentials;
        let request = &types::AuthorizeRequest::new(grant_type, username.as_str(), password.clone());
        let clock = &self.executor.clock;
        let attempt = || async move {
            let sent = Timestamps::now(clock.as_ref());
            let reply = self.http.authorize(request).send().await;
            self.session_token(
                reply.map_err(|error| Error::from_call(AUTHORIZE, error, |()| ErrorBody::default()))?,
                sent,
            )
        };
        self.executor.call(AUTHORIZE, RetryPolicy::AsNeeded, DEFAULT_TIMEOUT, attempt).await
    }

    fn session_token(
        &self,
        reply: ResponseValue<types::AuthorizeResponse>,
        sent: Timestamps,
    ) -> Result<SessionToken, Error> {
        let head = reply.head().clone();
        let types::AuthorizeResponse { access_token, token_type, expires_in, .. } = reply.into_inner();
        let token = BearerReply { access_token, token_type, expires_in };
        let token = token.check(AUTHORIZE, &head, sent, &self.executor.clock)?;
        if is_echo(token.secret().expose_secret(), [self.credentials.password.expose_secret()]) {
            return Err(Error::malformed(AUTHORIZE, &head, "access_token", ECHO));
        }
        if token.is_expired() {
            return Err(Error::expired_on_arrival(AUTHORIZE, &head));
        }
        if let Some(handed_out) = &self.handed_out
            && handed_out.insert(token.secret().expose_secret(), self.executor.clock.as_ref()).is_none()
        {
            return Err(Error::malformed(AUTHORIZE, &head, "access_token", REPEATED));
        }
        Ok(SessionToken(token))
    }

    /// Spends a token on a session (P3, P8). It is sent once, whatever comes of it (A5).
    ///
    /// # Errors
    ///
    /// A [`SpendError`] that says what became of the token. One that has expired is refused here (P4): unspent, and of no
    /// use.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the token is lost. The session may have started, and its id is lost: run the call in
    /// a separate task (`tokio::spawn`) if the caller may be dropped.
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
            let reply = self.http.initiate_session(authorization, &session.0).send().await;
            let reply = reply.map_err(|error| Error::from_call(INITIATE, error, error_body))?;
            if let Some(problem) = token_problem(reply.session_id.expose_secret()) {
                return Err(Error::malformed(INITIATE, reply.head(), "sessionId", problem));
            }
            if is_echo(reply.session_id.expose_secret(), [secret.expose_secret()]) {
                return Err(Error::malformed(INITIATE, reply.head(), "sessionId", ECHO));
            }
            let types::SessionResponse { session_id, reference_id, .. } = reply.into_inner();
            Ok(Session { id: session_id, reference_id })
        };
        let outcome = self.executor.call(INITIATE, RetryPolicy::Never, DEFAULT_TIMEOUT, attempt).await;
        outcome.map_err(|error| SpendError::new(token, error))
    }

    /// Returns the base URL.
    pub fn base_url(&self) -> &BaseUrl {
        &self.base_url
    }

    /// Returns the clock of the [`Settings`].
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.executor.clock
    }

    /// Where the payer's browser goes, once a payment request has been created for the session: `{base}/app/?sessionId=…`
    /// (P8). Whoever has the address can pay in the session.
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
        Ok((base_url, credentials.map_err(|error| config::named(values, error))?))
    }

    fn build((base_url, credentials): Self::Parts, settings: &Settings) -> Result<Self, Error> {
        check_host(&base_url, Product::Pay)?;
        let transport = settings.transport(base_url.clone())?;
        Ok(Self {
            http: flinks_pay::Client::with_transport(transport.clone()),
            transport,
            base_url,
            credentials: Arc::new(credentials),
            handed_out: settings.handed_out(),
            executor: settings.executor(),
        })
    }
}

const AUTHORIZE: Operation = Operation::PayAuthorize;
const INITIATE: Operation = Operation::PayInitiateSession;

fn error_body(error: &types::SessionError) -> ErrorBody {
    ErrorBody { message: error.message.clone().or_else(|| error.error.clone()), ..ErrorBody::default() }
}

/// User name and password, from Flinks' onboarding (P1).
#[derive(Clone, derive_more::Debug)]
#[debug("Credentials {{ .. }}")]
pub struct Credentials {
    username: String,
    password: Secret,
}

impl Credentials {
    /// They are sent as they are given, whatever characters they hold.
    ///
    /// # Errors
    ///
    /// An [`Error`] where one is empty, or holds a line break or NUL, as one that was read from a file may.
    pub fn new(username: impl Into<String>, password: impl Into<Secret>) -> Result<Self, Error> {
        let (username, password) = (username.into(), password.into());
        for (field, text) in [("username", username.as_str()), ("password", password.expose_secret())] {
            if text.trim().is_empty() {
                return Err(Error::configuration(field, "is empty"));
            }
            if text.contains(['\n', '\r', '\0']) {
                return Err(Error::configuration(field, "holds a line break or NUL"));
            }
        }
        Ok(Self { username, password })
    }
}

/// A token that starts one session (P3). It is spent by value; it cannot be copied, compared, printed or stored. To spend two,
/// get two: call [`authorize`](Client::authorize) again.
#[derive(derive_more::Debug)]
#[debug("SessionToken {{ is_expired: {:?}, .. }}", self.is_expired())]
#[must_use = "a session token that is not used expires after 299 seconds"]
pub struct SessionToken(pub(crate) Bearer);

impl SessionToken {
    /// When it expires, on the wall clock, counted from before it was asked for (A4). None where the reply did not tell.
    pub fn expires_at(&self) -> Option<SystemTime> {
        self.0.expires_at()
    }

    /// Whether it has expired, on either clock (A4).
    pub fn is_expired(&self) -> bool {
        self.0.is_expired()
    }

    /// Spends it as a header for a request of your own, whatever header your Flinks wants it in (P8).
    ///
    /// # Errors
    ///
    /// [`Cause::Expired`](crate::Cause::Expired) (P4).
    pub fn into_authorization(self) -> Result<BearerToken, Error> {
        if self.is_expired() {
            return Err(Error::new(INITIATE, Kind::ExpiredLocally));
        }
        Ok(BearerToken(Secret::new(format!("Bearer {}", self.0.secret().expose_secret()))))
    }
}

/// A spent [`SessionToken`], as the value of a header.
#[derive(Debug)]
#[must_use = "the session token is spent on this header"]
pub struct BearerToken(Secret);

impl BearerToken {
    /// The usual header.
    pub const HEADER: &'static str = "authorization";

    /// `Bearer …`. Keep it out of logs, and mark the header as sensitive.
    pub fn expose_value(&self) -> &str {
        self.0.expose_secret()
    }
}

/// What a session is about.
#[derive(Clone, Debug)]
#[must_use = "no session starts until this is sent with `initiate_session`"]
pub struct NewSession(types::SessionRequest);

impl NewSession {
    /// Creates a payment of this amount under your own id, by this customer.
    ///
    /// # Errors
    ///
    /// Returns an error that names the field which is empty, or the amount if it is 0 or has more than 15 digits: that is what a
    /// number in JSON states exactly.
    pub fn new(reference_id: impl Into<String>, amount: Cents, customer: Customer) -> Result<Self, Error> {
        let reference_id = reference_id.into();
        let Customer { name, email } = customer;
        for (field, text) in [("referenceId", &reference_id), ("customerName", &name), ("customerEmail", &email)] {
            if text.trim().is_empty() {
                return Err(Error::input(field, "is empty"));
            }
        }
        let Cents(cents) = amount;
        if !(1..1_000_000_000_000_000).contains(&cents) {
            return Err(Error::input("amount", "is 0, or has more than 15 digits"));
        }
        // Up to 15 digits, the nearest number to a decimal is printed as that decimal.
        #[expect(clippy::cast_precision_loss)]
        let amount = cents as f64 / 100.0;
        Ok(Self(types::SessionRequest::new(reference_id, amount, name, email)))
    }
}

/// An amount in cents: `Cents(10_50)` is 10.50 dollars.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cents(pub u64);

/// The payer.
#[derive(Clone, PartialEq, Eq, derive_more::Debug)]
#[debug("Customer {{ .. }}")]
pub struct Customer {
    /// The name.
    pub name: String,
    /// The email address.
    pub email: String,
}

/// A session that has started.
#[derive(derive_more::Debug)]
#[debug("Session {{ .. }}")]
pub struct Session {
    id: Secret,
    reference_id: Option<String>,
}

impl Session {
    /// Its id. Whoever has it can continue the session.
    pub fn expose_id(&self) -> &str {
        self.id.expose_secret()
    }

    /// Your own id of the payment, as the server repeats it.
    pub fn reference_id(&self) -> Option<&str> {
        self.reference_id.as_deref()
    }
}
