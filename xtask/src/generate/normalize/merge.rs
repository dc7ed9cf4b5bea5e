//! Merges the parts of an `allOf` into one schema.
//!
//! typify merges parts too, but it fails on some combinations, and it names the objects inside a
//! part without regard for the names of other schemas.
//!
//! [`merge_parts`] walks through a document. For each schema, it first moves the properties
//! alongside a choice into the alternatives ([`distributed`]), and then replaces an `allOf` with
//! its merged parts ([`merged`]).

use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value, json};

use super::names::is_nullable_reference;
use super::relax::for_each_part;
use crate::spec::schema::{self, escape, reference, referenced, without_prose};
use crate::{Error, Result};

/// The key for the name of the schema that an alternative refers to. The alternative itself is
/// replaced by a schema with more properties.
pub(super) const TARGET_KEY: &str = "x-xtask-target";

/// The maximum number of compositions in a document after the parts of each `allOf` have been
/// merged. Merging copies the compositions inside a part, so the number of compositions can grow
/// exponentially with the size of the document.
const MAX_COMPOSITIONS: usize = 50_000;

/// Merges each `allOf` in a document if its parts can be expressed as one schema. Properties
/// alongside a choice become properties of each alternative.
///
/// # Errors
///
/// Returns an error if the merged schemas have too many compositions.
pub(super) fn merge_parts(document: &mut Value) -> Result<()> {
    let schemas = schema::object(document, "/components/schemas").cloned().unwrap_or_default();
    let named = Named { schemas: &schemas, active: Vec::new(), merged: HashMap::new(), combining: Vec::new() };
    let mut merge = Merge { named, active: Vec::new(), recursive: BTreeMap::new(), compositions: 0 };
    for pointer in ["/components/schemas", "/components", "/paths"] {
        for (key, value) in document.pointer_mut(pointer).and_then(Value::as_object_mut).into_iter().flatten() {
            if pointer == "/components" && key == "schemas" {
                continue;
            }
            merge.visit(value);
            if merge.compositions > MAX_COMPOSITIONS {
                let message = format!("merging the `allOf` schemas results in more than {MAX_COMPOSITIONS} schemas");
                let help =
                    "replace some of the nested `allOf` with a reference to a named schema with an overlay action";
                return Err(Error::new(message).at(format!("{pointer}/{}", escape(key))).help(help));
            }
        }
    }
    for (name, schema) in merge.recursive.into_values() {
        schema::insert(document, &name, schema);
    }
    Ok(())
}

struct Merge<'a> {
    named: Named<'a>,
    /// The original forms of the merged schemas that contain the current schema.
    active: Vec<String>,
    /// The schemas that contain themselves, keyed by their original form. Each value consists of
    /// the new name and the merged form of the schema.
    recursive: BTreeMap<String, (String, Value)>,
    compositions: usize,
}

/// The named schemas and their merged forms.
struct Named<'a> {
    schemas: &'a Map<String, Value>,
    /// The names of the schemas that are being merged. The lint reports a schema that is composed of
    /// itself.
    active: Vec<&'a str>,
    /// The merged forms, or `None` for a schema that cannot be merged. Without this map, merging
    /// would take time exponential in the depth of the compositions.
    merged: HashMap<&'a str, Option<Value>>,
    /// The pairs of schemas that are being combined. Without this list, combining two schemas that
    /// refer to themselves would recurse forever.
    combining: Vec<Value>,
}

impl Named<'_> {
    /// Returns the target of a reference. Returns any other schema unchanged.
    fn resolve<'s>(&'s self, schema: &'s Value) -> &'s Value {
        referenced(schema).and_then(|name| self.schemas.get(name)).unwrap_or(schema)
    }

    /// Returns the merged form of a named schema, or `None` if the schema cannot be merged.
    fn merged(&mut self, name: &str) -> Option<Value> {
        let (name, schema) = self.schemas.get_key_value(name)?;
        if let Some(merged) = self.merged.get(name.as_str()) {
            return merged.clone();
        }
        if self.active.contains(&name.as_str()) {
            return None;
        }
        self.active.push(name);
        let merged = merged(schema, self);
        self.active.pop();
        self.merged.insert(name, merged.clone());
        merged
    }
}

impl Merge<'_> {
    fn visit(&mut self, value: &mut Value) {
        let is_composed = ["allOf", "oneOf", "anyOf"].iter().any(|key| value.get(*key).is_some_and(Value::is_array));
        if !is_composed || is_nullable_reference(value) {
            for_each_part(value, &mut |part| self.visit(part));
            return;
        }
        self.compositions = self.compositions.saturating_add(1);
        if self.compositions > MAX_COMPOSITIONS {
            return;
        }
        let original = value.to_string();
        if self.active.contains(&original) {
            // The merged schema contains its own original form, so it needs a name by which to
            // refer to itself.
            let name = self.recursive_name(&original);
            *value = reference(&name);
            return;
        }
        if let Some(choice) = distributed(value, &mut self.named) {
            *value = choice;
        }
        if value.get("allOf").is_some()
            && let Some(merged) = merged(value, &mut self.named)
        {
            *value = merged;
        }
        self.active.push(original);
        for_each_part(value, &mut |part| self.visit(part));
        let original = self.active.pop().unwrap_or_default();
        if let Some((name, schema)) = self.recursive.get_mut(&original) {
            *schema = std::mem::replace(value, reference(name));
        }
    }

    fn recursive_name(&mut self, original: &str) -> String {
        if let Some((name, _)) = self.recursive.get(original) {
            return name.clone();
        }
        let known = |name: &String| self.recursive.values().any(|(other, _)| other == name);
        let mut names = std::iter::once("Recursive".to_owned()).chain((2_u32..).map(|n| format!("Recursive{n}")));
        let name = names.find(|name| !self.named.schemas.contains_key(name) && !known(name)).unwrap_or_default();
        self.recursive.insert(original.to_owned(), (name.clone(), Value::Null));
        name
    }
}

/// If `schema` has properties alongside a choice, returns a choice whose alternatives also have
/// these properties.
fn distributed(schema: &Value, named: &mut Named<'_>) -> Option<Value> {
    let mut common = schema.as_object()?.clone();
    let mut choice = Map::new();
    for key in ["oneOf", "anyOf", "discriminator", "description", "title", "nullable", "x-rust-name"] {
        choice.extend(common.shift_remove(key).map(|member| (key.to_owned(), member)));
    }
    // The choice can also be a part of an `allOf`.
    if let Some(parts) = common.get_mut("allOf").and_then(Value::as_array_mut)
        && !choice.contains_key("oneOf")
        && !choice.contains_key("anyOf")
        && let Some(index) = parts.iter().position(|part| schema::is_choice(named.resolve(part)))
    {
        let part = named.resolve(&parts.remove(index)).clone();
        let part = distributed(&part, named).unwrap_or(part);
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
            let target = referenced(alternative).map(str::to_owned);
            let target = target.or_else(|| alternative.get(TARGET_KEY)?.as_str().map(str::to_owned));
            let whole = json!({"allOf": [common, alternative]});
            *alternative = merged(&whole, named)?;
            if let (Some(alternative), Some(target)) = (alternative.as_object_mut(), target) {
                alternative.insert(TARGET_KEY.into(), target.into());
            }
            has_alternatives = true;
        }
    }
    has_alternatives.then_some(Value::Object(choice))
}

/// Returns an equivalent schema without `allOf`, or `None` if no such schema exists.
fn merged(schema: &Value, named: &mut Named<'_>) -> Option<Value> {
    if let Some(name) = referenced(schema) {
        return named.merged(name);
    }
    let object = schema.as_object()?;
    if ["oneOf", "anyOf", "not"].iter().any(|key| object.contains_key(*key)) {
        return None;
    }
    let mut own = object.clone();
    let parts = own.shift_remove("allOf");
    let mut whole = Map::new();
    // Only a part with a type determines whether null is allowed.
    let mut allows_null = Vec::new();
    let mut conditions = Vec::new();
    for part in parts.as_ref().and_then(Value::as_array).into_iter().flatten() {
        let Some(Value::Object(mut part)) = merged(part, named) else {
            conditions.push(part);
            continue;
        };
        if part.contains_key("type") {
            allows_null.push(part.get("nullable") == Some(&Value::Bool(true)));
        }
        // These keys describe the part, not the whole.
        for key in ["description", "title", "discriminator", "example", "externalDocs", "nullable", "x-rust-name"] {
            part.shift_remove(key);
        }
        combine(&mut whole, part, named)?;
    }
    let has_parts = !whole.is_empty();
    combine(&mut whole, own, named)?;
    if !conditions.into_iter().all(|part| is_condition(part, &whole, named)) {
        return None;
    }
    if !allows_null.is_empty() && allows_null.into_iter().all(|allows_null| allows_null) {
        whole.insert("nullable".into(), Value::Bool(true));
    }
    // A part cannot exclude the properties that another part describes.
    if has_parts && whole.get("additionalProperties") == Some(&Value::Bool(false)) {
        whole.shift_remove("additionalProperties");
    }
    Some(Value::Object(whole))
}

/// Returns whether a part of an `allOf` is a choice between schemas that only restrict the values
/// of known properties. Rust cannot express such a choice, and the server checks it anyway.
fn is_condition(part: &Value, whole: &Map<String, Value>, named: &mut Named<'_>) -> bool {
    let Some(part) = named.resolve(part).as_object().cloned() else { return false };
    let known = whole.get("properties").and_then(Value::as_object);
    let is_restricting = |alternative: &Value, named: &mut Named<'_>| {
        let Some(Value::Object(alternative)) = merged(alternative, named) else { return false };
        alternative.iter().all(|(key, value)| match key.as_str() {
            "properties" => value.as_object().is_some_and(|properties| {
                let is_known = |name: &String| known.is_some_and(|known| known.contains_key(name));
                properties.iter().all(|(name, property)| is_known(name) && is_restriction(property))
            }),
            "required" | "title" | "description" => true,
            "type" => value == "object",
            _ => false,
        })
    };
    part.iter().all(|(key, value)| match (key.as_str(), value) {
        ("oneOf" | "anyOf", Value::Array(alternatives)) => {
            alternatives.iter().all(|alternative| is_restricting(alternative, named))
        }
        ("title" | "description", _) => true,
        ("type", kind) => kind == "object",
        _ => false,
    })
}

/// Returns whether a schema neither describes parts of a value nor marks the value as a secret.
fn is_restriction(schema: &Value) -> bool {
    let parts = ["$ref", "additionalProperties", "allOf", "anyOf", "items", "oneOf", "properties"];
    parts.iter().all(|key| schema.get(*key).is_none()) && !schema::is_secret(schema)
}

/// Adds the members of `part` to `whole`. Returns `None` if `part` and `whole` contradict each
/// other.
fn combine(whole: &mut Map<String, Value>, part: Map<String, Value>, named: &mut Named<'_>) -> Option<()> {
    for (key, value) in part {
        let Some(known) = whole.get_mut(&key) else {
            whole.insert(key, value);
            continue;
        };
        match key.as_str() {
            "properties" => {
                let Value::Object(properties) = value else { return None };
                let known = known.as_object_mut()?;
                for (name, property) in properties {
                    match known.get_mut(&name) {
                        Some(other) => combine_schemas(other, property, named)?,
                        None => drop(known.insert(name, property)),
                    }
                }
            }
            "items" => combine_schemas(known, value, named)?,
            "additionalProperties" if known.is_object() && value.is_object() => {
                combine_schemas(known, value, named)?;
            }
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
                let known = known.as_array_mut()?;
                known.retain(|known| allowed.contains(known));
                if known.is_empty() {
                    return None;
                }
            }
            "type" if *known != value => return None,
            // A secret mark on a part applies to the whole.
            "format" if *known == "password" => {}
            _ => *known = value,
        }
    }
    Some(())
}

/// Combines two schemas for the same property or for the entries of the same list.
fn combine_schemas(known: &mut Value, other: Value, named: &mut Named<'_>) -> Option<()> {
    if without_prose(known) == without_prose(&other) {
        *known = other;
        return Some(());
    }
    let both = json!({"allOf": [known.take(), other]});
    if named.combining.contains(&both) {
        return None;
    }
    named.combining.push(both.clone());
    let combined = merged(&both, named).or_else(|| distributed(&both, named));
    named.combining.pop();
    *known = combined?;
    Some(())
}
