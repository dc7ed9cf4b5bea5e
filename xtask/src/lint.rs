//! Stage 4: what progenitor would panic at, or lose without a word, found before it is called.
//!
//! The part that the stage before it relies on, the shape of the document and the ids of its operations, comes first.

use std::collections::{BTreeMap, BTreeSet};

use heck::ToSnakeCase as _;
use openapiv3::OpenAPI;
use serde_json::Value;

use crate::error::pointer_of;
use crate::normalize::{Normalized, operation_name};
use crate::schema::{self, Place, escape, referenced};
use crate::{Error, Result, security};

/// Checks that a document is an OpenAPI 3.0 document with operations that can be told apart.
///
/// # Errors
///
/// Where it is not, with JSON pointer and a way out.
pub fn outline(document: &Value) -> Result<()> {
    check_outline(document).map_err(|error| error.or_help(CORRECT))
}

/// What can be done about anything that has no better way out.
const CORRECT: &str = "no client can be made of what stands here: correct it, or remove it, by an overlay action";

fn check_outline(document: &Value) -> Result<()> {
    check_shape(document)?;
    check_marks(document, "")?;
    check_addresses(document)?;
    let schemas = schema::object(document, "/components/schemas").into_iter().flatten();
    if let Some((name, _)) = schemas.into_iter().find(|(name, _)| !schema::is_type_name(name)) {
        return Err(Error::new(format!("`{name}` cannot be the name of a type in Rust"))
            .at(format!("/components/schemas/{}", escape(name)))
            .help("give the schema another name by overlay actions, there and where it is referred to"));
    }
    let places = schema::operations(document);
    if places.is_empty() {
        return Err(Error::new("describes no operation").at("/paths"));
    }
    check_ids(document, &places)
}

/// Checks a document in normal form, and reads it into the types that progenitor takes.
///
/// # Errors
///
/// The first thing that the generator could not take as it is, with operation, JSON pointer and a way out.
pub fn lint(normalized: &Normalized) -> Result<OpenAPI> {
    check_all(normalized).map_err(|error| error.or_help(CORRECT))
}

fn check_all(normalized: &Normalized) -> Result<OpenAPI> {
    let document = &normalized.document;
    for place in &schema::operations(document) {
        let operation = document.pointer(&place.pointer()).cloned().unwrap_or_default();
        let linter = Linter { normalized, place, operation: &operation };
        linter.check().map_err(|error| error.in_operation(operation_name(&operation, place)))?;
    }
    check_named_schemas(normalized)?;
    serde_path_to_error::deserialize(document).map_err(|error| {
        let pointer = pointer_of(error.path());
        Error::new(format!("is not an OpenAPI 3.0 document: {}", error.inner())).at(pointer)
    })
}

/// The shape that each stage relies on.
pub(crate) fn check_shape(document: &Value) -> Result<()> {
    let version = document.get("openapi").and_then(Value::as_str).unwrap_or("(none)");
    if !version.starts_with("3.0.") {
        return Err(Error::new(format!("is not an OpenAPI 3.0 document: its version is {version}"))
            .at("/openapi")
            .help("convert it to 3.0.3"));
    }
    let paths = schema::object(document, "/paths")
        .ok_or_else(|| Error::new("has no paths").at("/paths").help("is this the whole document?"))?;
    for (path, item) in paths {
        let pointer = format!("/paths/{}", schema::escape(path));
        if !path.starts_with('/') || path.contains("//") {
            return Err(Error::new("the path does not start with a slash, or has an empty segment")
                .at(&pointer)
                .help("a client would send another path: correct it by an overlay action"));
        }
        let item = item.as_object().ok_or_else(|| Error::new("is not a path item").at(&pointer))?;
        if item.contains_key("$ref") {
            return Err(Error::new("the path item is a reference, which no stage follows")
                .at(&pointer)
                .help("write it out, by an overlay action if the document must stay as it is"));
        }
        for (key, operation) in item.iter().filter(|(key, _)| schema::METHODS.contains(&key.as_str())) {
            if !operation.is_object() {
                return Err(Error::new("is not an operation").at(format!("{pointer}/{key}")));
            }
            if ["options", "trace"].contains(&key.as_str()) {
                return Err(Error::new(format!(
                    "the method {} is none that a client of ours sends",
                    key.to_uppercase()
                ))
                .at(format!("{pointer}/{key}"))
                .help("remove the operation by an overlay action"));
            }
        }
    }
    Ok(())
}

/// A mark that stands where it has no effect would be a secret that is none.
fn check_marks(value: &Value, at: &str) -> Result<()> {
    match value {
        Value::Object(object) => {
            let is_marked = object.get("format").and_then(Value::as_str) == Some("password");
            if is_marked && (object.contains_key("$ref") || !schema::is_secret(value)) {
                return Err(Error::new(
                    "`format: password` stands beside a reference, or beside a type that is not text",
                )
                .at(at)
                .help("mark a schema of type string: where there is a reference, the schema that it leads to"));
            }
            let data = ["default", "enum", "example", "examples"];
            for (key, child) in object.iter().filter(|(key, child)| !data.contains(&key.as_str()) || child.is_object())
            {
                check_marks(child, &format!("{at}/{}", escape(key)))?;
            }
        }
        Value::Array(array) => {
            for (index, child) in array.iter().enumerate() {
                check_marks(child, &format!("{at}/{index}"))?;
            }
        }
        _ => {}
    }
    Ok(())
}

/// What a client of ours takes from its caller, or asks for as an argument, and would otherwise be lost.
fn check_addresses(document: &Value) -> Result<()> {
    for (index, server) in document.get("servers").and_then(Value::as_array).into_iter().flatten().enumerate() {
        let url = server.get("url").and_then(Value::as_str).unwrap_or_default();
        let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
        if rest.split_once('/').is_some_and(|(_, path)| !path.is_empty()) {
            return Err(Error::new("the server has a path, which the client would not know")
                .at(format!("/servers/{index}/url"))
                .help("put the path in front of each path by overlay actions, and remove the server"));
        }
    }
    for place in schema::operations(document) {
        for pointer in [place.path_pointer(), place.pointer()] {
            if document.pointer(&format!("{pointer}/servers")).is_some() {
                return Err(Error::new("a server of its own stands here, which the client would not know")
                    .at(format!("{pointer}/servers"))
                    .help("remove it by an overlay action: the base URL is the caller's"));
            }
        }
    }
    for place in schema::operations(document) {
        let operation = document.pointer(&place.pointer()).unwrap_or(&Value::Null);
        security::check(document, &place).map_err(|error| error.in_operation(operation_name(operation, &place)))?;
    }
    Ok(())
}

/// Operation ids become method names: each must be there, and no two may meet.
fn check_ids(document: &Value, places: &[Place]) -> Result<()> {
    let mut seen: BTreeMap<String, String> = BTreeMap::new();
    for place in places {
        let operation = document.pointer(&place.pointer()).cloned().unwrap_or_default();
        let error = |message: String| {
            Error::new(message)
                .in_operation(operation_name(&operation, place))
                .at(format!("{}/operationId", place.pointer()))
        };
        let id = operation.get("operationId").and_then(Value::as_str).unwrap_or_default();
        let name = id.to_snake_case();
        if name.is_empty() {
            return Err(error("has no operationId, which is its name in Rust".into())
                .help("give it one by an overlay action on the operation"));
        }
        // What every generated client has beside its operations, and what the code of one uses.
        let taken = [
            "Client",
            "Error",
            "HeaderArgument",
            "HeaderMap",
            "HeaderValue",
            "New",
            "Operation",
            "ResponseValue",
            "Transport",
            "WithTransport",
        ];
        if !schema::is_type_name(id) || taken.contains(&schema::pascal(id).as_str()) {
            return Err(error(format!("the operationId `{id}` cannot be a name in Rust, or has a meaning there"))
                .help("give it another one by an overlay action on the operation"));
        }
        if let Some(other) = seen.insert(name.clone(), place.pointer()) {
            return Err(error(format!("the operationId `{id}` becomes `{name}`, as does the one at {other}"))
                .help("give one of them another operationId by an overlay action"));
        }
    }
    Ok(())
}

struct Linter<'a> {
    normalized: &'a Normalized,
    place: &'a Place,
    operation: &'a Value,
}

impl Linter<'_> {
    fn check(&self) -> Result<()> {
        self.check_parameters()?;
        self.check_request_body()?;
        self.check_responses()
    }

    fn error(&self, at: &str, message: impl Into<String>) -> Error {
        Error::new(message).at(format!("{}{at}", self.place.pointer()))
    }

    fn check_parameters(&self) -> Result<()> {
        let variables = template_variables(&self.place.path)
            .ok_or_else(|| self.error("", "the path has a brace without its partner"))?;
        let mut in_path = BTreeSet::new();
        // `body` is what progenitor calls the body; the others are what the generated code calls its own.
        let mut names: BTreeSet<String> =
            ["body", "client", "exchange", "headers", "request", "response", "send", "url"].map(str::to_owned).into();
        let empty = Vec::new();
        let parameters = match self.operation.get("parameters") {
            None => &empty,
            Some(parameters) => parameters.as_array().ok_or_else(|| self.error("/parameters", "is not a list"))?,
        };
        for (index, parameter) in parameters.iter().enumerate() {
            let at = format!("/parameters/{index}");
            if let Some(target) = parameter.get("$ref") {
                return Err(self.error(&at, format!("the reference {target} leads nowhere in this document")));
            }
            let text = |key: &str| parameter.get(key).and_then(Value::as_str).unwrap_or_default();
            let (name, place) = (text("name"), text("in"));
            if name.is_empty() {
                return Err(self.error(&at, "the parameter has no name"));
            }
            if !names.insert(schema::snake(name)) {
                return Err(self
                    .error(
                        &at,
                        format!("the parameter `{name}` has the name of another argument, once in Rust's style"),
                    )
                    .help("progenitor would drop one of the two: remove or rename one by an overlay action"));
            }
            let Some(schema) = parameter.get("schema").filter(|schema| schema.is_object()) else {
                return Err(self
                    .error(&at, format!("the parameter `{name}` has no schema"))
                    .help("give it a `schema` by an overlay action; `content` is not supported"));
            };
            check_schema(&self.normalized.document, schema, &format!("{}{at}/schema", self.place.pointer()))?;
            self.check_parameter(&at, name, place, parameter, schema)?;
            if place == "path" {
                in_path.insert(name);
            }
        }
        if let Some(missing) = variables.iter().find(|variable| !in_path.contains(*variable)) {
            return Err(self
                .error("/parameters", format!("the path names `{{{missing}}}`, which is no path parameter"))
                .help("declare it by an overlay action"));
        }
        match in_path.iter().find(|name| !variables.contains(*name)) {
            Some(extra) => Err(self.error("/parameters", format!("the path parameter `{extra}` is not in the path"))),
            None => Ok(()),
        }
    }

    fn check_parameter(&self, at: &str, name: &str, place: &str, parameter: &Value, schema: &Value) -> Result<()> {
        let style = parameter.get("style").and_then(Value::as_str);
        let secret = self.is_secret(schema);
        let resolved = self.resolved(schema);
        let kind = resolved.get("type").and_then(Value::as_str).unwrap_or("object");
        let is_scalar = !matches!(kind, "object" | "array");
        match place {
            "path" | "query" if secret => {
                Err(self
                    .error(at, format!("the parameter `{name}` would put a secret into a URL"))
                    .help("a URL is written to logs on its way: remove the parameter by an overlay action, or describe the header that takes its place"))
            }
            _ if resolved.get("nullable") == Some(&Value::Bool(true)) => Err(self
                .error(at, format!("the parameter `{name}` may be null, which has no form in a request"))
                .help("remove `nullable` from the schema that it refers to by an overlay action")),
            "path" if parameter.get("required") != Some(&Value::Bool(true)) => Err(self
                .error(at, format!("the path parameter `{name}` is not required"))
                .help("a path has no optional part: set `required: true` by an overlay action")),
            "path" if style.is_none_or(|style| style == "simple") && is_scalar => Ok(()),
            "query" if style.is_none_or(|style| style == "form") && is_scalar => Ok(()),
            "header" if !is_header_name(name) => Err(self.error(at, format!("`{name}` is not a header name"))),
            "header" if style.is_none_or(|style| style == "simple") && is_scalar => Ok(()),
            "path" | "query" | "header" => Err(self
                .error(
                    at,
                    format!(
                        "the {place} parameter `{name}` is not a plain scalar ({kind}, style {})",
                        style.unwrap_or("default")
                    ),
                )
                .help("describe it as a string by an overlay action, and let the caller build the text")),
            "cookie" => Err(self
                .error(at, format!("the parameter `{name}` is a cookie, and no client of ours keeps cookies"))
                .help("remove it by an overlay action")),
            other => {
                Err(self.error(at, format!("the parameter `{name}` is in `{other}`, which OpenAPI does not know")))
            }
        }
    }

    fn is_secret(&self, schema: &Value) -> bool {
        schema::is_secret(schema) || referenced(schema).is_some_and(|name| self.normalized.secret_types.contains(name))
    }

    fn resolved<'a>(&'a self, schema: &'a Value) -> &'a Value {
        referenced(schema).and_then(|name| schema::named(&self.normalized.document, name)).unwrap_or(schema)
    }

    fn check_request_body(&self) -> Result<()> {
        let Some(body) = self.operation.get("requestBody") else { return Ok(()) };
        let at = "/requestBody";
        if let Some(target) = body.get("$ref") {
            return Err(self.error(at, format!("the reference {target} leads nowhere in this document")));
        }
        let content = body.get("content").and_then(Value::as_object);
        let content = content.ok_or_else(|| self.error(at, "the request body has no content"))?;
        let mut media_types = content.iter();
        let (Some((media_type, media)), None) = (media_types.next(), media_types.next()) else {
            return Err(self
                .error(
                    &format!("{at}/content"),
                    format!("the request has {} media types, of which the client can send one", content.len()),
                )
                .help("remove the others by an overlay action"));
        };
        let at = format!("{at}/content/{}", escape(media_type));
        if !matches!(media_type.as_str(), "application/json" | "application/x-www-form-urlencoded") {
            return Err(self
                .error(&at, format!("the request's media type `{media_type}` is not supported"))
                .help("application/json and application/x-www-form-urlencoded are"));
        }
        self.check_media(&at, media)?;
        if media_type != "application/json" {
            self.check_form(&at, media)?;
        }
        Ok(())
    }

    /// A form carries scalars only; anything else would fail when it is sent.
    fn check_form(&self, at: &str, media: &Value) -> Result<()> {
        let schema = media.get("schema").map(|schema| self.resolved(schema));
        let properties = schema.and_then(|schema| schema.get("properties")).and_then(Value::as_object);
        let properties = properties.ok_or_else(|| self.error(at, "the form has no fields"))?;
        let more = schema.and_then(|schema| schema.get("additionalProperties")).filter(|more| more.is_object());
        let more = more.map(|more| (String::from("(any other)"), more.clone()));
        for (name, property) in properties.iter().map(|(name, property)| (name.clone(), property.clone())).chain(more) {
            let property = &property;
            let kind = self.resolved(property).get("type").and_then(Value::as_str);
            if matches!(kind, None | Some("object" | "array")) {
                return Err(self
                    .error(at, format!("the form's field `{name}` is not a plain scalar, and a form carries no other"))
                    .help(
                        "describe it as a string by an overlay action, and let the caller write the text; or remove it",
                    ));
            }
        }
        Ok(())
    }

    fn check_media(&self, at: &str, media: &Value) -> Result<()> {
        if media.get("encoding").and_then(Value::as_object).is_some_and(|encoding| !encoding.is_empty()) {
            return Err(self
                .error(&format!("{at}/encoding"), "`encoding` is not supported")
                .help("remove it by an overlay action if its fields are sent as usual"));
        }
        let Some(schema) = media.get("schema").filter(|schema| schema.is_object()) else {
            return Err(self
                .error(at, "the body has no schema")
                .help("add one by an overlay action, or remove the `content` if the body does not matter"));
        };
        check_schema(&self.normalized.document, schema, &format!("{}{at}/schema", self.place.pointer()))
    }

    fn check_responses(&self) -> Result<()> {
        let responses = self.operation.get("responses").and_then(Value::as_object);
        let responses = responses.ok_or_else(|| self.error("/responses", "the operation has no responses"))?;
        for (status, response) in responses.iter().filter(|(status, _)| !status.starts_with("x-")) {
            let at = format!("/responses/{}", escape(status));
            if let Some(target) = response.get("$ref") {
                return Err(self.error(&at, format!("the reference {target} leads nowhere in this document")));
            }
            match Status::parse(status) {
                Some(Status::Success | Status::Error) => {}
                Some(Status::Redirect) => {
                    return Err(self
                        .error(&at, "a redirect is documented, and no redirect is followed (A2): it is always an error")
                        .help(
                            "remove the response by an overlay action; a URL for a browser is no operation of a client",
                        ));
                }
                Some(Status::Default) => {
                    return Err(self
                        .error(&at, "`default` stands alone, and would be taken for success and error alike")
                        .help("say by an overlay action which statuses are a success"));
                }
                None => return Err(self.error(&at, format!("`{status}` is not a status of an answer"))),
            }
            // The headers that a `ResponseHead` keeps, and those that every server sends.
            let known = ["content-length", "content-type", "date", "ob-correlation-id", "ob-trace-id", "retry-after"];
            for header in response.get("headers").and_then(Value::as_object).into_iter().flatten().map(|(name, _)| name)
            {
                if !known.contains(&header.to_ascii_lowercase().as_str()) {
                    return Err(self
                        .error(&format!("{at}/headers/{}", escape(header)), "no reply gives access to this header")
                        .help("remove it by an overlay action, or teach `flinks_core::ResponseHead` to keep it"));
                }
            }
            let content = response.get("content").and_then(Value::as_object);
            let Some(content) = content.filter(|content| !content.is_empty()) else { continue };
            match content.get("application/json") {
                Some(media) => self.check_media(&format!("{at}/content/application~1json"), media)?,
                None => {
                    let media_types: Vec<&str> = content.keys().map(String::as_str).collect();
                    return Err(self
                        .error(&format!("{at}/content"), format!("the answer is not JSON ({})", media_types.join(", ")))
                        .help("remove the `content` by an overlay action if the body does not matter"));
                }
            }
        }
        if !responses.keys().any(|status| status.starts_with('2')) {
            return Err(self
                .error("/responses", "no success is documented")
                .help("add a 2XX response by an overlay action"));
        }
        Ok(())
    }
}

enum Status {
    Success,
    Redirect,
    Error,
    Default,
}

impl Status {
    fn parse(status: &str) -> Option<Self> {
        if status == "default" {
            return Some(Self::Default);
        }
        let class = status.strip_suffix("XX").or_else(|| {
            let (class, rest) = status.split_at_checked(1)?;
            (rest.len() == 2 && rest.bytes().all(|byte| byte.is_ascii_digit())).then_some(class)
        })?;
        match class {
            "2" => Some(Self::Success),
            "3" => Some(Self::Redirect),
            "4" | "5" => Some(Self::Error),
            _ => None,
        }
    }
}

fn check_named_schemas(normalized: &Normalized) -> Result<()> {
    let document = &normalized.document;
    let replies = reply_schemas(normalized);
    let mut names: BTreeMap<String, &str> = BTreeMap::new();
    for (name, schema) in schema::object(document, "/components/schemas").into_iter().flatten() {
        let origin = normalized.origins.get(name);
        let at =
            origin.map_or_else(|| format!("/components/schemas/{}", escape(name)), |origin| origin.pointer.clone());
        let located = |error: Error| match origin.and_then(|origin| origin.operation.as_ref()) {
            Some(operation) => error.in_operation(operation),
            None => error,
        };
        if let Some(other) = names.insert(schema::pascal(name), name) {
            return Err(located(
                Error::new(format!("the schemas `{other}` and `{name}` have one name in Rust")).at(at),
            ));
        }
        check_core_type(name, schema, &at).and_then(|()| check_schema(document, schema, &at)).map_err(located)?;
        if composes_itself(document, name) {
            return Err(located(Error::new(format!("the schema `{name}` is made of itself")).at(&at)));
        }
        if replies.contains(name) && is_alternative(schema) {
            return Err(located(
                Error::new("a reply is one of several (`oneOf`, `anyOf`), which nothing would tell apart").at(&at).help(
                    "describe it by an overlay action as one object that has the fields of all, none of them required",
                ),
            ));
        }
    }
    Ok(())
}

/// A name of the overlays that stands for a type of `flinks-core` must mean that.
fn check_core_type(name: &str, schema: &Value, at: &str) -> Result<()> {
    let fits = match schema::pascal(name).as_str() {
        "ExpiresIn" => schema.get("type").and_then(Value::as_str) == Some("integer"),
        "Authorization" => schema::is_secret(schema),
        _ => true,
    };
    match fits {
        true => Ok(()),
        false => Err(Error::new(format!("`{name}` is the name of a type of flinks-core, and this is another schema"))
            .at(at)
            .help("give the schema another name or title by an overlay action")),
    }
}

/// Whether a schema leads back to itself by references and compositions alone, with no property between.
fn composes_itself(document: &Value, name: &str) -> bool {
    let mut queue = vec![name];
    let mut seen = BTreeSet::new();
    while let Some(next) = queue.pop() {
        for part in schema::named(document, next).map(parts).unwrap_or_default() {
            if part == name {
                return true;
            }
            if seen.insert(part) {
                queue.push(part);
            }
        }
    }
    false
}

/// The named schemas that a schema is made of.
fn parts(schema: &Value) -> Vec<&str> {
    let composed = ["oneOf", "anyOf", "allOf"].into_iter().filter_map(|key| schema.get(key)?.as_array()).flatten();
    referenced(schema).into_iter().chain(composed.flat_map(parts)).collect()
}

fn is_alternative(schema: &Value) -> bool {
    schema.get("oneOf").is_some()
        || schema.get("anyOf").is_some()
        || schema::children(schema).iter().any(|(_, child)| is_alternative(child))
}

/// The named schemas that replies are made of.
fn reply_schemas(normalized: &Normalized) -> BTreeSet<String> {
    let mut queue: Vec<String> = normalized.reply_schemas().map(str::to_owned).collect();
    let mut reached = BTreeSet::new();
    while let Some(name) = queue.pop() {
        if let Some(schema) = schema::named(&normalized.document, &name)
            && reached.insert(name)
        {
            schema::references(schema, &mut queue);
        }
    }
    reached
}

fn check_schema(document: &Value, schema: &Value, at: &str) -> Result<()> {
    check_part(document, schema, at, false)
}

/// A schema, or what is merged into one.
fn check_part(document: &Value, schema: &Value, at: &str, is_merged: bool) -> Result<()> {
    let error = |message: String| Error::new(message).at(at);
    let Some(object) = schema.as_object() else { return Err(error("is not a schema".into())) };
    if let Some(target) = object.get("$ref") {
        let known = referenced(schema).is_some_and(|name| schema::named(document, name).is_some());
        return match known {
            true => Ok(()),
            false => Err(error(format!("the reference {target} leads to no schema of this document"))
                .help("references to other files are not followed: add the schema by an overlay action")),
        };
    }
    match object.get("type") {
        None => {}
        Some(Value::String(kind)) if ["string", "number", "integer", "boolean", "object"].contains(&kind.as_str()) => {}
        Some(Value::String(kind)) if kind == "array" && object.get("items").is_some_and(Value::is_object) => {}
        Some(Value::String(kind)) if kind == "array" => {
            return Err(error("the list has no `items`".into()).help("add them by an overlay action; `{}` is anything"));
        }
        Some(kind) => {
            return Err(error(format!("the type {kind} is not one of OpenAPI 3.0"))
                .help("a type that may be null is written `nullable: true` in 3.0"));
        }
    }
    if object.contains_key("not") {
        return Err(error("`not` has no counterpart in Rust".into()).help("remove it by an overlay action"));
    }
    for (exclusive, bound) in [("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")] {
        if object.contains_key(exclusive) && !object.contains_key(bound) {
            return Err(error(format!("`{exclusive}` stands without `{bound}`")).help("remove it by an overlay action"));
        }
    }
    if let Some(values) = object.get("enum").and_then(Value::as_array) {
        let mut variants = BTreeSet::new();
        let distinct = values.iter().filter(|value| !value.is_null()).all(|value| {
            value.as_str().is_some_and(|text| !schema::pascal(text).is_empty() && variants.insert(schema::pascal(text)))
        });
        if !distinct {
            return Err(error("the values of the list are not texts that differ as names in Rust".into())
                .help("remove the `enum` by an overlay action, and let the caller write the text"));
        }
    }
    if object.get("nullable") == Some(&Value::Bool(true))
        && (object.contains_key("oneOf") || object.contains_key("anyOf"))
    {
        return Err(error("it may be null, and is one of several too".into())
            .help("remove `nullable` by an overlay action, and let what holds it not be required"));
    }
    let properties = object.get("properties").and_then(Value::as_object);
    let is_open = object.get("additionalProperties").is_some_and(|more| *more != Value::Bool(false));
    if is_open && properties.is_some_and(|properties| properties.keys().any(|name| schema::field(name) == "extra")) {
        return Err(error("the property `extra` would be the field in which all other properties are kept".into())
            .help("remove `additionalProperties` by an overlay action: what is not described is ignored then"));
    }
    let mut fields: BTreeMap<String, &str> = BTreeMap::new();
    for name in properties.into_iter().flat_map(|properties| properties.keys()) {
        let field = schema::field(name);
        if field == "new" {
            return Err(error(format!("the property `{name}` has the name of a constructor"))
                .help("no client can be made of this; it takes a change of the generator"));
        }
        if let Some(other) = fields.insert(field.clone(), name) {
            return Err(error(format!("the properties `{other}` and `{name}` would both be the field `{field}`"))
                .help("remove one by an overlay action"));
        }
    }
    let mut required = BTreeSet::new();
    for name in object.get("required").and_then(Value::as_array).into_iter().flatten() {
        if !required.insert(name.to_string()) {
            return Err(error(format!("{name} is required twice")).help("correct it by an overlay action"));
        }
        let known =
            name.as_str().is_some_and(|name| properties.is_some_and(|properties| properties.contains_key(name)));
        // Of what is merged, another part may have it.
        if !known && properties.is_some() && !is_merged && !object.contains_key("allOf") {
            return Err(
                error(format!("{name} is required, and is no property")).help("correct it by an overlay action")
            );
        }
    }
    for (step, child) in schema::children(schema) {
        check_part(document, child, &format!("{at}{step}"), step.starts_with("/allOf/"))?;
    }
    Ok(())
}

/// The names in braces; `None` where a brace has no partner.
fn template_variables(path: &str) -> Option<BTreeSet<&str>> {
    let mut variables = BTreeSet::new();
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}')?;
        if before.contains('}') || name.is_empty() || name.contains('{') {
            return None;
        }
        variables.insert(name);
        rest = after;
    }
    (!rest.contains('}')).then_some(variables)
}

/// A token of RFC 9110; `HeaderName::from_static` panics at anything else.
fn is_header_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}
