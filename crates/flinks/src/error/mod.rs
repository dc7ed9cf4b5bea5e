//! Why a call failed, what to do about it, and what happened to the token that it would have spent.
//!
//! | file | holds |
//! | --- | --- |
//! | `error.rs` | the opaque [`Error`]: what it knows, and how the rest of the crate creates it |
//! | `kind.rs` | the kinds of failures |
//! | `predicates.rs` | the questions that a caller has |
//! | `refusal.rs` | whether the end user must consent again (O6) |
//! | `cause.rs` | the cause, in one word |
//! | `advice.rs` | the next step, in one word |
//! | `verdict.rs` | the one table of retries and of the fate of a token (A5) |
//! | `spend.rs` | the error of a call that spends a token |
//! | `display.rs` | the text |

mod advice;
mod cause;
mod display;
#[expect(clippy::module_inception, reason = "this file is the overview, that one the type")]
mod error;
mod kind;
mod predicates;
mod refusal;
mod spend;
mod verdict;

pub use self::advice::Advice;
pub use self::cause::Cause;
pub use self::error::Error;
pub(crate) use self::error::ErrorBody;
pub(crate) use self::kind::Kind;
pub use self::refusal::Refusal;
pub use self::spend::SpendError;
pub(crate) use self::verdict::RetryClass;
