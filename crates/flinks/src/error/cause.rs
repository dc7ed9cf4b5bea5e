//! The causes of errors.

use flinks_core::TransportErrorKind;

use super::error::Error;
use super::kind::Kind;

/// The cause of an error. [`Error::advice`] returns the recommended next step.
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
    /// An argument to the call is invalid; see [`Error::field`]. Nothing was sent.
    Input,
    /// The configuration is invalid; see [`Error::field`]. This is also the cause if a host for
    /// which plain HTTP is allowed turns out to have a public address. Nothing was sent.
    Configuration,
    /// The token expired before it was used, or had already expired when it was received. Request a
    /// new token. [P4, C3](crate::rules)
    Expired,
    /// No connection could be made, or the connection was closed before the response was complete.
    /// See [`Error::may_have_been_sent`].
    Connection,
    /// The call, including all of its attempts, did not complete in time.
    Timeout,
    /// TLS failed, for example because a certificate has expired, does not match the host name, or
    /// was issued by an unknown authority. If the handshake failed, [`Error::may_have_been_sent`]
    /// is `false`.
    Tls,
    /// The server requires a client certificate (mTLS), or rejected the client's certificate; see
    /// [`Settings`](crate::Settings).
    ///
    /// With native-tls, the cause is [`Tls`](Self::Tls) instead. If the server closes the
    /// connection before the client has sent the request, the cause is
    /// [`Connection`](Self::Connection).
    ClientCertificate,
    /// A proxy requires valid credentials (407).
    ProxyCredentials,
    /// Flinks refused the request. See [`Error::flinks_code`], [`Error::oauth_error`] and
    /// [`Error::status`].
    Refused,
    /// The response was a redirect. The client never follows redirects, because its requests carry
    /// secrets.
    ///
    /// Check the base URL. If you use custom OAuth, also check that Flinks has whitelisted your
    /// redirect URL and the URLs that your application calls. [A2, C7](crate::rules)
    Redirect,
    /// The response status does not indicate success, and the body does not match the documented
    /// error format.
    Status,
    /// The response cannot be used: it is not valid HTTP, is too large, or indicates success but
    /// has an undocumented body. [`Error::field`] may name the affected field. [A6](crate::rules)
    Malformed,
    /// The callback is invalid: its `state` does not match, a parameter is repeated, or the result
    /// is missing. Such a callback may be part of an attack. Start a new authorization.
    /// [C7](crate::rules)
    InvalidCallback,
    /// The callback contains an error. See [`Error::oauth_error`].
    ReturnedError,
    /// The task that made the call panicked, or its runtime was shut down.
    Abandoned,
    /// No Tokio runtime with time and I/O drivers is running.
    NoRuntime,
}

impl Cause {
    /// Returns the name of the variant in snake case, for metrics and spans.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Configuration => "configuration",
            Self::Expired => "expired",
            Self::Connection => "connection",
            Self::Timeout => "timeout",
            Self::Tls => "tls",
            Self::ClientCertificate => "client_certificate",
            Self::ProxyCredentials => "proxy_credentials",
            Self::Refused => "refused",
            Self::Redirect => "redirect",
            Self::Status => "status",
            Self::Malformed => "malformed",
            Self::InvalidCallback => "invalid_callback",
            Self::ReturnedError => "returned_error",
            Self::Abandoned => "abandoned",
            Self::NoRuntime => "no_runtime",
        }
    }
}

impl Error {
    /// Returns the cause of the error.
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    /// Returns the names in the match arms of [`Cause::name`], one for each cause.
    fn names() -> BTreeSet<&'static str> {
        let arms = include_str!("cause.rs").split(" => \"").skip(1).filter_map(|rest| rest.split_once("\",\n"));
        arms.map(|(name, _)| name).collect()
    }

    #[test]
    fn name_is_the_variant_in_snake_case() {
        assert_eq!(names().len(), 16);
        assert_eq!(Cause::InvalidCallback.name(), "invalid_callback");
        assert_eq!(Cause::NoRuntime.name(), "no_runtime");
    }

    #[test]
    fn documentation_of_the_metrics_lists_every_cause() {
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../flinks-consents/OBSERVABILITY.md");
        // A packaged crate does not include the page.
        let Ok(page) = std::fs::read_to_string(page) else { return };
        let row = page.lines().find(|line| line.contains("`flinks_call_duration_seconds`")).unwrap();
        let outcomes = row.split("`outcome`:").nth(1).unwrap().split('|').next().unwrap();
        let documented: BTreeSet<&str> = outcomes.split_whitespace().map(|name| name.trim_matches('`')).collect();
        let expected: BTreeSet<&str> = names().into_iter().chain(["ok", "cancelled"]).collect();
        assert_eq!(documented, expected);
    }
}
