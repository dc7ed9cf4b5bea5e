// The README uses every product, and its examples are tested, so the README is included only if all
// products are enabled.
#![cfg_attr(all(feature = "connect", feature = "outbound", feature = "pay"), doc = include_str!("../README.md"))]
#![cfg_attr(
    not(all(feature = "connect", feature = "outbound", feature = "pay")),
    doc = "Authorization for Flinks Pay, Connect and Outbound: see README.md."
)]
// Each product uses only part of the shared code.
#![cfg_attr(
    not(all(feature = "connect", feature = "outbound", feature = "pay")),
    allow(dead_code, unused_imports, unused_macros)
)]
// Arithmetic on external times and numbers must not panic on overflow. No file may be written in
// place (see clippy.toml).
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
mod metrics;
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
mod running_call;
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
pub use flinks_core::{
    BaseUrl, BaseUrlOptions, Clock, HeaderValue, InvalidBaseUrl, ManualClock, Secret, Sleep, StatusCode, SystemClock,
    tls,
};

/// Entry points for the fuzzer. These functions are not part of the public API and may change at
/// any time.
#[cfg(all(feature = "_fuzz", feature = "outbound"))]
#[doc(hidden)]
#[allow(missing_docs)]
pub mod fuzzing {
    pub fn claims(token: &str) -> Option<crate::outbound::Claims> {
        crate::outbound::claims::parse(token)
    }

    pub fn retry_after(text: &str) -> Option<std::time::Duration> {
        crate::retry::retry_after(text, &flinks_core::SystemClock)
    }
}

#[cfg(all(doctest, feature = "connect", feature = "outbound", feature = "pay"))]
mod compile_fail;

/// Tests the examples in the workspace's README.
#[cfg(all(doctest, feature = "pay"))]
#[doc = include_str!("../../../README.md")]
pub struct Readme;

#[doc = include_str!("../RULES.md")]
pub mod rules {}
