//! Lists the parts of a schema and determines whether they can contain a secret.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::spec::schema::{self, is_secret, resolve};

/// Formats that rule out a secret.
const PLAIN_FORMATS: [&str; 9] =
    ["date", "date-time", "time", "duration", "unix-time", "timestamp", "float", "double", "email"];

/// Returns whether a schema can contain a string or a number (such as a PIN) and has no part that
/// is marked as a secret. One marked field is enough for an object, because the mark shows that
/// someone reviewed the object.
pub(super) fn is_unmarked(parts: &[Part]) -> bool {
    parts.iter().any(|part| !part.is_in_property && is_open(&part.schema))
        && !parts.iter().any(|part| is_secret(&part.schema))
}

/// Returns whether a schema allows any string or number.
fn is_open(schema: &Value) -> bool {
    let format = schema.get("format").and_then(Value::as_str).unwrap_or_default();
    if schema.get("enum").is_some() || PLAIN_FORMATS.contains(&format.to_ascii_lowercase().as_str()) {
        return false;
    }
    let is_composed = ["oneOf", "anyOf", "allOf"].iter().any(|key| schema.get(key).is_some());
    let has_properties = schema.get("properties").is_some_and(Value::is_object);
    match schema.get("type").and_then(Value::as_str) {
        Some("string" | "integer" | "number") => true,
        Some("object") => {
            !is_composed && !has_properties && !schema.get("additionalProperties").is_some_and(Value::is_object)
        }
        Some(_) => false,
        // A schema with one of these keys is an object or a list, whose parts are checked.
        None => {
            !is_composed && ["properties", "additionalProperties", "items"].iter().all(|key| schema.get(*key).is_none())
        }
    }
}

/// A part of a schema.
pub(super) struct Part {
    pub(super) schema: Value,
    /// Whether the part belongs to a property. Such a part is checked under the property's name.
    is_in_property: bool,
}

/// Returns a schema and all schemas inside it. Each named schema is returned once.
pub(super) fn within(components: &Value, schema: &Value) -> Vec<Part> {
    let mut all = Vec::new();
    collect(components, schema, false, &mut BTreeSet::new(), &mut all);
    all
}

fn collect(components: &Value, schema: &Value, is_in_property: bool, seen: &mut BTreeSet<String>, all: &mut Vec<Part>) {
    if let Some(name) = schema.get("$ref").and_then(Value::as_str)
        && !seen.insert(name.to_owned())
    {
        return;
    }
    let schema = resolve(components, schema);
    for (step, child) in schema::children(&schema) {
        collect(components, child, is_in_property || step.starts_with("/properties/"), seen, all);
    }
    all.push(Part { schema, is_in_property });
}
