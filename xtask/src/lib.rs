#![doc = include_str!("../README.md")]
//! # The stages
//!
//! [`pipeline`] is the whole of it on one screen; each stage has a module of its own:
//!
//! 1. [`read`]: the bytes, with their sha256 as `sources.toml` has it;
//! 2. [`overlay`]: our corrections, as OpenAPI Overlay 1.0 documents;
//! 3. [`normalize`]: rules that are true for any document;
//! 4. [`lint`]: what progenitor would panic at, or lose without a word; [`suspects`]: what looks like a secret and is not
//!    marked as one;
//! 5. [`generate`]: progenitor; [`harden`]: what no generated client may do; a look at whether anything was lost; [`output`]:
//!    the file, and beside it [`surface`], what it makes public.
//!
//! Around it: [`import`], [`diff`] and [`update`].
//!
//! No stage touches the network, and none panics on a document: each fails with one located [`Error`].
//!
//! # Traps
//!
//! What progenitor 0.15.1 and reqwest 0.13.5 do with these very documents, if nobody stops them. A test is named after
//! each, here, in `flinks-core` or over the wire in `flinks`.
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

mod audit;
mod changelog;
pub mod diff;
pub mod error;
pub mod generate;
pub mod harden;
pub mod import;
pub mod lint;
pub mod normalize;
pub mod output;
pub mod overlay;
pub mod pipeline;
mod prose;
pub mod read;
mod schema;
mod security;
mod sources;
mod splice;
pub mod surface;
pub mod suspects;
pub mod update;

pub use error::{Error, Result};
