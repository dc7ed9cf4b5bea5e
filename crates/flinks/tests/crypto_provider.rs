//! An application that uses `reqwest` itself, in a build with these crates. A process has one
//! default crypto provider of rustls, so this program has one test.

#![cfg(feature = "rustls")]
#![allow(clippy::unwrap_used)] // a test

use flinks::pay::{Client, Credentials};
use flinks::tls::DefaultCryptoProvider::{AlreadyInstalled, Installed};
use tokio_rustls::rustls::crypto::CryptoProvider;

#[test]
fn reqwest_of_the_application_works_after_one_line() {
    // The clients of these crates neither need nor install a default provider.
    let credentials = Credentials::new("username", "password").unwrap();
    assert!(Client::builder(flinks::pay::SANDBOX.parse().unwrap(), credentials).build().is_ok());
    assert!(CryptoProvider::get_default().is_none());
    // The READMEs warn of this panic. If it no longer happens, remove the warning. With
    // `native-tls`, reqwest prefers that.
    let panics = std::panic::catch_unwind(reqwest::Client::new).is_err();
    assert_eq!(panics, cfg!(not(feature = "native-tls")));

    assert_eq!(flinks::tls::install_default_crypto_provider(), Installed);
    let _ = reqwest::Client::new();
    // A second call changes nothing, so several parts of a program can make the call.
    let before = CryptoProvider::get_default().map(std::sync::Arc::as_ptr);
    assert_eq!(flinks::tls::install_default_crypto_provider(), AlreadyInstalled);
    assert_eq!(CryptoProvider::get_default().map(std::sync::Arc::as_ptr), before);
}
