//! TLS as an application configures it: certificates in PEM, and the cryptography of rustls.
//!
//! Its items need a TLS feature: certificates any of them, a crypto provider one of rustls.

#[cfg(any(feature = "native-tls", feature = "rustls-no-provider"))]
mod certificates;
#[cfg(feature = "rustls-no-provider")]
mod crypto;

#[cfg(any(feature = "native-tls", feature = "rustls-no-provider"))]
pub use certificates::{ClientCertificate, InvalidCertificate, RootCertificates};
#[cfg(feature = "rustls-no-provider")]
pub use crypto::{CryptoProvider, UnknownProvider};
#[cfg(any(feature = "aws-lc-rs", feature = "rustls"))]
pub use crypto::{DefaultCryptoProvider, install_default_crypto_provider};
