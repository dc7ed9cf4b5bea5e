//! The first part of the lint checks the document's shape and its operation ids before
//! normalization.

use std::collections::BTreeMap;

use heck::ToSnakeCase as _;
use serde_json::Value;

use crate::generate::normalize::security;
use crate::spec::schema::{self, Place, RUST_NAME_KEY, escape, operation_name};
use crate::{Error, Result};

/// Checks that a document is an OpenAPI 3.0 document whose operations have distinct names.
///
/// # Errors
///
/// Returns an error with a JSON pointer and a hint if the document is invalid.
pub fn check_outline(document: &Value) -> Result<()> {
    check_all(document).map_err(|error| error.or_help(CORRECT))
}

/// The default hint for errors that have no specific hint.
pub(crate) const CORRECT: &str =
    "no client can be generated from this part of the document: correct or remove it with an overlay action";

fn check_all(document: &Value) -> Result<()> {
    let places = schema::operations(document);
    if places.is_empty() {
        return Err(Error::new("the document has no operations").at("/paths"));
    }
    let mut errors = Vec::new();
    check_marks(document, "", &mut errors);
    errors.extend(check_addresses(document, &places));
    errors.extend(check_ids(document, &places));
    Error::all(errors)
}

/// Checks that the document has the shape on which every stage relies.
pub(crate) fn check_shape(document: &Value) -> Result<()> {
    let version = document.get("openapi").and_then(Value::as_str).unwrap_or("(missing)");
    if !version.starts_with("3.0.") {
        return Err(Error::new(format!("not an OpenAPI 3.0 document: the version is {version}"))
            .at("/openapi")
            .help("convert the document to OpenAPI 3.0.3"));
    }
    let paths = schema::object(document, "/paths").ok_or_else(|| {
        Error::new("the document has no `paths`").at("/paths").help("check that the document is complete")
    })?;
    // A specification extension is not a path.
    for (path, item) in paths.iter().filter(|(path, _)| !path.starts_with("x-")) {
        let pointer = format!("/paths/{}", schema::escape(path));
        if !path.starts_with('/') || path.contains("//") || path.contains(['?', '#']) {
            return Err(Error::new(
                "invalid path: it must start with a slash and must not have an empty segment, a query or a fragment",
            )
            .at(&pointer)
            .help("correct the path with an overlay action; otherwise, the client would send a different path"));
        }
        let item = item.as_object().ok_or_else(|| Error::new("the path item is not an object").at(&pointer))?;
        if item.contains_key("$ref") {
            return Err(Error::new("the path item is a reference, which is not supported")
                .at(&pointer)
                .help("with an overlay action, replace the reference with its target"));
        }
        for (key, operation) in item.iter().filter(|(key, _)| schema::METHODS.contains(&key.as_str())) {
            if !operation.is_object() {
                return Err(Error::new("the operation is not an object").at(format!("{pointer}/{key}")));
            }
            if ["options", "trace"].contains(&key.as_str()) {
                let at = format!("{pointer}/{key}");
                return Err(Error::new(format!("generated clients do not support the {} method", key.to_uppercase()))
                    .at(&at)
                    .help("remove the operation with an overlay action")
                    .cured_by_removal(at));
            }
        }
    }
    Ok(())
}

/// Reports each secret mark (`format: password`) that has no effect. Without this check, the marked
/// field would silently become a plain value in the generated code.
fn check_marks(value: &Value, at: &str, errors: &mut Vec<Error>) {
    match value {
        Value::Object(object) => {
            let is_marked = object.get("format").and_then(Value::as_str) == Some("password");
            if is_marked && (object.contains_key("$ref") || !schema::is_secret(value)) {
                let message = "`format: password` has no effect next to a reference or a type other than string";
                errors.push(
                    Error::new(message)
                        .at(at)
                        .help("mark a schema of type `string`; for a reference, mark the referenced schema"),
                );
            }
            let data_keys = ["default", "enum", "example", "examples"];
            for (key, child) in
                object.iter().filter(|(key, child)| !data_keys.contains(&key.as_str()) || child.is_object())
            {
                check_marks(child, &format!("{at}/{}", escape(key)), errors);
            }
        }
        Value::Array(array) => {
            for (index, child) in array.iter().enumerate() {
                check_marks(child, &format!("{at}/{index}"), errors);
            }
        }
        _ => {}
    }
}

/// Reports the security requirements that a generated client does not support.
fn check_addresses(document: &Value, places: &[Place]) -> Vec<Error> {
    let check = |place: &Place| {
        let operation = document.pointer(&place.pointer()).unwrap_or(&Value::Null);
        let error = security::check(document, place).err()?;
        Some(error.in_operation(operation_name(operation, place)))
    };
    places.iter().filter_map(check).collect()
}

/// Checks that each operation has an id and that no two ids are converted to the same method name.
fn check_ids(document: &Value, places: &[Place]) -> Vec<Error> {
    let mut seen: BTreeMap<String, String> = BTreeMap::new();
    let mut errors = Vec::new();
    for place in places {
        let operation = document.pointer(&place.pointer()).unwrap_or(&Value::Null);
        let mut report = |message: String, help: &str| {
            let error = Error::new(message).in_operation(operation_name(operation, place));
            let error = error.at(format!("{}/operationId", place.pointer())).help(help);
            let name = schema::derived_operation_id(place);
            errors.push(error.cured_by_update(place.pointer(), serde_json::json!({RUST_NAME_KEY: name})));
        };
        let id = operation.get("operationId").and_then(Value::as_str).unwrap_or_default();
        // The generated code uses these names.
        let taken = [
            "Client",
            "Error",
            "HeaderArgument",
            "HeaderMap",
            "HeaderValue",
            "New",
            "Operation",
            "ResponseValue",
            "Transport",
            "WithTransport",
        ];
        if !schema::is_type_name(id) || taken.contains(&schema::pascal(id).as_str()) {
            report(
                format!("the operationId `{id}` is reserved or cannot be converted to a Rust identifier"),
                "set `x-rust-name` or another `operationId` with an overlay action on the operation",
            );
        } else if let Some(other) = seen.insert(id.to_snake_case(), place.pointer()) {
            report(
                format!(
                    "the operationId `{id}` becomes the method name `{}`, which is already used by the operation at {other}",
                    id.to_snake_case()
                ),
                "set `x-rust-name` on one of the two operations with an overlay action",
            );
        }
    }
    errors
}
