//! The normalize stage rewrites a document into the form that the later stages expect.
//!
//! The result has the same meaning as the input. Every body is a named schema, each operation has
//! one type for successes and one for errors, a secret is exactly `{type: string, format:
//! password}`, and prose is valid rustdoc. [`form`] defines the result. [`normalize()`] runs these
//! passes in this order:
//!
//! 1. `prose`: descriptions become valid rustdoc.
//! 2. `secrets`: each marked schema is rewritten to the exact form of a secret, and exemptions
//!    (`x-not-secret`) are dropped.
//! 3. `relax`: optional collections become nullable, and an `allOf` with one part becomes that
//!    part.
//! 4. `components`: references to parameters, bodies and responses are replaced with their targets.
//! 5. `security`: security requirements become header parameters.
//! 6. `relax`: enums, bounds and formats are removed from responses.
//! 7. `parameters`, `replies`, `extensions`: each operation is converted to normal form.
//! 8. `names`: nested schemas get names.
//! 9. `secrets`, `extensions`: secrets and lenient properties are listed.

mod components;
mod extensions;
pub mod form;
mod names;
mod parameters;
mod prose;
mod relax;
mod replies;
mod secrets;
pub(crate) mod security;

use std::collections::BTreeMap;

use serde_json::Value;

use crate::Result;
use crate::spec::schema::{self, Place, operation_name, pascal};
use form::{Normalized, Operation, Origin};
use names::Names;

pub(crate) use prose::rustdoc;

/// Converts a document to normal form.
///
/// # Errors
///
/// Returns an error if two different schemas would have the same name, or if a security requirement
/// cannot be converted to an argument.
pub fn normalize(mut document: Value) -> Result<Normalized> {
    prose::sanitize_prose(&mut document);
    secrets::drop_exemptions(&mut document);
    secrets::rewrite_secrets(&mut document);
    relax::optional_may_be_null(&mut document);
    relax::unwrap_single_parts(&mut document);
    let places = schema::operations(&document);
    let mut credentials = BTreeMap::new();
    for place in &places {
        components::inline_components(&mut document, place);
        credentials.insert(place.pointer(), security::write_out(&mut document, place)?);
    }
    relax::relax_replies(&mut document, &places);
    let mut operations = Vec::new();
    let mut origins = BTreeMap::new();
    for place in places {
        let name = operation_name(&document_operation(&document, &place), &place);
        let origin = Origin { operation: Some(name), pointer: place.pointer(), raw: Value::Null };
        let credentials = credentials.remove(&place.pointer()).unwrap_or_default();
        operations.extend(normalize_operation(&mut document, &place, &origin, &mut origins, credentials)?);
    }
    let paths = document.pointer_mut("/paths").and_then(Value::as_object_mut);
    for (_, item) in paths.into_iter().flatten() {
        item.as_object_mut().map(|item| item.shift_remove("parameters"));
    }
    names::name_nested_schemas(&mut document, &mut origins)?;
    let secret_types = secrets::secret_types(&document);
    let secrets = secrets::secrets(&document, &secret_types);
    let lenient = extensions::take_lenient(&mut document)?;
    Ok(Normalized { document, operations, secret_types, secrets, lenient, origins })
}

fn normalize_operation(
    document: &mut Value,
    place: &Place,
    origin: &Origin,
    origins: &mut BTreeMap<String, Origin>,
    credentials: String,
) -> Result<Option<Operation>> {
    let pointer = place.pointer();
    let mut operation = document_operation(document, place);
    let Some(id) = operation.get("operationId").and_then(Value::as_str).map(str::to_owned) else { return Ok(None) };
    let mut names = Names { document, origin, origins };
    let content_type = parameters::drop_header_parameters(&names, &mut operation)?;
    parameters::name_parameters(&mut names, &mut operation, &id)?;
    if let Some(body) = operation.get_mut("requestBody") {
        // The lint reports bodies that have several media types.
        let content = body.get_mut("content").and_then(Value::as_object_mut).filter(|content| content.len() == 1);
        for (media_type, content) in content.into_iter().flatten() {
            if let Some(schema) = content.get_mut("schema") {
                let at = format!("/requestBody/content/{}/schema", schema::escape(media_type));
                names.name(schema, &format!("{}Request", pascal(&id)), &at)?;
            }
        }
    }
    replies::split_default_response(&mut operation);
    let success = replies::normalize_responses(&mut names, &mut operation, &id, "Response", '2')?;
    let error = replies::normalize_responses(&mut names, &mut operation, &id, "Error", '4')?;
    let content_type = content_type.filter(|_| operation.get("requestBody").is_none());
    let timeout_seconds = operation.get("x-timeout-seconds").and_then(Value::as_u64);
    let error_codes = extensions::error_codes(&names, &operation)?;
    let deprecated = operation.get("deprecated") == Some(&Value::Bool(true));
    if let Some(slot) = document.pointer_mut(&pointer) {
        *slot = operation;
    }
    Ok(Some(Operation {
        id,
        pointer,
        method: place.method,
        path: place.path.clone(),
        content_type,
        timeout_seconds,
        error_codes,
        credentials,
        deprecated,
        success,
        error,
    }))
}

fn document_operation(document: &Value, place: &Place) -> Value {
    document.pointer(&place.pointer()).cloned().unwrap_or_default()
}

#[cfg(test)]
mod tests;
