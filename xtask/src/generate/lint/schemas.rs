//! Checks the schemas. Rejects schemas that progenitor or typify cannot convert to a type, and
//! schema names that map to the same Rust name.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::generate::normalize::form::Normalized;
use crate::generate::normalize::is_nullable_reference;
use crate::generate::normalize::multipart::FILE_KEY;
use crate::spec::schema::{self, escape, referenced};
use crate::{Error, Result};

pub(super) fn check_named_schemas(normalized: &Normalized) -> Vec<Error> {
    let document = &normalized.document;
    let response_schemas = schema::reachable(document, normalized.reply_schemas().map(str::to_owned).collect());
    let mut errors = Vec::new();
    for (name, schema) in schema::object(document, "/components/schemas").into_iter().flatten() {
        let origin = normalized.origins.get(name);
        let at =
            origin.map_or_else(|| format!("/components/schemas/{}", escape(name)), |origin| origin.pointer.clone());
        let mut found = if composes_itself(document, name) {
            vec![Error::new(format!("the schema `{name}` contains itself")).at(&at)]
        } else {
            check_schema(document, schema, &at)
        };
        found.extend(check_core_type(name, schema, &at).err());
        if response_schemas.contains(name) && has_alternatives(schema) {
            let message = "the response has alternatives (`oneOf` or `anyOf`) that the client cannot distinguish";
            found.push(Error::new(message).at(&at).help(
                "with an overlay action, replace the alternatives with one object that has all their properties, none of them required",
            ));
        }
        let operation = origin.and_then(|origin| origin.operation.as_ref());
        errors.extend(found.into_iter().map(|error| match operation {
            Some(operation) => error.in_operation(operation),
            None => error,
        }));
    }
    errors
}

/// Checks that a schema named after a `flinks-core` type describes that type.
fn check_core_type(name: &str, schema: &Value, at: &str) -> Result<()> {
    if fits_core_type(name, schema) {
        Ok(())
    } else {
        Err(Error::new(format!(
            "the schema name `{name}` is reserved for a flinks-core type, but this schema does not describe that type"
        ))
        .at(at)
        .help("rename the schema with `x-rust-name` in an overlay action"))
    }
}

/// Returns whether a schema describes the `flinks-core` type that would replace the schema because
/// of the schema's name. Returns `true` for other names.
pub(in crate::generate) fn fits_core_type(name: &str, schema: &Value) -> bool {
    match schema::pascal(name).as_str() {
        "ExpiresIn" => schema.get("type").and_then(Value::as_str) == Some("integer"),
        "Authorization" => schema::is_secret(schema),
        "FilePart" => schema.get(FILE_KEY).is_some(),
        _ => true,
    }
}

/// Returns whether a schema contains itself through references, `oneOf`, `anyOf` or `allOf` alone,
/// without a property in between.
fn composes_itself(document: &Value, name: &str) -> bool {
    let mut queue = vec![name];
    let mut seen = BTreeSet::new();
    while let Some(next) = queue.pop() {
        for part in schema::named(document, next).map(parts).unwrap_or_default() {
            if part == name {
                return true;
            }
            if seen.insert(part) {
                queue.push(part);
            }
        }
    }
    false
}

/// Returns the names of the schemas that a schema is composed of.
fn parts(schema: &Value) -> Vec<&str> {
    let composed = ["oneOf", "anyOf", "allOf"].into_iter().filter_map(|key| schema.get(key)?.as_array()).flatten();
    referenced(schema).into_iter().chain(composed.flat_map(parts)).collect()
}

/// Returns whether a schema or any schema nested in it uses `oneOf` or `anyOf`.
fn has_alternatives(schema: &Value) -> bool {
    schema::is_choice(schema) || schema::children(schema).iter().any(|(_, child)| has_alternatives(child))
}

/// Returns all problems with a schema and with the schemas inside it.
pub(super) fn check_schema(document: &Value, schema: &Value, at: &str) -> Vec<Error> {
    let own = check_one(document, schema, at).err();
    let children = schema::children(schema).into_iter();
    let children = children.flat_map(|(step, child)| check_schema(document, child, &format!("{at}{step}")));
    own.into_iter().chain(children).collect()
}

/// Checks a schema, but not the schemas inside it.
fn check_one(document: &Value, schema: &Value, at: &str) -> Result<()> {
    let error = |message: String| Error::new(message).at(at);
    let Some(object) = schema.as_object() else { return Err(error("the schema is not an object".into())) };
    if let Some(target) = object.get("$ref") {
        let known = referenced(schema).is_some_and(|name| schema::named(document, name).is_some());
        return if known {
            Ok(())
        } else {
            Err(error(format!("the reference {target} does not point to a schema in this document"))
                .help("references to other files are not supported: add the schema with an overlay action"))
        };
    }
    match object.get("type") {
        None => {}
        Some(Value::String(kind)) if ["string", "number", "integer", "boolean", "object"].contains(&kind.as_str()) => {}
        Some(Value::String(kind)) if kind == "array" && object.get("items").is_some_and(Value::is_object) => {}
        Some(Value::String(kind)) if kind == "array" => {
            return Err(error("the array has no `items`".into())
                .help("add `items` with an overlay action; `{}` allows any value"));
        }
        Some(kind) => {
            return Err(error(format!("unknown type {kind}: expected an OpenAPI 3.0 type"))
                .help("correct the type with an overlay action; for a nullable type, use `nullable: true`")
                .cured_by_update(at, json!({"type": likely_type(kind)})));
        }
    }
    // Normalization has merged the parts of every other `allOf`.
    let parts = object.get("allOf").and_then(Value::as_array);
    if parts.is_some_and(|parts| !is_nullable_reference(schema) && !parts.iter().any(has_alternatives)) {
        return Err(error("the parts of `allOf` cannot be combined into one type".into()).help(
            "check that the parts agree on the types of their properties, and correct them with an overlay action",
        ));
    }
    if let Some(default) = object.get("default")
        && !fits(default, object)
    {
        let error = Error::new(format!("the default {default} does not match the schema"))
            .at(format!("{at}/default"))
            .help("correct or remove `default` with an overlay action");
        return Err(match likely_default(default, object) {
            Some(likely) => error.cured_by_update(at, json!({"default": likely})),
            None => error,
        });
    }
    if object.get("nullable") == Some(&Value::Bool(true))
        && (object.contains_key("oneOf") || object.contains_key("anyOf"))
    {
        return Err(error("`nullable` is not supported together with `oneOf` or `anyOf`".into())
            .help("use overlay actions to remove `nullable` and make the property optional"));
    }
    Ok(())
}

/// Returns whether a default matches the type and the allowed values in its schema.
fn fits(default: &Value, schema: &Map<String, Value>) -> bool {
    if default.is_null() {
        return schema.get("nullable") == Some(&Value::Bool(true));
    }
    let values = schema.get("enum").and_then(Value::as_array);
    let has_type = match schema.get("type").and_then(Value::as_str) {
        Some("string") => default.is_string(),
        Some("integer") => default.is_i64() || default.is_u64(),
        Some("number") => default.is_number(),
        Some("boolean") => default.is_boolean(),
        Some("array") => default.is_array(),
        Some("object") => default.is_object(),
        _ => true,
    };
    has_type && values.is_none_or(|values| values.contains(default))
}

/// Returns the type that an unknown type name probably stands for.
fn likely_type(kind: &Value) -> &'static str {
    match kind.as_str().unwrap_or_default().to_ascii_lowercase().as_str() {
        "int" | "int32" | "int64" | "long" => "integer",
        "float" | "double" | "decimal" => "number",
        "bool" => "boolean",
        "map" | "dict" => "object",
        _ => "string",
    }
}

/// Returns the value that a default of the wrong type probably stands for, such as `false` for
/// `"false"`.
fn likely_default(default: &Value, schema: &Map<String, Value>) -> Option<Value> {
    let values = schema.get("enum").and_then(Value::as_array);
    let likely = match default {
        Value::String(text) => {
            let same = values.and_then(|values| {
                values
                    .iter()
                    .find(|value| value.as_str().is_some_and(|value| value.eq_ignore_ascii_case(text)))
                    .cloned()
            });
            same.or_else(|| serde_json::from_str(text).ok())
        }
        other => Some(Value::String(other.to_string())),
    };
    likely.filter(|likely| fits(likely, schema)).or_else(|| values?.first().cloned())
}
