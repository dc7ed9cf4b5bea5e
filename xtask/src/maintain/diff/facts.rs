//! Collects the facts about one operation in a document.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

use super::place::{Fact, Place, Step};
use super::tree::{EMPTY, Entry, Node};
use crate::generate::normalize::form::OtherBody;
use crate::spec::schema::{CHOICE_KEY, is_secret, pascal, referenced, resolve_ref, single_reference};

/// Reads the facts about the parameters and bodies in a document. Each schema is read once, even if
/// many bodies contain it.
pub(super) struct Facts<'a> {
    document: &'a Value,
    /// Whether the document is in the form that Flinks publishes rather than in the normal form.
    is_published: bool,
    pub(super) nodes: Vec<Node>,
    /// The nodes of the schemas that have been read. The keys are the addresses of the schemas in
    /// `document`.
    known: HashMap<Vec<usize>, usize>,
}

impl<'a> Facts<'a> {
    pub(super) fn new(document: &'a Value, is_published: bool) -> Self {
        Self { document, is_published, nodes: vec![Node::default()], known: HashMap::new() }
    }

    /// Adds to `places` the facts about the parameters in a list.
    pub(super) fn parameters(&self, parameters: &Value, path: &str, places: &mut BTreeMap<Place, Fact>) {
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
            // A parameter has no places inside it, so the facts about list entries belong to the
            // parameter.
            if let Some(items) = parameter.get("schema").and_then(|schema| self.resolved(schema).get("items")) {
                let items = self.fact(items, true);
                fact.values = fact.values.or(items.values);
                fact.type_name = fact.type_name.or(items.type_name);
            }
            places.insert(place, fact);
        }
    }

    /// Returns the body of a request.
    pub(super) fn request(&mut self, operation: &Value) -> Option<(Place, Entry)> {
        let body = self.resolved(operation.get("requestBody")?);
        let schema =
            body.get("content").and_then(Value::as_object).and_then(|content| content.values().next()?.get("schema"));
        let is_required = body.get("required") == Some(&Value::Bool(true));
        Some((Place::Request(Vec::new()), self.entry(schema.unwrap_or(&Value::Null), is_required)))
    }

    /// Returns the body of the response with this status.
    pub(super) fn response(
        &mut self,
        status: &str,
        schema: Option<&Value>,
        other: Option<&OtherBody>,
    ) -> (Place, Entry) {
        let place = Place::Response { statuses: vec![status.to_owned()], path: Vec::new() };
        let entry = match schema {
            Some(schema) => self.entry(schema, true),
            None => {
                let kind = other.map_or("no body", OtherBody::words).into();
                Entry { fact: Fact { kind, ..self.fact(&Value::Null, true) }, contents: EMPTY }
            }
        };
        (place, entry)
    }

    fn entry(&mut self, schema: &Value, required: bool) -> Entry {
        Entry { fact: self.fact(schema, required), contents: self.contents(&[schema]) }
    }

    /// Returns the node with the contents of several schemas that describe the same place.
    fn contents(&mut self, schemas: &[&Value]) -> usize {
        let components = self.document.get("components").unwrap_or(&Value::Null);
        let resolved = schemas.iter().map(|schema| resolve_ref(components, schema));
        let schemas: Vec<&Value> = resolved.filter(|schema| has_contents(schema)).collect();
        if schemas.is_empty() {
            return EMPTY;
        }
        let key: Vec<usize> = schemas.iter().map(|schema| std::ptr::from_ref(*schema).addr()).collect();
        if let Some(node) = self.known.get(&key) {
            return *node;
        }
        // A schema can contain itself, so the node is added before its children are read.
        let node = self.nodes.len();
        self.nodes.push(Node::default());
        self.known.insert(key, node);
        let mut children = BTreeMap::new();
        for schema in schemas {
            self.children(schema, &self.required_properties(schema, 0), 0, &mut children);
        }
        let children = children.into_iter().map(|(step, (fact, parts))| {
            let contents = self.contents(&parts);
            (step, Entry { fact, contents })
        });
        let children = children.collect();
        if let Some(node) = self.nodes.get_mut(node) {
            node.children = children;
        }
        node
    }

    /// Adds the places directly inside a schema, including those that `allOf` merges into it. If
    /// two parts describe the same place, the facts from the first part are used.
    fn children<'b>(
        &self,
        schema: &'b Value,
        required: &[String],
        depth: usize,
        children: &mut BTreeMap<Step, (Fact, Vec<&'b Value>)>,
    ) where
        'a: 'b,
    {
        let schema = self.resolved(schema);
        if is_secret(schema) || depth > MAX_DEPTH {
            return;
        }
        let mut add = |step: Step, child: &'b Value, required: bool| {
            children.entry(step).or_insert_with(|| (self.fact(child, required), Vec::new())).1.push(child);
        };
        for (name, child) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
            add(Step::Field(name.clone()), child, required.contains(name));
        }
        for (key, step) in [("items", Step::Items), ("additionalProperties", Step::Values)] {
            if let Some(child) = schema.get(key).filter(|child| child.is_object()) {
                add(step, child, true);
            }
        }
        for part in schema.get("allOf").and_then(Value::as_array).into_iter().flatten() {
            self.children(part, required, depth.saturating_add(1), children);
        }
        for key in ["oneOf", "anyOf", CHOICE_KEY] {
            for (index, part) in schema.get(key).and_then(Value::as_array).into_iter().flatten().enumerate() {
                // Alternatives are named by type, because their order has no meaning.
                let name = referenced(part).map_or_else(|| self.kind(part, 0), pascal);
                let is_taken = children.contains_key(&Step::Option(name.clone()));
                let name = if is_taken { format!("{name} {}", index.saturating_add(1)) } else { name };
                let fact = self.fact(part, true);
                children.entry(Step::Option(name)).or_insert_with(|| (fact, Vec::new())).1.push(part);
            }
        }
    }

    /// Returns the required properties of a schema and of all parts that `allOf` merges into it.
    fn required_properties(&self, schema: &Value, depth: usize) -> Vec<String> {
        let schema = self.resolved(schema);
        let mut names: Vec<String> = required(schema).into_iter().map(str::to_owned).collect();
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
        let around = self.resolved(schema);
        let named = single_reference(around).unwrap_or(schema);
        let resolved = self.resolved(named);
        let mut facets = BTreeMap::new();
        for key in KEYWORDS {
            // `format: password` is part of the kind. In the generated code, an optional field can
            // always be null.
            let is_redundant = |value: &&Value| {
                key == "format" && *value == "password" || key == "nullable" && !required && !self.is_published
            };
            if let Some(value) = around.get(key).or(resolved.get(key)).filter(|value| !is_redundant(value)) {
                facets.insert(key, plain(value));
            }
        }
        if resolved.get("additionalProperties") == Some(&Value::Bool(false)) {
            facets.insert("additionalProperties", "false".into());
        }
        let values = resolved.get("enum").and_then(Value::as_array);
        let values = values.map(|values| values.iter().map(plain).collect());
        let order = self.required_in_order(schema, &self.required_properties(schema, 0), 0);
        let kind = self.kind(schema, 0);
        let names = ["title", "x-rust-name"].map(|key| resolved.get(key).and_then(Value::as_str).map(str::to_owned));
        Fact { required, kind, values, facets, order, type_name: referenced(named).map(pascal), names }
    }

    /// Returns the kind of a schema in words, such as `list of text`.
    fn kind(&self, schema: &Value, depth: usize) -> String {
        let schema = single_reference(self.resolved(schema)).unwrap_or(schema);
        let named = referenced(schema);
        let schema = self.resolved(schema);
        if is_secret(schema) {
            // A secret in a named schema has a separate type.
            return named.map_or_else(|| "secret".into(), |name| format!("secret `{}`", pascal(name)));
        }
        if depth > 8 {
            return "…".into();
        }
        let inner = |key: &str| schema.get(key).map(|inner| self.kind(inner, depth.saturating_add(1)));
        match schema.get("type").and_then(Value::as_str) {
            _ if schema.get(CHOICE_KEY).is_some() => "one of several types or another value".into(),
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

    fn resolved<'b>(&self, value: &'b Value) -> &'b Value
    where
        'a: 'b,
    {
        resolve_ref(self.document.get("components").unwrap_or(&Value::Null), value)
    }
}

/// Returns whether a schema can contain other places.
fn has_contents(schema: &Value) -> bool {
    ["properties", "items", "additionalProperties", "allOf", "oneOf", "anyOf", CHOICE_KEY]
        .iter()
        .any(|key| schema.get(key).is_some())
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

/// Parameter keywords that determine how the value is serialized.
const PARAMETER_KEYWORDS: [&str; 3] = ["style", "explode", "allowEmptyValue"];

fn required(schema: &Value) -> Vec<&str> {
    schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
}

/// Formats a JSON value as text, without quotes around a string.
pub(super) fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
