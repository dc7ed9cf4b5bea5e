//! Classifies failures of the connection by the errors of the HTTP and TLS libraries.

use std::fmt;

use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;

use crate::plain_http::PublicAddress;

/// The failure of a call for which no complete reply arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransportError {
    kind: TransportErrorKind,
    may_have_been_sent: bool,
}

impl TransportError {
    pub(crate) fn after_sending(kind: TransportErrorKind) -> Self {
        Self { kind, may_have_been_sent: true }
    }

    /// Returns the same failure for a request of which no byte has left this machine.
    pub(crate) fn before_sending(self) -> Self {
        Self { may_have_been_sent: false, ..self }
    }

    /// Returns the kind of the failure.
    pub fn kind(&self) -> TransportErrorKind {
        self.kind
    }

    /// Returns whether the request may have reached the server: `false` if no connection could be
    /// made.
    pub fn may_have_been_sent(&self) -> bool {
        self.may_have_been_sent
    }

    pub(crate) fn from_reqwest(error: &reqwest::Error) -> Self {
        let not_connected = error.is_connect() || error.is_dns();
        let kind = if chain(error).any(|source| source.is::<PublicAddress>()) {
            TransportErrorKind::PublicAddress
        } else if error.is_dns() {
            TransportErrorKind::Dns
        } else if chain(error).any(is_client_certificate) {
            TransportErrorKind::ClientCertificate
        } else if chain(error).any(is_tls) {
            TransportErrorKind::Tls
        } else if chain(error).any(is_of_proxy_credentials) {
            TransportErrorKind::ProxyCredentials
        } else if not_connected {
            TransportErrorKind::Connect
        } else if error.is_timeout() {
            TransportErrorKind::Timeout
        } else if chain(error).filter_map(|source| source.downcast_ref::<hyper::Error>()).any(hyper::Error::is_parse) {
            TransportErrorKind::Protocol
        } else {
            TransportErrorKind::Interrupted
        };
        Self { kind, may_have_been_sent: !(not_connected || error.is_builder()) }
    }
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sent = if self.may_have_been_sent { "the request may have been received" } else { "nothing was sent" };
        write!(f, "{}; {sent}", self.kind)
    }
}

impl std::error::Error for TransportError {}

/// The kinds of [`TransportError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TransportErrorKind {
    /// The host name could not be resolved.
    Dns,
    /// No connection: refused, unreachable, or not in time.
    Connect,
    /// The TLS handshake failed: a certificate that is expired, of another name or of an unknown
    /// authority, or no common version.
    Tls,
    /// The server requires a client certificate, or does not accept the one that it got.
    ClientCertificate,
    /// A host to which plain HTTP is allowed has an address that is not private.
    PublicAddress,
    /// The call did not complete before its timeout.
    Timeout,
    /// The connection ended before the reply did.
    Interrupted,
    /// The reply was not HTTP.
    Protocol,
    /// The reply's body was larger than [`MAX_RESPONSE_BYTES`](crate::MAX_RESPONSE_BYTES).
    TooLarge,
    /// The proxy requires valid credentials before it connects to the server (407).
    ProxyCredentials,
}

/// Describes the failure in one clause, without a full stop: `the TLS handshake failed`.
impl fmt::Display for TransportErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dns => "the host name could not be resolved",
            Self::Connect => "no connection to the server could be made",
            Self::Tls => "the TLS handshake failed",
            Self::ClientCertificate => "the server requires a client certificate, or refused the one that it got",
            Self::PublicAddress => "plain HTTP is allowed to a private host only, and this one has a public address",
            Self::Timeout => "the call timed out",
            Self::Interrupted => "the connection ended before the reply did",
            Self::Protocol => "the reply was not HTTP",
            Self::TooLarge => "the reply was too large",
            Self::ProxyCredentials => "a proxy requires valid credentials",
        })
    }
}

fn chain<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error), |error| {
        // `io::Error::source` skips the error that it wraps.
        match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => error.source(),
        }
    })
}

/// The error of a proxy's tunnel. hyper-util exports it only as this associated type.
type TunnelError = <Tunnel<HttpConnector> as tower_service::Service<hyper::Uri>>::Error;

fn is_of_proxy_credentials(error: &(dyn std::error::Error + 'static)) -> bool {
    matches!(error.downcast_ref(), Some(TunnelError::ProxyAuthRequired))
}

/// Whether the server ended the handshake with an alert about the client's certificate.
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

/// native-tls does not tell alerts apart.
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
    fn a_failure_says_whether_something_was_sent() {
        let error = TransportError::after_sending(TransportErrorKind::Timeout);
        assert_eq!(error.to_string(), "the call timed out; the request may have been received");
        assert_eq!(error.before_sending().to_string(), "the call timed out; nothing was sent");
    }
}
