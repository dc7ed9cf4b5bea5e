//! Checks the certificates and the crypto provider for rustls.

use redis::{ClientTlsConfig, TlsCertificates};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::error::{INVALID_CERTIFICATES, InvalidConfiguration};

pub(crate) use redis::TlsCertificates as Certificates;

/// Checks that each certificate and key is in PEM format. The `redis` crate would silently ignore
/// text that contains no certificate.
pub(crate) fn check_certificates(certificates: &Certificates) -> Result<(), InvalidConfiguration> {
    let TlsCertificates { root_cert, client_tls } = certificates;
    let is_certificate = |pem: &[u8]| CertificateDer::from_pem_slice(pem).is_ok();
    let has_roots = root_cert.as_deref().is_none_or(is_certificate);
    let has_client = client_tls.as_ref().is_none_or(|ClientTlsConfig { client_cert, client_key }| {
        is_certificate(client_cert) && PrivateKeyDer::from_pem_slice(client_key).is_ok()
    });
    if has_roots && has_client { Ok(()) } else { Err(INVALID_CERTIFICATES) }
}

/// Checks that this process has a default crypto provider for rustls.
///
/// Without one, rustls would install the compiled-in provider as the default for the whole process.
/// If several were compiled in, rustls would panic.
pub(crate) fn check_crypto_provider() -> Result<(), InvalidConfiguration> {
    if CryptoProvider::get_default().is_none() {
        return Err(InvalidConfiguration::new(
            "crypto provider",
            "is not installed: call flinks_redis::install_default_crypto_provider() once, at the start of main",
        ));
    }
    Ok(())
}
