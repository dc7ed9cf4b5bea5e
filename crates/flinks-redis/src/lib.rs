#![doc = include_str!("../README.md")]
#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

mod failure;
mod keys;
mod store;
mod value;

pub use failure::{InvalidConfiguration, Warning};
pub use keys::{Key, Keys};
pub use store::{RedisStore, RedisStoreBuilder};
