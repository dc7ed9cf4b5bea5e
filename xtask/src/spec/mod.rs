//! Reads the documents that Flinks publishes and the overlays that correct those documents.
//!
//! | module | contents |
//! | --- | --- |
//! | [`read`] | reading a document and checking its hash |
//! | `sources` | `openapi/sources.toml`, the record of the accepted documents and their pages |
//! | [`document`] | a document as text and as a parsed value |
//! | [`overlay`] | applying the corrections (OpenAPI Overlay 1.0) |
//! | [`examples`] | the examples that the corrections make invalid |
//! | `schema` | positions, names and references in a document |
//!
//! Invariants:
//!
//! - A published document is never edited. An import replaces the document, and an overlay corrects
//!   the parsed document in memory.
//! - An overlay action that matches nothing or changes nothing is an error. This rule ensures that
//!   a correction is removed once Flinks has corrected the document.
//! - No module in `spec` imports [`generate`](crate::generate) or [`maintain`](crate::maintain).

pub mod document;
mod example_value;
pub mod examples;
pub(crate) mod media;
pub mod overlay;
pub(crate) mod parameter_style;
pub mod read;
pub(crate) mod schema;
pub(crate) mod sources;
