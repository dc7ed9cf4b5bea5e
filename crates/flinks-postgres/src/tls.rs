//! The TLS configuration.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::Verifier;
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::error::InvalidConfiguration;

/// The configured certificates, in PEM format.
#[derive(Clone, Default)]
pub(crate) struct Certificates {
    pub(crate) roots: Option<Vec<u8>>,
    /// The client certificate and its private key.
    pub(crate) client: Option<(Vec<u8>, Vec<u8>)>,
}

impl Certificates {
    pub(crate) fn is_set(&self) -> bool {
        self.roots.is_some() || self.client.is_some()
    }
}

/// Creates the TLS connector. It verifies the server's certificate chain and host name.
///
/// It uses the process's default crypto provider, or ring if the process has none.
pub(crate) fn connector(certificates: &Certificates) -> Result<MakeRustlsConnect, InvalidConfiguration> {
    let provider = CryptoProvider::get_default().cloned();
    let provider = provider.unwrap_or_else(|| Arc::new(rustls::crypto::ring::default_provider()));
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions();
    let builder = builder.map_err(|_| {
        InvalidConfiguration::new(
            "crypto provider",
            "does not support any TLS version: install another default provider",
        )
    })?;
    let builder = match &certificates.roots {
        None => {
            let verifier = Verifier::new(provider).map_err(|_| {
                InvalidConfiguration::new("root certificates", "must be set, because the platform's cannot be loaded")
            })?;
            builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier))
        }
        Some(pem) => {
            let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots(pem)?), provider);
            builder.with_webpki_verifier(verifier.build().map_err(|_| INVALID_ROOTS)?)
        }
    };
    let mut config = match &certificates.client {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain = certificates_of(certificate).map_err(|()| INVALID_CLIENT)?;
            let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| INVALID_CLIENT)?;
            builder.with_client_auth_cert(chain, key).map_err(|_| INVALID_CLIENT)?
        }
    };
    // Required by servers for `sslnegotiation=direct`.
    config.alpn_protocols = vec![b"postgresql".to_vec()];
    Ok(MakeRustlsConnect::new(config))
}

fn roots(pem: &[u8]) -> Result<RootCertStore, InvalidConfiguration> {
    let mut store = RootCertStore::empty();
    for certificate in certificates_of(pem).map_err(|()| INVALID_ROOTS)? {
        store.add(certificate).map_err(|_| INVALID_ROOTS)?;
    }
    Ok(store)
}

/// Returns the certificates in a PEM file, which must contain at least one.
fn certificates_of(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, ()> {
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(|_| ())?;
    if certificates.is_empty() { Err(()) } else { Ok(certificates) }
}

const INVALID_ROOTS: InvalidConfiguration =
    InvalidConfiguration::new("root certificates", "must be one or more certificates in PEM format");
const INVALID_CLIENT: InvalidConfiguration =
    InvalidConfiguration::new("client certificate", "must be a certificate and its private key in PEM format");
