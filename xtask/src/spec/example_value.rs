//! Compares an example value with a schema.

use serde_json::{Map, Value};

use super::schema::escape;

/// The maximum nesting depth of schemas. Deeper nesting is treated as a loop of references.
const MAX_DEPTH: usize = 64;

/// Returns the first reason that `value` does not match `schema`, or `None` if the value matches.
/// Checks types, required properties, lists of allowed values, and the parts of objects, lists and
/// `allOf`. All other keywords are ignored.
pub(super) fn mismatch(document: &Value, schema: &Value, value: &Value) -> Option<String> {
    Check { document }.mismatch(schema, value, "", MAX_DEPTH)
}

struct Check<'a> {
    document: &'a Value,
}

impl Check<'_> {
    fn mismatch(&self, schema: &Value, value: &Value, at: &str, depth: usize) -> Option<String> {
        let (schema, depth) = (schema.as_object()?, depth.checked_sub(1)?);
        if let Some(target) = schema.get("$ref") {
            // The lint reports a reference that has no target.
            let target = target.as_str()?.strip_prefix('#')?;
            return self.mismatch(self.document.pointer(target)?, value, at, depth);
        }
        if value.is_null() && schema.get("nullable") == Some(&Value::Bool(true)) {
            return None;
        }
        let parts = schema.get("allOf").and_then(Value::as_array).into_iter().flatten();
        type_mismatch(schema, value, at)
            .or_else(|| self.object_mismatch(schema, value, at, depth))
            .or_else(|| self.list_mismatch(schema, value, at, depth))
            .or_else(|| parts.into_iter().find_map(|part| self.mismatch(part, value, at, depth)))
    }

    fn object_mismatch(&self, schema: &Map<String, Value>, value: &Value, at: &str, depth: usize) -> Option<String> {
        let object = value.as_object()?;
        let property = |name: &str| schema.get("properties")?.get(name);
        // A read-only or write-only property can be missing from an example for the other
        // direction.
        let has_direction = |name: &str| {
            let is_set = |key| property(name).and_then(|property| property.get(key)) == Some(&Value::Bool(true));
            is_set("readOnly") || is_set("writeOnly")
        };
        let required = schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        let mut missing = required.filter(|name| !object.contains_key(*name) && !has_direction(name));
        if let Some(name) = missing.next() {
            return Some(format!("{}the required property `{name}` is missing", place(at)));
        }
        let other = schema.get("additionalProperties");
        object.iter().find_map(|(name, value)| {
            let at = format!("{at}/{}", escape(name));
            match property(name).or(other) {
                Some(Value::Bool(false)) => Some(format!("{}the property is not allowed", place(&at))),
                Some(schema) => self.mismatch(schema, value, &at, depth),
                None => None,
            }
        })
    }

    fn list_mismatch(&self, schema: &Map<String, Value>, value: &Value, at: &str, depth: usize) -> Option<String> {
        let items = schema.get("items")?;
        let mut entries = value.as_array()?.iter().enumerate();
        entries.find_map(|(index, entry)| self.mismatch(items, entry, &format!("{at}/{index}"), depth))
    }
}

/// Checks a value against the `type` and the `enum` of a schema.
fn type_mismatch(schema: &Map<String, Value>, value: &Value, at: &str) -> Option<String> {
    let kind = schema.get("type").and_then(Value::as_str).unwrap_or_default();
    let has_type = match kind {
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|number| number.fract() == 0.0),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => true,
    };
    if !has_type {
        return Some(format!("{}expected the type {kind}", place(at)));
    }
    let allowed = schema.get("enum").and_then(Value::as_array)?;
    if allowed.contains(value) {
        return None;
    }
    let allowed: Vec<String> = allowed.iter().map(Value::to_string).collect();
    Some(format!("{}expected one of {}", place(at), allowed.join(", ")))
}

/// Returns the start of a message about a place within an example.
fn place(at: &str) -> String {
    if at.is_empty() { String::new() } else { format!("at {at}: ") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_compared_with_their_schema() {
        let document = json!({"components": {"schemas": {
            "Id": {"type": "string"},
            "Loop": {"$ref": "#/components/schemas/Loop"},
            "List": {"type": "object", "properties": {"next": {"$ref": "#/components/schemas/List"}, "n": {"type": "integer"}}},
        }}});
        let id = json!({"$ref": "#/components/schemas/Id"});
        for (schema, value, expected) in [
            (json!({}), json!(1), None),
            (json!({"type": "string"}), json!(1), Some("expected the type string")),
            (json!({"type": "integer"}), json!(5.0), None),
            (json!({"type": "integer"}), json!(5.5), Some("expected the type integer")),
            (json!({"type": "number"}), json!(5), None),
            (json!({"type": "boolean"}), json!("true"), Some("expected the type boolean")),
            (json!({"type": "string"}), json!(null), Some("expected the type string")),
            (json!({"type": "string", "nullable": true}), json!(null), None),
            (json!({"enum": ["a", "b"]}), json!("c"), Some("expected one of \"a\", \"b\"")),
            (json!({"enum": ["a", "b"]}), json!("b"), None),
            (json!({"required": ["a"]}), json!({}), Some("the required property `a` is missing")),
            (json!({"required": ["a"], "properties": {"a": {"readOnly": true}}}), json!({}), None),
            (json!({"required": ["a"], "properties": {"a": {"writeOnly": true}}}), json!({}), None),
            (json!({"required": ["a"]}), json!("text"), None),
            (json!({"properties": {"a/b": id}}), json!({"a/b": 1}), Some("at /a~1b: expected the type string")),
            (json!({"properties": {"a": id}}), json!({"b": 1}), None),
            (json!({"additionalProperties": false}), json!({"b": 1}), Some("at /b: the property is not allowed")),
            (json!({"additionalProperties": id}), json!({"b": 1}), Some("at /b: expected the type string")),
            (json!({"items": id}), json!(["a", 1]), Some("at /1: expected the type string")),
            (json!({"items": id}), json!("text"), None),
            (json!({"allOf": [{}, {"required": ["a"]}]}), json!({}), Some("the required property `a` is missing")),
            (json!({"$ref": "#/components/schemas/Loop"}), json!(1), None),
            (json!({"$ref": "#/components/schemas/Gone"}), json!(1), None),
            (json!({"$ref": "other.yaml"}), json!(1), None),
            (
                json!({"$ref": "#/components/schemas/List"}),
                json!({"next": {"next": {"n": "1"}}}),
                Some("at /next/next/n: expected the type integer"),
            ),
            (json!({"type": "unknown", "maxLength": 1}), json!("text"), None),
        ] {
            assert_eq!(mismatch(&document, &schema, &value).as_deref(), expected, "{schema} {value}");
        }
    }
}
