//! Schemas without what a later server might not keep to, and without forms that mean the same as a simpler one.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::spec::schema::{self, Place, is_secret, referenced};

/// Replaces an `allOf` that has one part and only prose otherwise by that part: OpenAPI 3.0 describes a reference so.
pub(super) fn unwrap_single_parts(value: &mut Value) {
    for_each_part(value, unwrap_single_parts);
    let Some(object) = value.as_object() else { return };
    let is_prose = |key: &String| ["allOf", "description", "title", "example", "externalDocs"].contains(&key.as_str());
    let part = object.get("allOf").and_then(Value::as_array).filter(|_| object.keys().all(is_prose));
    if let Some([part]) = part.map(Vec::as_slice).filter(|parts| parts.iter().all(Value::is_object)) {
        let mut part = part.clone();
        let texts = ["description", "title"].into_iter().filter_map(|key| Some((key, object.get(key)?.clone())));
        // Beside a reference, there is no place for a text.
        if let Some(part) = part.as_object_mut().filter(|part| !part.contains_key("$ref")) {
            texts.for_each(|(key, text)| {
                part.entry(key).or_insert(text);
            });
        }
        *value = part;
    }
}

/// Lets an optional list or map be null, as every other optional property may: typify would make it a collection that
/// null does not fit, and a reply would be lost over it (T13). One of several types is not made null twice.
pub(super) fn optional_may_be_null(value: &mut Value) {
    let required = value.get("required").cloned().unwrap_or_default();
    let is_required =
        |name: &str| required.as_array().is_some_and(|required| required.iter().any(|other| other == name));
    for (name, schema) in value.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten() {
        let is_collection =
            schema.get("type").and_then(Value::as_str).is_some_and(|kind| matches!(kind, "array" | "object"));
        let is_choice = ["oneOf", "anyOf", "allOf"].iter().any(|key| schema.get(key).is_some());
        if let Some(schema) = schema.as_object_mut().filter(|_| is_choice && !is_required(name)) {
            schema.shift_remove("nullable");
        }
        if let Some(schema) = schema
            .as_object_mut()
            .filter(|schema| is_collection && !schema.contains_key("properties") && !is_required(name))
        {
            schema.insert("nullable".into(), Value::Bool(true));
        }
    }
    for_each_part(value, optional_may_be_null);
}

/// Takes from what is received all that a later server might not keep to (T13): closed lists of values, bounds, lengths,
/// patterns, formats, and the promise that nothing is added. Text stays text, also in what is sent.
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
        // A list of texts says what it is a list of.
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

/// The form of a text and the length of a list are up to the caller, and the server checks them. typify
/// would make a type of each text that has a length, link an engine for a pattern, and fix the length of a list.
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

/// Calls `act` on everything that lies directly in a value, examples included: a property may have that name, and
/// nothing reads the others.
pub(super) fn for_each_part(value: &mut Value, act: fn(&mut Value)) {
    match value {
        Value::Object(object) => object.values_mut().for_each(act),
        Value::Array(array) => array.iter_mut().for_each(act),
        _ => {}
    }
}
