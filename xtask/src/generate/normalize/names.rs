//! Gives every inline schema a unique name.

use std::collections::{BTreeMap, VecDeque};

use serde_json::{Value, json};

use super::form::Origin;
use crate::Error;
use crate::spec::schema::{self, RUST_NAME_KEY, is_secret, is_type_name, pascal, reference, referenced, without_prose};

/// Assigns names to schemas.
pub(super) struct Names<'a> {
    pub(super) document: &'a mut Value,
    /// The operation that the schemas belong to, as it appears in messages.
    pub(super) operation: Option<String>,
    pub(super) index: &'a mut NameIndex,
}

/// The names of all schemas, and the original locations of those that had no name in the document.
#[derive(Debug, Default)]
pub(super) struct NameIndex {
    /// The names of all schemas, keyed by the corresponding Rust name.
    pub(super) taken: BTreeMap<String, String>,
    pub(super) origins: BTreeMap<String, Origin>,
}

impl NameIndex {
    pub(super) fn of(document: &Value) -> Self {
        let schemas = schema::object(document, "/components/schemas").into_iter().flatten();
        Self { taken: schemas.map(|(name, _)| (pascal(name), name.clone())).collect(), origins: BTreeMap::new() }
    }
}

impl Names<'_> {
    /// Moves an inline schema to the components and replaces it with a reference. Returns the
    /// schema's name. The Rust name (`x-rust-name`) takes precedence over the `title`, and each is
    /// used only if no different schema has that name. Otherwise, the name is `wanted`, followed by
    /// a number if `wanted` is taken. `at` is the schema's original location.
    pub(super) fn name(&mut self, schema: &mut Value, wanted: &str, at: String) -> String {
        if let Some(name) = referenced(schema) {
            return name.to_owned();
        }
        if schema.get("$ref").is_some() {
            return wanted.to_owned(); // The lint rejects any other reference.
        }
        let text = |key: &str| schema.get(key).and_then(Value::as_str).map(pascal).filter(|name| is_type_name(name));
        let chosen: Vec<String> = [text(RUST_NAME_KEY), text("title")].into_iter().flatten().collect();
        let mut named = schema.clone();
        let is_nullable = take_nullable(&mut named);
        if let Some(named) = named.as_object_mut() {
            named.retain(|key, _| !["title", RUST_NAME_KEY].contains(&key.as_str()));
        }
        let raw = without_prose(&named);
        let name = chosen.into_iter().find(|name| self.is_free(name) || self.is_equal(name, &raw));
        let name = name.unwrap_or_else(|| self.free_name(wanted));
        if self.is_free(&name) {
            schema::insert(self.document, &name, named);
            self.index.taken.insert(name.clone(), name.clone());
            let origin = Origin { operation: self.operation.clone(), pointer: at, raw };
            self.index.origins.insert(name.clone(), origin);
        }
        *schema = if is_nullable { nullable_reference(&name) } else { reference(&name) };
        name
    }

    /// Reserves a name for a union by adding a placeholder schema, because the document does not
    /// define the union. Returns the name, which is `wanted` if no schema has that name.
    pub(super) fn reserve(&mut self, wanted: &str) -> String {
        let name = self.free_name(wanted);
        schema::insert(self.document, &name, json!({"type": "object", "x-union": true}));
        self.index.taken.insert(name.clone(), name.clone());
        name
    }

    fn is_free(&self, name: &str) -> bool {
        !self.index.taken.contains_key(name)
    }

    /// Returns `wanted`, or the first free name that consists of `wanted` and a number.
    fn free_name(&self, wanted: &str) -> String {
        let numbered = (2_u32..).map(|number| format!("{wanted}{number}"));
        let mut names = std::iter::once(wanted.to_owned()).chain(numbered);
        names.find(|name| self.is_free(name)).unwrap_or_else(|| wanted.to_owned())
    }

    /// Returns whether the schema with this name is equal to `raw`. Equal schemas with the same
    /// title become one type.
    fn is_equal(&self, name: &str, raw: &Value) -> bool {
        let Some(other) = self.index.taken.get(name) else { return false };
        match self.index.origins.get(other) {
            Some(origin) => origin.raw == *raw,
            None => schema::named(self.document, other).is_some_and(|other| without_prose(other) == *raw),
        }
    }

    /// Returns an error at a location in the original document.
    pub(super) fn error(&self, at: impl Into<String>, message: String) -> Error {
        let error = Error::new(message).at(at);
        match &self.operation {
            Some(operation) => error.in_operation(operation),
            None => error,
        }
    }

    pub(super) fn is_secret(&self, schema: &Value) -> bool {
        match referenced(schema).and_then(|name| schema::named(self.document, name)) {
            Some(named) => is_secret(named),
            None => is_secret(schema),
        }
    }
}

/// Removes `nullable`, and removes null from the values of an enum. Returns whether the schema
/// allowed null.
pub(super) fn take_nullable(schema: &mut Value) -> bool {
    let Some(schema) = schema.as_object_mut() else { return false };
    let is_nullable = schema.shift_remove("nullable") == Some(Value::Bool(true));
    if let Some(values) = schema.get_mut("enum").and_then(Value::as_array_mut) {
        values.retain(|value| !value.is_null());
    }
    is_nullable
}

/// Creates a schema that allows null and the values of a named schema.
pub(super) fn nullable_reference(name: &str) -> Value {
    json!({"allOf": [reference(name)], "nullable": true})
}

/// Gives every object and enum inside a named schema a distinct name, derived from the position of
/// the object or enum. typify would choose the same names, but it would merge two schemas that have
/// the same name (T1).
pub(super) fn name_nested_schemas(document: &mut Value, index: &mut NameIndex) {
    // The queue is in document order, so that an added schema does not take a name from an earlier
    // one.
    let mut queue: VecDeque<String> =
        schema::object(document, "/components/schemas").into_iter().flatten().map(|(name, _)| name.clone()).collect();
    while let Some(name) = queue.pop_front() {
        let pointer = format!("/components/schemas/{}", schema::escape(&name));
        let Some(mut schema) = document.pointer_mut(&pointer).map(Value::take) else { continue };
        let origin = index.origins.get(&name);
        let operation = origin.and_then(|origin| origin.operation.clone());
        let at = origin.map_or_else(|| pointer.clone(), |origin| origin.pointer.clone());
        let mut names = Names { document, operation, index };
        let named = name_children(&mut names, &mut schema, &pascal(&name), &at);
        if let Some(slot) = document.pointer_mut(&pointer) {
            *slot = schema;
        }
        queue.extend(named);
    }
}

fn name_children(names: &mut Names<'_>, schema: &mut Value, prefix: &str, at: &str) -> Vec<String> {
    let mut named = Vec::new();
    let mut visit = |names: &mut Names<'_>, child: &mut Value, wanted: String, at: String| {
        if needs_a_name(child) {
            named.push(names.name(child, &wanted, at));
        } else if referenced(child).is_none() {
            named.extend(name_children(names, child, &wanted, &at));
        }
    };
    for (property, child) in schema.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten() {
        let at = format!("{at}/properties/{}", schema::escape(property));
        // Here, the Rust name belongs to the field, not to its type.
        let rust_name = child.as_object_mut().and_then(|child| child.shift_remove(RUST_NAME_KEY));
        visit(names, child, format!("{prefix}{}", pascal(property)), at);
        if let (Some(child), Some(rust_name)) = (child.as_object_mut(), rust_name) {
            child.insert(RUST_NAME_KEY.into(), rust_name);
        }
    }
    for (key, suffix) in [("items", "Item"), ("additionalProperties", "Value")] {
        if let Some(child) = schema.get_mut(key).filter(|child| child.is_object()) {
            visit(names, child, format!("{prefix}{suffix}"), format!("{at}/{key}"));
        }
    }
    for key in ["oneOf", "anyOf"] {
        let parts = schema.get_mut(key).and_then(Value::as_array_mut);
        for (index, child) in parts.into_iter().flatten().enumerate() {
            visit(names, child, format!("{prefix}Option{}", index.saturating_add(1)), format!("{at}/{key}/{index}"));
        }
    }
    named
}

/// Removes the titles of all named schemas and of the schemas inside them. typify would name types
/// after the titles, regardless of the names of other schemas.
pub(super) fn remove_titles(document: &mut Value) {
    fn remove(schema: &mut Value) {
        schema.as_object_mut().map(|schema| schema.shift_remove("title"));
        schema::for_each_child(schema, &mut remove);
    }
    let schemas = document.pointer_mut("/components/schemas").and_then(Value::as_object_mut);
    schemas.into_iter().flatten().for_each(|(_, schema)| remove(schema));
}

pub(super) fn needs_a_name(schema: &Value) -> bool {
    let has = |key: &str| schema.get(key).is_some();
    let composed = || has("oneOf") || has("anyOf") || has("allOf");
    !has("$ref") && !is_nullable_reference(schema) && (has("properties") || has("enum") || composed())
}

/// Returns whether a schema was created by [`nullable_reference`].
pub(crate) fn is_nullable_reference(schema: &Value) -> bool {
    let parts = schema.get("allOf").and_then(Value::as_array);
    parts.is_some_and(|parts| {
        let keys = schema.as_object().into_iter().flatten().map(|(key, _)| key.as_str());
        parts.len() == 1 && parts.iter().all(|part| referenced(part).is_some()) && keys.eq(["allOf", "nullable"])
    })
}
