//! The documents: what Flinks publishes, our corrections, and how to find one's way in both.
//!
//! | module | about |
//! | --- | --- |
//! | [`read`] | the bytes of a document, and whether they are the accepted ones |
//! | `sources` | `openapi/sources.toml`, the record of the accepted documents and their pages |
//! | [`document`] | a document as text and as a value |
//! | [`overlay`] | our corrections, as OpenAPI Overlay 1.0 |
//! | `schema` | positions, names and references in a document |
//!
//! Invariants:
//!
//! - A published document is never edited: it is either replaced by an import or corrected by an overlay.
//! - An overlay action that matches nothing or changes nothing is an error, so a correction is removed once Flinks repairs
//!   the document.
//! - Nothing here imports [`generate`](crate::generate) or [`maintain`](crate::maintain).

pub mod document;
pub mod overlay;
pub mod read;
pub(crate) mod schema;
pub(crate) mod sources;
