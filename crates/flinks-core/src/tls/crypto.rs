//! Crypto providers for rustls: a client's own provider and the default provider of the process.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use rustls::crypto::CryptoProvider as Provider;

/// The crypto provider that a client uses for TLS with rustls.
///
/// The default depends on the enabled features. With the `rustls` feature, the default is ring.
/// With `aws-lc-rs` but without `rustls`, the default is aws-lc-rs. With neither feature, a client
/// uses the default provider of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CryptoProvider {
    /// [ring](https://docs.rs/ring). Requires the `rustls` feature.
    #[cfg(feature = "rustls")]
    Ring,
    /// [aws-lc-rs](https://docs.rs/aws-lc-rs). Requires the `aws-lc-rs` feature.
    #[cfg(feature = "aws-lc-rs")]
    AwsLcRs,
    /// The default provider of the process, such as one that is certified for FIPS 140. The program
    /// must install this provider before building a client.
    OfProcess,
}

/// Returns the provider selected by the features of this build.
impl Default for CryptoProvider {
    fn default() -> Self {
        #[cfg(feature = "rustls")]
        return Self::Ring;
        #[cfg(all(feature = "aws-lc-rs", not(feature = "rustls")))]
        return Self::AwsLcRs;
        #[cfg(not(any(feature = "aws-lc-rs", feature = "rustls")))]
        return Self::OfProcess;
    }
}

/// Parses `ring`, `aws-lc-rs` or `process`.
impl FromStr for CryptoProvider {
    type Err = UnknownProvider;

    fn from_str(text: &str) -> Result<Self, UnknownProvider> {
        match text {
            #[cfg(feature = "rustls")]
            "ring" => Ok(Self::Ring),
            #[cfg(feature = "aws-lc-rs")]
            "aws-lc-rs" => Ok(Self::AwsLcRs),
            "process" => Ok(Self::OfProcess),
            _ => Err(UnknownProvider(())),
        }
    }
}

/// The error returned if the name of a [`CryptoProvider`] is unknown or its feature is not enabled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownProvider(());

impl UnknownProvider {
    /// Returns the reason as a verb phrase that lists the valid names.
    pub fn reason(&self) -> &'static str {
        "must be `ring` (with the `rustls` feature), `aws-lc-rs` (with the `aws-lc-rs` feature) or `process`"
    }
}

impl fmt::Display for UnknownProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invalid crypto provider: {}", self.reason())
    }
}

impl std::error::Error for UnknownProvider {}

impl CryptoProvider {
    /// Returns the provider, or `None` if this value is [`OfProcess`](Self::OfProcess) and no
    /// default provider is installed.
    pub(crate) fn get(self) -> Option<Arc<Provider>> {
        match self {
            #[cfg(feature = "rustls")]
            Self::Ring => Some(Arc::new(rustls::crypto::ring::default_provider())),
            #[cfg(feature = "aws-lc-rs")]
            Self::AwsLcRs => Some(Arc::new(rustls::crypto::aws_lc_rs::default_provider())),
            Self::OfProcess => Provider::get_default().cloned(),
        }
    }
}

/// The outcome of [`install_default_crypto_provider`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg(any(feature = "aws-lc-rs", feature = "rustls"))]
pub enum DefaultCryptoProvider {
    /// This build's default provider is now the default provider of the process.
    Installed,
    /// The process already had a default provider. The call did not change that provider.
    AlreadyInstalled,
}

/// Installs this build's default [`CryptoProvider`], such as ring, as the process-wide default for
/// rustls. Does nothing if a default is already installed.
///
/// The clients in the Flinks crates set their own provider, so they do not need this function.
/// Other code in the same program may need it. Cargo builds `reqwest` once for the whole program,
/// and the `rustls` feature of `flinks-core` enables rustls in `reqwest` without a crypto provider.
/// As a result, `reqwest::Client::new()` panics in a crate that does not enable a `reqwest` TLS
/// feature.
///
/// Call this function once, at the start of `main`. Do not call it in a library, because only the
/// program should choose its default provider. No library in this project calls it.
///
/// ```
/// use flinks_core::tls::{DefaultCryptoProvider, install_default_crypto_provider};
///
/// install_default_crypto_provider();
/// assert_eq!(install_default_crypto_provider(), DefaultCryptoProvider::AlreadyInstalled);
/// ```
#[cfg(any(feature = "aws-lc-rs", feature = "rustls"))]
pub fn install_default_crypto_provider() -> DefaultCryptoProvider {
    if Provider::get_default().is_some() {
        return DefaultCryptoProvider::AlreadyInstalled;
    }
    let provider = CryptoProvider::default().get().map(|provider| Provider::clone(&provider));
    match provider.map(Provider::install_default) {
        Some(Ok(())) => DefaultCryptoProvider::Installed,
        // Another thread installed a provider in the meantime.
        _ => DefaultCryptoProvider::AlreadyInstalled,
    }
}
