#![doc = include_str!("../README.md")]
//! # Where to start
//!
//! The module documentation of [`spec`], [`generate`] and [`maintain`] gives an overview of each
//! folder. The documentation of [`generate`] includes a list of the stages.
//!
//! # Traps
//!
//! The following table lists the traps, which are problems that progenitor 0.15.1 and reqwest
//! 0.13.5 would cause with Flinks' documents. For each trap, this crate, `flinks-core` or a product
//! crate contains a test that is named after the trap.
//!
//! | id | trap |
//! | --- | --- |
//! | T1 | An inline error schema gets the name of the success schema, and the fields of the error schema are lost. |
//! | T2 | `Accept` and `Content-Type` become arguments alongside the secret key. |
//! | T3 | Every request has an undocumented `api-version` header. |
//! | T4 | Generated `Debug` implementations and the errors of progenitor, serde and reqwest print secrets. |
//! | T5 | The client follows redirects and sends the secret key to the new address. |
//! | T6 | Neither the size nor the duration of a response is limited. |
//! | T7 | If a response is not JSON, its status is lost. |
//! | T8 | reqwest can resend a POST request automatically. |
//! | T9 | A path argument or a base URL can change the target of the request. |
//! | T10 | If the token lifetime is missing, very large, a float or a string, the token is lost or the code panics. |
//! | T11 | reqwest features and proxy settings from other crates affect this client. |
//! | T12 | Several success bodies cause an assertion failure, and a documented redirect is lost. |
//! | T13 | Response types are closed: enums, formats and bounds reject new values. |
//! | T14 | progenitor's hooks do not work in other crates or with other error types. |
//! | T15 | Header arguments become strings, and builders implement `Clone` and `Debug`. |
//! | T16 | The documents contain sandbox credentials and the preamble of another product. |

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

pub mod docs;
pub mod error;
pub mod generate;
mod git;
pub mod maintain;
pub mod product;
pub mod prose;
pub mod spec;

pub use error::{Error, Result};
pub use product::Product;
