//! Removes keywords that have no effect.

use serde_json::Value;

use crate::generate::normalize::for_each_schema;

/// Removes the keywords for lists and objects from schemas of another type.
pub(super) fn remove_without_effect(document: &mut Value) {
    for_each_schema(document, &mut |schema| {
        let Some(schema) = schema.as_object_mut() else { return };
        let without_effect: &[&str] = match schema.get("type").and_then(Value::as_str) {
            Some("string" | "integer" | "number" | "boolean") => {
                &["items", "properties", "required", "additionalProperties", "discriminator"]
            }
            Some("array") => &["properties", "required", "additionalProperties", "discriminator"],
            Some("object") => &["items"],
            _ => &[],
        };
        schema.retain(|key, _| !without_effect.contains(&key.as_str()));
    });
}
