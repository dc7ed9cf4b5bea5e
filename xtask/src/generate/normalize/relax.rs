//! Removes constraints that a later version of the server might not satisfy, and simplifies
//! schemas.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::names::{nullable_reference, take_nullable};
use crate::spec::schema::{self, Place, is_secret, reference, referenced};

/// Replaces a schema with a part of the schema's `allOf` if only that part restricts values. In
/// OpenAPI 3.0, such an `allOf` serves to add a description or `nullable` to a reference.
pub(super) fn unwrap_single_parts(value: &mut Value) {
    for_each_part(value, &mut unwrap_single_parts);
    let Some((mut part, others)) = value.as_object().and_then(single_part) else { return };
    let is_nullable = others.iter().any(|other| other.get("nullable") == Some(&Value::Bool(true)));
    let text = |key: &str| others.iter().find_map(|other| other.get(key)).cloned();
    if let Some(name) = referenced(&Value::Object(part.clone())) {
        let mut target = reference(name);
        // OpenAPI ignores a description next to a reference, but the field's docs need one.
        if let (Some(target), Some(text)) = (target.as_object_mut(), text("description")) {
            target.insert("description".into(), text);
        }
        *value = if is_nullable { json!({"allOf": [target], "nullable": true}) } else { target };
        return;
    }
    if !part.contains_key("$ref") {
        for key in ["description", "title"] {
            if let Some(text) = text(key) {
                part.entry(key).or_insert(text);
            }
        }
        if is_nullable {
            part.insert("nullable".into(), Value::Bool(true));
        }
    }
    *value = Value::Object(part);
}

type Object = Map<String, Value>;

/// Returns the only part of a schema's `allOf` that restricts values, along with the rest of the
/// schema and the other parts. Returns `None` if anything besides that part restricts values.
fn single_part(schema: &Object) -> Option<(Object, Vec<Object>)> {
    let mut own = schema.clone();
    let parts = own.shift_remove("allOf")?;
    let parts: Vec<Object> = parts.as_array()?.iter().map(|part| part.as_object().cloned()).collect::<Option<_>>()?;
    let (mut others, mut restricting): (Vec<_>, Vec<_>) = parts.into_iter().partition(is_annotation);
    own.retain(|key, value| key != "type" || value != "object");
    let part = restricting.pop().filter(|_| restricting.is_empty() && is_annotation(&own))?;
    others.insert(0, own);
    Some((part, others))
}

/// Returns whether a schema allows every value.
fn is_annotation(schema: &Object) -> bool {
    let annotations = [
        "default",
        "deprecated",
        "description",
        "example",
        "externalDocs",
        "nullable",
        "readOnly",
        "title",
        "writeOnly",
    ];
    schema.keys().all(|key| annotations.contains(&key.as_str()))
}

/// Drops a `oneOf` or `anyOf` whose alternatives differ only in their required properties. Rust
/// cannot express such a condition, and the server checks it anyway.
pub(super) fn drop_required_alternatives(value: &mut Value) {
    let is_condition = |part: &Value| {
        let keys = part.as_object().map(|part| part.keys().map(String::as_str).collect::<Vec<_>>());
        keys.is_some_and(|keys| keys.iter().all(|key| ["required", "not", "title", "description"].contains(key)))
    };
    for key in ["oneOf", "anyOf"] {
        let parts = value.get(key).and_then(Value::as_array);
        if parts.is_some_and(|parts| !parts.is_empty() && parts.iter().all(is_condition))
            && let Some(object) = value.as_object_mut()
        {
            object.shift_remove(key);
        }
    }
    for_each_part(value, &mut drop_required_alternatives);
}

/// Moves `nullable` from named schemas to the references to them. typify would generate an
/// additional type for a nullable named schema, and that type could have the name of another schema.
pub(super) fn lift_nullable(document: &mut Value) {
    let schemas = document.pointer_mut("/components/schemas").and_then(Value::as_object_mut);
    let mut nullable = BTreeSet::new();
    for (name, schema) in schemas.into_iter().flatten() {
        if take_nullable(schema) {
            nullable.insert(name.clone());
        }
    }
    if !nullable.is_empty() {
        make_references_nullable(document, &nullable);
    }
}

/// Adds `nullable` to each property, list entry and map value that refers to one of the schemas.
fn make_references_nullable(value: &mut Value, schemas: &BTreeSet<String>) {
    let lift = |schema: &mut Value| {
        if let Some(name) = referenced(schema).filter(|name| schemas.contains(*name)) {
            *schema = nullable_reference(name);
        }
    };
    for (_, property) in value.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten() {
        lift(property);
    }
    for key in ["items", "additionalProperties"] {
        value.get_mut(key).into_iter().for_each(lift);
    }
    for_each_part(value, &mut |part| make_references_nullable(part, schemas));
}

/// Makes optional lists and maps nullable, like all other optional properties. Otherwise, typify
/// would generate a collection that does not accept null, and a null value in a response would be
/// an error (T13).
pub(super) fn optional_may_be_null(value: &mut Value) {
    let required = value.get("required").cloned().unwrap_or_default();
    let is_required =
        |name: &str| required.as_array().is_some_and(|required| required.iter().any(|other| other == name));
    for (name, schema) in value.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten() {
        let is_collection =
            schema.get("type").and_then(Value::as_str).is_some_and(|kind| matches!(kind, "array" | "object"));
        let is_choice = ["oneOf", "anyOf", "allOf"].iter().any(|key| schema.get(key).is_some());
        if is_choice
            && !is_required(name)
            && let Some(schema) = schema.as_object_mut()
        {
            schema.shift_remove("nullable");
        }
        if is_collection
            && !is_required(name)
            && let Some(schema) = schema.as_object_mut()
            && !schema.contains_key("properties")
        {
            schema.insert("nullable".into(), Value::Bool(true));
        }
    }
    for_each_part(value, &mut optional_may_be_null);
}

/// Removes response constraints that a later version of the server might not satisfy (T13): enums,
/// bounds, lengths, patterns, formats, and the exclusion of additional properties. Applies
/// [`drop_bounds`] to all other schemas, including request schemas.
pub(super) fn relax_replies(document: &mut Value, places: &[Place]) {
    let mut queue = Vec::new();
    for place in places {
        let responses = document.pointer_mut(&format!("{}/responses", place.pointer())).and_then(Value::as_object_mut);
        for (_, response) in responses.into_iter().flatten() {
            for (_, media) in response.get_mut("content").and_then(Value::as_object_mut).into_iter().flatten() {
                if let Some(schema) = media.get_mut("schema") {
                    relax(schema, &mut queue);
                }
            }
        }
    }
    let mut seen = BTreeSet::new();
    while let Some(name) = queue.pop() {
        let pointer = format!("/components/schemas/{}", schema::escape(&name));
        if seen.insert(name)
            && let Some(schema) = document.pointer_mut(&pointer)
        {
            relax(schema, &mut queue);
        }
    }
    let schemas = document.pointer_mut("/components/schemas").and_then(Value::as_object_mut);
    schemas.into_iter().flatten().for_each(|(_, schema)| drop_bounds(schema));
    for place in places {
        let content =
            document.pointer_mut(&format!("{}/requestBody/content", place.pointer())).and_then(Value::as_object_mut);
        for (_, media) in content.into_iter().flatten() {
            media.get_mut("schema").into_iter().for_each(drop_bounds);
        }
    }
}

fn relax(schema: &mut Value, queue: &mut Vec<String>) {
    queue.extend(referenced(schema).map(str::to_owned));
    if is_secret(schema) {
        return;
    }
    if let Some(schema) = schema.as_object_mut() {
        // An enum without a type gets the type of its values.
        let values = schema.get("enum").and_then(Value::as_array);
        if values.is_some_and(|values| values.iter().all(Value::is_string)) && !schema.contains_key("type") {
            schema.insert("type".into(), "string".into());
        }
        let is_open = schema.get("additionalProperties") != Some(&Value::Bool(false));
        schema.retain(|key, _| match key.as_str() {
            "default" | "enum" | "format" | "pattern" | "minLength" | "maxLength" | "minimum" | "maximum"
            | "exclusiveMinimum" | "exclusiveMaximum" | "multipleOf" | "minItems" | "maxItems" | "uniqueItems" => false,
            "additionalProperties" => is_open,
            _ => true,
        });
    }
    schema::for_each_child(schema, &mut |child| relax(child, queue));
}

/// Removes the constraints on strings (formats, patterns and lengths) and on lists (lengths and
/// `uniqueItems`), because the server checks these constraints. Otherwise, typify would generate a
/// separate type for each string with a length limit, require a regex engine for each pattern, and
/// turn a list with a fixed length into an array.
pub(super) fn drop_bounds(schema: &mut Value) {
    let kind = schema.get("type").and_then(Value::as_str).filter(|_| !is_secret(schema));
    let bounds: &[&str] = match kind {
        Some("string") => &["format", "pattern", "minLength", "maxLength"],
        Some("array") => &["minItems", "maxItems", "uniqueItems"],
        _ => &[],
    };
    if let Some(schema) = schema.as_object_mut() {
        schema.retain(|key, _| !bounds.contains(&key.as_str()));
    }
    schema::for_each_child(schema, &mut drop_bounds);
}

/// Calls `act` for every direct child of a value. Includes the child with the key `example`,
/// because a property can have this name. Changing a real example is harmless, because no later
/// stage reads it.
pub(super) fn for_each_part(value: &mut Value, act: &mut dyn FnMut(&mut Value)) {
    match value {
        Value::Object(object) => object.values_mut().for_each(act),
        Value::Array(array) => array.iter_mut().for_each(act),
        _ => {}
    }
}

/// Calls `act` for every schema in a document, starting with the outermost schemas. Does not call
/// `act` for examples and defaults.
pub(in crate::generate) fn for_each_schema(document: &mut Value, act: &mut dyn FnMut(&mut Value)) {
    match document {
        Value::Object(object) => {
            for (key, value) in object {
                match key.as_str() {
                    "schema" => schema_and_children(value, act),
                    "schemas" => {
                        let schemas = value.as_object_mut().into_iter().flatten();
                        schemas.for_each(|(_, schema)| schema_and_children(schema, act));
                    }
                    "example" | "examples" => {}
                    _ => for_each_schema(value, act),
                }
            }
        }
        Value::Array(array) => array.iter_mut().for_each(|value| for_each_schema(value, act)),
        _ => {}
    }
}

fn schema_and_children(schema: &mut Value, act: &mut dyn FnMut(&mut Value)) {
    act(schema);
    schema::for_each_child(schema, &mut |child| schema_and_children(child, act));
}
