//! The TLS configuration of a client: PEM certificates, and the crypto provider of rustls.
//!
//! The types for certificates need any TLS feature. The types for crypto providers need a TLS
//! feature of rustls.

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
