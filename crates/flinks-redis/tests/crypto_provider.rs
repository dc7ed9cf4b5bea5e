//! Tests TLS connections to Redis in a process without a default crypto provider for rustls. The
//! default provider applies to the whole process, so this test program contains only one test.

#![cfg(feature = "rustls")]
#![allow(clippy::unwrap_used)] // a test

use flinks_redis::{EncryptionKeys, Key, RedisStore, RedisStoreBuilder};
use rustls::crypto::CryptoProvider;

fn store(address: &str) -> RedisStoreBuilder {
    RedisStore::builder(address, EncryptionKeys::new(Key::new([7; 32]), 1, Key::new([1; 32])))
}

#[test]
fn tls_without_a_default_crypto_provider_is_an_error_that_names_the_fix() {
    for builder in [
        store("rediss://redis.internal:6380"),
        store("rediss://redis.internal:6380").cluster(["rediss://other.internal:6380"]),
        store("redis://127.0.0.1").cluster(["rediss://redis.internal:6380"]),
    ] {
        let error = builder.build().unwrap_err().to_string();
        assert!(error.contains("flinks_redis::install_default_crypto_provider()"), "{error}");
    }
    // A plain connection to a loopback address needs no provider, so the store does not install
    // one.
    assert!(store("redis://127.0.0.1").build().is_ok());
    assert!(CryptoProvider::get_default().is_none());

    let _ = flinks_redis::install_default_crypto_provider();
    assert!(store("rediss://redis.internal:6380").build().is_ok());
}
