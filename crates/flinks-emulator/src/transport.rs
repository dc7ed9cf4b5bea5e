//! The transport of an emulator: plain HTTP or TLS.

use std::io;
#[cfg(feature = "tls")]
use std::time::Duration;

use tokio::net::TcpStream;

use crate::wire::Wire;

/// The maximum duration of a TLS handshake. Without this limit, a peer that sends nothing could
/// keep a connection open indefinitely.
#[cfg(feature = "tls")]
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(30);

pub(crate) enum Transport {
    Plain,
    #[cfg(feature = "tls")]
    Tls {
        acceptor: tokio_rustls::TlsAcceptor,
        /// The files that contain the certificates, if they were written.
        files: Option<crate::tls::Files>,
    },
}

impl Transport {
    /// Returns the scheme of the base URL.
    pub(crate) const fn scheme(&self) -> &'static str {
        match self {
            Self::Plain => "http",
            #[cfg(feature = "tls")]
            Self::Tls { .. } => "https",
        }
    }

    /// Prepares a connection for HTTP.
    ///
    /// # Errors
    ///
    /// Returns an error if the TLS handshake fails or takes longer than 30 seconds.
    pub(crate) async fn accept(&self, stream: TcpStream) -> io::Result<Wire> {
        match self {
            Self::Plain => Ok(Wire::Plain(stream)),
            #[cfg(feature = "tls")]
            // The state of a handshake is large. Boxing it frees the memory when the handshake is
            // complete.
            Self::Tls { acceptor, .. } => {
                let handshake = tokio::time::timeout(HANDSHAKE_TIMEOUT, Box::pin(acceptor.accept(stream)));
                let timed_out = |_| io::Error::new(io::ErrorKind::TimedOut, "the TLS handshake took too long");
                Ok(Wire::tls(handshake.await.map_err(timed_out)??))
            }
        }
    }
}
