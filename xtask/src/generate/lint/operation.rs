//! Checks the parameters, the request body and the responses of an operation.

use std::collections::BTreeSet;

use serde_json::Value;

use super::schemas::check_schema;
use crate::generate::normalize::form::Normalized;
use crate::spec::schema::{self, Place, escape, referenced};
use crate::{Error, Result};

/// Checks one operation of a document in normal form.
pub(super) struct Linter<'a> {
    pub(super) normalized: &'a Normalized,
    pub(super) place: &'a Place,
    pub(super) operation: &'a Value,
}

impl Linter<'_> {
    pub(super) fn check(&self) -> Result<()> {
        self.check_parameters()?;
        self.check_request_body()?;
        self.check_responses()
    }

    fn error(&self, at: &str, message: impl Into<String>) -> Error {
        Error::new(message).at(format!("{}{at}", self.place.pointer()))
    }

    fn check_parameters(&self) -> Result<()> {
        let variables =
            template_variables(&self.place.path).ok_or_else(|| self.error("", "the path has an unmatched brace"))?;
        let mut in_path = BTreeSet::new();
        // `body` is the argument for the request body. The generated code uses the other names.
        let mut names: BTreeSet<String> =
            ["body", "client", "exchange", "headers", "request", "response", "send", "url"].map(str::to_owned).into();
        let empty = Vec::new();
        let parameters = match self.operation.get("parameters") {
            None => &empty,
            Some(parameters) => {
                parameters.as_array().ok_or_else(|| self.error("/parameters", "`parameters` is not a list"))?
            }
        };
        for (index, parameter) in parameters.iter().enumerate() {
            let at = format!("/parameters/{index}");
            if let Some(target) = parameter.get("$ref") {
                return Err(self.error(&at, format!("the reference {target} cannot be resolved in this document")));
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
                        format!("the Rust name of the parameter `{name}` is already used by another argument or by the generated code"),
                    )
                    .help("remove or rename the parameter with an overlay action"));
            }
            let Some(schema) = parameter.get("schema").filter(|schema| schema.is_object()) else {
                return Err(self
                    .error(&at, format!("the parameter `{name}` has no schema"))
                    .help("add a `schema` with an overlay action; `content` is not supported"));
            };
            check_schema(&self.normalized.document, schema, &format!("{}{at}/schema", self.place.pointer()))?;
            self.check_parameter(&at, name, place, parameter, schema)?;
            if place == "path" {
                in_path.insert(name);
            }
        }
        if let Some(missing) = variables.iter().find(|variable| !in_path.contains(*variable)) {
            return Err(self
                .error("/parameters", format!("`{{{missing}}}` in the path is not declared as a path parameter"))
                .help("declare the parameter with an overlay action"));
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
                    .help("servers and proxies log URLs: remove the parameter with an overlay action, or describe the header that replaces the parameter"))
            }
            _ if resolved.get("nullable") == Some(&Value::Bool(true)) => Err(self
                .error(at, format!("the parameter `{name}` is nullable, but a request cannot contain null"))
                .help("remove `nullable` from the referenced schema with an overlay action")),
            "path" if parameter.get("required") != Some(&Value::Bool(true)) => Err(self
                .error(at, format!("the path parameter `{name}` is not required"))
                .help("a path parameter is always required: set `required: true` with an overlay action")),
            "path" if style.is_none_or(|style| style == "simple") && is_scalar => Ok(()),
            "query" if style.is_none_or(|style| style == "form") && is_scalar => Ok(()),
            "header" if !is_header_name(name) => Err(self.error(at, format!("`{name}` is not a valid header name"))),
            "header" if style.is_none_or(|style| style == "simple") && is_scalar => Ok(()),
            "path" | "query" | "header" => Err(self
                .error(
                    at,
                    format!(
                        "unsupported {place} parameter `{name}`: type {kind}, style {}",
                        style.unwrap_or("default")
                    ),
                )
                .help("describe the parameter as a string with an overlay action; the caller then formats the value")),
            "cookie" => Err(self
                .error(at, format!("the parameter `{name}` is a cookie, but generated clients do not send cookies"))
                .help("remove the parameter with an overlay action")),
            other => {
                Err(self.error(at, format!("the parameter `{name}` has an unknown location: `{other}`")))
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
            return Err(self.error(at, format!("the reference {target} cannot be resolved in this document")));
        }
        let content = body.get("content").and_then(Value::as_object);
        let content = content.ok_or_else(|| self.error(at, "the request body has no content"))?;
        let mut media_types = content.iter();
        let (Some((media_type, media)), None) = (media_types.next(), media_types.next()) else {
            return Err(self
                .error(
                    &format!("{at}/content"),
                    format!("the request has {} media types, but the client can send only one", content.len()),
                )
                .help("remove the other media types with an overlay action"));
        };
        let at = format!("{at}/content/{}", escape(media_type));
        if !matches!(media_type.as_str(), "application/json" | "application/x-www-form-urlencoded") {
            return Err(self
                .error(&at, format!("unsupported request media type `{media_type}`"))
                .help("the client supports application/json and application/x-www-form-urlencoded"));
        }
        self.check_media(&at, media)?;
        if media_type != "application/json" {
            self.check_form(&at, media)?;
        }
        Ok(())
    }

    /// Checks that a form contains only scalars. A form with any other value could not be sent.
    fn check_form(&self, at: &str, media: &Value) -> Result<()> {
        let schema = media.get("schema").map(|schema| self.resolved(schema));
        let properties = schema.and_then(|schema| schema.get("properties")).and_then(Value::as_object);
        let properties = properties.ok_or_else(|| self.error(at, "the form has no fields"))?;
        let additional = schema.and_then(|schema| schema.get("additionalProperties")).filter(|value| value.is_object());
        let additional = additional.map(|schema| (String::from("additionalProperties"), schema.clone()));
        let named = properties.iter().map(|(name, property)| (name.clone(), property.clone()));
        for (name, property) in named.chain(additional) {
            let kind = self.resolved(&property).get("type").and_then(Value::as_str);
            if matches!(kind, None | Some("object" | "array")) {
                return Err(self
                    .error(
                        at,
                        format!("the form field `{name}` is not a scalar, but a form can contain only scalars"),
                    )
                    .help(
                        "describe the field as a string with an overlay action, so that the caller formats the value, or remove the field",
                    ));
            }
        }
        Ok(())
    }

    fn check_media(&self, at: &str, media: &Value) -> Result<()> {
        if media.get("encoding").and_then(Value::as_object).is_some_and(|encoding| !encoding.is_empty()) {
            return Err(self
                .error(&format!("{at}/encoding"), "`encoding` is not supported")
                .help("remove `encoding` with an overlay action if the fields use the default encoding"));
        }
        let Some(schema) = media.get("schema").filter(|schema| schema.is_object()) else {
            return Err(self
                .error(at, "the body has no schema")
                .help("add a schema with an overlay action, or remove `content` if the body is not needed"));
        };
        check_schema(&self.normalized.document, schema, &format!("{}{at}/schema", self.place.pointer()))
    }

    fn check_responses(&self) -> Result<()> {
        let responses = self.operation.get("responses").and_then(Value::as_object);
        let responses = responses.ok_or_else(|| self.error("/responses", "the operation has no responses"))?;
        for (status, response) in responses.iter().filter(|(status, _)| !status.starts_with("x-")) {
            let at = format!("/responses/{}", escape(status));
            if let Some(target) = response.get("$ref") {
                return Err(self.error(&at, format!("the reference {target} cannot be resolved in this document")));
            }
            match Status::parse(status) {
                Some(Status::Success | Status::Error) => {}
                Some(Status::Redirect) => {
                    return Err(self
                        .error(&at, "redirects are not supported: the client treats every redirect as an error")
                        .help(
                            "remove the response with an overlay action; if the URL is meant for a browser, remove the operation",
                        ));
                }
                Some(Status::Default) => {
                    return Err(self
                        .error(&at, "`default` is the only response, so it would mean both success and error")
                        .help("add the success statuses with an overlay action"));
                }
                None => return Err(self.error(&at, format!("`{status}` is not a valid response status"))),
            }
            // These are the headers that `ResponseHead` provides and the headers that every server
            // sends.
            let known = ["content-length", "content-type", "date", "ob-correlation-id", "ob-trace-id", "retry-after"];
            for header in response.get("headers").and_then(Value::as_object).into_iter().flatten().map(|(name, _)| name)
            {
                if !known.contains(&header.to_ascii_lowercase().as_str()) {
                    return Err(self
                        .error(
                            &format!("{at}/headers/{}", escape(header)),
                            "the client would not expose this response header",
                        )
                        .help("remove the header with an overlay action, or add it to `flinks_core::ResponseHead`"));
                }
            }
            let content = response.get("content").and_then(Value::as_object);
            let Some(content) = content.filter(|content| !content.is_empty()) else { continue };
            match content.get("application/json") {
                Some(media) => self.check_media(&format!("{at}/content/application~1json"), media)?,
                None => {
                    let media_types: Vec<&str> = content.keys().map(String::as_str).collect();
                    return Err(self
                        .error(
                            &format!("{at}/content"),
                            format!("the response is not JSON ({})", media_types.join(", ")),
                        )
                        .help("remove `content` with an overlay action if the body is not needed"));
                }
            }
        }
        if !responses.keys().any(|status| status.starts_with('2')) {
            return Err(self
                .error("/responses", "no successful response is documented")
                .help("add a 2XX response with an overlay action"));
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

/// Returns whether a name is a token (RFC 9110). `HeaderName::from_static` panics if a name is not
/// a token.
fn is_header_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}
