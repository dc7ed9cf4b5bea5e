#![doc = include_str!("../README.md")]
#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

mod batching;
mod builder;
mod connection;
mod deadlines;
mod error;
mod index;
mod names;
#[doc = include_str!("../SCALE.md")]
pub mod scale {}
mod owners;
mod scan;
mod scripts;
mod servers;
mod store;
#[cfg(feature = "rustls")]
mod tls;
mod warning;
mod work_leases;

pub use builder::RedisStoreBuilder;
pub use error::InvalidConfiguration;
pub use flinks_consents;
pub use flinks_consents::envelope::{EncryptionKeys, Envelope, Key};
#[cfg(feature = "rustls")]
pub use flinks_consents::flinks::tls::{DefaultCryptoProvider, install_default_crypto_provider};
pub use flinks_consents::keep_alive::{KeepAlive, Progress, StopReason, Stopped, Summary};
pub use store::RedisStore;
pub use warning::Warning;
