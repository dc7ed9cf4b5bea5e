//! Tests an application that also uses `reqwest` directly. The default rustls crypto provider
//! applies to the whole process, so this program has only one test.

#![cfg(feature = "rustls")]
#![allow(clippy::unwrap_used)] // a test

use flinks::pay::{Client, Credentials};
use flinks::tls::DefaultCryptoProvider::{AlreadyInstalled, Installed};
use tokio_rustls::rustls::crypto::CryptoProvider;

#[test]
fn application_can_use_reqwest_after_installing_the_default_provider() {
    // The clients of these crates neither need nor install a default provider.
    let credentials = Credentials::new("username", "password").unwrap();
    assert!(Client::builder(flinks::pay::SANDBOX.parse().unwrap(), credentials).build().is_ok());
    assert!(CryptoProvider::get_default().is_none());
    // The READMEs warn about this panic. If it no longer happens, remove the warning. With the
    // feature `native-tls`, reqwest does not use rustls by default and does not panic.
    let panics = std::panic::catch_unwind(reqwest::Client::new).is_err();
    assert_eq!(panics, cfg!(not(feature = "native-tls")));

    assert_eq!(flinks::tls::install_default_crypto_provider(), Installed);
    let _ = reqwest::Client::new();
    // A second call changes nothing, so several parts of a program can each call the function.
    let before = CryptoProvider::get_default().map(std::sync::Arc::as_ptr);
    assert_eq!(flinks::tls::install_default_crypto_provider(), AlreadyInstalled);
    assert_eq!(CryptoProvider::get_default().map(std::sync::Arc::as_ptr), before);
}
