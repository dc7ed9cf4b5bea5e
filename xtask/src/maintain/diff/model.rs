//! Models a document as a flat list of facts, so that two documents can be compared place by place.

use std::collections::BTreeMap;

use serde_json::Value;

use super::facts::{Facts, plain};
use super::place::{Fact, Place};
use super::tree::{Entry, Node};
use crate::generate::normalize::form::{Bodies, Normalized};
use crate::spec::schema::{self, json_key, pascal, resolve_ref};

/// The facts about a document.
#[derive(Debug, Default)]
pub(super) struct Model {
    /// Facts about the whole document, keyed by name.
    pub(super) general: BTreeMap<&'static str, String>,
    /// The security schemes, keyed by name.
    pub(super) schemes: BTreeMap<String, String>,
    pub(super) operations: Vec<Operation>,
    /// The contents of all bodies.
    pub(super) nodes: Vec<Node>,
}

/// The facts about an operation.
#[derive(Debug)]
pub(super) struct Operation {
    /// The `operationId` from which the Rust name is derived.
    pub(super) id: String,
    /// The method and the path, such as `POST /api/v1/token`.
    pub(super) title: String,
    /// Facts about the whole operation, keyed by name.
    pub(super) general: BTreeMap<&'static str, String>,
    /// The names of the success type and of the error type, keyed by the name of the fact that
    /// describes the type.
    pub(super) type_names: BTreeMap<&'static str, String>,
    pub(super) parameters: BTreeMap<Place, Fact>,
    pub(super) bodies: BTreeMap<Place, Entry>,
}

impl Model {
    /// Creates a model of a document in its published form.
    pub(super) fn published(document: &Value) -> Self {
        let mut model = Self::new(document);
        let mut facts = Facts::new(document, true);
        for place in schema::operations(document) {
            let description = document.pointer(&place.pointer()).unwrap_or(&Value::Null);
            let mut operation = Operation::new(description, &place);
            let shared = document.pointer(&format!("{}/parameters", place.path_pointer()));
            for parameters in [shared, description.get("parameters")].into_iter().flatten() {
                facts.parameters(parameters, &place.path, &mut operation.parameters);
            }
            operation.bodies.extend(facts.request(description));
            for (status, response) in description.get("responses").and_then(Value::as_object).into_iter().flatten() {
                let components = document.get("components").unwrap_or(&Value::Null);
                let content = resolve_ref(components, response).get("content").and_then(Value::as_object);
                let schema = content.and_then(|content| content.get(json_key(content)?)?.get("schema"));
                operation.bodies.extend([facts.response(status, schema, None)]);
            }
            model.operations.push(operation);
        }
        model.nodes = facts.nodes;
        model
    }

    /// Creates a model of the normalized document that code is generated from.
    pub(super) fn effective(normalized: &Normalized) -> Self {
        let document = &normalized.document;
        let mut model = Self::new(document);
        let places: BTreeMap<String, schema::Place> =
            schema::operations(document).into_iter().map(|place| (place.pointer(), place)).collect();
        let mut reader = Facts::new(document, false);
        for (facts, place) in
            normalized.operations.iter().filter_map(|facts| Some((facts, places.get(&facts.pointer)?)))
        {
            let description = document.pointer(&place.pointer()).unwrap_or(&Value::Null);
            let mut operation = Operation::new(description, place);
            let parameters = description.get("parameters").unwrap_or(&Value::Null);
            reader.parameters(parameters, &place.path, &mut operation.parameters);
            operation.bodies.extend(reader.request(description));
            for body in [&facts.success, &facts.error].into_iter().flat_map(|bodies| &bodies.bodies) {
                let schema = body.schema.as_deref().map(schema::reference);
                let (place, entry) = reader.response(&body.status, schema.as_ref(), body.other.as_ref());
                operation.bodies.entry(place).or_insert(entry);
            }
            for (key, bodies) in [("success type", &facts.success), ("error type", &facts.error)] {
                operation.general.insert(key, type_of(bodies));
                operation.type_names.extend(type_name(bodies).map(|name| (key, name)));
            }
            if !facts.credentials.is_empty() {
                operation.general.insert("credentials", facts.credentials.clone());
            }
            if !facts.scopes.is_empty() {
                operation.general.insert("list of OAuth scopes", facts.scope_words());
            }
            if let Some(seconds) = facts.timeout_seconds {
                operation.general.insert("time limit", format!("{seconds} seconds"));
            }
            if let Some(bytes) = facts.max_response_bytes {
                operation.general.insert("size limit of responses", format!("{bytes} bytes"));
            }
            if !facts.error_codes.is_empty() {
                operation.general.insert("list of error codes", facts.error_codes.join(", "));
            }
            if !facts.response_headers.is_empty() {
                operation.general.insert("list of response headers", facts.response_headers.join(", "));
            }
            if !facts.servers.is_empty() {
                operation.general.insert("list of servers", facts.servers.join(", "));
            }
            model.operations.push(operation);
        }
        model.nodes = reader.nodes;
        model
    }

    fn new(document: &Value) -> Self {
        let servers = document.get("servers").and_then(Value::as_array).into_iter().flatten();
        let servers: Vec<&str> = servers.filter_map(|server| server.get("url")?.as_str()).collect();
        let version = document.pointer("/info/version").map(plain);
        let mut general = BTreeMap::from([("list of servers", servers.join(", "))]);
        general.extend(version.map(|version| ("version of the document", version)));
        general.extend(document.get("security").map(|security| ("security", security.to_string())));
        let schemes = schema::object(document, "/components/securitySchemes").into_iter().flatten();
        let schemes = schemes.map(|(name, scheme)| {
            let keys = ["type", "scheme", "in", "name", "openIdConnectUrl"];
            let words: Vec<&str> = keys.iter().filter_map(|key| scheme.get(key)?.as_str()).collect();
            (name.clone(), words.join(" ").to_ascii_lowercase())
        });
        let schemes = schemes.collect();
        general.extend(
            document.get("openapi").and_then(Value::as_str).map(|version| ("OpenAPI version", version.to_owned())),
        );
        Self { general, schemes, operations: Vec::new(), nodes: Vec::new() }
    }
}

/// Describes the type of an outcome. If the bodies of the outcome have different schemas, the type
/// is an enum with a variant for each status.
fn type_of(bodies: &Bodies) -> String {
    let other = bodies.bodies.iter().find_map(|body| body.other.as_ref());
    match (type_name(bodies), other) {
        (Some(name), _) if bodies.union.is_some() => format!("`{name}`, by status"),
        (Some(name), _) => format!("`{name}`"),
        (None, Some(other)) => other.words().into(),
        (None, None) => "none".into(),
    }
}

/// Returns the name of an outcome's type.
fn type_name(bodies: &Bodies) -> Option<String> {
    let schema = bodies.bodies.iter().find_map(|body| body.schema.as_deref());
    bodies.union.as_deref().or(schema).map(pascal)
}

impl Operation {
    fn new(operation: &Value, place: &schema::Place) -> Self {
        let mut general = BTreeMap::new();
        if operation.get("deprecated") == Some(&Value::Bool(true)) {
            general.insert("deprecated", "yes".to_owned());
        }
        if let Some(content) = operation.pointer("/requestBody/content").and_then(Value::as_object) {
            general.insert("media type", content.keys().map(String::as_str).collect::<Vec<_>>().join(", "));
        }
        general.extend(operation.get("security").map(|security| ("security", security.to_string())));
        let id = operation.get("operationId").and_then(Value::as_str).unwrap_or_default().to_owned();
        Self {
            id,
            title: place.title(),
            general,
            type_names: BTreeMap::new(),
            parameters: BTreeMap::new(),
            bodies: BTreeMap::new(),
        }
    }
}
