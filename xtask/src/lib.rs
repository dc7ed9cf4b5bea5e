#![doc = include_str!("../README.md")]
//! # Where to start
//!
//! Each folder has an overview: [`spec`], [`generate`] with the list of stages, [`maintain`].
//!
//! # Traps
//!
//! Problems that progenitor 0.15.1 and reqwest 0.13.5 cause with these documents unless prevented. A test is named after each
//! trap, here, in `flinks-core` or over the wire in `flinks`.
//!
//! | id | trap |
//! | --- | --- |
//! | T1 | An inline error schema takes the name of the success schema, and its fields vanish. |
//! | T2 | `Accept` and `Content-Type` become arguments beside the secret key. |
//! | T3 | Every request carries an `api-version` that nobody asked for. |
//! | T4 | Generated `Debug`, and the errors of progenitor, serde and reqwest, print secrets. |
//! | T5 | Redirects are followed, with the key. |
//! | T6 | A reply has no limit in size or time. |
//! | T7 | A reply that is not JSON loses its status. |
//! | T8 | reqwest repeats a POST by itself. |
//! | T9 | A path argument, or a base URL, can move the request. |
//! | T10 | A lifetime that is missing, a float, a text or huge loses the token, or panics. |
//! | T11 | Features and proxies of another crate's reqwest change this one. |
//! | T12 | Several success bodies are an assertion; a documented redirect is lost. |
//! | T13 | What a reply may hold is closed: lists of values, formats, bounds. |
//! | T14 | progenitor's hooks fit neither another crate nor another error. |
//! | T15 | Header arguments become text, and builders are `Clone` and `Debug`. |
//! | T16 | The documents carry the sandbox's credentials, and a preamble of another product. |

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
