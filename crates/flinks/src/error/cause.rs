//! The cause of an error, in one word.

use flinks_core::TransportErrorKind;

use super::error::Error;
use super::kind::Kind;

/// The cause of an error. [`Error::advice`] says what to do about it.
///
/// ```
/// use flinks::{Cause, Error};
///
/// fn is_worth_an_alert(error: &Error) -> bool {
///     matches!(error.cause(), Cause::Tls | Cause::Redirect | Cause::Malformed)
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cause {
    /// A value of the call is invalid; [`Error::field`] names it. Nothing was sent.
    Input,
    /// A value of the configuration is invalid; [`Error::field`] names it. Or plain HTTP is allowed to a host that has a public
    /// address. Nothing was sent.
    Configuration,
    /// The token had expired: before anything was sent (P4, C3), or when it arrived. Get a new one.
    Expired,
    /// There was no connection, or it ended before the reply did: see [`Error::may_have_been_sent`].
    Connection,
    /// The call did not complete in time, all of its attempts together.
    Timeout,
    /// TLS failed: a certificate has expired, is for another name, or comes from an unknown authority. If that was during the
    /// handshake, [`Error::may_have_been_sent`] is `false`.
    Tls,
    /// The server requires a client certificate (mTLS), or does not accept the one that it got: see
    /// [`Settings`](crate::Settings). With native-tls, this is [`Tls`](Self::Tls). A connection that ends before the request was
    /// handed to it is [`Connection`](Self::Connection).
    ClientCertificate,
    /// A proxy on the way requires valid credentials (407).
    ProxyCredentials,
    /// Flinks refused the request: see [`Error::flinks_code`], [`Error::oauth_error`] and [`Error::status`].
    Refused,
    /// The reply was a redirect, which is not followed because the request carries a secret (A2). Check the base URL; and with
    /// custom OAuth, whether Flinks has whitelisted the URLs that are called and the redirect URL (C7).
    Redirect,
    /// The reply has a status that is not a success, and is not the documented error.
    Status,
    /// The reply cannot be used: it is not HTTP, is too large, or is a success that is not the documented one.
    /// [`Error::field`] may name the part (A6).
    Malformed,
    /// An end user came back with a callback that does not fit: another `state`, a repeated parameter, nothing at all (C7). It may
    /// be an attack; send them through the bank again.
    InvalidCallback,
    /// An end user came back with an error: see [`Error::oauth_error`].
    ReturnedError,
    /// The task of the call panicked, or its runtime ended.
    Abandoned,
    /// There is no tokio runtime with its time and I/O drivers.
    NoRuntime,
}

impl Error {
    /// Returns what went wrong.
    pub fn cause(&self) -> Cause {
        match &self.0.kind {
            Kind::Input { .. } => Cause::Input,
            Kind::Configuration { .. } => Cause::Configuration,
            Kind::ExpiredLocally | Kind::ExpiredOnArrival => Cause::Expired,
            Kind::NotSent(kind) | Kind::Interrupted(kind) => match kind {
                TransportErrorKind::Timeout => Cause::Timeout,
                TransportErrorKind::Tls => Cause::Tls,
                TransportErrorKind::ClientCertificate => Cause::ClientCertificate,
                TransportErrorKind::PublicAddress => Cause::Configuration,
                TransportErrorKind::TooLarge | TransportErrorKind::Protocol => Cause::Malformed,
                TransportErrorKind::ProxyCredentials => Cause::ProxyCredentials,
                _ => Cause::Connection,
            },
            Kind::Rejected | Kind::Status if self.status() == Some(407) => Cause::ProxyCredentials,
            Kind::Rejected => Cause::Refused,
            Kind::Redirect => Cause::Redirect,
            Kind::Status => Cause::Status,
            Kind::Malformed { .. } => Cause::Malformed,
            Kind::Callback(_) => Cause::InvalidCallback,
            Kind::CallbackError => Cause::ReturnedError,
            Kind::Abandoned => Cause::Abandoned,
            Kind::NoRuntime => Cause::NoRuntime,
        }
    }
}
