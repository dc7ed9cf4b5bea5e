//! Accepts schemas that are incomplete or slightly wrong, if there is only one way to read them.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::relax::for_each_schema;
use crate::spec::schema::{self, Place, pascal};

/// Completes the schemas in a document.
pub(super) fn complete_schemas(document: &mut Value) {
    for_each_schema(document, &mut complete);
}

fn complete(schema: &mut Value) {
    let Some(object) = schema.as_object_mut() else { return };
    if object.contains_key("$ref") {
        return;
    }
    // OpenAPI 3.1 writes a nullable type as a list of types.
    if let Some(types) = object.get("type").and_then(Value::as_array) {
        let others: Vec<Value> = types.iter().filter(|kind| *kind != "null").cloned().collect();
        if let [only] = others.as_slice() {
            let is_nullable = others.len() < types.len();
            let only = only.clone();
            object.insert("type".into(), only);
            if is_nullable {
                object.insert("nullable".into(), true.into());
            }
        }
    }
    // A list without a description of its entries can contain anything.
    if object.get("type").is_some_and(|kind| kind == "array") && !object.contains_key("items") {
        object.insert("items".into(), json!({}));
    }
    // Rust cannot express these conditions, and the server checks them anyway.
    object.shift_remove("not");
    for (exclusive, bound) in [("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")] {
        if !object.contains_key(bound) || !object.get(exclusive).is_some_and(Value::is_boolean) {
            object.shift_remove(exclusive);
        }
    }
    if object.get("enum").and_then(Value::as_array).is_some_and(|values| !are_variants(values)) {
        object.shift_remove("enum");
        object.shift_remove("default");
    }
    complete_required(object);
}

/// Returns whether each value of an enum becomes a distinct Rust name. If not, the generated code
/// uses the plain type instead of an enum.
fn are_variants(values: &[Value]) -> bool {
    let mut variants = BTreeSet::new();
    values.iter().filter(|value| !value.is_null()).all(|value| {
        let name = value.as_str().map(pascal).unwrap_or_default();
        // typify adds an `X` to a name that starts with a digit.
        let starts_with_digit = name.starts_with(|c: char| c.is_ascii_digit());
        let variant = if starts_with_digit { format!("X{name}") } else { name.clone() };
        !name.is_empty() && variants.insert(variant)
    })
}

/// Removes repeated names from `required`, and adds each required property that is not described.
/// Such a property can have any value.
fn complete_required(object: &mut serde_json::Map<String, Value>) {
    let Some(required) = object.get_mut("required").and_then(Value::as_array_mut) else { return };
    let mut seen = BTreeSet::new();
    required.retain(|name| seen.insert(name.to_string()));
    // A required read-only property is required only in responses, and a required write-only
    // property only in requests.
    if let Some(properties) = object.get("properties").and_then(Value::as_object) {
        let is_one_way = |name: &str| {
            let property = properties.get(name);
            ["readOnly", "writeOnly"]
                .iter()
                .any(|key| property.is_some_and(|property| property.get(*key) == Some(&Value::Bool(true))))
        };
        seen.retain(|name| !is_one_way(name.trim_matches('"')));
    }
    let Some(required) = object.get_mut("required").and_then(Value::as_array_mut) else { return };
    required.retain(|name| seen.contains(&name.to_string()));
    let names: Vec<String> = required.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    // Another part of an `allOf` may describe the property.
    if object.contains_key("allOf") {
        return;
    }
    if let Some(properties) = object.get_mut("properties").and_then(Value::as_object_mut) {
        for name in names {
            properties.entry(name).or_insert_with(|| json!({}));
        }
    }
}

/// Completes an operation: a path parameter is always required, a body without a schema can contain
/// any JSON value, and a request without a media type has no body.
pub(super) fn complete_operation(document: &mut Value, place: &Place) {
    let Some(operation) = document.pointer_mut(&place.pointer()) else { return };
    for parameter in operation.get_mut("parameters").and_then(Value::as_array_mut).into_iter().flatten() {
        let is_in_path = parameter.get("in").is_some_and(|place| place == "path");
        if is_in_path && let Some(parameter) = parameter.as_object_mut() {
            parameter.insert("required".into(), true.into());
        }
    }
    if operation.pointer("/requestBody/content").and_then(Value::as_object).is_some_and(serde_json::Map::is_empty) {
        operation.as_object_mut().map(|operation| operation.shift_remove("requestBody"));
    }
    let any_value = |holder: &mut Value| {
        let content = holder.get_mut("content").and_then(Value::as_object_mut);
        let Some(key) = content.as_ref().and_then(|content| schema::json_key(content)).map(str::to_owned) else {
            return;
        };
        if let Some(media) = content.and_then(|content| content.get_mut(&key)?.as_object_mut()) {
            media.entry("schema").or_insert_with(|| json!({}));
        }
    };
    operation.get_mut("requestBody").into_iter().for_each(any_value);
    for (_, response) in operation.get_mut("responses").and_then(Value::as_object_mut).into_iter().flatten() {
        any_value(response);
    }
}
