//! Stage 3: rules that are true for any document.
//!
//! What comes out has the same meaning as what went in, in the one form that the later stages know: every body is a
//! named schema, an operation has one type for success and one for errors, a secret is written exactly as
//! `{type: string, format: password}`, and prose is fit for rustdoc.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::prose::rustdoc;
use crate::schema::{self, Place, is_secret, pascal, reference, referenced};
use crate::suspects::EXCUSE;
use crate::{Error, Result, security};

/// A document in normal form, and what that form cannot say.
#[derive(Debug)]
pub struct Normalized {
    /// The document.
    pub document: Value,
    /// Its operations, in the order of the document. One without an `operationId` is left to the lint.
    pub operations: Vec<Operation>,
    /// Named schemas that are secrets: each becomes a type of its own.
    pub secret_types: BTreeSet<String>,
    /// Everything that is marked as secret.
    pub secrets: Vec<SecretPlace>,
    /// Properties of replies that count as absent if they cannot be read: the named schema, and the property.
    pub lenient: BTreeSet<(String, String)>,
    /// Where a named schema stood in the document as it was read, if it had no name there.
    pub origins: BTreeMap<String, Origin>,
}

impl Normalized {
    /// The successes and the errors of all operations.
    pub fn outcomes(&self) -> impl Iterator<Item = &Bodies> {
        self.operations.iter().flat_map(|operation| [&operation.success, &operation.error])
    }

    /// The names of the schemas that are bodies of replies.
    pub fn reply_schemas(&self) -> impl Iterator<Item = &str> {
        self.outcomes().flat_map(|bodies| &bodies.bodies).filter_map(|body| body.schema.as_deref())
    }
}

/// Where a schema stood.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The operation that it stood in, as messages call it.
    pub operation: Option<String>,
    /// Its JSON pointer.
    pub pointer: String,
    /// The schema as it was read, before its parts got names.
    raw: Value,
}

/// What later stages must know of an operation.
#[derive(Debug)]
pub struct Operation {
    /// Its `operationId`.
    pub id: String,
    /// Its JSON pointer.
    pub pointer: String,
    /// The `Content-Type` that a request without a body carries all the same (T2).
    pub content_type: Option<String>,
    /// How long it may take, where the default does not do.
    pub timeout_seconds: Option<u64>,
    /// The fields of a reply that hold an error code: a success never has one.
    pub error_codes: Vec<String>,
    /// What it asks its callers for by a security requirement, in words.
    pub credentials: String,
    /// Whether the document advises against it.
    pub deprecated: bool,
    /// What it returns.
    pub success: Bodies,
    /// What it fails with.
    pub error: Bodies,
}

/// The documented bodies of one outcome.
#[derive(Debug, Default)]
pub struct Bodies {
    /// One for each documented status.
    pub bodies: Vec<Body>,
    /// The name of the union, where the bodies are not all of one schema (T12).
    pub union: Option<String>,
}

/// A documented body.
#[derive(Clone, Debug)]
pub struct Body {
    /// A status such as `200`, or a range such as `4XX`.
    pub status: String,
    /// The name of its schema; `None` where it is documented without one.
    pub schema: Option<String>,
}

/// Where a secret is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SecretPlace {
    /// A property, or a value below it, of a named schema.
    Property {
        /// The schema.
        schema: String,
        /// The property, by its name on the wire.
        property: String,
    },
    /// A header parameter.
    Header {
        /// The `operationId`.
        operation: String,
        /// The header.
        name: String,
    },
}

impl std::fmt::Display for SecretPlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Property { schema, property } => write!(f, "{schema}.{property}"),
            Self::Header { operation, name } => write!(f, "{operation} header {name}"),
        }
    }
}

/// Brings a document into normal form.
///
/// # Errors
///
/// Where two schemas that differ would take one name, or a security requirement cannot become an argument.
pub fn normalize(mut document: Value) -> Result<Normalized> {
    sanitize_prose(&mut document);
    drop_excuses(&mut document);
    rewrite_secrets(&mut document);
    optional_may_be_null(&mut document);
    unwrap_single_parts(&mut document);
    let places = schema::operations(&document);
    let mut credentials = BTreeMap::new();
    for place in &places {
        inline_components(&mut document, place);
        credentials.insert(place.pointer(), security::write_out(&mut document, place)?);
    }
    relax_replies(&mut document, &places);
    let mut operations = Vec::new();
    let mut origins = BTreeMap::new();
    for place in places {
        let name = operation_name(&document_operation(&document, &place), &place);
        let origin = Origin { operation: Some(name), pointer: place.pointer(), raw: Value::Null };
        let operation = normalize_operation(&mut document, &place, &origin, &mut origins)?;
        operations.extend(operation.map(|operation| Operation {
            credentials: credentials.remove(&operation.pointer).unwrap_or_default(),
            ..operation
        }));
    }
    for item in
        document.pointer_mut("/paths").and_then(Value::as_object_mut).into_iter().flatten().map(|(_, item)| item)
    {
        item.as_object_mut().map(|item| item.shift_remove("parameters"));
    }
    name_nested_schemas(&mut document, &mut origins)?;
    let secret_types = secret_types(&document);
    let secrets = secrets(&document, &secret_types);
    let lenient = take_lenient(&mut document)?;
    Ok(Normalized { document, operations, secret_types, secrets, lenient, origins })
}

/// Takes the lists under `x-lenient` out of the named schemas.
fn take_lenient(document: &mut Value) -> Result<BTreeSet<(String, String)>> {
    let mut lenient = BTreeSet::new();
    let schemas = document.pointer_mut("/components/schemas").and_then(Value::as_object_mut);
    for (name, schema) in schemas.into_iter().flatten() {
        let Some(list) = schema.as_object_mut().and_then(|schema| schema.shift_remove(LENIENT)) else { continue };
        let is_required = |property: &str| {
            let required = schema.get("required").and_then(Value::as_array);
            required.is_some_and(|required| required.iter().any(|other| other == property))
        };
        let is_optional = |property: &str| {
            schema.get("properties").is_some_and(|properties| properties.get(property).is_some())
                && !is_required(property)
        };
        let properties: Option<Vec<&str>> = list.as_array().and_then(|list| list.iter().map(Value::as_str).collect());
        let Some(properties) = properties.filter(|list| list.iter().all(|property| is_optional(property))) else {
            return Err(Error::new(format!("`{LENIENT}` of `{name}` is not a list of its optional properties"))
                .at(format!("/components/schemas/{}", schema::escape(name)))
                .help("correct the overlay action that added it"));
        };
        lenient.extend(properties.into_iter().map(|property| (pascal(name), property.to_owned())));
    }
    Ok(lenient)
}

/// On an object: which of its optional properties count as absent if they cannot be read.
const LENIENT: &str = "x-lenient";

/// Puts the text of `description` and `summary` into the form that rustdoc takes, but not where these words are
/// names or data.
fn sanitize_prose(value: &mut Value) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                match (key.as_str(), value) {
                    ("description" | "summary", Value::String(text)) => *text = rustdoc(text),
                    ("example" | "examples" | "default" | "enum", _) => {}
                    // Keys of these are names, so `default` among them is none of the above.
                    (
                        "properties" | "schemas" | "responses" | "parameters" | "requestBodies" | "headers" | "paths",
                        Value::Object(named),
                    ) => named.values_mut().for_each(sanitize_prose),
                    (_, value) => sanitize_prose(value),
                }
            }
        }
        Value::Array(array) => array.iter_mut().for_each(sanitize_prose),
        _ => {}
    }
}

/// Forgets why a field is no secret: the lint has read it, and two schemas do not differ by it.
fn drop_excuses(value: &mut Value) {
    value.as_object_mut().map(|object| object.shift_remove(EXCUSE));
    for_each_part(value, drop_excuses);
}

/// Makes each marked schema exactly `{type: string, format: password}` (T4): typify compares the whole schema, so a
/// `maxLength` beside the mark would turn the secret into a plain string, without a word.
fn rewrite_secrets(value: &mut Value) {
    if is_secret(value) {
        let description = value.get("description").cloned();
        *value = json!({"type": "string", "format": "password"});
        if let (Some(object), Some(description)) = (value.as_object_mut(), description) {
            object.insert("description".into(), description);
        }
        return;
    }
    // A secret that may be null is one that may be missing.
    let nullable: Vec<String> = value
        .get("properties")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .filter(|(_, schema)| is_secret(schema) && schema.get("nullable") == Some(&Value::Bool(true)))
        .map(|(name, _)| name.clone())
        .collect();
    if let Some(required) = value.get_mut("required").and_then(Value::as_array_mut) {
        required.retain(|name| !nullable.iter().any(|nullable| name == nullable));
    }
    for_each_part(value, rewrite_secrets);
}

/// Takes `allOf` of one, with nothing but prose beside it, for that one: it is how OpenAPI 3.0 describes a reference.
fn unwrap_single_parts(value: &mut Value) {
    for_each_part(value, unwrap_single_parts);
    let Some(object) = value.as_object() else { return };
    let is_prose = |key: &String| ["allOf", "description", "title", "example", "externalDocs"].contains(&key.as_str());
    let part = object.get("allOf").and_then(Value::as_array).filter(|_| object.keys().all(is_prose));
    if let Some([part]) = part.map(Vec::as_slice).filter(|parts| parts.iter().all(Value::is_object)) {
        let mut part = part.clone();
        let texts = ["description", "title"].into_iter().filter_map(|key| Some((key, object.get(key)?.clone())));
        // Beside a reference, there is no place for a text.
        if let Some(part) = part.as_object_mut().filter(|part| !part.contains_key("$ref")) {
            texts.for_each(|(key, text)| {
                part.entry(key).or_insert(text);
            });
        }
        *value = part;
    }
}

/// Does something to all that lies directly in a value. Examples are no exception: a property may have that name, and
/// nothing reads the others.
fn for_each_part(value: &mut Value, act: fn(&mut Value)) {
    match value {
        Value::Object(object) => object.values_mut().for_each(act),
        Value::Array(array) => array.iter_mut().for_each(act),
        _ => {}
    }
}

/// Lets an optional list or map be null, as every other optional property may: typify would make it a collection that
/// null does not fit, and a reply would be lost over it (T13). One of several types is not made null twice.
fn optional_may_be_null(value: &mut Value) {
    let required = value.get("required").cloned().unwrap_or_default();
    let is_required =
        |name: &str| required.as_array().is_some_and(|required| required.iter().any(|other| other == name));
    for (name, schema) in value.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten() {
        let is_collection =
            schema.get("type").and_then(Value::as_str).is_some_and(|kind| matches!(kind, "array" | "object"));
        let is_choice = ["oneOf", "anyOf", "allOf"].iter().any(|key| schema.get(key).is_some());
        if let Some(schema) = schema.as_object_mut().filter(|_| is_choice && !is_required(name)) {
            schema.shift_remove("nullable");
        }
        if let Some(schema) = schema
            .as_object_mut()
            .filter(|schema| is_collection && !schema.contains_key("properties") && !is_required(name))
        {
            schema.insert("nullable".into(), Value::Bool(true));
        }
    }
    for_each_part(value, optional_may_be_null);
}

/// Writes out the parameters, bodies and responses that an operation refers to, so that the rules below meet one form.
fn inline_components(document: &mut Value, place: &Place) {
    let components = document.get("components").cloned().unwrap_or_default();
    let item = document.pointer_mut(&place.path_pointer()).and_then(Value::as_object_mut);
    let Some(item) = item else { return };
    let shared = item.get("parameters").cloned();
    let Some(operation) = item.get_mut(place.method).and_then(Value::as_object_mut) else { return };
    // A parameter of the path item holds for each of its operations, unless the operation has one of the same name
    // and place.
    if let Some(shared) = shared.as_ref().and_then(Value::as_array) {
        let own = operation.entry("parameters").or_insert_with(|| json!([]));
        if let Some(own) = own.as_array_mut() {
            let resolved: Vec<Value> = own.iter().map(|value| resolve(&components, value)).collect();
            for parameter in shared {
                let parameter = resolve(&components, parameter);
                let same = |other: &&Value| ["name", "in"].iter().all(|key| other.get(key) == parameter.get(key));
                if !resolved.iter().any(|other| same(&other)) {
                    own.push(parameter);
                }
            }
        }
    }
    for parameter in operation.get_mut("parameters").and_then(Value::as_array_mut).into_iter().flatten() {
        *parameter = resolve(&components, parameter);
    }
    if let Some(body) = operation.get_mut("requestBody") {
        *body = resolve(&components, body);
    }
    for (_, response) in operation.get_mut("responses").and_then(Value::as_object_mut).into_iter().flatten() {
        *response = resolve(&components, response);
    }
    // What the operation carries in a form of its own, for one server framework.
    operation.retain(|key, _| !key.starts_with("x-dropshot"));
}

/// Takes from what is received all that a later server might not keep to (T13): closed lists of values, bounds, lengths,
/// patterns, formats, and the promise that nothing is added. Text stays text, also in what is sent.
fn relax_replies(document: &mut Value, places: &[Place]) {
    let mut queue = Vec::new();
    for place in places {
        let responses = document.pointer_mut(&format!("{}/responses", place.pointer())).and_then(Value::as_object_mut);
        for (_, response) in responses.into_iter().flatten() {
            for (_, media) in response.get_mut("content").and_then(Value::as_object_mut).into_iter().flatten() {
                if let Some(schema) = media.get_mut("schema") {
                    relax(schema, &mut queue);
                }
            }
        }
    }
    let mut seen = BTreeSet::new();
    while let Some(name) = queue.pop() {
        let pointer = format!("/components/schemas/{}", schema::escape(&name));
        if seen.insert(name)
            && let Some(schema) = document.pointer_mut(&pointer)
        {
            relax(schema, &mut queue);
        }
    }
    let schemas = document.pointer_mut("/components/schemas").and_then(Value::as_object_mut);
    schemas.into_iter().flatten().for_each(|(_, schema)| drop_bounds(schema));
    for place in places {
        let content =
            document.pointer_mut(&format!("{}/requestBody/content", place.pointer())).and_then(Value::as_object_mut);
        for (_, media) in content.into_iter().flatten() {
            media.get_mut("schema").into_iter().for_each(drop_bounds);
        }
    }
}

fn relax(schema: &mut Value, queue: &mut Vec<String>) {
    queue.extend(referenced(schema).map(str::to_owned));
    if is_secret(schema) {
        return;
    }
    if let Some(schema) = schema.as_object_mut() {
        // A list of texts says what it is a list of.
        let values = schema.get("enum").and_then(Value::as_array);
        if values.is_some_and(|values| values.iter().all(Value::is_string)) && !schema.contains_key("type") {
            schema.insert("type".into(), "string".into());
        }
        let is_open = schema.get("additionalProperties") != Some(&Value::Bool(false));
        schema.retain(|key, _| match key.as_str() {
            "default" | "enum" | "format" | "pattern" | "minLength" | "maxLength" | "minimum" | "maximum"
            | "exclusiveMinimum" | "exclusiveMaximum" | "multipleOf" | "minItems" | "maxItems" | "uniqueItems" => false,
            "additionalProperties" => is_open,
            _ => true,
        });
    }
    schema::for_each_child(schema, &mut |child| relax(child, queue));
}

/// What a text looks like, and how many there are in a list, is the caller's business, and the server's to judge: typify
/// would make a type of each text that has a length, link an engine for a pattern, and fix the length of a list.
fn drop_bounds(schema: &mut Value) {
    let kind = schema.get("type").and_then(Value::as_str).filter(|_| !is_secret(schema));
    let bounds: &[&str] = match kind {
        Some("string") => &["format", "pattern", "minLength", "maxLength"],
        Some("array") => &["minItems", "maxItems", "uniqueItems"],
        _ => &[],
    };
    if let Some(schema) = schema.as_object_mut() {
        schema.retain(|key, _| !bounds.contains(&key.as_str()));
    }
    schema::for_each_child(schema, &mut drop_bounds);
}

/// What a reference into the components stands for. One that leads nowhere is left to the lint.
pub(crate) fn resolve(components: &Value, value: &Value) -> Value {
    let mut value = value;
    // Longer chains than this are loops.
    for _ in 0..16 {
        let target = value.get("$ref").and_then(Value::as_str).and_then(|text| text.strip_prefix("#/components"));
        match target.and_then(|pointer| components.pointer(pointer)) {
            Some(target) => value = target,
            None => break,
        }
    }
    value.clone()
}

fn document_operation(document: &Value, place: &Place) -> Value {
    document.pointer(&place.pointer()).cloned().unwrap_or_default()
}

/// How messages call an operation.
pub(crate) fn operation_name(operation: &Value, place: &Place) -> String {
    match operation.get("operationId").and_then(Value::as_str).filter(|id| !id.is_empty()) {
        Some(id) => format!("{id} ({})", place.title()),
        None => place.title(),
    }
}

fn normalize_operation(
    document: &mut Value,
    place: &Place,
    origin: &Origin,
    origins: &mut BTreeMap<String, Origin>,
) -> Result<Option<Operation>> {
    let pointer = place.pointer();
    let mut operation = document_operation(document, place);
    let Some(id) = operation.get("operationId").and_then(Value::as_str).map(str::to_owned) else { return Ok(None) };
    let mut names = Names { document, origin, origins };
    let content_type = drop_header_parameters(&names, &mut operation)?;
    name_parameters(&mut names, &mut operation, &id)?;
    if let Some(body) = operation.get_mut("requestBody") {
        // Several media types are left to the lint.
        let content = body.get_mut("content").and_then(Value::as_object_mut).filter(|content| content.len() == 1);
        for (media_type, content) in content.into_iter().flatten() {
            if let Some(schema) = content.get_mut("schema") {
                let at = format!("/requestBody/content/{}/schema", schema::escape(media_type));
                names.name(schema, &format!("{}Request", pascal(&id)), &at)?;
            }
        }
    }
    split_default_response(&mut operation);
    let success = normalize_responses(&mut names, &mut operation, &id, "Response", '2')?;
    let error = normalize_responses(&mut names, &mut operation, &id, "Error", '4')?;
    let content_type = content_type.filter(|_| operation.get("requestBody").is_none());
    let timeout_seconds = operation.get("x-timeout-seconds").and_then(Value::as_u64);
    let error_codes = error_codes(&names, &operation)?;
    let deprecated = operation.get("deprecated") == Some(&Value::Bool(true));
    if let Some(slot) = document.pointer_mut(&pointer) {
        *slot = operation;
    }
    let credentials = String::new();
    Ok(Some(Operation {
        id,
        pointer,
        content_type,
        timeout_seconds,
        error_codes,
        credentials,
        deprecated,
        success,
        error,
    }))
}

/// The names under `x-error-codes`.
fn error_codes(names: &Names<'_>, operation: &Value) -> Result<Vec<String>> {
    let Some(codes) = operation.get("x-error-codes") else { return Ok(Vec::new()) };
    let is_list = || codes.as_array()?.iter().map(|name| Some(name.as_str()?.to_owned())).collect();
    let list: Option<Vec<String>> = is_list();
    list.filter(|list| list.iter().all(|name| !name.is_empty()))
        .ok_or_else(|| names.error("/x-error-codes", "it must be a list of the names of fields".to_owned()))
}

/// Drops header parameters named Accept, Content-Type and Authorization, which OpenAPI 3.0.3 says to ignore (T2), but
/// for one that is marked as a secret. Returns the `Content-Type` that was asked for.
fn drop_header_parameters(names: &Names<'_>, operation: &mut Value) -> Result<Option<String>> {
    let body = operation.pointer("/requestBody/content").and_then(Value::as_object);
    let body = body.and_then(|content| content.keys().next().cloned());
    let Some(parameters) = operation.get_mut("parameters").and_then(Value::as_array_mut) else { return Ok(None) };
    let mut content_type = None;
    let mut kept = Vec::new();
    for (index, parameter) in std::mem::take(parameters).into_iter().enumerate() {
        let name = parameter.get("name").and_then(Value::as_str).unwrap_or_default().to_ascii_lowercase();
        let schema = parameter.get("schema").cloned().unwrap_or_default();
        if !schema::is_ignored_header(&parameter) || names.is_secret(&schema) {
            kept.push(parameter);
            continue;
        }
        let asked = schema.get("default").or_else(|| schema.pointer("/enum/0")).and_then(Value::as_str);
        let sent = match name.as_str() {
            "content-type" => body.as_deref().unwrap_or("application/json"),
            _ => "application/json",
        };
        if name != "authorization" && asked.is_some_and(|asked| asked != sent && asked != "*/*") {
            let message = format!("the header `{name}` asks for another media type than {sent}, which is sent");
            return Err(names
                .error(&format!("/parameters/{index}/schema"), message)
                .help("correct it by an overlay action"));
        }
        if name == "content-type" {
            content_type = Some(sent.to_owned());
        }
    }
    *parameters = kept;
    Ok(content_type)
}

/// Gives each parameter that is a list of values a named type, which must not meet another. A parameter that is null is
/// one that is not sent, and what its text looks like is the caller's business, but for a UUID, which is a type.
fn name_parameters(names: &mut Names<'_>, operation: &mut Value, id: &str) -> Result<()> {
    let parameters = operation.get_mut("parameters").and_then(Value::as_array_mut);
    for (index, parameter) in parameters.into_iter().flatten().enumerate() {
        let name = parameter.get("name").and_then(Value::as_str).map(pascal);
        let (Some(name), Some(schema)) = (name, parameter.get_mut("schema")) else { continue };
        let is_uuid = schema.get("format").and_then(Value::as_str) == Some("uuid");
        drop_bounds(schema);
        if let Some(schema) = schema.as_object_mut().filter(|_| is_uuid) {
            schema.insert("format".into(), "uuid".into());
        }
        schema.as_object_mut().map(|schema| schema.shift_remove("nullable"));
        if needs_a_name(schema) {
            names.name(schema, &format!("{}{name}", pascal(id)), &format!("/parameters/{index}/schema"))?;
        }
    }
    Ok(())
}

/// progenitor takes `default` for success and for error. Beside a documented success it means the errors.
fn split_default_response(operation: &mut Value) {
    let Some(responses) = operation.get_mut("responses").and_then(Value::as_object_mut) else { return };
    if !responses.keys().any(|status| status.starts_with('2')) {
        return;
    }
    if let Some(default) = responses.shift_remove("default") {
        for range in ["4XX", "5XX"] {
            responses.entry(range).or_insert_with(|| default.clone());
        }
    }
}

/// `application/problem+json` and its kind are JSON.
fn json_media_type(holder: &mut Value) {
    let Some(content) = holder.get_mut("content").and_then(Value::as_object_mut) else { return };
    if let Some(key) = json_key(content).filter(|key| *key != JSON).map(str::to_owned)
        && let Some(value) = content.shift_remove(&key)
    {
        content.insert(JSON.into(), value);
    }
}

const JSON: &str = "application/json";

/// The media type of an answer that is read.
pub(crate) fn json_key(content: &Map<String, Value>) -> Option<&str> {
    let is_json = |media_type: &&str| {
        let media_type = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        media_type == JSON || media_type.ends_with("+json")
    };
    let mut keys = content.keys().map(String::as_str);
    if content.contains_key(JSON) { Some(JSON) } else { keys.find(is_json) }
}

/// Gives the bodies of one outcome names, and the operation one type for all of them: their one schema, or a union by
/// status (T1, T12).
fn normalize_responses(
    names: &mut Names<'_>,
    operation: &mut Value,
    id: &str,
    suffix: &str,
    class: char,
) -> Result<Bodies> {
    let Some(responses) = operation.get_mut("responses").and_then(Value::as_object_mut) else {
        return Ok(Bodies::default());
    };
    let is_error = class == '4';
    let of_class = |status: &str| status.starts_with(class) || is_error && status.starts_with('5');
    let name = format!("{}{suffix}", pascal(id));
    let mut bodies = Vec::new();
    let mut known: Vec<(Value, String)> = Vec::new();
    let ours = responses.iter().filter(|(status, _)| of_class(status)).map(|(_, response)| response);
    let distinct = count_distinct(ours, !is_error);
    for (status, response) in responses.iter_mut().filter(|(status, _)| of_class(status)) {
        json_media_type(response);
        if is_error {
            // The body of an error that is not JSON is never read.
            drop_other_content(response);
        }
        let Some(schema) = response.pointer_mut("/content/application~1json/schema") else {
            bodies.push(Body { status: status.clone(), schema: None });
            continue;
        };
        let plain = without_prose(schema);
        let schema_name = match known.iter().find(|(other, _)| *other == plain) {
            // Equal bodies within one operation are one type.
            Some((_, name)) => {
                *schema = reference(name);
                name.clone()
            }
            None => {
                let wanted = if distinct > 1 { format!("{name}{status}") } else { name.clone() };
                let at = format!("/responses/{status}/content/application~1json/schema");
                let name = names.name(schema, &wanted, &at)?;
                known.push((plain, name.clone()));
                name
            }
        };
        bodies.push(Body { status: status.clone(), schema: Some(schema_name) });
    }
    if is_error && bodies.iter().any(|body| body.schema.is_some()) {
        // A status that is documented without a body is tried as the operation's error like any other (A6).
        bodies.retain(|body| body.schema.is_some());
        responses.retain(|status, response| !of_class(status) || response.get("content").is_some());
    }
    let schemas: BTreeSet<_> = bodies.iter().map(|body| &body.schema).collect();
    if schemas.len() < 2 {
        return Ok(Bodies { bodies, union: None });
    }
    // progenitor takes one type for all statuses: a stand-in, which `harden` makes a union by status.
    names.reserve(
        &name,
        &format!("/responses (the union of its {} bodies)", if is_error { "error" } else { "success" }),
    )?;
    for (_, response) in responses.iter_mut().filter(|(status, _)| of_class(status)) {
        *response = json!({"description": "", "content": {"application/json": {"schema": reference(&name)}}});
    }
    Ok(Bodies { bodies, union: Some(name) })
}

/// How many bodies there are that differ. No body is one of them, where it is told apart.
fn count_distinct<'a>(responses: impl Iterator<Item = &'a Value>, with_none: bool) -> usize {
    let mut distinct: Vec<Option<Value>> = Vec::new();
    for response in responses {
        let mut response = response.clone();
        json_media_type(&mut response);
        let body = response.pointer("/content/application~1json/schema").map(without_prose);
        if (body.is_some() || with_none) && !distinct.contains(&body) {
            distinct.push(body);
        }
    }
    distinct.len()
}

fn drop_other_content(response: &mut Value) {
    if let Some(response) = response.as_object_mut()
        && response.get("content").and_then(|content| content.get("application/json")).is_none()
    {
        response.shift_remove("content");
    }
}

/// A schema without what does not change its meaning.
fn without_prose(schema: &Value) -> Value {
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

/// Hands out names of schemas.
struct Names<'a> {
    document: &'a mut Value,
    /// What the pointers that are handed in start from.
    origin: &'a Origin,
    origins: &'a mut BTreeMap<String, Origin>,
}

impl Names<'_> {
    /// Moves an inline schema to the components, under its `title` or else the name `wanted`, and leaves a reference.
    /// Returns the name.
    fn name(&mut self, schema: &mut Value, wanted: &str, at: &str) -> Result<String> {
        if let Some(name) = referenced(schema) {
            return Ok(name.to_owned());
        }
        if schema.get("$ref").is_some() {
            return Ok(wanted.to_owned()); // leads elsewhere: the lint says so
        }
        let title = schema.get("title").and_then(Value::as_str).map(pascal).filter(|title| !title.is_empty());
        let name = title.clone().unwrap_or_else(|| wanted.to_owned());
        if !schema::is_type_name(&name) {
            return Err(self.error(at, format!("`{name}` cannot be the name of a type in Rust")));
        }
        let mut named = std::mem::replace(schema, reference(&name));
        if let Some(named) = named.as_object_mut() {
            named.shift_remove("title");
        }
        let plain = without_prose(&named);
        let other = schema::find(self.document, &name)
            .map(|schema| self.origins.get(&name).map_or_else(|| without_prose(schema), |origin| origin.raw.clone()));
        match other {
            // Two schemas that were given one title on purpose, and are equal.
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

    /// Takes a name for a schema that has no form in the document.
    fn reserve(&mut self, name: &str, at: &str) -> Result<()> {
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

    fn error(&self, at: &str, message: String) -> Error {
        let error = Error::new(message)
            .at(format!("{}{at}", self.origin.pointer))
            .help("give this schema a `title` of its own by an overlay action");
        match &self.origin.operation {
            Some(operation) => error.in_operation(operation),
            None => error,
        }
    }

    fn is_secret(&self, schema: &Value) -> bool {
        match referenced(schema).and_then(|name| schema::find(self.document, name)) {
            Some(named) => is_secret(named),
            None => is_secret(schema),
        }
    }
}

/// Gives every object and enum within a named schema a name of its own, from where it stands: typify would name them
/// the same way, but would merge two that meet in a name (T1).
fn name_nested_schemas(document: &mut Value, origins: &mut BTreeMap<String, Origin>) -> Result<()> {
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

fn needs_a_name(schema: &Value) -> bool {
    let has = |key: &str| schema.get(key).is_some();
    !has("$ref") && (has("properties") || has("enum") || has("oneOf") || has("anyOf") || has("allOf"))
}

fn secret_types(document: &Value) -> BTreeSet<String> {
    let schemas = schema::object(document, "/components/schemas").into_iter().flatten();
    schemas.filter(|(_, schema)| is_secret(schema)).map(|(name, _)| name.clone()).collect()
}

/// The marks, each under the schema whose type will hold it.
fn secrets(document: &Value, secret_types: &BTreeSet<String>) -> Vec<SecretPlace> {
    let is_marked =
        |schema: &Value| is_secret(schema) || referenced(schema).is_some_and(|name| secret_types.contains(name));
    fn any(schema: &Value, is_marked: &dyn Fn(&Value) -> bool) -> bool {
        is_marked(schema) || schema::children(schema).iter().any(|(_, child)| any(child, is_marked))
    }
    let mut secrets = Vec::new();
    for (name, schema) in schema::object(document, "/components/schemas").into_iter().flatten() {
        let merged = schema.get("allOf").and_then(Value::as_array).into_iter().flatten();
        for properties in std::iter::once(schema).chain(merged).filter_map(|part| part.get("properties")?.as_object()) {
            let marked = properties.iter().filter(|(_, child)| any(child, &is_marked));
            secrets.extend(
                marked.map(|(property, _)| SecretPlace::Property { schema: pascal(name), property: property.clone() }),
            );
        }
    }
    for place in schema::operations(document) {
        let operation = document_operation(document, &place);
        let id = operation.get("operationId").and_then(Value::as_str).unwrap_or_default();
        for parameter in operation.get("parameters").and_then(Value::as_array).into_iter().flatten() {
            if parameter.get("schema").is_some_and(&is_marked)
                && let Some(name) = parameter.get("name").and_then(Value::as_str)
            {
                secrets.push(SecretPlace::Header { operation: id.to_owned(), name: name.to_owned() });
            }
        }
    }
    secrets.sort();
    secrets
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(operation: Value, components: Value) -> Value {
        json!({
            "openapi": "3.0.3",
            "info": {"title": "t", "version": "1"},
            "paths": {"/x": {"post": operation}},
            "components": components,
        })
    }

    fn json_body(schema: Value) -> Value {
        json!({"description": "", "content": {"application/json": {"schema": schema}}})
    }

    #[test]
    fn t01_success_and_error_get_names_of_their_own() {
        let operation = json!({"operationId": "getToken", "responses": {
            "200": json_body(json!({"type": "object", "properties": {"a": {"type": "string"}}})),
            "401": json_body(json!({"type": "object", "properties": {"b": {"type": "string"}}})),
            "5XX": json_body(json!({"type": "object", "description": "other prose", "properties": {"b": {"type": "string"}}})),
        }});
        let normalized = normalize(document(operation, json!({}))).unwrap();
        let schemas = schema::object(&normalized.document, "/components/schemas").unwrap();
        assert_eq!(schemas.keys().collect::<Vec<_>>(), ["GetTokenResponse", "GetTokenError"]);
        let operation = &normalized.operations[0];
        assert_eq!(operation.success.bodies[0].schema.as_deref(), Some("GetTokenResponse"));
        assert!(operation.error.bodies.iter().all(|body| body.schema.as_deref() == Some("GetTokenError")));
        assert!(operation.error.union.is_none());
    }

    #[test]
    fn t02_accept_and_content_type_are_no_arguments() {
        let header =
            |name: &str, schema: Value| json!({"name": name, "in": "header", "required": true, "schema": schema});
        let operation = json!({"operationId": "x", "responses": {}, "parameters": [
            header("Accept", json!({"type": "string"})),
            header("content-type", json!({"type": "string", "default": "application/json"})),
            header("Authorization", json!({"type": "string"})),
            header("flinks-auth-key", json!({"type": "string"})),
        ]});
        let normalized = normalize(document(operation.clone(), json!({}))).unwrap();
        let left = &normalized.document["paths"]["/x"]["post"]["parameters"];
        assert_eq!(left.as_array().unwrap().len(), 1);
        assert_eq!(left[0]["name"], "flinks-auth-key");
        assert_eq!(normalized.operations[0].content_type.as_deref(), Some("application/json"));

        let mut marked = operation;
        marked["parameters"][2]["schema"] = json!({"type": "string", "format": "password"});
        let normalized = normalize(document(marked, json!({}))).unwrap();
        assert_eq!(normalized.secrets.len(), 1);
        assert_eq!(normalized.secrets[0].to_string(), "x header Authorization");
    }

    #[test]
    fn t04_a_mark_is_the_whole_schema() {
        let schemas = json!({"schemas": {"Reply": {"type": "object", "required": ["a", "b"], "properties": {
            "a": {"type": "string", "format": "password", "maxLength": 9, "x-y": 1, "description": "d", "nullable": true},
            "b": {"type": "object", "additionalProperties": {"type": "array", "items": {"type": "string", "format": "password", "minLength": 1}}},
            "c": {"type": "string"},
            "example": {"type": "string", "format": "password", "maxLength": 9},
        }}}});
        let normalized = normalize(document(json!({"operationId": "x", "responses": {}}), schemas)).unwrap();
        let reply = &normalized.document["components"]["schemas"]["Reply"];
        assert_eq!(reply["properties"]["a"], json!({"type": "string", "format": "password", "description": "d"}));
        assert_eq!(reply["required"], json!(["b"]));
        let secrets: Vec<String> = normalized.secrets.iter().map(ToString::to_string).collect();
        assert_eq!(secrets, ["Reply.a", "Reply.b", "Reply.example"]);
        assert_eq!(reply["properties"]["example"], json!({"type": "string", "format": "password"}));
    }

    #[test]
    fn t10_lenient_properties_are_optional_ones() {
        let lenient = |list: Value| {
            let reply = json!({"type": "object", "required": ["a"], "x-lenient": list,
                "properties": {"a": {"type": "string"}, "b": {"type": "integer"}}});
            let operation = json!({"operationId": "x", "responses": {"200": json_body(reply)}});
            normalize(document(operation, json!({})))
        };
        let normalized = lenient(json!(["b"])).unwrap();
        assert_eq!(normalized.lenient, [("XResponse".to_owned(), "b".to_owned())].into());
        assert_eq!(normalized.document["components"]["schemas"]["XResponse"].get("x-lenient"), None);
        for bad in [json!("b"), json!(["a"]), json!(["c"]), json!([1])] {
            assert_eq!(lenient(bad).unwrap_err().pointer(), Some("/components/schemas/XResponse"));
        }
    }

    #[test]
    fn error_codes_are_a_list_of_names() {
        let codes = |codes: Value| {
            let operation = json!({"operationId": "x", "responses": {}, "x-error-codes": codes});
            normalize(document(operation, json!({}))).map(|normalized| normalized.operations[0].error_codes.clone())
        };
        assert_eq!(codes(json!(["error", "code"])).unwrap(), ["error", "code"]);
        for bad in [json!("error"), json!([1]), json!([""]), json!({})] {
            assert_eq!(codes(bad).unwrap_err().pointer(), Some("/paths/~1x/post/x-error-codes"));
        }
    }

    #[test]
    fn t12_several_success_bodies_become_a_union_by_status() {
        let operation = json!({"operationId": "x", "responses": {
            "200": json_body(json!({"title": "XSession", "type": "object", "properties": {"a": {"type": "string"}}})),
            "203": json_body(json!({"type": "object", "properties": {"b": {"type": "string"}}})),
            "204": {"description": ""},
        }});
        let normalized = normalize(document(operation, json!({}))).unwrap();
        let success = &normalized.operations[0].success;
        assert_eq!(success.union.as_deref(), Some("XResponse"));
        let schemas: Vec<_> = success.bodies.iter().map(|body| body.schema.as_deref()).collect();
        assert_eq!(schemas, [Some("XSession"), Some("XResponse203"), None]);
    }

    #[test]
    fn t12_a_body_and_none_are_two_replies() {
        let operation = json!({"operationId": "x", "responses": {
            "200": json_body(json!({"type": "object", "properties": {"a": {"type": "string"}}})),
            "204": {"description": ""},
            "400": {"description": ""},
            "401": json_body(json!({"type": "object", "properties": {"b": {"type": "string"}}})),
        }});
        let normalized = normalize(document(operation, json!({}))).unwrap();
        let Operation { success, error, .. } = &normalized.operations[0];
        assert_eq!(success.union.as_deref(), Some("XResponse"));
        assert_eq!(success.bodies[0].schema.as_deref(), Some("XResponse200"));
        assert_eq!((error.union.as_deref(), error.bodies.len()), (None, 1));
        assert_eq!(error.bodies[0].schema.as_deref(), Some("XError"));
    }

    #[test]
    fn default_beside_a_success_means_the_errors() {
        let operation = json!({"operationId": "x", "responses": {
            "200": json_body(json!({"type": "object", "properties": {"a": {"type": "string"}}})),
            "default": json_body(json!({"type": "object", "properties": {"b": {"type": "string"}}})),
        }});
        let normalized = normalize(document(operation, json!({}))).unwrap();
        let statuses: Vec<_> = normalized.operations[0].error.bodies.iter().map(|body| body.status.as_str()).collect();
        assert_eq!(statuses, ["4XX", "5XX"]);
    }

    #[test]
    fn t13_a_reply_is_not_held_to_what_a_later_server_may_change() {
        let closed = json!({"type": "object", "additionalProperties": false, "required": ["a"], "properties": {
            "a": {"type": "string", "enum": ["x"], "format": "date-time", "maxLength": 1},
            "b": {"type": "integer", "format": "int32", "minimum": 1, "default": 7},
            "c": {"type": "string", "format": "password"},
            "d": {"enum": ["x"]},
        }});
        let operation = json!({"operationId": "x",
            "requestBody": {"content": {"application/json": {"schema": closed}}},
            "responses": {"200": json_body(json!({"$ref": "#/components/schemas/Reply"}))}});
        let document = normalize(document(operation, json!({"schemas": {"Reply": closed}}))).unwrap().document;
        let properties = |name: &str| document["components"]["schemas"][name]["properties"].clone();
        assert_eq!(
            properties("Reply"),
            json!({"a": {"type": "string"}, "b": {"type": "integer"}, "c": {"type": "string", "format": "password"}, "d": {"type": "string"}})
        );
        assert_eq!(document["components"]["schemas"]["Reply"].get("additionalProperties"), None);
        // What is sent keeps its closed lists; a format is the caller's.
        assert_eq!(document["components"]["schemas"]["XRequestA"]["enum"], json!(["x"]));
        assert_eq!(document["components"]["schemas"]["XRequestA"].get("format"), None);
    }

    #[test]
    fn nested_schemas_get_names_and_never_meet_in_one() {
        let nested = json!({"type": "object", "properties": {"in": {"type": "object", "properties": {"deep": {"enum": ["d"]}}}}});
        let components = json!({"schemas": {"Out": nested}});
        let operation = json!({"operationId": "x", "responses": {}});
        let normalized = normalize(document(operation.clone(), components.clone())).unwrap();
        let schemas = schema::object(&normalized.document, "/components/schemas").unwrap();
        assert_eq!(schemas.keys().collect::<Vec<_>>(), ["Out", "OutIn", "OutInDeep"]);

        let mut meets = components;
        meets["schemas"]["OutIn"] = json!({"type": "string"});
        let error = normalize(document(operation, meets)).unwrap_err();
        assert_eq!(error.pointer(), Some("/components/schemas/Out/properties/in"));
    }

    #[test]
    fn equal_schemas_of_one_title_are_one_also_where_they_have_parts() {
        let link = json!({"title": "Link", "type": "object", "properties": {"x": {"type": "object", "properties": {"y": {"type": "string"}}}}});
        let reply =
            |extra: &str| json_body(json!({"type": "object", "properties": {"link": link, extra: {"type": "string"}}}));
        let operation = json!({"operationId": "x", "responses": {"200": reply("a"), "203": reply("b")}});
        let normalized = normalize(document(operation, json!({}))).unwrap();
        let schemas = schema::object(&normalized.document, "/components/schemas").unwrap();
        assert!(schemas.contains_key("Link") && schemas.contains_key("LinkX") && schemas.len() == 5, "{schemas:?}");
    }

    #[test]
    fn parameters_of_the_path_and_components_are_written_out() {
        let mut document = document(
            json!({"operationId": "x", "responses": {"200": {"$ref": "#/components/responses/R"}},
                "parameters": [{"name": "a", "in": "path", "required": true, "schema": {"type": "integer"}}]}),
            json!({"parameters": {"P": {"name": "b", "in": "query", "schema": {"type": "string"}}},
                "responses": {"R": {"description": "r"}}}),
        );
        document["paths"]["/x"]["parameters"] = json!([{"name": "a", "in": "path", "required": true, "schema": {"type": "string"}}, {"$ref": "#/components/parameters/P"}]);
        let normalized = normalize(document).unwrap();
        let operation = &normalized.document["paths"]["/x"]["post"];
        let names: Vec<_> = operation["parameters"].as_array().unwrap().iter().map(|p| &p["name"]).collect();
        assert_eq!(names, ["a", "b"]);
        assert_eq!(operation["parameters"][0]["schema"]["type"], "integer");
        assert_eq!(operation["responses"]["200"]["description"], "r");
    }
}
