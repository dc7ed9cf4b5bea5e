//! What goes wrong, and what became of a token.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use flinks_core::{ErrorKind, InvalidBaseUrl, InvalidResponse, ResponseHead, TransportErrorKind};

#[cfg(feature = "outbound")]
use crate::outbound::store::StoreError;
use crate::retry::Class;
use crate::{FlinksCode, OAuthError};

/// Why a call failed. Ask it with its predicates; each says what Flinks' pages advise.
///
/// It holds no secret, and neither `Debug` nor `Display` show what a server wrote; that is behind [`message`](Self::message),
/// [`flinks_code`](Self::flinks_code) and the ids (A3, A6). It has no source. Its text is a fragment for "failed to …".
/// Cloning is cheap.
#[derive(Clone)]
pub struct Error(Arc<Inner>);

#[derive(Clone, Default)]
struct Inner {
    operation: Option<&'static Operation>,
    kind: Kind,
    status: Option<u16>,
    code: Option<FlinksCode>,
    oauth: Option<OAuthError>,
    message: Option<String>,
    retry_after: Option<RetryAfter>,
    correlation_id: Option<String>,
    trace_id: Option<String>,
    attempts: u32,
    /// Whether an earlier try of the same call may have been received.
    earlier_may_have_been_sent: bool,
    /// Whether the body of a reply outside of 2xx is JSON, although it is not the documented error body.
    is_other_json: bool,
    /// Whether it is unknown if a call that spends a token took effect.
    is_outcome_unknown: bool,
    /// How final the refusal of a refresh is, if more is known than the reply says.
    refusal: Option<Refusal>,
}

/// What the server asks for, as it wrote it: an HTTP date is read against the clock of the call.
#[derive(Clone)]
pub(crate) enum RetryAfter {
    Text(String),
    Read(Duration),
}

#[derive(Clone, Default)]
enum Kind {
    /// A value of a call cannot be used.
    Input {
        field: &'static str,
        reason: &'static str,
    },
    /// A value of the configuration cannot be used.
    Configuration {
        field: &'static str,
        reason: &'static str,
    },
    /// A base URL cannot be used, for this reason, which is a clause of its own.
    BaseUrl(&'static str),
    /// A token was past its life before anything was sent.
    Expired,
    /// No connection could be made.
    NotSent(TransportErrorKind),
    /// The request may have been received, and no complete answer arrived.
    Interrupted(TransportErrorKind),
    /// The documented error body arrived.
    Refused,
    Redirect,
    /// A status that is no success, without the documented error body.
    #[default]
    Status,
    /// A 2xx that does not fit.
    Malformed {
        field: Option<&'static str>,
        detail: Detail,
    },
    /// A token that was past its life when it arrived.
    Stale,
    /// An end user came back with something that cannot be trusted or read.
    Callback(&'static str),
    /// An end user came back with an error.
    CallbackError,
    /// The token store failed.
    #[cfg(feature = "outbound")]
    Store(StoreError),
    /// There is no such consent in the store.
    NoConsent,
    /// It was refused before.
    ConsentOver,
    /// A refresh was refused a moment ago, so none is sent now (O6).
    StillSuspected,
    /// The task of an exchange ended before it had an outcome.
    Abandoned,
    /// There is no runtime to work in.
    NoRuntime,
}

#[derive(Clone)]
enum Detail {
    Body(InvalidResponse),
    Value(&'static str),
}

/// What to do about an [`Error`]. About a token that the call would have spent, [`SpendError`] says more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Advice {
    /// The network, the server, the bank or a rate limit: the same may succeed later. A host name that cannot be resolved is
    /// here, too; where it never was, check the configuration.
    RetryLater,
    /// Get a new token.
    NewToken,
    /// The end user must give something else, act at the bank, or agree.
    AskUser,
    /// Send the end user through the bank again, from the start.
    StartOver,
    /// The refusal may be that of a gateway ([`Refusal::Suspected`]). A job should try again later. An interactive caller may
    /// send the end user through the bank again.
    WaitOrStartOver,
    /// A value of this call is invalid, such as an amount, a name or a login id; [`Error::field`] names it. Nothing was sent.
    /// If an end user typed the value, respond with 400 or 422.
    FixInput,
    /// The credentials, the base URL or another setting are wrong, or the server refuses what this version sends. The call
    /// fails again until somebody changes that.
    FixConfiguration,
    /// The reply fits nothing that is known; or it is unknown whether a call that spends a token took effect, such as the start
    /// of a payment session. Find out before you do it again.
    Investigate,
}

/// How final it is that a refresh was refused (O6).
///
/// ```
/// use flinks::{Error, Refusal};
///
/// fn must_ask_the_end_user(error: &Error) -> bool {
///     match error.refusal() {
///         Some(Refusal::Final) => true,
///         // A job waits; an interactive caller may ask the end user already.
///         Some(Refusal::Suspected { .. }) => false,
///         _ => error.needs_consent(),
///     }
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// Flinks said `invalid_grant` or `access_denied`, or a suspected refusal was confirmed. The end user must consent again.
    Final,
    /// The reply was a 400, 401 or 403 with an empty body, or with JSON whose `error` is missing or unknown. Flinks may have sent it, and so may a
    /// gateway between you and Flinks. [`Consents`](crate::outbound::Consents) confirm it later.
    #[non_exhaustive]
    Suspected {
        /// How long to wait until another such refusal can confirm this one. Zero if only the refresh of another consent is
        /// missing; without one, the refusal is confirmed 24 hours after the first.
        confirm_after: Duration,
    },
}

/// How long a refusal stays suspected before the same one can confirm it (O6).
pub(crate) const CONFIRM_AFTER: Duration = Duration::from_secs(10 * 60);

/// A product of Flinks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Product {
    /// Flinks Pay.
    Pay,
    /// Flinks Connect.
    Connect,
    /// Flinks Outbound.
    Outbound,
}

impl fmt::Display for Product {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pay => "Flinks Pay",
            Self::Connect => "Flinks Connect",
            Self::Outbound => "Flinks Outbound",
        })
    }
}

/// Something that is done with Flinks.
pub(crate) struct Operation {
    pub(crate) product: Product,
    /// The `operationId`, or the name of ours where nothing is sent.
    pub(crate) id: &'static str,
    /// What fits "failed to".
    pub(crate) purpose: &'static str,
}

/// The parts of a documented error body.
#[derive(Default)]
pub(crate) struct Said {
    pub(crate) code: Option<FlinksCode>,
    pub(crate) oauth: Option<OAuthError>,
    pub(crate) message: Option<String>,
}

impl Error {
    /// Of which product. None where a value was refused before it belonged to one.
    pub fn product(&self) -> Option<Product> {
        Some(self.0.operation?.product)
    }

    /// Of which operation, by its `operationId`; for what sends nothing, a name such as `widget`.
    pub fn operation(&self) -> Option<&'static str> {
        Some(self.0.operation?.id)
    }

    /// The HTTP status of the answer, where one arrived.
    pub fn status(&self) -> Option<u16> {
        self.0.status
    }

    /// The `FlinksCode` of the answer (C6).
    pub fn flinks_code(&self) -> Option<&FlinksCode> {
        self.0.code.as_ref()
    }

    /// What the server, or whoever sent the end user back, wrote about it. Take care where it is shown.
    pub fn message(&self) -> Option<&str> {
        self.0.message.as_deref()
    }

    /// The `error` of Outbound's answer (O7), or with which an end user came back (C7, O10).
    pub fn oauth_error(&self) -> Option<&OAuthError> {
        self.0.oauth.as_ref()
    }

    /// How long the server asks to wait before the next call, where that is longer than this crate waits by itself, or it
    /// has waited enough.
    pub fn retry_after(&self) -> Option<Duration> {
        match self.0.retry_after {
            Some(RetryAfter::Read(wait)) => Some(wait),
            _ => None,
        }
    }

    /// `ob-correlation-id`, for a question to Flinks (O10). The server wrote it.
    pub fn correlation_id(&self) -> Option<&str> {
        self.0.correlation_id.as_deref()
    }

    /// `ob-trace-id`, for a question to Flinks (O10). The server wrote it.
    pub fn trace_id(&self) -> Option<&str> {
        self.0.trace_id.as_deref()
    }

    /// How many requests were made, or tried.
    pub fn attempts(&self) -> u32 {
        self.0.attempts
    }

    /// The field that is wrong: of the caller's values, or of the server's reply.
    pub fn field(&self) -> Option<&'static str> {
        match self.0.kind {
            Kind::Input { field, .. } | Kind::Configuration { field, .. } => Some(field),
            Kind::Malformed { field, .. } => field,
            Kind::BaseUrl(_) => Some("base URL"),
            _ => None,
        }
    }

    /// A value of the caller's cannot be used; [`field`](Self::field) names it. Nothing was sent.
    pub fn is_invalid_input(&self) -> bool {
        matches!(self.0.kind, Kind::Input { .. } | Kind::Configuration { .. } | Kind::BaseUrl(_))
    }

    /// A token was past its life: nothing was sent (P4, C3), or it was so when it arrived. Get a new one.
    pub fn is_expired(&self) -> bool {
        matches!(self.0.kind, Kind::Expired | Kind::Stale)
    }

    /// The credentials were refused: Pay's user name and password (P6; that 400 has no body, so it may also mean the request
    /// itself), Connect's secret key ("You must provide a valid auth key"), or Outbound's client id and secret.
    ///
    /// Flinks advises to check which of two values went where: the secret key goes to `/GenerateAuthorizeToken` only, and
    /// the token to `/Authorize` or the iframe only. The types of this crate see to that, so check the key itself, its
    /// instance and its customer id. Credentials that may be known to others are rotated by Flinks.
    pub fn is_credentials(&self) -> bool {
        match self.0.operation.map(|operation| (operation.product, operation.id)) {
            Some((Product::Pay, "authorize")) => matches!(self.status(), Some(400 | 401)),
            Some((Product::Connect, "generateAuthorizeToken")) => self.flinks_code() == Some(&FlinksCode::Unauthorized),
            Some((Product::Outbound, _)) => {
                matches!(self.oauth_error(), Some(OAuthError::InvalidClient | OAuthError::UnauthorizedClient))
            }
            _ => false,
        }
    }

    /// A token was refused ("You must provide a valid authorize token"; for Pay, a 401 on the session; for Outbound, one on
    /// a revocation).
    ///
    /// It was spent already, has expired, or is of another customer or environment. Flinks advises to get a new one for
    /// each attempt.
    pub fn is_token_refused(&self) -> bool {
        match self.0.operation.map(|operation| (operation.product, operation.id)) {
            Some((Product::Connect, "authorize")) => self.flinks_code() == Some(&FlinksCode::AccessDenied),
            Some((Product::Outbound, "revoke")) => self.status() == Some(401) && !self.is_credentials(),
            Some((Product::Pay, "initiateSession")) => {
                matches!(self.0.kind, Kind::Refused) && self.status() == Some(401)
            }
            _ => false,
        }
    }

    /// The end user must consent again: Outbound's code or refresh token is no longer valid (O6).
    ///
    /// A 400, 401 or 403 of a refresh or an exchange says so, unless its code names a mistake of the caller's own. A reply whose
    /// body cannot be read, such as a firewall's page, does not. [`refusal`](Self::refusal) returns whether a refused refresh is final.
    pub fn needs_consent(&self) -> bool {
        if self.refusal().is_some() {
            return true;
        }
        match self.0.kind {
            Kind::NoConsent | Kind::ConsentOver => true,
            _ => self.is_of_a_code() && self.is_refused_grant(),
        }
    }

    fn is_of_a_code(&self) -> bool {
        self.0.operation.is_some_and(|operation| operation.id == "exchangeCode")
    }

    /// How final it is that a refresh was refused (O6). `None` if no refresh was refused, or if the code of the reply names
    /// another reason.
    pub fn refusal(&self) -> Option<Refusal> {
        if self.0.refusal.is_some() {
            return self.0.refusal;
        }
        if matches!(self.0.kind, Kind::ConsentOver) {
            return Some(Refusal::Final);
        }
        if self.0.operation.is_none_or(|operation| operation.id != "refresh") {
            return None;
        }
        if self.0.is_other_json && self.has_refusal_status() {
            return Some(Refusal::Suspected { confirm_after: CONFIRM_AFTER });
        }
        if !self.is_refused_grant() {
            return None;
        }
        match self.oauth_error() {
            Some(OAuthError::InvalidGrant | OAuthError::AccessDenied) => Some(Refusal::Final),
            _ => Some(Refusal::Suspected { confirm_after: CONFIRM_AFTER }),
        }
    }

    /// Whether the reply names a cause other than the grant, which shows that Flinks was reached (O6).
    #[cfg(feature = "outbound")]
    pub(crate) fn clears_suspicion(&self) -> bool {
        self.refusal().is_none()
            && match self.oauth_error() {
                None => false,
                Some(OAuthError::Other(_)) => self.is_rate_limited(),
                Some(_) => true,
            }
    }

    /// Whether the status is one with which Flinks refuses a grant (O6).
    fn has_refusal_status(&self) -> bool {
        matches!(self.status(), Some(400 | 401 | 403))
    }

    /// Whether the reply is a 400, 401 or 403 whose code, if there is one, may be about the grant.
    fn is_refused_grant(&self) -> bool {
        if !matches!(self.0.kind, Kind::Refused) || !self.has_refusal_status() {
            return false;
        }
        match self.oauth_error() {
            None | Some(OAuthError::InvalidGrant | OAuthError::AccessDenied) => true,
            Some(OAuthError::Other(_)) => !self.is_rate_limited(),
            Some(_) => false,
        }
    }

    /// The end user must do something: give another user name, password or answer, or act at the bank (C6); or they
    /// refused, on the bank's page (C7).
    pub fn needs_user(&self) -> bool {
        use FlinksCode::*;
        let of_the_user = [
            DisabledLogin,
            InvalidLogin,
            InvalidPassword,
            InvalidSecurityResponse,
            InvalidUsername,
            NewAccount,
            QuestionNotFound,
            SecurityResponsesIncomplete,
            UnknownChallengeKey,
        ];
        self.oauth_error() == Some(&OAuthError::AccessDenied)
            || self.flinks_code().is_some_and(|code| of_the_user.contains(code))
    }

    /// A rate limit: 429, or `TOO_MANY_REQUESTS` with any status (C6). [`retry_after`](Self::retry_after) may tell more.
    pub fn is_rate_limited(&self) -> bool {
        self.status() == Some(429)
            || self.flinks_code() == Some(&FlinksCode::TooManyRequests)
            || self.oauth_error().is_some_and(|code| code.as_str() == FlinksCode::TooManyRequests.as_str())
    }

    /// The same call may succeed later: the network, the server or the bank failed, or there is a rate limit.
    ///
    /// It says nothing about a token that the call would have spent: [`SpendError`] does.
    pub fn is_transient(&self) -> bool {
        let is_of_the_bank = matches!(
            self.flinks_code(),
            Some(
                FlinksCode::RetryLater
                    | FlinksCode::CardInUse
                    | FlinksCode::ConcurrentSession
                    | FlinksCode::AggregationError
            )
        );
        let is_of_the_server = self.status().is_some_and(|status| status == 408 || status >= 500)
            || matches!(self.oauth_error(), Some(OAuthError::ServerError | OAuthError::TemporarilyUnavailable));
        match self.0.kind {
            Kind::NotSent(kind) | Kind::Interrupted(kind) => !matches!(
                kind,
                TransportErrorKind::Tls | TransportErrorKind::TooLarge | TransportErrorKind::ProxyCredentials
            ),
            #[cfg(feature = "outbound")]
            Kind::Store(StoreError::Unavailable(_) | StoreError::Busy(_)) => true,
            Kind::Abandoned => true,
            _ => is_of_the_bank || is_of_the_server || self.is_rate_limited(),
        }
    }

    /// It took too long, all tries together.
    pub fn is_timeout(&self) -> bool {
        matches!(
            self.0.kind,
            Kind::NotSent(TransportErrorKind::Timeout) | Kind::Interrupted(TransportErrorKind::Timeout)
        )
    }

    /// TLS failed: a certificate that is expired, of another name or of an unknown authority. Where that was the handshake,
    /// [`may_have_been_sent`](Self::may_have_been_sent) is `false`.
    pub fn is_tls(&self) -> bool {
        matches!(self.0.kind, Kind::NotSent(TransportErrorKind::Tls) | Kind::Interrupted(TransportErrorKind::Tls))
    }

    /// The server answered with a redirect, which is not followed, for the request carries a secret (A2). Check the base
    /// URL; and with custom OAuth, whether Flinks has whitelisted the URLs that are called and the redirect URL (C7).
    pub fn is_redirect(&self) -> bool {
        matches!(self.0.kind, Kind::Redirect)
    }

    /// The server answered 2xx with something that does not fit; [`field`](Self::field) may tell what (A6).
    pub fn is_malformed(&self) -> bool {
        matches!(self.0.kind, Kind::Malformed { .. })
    }

    /// An end user came back with something that does not fit: another `state`, a parameter twice, nothing at all (C7). It
    /// may be an attack; send them through the bank again.
    pub fn is_invalid_callback(&self) -> bool {
        matches!(self.0.kind, Kind::Callback(_))
    }

    /// There is no such consent in the store: it was never there, or was forgotten, or it is another store. It
    /// [`needs_consent`](Self::needs_consent), too; for many at once, look at where the store is first.
    pub fn is_unknown_consent(&self) -> bool {
        matches!(self.0.kind, Kind::NoConsent)
    }

    /// The token store failed: [`is_transient`](Self::is_transient) where that may pass.
    pub fn is_store(&self) -> bool {
        #[cfg(feature = "outbound")]
        return matches!(self.0.kind, Kind::Store(_));
        #[cfg(not(feature = "outbound"))]
        return false;
    }

    /// Whether the server may have seen a request. `false` only where it is certain that it did not.
    pub fn may_have_been_sent(&self) -> bool {
        self.0.earlier_may_have_been_sent
            || !self.is_store()
                && !matches!(
                    self.0.kind,
                    Kind::Input { .. }
                        | Kind::Configuration { .. }
                        | Kind::BaseUrl(_)
                        | Kind::Expired
                        | Kind::NotSent(_)
                        | Kind::Callback(_)
                        | Kind::CallbackError
                        | Kind::NoConsent
                        | Kind::ConsentOver
                        | Kind::StillSuspected
                        | Kind::NoRuntime
                )
    }

    /// What to do about it, in one word: each error has one.
    pub fn advice(&self) -> Advice {
        use FlinksCode::*;
        match self.flinks_code() {
            _ if self.needs_user() => Advice::AskUser,
            _ if self.is_credentials() => Advice::FixConfiguration,
            // The end user must consent again, because the code may be spent.
            _ if self.0.is_outcome_unknown && self.is_of_a_code() => Advice::StartOver,
            _ if self.0.is_outcome_unknown => Advice::Investigate,
            _ if self.is_suspected() => Advice::WaitOrStartOver,
            _ if self.needs_consent() => Advice::StartOver,
            _ if self.is_token_refused() || self.is_expired() => Advice::NewToken,
            Some(SessionExpired | SessionNonexistent) => Advice::StartOver,
            Some(DisabledInstitution | OperationPending | OperationDispatched) => Advice::RetryLater,
            Some(InvalidRequest) => Advice::FixConfiguration,
            Some(Unauthorized) => Advice::AskUser,
            _ if self.is_transient() => Advice::RetryLater,
            _ => match self.0.kind {
                Kind::Input { .. } => Advice::FixInput,
                Kind::Configuration { .. } | Kind::BaseUrl(_) | Kind::Redirect | Kind::NotSent(_) | Kind::NoRuntime => {
                    Advice::FixConfiguration
                }
                #[cfg(feature = "outbound")]
                Kind::Store(StoreError::Refused(_)) => Advice::FixConfiguration,
                Kind::Callback(_) | Kind::CallbackError => Advice::StartOver,
                _ => match self.status() {
                    Some(400..=499) => Advice::FixConfiguration,
                    _ => Advice::Investigate,
                },
            },
        }
    }

    /// Of a value that belongs to one call, which an end user may have typed.
    pub(crate) fn input(field: &'static str, reason: &'static str) -> Self {
        Self::new(None, Kind::Input { field, reason })
    }

    /// Of a value that an operator or a developer has set.
    pub(crate) fn configuration(field: &'static str, reason: &'static str) -> Self {
        Self::new(None, Kind::Configuration { field, reason })
    }

    pub(crate) fn base_url(reason: &'static str) -> Self {
        Self::new(None, Kind::BaseUrl(reason))
    }

    pub(crate) fn expired(operation: &'static Operation) -> Self {
        Self::new(Some(operation), Kind::Expired)
    }

    pub(crate) fn stale(operation: &'static Operation, head: Option<&ResponseHead>) -> Self {
        Self::new(Some(operation), Kind::Stale).with_head(head)
    }

    pub(crate) fn timeout(operation: &'static Operation) -> Self {
        Self::new(Some(operation), Kind::Interrupted(TransportErrorKind::Timeout))
    }

    #[cfg(test)]
    pub(crate) fn not_sent(operation: &'static Operation) -> Self {
        Self::new(Some(operation), Kind::NotSent(TransportErrorKind::Connect))
    }

    #[cfg(feature = "outbound")]
    fn store(operation: &'static Operation, error: StoreError) -> Self {
        Self::new(Some(operation), Kind::Store(error))
    }

    /// Whether the store is unavailable, as opposed to in use by others.
    #[cfg(feature = "outbound")]
    pub(crate) fn is_store_away(&self) -> bool {
        matches!(self.0.kind, Kind::Store(StoreError::Unavailable(_)))
    }

    /// Whether the record of a consent says that it has ended, and nothing was sent.
    #[cfg(feature = "outbound")]
    pub(crate) fn is_consent_over(&self) -> bool {
        matches!(self.0.kind, Kind::ConsentOver)
    }

    pub(crate) fn no_consent(operation: &'static Operation) -> Self {
        Self::new(Some(operation), Kind::NoConsent)
    }

    pub(crate) fn consent_over(operation: &'static Operation) -> Self {
        Self::new(Some(operation), Kind::ConsentOver)
    }

    /// A refusal that the record of a consent remembers, while it is too early for another refresh. Nothing was sent.
    pub(crate) fn still_suspected(operation: &'static Operation, status: u16, confirm_after: Duration) -> Self {
        Self::new(Some(operation), Kind::StillSuspected)
            .change(|inner| inner.status = Some(status))
            .with_refusal(Refusal::Suspected { confirm_after })
    }

    fn with_unknown_outcome(self) -> Self {
        self.change(|inner| inner.is_outcome_unknown = true)
    }

    /// Whether a refresh was refused in a way that does not end the consent yet (O6).
    pub(crate) fn is_suspected(&self) -> bool {
        matches!(self.refusal(), Some(Refusal::Suspected { .. }))
    }

    /// Sets the time until the next refresh of a suspected consent, unless the server requires a longer one.
    pub(crate) fn with_pause(self, pause: Duration) -> Self {
        let wait = self.retry_after().unwrap_or_default().max(pause);
        self.with_retry_after(Some(wait))
    }

    pub(crate) fn with_refusal(self, refusal: Refusal) -> Self {
        self.change(|inner| inner.refusal = Some(refusal))
    }

    pub(crate) fn abandoned(operation: &'static Operation) -> Self {
        Self::new(Some(operation), Kind::Abandoned)
    }

    pub(crate) fn no_runtime(operation: &'static Operation) -> Self {
        Self::new(Some(operation), Kind::NoRuntime)
    }

    /// A reply without something that the pages promise.
    pub(crate) fn missing(operation: &'static Operation, field: &'static str) -> Self {
        Self::new(Some(operation), Kind::Malformed { field: Some(field), detail: Detail::Value("is missing") })
    }

    /// A reply that fits its schema, and yet cannot be used.
    pub(crate) fn malformed(
        operation: &'static Operation,
        head: &ResponseHead,
        field: &'static str,
        reason: &'static str,
    ) -> Self {
        let kind = Kind::Malformed { field: Some(field), detail: Detail::Value(reason) };
        Self::new(Some(operation), kind).with_head(Some(head))
    }

    pub(crate) fn callback(operation: &'static Operation, reason: &'static str) -> Self {
        Self::new(Some(operation), Kind::Callback(reason))
    }

    pub(crate) fn callback_failed(operation: &'static Operation, error: String, description: Option<String>) -> Self {
        let inner = Inner {
            operation: Some(operation),
            kind: Kind::CallbackError,
            oauth: Some(OAuthError::of(error)),
            message: description,
            ..Inner::default()
        };
        Self(Arc::new(inner))
    }

    /// What a product crate failed with; `read` takes the documented error body apart.
    pub(crate) fn of<E>(
        operation: &'static Operation,
        error: flinks_core::Error<E>,
        read: impl FnOnce(&E) -> Said,
    ) -> Self {
        let kind = match error.kind() {
            ErrorKind::InvalidRequest(invalid) => Kind::Input { field: invalid.field(), reason: "cannot be sent" },
            ErrorKind::Transport(transport) => match transport.may_have_been_sent() {
                true => Kind::Interrupted(transport.kind()),
                false => Kind::NotSent(transport.kind()),
            },
            ErrorKind::ErrorResponse(_) => Kind::Refused,
            ErrorKind::Redirect => Kind::Redirect,
            ErrorKind::InvalidResponse(invalid) => {
                Kind::Malformed { field: invalid.field(), detail: Detail::Body(*invalid) }
            }
            // A success that is not documented, such as a 204 where a token is due.
            _ if error.status().is_some_and(|status| status.is_success()) => {
                Kind::Malformed { field: None, detail: Detail::Value("has a status that is not documented") }
            }
            // Pay refuses without a body (P6), and Outbound may (O6).
            ErrorKind::Status(None) if operation.product != Product::Connect => {
                match error.status().map(|status| status.as_u16()) {
                    Some(400 | 401 | 403 | 429) => Kind::Refused,
                    _ => Kind::Status,
                }
            }
            _ => Kind::Status,
        };
        let is_other_json = matches!(error.kind(), ErrorKind::Status(Some(invalid)) if invalid.is_json());
        let said = error.body().map(read).unwrap_or_default();
        let this = Self::new(Some(operation), kind).with_head(error.head());
        let this = this.change(|inner| inner.is_other_json = is_other_json);
        this.change(|inner| (inner.code, inner.oauth, inner.message) = (said.code, said.oauth, said.message))
    }

    pub(crate) fn in_operation(self, operation: &'static Operation) -> Self {
        self.change(|inner| inner.operation = Some(operation))
    }

    pub(crate) fn after_attempts(self, attempts: u32, earlier_may_have_been_sent: bool) -> Self {
        self.change(|inner| {
            inner.attempts = attempts;
            inner.earlier_may_have_been_sent = earlier_may_have_been_sent;
        })
    }

    /// The failure of a call that was shown to have sent nothing, in none of its tries.
    #[cfg(feature = "outbound")]
    pub(crate) fn before_sending(self) -> Self {
        self.change(|inner| {
            inner.earlier_may_have_been_sent = false;
            inner.kind = match inner.kind {
                Kind::Interrupted(kind) => Kind::NotSent(kind),
                // The task panicked, as a resolver of the application's may.
                Kind::Abandoned => Kind::NotSent(TransportErrorKind::Interrupted),
                _ => return,
            };
        })
    }

    /// Of something that followed a request.
    pub(crate) fn after_sending(self) -> Self {
        self.change(|inner| inner.earlier_may_have_been_sent = true)
    }

    /// Whether a 404 means that there is no such endpoint: Flinks itself would have sent a code that is known.
    fn is_of_no_endpoint(&self) -> bool {
        matches!(self.0.kind, Kind::Refused | Kind::Status)
            && matches!(self.oauth_error(), None | Some(OAuthError::Other(_)))
            && matches!(self.flinks_code(), None | Some(FlinksCode::Other(_)))
    }

    /// With what the server asks for, as this crate reads it.
    pub(crate) fn with_retry_after(self, wait: Option<Duration>) -> Self {
        self.change(|inner| inner.retry_after = wait.map(RetryAfter::Read))
    }

    pub(crate) fn retry_after_text(&self) -> Option<&str> {
        match &self.0.retry_after {
            Some(RetryAfter::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// What became of a token that the call would have spent.
    pub(crate) fn fate(&self) -> Fate {
        if !self.may_have_been_sent() {
            return Fate::Unspent;
        }
        self.verdict().fate
    }

    /// Which column of the table of tries it is.
    pub(crate) fn class(&self) -> Class {
        self.verdict().class
    }

    /// The one table behind [`class`](Self::class) and [`fate`](Self::fate), so that the two cannot disagree. Its fate is that
    /// of a token that may have been received.
    fn verdict(&self) -> Verdict {
        let verdict = |class, fate| Verdict { class, fate };
        match self.0.kind {
            // The same credentials would be refused again, and may lock an account.
            Kind::NotSent(TransportErrorKind::ProxyCredentials) => verdict(Class::Final, Fate::Unknown),
            Kind::NotSent(_) => verdict(Class::NotSent, Fate::Unknown),
            Kind::Interrupted(TransportErrorKind::TooLarge) => verdict(Class::Final, Fate::Unknown),
            Kind::Interrupted(_) => verdict(Class::Interrupted, Fate::Unknown),
            Kind::Stale => verdict(Class::Stale, Fate::Unknown),
            Kind::Refused => self.verdict_on_reply(Fate::Spent),
            Kind::Status => self.verdict_on_reply(Fate::Unknown),
            _ => verdict(Class::Final, Fate::Unknown),
        }
    }

    /// The rows of the table for a reply that is not a success. `refused` is what a refusal by Flinks itself means.
    fn verdict_on_reply(&self, refused: Fate) -> Verdict {
        // The server, or one in between, failed. Only a `FlinksCode` shows that Flinks itself refused: a gateway's error may
        // look like the documented one.
        let failed = match self.flinks_code() {
            Some(_) => refused,
            None => Fate::Unknown,
        };
        let verdict = |class, fate| Verdict { class, fate };
        match (self.status(), self.oauth_error()) {
            // The server stopped waiting for a request that may have arrived, whatever its body says.
            (Some(408), _) => verdict(Class::Interrupted, Fate::Unknown),
            (Some(500..), _) if self.is_rate_limited() => verdict(Class::Busy, failed),
            _ if self.is_rate_limited() => verdict(Class::Busy, refused),
            (_, Some(OAuthError::TemporarilyUnavailable)) => verdict(Class::Busy, failed),
            (_, Some(OAuthError::ServerError)) => verdict(Class::Failed, failed),
            (Some(503), _) => verdict(Class::Busy, failed),
            (Some(500..), _) => verdict(Class::Failed, failed),
            _ => verdict(Class::Final, refused),
        }
    }

    fn new(operation: Option<&'static Operation>, kind: Kind) -> Self {
        Self(Arc::new(Inner { operation, kind, ..Inner::default() }))
    }

    fn with_head(self, head: Option<&ResponseHead>) -> Self {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        self.change(|inner| {
            inner.status = head.map(|head| head.status().as_u16());
            inner.retry_after = owned(head.and_then(ResponseHead::retry_after)).map(RetryAfter::Text);
            inner.correlation_id = owned(head.and_then(ResponseHead::correlation_id));
            inner.trace_id = owned(head.and_then(ResponseHead::trace_id));
        })
    }

    fn change(mut self, change: impl FnOnce(&mut Inner)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0.operation, &self.0.kind) {
            (Some(Operation { product, purpose, .. }), _) => write!(f, "{purpose} ({product}): ")?,
            (None, Kind::Input { field, reason } | Kind::Configuration { field, reason }) => {
                return write!(f, "accept the {field}: it {reason}");
            }
            (None, Kind::BaseUrl(reason)) => return write!(f, "accept the base URL: {reason}"),
            (None, _) => {}
        }
        match &self.0.kind {
            Kind::Input { field, reason } | Kind::Configuration { field, reason } => write!(f, "{field} {reason}")?,
            Kind::BaseUrl(reason) => f.write_str(reason)?,
            Kind::Expired => f.write_str("the token has expired; nothing was sent")?,
            Kind::NotSent(kind) => {
                let sent = if self.may_have_been_sent() {
                    "an earlier try may have been received"
                } else {
                    "nothing was sent"
                };
                write!(f, "{}; {sent}", Transport(*kind))?;
            }
            Kind::Interrupted(kind) => write!(f, "{}; the request may have been received", Transport(*kind))?,
            Kind::Refused | Kind::Status if self.status() == Some(407) => f.write_str(PROXY_CREDENTIALS)?,
            Kind::Refused if self.is_credentials() => f.write_str("the credentials were refused")?,
            Kind::Refused if self.is_token_refused() => f.write_str("the token was refused")?,
            Kind::Refused if self.is_suspected() => f.write_str("the request was refused, perhaps by a gateway")?,
            Kind::Refused => f.write_str("the request was refused")?,
            Kind::StillSuspected => {
                f.write_str(
                    "the last refresh was refused, perhaps by a gateway, and the next one must wait; nothing was sent",
                )?;
            }
            Kind::Redirect => f.write_str("the server answered with a redirect, which is not followed")?,
            Kind::Status => f.write_str("the server answered with an unexpected status")?,
            Kind::Malformed { detail: Detail::Body(invalid), .. } => write!(f, "the reply is malformed; {invalid}")?,
            Kind::Malformed { field, detail: Detail::Value(reason) } => {
                write!(f, "the reply is malformed; {} {reason}", field.unwrap_or("it"))?;
            }
            Kind::Stale => f.write_str("the token had expired when it arrived")?,
            Kind::Callback(reason) => write!(f, "the callback {reason}")?,
            Kind::CallbackError => f.write_str("the end user came back with an error")?,
            #[cfg(feature = "outbound")]
            Kind::Store(error) => write!(f, "{error}")?,
            Kind::NoConsent => f.write_str("there is no such consent")?,
            Kind::ConsentOver => f.write_str("the consent is over, and the end user must consent again")?,
            Kind::Abandoned => f.write_str("the work ended before it was done; a request may have been received")?,
            Kind::NoRuntime => f.write_str("it needs a tokio runtime with its time and I/O drivers enabled")?,
        }
        match self.oauth_error() {
            Some(OAuthError::Other(_)) => f.write_str(", with an unknown error code")?,
            Some(code) => write!(f, ", {}", code.as_str())?,
            None => {}
        }
        match self.flinks_code() {
            Some(FlinksCode::Other(_)) => f.write_str(", with an unknown FlinksCode")?,
            Some(code) => write!(f, ", {}", code.as_str())?,
            None => {}
        }
        match self.status() {
            Some(404) if self.is_of_no_endpoint() => f.write_str(" (status 404): check the base URL")?,
            Some(status) => write!(f, " (status {status})")?,
            None => {}
        }
        if self.0.is_outcome_unknown {
            f.write_str("; it is unknown whether the call took effect")?;
        }
        Ok(())
    }
}

const PROXY_CREDENTIALS: &str = "a proxy requires valid credentials";

struct Transport(TransportErrorKind);

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            TransportErrorKind::Dns => "the host name could not be resolved",
            TransportErrorKind::Connect => "no connection could be made",
            TransportErrorKind::Tls => "the TLS handshake failed",
            TransportErrorKind::Timeout => "it took too long",
            TransportErrorKind::Interrupted => "the connection ended before the reply did",
            TransportErrorKind::Protocol => "the reply was not HTTP",
            TransportErrorKind::TooLarge => "the reply was too large",
            TransportErrorKind::ProxyCredentials => PROXY_CREDENTIALS,
            _ => "the network failed",
        })
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Error({self})")
    }
}

impl std::error::Error for Error {}

impl From<InvalidBaseUrl> for Error {
    fn from(error: InvalidBaseUrl) -> Self {
        Self::configuration("base URL", error.reason())
    }
}

#[cfg(feature = "outbound")]
impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        Self::store(&crate::outbound::CONSENT, error)
    }
}

/// The meaning of a failure for another try, and for a token that may have been received.
struct Verdict {
    class: Class,
    fate: Fate,
}

/// What became of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Unspent,
    Spent,
    Unknown,
}

/// Why a call that spends a single-use token failed, and what became of the token (P3, C3).
///
/// Only the first gives the token back, so only what is safe to repeat can be repeated:
///
/// ```
/// use flinks::{Error, SpendError};
///
/// fn next<T>(error: SpendError<T>) -> Result<T, Error> {
///     match error {
///         // Nothing left this machine. Another try with the same token may do; with one that has expired, none would.
///         SpendError::Unspent(token, error) if error.is_transient() => Ok(token),
///         SpendError::Unspent(_, error) => Err(error),
///         // The server has answered. Get a new token, if the reason makes that worth while.
///         SpendError::Spent(error) => Err(error),
///         // It may have happened, and it may not. Find out before you do it again with a new token.
///         SpendError::Unknown(error) => Err(error),
///     }
/// }
/// ```
#[must_use]
pub enum SpendError<T> {
    /// Nothing left this machine: here is the token.
    Unspent(T, Error),
    /// A complete, readable refusal arrived: what was asked for did not happen. The token is gone, or good for nothing.
    Spent(Error),
    /// The request may have been received, and what came of it is not known: no answer, one that cannot be read, or a
    /// failure of a server in between; or it is a code that was sent before. Take the token as spent.
    Unknown(Error),
}

impl<T> SpendError<T> {
    pub(crate) fn new(token: T, error: Error) -> Self {
        match error.fate() {
            Fate::Unspent => Self::Unspent(token, error),
            Fate::Spent => Self::Spent(error),
            Fate::Unknown => Self::Unknown(error),
        }
    }

    /// What went wrong.
    pub fn error(&self) -> &Error {
        match self {
            Self::Unspent(_, error) | Self::Spent(error) | Self::Unknown(error) => error,
        }
    }

    /// What to do about it. For a token whose fate is unknown it is never [`Advice::RetryLater`]: the end user must consent
    /// again if it is a code, and anything else has to be investigated first.
    pub fn advice(&self) -> Advice {
        match self {
            Self::Unspent(_, error) | Self::Spent(error) => error.advice(),
            Self::Unknown(error) => error.clone().with_unknown_outcome().advice(),
        }
    }

    /// What went wrong, without the token.
    pub fn into_error(self) -> Error {
        match self {
            Self::Unspent(_, error) | Self::Spent(error) | Self::Unknown(error) => error,
        }
    }
}

/// For `?`. A token that is unspent is dropped. If the fate of the token is unknown, the error says so, and its
/// [`advice`](Error::advice) is that of [`SpendError::advice`].
impl<T> From<SpendError<T>> for Error {
    fn from(error: SpendError<T>) -> Self {
        match error {
            SpendError::Unspent(_, error) | SpendError::Spent(error) => error,
            SpendError::Unknown(error) => error.with_unknown_outcome(),
        }
    }
}

impl<T> fmt::Display for SpendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fate = match self {
            Self::Unspent(..) => "the token is unspent",
            Self::Spent(_) => "the token is spent",
            Self::Unknown(_) => "whether the token is spent is unknown",
        };
        write!(f, "{}; {fate}", self.error())
    }
}

impl<T> fmt::Debug for SpendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SpendError({self})")
    }
}

impl<T> std::error::Error for SpendError<T> {}

#[cfg(all(test, feature = "connect", feature = "outbound"))]
mod tests {
    use super::*;

    const OPERATION: Operation =
        Operation { product: Product::Outbound, id: "exchangeCode", purpose: "exchange a code" };

    /// A reply with this status, and with a `FlinksCode` or an `error`, if any.
    fn reply(kind: Kind, status: u16, code: Option<&str>, oauth: Option<&str>) -> Error {
        Error::new(Some(&OPERATION), kind).change(|inner| {
            inner.status = Some(status);
            inner.code = code.map(|code| FlinksCode::of(code.to_owned()));
            inner.oauth = oauth.map(|code| OAuthError::of(code.to_owned()));
        })
    }

    #[test]
    fn a5_one_table_decides_tries_and_fate() {
        use Class::{Busy, Failed, Final, Interrupted};
        use Fate::{Spent, Unknown};
        // Each with what a documented error body makes of it, and any other body.
        for (status, code, oauth, class, read, unread) in [
            (200, None, Some("invalid_grant"), Final, Spent, Unknown),
            (200, None, Some("server_error"), Failed, Unknown, Unknown),
            (200, Some("UNAUTHORIZED"), None, Final, Spent, Unknown),
            (400, None, None, Final, Spent, Unknown),
            (400, None, Some("invalid_grant"), Final, Spent, Unknown),
            (400, None, Some("server_error"), Failed, Unknown, Unknown),
            (400, None, Some("temporarily_unavailable"), Busy, Unknown, Unknown),
            (400, None, Some("TOO_MANY_REQUESTS"), Busy, Spent, Unknown),
            (401, Some("UNAUTHORIZED"), None, Final, Spent, Unknown),
            (401, Some("TOO_MANY_REQUESTS"), None, Busy, Spent, Unknown),
            (403, None, None, Final, Spent, Unknown),
            (404, None, None, Final, Spent, Unknown),
            (408, None, None, Interrupted, Unknown, Unknown),
            (408, None, Some("invalid_grant"), Interrupted, Unknown, Unknown),
            (408, None, Some("TOO_MANY_REQUESTS"), Interrupted, Unknown, Unknown),
            (408, Some("UNAUTHORIZED"), None, Interrupted, Unknown, Unknown),
            (429, None, None, Busy, Spent, Unknown),
            (429, Some("TOO_MANY_REQUESTS"), None, Busy, Spent, Unknown),
            (500, None, None, Failed, Unknown, Unknown),
            (500, None, Some("invalid_grant"), Failed, Unknown, Unknown),
            (500, None, Some("server_error"), Failed, Unknown, Unknown),
            (500, None, Some("TOO_MANY_REQUESTS"), Busy, Unknown, Unknown),
            (500, Some("INVALID_PASSWORD"), None, Failed, Spent, Unknown),
            (502, None, None, Failed, Unknown, Unknown),
            (503, None, None, Busy, Unknown, Unknown),
            (503, None, Some("server_error"), Failed, Unknown, Unknown),
            (503, Some("RETRY_LATER"), None, Busy, Spent, Unknown),
            (504, None, Some("temporarily_unavailable"), Busy, Unknown, Unknown),
        ] {
            for (kind, fate) in [(Kind::Refused, read), (Kind::Status, unread)] {
                let error = reply(kind, status, code, oauth);
                assert_eq!(error.class(), class, "{error}");
                assert_eq!(error.fate(), fate, "{error}");
            }
        }
    }

    #[test]
    fn a5_what_the_table_calls_interrupted_is_never_spent() {
        for status in 100..=599 {
            for (code, oauth) in [(None, None), (Some("UNAUTHORIZED"), None), (None, Some("invalid_grant"))] {
                for kind in [Kind::Refused, Kind::Status] {
                    let error = reply(kind, status, code, oauth);
                    assert!(error.class() != Class::Interrupted || error.fate() == Fate::Unknown, "{error}");
                }
            }
        }
    }

    #[test]
    fn a5_a_failure_without_a_status_has_one_class_and_one_fate() {
        use TransportErrorKind::{Connect, Timeout, TooLarge};
        let malformed = || Kind::Malformed { field: None, detail: Detail::Value("is missing") };
        for (kind, class, fate) in [
            (Kind::Input { field: "code", reason: "is empty" }, Class::Final, Fate::Unspent),
            (Kind::Expired, Class::Final, Fate::Unspent),
            (Kind::NotSent(Connect), Class::NotSent, Fate::Unspent),
            (Kind::Interrupted(Timeout), Class::Interrupted, Fate::Unknown),
            (Kind::Interrupted(TooLarge), Class::Final, Fate::Unknown),
            (Kind::Redirect, Class::Final, Fate::Unknown),
            (malformed(), Class::Final, Fate::Unknown),
            (Kind::Stale, Class::Stale, Fate::Unknown),
            (Kind::Abandoned, Class::Final, Fate::Unknown),
        ] {
            let error = Error::new(Some(&OPERATION), kind);
            assert_eq!(error.class(), class, "{error}");
            assert_eq!(error.fate(), fate, "{error}");
        }
        // An earlier try may have been received.
        assert_eq!(Error::not_sent(&OPERATION).after_attempts(2, true).fate(), Fate::Unknown);
    }
}
