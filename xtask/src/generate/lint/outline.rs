//! The first part of the lint checks the document's shape and its operation ids before
//! normalization.

use std::collections::BTreeMap;

use heck::ToSnakeCase as _;
use serde_json::Value;

use crate::generate::normalize::security;
use crate::spec::schema::{self, Place, escape, operation_name};
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
pub(super) const CORRECT: &str =
    "no client can be generated from this part of the document: correct or remove it with an overlay action";

fn check_all(document: &Value) -> Result<()> {
    check_shape(document)?;
    check_marks(document, "")?;
    check_addresses(document)?;
    let schemas = schema::object(document, "/components/schemas").into_iter().flatten();
    if let Some((name, _)) = schemas.into_iter().find(|(name, _)| !schema::is_type_name(name)) {
        return Err(Error::new(format!("`{name}` is not a valid name for a Rust type"))
            .at(format!("/components/schemas/{}", escape(name)))
            .help("rename the schema with overlay actions, in its definition and in every reference to it"));
    }
    let places = schema::operations(document);
    if places.is_empty() {
        return Err(Error::new("the document has no operations").at("/paths"));
    }
    check_ids(document, &places)
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
    for (path, item) in paths {
        let pointer = format!("/paths/{}", schema::escape(path));
        if !path.starts_with('/') || path.contains("//") {
            return Err(Error::new("invalid path: it must start with a slash and must not have an empty segment")
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
                return Err(Error::new(format!("generated clients do not support the {} method", key.to_uppercase()))
                    .at(format!("{pointer}/{key}"))
                    .help("remove the operation with an overlay action"));
            }
        }
    }
    Ok(())
}

/// Rejects a secret mark (`format: password`) that has no effect. Without this check, the marked
/// field would silently become a plain value in the generated code.
fn check_marks(value: &Value, at: &str) -> Result<()> {
    match value {
        Value::Object(object) => {
            let is_marked = object.get("format").and_then(Value::as_str) == Some("password");
            if is_marked && (object.contains_key("$ref") || !schema::is_secret(value)) {
                return Err(Error::new(
                    "`format: password` has no effect next to a reference or a type other than string",
                )
                .at(at)
                .help("mark a schema of type `string`; for a reference, mark the referenced schema"));
            }
            let data_keys = ["default", "enum", "example", "examples"];
            for (key, child) in
                object.iter().filter(|(key, child)| !data_keys.contains(&key.as_str()) || child.is_object())
            {
                check_marks(child, &format!("{at}/{}", escape(key)))?;
            }
        }
        Value::Array(array) => {
            for (index, child) in array.iter().enumerate() {
                check_marks(child, &format!("{at}/{index}"))?;
            }
        }
        _ => {}
    }
    Ok(())
}

/// Rejects servers and security requirements that a generated client does not support.
fn check_addresses(document: &Value) -> Result<()> {
    for (index, server) in document.get("servers").and_then(Value::as_array).into_iter().flatten().enumerate() {
        let url = server.get("url").and_then(Value::as_str).unwrap_or_default();
        let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
        if rest.split_once('/').is_some_and(|(_, path)| !path.is_empty()) {
            return Err(Error::new("the server URL has a path, which the client would ignore")
                .at(format!("/servers/{index}/url"))
                .help("add this path to the start of each path with overlay actions, and remove the server"));
        }
    }
    for place in schema::operations(document) {
        for pointer in [place.path_pointer(), place.pointer()] {
            if document.pointer(&format!("{pointer}/servers")).is_some() {
                return Err(Error::new("the operation or its path has its own server, which the client would ignore")
                    .at(format!("{pointer}/servers"))
                    .help("remove the server with an overlay action; the caller sets the base URL"));
            }
        }
    }
    for place in schema::operations(document) {
        let operation = document.pointer(&place.pointer()).unwrap_or(&Value::Null);
        security::check(document, &place).map_err(|error| error.in_operation(operation_name(operation, &place)))?;
    }
    Ok(())
}

/// Checks that each operation has an id and that no two ids are converted to the same method name.
fn check_ids(document: &Value, places: &[Place]) -> Result<()> {
    let mut seen: BTreeMap<String, String> = BTreeMap::new();
    for place in places {
        let operation = document.pointer(&place.pointer()).cloned().unwrap_or_default();
        let error = |message: String| {
            Error::new(message)
                .in_operation(operation_name(&operation, place))
                .at(format!("{}/operationId", place.pointer()))
        };
        let id = operation.get("operationId").and_then(Value::as_str).unwrap_or_default();
        let name = id.to_snake_case();
        if name.is_empty() {
            return Err(error("the operation has no `operationId`, so its Rust name cannot be derived".into())
                .help("add an `operationId` with an overlay action on the operation"));
        }
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
            return Err(error(format!(
                "the operationId `{id}` is reserved or cannot be converted to a Rust identifier"
            ))
            .help("set another `operationId` with an overlay action on the operation"));
        }
        if let Some(other) = seen.insert(name.clone(), place.pointer()) {
            return Err(error(format!(
                "the operationId `{id}` becomes the method name `{name}`, which is already used by the operation at {other}"
            ))
            .help("change one of the two ids with an overlay action"));
        }
    }
    Ok(())
}
