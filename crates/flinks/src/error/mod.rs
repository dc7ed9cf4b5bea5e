//! The error type, its classification, and the error returned by calls that spend a token.
//!
//! | file | contents |
//! | --- | --- |
//! | `error.rs` | the opaque [`Error`], its accessors and its constructors |
//! | `kind.rs` | the kinds of failures |
//! | `predicates.rs` | the predicates of [`Error`] |
//! | `refusal.rs` | whether a refusal means that the end user must consent again (O6) |
//! | `cause.rs` | [`Cause`]: the cause of an error |
//! | `advice.rs` | [`Advice`]: the recommended next step |
//! | `verdict.rs` | the table that determines retries and token fates (A5) |
//! | `spend.rs` | the error returned by calls that spend a token |
//! | `display.rs` | the error messages; `messages.rs` writes all of them to a snapshot |

mod advice;
mod cause;
mod display;
#[expect(clippy::module_inception, reason = "`mod.rs` is the overview, and `error.rs` contains the type")]
mod error;
mod kind;
#[cfg(test)]
#[cfg(all(feature = "connect", feature = "outbound", feature = "pay", feature = "pool"))]
mod messages;
mod predicates;
mod refusal;
mod spend;
mod verdict;

pub use self::advice::Advice;
pub use self::cause::Cause;
pub use self::error::Error;
pub(crate) use self::error::ErrorBody;
pub(crate) use self::kind::{Detail, Kind};
pub use self::refusal::Refusal;
pub use self::spend::SpendError;
pub(crate) use self::verdict::RetryClass;
