//! Checks the schemas. Rejects schemas that progenitor or typify cannot convert to a type, and
//! schema names that map to the same Rust name.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::generate::normalize::form::Normalized;
use crate::spec::schema::{self, escape, referenced};
use crate::{Error, Result};

pub(super) fn check_named_schemas(normalized: &Normalized) -> Result<()> {
    let document = &normalized.document;
    let response_schemas = response_schemas(normalized);
    let mut names: BTreeMap<String, &str> = BTreeMap::new();
    for (name, schema) in schema::object(document, "/components/schemas").into_iter().flatten() {
        let origin = normalized.origins.get(name);
        let at =
            origin.map_or_else(|| format!("/components/schemas/{}", escape(name)), |origin| origin.pointer.clone());
        let located = |error: Error| match origin.and_then(|origin| origin.operation.as_ref()) {
            Some(operation) => error.in_operation(operation),
            None => error,
        };
        if let Some(other) = names.insert(schema::pascal(name), name) {
            return Err(located(
                Error::new(format!("the schemas `{other}` and `{name}` have the same Rust name")).at(at),
            ));
        }
        check_core_type(name, schema, &at).and_then(|()| check_schema(document, schema, &at)).map_err(located)?;
        if composes_itself(document, name) {
            return Err(located(Error::new(format!("the schema `{name}` contains itself")).at(&at)));
        }
        if response_schemas.contains(name) && has_alternatives(schema) {
            return Err(located(
                Error::new(
                    "the response has alternatives (`oneOf` or `anyOf`) that the client cannot distinguish",
                )
                .at(&at)
                .help(
                    "use an overlay action to replace the alternatives with one object that has all of their properties as optional properties",
                ),
            ));
        }
    }
    Ok(())
}

/// Checks that a schema named after a `flinks-core` type describes that type.
fn check_core_type(name: &str, schema: &Value, at: &str) -> Result<()> {
    let fits = match schema::pascal(name).as_str() {
        "ExpiresIn" => schema.get("type").and_then(Value::as_str) == Some("integer"),
        "Authorization" => schema::is_secret(schema),
        _ => true,
    };
    if fits {
        Ok(())
    } else {
        Err(Error::new(format!(
            "the schema name `{name}` is reserved for a flinks-core type, but this schema does not describe that type"
        ))
        .at(at)
        .help("rename the schema or change its title with an overlay action"))
    }
}

/// Returns whether a schema contains itself only through references, `oneOf`, `anyOf` or `allOf`,
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
    schema.get("oneOf").is_some()
        || schema.get("anyOf").is_some()
        || schema::children(schema).iter().any(|(_, child)| has_alternatives(child))
}

/// Returns the names of all schemas that appear in responses.
fn response_schemas(normalized: &Normalized) -> BTreeSet<String> {
    let mut queue: Vec<String> = normalized.reply_schemas().map(str::to_owned).collect();
    let mut reached = BTreeSet::new();
    while let Some(name) = queue.pop() {
        if let Some(schema) = schema::named(&normalized.document, &name)
            && reached.insert(name)
        {
            schema::references(schema, &mut queue);
        }
    }
    reached
}

pub(super) fn check_schema(document: &Value, schema: &Value, at: &str) -> Result<()> {
    check_part(document, schema, at, false)
}

/// Checks a schema. `is_merged` is true for a part of an `allOf`, because such parts are merged
/// into one schema.
fn check_part(document: &Value, schema: &Value, at: &str, is_merged: bool) -> Result<()> {
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
                .help("correct the type with an overlay action; for a nullable type, use `nullable: true`"));
        }
    }
    if object.contains_key("not") {
        return Err(
            error("`not` cannot be expressed as a Rust type".into()).help("remove `not` with an overlay action")
        );
    }
    for (exclusive, bound) in [("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")] {
        if object.contains_key(exclusive) && !object.contains_key(bound) {
            return Err(error(format!("`{exclusive}` requires `{bound}`"))
                .help("remove the exclusive bound with an overlay action"));
        }
    }
    if let Some(values) = object.get("enum").and_then(Value::as_array) {
        let mut variants = BTreeSet::new();
        let distinct = values.iter().filter(|value| !value.is_null()).all(|value| {
            value.as_str().is_some_and(|text| !schema::pascal(text).is_empty() && variants.insert(schema::pascal(text)))
        });
        if !distinct {
            return Err(error("the enum values must be strings that map to distinct Rust names".into())
                .help("remove `enum` with an overlay action; the caller then passes a string"));
        }
    }
    if object.get("nullable") == Some(&Value::Bool(true))
        && (object.contains_key("oneOf") || object.contains_key("anyOf"))
    {
        return Err(error("`nullable` is not supported together with `oneOf` or `anyOf`".into())
            .help("remove `nullable` and make the property optional with overlay actions"));
    }
    let properties = object.get("properties").and_then(Value::as_object);
    let is_open = object.get("additionalProperties").is_some_and(|more| *more != Value::Bool(false));
    if is_open && properties.is_some_and(|properties| properties.keys().any(|name| schema::field(name) == "extra")) {
        return Err(error("the property `extra` conflicts with the field for additional properties".into())
            .help("remove `additionalProperties` with an overlay action; the client then ignores other properties"));
    }
    let mut fields: BTreeMap<String, &str> = BTreeMap::new();
    for name in properties.into_iter().flat_map(|properties| properties.keys()) {
        let field = schema::field(name);
        if field == "new" {
            return Err(error(format!("the property `{name}` conflicts with the constructor `new`"))
                .help("remove the property with an overlay action, or extend the generator"));
        }
        if let Some(other) = fields.insert(field.clone(), name) {
            return Err(error(format!("the properties `{other}` and `{name}` would both become the field `{field}`"))
                .help("remove one of the two properties with an overlay action"));
        }
    }
    let mut required = BTreeSet::new();
    for name in object.get("required").and_then(Value::as_array).into_iter().flatten() {
        if !required.insert(name.to_string()) {
            return Err(error(format!("{name} is listed twice in `required`"))
                .help("correct `required` with an overlay action"));
        }
        let is_property =
            name.as_str().is_some_and(|name| properties.is_some_and(|properties| properties.contains_key(name)));
        // If parts are merged, another part may have the property.
        if !is_property && properties.is_some() && !is_merged && !object.contains_key("allOf") {
            return Err(error(format!("{name} is in `required`, but is not a property"))
                .help("correct `required` with an overlay action"));
        }
    }
    for (step, child) in schema::children(schema) {
        check_part(document, child, &format!("{at}{step}"), step.starts_with("/allOf/"))?;
    }
    Ok(())
}
