//! Drops ignored headers and gives enum parameters a named type.

use serde_json::Value;

use super::names::{Names, needs_a_name, take_nullable};
use super::relax::drop_bounds;
use crate::Result;
use crate::spec::media::{RequestBody, essence};
use crate::spec::schema::{self, pascal};

/// Drops the header parameters `Accept`, `Content-Type` and `Authorization`, unless they are marked
/// as secrets. OpenAPI 3.0.3 ignores these parameters (T2). Returns the documented `Content-Type`.
pub(super) fn drop_header_parameters(names: &Names<'_>, operation: &mut Value) -> Result<Option<String>> {
    let body = operation.pointer("/requestBody/content").and_then(Value::as_object);
    let body = body.and_then(|content| Some(RequestBody::choose(content)?.0.to_owned()));
    let Some(parameters) = operation.get_mut("parameters").and_then(Value::as_array_mut) else { return Ok(None) };
    let mut content_type = None;
    let mut kept = Vec::new();
    for parameter in std::mem::take(parameters) {
        let name = parameter.get("name").and_then(Value::as_str).unwrap_or_default().to_ascii_lowercase();
        let schema = parameter.get("schema").cloned().unwrap_or_default();
        if !schema::is_ignored_header(&parameter) || names.is_secret(&schema) {
            kept.push(parameter);
            continue;
        }
        let documented = schema.get("default").or_else(|| schema.pointer("/enum/0")).and_then(Value::as_str);
        let sent = match name.as_str() {
            "content-type" => body.as_deref().unwrap_or("application/json"),
            _ => "application/json",
        };
        if name != "authorization"
            && documented.is_some_and(|documented| essence(documented) != essence(sent) && documented != "*/*")
        {
            let message =
                format!("the header `{name}` requires a media type other than {sent}, but the client sends {sent}");
            return Err(names
                .error(format!("{}/schema", schema::origin(&parameter)), message)
                .help("correct it with an overlay action"));
        }
        if name == "content-type" {
            content_type = Some(sent.to_owned());
        }
    }
    *parameters = kept;
    Ok(content_type)
}

/// Gives each enum parameter a type with a unique name. Removes `nullable`, because null is never
/// sent. Removes string formats, because the caller formats the value. A UUID keeps its format
/// because UUIDs have their own Rust type.
pub(super) fn name_parameters(names: &mut Names<'_>, operation: &mut Value, id: &str) {
    let parameters = operation.get_mut("parameters").and_then(Value::as_array_mut);
    for parameter in parameters.into_iter().flatten() {
        let origin = schema::origin(parameter).to_owned();
        let name = parameter.get("name").and_then(Value::as_str).map(pascal);
        let (Some(name), Some(schema)) = (name, parameter.get_mut("schema")) else { continue };
        let is_uuid = schema.get("format").and_then(Value::as_str) == Some("uuid");
        drop_bounds(schema);
        if is_uuid && let Some(schema) = schema.as_object_mut() {
            schema.insert("format".into(), "uuid".into());
        }
        schema.as_object_mut().map(|schema| schema.shift_remove("nullable"));
        // A list entry cannot be null in a URL or a header.
        if let Some(items) = schema.get_mut("items") {
            take_nullable(items);
        }
        if let Some(items) = schema.get_mut("items").filter(|items| needs_a_name(items)) {
            names.name(items, &format!("{}{name}Item", pascal(id)), format!("{origin}/schema/items"));
        }
        if needs_a_name(schema) {
            names.name(schema, &format!("{}{name}", pascal(id)), format!("{origin}/schema"));
        }
    }
}
