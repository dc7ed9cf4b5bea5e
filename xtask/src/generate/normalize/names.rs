//! Gives every inline schema a unique name.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::form::Origin;
use crate::spec::schema::{self, is_secret, pascal, reference, referenced};
use crate::{Error, Result};

/// Assigns names to schemas.
pub(super) struct Names<'a> {
    pub(super) document: &'a mut Value,
    /// The location to which the JSON pointers (`at`) are relative.
    pub(super) origin: &'a Origin,
    pub(super) origins: &'a mut BTreeMap<String, Origin>,
}

impl Names<'_> {
    /// Moves an inline schema to the components and replaces it with a reference. Returns the
    /// schema's name: its `title`, or `wanted` if it has no title.
    pub(super) fn name(&mut self, schema: &mut Value, wanted: &str, at: &str) -> Result<String> {
        if let Some(name) = referenced(schema) {
            return Ok(name.to_owned());
        }
        if schema.get("$ref").is_some() {
            return Ok(wanted.to_owned()); // The lint rejects any other reference.
        }
        let title = schema.get("title").and_then(Value::as_str).map(pascal).filter(|title| !title.is_empty());
        let name = title.clone().unwrap_or_else(|| wanted.to_owned());
        if !schema::is_type_name(&name) {
            return Err(self.error(at, format!("`{name}` is not a valid name for a Rust type")));
        }
        let mut named = std::mem::replace(schema, reference(&name));
        if let Some(named) = named.as_object_mut() {
            named.shift_remove("title");
        }
        let plain = without_prose(&named);
        let other = schema::find(self.document, &name)
            .map(|schema| self.origins.get(&name).map_or_else(|| without_prose(schema), |origin| origin.raw.clone()));
        match other {
            // Equal schemas with the same title become one type.
            Some(other) if title.is_some() && other == plain => {}
            Some(_) => return Err(self.taken(&name, at)),
            None => {
                schema::insert(self.document, &name, named);
                let Origin { operation, pointer, .. } = self.origin;
                let origin = Origin { operation: operation.clone(), pointer: format!("{pointer}{at}"), raw: plain };
                self.origins.insert(name.clone(), origin);
            }
        }
        Ok(name)
    }

    /// Reserves the name of a union with a placeholder schema, because the document does not define
    /// the union.
    pub(super) fn reserve(&mut self, name: &str, at: &str) -> Result<()> {
        match schema::find(self.document, name) {
            Some(_) => Err(self.taken(name, at)),
            None => {
                schema::insert(self.document, name, json!({"type": "object", "x-union": true}));
                Ok(())
            }
        }
    }

    fn taken(&self, name: &str, at: &str) -> Error {
        self.error(at, format!("two different schemas would both be named `{name}`"))
    }

    pub(super) fn error(&self, at: &str, message: String) -> Error {
        let error = Error::new(message)
            .at(format!("{}{at}", self.origin.pointer))
            .help("give this schema a distinct `title` with an overlay action");
        match &self.origin.operation {
            Some(operation) => error.in_operation(operation),
            None => error,
        }
    }

    pub(super) fn is_secret(&self, schema: &Value) -> bool {
        match referenced(schema).and_then(|name| schema::find(self.document, name)) {
            Some(named) => is_secret(named),
            None => is_secret(schema),
        }
    }
}

/// Gives every object and enum inside a named schema a distinct name, derived from its position.
/// typify would choose the same names but merge any two schemas that share a name (T1).
pub(super) fn name_nested_schemas(document: &mut Value, origins: &mut BTreeMap<String, Origin>) -> Result<()> {
    let mut queue: Vec<String> =
        schema::object(document, "/components/schemas").into_iter().flatten().map(|(name, _)| name.clone()).collect();
    while let Some(name) = queue.pop() {
        let pointer = format!("/components/schemas/{}", schema::escape(&name));
        let Some(mut schema) = document.pointer(&pointer).cloned() else { continue };
        let here = Origin { operation: None, pointer: pointer.clone(), raw: Value::Null };
        let origin = origins.get(&name).cloned().unwrap_or(here);
        let mut names = Names { document, origin: &origin, origins };
        let named = name_children(&mut names, &mut schema, &pascal(&name), "")?;
        if let Some(slot) = document.pointer_mut(&pointer) {
            *slot = schema;
        }
        queue.extend(named);
    }
    Ok(())
}

fn name_children(names: &mut Names<'_>, schema: &mut Value, prefix: &str, at: &str) -> Result<Vec<String>> {
    let mut named = Vec::new();
    let mut visit = |names: &mut Names<'_>, child: &mut Value, wanted: String, at: String| -> Result<()> {
        if needs_a_name(child) {
            named.push(names.name(child, &wanted, &at)?);
        } else if referenced(child).is_none() {
            named.extend(name_children(names, child, &wanted, &at)?);
        }
        Ok(())
    };
    for (property, child) in schema.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten() {
        let at = format!("{at}/properties/{}", schema::escape(property));
        visit(names, child, format!("{prefix}{}", pascal(property)), at)?;
    }
    for (key, suffix) in [("items", "Item"), ("additionalProperties", "Value")] {
        if let Some(child) = schema.get_mut(key).filter(|child| child.is_object()) {
            visit(names, child, format!("{prefix}{suffix}"), format!("{at}/{key}"))?;
        }
    }
    for key in ["oneOf", "anyOf"] {
        let parts = schema.get_mut(key).and_then(Value::as_array_mut);
        for (index, child) in parts.into_iter().flatten().enumerate() {
            visit(names, child, format!("{prefix}Option{}", index.saturating_add(1)), format!("{at}/{key}/{index}"))?;
        }
    }
    Ok(named)
}

pub(super) fn needs_a_name(schema: &Value) -> bool {
    let has = |key: &str| schema.get(key).is_some();
    !has("$ref") && (has("properties") || has("enum") || has("oneOf") || has("anyOf") || has("allOf"))
}

/// Returns a schema with only the members that affect its meaning.
pub(super) fn without_prose(schema: &Value) -> Value {
    match schema {
        Value::Object(object) => {
            let kept = object.iter().filter(|(key, value)| match key.as_str() {
                "description" | "title" => !value.is_string(),
                "example" | "externalDocs" => value.get("type").is_some() || value.get("$ref").is_some(),
                _ => true,
            });
            Value::Object(kept.map(|(key, value)| (key.clone(), without_prose(value))).collect())
        }
        Value::Array(array) => Value::Array(array.iter().map(without_prose).collect()),
        other => other.clone(),
    }
}
