//! The lint stage rejects any part of a document that would make progenitor panic or that
//! progenitor would silently drop.
//!
//! The lint runs twice. [`check_outline`] runs before normalization and checks what normalization
//! relies on: the document's shape and its operation ids. [`check_normal_form`] checks the normal
//! form: parameters, bodies, responses and schemas. Each error contains the operation, the JSON
//! pointer, and a hint that explains how to correct the problem with an overlay action.

mod operation;
mod outline;
mod schemas;

use openapiv3::OpenAPI;
use serde_json::Value;

use crate::generate::normalize::form::Normalized;
use crate::spec::schema::{self, operation_name, pointer_of};
use crate::{Error, Result};
use operation::Linter;
pub use outline::check_outline;
pub(crate) use outline::{CORRECT, check_shape};
pub(super) use schemas::fits_core_type;

/// Checks a document in normal form and parses it into the types that progenitor expects.
///
/// # Errors
///
/// Returns an error that lists all problems, each with the operation, the JSON pointer and a hint.
pub fn check_normal_form(normalized: &Normalized) -> Result<OpenAPI> {
    let document = &normalized.document;
    let mut errors = Vec::new();
    for place in &schema::operations(document) {
        let operation = document.pointer(&place.pointer()).unwrap_or(&Value::Null);
        let linter = Linter { normalized, place, operation };
        errors.extend(linter.check().into_iter().map(|error| error.in_operation(operation_name(operation, place))));
    }
    errors.extend(schemas::check_named_schemas(normalized));
    let original = |pointer: &str| Some(schema::original(document, pointer));
    Error::all(errors).map_err(|error| error.or_help(CORRECT).map_pointers(&original))?;
    serde_path_to_error::deserialize(document).map_err(|error| {
        let pointer = pointer_of(error.path());
        Error::new(format!("invalid OpenAPI 3.0 document: {}", error.inner())).at(pointer).or_help(CORRECT)
    })
}
