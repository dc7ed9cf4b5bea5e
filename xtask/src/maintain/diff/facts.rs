//! Collects the facts about one operation of a document.

use std::collections::BTreeMap;

use serde_json::Value;

use super::place::{Fact, Place, Step};
use crate::spec::schema::{is_secret, pascal, referenced, resolve};

pub(super) struct Facts<'a> {
    pub(super) document: &'a Value,
    /// Whether the document is in the form that Flinks publishes, as opposed to the normal form.
    pub(super) is_published: bool,
    pub(super) places: BTreeMap<Place, Fact>,
    /// The named schemas on the path to the current schema. Recursive references to these schemas
    /// are not followed.
    pub(super) stack: Vec<String>,
}

impl Facts<'_> {
    pub(super) fn parameters(&mut self, parameters: &Value, path: &str) {
        for parameter in parameters.as_array().into_iter().flatten() {
            let parameter = self.resolved(parameter);
            let text = |key: &str| parameter.get(key).and_then(Value::as_str).unwrap_or_default();
            let (name, place) = (text("name"), text("in"));
            let place = match path
                .match_indices('{')
                .position(|(start, _)| path.get(start..).is_some_and(|rest| rest.starts_with(&format!("{{{name}}}"))))
            {
                Some(index) if place == "path" => Place::PathParameter(index),
                _ => Place::Parameter { place: place.to_owned(), name: name.to_owned() },
            };
            let is_required = parameter.get("required") == Some(&Value::Bool(true));
            let mut fact = self.fact(parameter.get("schema").unwrap_or(&Value::Null), is_required);
            for key in PARAMETER_KEYWORDS {
                fact.facets.extend(parameter.get(key).map(|value| (key, plain(value))));
            }
            if let Place::PathParameter(_) = place {
                fact.facets.insert("name", name.to_owned());
            }
            self.places.insert(place, fact);
        }
    }

    pub(super) fn request(&mut self, operation: &Value) {
        let Some(body) = operation.get("requestBody").map(|body| self.resolved(body)) else { return };
        let schema =
            body.get("content").and_then(Value::as_object).and_then(|content| content.values().next()?.get("schema"));
        let is_required = body.get("required") == Some(&Value::Bool(true));
        self.walk(schema.unwrap_or(&Value::Null), is_required, Vec::new(), &Place::Request);
    }

    pub(super) fn response(&mut self, status: &str, schema: Option<&Value>) {
        let place = |path| Place::Response { statuses: vec![status.to_owned()], path };
        match schema {
            Some(schema) => self.walk(schema, true, Vec::new(), &place),
            None => {
                let fact = Fact { kind: "no body".into(), ..self.fact(&Value::Null, true) };
                self.places.insert(place(Vec::new()), fact);
            }
        }
    }

    /// Records the facts about a schema and about all places within it.
    fn walk(&mut self, schema: &Value, required: bool, path: Vec<Step>, place: &dyn Fn(Vec<Step>) -> Place) {
        let fact = self.fact(schema, required);
        self.places.entry(place(path.clone())).or_insert(fact);
        let all_required = self.required_properties(schema, 0);
        self.within(schema, &all_required, &path, place);
    }

    /// Records the facts about all places within a schema, including those that `allOf` merges into
    /// it.
    fn within(&mut self, schema: &Value, required: &[String], path: &[Step], place: &dyn Fn(Vec<Step>) -> Place) {
        let name = referenced(schema).map(str::to_owned);
        if name.as_ref().is_some_and(|name| self.stack.contains(name)) {
            return;
        }
        let is_named = name.is_some();
        self.stack.extend(name);
        let schema = self.resolved(schema);
        let below = |step: Step| path.iter().cloned().chain([step]).collect::<Vec<_>>();
        if !is_secret(&schema) {
            for (name, child) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
                self.walk(child, required.contains(name), below(Step::Field(name.clone())), place);
            }
            for (key, step) in [("items", Step::Items), ("additionalProperties", Step::Values)] {
                if let Some(child) = schema.get(key).filter(|child| child.is_object()) {
                    self.walk(child, true, below(step), place);
                }
            }
            for part in schema.get("allOf").and_then(Value::as_array).into_iter().flatten() {
                self.within(part, required, path, place);
            }
            for key in ["oneOf", "anyOf"] {
                for (index, part) in schema.get(key).and_then(Value::as_array).into_iter().flatten().enumerate() {
                    // Alternatives are named by type, because their order has no meaning.
                    let name = referenced(part).map_or_else(|| self.kind(part, 0), pascal);
                    let is_taken = self.places.contains_key(&place(below(Step::Option(name.clone()))));
                    let name = if is_taken { format!("{name} {}", index.saturating_add(1)) } else { name };
                    self.walk(part, true, below(Step::Option(name)), place);
                }
            }
        }
        if is_named {
            self.stack.pop();
        }
    }

    /// Returns the required properties of a schema and of all parts that `allOf` merges into it.
    fn required_properties(&self, schema: &Value, depth: usize) -> Vec<String> {
        let schema = self.resolved(schema);
        let mut names: Vec<String> = required(&schema).into_iter().map(str::to_owned).collect();
        if depth < MAX_DEPTH {
            for part in schema.get("allOf").and_then(Value::as_array).into_iter().flatten() {
                names.extend(self.required_properties(part, depth.saturating_add(1)));
            }
        }
        names
    }

    /// Returns the required properties in document order.
    fn required_in_order(&self, schema: &Value, required: &[String], depth: usize) -> Vec<String> {
        let schema = self.resolved(schema);
        let properties = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
        let mut names: Vec<String> =
            properties.map(|(name, _)| name).filter(|name| required.contains(name)).cloned().collect();
        if depth < MAX_DEPTH {
            for part in schema.get("allOf").and_then(Value::as_array).into_iter().flatten() {
                names.extend(self.required_in_order(part, required, depth.saturating_add(1)));
            }
        }
        names
    }

    fn fact(&self, schema: &Value, required: bool) -> Fact {
        let resolved = self.resolved(schema);
        let mut facets = BTreeMap::new();
        for key in KEYWORDS {
            // `format: password` is part of the kind. In the generated code, an optional field can
            // always be null.
            let is_redundant = |value: &&Value| {
                key == "format" && *value == "password" || key == "nullable" && !required && !self.is_published
            };
            if let Some(value) = resolved.get(key).filter(|value| !is_redundant(value)) {
                facets.insert(key, plain(value));
            }
        }
        if resolved.get("additionalProperties") == Some(&Value::Bool(false)) {
            facets.insert("additionalProperties", "false".into());
        }
        let values = resolved.get("enum").and_then(Value::as_array);
        let values = values.map(|values| values.iter().map(plain).collect());
        let order = self.required_in_order(schema, &self.required_properties(schema, 0), 0);
        Fact { required, kind: self.kind(schema, 0), values, facets, order, type_name: referenced(schema).map(pascal) }
    }

    /// Returns the kind of a schema in words, such as `list of text`.
    fn kind(&self, schema: &Value, depth: usize) -> String {
        let named = referenced(schema);
        let schema = self.resolved(schema);
        if is_secret(&schema) {
            // A secret in a named schema has a separate type.
            return named.map_or_else(|| "secret".into(), |name| format!("secret `{}`", pascal(name)));
        }
        if depth > 8 {
            return "…".into();
        }
        let inner = |key: &str| schema.get(key).map(|inner| self.kind(inner, depth.saturating_add(1)));
        match schema.get("type").and_then(Value::as_str) {
            Some("string") => "text".into(),
            Some("array") => format!("list of {}", inner("items").unwrap_or_default()),
            Some("object") | None if schema.get("properties").is_some() || schema.get("allOf").is_some() => {
                "object".into()
            }
            Some("object") => match schema.get("additionalProperties").filter(|inner| inner.is_object()) {
                Some(_) => format!("map of {}", inner("additionalProperties").unwrap_or_default()),
                None => "object of any form".into(),
            },
            Some(other) => other.to_owned(),
            None => match ["oneOf", "anyOf"].iter().find_map(|key| schema.get(key)?.as_array()) {
                Some(_) => "one of several types".into(),
                None => "any value".into(),
            },
        }
    }

    pub(super) fn resolved(&self, value: &Value) -> Value {
        resolve(self.document.get("components").unwrap_or(&Value::Null), value)
    }
}

/// The maximum depth to which nested `allOf` lists are followed.
const MAX_DEPTH: usize = 16;

/// Keywords that restrict or describe a value.
const KEYWORDS: [&str; 17] = [
    "format",
    "pattern",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minItems",
    "maxItems",
    "uniqueItems",
    "readOnly",
    "writeOnly",
    "default",
    "nullable",
    "deprecated",
];

/// Keywords of a parameter that determine how it is serialized.
const PARAMETER_KEYWORDS: [&str; 3] = ["style", "explode", "allowEmptyValue"];

fn required(schema: &Value) -> Vec<&str> {
    schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
}

/// Formats a JSON value as text, without quotes around a string.
pub(super) fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
