//! Models a document as a flat list of facts, so that two documents can be compared place by place.

use std::collections::BTreeMap;

use serde_json::Value;

use super::facts::{Facts, plain};
use super::place::{Fact, Place, Step};
use crate::generate::normalize::form::{Bodies, Normalized};
use crate::spec::schema::{self, field, json_key, pascal};

/// The facts about a document.
#[derive(Debug, Default)]
pub(super) struct Model {
    /// Facts about the whole document, keyed by name.
    pub(super) general: BTreeMap<&'static str, String>,
    /// The security schemes, keyed by name.
    pub(super) schemes: BTreeMap<String, String>,
    pub(super) operations: Vec<Operation>,
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
    pub(super) places: BTreeMap<Place, Fact>,
}

impl Model {
    /// Creates the model of a document as Flinks publishes it.
    pub(super) fn published(document: &Value) -> Self {
        let mut model = Self::new(document);
        for place in schema::operations(document) {
            let operation = document.pointer(&place.pointer()).unwrap_or(&Value::Null);
            let mut facts = Facts { document, is_published: true, places: BTreeMap::new(), stack: Vec::new() };
            let shared = document.pointer(&format!("{}/parameters", place.path_pointer()));
            for parameters in [shared, operation.get("parameters")].into_iter().flatten() {
                facts.parameters(parameters, &place.path);
            }
            facts.request(operation);
            for (status, response) in operation.get("responses").and_then(Value::as_object).into_iter().flatten() {
                let response = facts.resolved(response);
                let content = response.get("content").and_then(Value::as_object);
                let schema = content.and_then(|content| content.get(json_key(content)?)?.get("schema"));
                facts.response(status, schema);
            }
            model.operations.push(Operation::new(operation, &place, facts.places));
        }
        model
    }

    /// Creates the model of a normalized document, from which code is generated.
    pub(super) fn effective(normalized: &Normalized) -> Self {
        let document = &normalized.document;
        let mut model = Self::new(document);
        for (facts, place) in normalized.operations.iter().filter_map(|facts| {
            let place = schema::operations(document).into_iter().find(|place| place.pointer() == facts.pointer)?;
            Some((facts, place))
        }) {
            let operation = document.pointer(&place.pointer()).unwrap_or(&Value::Null);
            let mut all = Facts { document, is_published: false, places: BTreeMap::new(), stack: Vec::new() };
            all.parameters(operation.get("parameters").unwrap_or(&Value::Null), &place.path);
            all.request(operation);
            for body in [&facts.success, &facts.error].into_iter().flat_map(|bodies| &bodies.bodies) {
                all.response(&body.status, body.schema.as_deref().map(schema::reference).as_ref());
            }
            let mut operation = Operation::new(operation, &place, all.places);
            operation.general.insert("success type", type_of(&facts.success));
            operation.general.insert("error type", type_of(&facts.error));
            if !facts.credentials.is_empty() {
                operation.general.insert("credentials", facts.credentials.clone());
            }
            if let Some(seconds) = facts.timeout_seconds {
                operation.general.insert("time limit", format!("{seconds} seconds"));
            }
            if !facts.error_codes.is_empty() {
                operation.general.insert("list of error codes", facts.error_codes.join(", "));
            }
            model.operations.push(operation);
        }
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
        Self { general, schemes, operations: Vec::new() }
    }
}

/// Describes the type of an outcome. If the bodies of the outcome have different schemas, the type
/// is an enum with a variant for each status.
fn type_of(bodies: &Bodies) -> String {
    match (&bodies.union, bodies.bodies.iter().find_map(|body| body.schema.as_deref())) {
        (Some(union), _) => format!("`{}`, by status", pascal(union)),
        (None, Some(schema)) => format!("`{}`", pascal(schema)),
        (None, None) => "none".into(),
    }
}

impl Operation {
    fn new(operation: &Value, place: &schema::Place, places: BTreeMap<Place, Fact>) -> Self {
        let mut general = BTreeMap::new();
        if operation.get("deprecated") == Some(&Value::Bool(true)) {
            general.insert("deprecated", "yes".to_owned());
        }
        if let Some(content) = operation.pointer("/requestBody/content").and_then(Value::as_object) {
            general.insert("media type", content.keys().map(String::as_str).collect::<Vec<_>>().join(", "));
        }
        general.extend(operation.get("security").map(|security| ("security", security.to_string())));
        let id = operation.get("operationId").and_then(Value::as_str).unwrap_or_default().to_owned();
        Self { id, title: place.title(), general, places }
    }
}

impl Operation {
    /// Returns the name of the type whose field represents a place, and the Rust name of the field.
    /// The contents of a list or map belong to the field that contains the list or map.
    pub(super) fn holder(&self, place: &Place) -> Option<(String, String)> {
        let path = place.path()?;
        let depth = path.iter().rposition(|step| matches!(step, Step::Field(_)))?;
        let Some(Step::Field(name)) = path.get(depth) else { return None };
        let holder =
            place.parents().into_iter().find(|parent| parent.path().is_some_and(|path| path.len() == depth))?;
        Some((self.places.get(&holder)?.type_name.clone()?, field(name)))
    }
}
