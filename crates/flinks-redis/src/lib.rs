#![doc = include_str!("../README.md")]
#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

mod failure;
mod keep_alive;
mod keys;
#[doc = include_str!("../SCALE.md")]
pub mod scale {}
mod store;
mod value;

pub use failure::{InvalidConfiguration, Warning};
#[cfg(feature = "rustls")]
pub use flinks::{DefaultCryptoProvider, install_default_crypto_provider};
pub use keep_alive::{KeepAlive, Progress, StopReason, Stopped, Summary};
pub use keys::{Key, Keys};
pub use store::{RedisStore, RedisStoreBuilder};
