//! The crypto provider of rustls: the one of a client, and the default one of the process.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use rustls::crypto::CryptoProvider as Provider;

/// The cryptography that a client uses for TLS with rustls.
///
/// Default: ring with the feature `rustls`, else aws-lc-rs with the feature `aws-lc-rs`, else the
/// one that the process has installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CryptoProvider {
    /// [ring](https://docs.rs/ring). Needs the feature `rustls`.
    #[cfg(feature = "rustls")]
    Ring,
    /// [aws-lc-rs](https://docs.rs/aws-lc-rs). Needs the feature `aws-lc-rs`.
    #[cfg(feature = "aws-lc-rs")]
    AwsLcRs,
    /// The provider that the program has installed as the default of the process, such as one that is
    /// certified for FIPS 140. A client cannot be built before that.
    OfProcess,
}

/// The provider that the features of this build choose.
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

/// `ring`, `aws-lc-rs` or `process`.
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

/// The error of a text that does not name a [`CryptoProvider`] of this build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownProvider(());

impl UnknownProvider {
    /// Returns the reason, as the rest of a sentence.
    pub fn reason(&self) -> &'static str {
        "is not `ring`, `aws-lc-rs` or `process`, or needs the feature of that name"
    }
}

impl fmt::Display for UnknownProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invalid crypto provider: it {}", self.reason())
    }
}

impl std::error::Error for UnknownProvider {}

impl CryptoProvider {
    /// Returns `None` if the process has no default provider.
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
    /// The provider of this build is the default of this process from now on.
    Installed,
    /// This process had a default provider already, which stays.
    AlreadyInstalled,
}

/// Makes the default [`CryptoProvider`] of this build, such as ring, the default crypto provider of
/// rustls in this process, unless there is a default already.
///
/// The clients of these crates do not need it: each brings its own provider. Other code in the same
/// program does. With the feature `rustls`, Cargo builds the one `reqwest` of the program with
/// rustls and without a provider, so that `reqwest::Client::new()` panics if its user enabled no
/// TLS feature.
///
/// Call it once, at the start of `main`, and not in a library: only the program may choose its
/// provider. No crate of this project calls it by itself.
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
        // Another thread was faster.
        _ => DefaultCryptoProvider::AlreadyInstalled,
    }
}
