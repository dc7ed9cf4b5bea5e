#![doc = include_str!("../README.md")]
#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

mod builder;
mod connection;
mod deadlines;
pub mod envelope;
mod error;
mod index;
pub mod keep_alive;
mod names;
#[doc = include_str!("../SCALE.md")]
pub mod scale {}
mod scripts;
mod servers;
mod store;
#[cfg(feature = "rustls")]
mod tls;
mod warning;
mod work_leases;

pub use builder::RedisStoreBuilder;
pub use envelope::{EncryptionKeys, Key};
pub use error::InvalidConfiguration;
#[cfg(feature = "rustls")]
pub use flinks::{DefaultCryptoProvider, install_default_crypto_provider};
pub use keep_alive::{KeepAlive, Progress, StopReason, Stopped, Summary};
pub use store::RedisStore;
pub use warning::Warning;
