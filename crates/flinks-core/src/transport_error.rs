//! Classifies errors from the HTTP and TLS libraries.

use std::fmt;

use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;

use crate::plain_http::PublicAddress;

/// The error returned if a call does not receive a complete response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransportError {
    kind: TransportErrorKind,
    may_have_been_sent: bool,
}

impl TransportError {
    pub(crate) fn after_sending(kind: TransportErrorKind) -> Self {
        Self { kind, may_have_been_sent: true }
    }

    /// Returns this error, changed to report that the request never left this machine.
    pub(crate) fn before_sending(self) -> Self {
        Self { may_have_been_sent: false, ..self }
    }

    /// Returns the kind of error.
    pub fn kind(&self) -> TransportErrorKind {
        self.kind
    }

    /// Returns whether the request may have reached the server. For example, the result is `false`
    /// if no connection was established.
    pub fn may_have_been_sent(&self) -> bool {
        self.may_have_been_sent
    }

    pub(crate) fn from_reqwest(error: &reqwest::Error) -> Self {
        let is_not_connected = error.is_connect() || error.is_dns();
        let kind = if chain(error).any(<dyn std::error::Error + 'static>::is::<PublicAddress>) {
            TransportErrorKind::PublicAddress
        } else if error.is_dns() {
            TransportErrorKind::Dns
        } else if chain(error).any(is_client_certificate) {
            TransportErrorKind::ClientCertificate
        } else if chain(error).any(is_tls) {
            TransportErrorKind::Tls
        } else if chain(error).any(is_proxy_authentication) {
            TransportErrorKind::ProxyCredentials
        } else if is_not_connected {
            TransportErrorKind::Connect
        } else if error.is_timeout() {
            TransportErrorKind::Timeout
        } else if chain(error).filter_map(|source| source.downcast_ref::<hyper::Error>()).any(hyper::Error::is_parse) {
            TransportErrorKind::Protocol
        } else {
            TransportErrorKind::Interrupted
        };
        Self { kind, may_have_been_sent: !(is_not_connected || error.is_builder()) }
    }
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sent = if self.may_have_been_sent { "the request may have reached the server" } else { "nothing was sent" };
        write!(f, "{}; {sent}", self.kind)
    }
}

impl std::error::Error for TransportError {}

/// The kind of a [`TransportError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TransportErrorKind {
    /// The host name could not be resolved.
    Dns,
    /// No connection was established: the server refused the connection, is unreachable, or did not
    /// respond within the connect timeout.
    Connect,
    /// The TLS handshake failed. The server's certificate may be expired, issued for another name
    /// or issued by an unknown authority. Alternatively, the client and the server may have no TLS
    /// version in common.
    Tls,
    /// The server requires a client certificate or rejected the certificate that it received.
    ClientCertificate,
    /// Plain HTTP to this host is allowed, but the host has a public address.
    PublicAddress,
    /// The call did not complete within its timeout.
    Timeout,
    /// The connection was closed before the response was complete.
    Interrupted,
    /// The response is not valid HTTP.
    Protocol,
    /// The response body exceeds its limit: [`MAX_RESPONSE_BYTES`](crate::MAX_RESPONSE_BYTES), the
    /// operation's own limit, or the limit set for its [`ByteStream`](crate::ByteStream).
    TooLarge,
    /// The proxy requires valid credentials before it connects to the server (status 407).
    ProxyCredentials,
}

/// Formats the kind as a clause that can follow `failed to …: `, such as
/// `the TLS handshake failed`.
impl fmt::Display for TransportErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dns => "the host name could not be resolved",
            Self::Connect => "no connection to the server",
            Self::Tls => "the TLS handshake failed",
            Self::ClientCertificate => "the server requires a client certificate or rejected the one that it received",
            Self::PublicAddress => "the host has a public address, but plain HTTP is allowed only to private addresses",
            Self::Timeout => "timed out",
            Self::Interrupted => "the connection was closed before the response was complete",
            Self::Protocol => "the response is not valid HTTP",
            Self::TooLarge => "the response is larger than its limit",
            Self::ProxyCredentials => "the proxy requires valid credentials",
        })
    }
}

/// Returns an error and its sources, outermost first.
fn chain<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error), |error| {
        // `io::Error::source` skips the wrapped error itself.
        match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => error.source(),
        }
    })
}

/// The error type of a proxy tunnel. `hyper-util` exports this type only as an associated type.
type TunnelError = <Tunnel<HttpConnector> as tower_service::Service<hyper::Uri>>::Error;

fn is_proxy_authentication(error: &(dyn std::error::Error + 'static)) -> bool {
    matches!(error.downcast_ref(), Some(TunnelError::ProxyAuthRequired))
}

/// Returns whether the server aborted the handshake with an alert about the client certificate.
#[cfg(feature = "rustls-no-provider")]
fn is_client_certificate(error: &(dyn std::error::Error + 'static)) -> bool {
    use rustls::AlertDescription as Alert;
    let Some(rustls::Error::AlertReceived(alert)) = error.downcast_ref() else { return false };
    matches!(
        alert,
        Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::CertificateRequired
            | Alert::UnknownCA
            | Alert::AccessDenied
    )
}

/// Returns `false`, because native-tls does not distinguish alerts.
#[cfg(not(feature = "rustls-no-provider"))]
fn is_client_certificate(_: &(dyn std::error::Error + 'static)) -> bool {
    false
}

#[cfg(feature = "rustls-no-provider")]
fn is_tls(error: &(dyn std::error::Error + 'static)) -> bool {
    error.is::<rustls::Error>()
}

#[cfg(all(feature = "native-tls", not(feature = "rustls-no-provider")))]
fn is_tls(error: &(dyn std::error::Error + 'static)) -> bool {
    error.is::<native_tls::Error>()
}

#[cfg(not(any(feature = "native-tls", feature = "rustls-no-provider")))]
fn is_tls(_: &(dyn std::error::Error + 'static)) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_message_states_whether_the_request_may_have_been_sent() {
        let error = TransportError::after_sending(TransportErrorKind::Timeout);
        assert_eq!(error.to_string(), "timed out; the request may have reached the server");
        assert_eq!(error.before_sending().to_string(), "timed out; nothing was sent");
    }
}
