//! The generator of the Flinks clients: `openapi/*.yaml` in, `crates/*/src/generated.rs` out.
//!
//! [`pipeline`] is the whole of it on one screen; each stage has a module of its own:
//!
//! 1. [`read`]: the bytes, with their sha256 as `sources.toml` has it;
//! 2. [`overlay`]: our corrections, as OpenAPI Overlay 1.0 documents;
//! 3. [`normalize`]: rules that are true for any document;
//! 4. [`lint`]: what progenitor would panic at, or lose without a word;
//! 5. [`generate`]: progenitor; [`harden`]: what no generated client may do; [`output`]: the file.
//!
//! No stage touches the network, and none panics on a document: each fails with one located [`Error`].

pub mod error;
pub mod generate;
pub mod harden;
pub mod lint;
pub mod normalize;
pub mod output;
pub mod overlay;
pub mod pipeline;
mod prose;
pub mod read;
mod schema;

pub use error::{Error, Result};
