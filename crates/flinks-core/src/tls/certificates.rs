//! PEM certificates: trusted root certificates and the client certificate.

use std::fmt;

use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::secret::{Redacted, Secret};

/// Root certificates that a client trusts in addition to the platform's certificates.
#[derive(Clone)]
pub struct RootCertificates(Vec<CertificateDer<'static>>);

impl RootCertificates {
    /// Reads one or more PEM certificates. Other sections are ignored.
    ///
    /// # Errors
    ///
    /// Returns an error if the text is not valid PEM or does not contain a certificate.
    pub fn from_pem(pem: impl AsRef<[u8]>) -> Result<Self, InvalidCertificate> {
        certificates(pem.as_ref(), "root certificates").map(Self)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &CertificateDer<'static>> {
        self.0.iter()
    }
}

impl fmt::Debug for RootCertificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RootCertificates({})", self.0.len())
    }
}

/// A client certificate for TLS client authentication (mTLS), and its private key.
#[derive(Clone)]
pub struct ClientCertificate {
    chain_pem: Vec<u8>,
    key_pem: Secret,
}

impl ClientCertificate {
    /// The value of [`InvalidCertificate::field()`] for an invalid private key.
    #[doc(hidden)]
    pub const KEY: &str = "client key";

    /// Reads a PEM certificate, any intermediate certificates that follow it, and the matching PEM
    /// private key. The key must be in PKCS#8 format. With rustls, the PKCS#1 and SEC1 formats are
    /// also supported.
    ///
    /// Building a client fails if the key does not match the certificate. Only the server checks
    /// whether the certificate is valid.
    ///
    /// # Errors
    ///
    /// Returns an error if `certificate` does not contain a PEM certificate, or if `private_key`
    /// does not contain a PEM private key.
    pub fn from_pem(certificate: impl AsRef<[u8]>, private_key: impl Into<Secret>) -> Result<Self, InvalidCertificate> {
        let key_pem = private_key.into();
        let chain_pem = certificate.as_ref().to_vec();
        certificates(&chain_pem, "client certificate")?;
        PrivateKeyDer::from_pem_slice(key_pem.expose_secret().as_bytes())
            .map_err(|_| InvalidCertificate { field: Self::KEY, reason: "must contain a PEM private key" })?;
        Ok(Self { chain_pem, key_pem })
    }

    #[cfg(feature = "rustls-no-provider")]
    pub(crate) fn to_rustls(&self) -> Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)> {
        let chain = CertificateDer::pem_slice_iter(&self.chain_pem).collect::<Result<_, _>>().ok()?;
        Some((chain, PrivateKeyDer::from_pem_slice(self.key_pem.expose_secret().as_bytes()).ok()?))
    }

    #[cfg(all(feature = "native-tls", not(feature = "rustls-no-provider")))]
    pub(crate) fn to_native(&self) -> Option<native_tls::Identity> {
        native_tls::Identity::from_pkcs8(&self.chain_pem, self.key_pem.expose_secret().as_bytes()).ok()
    }
}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientCertificate").field("key", &Redacted).finish_non_exhaustive()
    }
}

fn certificates(pem: &[u8], field: &'static str) -> Result<Vec<CertificateDer<'static>>, InvalidCertificate> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match certificates {
        Ok(certificates) if certificates.is_empty() => {
            Err(InvalidCertificate { field, reason: "must contain a PEM certificate" })
        }
        Ok(certificates) => Ok(certificates),
        Err(_) => Err(InvalidCertificate { field, reason: "must be valid PEM" }),
    }
}

/// The error returned if reading [`RootCertificates`] or a [`ClientCertificate`] fails. The error
/// never contains the input text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidCertificate {
    field: &'static str,
    reason: &'static str,
}

impl InvalidCertificate {
    /// Returns the name of the invalid value: `root certificates`, `client certificate` or
    /// `client key`.
    pub fn field(&self) -> &'static str {
        self.field
    }

    /// Returns the reason as a verb phrase, such as `must contain a PEM certificate`.
    pub fn reason(&self) -> &'static str {
        self.reason
    }
}

impl fmt::Display for InvalidCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invalid {}: {}", self.field, self.reason)
    }
}

impl std::error::Error for InvalidCertificate {}
