//! The transport of an emulator: plain HTTP or TLS.

use std::io;

use tokio::net::TcpStream;

use crate::wire::Wire;

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
    /// Returns an error if the TLS handshake fails.
    pub(crate) async fn accept(&self, stream: TcpStream) -> io::Result<Wire> {
        match self {
            Self::Plain => Ok(Wire::Plain(stream)),
            #[cfg(feature = "tls")]
            // The state of a handshake is large. On the heap, it is freed when the handshake is complete.
            Self::Tls { acceptor, .. } => Ok(Wire::tls(Box::pin(acceptor.accept(stream)).await?)),
        }
    }
}
