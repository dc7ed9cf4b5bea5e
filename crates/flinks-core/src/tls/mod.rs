//! A client's TLS configuration: PEM certificates and the crypto provider for rustls.
//!
//! The certificate types are available with any TLS feature. The crypto provider types are
//! available only with a rustls feature.

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
