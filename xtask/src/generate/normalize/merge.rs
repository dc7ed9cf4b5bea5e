//! Merges the parts of an `allOf` into one schema.
//!
//! typify merges parts too, but it fails on some combinations, and it names the objects inside a
//! part without regard for the names of other schemas.

use serde_json::{Map, Value};

use super::names::is_nullable_reference;
use super::relax::for_each_part;
use crate::spec::schema::{referenced, without_prose};

/// The maximum depth of references between parts. The lint reports a schema that contains itself.
const MAX_DEPTH: usize = 16;

/// Merges each `allOf` in `value` whose parts can be expressed as one schema. Properties next to a
/// choice become properties of each alternative.
pub(super) fn merge_parts(value: &mut Value, schemas: &Map<String, Value>) {
    if let Some(choice) = distributed(value, schemas) {
        *value = choice;
    }
    if value.get("allOf").is_some_and(Value::is_array)
        && !is_nullable_reference(value)
        && let Some(merged) = merged(value, schemas, MAX_DEPTH)
    {
        *value = merged;
    }
    for_each_part(value, &mut |part| merge_parts(part, schemas));
}

/// Returns a choice whose alternatives have all properties, if `schema` is a choice with properties
/// next to it.
fn distributed(schema: &Value, schemas: &Map<String, Value>) -> Option<Value> {
    let mut common = schema.as_object()?.clone();
    let mut choice = Map::new();
    for key in ["oneOf", "anyOf", "discriminator", "description", "title", "nullable", "x-rust-name"] {
        choice.extend(common.shift_remove(key).map(|member| (key.to_owned(), member)));
    }
    // The choice can also be a part of an `allOf`.
    let is_choice = |schema: &Value| schema.get("oneOf").or_else(|| schema.get("anyOf")).is_some();
    if let Some(parts) = common.get_mut("allOf").and_then(Value::as_array_mut)
        && !choice.contains_key("oneOf")
        && !choice.contains_key("anyOf")
        && let Some(index) = parts.iter().position(|part| is_choice(resolved(part, schemas)))
    {
        let part = resolved(&parts.remove(index), schemas).clone();
        let part = distributed(&part, schemas).unwrap_or(part);
        for key in ["oneOf", "anyOf", "discriminator"] {
            choice.extend(part.get(key).map(|member| (key.to_owned(), member.clone())));
        }
    }
    let is_structural = |key: &str| ["properties", "required", "allOf", "additionalProperties"].contains(&key);
    if !common.keys().any(|key| is_structural(key)) {
        return None;
    }
    let common = Value::Object(common);
    let mut has_alternatives = false;
    for key in ["oneOf", "anyOf"] {
        for alternative in choice.get_mut(key).and_then(Value::as_array_mut).into_iter().flatten() {
            let whole = serde_json::json!({"allOf": [common, alternative]});
            *alternative = merged(&whole, schemas, MAX_DEPTH)?;
            has_alternatives = true;
        }
    }
    has_alternatives.then_some(Value::Object(choice))
}

fn resolved<'a>(schema: &'a Value, schemas: &'a Map<String, Value>) -> &'a Value {
    referenced(schema).and_then(|name| schemas.get(name)).unwrap_or(schema)
}

/// Returns a schema without `allOf` that has the same meaning, or `None` if there is none.
fn merged(schema: &Value, schemas: &Map<String, Value>, depth: usize) -> Option<Value> {
    let depth = depth.checked_sub(1)?;
    if let Some(name) = referenced(schema) {
        return merged(schemas.get(name)?, schemas, depth);
    }
    let object = schema.as_object()?;
    if ["oneOf", "anyOf", "not"].iter().any(|key| object.contains_key(*key)) {
        return None;
    }
    let mut own = object.clone();
    let parts = own.shift_remove("allOf");
    let mut whole = Map::new();
    for part in parts.as_ref().and_then(Value::as_array).into_iter().flatten() {
        let Value::Object(mut part) = merged(part, schemas, depth)? else { return None };
        // These describe the part and not the whole.
        for key in ["description", "title", "discriminator", "example", "externalDocs", "nullable", "x-rust-name"] {
            part.shift_remove(key);
        }
        combine(&mut whole, part, schemas, depth)?;
    }
    let has_parts = !whole.is_empty();
    combine(&mut whole, own, schemas, depth)?;
    // A part without the properties of another part cannot exclude them.
    if has_parts && whole.get("additionalProperties") == Some(&Value::Bool(false)) {
        whole.shift_remove("additionalProperties");
    }
    Some(Value::Object(whole))
}

/// Adds the members of `part` to `whole`. Returns `None` if no value can satisfy both.
fn combine(
    whole: &mut Map<String, Value>,
    part: Map<String, Value>,
    schemas: &Map<String, Value>,
    depth: usize,
) -> Option<()> {
    for (key, value) in part {
        let Some(known) = whole.get_mut(&key) else {
            whole.insert(key, value);
            continue;
        };
        match key.as_str() {
            "properties" => combine_properties(known.as_object_mut()?, value, schemas, depth)?,
            "required" => {
                let known = known.as_array_mut()?;
                for name in value.as_array()? {
                    if !known.contains(name) {
                        known.push(name.clone());
                    }
                }
            }
            "enum" => {
                let allowed = value.as_array()?;
                known.as_array_mut()?.retain(|known| allowed.contains(known));
            }
            "type" if *known != value => return None,
            // A mark as a secret applies to the whole.
            "format" if *known == "password" => {}
            _ => *known = value,
        }
    }
    Some(())
}

fn combine_properties(
    known: &mut Map<String, Value>,
    properties: Value,
    schemas: &Map<String, Value>,
    depth: usize,
) -> Option<()> {
    let Value::Object(properties) = properties else { return None };
    for (name, property) in properties {
        let Some(other) = known.get_mut(&name) else {
            known.insert(name, property);
            continue;
        };
        if without_prose(other) == without_prose(&property) {
            *other = property;
            continue;
        }
        let both = serde_json::json!({"allOf": [other.take(), property]});
        *other = merged(&both, schemas, depth)?;
    }
    Some(())
}
