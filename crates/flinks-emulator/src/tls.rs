//! TLS with a generated certificate authority, so that tests can cover clients that accept only
//! `https`.
//!
//! | file | contents |
//! | --- | --- |
//! | `authority` | the authority and the certificates that it issues |
//! | `files` | the files with the certificates |

mod authority;
mod files;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::server::{NoClientAuth, WebPkiClientVerifier};
use tokio_rustls::TlsAcceptor;

use self::authority::{Authority, Identity};
pub(crate) use self::files::Files;
use crate::config::Config;
use crate::transport::Transport;
use crate::{Emulator, ListenAddress};

/// Whether an emulator requests client certificates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientCertificates {
    /// Does not request a certificate.
    #[default]
    NotRequested,
    /// Accepts clients with and without a certificate. The ledger shows whether a client has
    /// presented one.
    Optional,
    /// Refuses clients without a certificate during the handshake.
    Required,
}

/// A generated certificate authority and the TLS settings of an emulator that uses it.
///
/// Each `Tls` value has a new authority, so a client must trust its
/// [`authority_pem`](Self::authority_pem). The authority can issue certificates only for
/// `localhost`, for loopback addresses and for the names passed to [`new`](Self::new). Its private
/// key is dropped after use.
///
/// ```
/// use flinks_emulator::{ClientCertificates, Config, Tls};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let tls = Tls::new(&[])?.client_certificates(ClientCertificates::Optional);
/// let authority = tls.authority_pem().to_owned(); // add it to the client's root certificates
/// let emulator = tls.start_with(Config::default()).await?;
/// assert!(emulator.base_url().starts_with("https://127.0.0.1:"));
/// # Ok(())
/// # }
/// ```
pub struct Tls {
    authority: Authority,
    client_certificates: ClientCertificates,
    files: Option<Files>,
}

impl Tls {
    /// Creates an authority. The emulator's certificate is valid for `localhost`, for `127.0.0.1`,
    /// for `::1`, and for these host names or IP addresses.
    ///
    /// # Errors
    ///
    /// Returns an error if a name is neither a host name nor an IP address, or if no key can be
    /// created.
    pub fn new(names: &[String]) -> io::Result<Self> {
        Ok(Self {
            authority: Authority::new(names)?,
            client_certificates: ClientCertificates::NotRequested,
            files: None,
        })
    }

    /// Sets whether the emulator requests client certificates. The emulator accepts only
    /// certificates issued by this authority; see
    /// [`client_identity_pem`](Self::client_identity_pem).
    #[must_use]
    pub fn client_certificates(self, client_certificates: ClientCertificates) -> Self {
        Self { client_certificates, ..self }
    }

    /// Returns the authority's certificate in PEM format. Clients must trust it.
    pub fn authority_pem(&self) -> &str {
        &self.authority.pem
    }

    /// Returns a client certificate and its private key in PEM format.
    pub fn client_identity_pem(&self) -> String {
        let Identity { certificate_pem, key_pem, .. } = &self.authority.client;
        format!("{certificate_pem}{key_pem}")
    }

    /// Writes the authority's certificate to `authority.pem` in this folder. If the emulator
    /// requests client certificates, also writes a client certificate to `client.pem` and its
    /// private key to `client-key.pem`. The variables from [`Emulator::env`] then include the
    /// paths of these files.
    ///
    /// Existing files are replaced. On Unix, only the file's owner can read the private key.
    ///
    /// # Errors
    ///
    /// Returns an error if the folder or a file cannot be written.
    pub fn write_to(mut self, folder: &Path) -> io::Result<Self> {
        let client = match self.client_certificates {
            ClientCertificates::NotRequested => None,
            ClientCertificates::Optional | ClientCertificates::Required => Some(&self.authority.client),
        };
        self.files = Some(Files::write(folder, &self.authority.pem, client)?);
        Ok(self)
    }

    /// Starts an emulator with TLS on a free port on 127.0.0.1; see [`Emulator::start_with`].
    ///
    /// # Errors
    ///
    /// Returns an error for the same reasons as [`Emulator::start_with`].
    pub async fn start_with(self, config: Config) -> io::Result<Emulator> {
        let address = ListenAddress::Loopback(SocketAddr::from(([127, 0, 0, 1], 0)));
        Emulator::open(address, config, self.transport()?)
    }

    /// Starts an emulator with TLS on a loopback address; see [`Emulator::listen`].
    ///
    /// # Errors
    ///
    /// Returns an error for the same reasons as [`Emulator::listen`].
    pub async fn listen(self, address: SocketAddr, config: Config) -> io::Result<Emulator> {
        Emulator::open(ListenAddress::Loopback(address), config, self.transport()?)
    }

    /// Starts an emulator with TLS on any address of this machine; see
    /// [`Emulator::dangerously_listen_anywhere`].
    ///
    /// # Errors
    ///
    /// Returns an error for the same reasons as [`Emulator::dangerously_listen_anywhere`].
    pub async fn dangerously_listen_anywhere(self, address: SocketAddr, config: Config) -> io::Result<Emulator> {
        Emulator::open(ListenAddress::Any(address), config, self.transport()?)
    }

    fn transport(self) -> io::Result<Transport> {
        let Self { authority, client_certificates, files } = self;
        let provider = Arc::new(ring::default_provider());
        let verifier = match client_certificates {
            ClientCertificates::NotRequested => Arc::new(NoClientAuth),
            requested => {
                let roots = Arc::new(authority.roots()?);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&provider));
                let verifier = match requested {
                    ClientCertificates::Required => verifier,
                    _ => verifier.allow_unauthenticated(),
                };
                verifier.build().map_err(io::Error::other)?
            }
        };
        let Identity { certificate, key, .. } = authority.server;
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![certificate], key)
            .map_err(io::Error::other)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Transport::Tls { acceptor: TlsAcceptor::from(Arc::new(config)), files })
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("client_certificates", &self.client_certificates).finish_non_exhaustive()
    }
}
