//! Removes keywords that have no effect.

use serde_json::Value;

use crate::generate::normalize::for_each_schema;

/// Removes the keywords for lists and objects from schemas of other types, and removes formats from
/// types that have no formats.
pub(super) fn remove_without_effect(document: &mut Value) {
    for_each_schema(document, &mut |schema| {
        let Some(schema) = schema.as_object_mut() else { return };
        let without_effect: &[&str] = match schema.get("type").and_then(Value::as_str) {
            Some("string" | "integer" | "number") => {
                &["items", "properties", "required", "additionalProperties", "discriminator"]
            }
            Some("boolean") => &["items", "properties", "required", "additionalProperties", "discriminator", "format"],
            Some("array") => &["properties", "required", "additionalProperties", "discriminator", "format"],
            Some("object") => &["items", "format"],
            _ => &[],
        };
        // The lint reports a secret mark on any type other than a string.
        schema.retain(|key, value| !without_effect.contains(&key.as_str()) || key == "format" && value == "password");
    });
}
