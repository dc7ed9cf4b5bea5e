//! A document as a flat list of facts, so that two of them can be compared place by place.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::normalize::{Bodies, Normalized, json_key, resolve};
use crate::schema::{self, is_secret, pascal, referenced};

/// The facts of a document.
#[derive(Debug, Default)]
pub(super) struct Model {
    /// What holds for all operations, by what it is called.
    pub(super) general: BTreeMap<&'static str, String>,
    /// How callers say who they are, by the name of the scheme.
    pub(super) schemes: BTreeMap<String, String>,
    pub(super) operations: Vec<Operation>,
}

/// The facts of an operation.
#[derive(Debug)]
pub(super) struct Operation {
    /// Its name in Rust comes from this.
    pub(super) id: String,
    /// Such as `POST /api/v1/token`.
    pub(super) title: String,
    /// What holds for the whole of it, by what it is called.
    pub(super) general: BTreeMap<&'static str, String>,
    pub(super) places: BTreeMap<Place, Fact>,
}

/// Where something stands on the wire.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// By its place in the path rather than by its name, which is not on the wire.
    PathParameter(usize),
    Parameter {
        place: String,
        name: String,
    },
    Request(Vec<Step>),
    Reply {
        statuses: Vec<String>,
        path: Vec<Step>,
    },
}

/// One step into a body.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    Field(String),
    Items,
    Values,
    /// One of several, by the name of its type or else by its number.
    Option(String),
}

/// A path into a body, such as `a.b[].c{}`.
pub(super) fn path_text(path: &[Step]) -> String {
    let mut text = String::new();
    for step in path {
        match step {
            Step::Field(name) if text.is_empty() => text.push_str(name),
            Step::Field(name) => text.push_str(&format!(".{name}")),
            Step::Items => text.push_str("[]"),
            Step::Values => text.push_str("{}"),
            Step::Option(name) => text.push_str(&format!("({name})")),
        }
    }
    text
}

impl Place {
    /// Whether the client reads it. What is not read is sent.
    pub(super) fn is_received(&self) -> bool {
        matches!(self, Self::Reply { .. })
    }

    /// The way into the body; `None` for a parameter.
    pub(super) fn path(&self) -> Option<&[Step]> {
        match self {
            Self::Request(path) | Self::Reply { path, .. } => Some(path),
            Self::PathParameter(_) | Self::Parameter { .. } => None,
        }
    }

    /// Under what name the operation's type of a reply is.
    pub(super) fn outcome(&self) -> &'static str {
        match self {
            Self::Reply { statuses, .. } if !statuses.iter().all(|status| status.starts_with('2')) => "error type",
            _ => "success type",
        }
    }

    /// What it is a part of, nearest first.
    pub(super) fn parents(&self) -> Vec<Self> {
        let ends = |path: &[Step]| {
            (0..path.len()).rev().filter_map(|end| path.get(..end).map(<[Step]>::to_vec)).collect::<Vec<_>>()
        };
        match self {
            Self::Request(path) => ends(path).into_iter().map(Self::Request).collect(),
            Self::Reply { statuses, path } => {
                ends(path).into_iter().map(|path| Self::Reply { statuses: statuses.clone(), path }).collect()
            }
            Self::PathParameter(_) | Self::Parameter { .. } => Vec::new(),
        }
    }
}

/// What stands at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fact {
    pub(super) required: bool,
    /// In words, such as `list of text`.
    pub(super) kind: String,
    /// The values of a closed list.
    pub(super) values: Option<BTreeSet<String>>,
    /// Whatever else the document says, by its keyword.
    pub(super) facets: BTreeMap<&'static str, String>,
    /// The fields that must be there, in their order, which is that of a constructor's arguments.
    pub(super) order: Vec<String>,
    /// The name of the type.
    pub(super) type_name: Option<String>,
}

/// Keywords that say what a value may be.
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

/// Keywords of a parameter that say how it is written.
const PARAMETER_KEYWORDS: [&str; 3] = ["style", "explode", "allowEmptyValue"];

impl Model {
    /// A document as Flinks publishes it.
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
                facts.reply(status, schema);
            }
            model.operations.push(Operation::new(operation, &place, facts.places));
        }
        model
    }

    /// A document as code is made of it.
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
                all.reply(&body.status, body.schema.as_deref().map(schema::reference).as_ref());
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

/// The type of an outcome in words: one with several bodies is told apart by status.
fn type_of(bodies: &Bodies) -> String {
    match (&bodies.union, bodies.bodies.iter().find_map(|body| body.schema.as_deref())) {
        (Some(union), _) => format!("`{}`, by status", pascal(union)),
        (None, Some(schema)) => format!("`{}`", pascal(schema)),
        (None, None) => "nothing".into(),
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

struct Facts<'a> {
    document: &'a Value,
    is_published: bool,
    places: BTreeMap<Place, Fact>,
    /// The named schemas that are being walked: one of them again is left alone.
    stack: Vec<String>,
}

impl Facts<'_> {
    fn parameters(&mut self, parameters: &Value, path: &str) {
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

    fn request(&mut self, operation: &Value) {
        let Some(body) = operation.get("requestBody").map(|body| self.resolved(body)) else { return };
        let schema =
            body.get("content").and_then(Value::as_object).and_then(|content| content.values().next()?.get("schema"));
        let is_required = body.get("required") == Some(&Value::Bool(true));
        self.walk(schema.unwrap_or(&Value::Null), is_required, Vec::new(), &Place::Request);
    }

    fn reply(&mut self, status: &str, schema: Option<&Value>) {
        let place = |path| Place::Reply { statuses: vec![status.to_owned()], path };
        match schema {
            Some(schema) => self.walk(schema, true, Vec::new(), &place),
            None => {
                let fact = Fact { kind: "no body".into(), ..self.fact(&Value::Null, true) };
                self.places.insert(place(Vec::new()), fact);
            }
        }
    }

    fn walk(&mut self, schema: &Value, required: bool, path: Vec<Step>, place: &dyn Fn(Vec<Step>) -> Place) {
        let fact = self.fact(schema, required);
        self.places.entry(place(path.clone())).or_insert(fact);
        let all_required = self.merged_required(schema, 0);
        self.within(schema, &all_required, &path, place);
    }

    /// What lies in a schema: its parts, and the parts of all that is merged into it.
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
                    // The order of the alternatives means nothing.
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

    /// The properties that must be there, whichever of the merged parts says so.
    fn merged_required(&self, schema: &Value, depth: usize) -> Vec<String> {
        let schema = self.resolved(schema);
        let mut names: Vec<String> = required(&schema).into_iter().map(str::to_owned).collect();
        for part in schema.get("allOf").and_then(Value::as_array).into_iter().flatten().filter(|_| depth < 16) {
            names.extend(self.merged_required(part, depth.saturating_add(1)));
        }
        names
    }

    /// The same, in the order in which they are described.
    fn order(&self, schema: &Value, required: &[String], depth: usize) -> Vec<String> {
        let schema = self.resolved(schema);
        let properties = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
        let mut names: Vec<String> =
            properties.map(|(name, _)| name).filter(|name| required.contains(name)).cloned().collect();
        for part in schema.get("allOf").and_then(Value::as_array).into_iter().flatten().filter(|_| depth < 16) {
            names.extend(self.order(part, required, depth.saturating_add(1)));
        }
        names
    }

    fn fact(&self, schema: &Value, required: bool) -> Fact {
        let resolved = self.resolved(schema);
        let mut facets = BTreeMap::new();
        for key in KEYWORDS {
            // The mark is told by the kind; and in code, what may be missing may be null.
            let is_told = |value: &&Value| {
                key == "format" && *value == "password" || key == "nullable" && !required && !self.is_published
            };
            if let Some(value) = resolved.get(key).filter(|value| !is_told(value)) {
                facets.insert(key, plain(value));
            }
        }
        if resolved.get("additionalProperties") == Some(&Value::Bool(false)) {
            facets.insert("additionalProperties", "false".into());
        }
        let values = resolved.get("enum").and_then(Value::as_array);
        let values = values.map(|values| values.iter().map(plain).collect());
        let order = self.order(schema, &self.merged_required(schema, 0), 0);
        Fact { required, kind: self.kind(schema, 0), values, facets, order, type_name: referenced(schema).map(pascal) }
    }

    /// What a schema is, in words.
    fn kind(&self, schema: &Value, depth: usize) -> String {
        let named = referenced(schema);
        let schema = self.resolved(schema);
        if is_secret(&schema) {
            // A secret under a name is a type of its own.
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
                Some(_) => "one of several".into(),
                None => "anything".into(),
            },
        }
    }

    fn resolved(&self, value: &Value) -> Value {
        resolve(self.document.get("components").unwrap_or(&Value::Null), value)
    }
}

/// A value without the quotes of a text.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn required(schema: &Value) -> Vec<&str> {
    schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
}
