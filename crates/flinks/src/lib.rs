// Its code is tested, which needs all of it.
#![cfg_attr(all(feature = "connect", feature = "outbound", feature = "pay"), doc = include_str!("../README.md"))]
#![cfg_attr(
    not(all(feature = "connect", feature = "outbound", feature = "pay")),
    doc = "The authorization side of Flinks: see README.md."
)]
// What the products have in common is not all used by each.
#![cfg_attr(
    not(all(feature = "connect", feature = "outbound", feature = "pay")),
    allow(dead_code, unused_imports, unused_macros)
)]
// No `+` on a time or a number that others gave, which would panic; no file that is written in place (clippy.toml).
#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects, clippy::disallowed_methods))]

#[cfg(any(feature = "outbound", feature = "pay"))]
mod bearer;
mod builder;
#[cfg(any(feature = "connect", feature = "outbound"))]
mod callback;
mod codes;
mod config;
#[cfg(feature = "connect")]
pub mod connect;
mod error;
mod hosts;
mod language;
mod operation;
#[cfg(feature = "outbound")]
pub mod outbound;
#[cfg(feature = "pay")]
pub mod pay;
#[cfg(feature = "pool")]
pub mod pool;
mod recent;
mod redirect;
mod retry;
mod settings;
mod validate;

pub use crate::builder::ClientBuilder;
#[cfg(any(feature = "connect", feature = "outbound"))]
pub use crate::callback::Started;
pub use crate::codes::{FlinksCode, OAuthError};
pub use crate::error::{Advice, Cause, Error, Refusal, SpendError};
pub use crate::language::Language;
pub use crate::operation::Product;
pub use crate::redirect::RedirectUrl;
pub use crate::retry::backoff;
pub use crate::settings::Settings;
pub use flinks_core::{BaseUrl, BaseUrlOptions, Clock, InvalidBaseUrl, ManualClock, Secret, Sleep, SystemClock, tls};

/// What a fuzzer feeds, and is not public otherwise. It may change at any time.
#[cfg(all(feature = "_fuzz", feature = "outbound"))]
#[doc(hidden)]
#[allow(missing_docs)]
pub mod fuzzing {
    pub fn claims(token: &str) -> Option<crate::outbound::Claims> {
        crate::outbound::claims::claims(token)
    }

    pub fn retry_after(text: &str) -> Option<std::time::Duration> {
        crate::retry::retry_after(text, &flinks_core::SystemClock)
    }
}

#[cfg(all(doctest, feature = "connect", feature = "outbound", feature = "pay"))]
mod compile_fail;

/// The project's README, whose code is tested like any other.
#[cfg(all(doctest, feature = "outbound"))]
#[doc = include_str!("../../../README.md")]
pub struct Readme;

#[doc = include_str!("../RULES.md")]
pub mod rules {}
