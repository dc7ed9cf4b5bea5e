//! The prepare stage reduces a document to what its operations use and gives every operation and
//! every named schema a Rust name.
//!
//! Real documents have schemas that nothing refers to, schema names such as `200Response` or `a.b`
//! and `A.B`, and operations without an `operationId`. None of these affects a request or a
//! response, so they need no correction. An overlay action can choose a different name with
//! `x-rust-name`.
//!
//! The passes run in this order:
//!
//! 1. `references`: references are written without percent-encoding.
//! 2. `unused`: components that no operation uses are removed.
//! 3. `keywords`: keywords that have no effect, such as `items` next to `type: string`, are
//!    removed.
//! 4. `authorization`: the `Authorization` header parameter of an operation without a security
//!    requirement is marked as a secret.
//! 5. `operation_ids`: operations without an `operationId` get one.
//! 6. `schema_names`: schemas are renamed if their names cannot be used in Rust.

mod authorization;
mod keywords;
mod operation_ids;
mod references;
mod schema_names;
mod unused;

use std::collections::BTreeMap;

use serde_json::Value;

use crate::Error;
use crate::spec::schema::escape;

pub(super) use unused::reach;

/// A document that has been prepared.
#[derive(Debug)]
pub(super) struct Prepared {
    /// The document.
    pub(super) document: Value,
    /// The names of renamed schemas in the original document, keyed by their new names.
    original_names: BTreeMap<String, String>,
}

/// Prepares a document whose shape has been checked.
pub(super) fn prepare(mut document: Value) -> Prepared {
    references::decode_references(&mut document);
    unused::remove_unused(&mut document);
    keywords::remove_without_effect(&mut document);
    authorization::keep_credentials(&mut document);
    operation_ids::add_operation_ids(&mut document);
    let original_names = schema_names::rename_schemas(&mut document);
    Prepared { document, original_names }
}

impl Prepared {
    /// Converts the location of an error in this document to a location in the original document.
    pub(super) fn original(&self, error: Error) -> Error {
        let error = error.map_pointers(&|pointer| Some(self.existing(pointer)));
        error.map_pointers(&|pointer| {
            let rest = pointer.strip_prefix("/components/schemas/")?;
            let (name, rest) = rest.find('/').map_or((rest, ""), |end| rest.split_at(end));
            let original = self.original_names.get(&crate::spec::schema::unescape(name))?;
            Some(format!("/components/schemas/{}{rest}", escape(original)))
        })
    }

    /// If a pointer leads into a schema, returns the longest prefix of the pointer that exists. The
    /// parts of an `allOf` have been merged, so a property of a part is no longer where the pointer
    /// says.
    fn existing(&self, pointer: &str) -> String {
        let mut existing = pointer;
        while existing.contains("/properties/") && self.document.pointer(existing).is_none() {
            existing = existing.rsplit_once('/').map_or("", |(parent, _)| parent);
        }
        existing.strip_suffix("/properties").unwrap_or(existing).to_owned()
    }
}
