#![doc = include_str!("../README.md")]
// These lints forbid arithmetic that can panic on external values, and functions that write files
// in place (see clippy.toml).
#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects, clippy::disallowed_methods))]

mod app_token;
mod bearer;
mod cached_token;
#[cfg(doctest)]
mod compile_fail;
mod consent;
mod consents;
#[cfg(feature = "envelope")]
pub mod envelope;
mod error;
mod event;
mod jitter;
pub mod keep_alive;
mod lease;
#[cfg(test)]
#[cfg(feature = "envelope")]
mod messages;
mod metrics;
pub mod migrate;
mod new_consent;
mod outage;
mod pending_write;
mod process_name;
mod refresh;
mod revoke;
mod runtime;
mod save;
mod shared;
mod shared_token;
mod shutdown;
mod single_flight;
mod state;
mod status;
pub mod store;
mod suspicion;
mod token_cache;
mod token_id;

/// The lock that `single_flight` uses. The model check for `single_flight` replaces this module
/// with one that uses a different lock.
mod sync {
    pub(super) use std::sync::{Mutex, MutexGuard};
}

pub use flinks;

pub use crate::app_token::AppTokenSource;
#[cfg(any(feature = "reqwest-middleware-0_5", feature = "tower"))]
pub use crate::bearer::BearerAuth;
pub use crate::bearer::TokenSource;
#[cfg(feature = "tower")]
pub use crate::bearer::{BearerLayer, BearerService};
pub use crate::consent::{Consent, Revoked};
pub use crate::consents::{Consents, ConsentsBuilder};
pub use crate::error::ConsentError;
pub use crate::event::Event;
pub use crate::keep_alive::KeepAlive;
pub use crate::new_consent::{NewConsent, Replaced, StoredConsent};
pub use crate::shared::OutagePolicy;
pub use crate::shutdown::ShutdownError;
pub use crate::status::{ConsentStanding, ConsentStatus};
pub use crate::store::{ConsentId, EndReason, FileStore, MemoryStore, OwnerId, Page, TokenStore};
