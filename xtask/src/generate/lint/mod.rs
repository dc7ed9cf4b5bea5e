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

use crate::generate::normalize::form::Normalized;
use crate::spec::schema::{self, operation_name, pointer_of};
use crate::{Error, Result};
use operation::Linter;
use outline::CORRECT;

pub use outline::check_outline;
pub(crate) use outline::check_shape;

/// Checks a document in normal form and parses it into the types that progenitor expects.
///
/// # Errors
///
/// Returns an error for the first problem found. The error contains the operation, the JSON pointer
/// and a hint.
pub fn check_normal_form(normalized: &Normalized) -> Result<OpenAPI> {
    check_all(normalized).map_err(|error| error.or_help(CORRECT))
}

fn check_all(normalized: &Normalized) -> Result<OpenAPI> {
    let document = &normalized.document;
    for place in &schema::operations(document) {
        let operation = document.pointer(&place.pointer()).cloned().unwrap_or_default();
        let linter = Linter { normalized, place, operation: &operation };
        linter.check().map_err(|error| error.in_operation(operation_name(&operation, place)))?;
    }
    schemas::check_named_schemas(normalized)?;
    serde_path_to_error::deserialize(document).map_err(|error| {
        let pointer = pointer_of(error.path());
        Error::new(format!("invalid OpenAPI 3.0 document: {}", error.inner())).at(pointer)
    })
}
