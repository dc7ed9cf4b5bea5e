#![doc = include_str!("../README.md")]
//! # Where to start
//!
//! Each folder has an overview: [`spec`], [`generate`] (with the list of stages) and [`maintain`].
//!
//! # Traps
//!
//! Problems that progenitor 0.15.1 and reqwest 0.13.5 would cause with these documents. Each trap
//! has a test that is named after it, in this crate, in `flinks-core` or in a product crate.
//!
//! | id | trap |
//! | --- | --- |
//! | T1 | An inline error schema takes the name of the success schema and loses its fields. |
//! | T2 | `Accept` and `Content-Type` become arguments alongside the secret key. |
//! | T3 | Every request has an undocumented header `api-version`. |
//! | T4 | Generated `Debug` implementations and the errors of progenitor, serde and reqwest print secrets. |
//! | T5 | Redirects are followed and receive the secret key. |
//! | T6 | Neither the size nor the duration of a response is limited. |
//! | T7 | If a response is not JSON, its status is lost. |
//! | T8 | reqwest can resend a POST request on its own. |
//! | T9 | A path argument or a base URL can change the target of the request. |
//! | T10 | If a lifetime is missing, a float, a string or very large, the token is lost or the code panics. |
//! | T11 | The reqwest features and proxy settings of other crates affect this client. |
//! | T12 | Several success bodies cause an assertion failure, and a documented redirect is lost. |
//! | T13 | Response types are closed: enums, formats and bounds reject new values. |
//! | T14 | The hooks of progenitor work neither in another crate nor with another error type. |
//! | T15 | Header arguments become strings, and builders implement `Clone` and `Debug`. |
//! | T16 | The documents contain sandbox credentials and the preamble of another product. |

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

pub mod error;
pub mod generate;
mod git;
pub mod maintain;
pub mod product;
pub mod prose;
pub mod spec;

pub use error::{Error, Result};
pub use product::Product;
