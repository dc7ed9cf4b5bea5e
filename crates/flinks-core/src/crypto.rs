//! The default crypto provider of rustls, of which a process has one.

use rustls::crypto::{CryptoProvider, ring};

/// The outcome of [`install_default_crypto_provider`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DefaultCryptoProvider {
    /// The ring provider is the default of this process from now on.
    Installed,
    /// This process had a default provider already, which stays.
    AlreadyInstalled,
}

/// Makes ring the default crypto provider of rustls in this process, unless there is a default
/// already.
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
/// use flinks_core::{DefaultCryptoProvider, install_default_crypto_provider};
///
/// install_default_crypto_provider();
/// assert_eq!(install_default_crypto_provider(), DefaultCryptoProvider::AlreadyInstalled);
/// ```
pub fn install_default_crypto_provider() -> DefaultCryptoProvider {
    if CryptoProvider::get_default().is_some() {
        return DefaultCryptoProvider::AlreadyInstalled;
    }
    match ring::default_provider().install_default() {
        Ok(()) => DefaultCryptoProvider::Installed,
        // Another thread was faster.
        Err(_) => DefaultCryptoProvider::AlreadyInstalled,
    }
}
