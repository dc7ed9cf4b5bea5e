#![doc = include_str!("../README.md")]
#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects, clippy::disallowed_methods))]

mod address;
mod builder;
mod calls;
mod due;
mod error;
mod migrations;
mod pool;
#[cfg(test)]
mod portability;
mod scan;
mod schema;
mod statements;
mod store;
#[cfg(feature = "rustls")]
mod tls;
mod warning;
mod work_leases;
mod writes;

pub use builder::PostgresStoreBuilder;
pub use error::InvalidConfiguration;
pub use flinks_consents;
pub use flinks_consents::envelope::{EncryptionKeys, Envelope, Key};
pub use flinks_consents::keep_alive::{KeepAlive, Progress, StopReason, Stopped, Summary};
pub use migrations::SchemaMigration;
pub use store::PostgresStore;
pub use warning::Warning;
