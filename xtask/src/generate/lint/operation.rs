//! Checks the parameters, the request body and the responses of an operation.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::schemas::check_schema;
use crate::generate::normalize::form::Normalized;
use crate::spec::media::RequestBody;
use crate::spec::parameter_style::ParameterStyle;
use crate::spec::schema::{self, Place, escape, referenced};
use crate::{Error, Result};

/// Checks one operation in a document in normal form.
pub(super) struct Linter<'a> {
    pub(super) normalized: &'a Normalized,
    pub(super) place: &'a Place,
    pub(super) operation: &'a Value,
}

impl Linter<'_> {
    /// Returns all problems with the operation.
    pub(super) fn check(&self) -> Vec<Error> {
        let mut errors = self.check_parameters();
        errors.extend(self.check_request_body().err());
        errors.extend(self.check_responses());
        errors
    }

    fn error(&self, at: &str, message: impl Into<String>) -> Error {
        Error::new(message).at(format!("{}{at}", self.place.pointer()))
    }

    fn check_parameters(&self) -> Vec<Error> {
        let Some(variables) = template_variables(&self.place.path) else {
            return vec![self.error("", "the path has an unmatched brace")];
        };
        let empty = Vec::new();
        let parameters = match self.operation.get("parameters") {
            None => &empty,
            Some(Value::Array(parameters)) => parameters,
            Some(_) => return vec![self.error("/parameters", "`parameters` is not a list")],
        };
        let mut errors = Vec::new();
        let mut in_path = BTreeSet::new();
        for (index, parameter) in parameters.iter().enumerate() {
            let text = |key: &str| parameter.get(key).and_then(Value::as_str).unwrap_or_default();
            if text("in") == "path" {
                in_path.insert(text("name"));
            }
            errors.extend(self.check_parameter(&format!("/parameters/{index}"), parameter).err());
        }
        for missing in variables.iter().filter(|variable| !in_path.contains(*variable)) {
            let message = format!("`{{{missing}}}` in the path is not declared as a path parameter");
            let error = self.error("/parameters", message).help("declare the parameter with an overlay action");
            let parameter = json!({"name": missing, "in": "path", "required": true, "schema": {"type": "string"}});
            errors.push(error.cured_by_update(self.place.pointer(), json!({"parameters": [parameter]})));
        }
        for extra in in_path.iter().filter(|name| !variables.contains(*name)) {
            errors.push(self.error("/parameters", format!("the path parameter `{extra}` is not in the path")));
        }
        errors
    }

    fn check_parameter(&self, at: &str, parameter: &Value) -> Result<()> {
        if let Some(target) = parameter.get("$ref") {
            return Err(self.error(at, format!("the reference {target} cannot be resolved in this document")));
        }
        let text = |key: &str| parameter.get(key).and_then(Value::as_str).unwrap_or_default();
        let (name, place) = (text("name"), text("in"));
        if name.is_empty() {
            return Err(self.error(at, "the parameter has no name"));
        }
        let Some(schema) = parameter.get("schema").filter(|schema| schema.is_object()) else {
            return Err(self
                .error(at, format!("the parameter `{name}` has no schema"))
                .help("add a `schema` with an overlay action; `content` is not supported"));
        };
        Error::all(check_schema(&self.normalized.document, schema, &format!("{}{at}/schema", self.place.pointer())))?;
        self.check_style(at, name, place, parameter, schema)
    }

    fn check_style(&self, at: &str, name: &str, place: &str, parameter: &Value, schema: &Value) -> Result<()> {
        let style = parameter.get("style").and_then(Value::as_str);
        let secret = self.contains_secret(schema);
        let resolved = self.resolved(schema);
        let kind = resolved.get("type").and_then(Value::as_str).unwrap_or("object");
        match place {
            "path" | "query" if secret => {
                Err(self
                    .error(at, format!("the parameter `{name}` would put a secret into a URL"))
                    .help("servers and proxies log URLs: remove the parameter with an overlay action, or describe the header that replaces the parameter"))
            }
            "header" if secret && !self.is_secret(schema) => Err(self
                .error(at, format!("the header `{name}` contains a secret in a list or an object"))
                .help("use an overlay action to describe the whole header as a string with the format `password`; the caller then formats the value")),
            _ if resolved.get("nullable") == Some(&Value::Bool(true)) => Err(self
                .error(at, format!("the parameter `{name}` is nullable, but a request cannot contain null"))
                .help("remove `nullable` from the referenced schema with an overlay action")),
            "header" if !schema::is_header_name(name) => Err(self.error(at, format!("`{name}` is not a valid header name"))),
            "path" | "query" | "header" if ParameterStyle::of(parameter, resolved).is_none() => Err(self
                .error(
                    at,
                    format!(
                        "unsupported {place} parameter `{name}`: type {kind}, style {}",
                        style.unwrap_or("default")
                    ),
                )
                .help("use an overlay action to describe it as a string; the caller then formats the value")),
            "path" | "query" | "header" if !self.is_flat(resolved) => Err(self
                .error(at, format!("the parameter `{name}` contains a nested list or object"))
                .help("use an overlay action to describe it as a string; the caller then formats the value")),
            "path" | "query" | "header" => Ok(()),
            "cookie" => Err(self
                .error(at, format!("the parameter `{name}` is a cookie, but generated clients do not send cookies"))
                .help("remove the parameter with an overlay action")
                .cured_by_removal(format!("{}{at}", self.place.pointer()))),
            other => {
                Err(self.error(at, format!("the parameter `{name}` has an unknown location: `{other}`")))
            }
        }
    }

    /// Returns whether the entries and properties of a schema are scalars.
    fn is_flat(&self, schema: &Value) -> bool {
        schema::children(schema).into_iter().all(|(step, child)| {
            let child = self.resolved(child);
            let is_scalar = !matches!(child.get("type").and_then(Value::as_str), Some("object" | "array"))
                && child.get("properties").is_none();
            // An alternative can itself be a list or an object, but not another choice.
            let is_choice = schema::is_choice(child);
            if step.starts_with("/oneOf") || step.starts_with("/anyOf") {
                !is_choice && self.is_flat(child)
            } else {
                is_scalar && !is_choice
            }
        })
    }

    fn is_secret(&self, schema: &Value) -> bool {
        schema::is_secret(schema) || referenced(schema).is_some_and(|name| self.normalized.secret_types.contains(name))
    }

    /// Returns whether a schema, its entries or its properties are marked as secrets. Deeper levels
    /// need no check, because parameters cannot be nested more deeply.
    fn contains_secret(&self, schema: &Value) -> bool {
        let children = schema::children(self.resolved(schema));
        self.is_secret(schema)
            || children.into_iter().any(|(_, child)| {
                let inner = schema::children(self.resolved(child));
                self.is_secret(child) || inner.into_iter().any(|(_, inner)| self.is_secret(inner))
            })
    }

    fn resolved<'a>(&'a self, schema: &'a Value) -> &'a Value {
        referenced(schema).and_then(|name| schema::named(&self.normalized.document, name)).unwrap_or(schema)
    }

    fn check_request_body(&self) -> Result<()> {
        let Some(body) = self.operation.get("requestBody") else { return Ok(()) };
        let at = "/requestBody";
        if let Some(target) = body.get("$ref") {
            return Err(self.error(at, format!("the reference {target} cannot be resolved in this document")));
        }
        let content = body.get("content").and_then(Value::as_object);
        let content = content.ok_or_else(|| self.error(at, "the request body has no content"))?;
        let Some((media_type, kind)) = RequestBody::choose(content) else {
            let media_types: Vec<&str> = content.keys().map(String::as_str).collect();
            return Err(self
                .error(
                    &format!("{at}/content"),
                    format!("unsupported request media type: `{}`", media_types.join("`, `")),
                )
                .help("use an overlay action to name a media type that is neither a range nor multipart"));
        };
        let at = format!("{at}/content/{}", escape(media_type));
        if !media_type.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) {
            return Err(self.error(&at, format!("invalid media type `{media_type}`: it must be ASCII")));
        }
        let media = content.get(media_type).unwrap_or(&Value::Null);
        let is_default = |encoding: &Value| {
            [json!({}), json!({"style": "form"}), json!({"style": "form", "explode": true})].contains(encoding)
        };
        let mut encoding = media.get("encoding").and_then(Value::as_object).into_iter().flatten();
        if encoding.any(|(_, encoding)| !is_default(encoding)) {
            return Err(self
                .error(&format!("{at}/encoding"), "`encoding` is not supported")
                .help("remove it with an overlay action if the fields use the default encoding"));
        }
        self.check_media(&at, media)?;
        match kind {
            RequestBody::Form => self.check_form(&at, media)?,
            RequestBody::Multipart => {
                let schema = media.get("schema").map(|schema| self.resolved(schema));
                if schema.and_then(|schema| schema.get("properties")).is_none() {
                    return Err(self
                        .error(&at, "the multipart body has no properties")
                        .help("use an overlay action to describe its parts as properties of an object"));
                }
            }
            RequestBody::Json | RequestBody::Text | RequestBody::Bytes => {}
        }
        Ok(())
    }

    /// Checks that a form contains only scalars and lists of scalars. A form with any other value could
    /// not be sent.
    fn check_form(&self, at: &str, media: &Value) -> Result<()> {
        let schema = media.get("schema").map(|schema| self.resolved(schema));
        let properties = schema.and_then(|schema| schema.get("properties")).and_then(Value::as_object);
        let properties = properties.ok_or_else(|| self.error(at, "the form has no fields"))?;
        let additional = schema.and_then(|schema| schema.get("additionalProperties")).filter(|value| value.is_object());
        let additional = additional.map(|schema| (String::from("additionalProperties"), schema.clone()));
        let named = properties.iter().map(|(name, property)| (name.clone(), property.clone()));
        for (name, property) in named.chain(additional) {
            let property = self.resolved(schema::without_nullable(&property));
            let is_list = property.get("type").is_some_and(|kind| kind == "array");
            let entry = property.get("items").filter(|_| is_list).map_or(property, |items| self.resolved(items));
            let kind = entry.get("type").and_then(Value::as_str);
            if matches!(kind, None | Some("object" | "array")) {
                return Err(self
                    .error(
                        at,
                        format!("the form field `{name}` is neither a scalar nor a list of scalars"),
                    )
                    .help(
                        "use an overlay action to describe the field as a string, so that the caller formats the value, or remove the field",
                    ));
            }
        }
        Ok(())
    }

    fn check_media(&self, at: &str, media: &Value) -> Result<()> {
        let Some(schema) = media.get("schema").filter(|schema| schema.is_object()) else {
            return Err(self
                .error(at, "the body has no schema")
                .help("add a schema with an overlay action, or remove `content` if the body is not needed"));
        };
        Error::all(check_schema(&self.normalized.document, schema, &format!("{}{at}/schema", self.place.pointer())))
    }

    fn check_responses(&self) -> Vec<Error> {
        let Some(responses) = self.operation.get("responses").and_then(Value::as_object) else {
            return vec![self.error("/responses", "the operation has no responses")];
        };
        let documented = responses.iter().filter(|(status, _)| !status.starts_with("x-"));
        let mut errors: Vec<Error> =
            documented.filter_map(|(status, response)| self.check_response(status, response).err()).collect();
        if !responses.keys().any(|status| status.starts_with(['2', '3'])) {
            let error = self.error("/responses", "no successful response is documented");
            let at = format!("{}/responses", self.place.pointer());
            let error = error.help("add a 2XX response with an overlay action");
            errors.push(error.cured_by_update(at, json!({"2XX": {"description": "The operation succeeded."}})));
        }
        errors
    }

    fn check_response(&self, status: &str, response: &Value) -> Result<()> {
        let at = format!("/responses/{}", escape(status));
        if let Some(target) = response.get("$ref") {
            return Err(self.error(&at, format!("the reference {target} cannot be resolved in this document")));
        }
        if !is_status(status) {
            return Err(self.error(&at, format!("`{status}` is not a valid response status")));
        }
        for header in response.get("headers").and_then(Value::as_object).into_iter().flatten().map(|(name, _)| name) {
            if !schema::is_header_name(header) {
                let at = format!("{at}/headers/{}", escape(header));
                return Err(self.error(&at, format!("`{header}` is not a valid header name")));
            }
        }
        let content = response.get("content").and_then(Value::as_object);
        let Some(content) = content.filter(|content| !content.is_empty()) else { return Ok(()) };
        match content.get("application/json") {
            Some(media) => self.check_media(&format!("{at}/content/application~1json"), media)?,
            None => {
                let media_types: Vec<&str> = content.keys().map(String::as_str).collect();
                return Err(self
                    .error(&format!("{at}/content"), format!("the response is not JSON ({})", media_types.join(", ")))
                    .help("remove `content` with an overlay action if the body is not needed"));
            }
        }
        Ok(())
    }
}

/// Returns whether a string is the status of a success, a redirect or an error, or a range of such
/// statuses.
fn is_status(text: &str) -> bool {
    let class = text.strip_suffix("XX").or_else(|| {
        let (class, rest) = text.split_at_checked(1)?;
        (rest.len() == 2 && rest.bytes().all(|byte| byte.is_ascii_digit())).then_some(class)
    });
    matches!(class, Some("2" | "3" | "4" | "5"))
}

/// Returns the variable names in a path template, or `None` if a brace is unmatched or a name is
/// empty.
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
