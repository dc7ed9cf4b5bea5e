//! The secret-names stage checks that every field with a secret-looking name is marked as a secret
//! or exempted with a reason.
//!
//! An overlay action marks a field (`format: password`) or exempts it (`x-not-secret` with the
//! reason). This check prevents a new credential from becoming a plain `String` unnoticed. An
//! exemption that has no effect is an error, so that maintainers remove obsolete exemptions.
//!
//! A field looks like a secret if its name or its format suggests one and its type allows a string
//! or a number. Values from a list (`enum`), dates, fractions and flags are not secrets. The rules
//! for names are:
//!
//! - `token`, `secret`, `password` and similar words identify a secret, unless a later word shows
//!   that the field describes the secret (`token_type`, `password_expired_at`) or the first word is
//!   a flag (`has_password`). A page token is not a secret.
//! - `key` identifies a secret, unless the word before it rules this out (`idempotency_key`,
//!   `public_key`, `sort_key`). A bare `key` next to `value` is the name of an entry.
//! - `code` identifies a secret only after a word related to authentication (`verification_code`,
//!   `device_code`). All other codes, such as `currency_code`, are values from a list.
//! - A bare `code` next to a field of an OAuth 2.0 request or response, such as `grant_type`,
//!   `redirect_uri` or `client_id`, is an authorization code. Otherwise, a bare `code` in an error
//!   response, in an object such as `country`, or next to `message`, `error`, `description`,
//!   `name`, `status` or a similar field is a value from a list. In a path, a bare `code` is a
//!   secret only after a segment such as `/verify`. In all other places, a bare `code` looks like a
//!   secret.
//! - `pin` next to a field of a postal address means a postal code.
//! - An object whose properties are described is not a secret, but its properties can be. In an
//!   object named after a secret, such as `access_token`, a property with a general name such as
//!   `value` looks like a secret, unless another property of the object is marked.

mod names;
mod parts;
mod references;
mod words;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::spec::schema::{self, NOT_SECRET_KEY, escape, is_secret, json_path, operation_name, resolve};
use crate::{Error, Result};
use names::{Around, is_value_of, looks_secret};
use parts::{is_unmarked, within};
use references::references;

/// Formats that indicate a secret. The `password` format is not in the list because it is the
/// secret mark itself.
const FORMATS: [&str; 6] = ["token", "secret", "key", "jwt", "api-key", "credential"];

/// Checks each parameter and each property in a corrected document.
///
/// # Errors
///
/// Returns an error that lists all secret-looking fields that are neither marked nor exempted, and
/// all exemptions that have no reason or no effect.
pub fn check(document: &Value) -> Result<()> {
    let mut errors = Vec::new();
    let mut search = Search { document, references: references(document), errors: &mut errors, operation: None };
    for place in schema::operations(document) {
        let operation = document.pointer(&place.pointer()).unwrap_or(&Value::Null);
        search.operation = Some(operation_name(operation, &place));
        search.check_operation(operation, &place);
    }
    search.operation = None;
    for (path, item) in schema::object(document, "/paths").into_iter().flatten() {
        search.check_parameters(item.get("parameters"), path, &format!("/paths/{}/parameters", escape(path)));
    }
    search.check_components();
    Error::all(errors)
}

struct Search<'a> {
    document: &'a Value,
    /// For each named schema, the names of the fields that refer to it.
    references: BTreeMap<String, Vec<String>>,
    errors: &'a mut Vec<Error>,
    operation: Option<String>,
}

impl Search<'_> {
    /// Checks the parameters and bodies of an operation.
    fn check_operation(&mut self, operation: &Value, place: &schema::Place) {
        let at = place.pointer();
        self.check_parameters(operation.get("parameters"), &place.path, &format!("{at}/parameters"));
        self.check_content(operation.get("requestBody"), &Around::default(), &format!("{at}/requestBody"));
        for (status, response) in operation.get("responses").and_then(Value::as_object).into_iter().flatten() {
            let is_error = status.starts_with(['4', '5']) || status == "default";
            let around = Around { is_error, ..Around::default() };
            self.check_content(Some(response), &around, &format!("{at}/responses/{}", escape(status)));
        }
    }

    fn check_components(&mut self) {
        let document = self.document;
        let named = |kind: &str| schema::object(document, &format!("/components/{kind}")).into_iter().flatten();
        for (name, schema) in named("schemas") {
            let at = format!("/components/schemas/{}", escape(name));
            let mut containers = self.references.get(name).cloned().unwrap_or_default();
            containers.push(name.clone());
            self.check_named(name, schema, &Around::default(), &at);
            self.check_children(schema, &Around { containers, ..Around::default() }, &at);
        }
        for (name, parameter) in named("parameters") {
            self.check_parameter(parameter, &Around::default(), &format!("/components/parameters/{}", escape(name)));
        }
        for kind in ["requestBodies", "responses"] {
            for (name, holder) in named(kind) {
                let around = Around { containers: vec![name.clone()], ..Around::default() };
                self.check_content(Some(holder), &around, &format!("/components/{kind}/{}", escape(name)));
            }
        }
    }

    fn check_parameters(&mut self, parameters: Option<&Value>, path: &str, at: &str) {
        let parameters = parameters.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let name = |parameter: &Value| parameter.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
        for (index, parameter) in parameters.iter().enumerate() {
            let own = name(parameter);
            let is_in_path = parameter.get("in").and_then(Value::as_str) == Some("path");
            let before = path.split(&format!("/{{{own}}}")).next().unwrap_or_default();
            let segment = before.rsplit('/').next().unwrap_or_default();
            let around = Around {
                containers: if is_in_path { vec![segment.to_owned()] } else { Vec::new() },
                siblings: parameters.iter().map(name).filter(|name| *name != own).collect(),
                is_in_path,
                is_error: false,
            };
            self.check_parameter(parameter, &around, &format!("{at}/{index}"));
        }
    }

    fn check_parameter(&mut self, parameter: &Value, around: &Around, at: &str) {
        let name = parameter.get("name").and_then(Value::as_str).unwrap_or_default();
        if let Some(schema) = parameter.get("schema")
            && !schema::is_ignored_header(parameter)
        {
            self.check_named(name, schema, around, &format!("{at}/schema"));
            let around = Around { containers: vec![name.to_owned()], ..Around::default() };
            self.check_children(schema, &around, &format!("{at}/schema"));
        }
    }

    fn check_content(&mut self, holder: Option<&Value>, around: &Around, at: &str) {
        let content = holder.and_then(|holder| holder.get("content")?.as_object());
        for (media_type, media) in content.into_iter().flatten() {
            if let Some(schema) = media.get("schema") {
                let at = format!("{at}/content/{}/schema", escape(media_type));
                let mut around = around.clone();
                if let Some(title) = schema.get("title").and_then(Value::as_str) {
                    if schema.get("properties").is_none() {
                        self.check_named(title, schema, &around, &at);
                    }
                    around.containers.push(title.to_owned());
                }
                self.check_children(schema, &around, &at);
            }
        }
    }

    /// Checks the schemas inside a schema. Referenced schemas are checked separately, under their
    /// own names.
    fn check_children(&mut self, schema: &Value, around: &Around, at: &str) {
        let properties = schema.get("properties").and_then(Value::as_object);
        for (step, child) in schema::children(schema) {
            let at = format!("{at}{step}");
            let Some(name) = step.strip_prefix("/properties/").map(schema::unescape) else {
                self.check_children(child, around, &at);
                continue;
            };
            let siblings = properties.into_iter().flatten().filter(|(other, _)| **other != name);
            let siblings: Vec<String> = siblings.map(|(name, _)| name.clone()).collect();
            let in_object = Around { siblings, ..around.clone() };
            self.check_named(&name, child, &in_object, &at);
            let inside = Around { containers: vec![name], siblings: Vec::new(), ..around.clone() };
            self.check_children(child, &inside, &at);
        }
    }

    /// Returns whether another property of the object at `at` is marked as a secret.
    fn is_sibling_marked(&self, at: &str) -> bool {
        let components = self.document.get("components").unwrap_or(&Value::Null);
        let Some((properties, _)) = at.rsplit_once('/') else { return false };
        let properties = schema::object(self.document, properties).into_iter().flatten();
        properties.into_iter().any(|(_, property)| is_secret(&resolve(components, property)))
    }

    /// Checks a schema under `name`, which is the name of either the schema itself or a field with
    /// this schema.
    fn check_named(&mut self, name: &str, schema: &Value, around: &Around, at: &str) {
        let components = self.document.get("components").unwrap_or(&Value::Null);
        // The exemption may be in the referenced schema.
        let resolved = resolve(components, schema);
        let format = resolved.get("format").and_then(Value::as_str).unwrap_or_default().to_ascii_lowercase();
        let looks_secret = looks_secret(name, around)
            || FORMATS.contains(&format.as_str())
            || is_value_of(name, around) && !self.is_sibling_marked(at);
        let exemption = schema.get(NOT_SECRET_KEY).or_else(|| resolved.get(NOT_SECRET_KEY));
        if !looks_secret && exemption.is_none() {
            return;
        }
        let parts = within(components, &resolved);
        let is_open = looks_secret && is_unmarked(&parts);
        // The exemption may also be in a part of the schema.
        let is_part_exempt =
            parts.iter().any(|part| part.schema != resolved && part.schema.get(NOT_SECRET_KEY).is_some());
        let (cure_at, cure) = likely_cure(components, schema, at);
        let error = match exemption {
            None if is_open && !is_part_exempt => Error::new(format!(
                "`{name}` looks like a secret, but is neither marked as a secret nor exempted"
            ))
            .help(format!(
                "mark `{name}` as a secret or exempt it with an overlay action:\n    - target: {}\n      description: A secret.\n      update: {{type: string, format: password}}   # or: update: {{{NOT_SECRET_KEY}: the reason}}",
                json_path(self.document, at)
            ))
            .cured_by_update(cure_at, cure),
            Some(reason) if reason.as_str().is_none_or(|reason| reason.trim().is_empty()) => {
                Error::new(format!("`{NOT_SECRET_KEY}` on `{name}` does not give a reason")).help("set the value of the `x-not-secret` key to the reason for the exemption")
            }
            Some(reason) if !is_open && schema.get(NOT_SECRET_KEY).is_some() => Error::new(format!(
                "`{NOT_SECRET_KEY}` on `{name}` has no effect, because the field does not look like a secret or is already marked as a secret (stated reason: {})",
                reason.as_str().unwrap_or_default()
            ))
            .help("remove the overlay action"),
            _ => return,
        };
        // A secret must not appear in a URL, so marking the parameter would not be enough.
        let parameter = at.strip_suffix("/schema").unwrap_or_default();
        let place = self.document.pointer(parameter).and_then(|parameter| parameter.get("in")?.as_str());
        let error = match place {
            Some("query") => error.cured_by_removal(parameter),
            Some("path") => {
                error.cured_by_update(at, json!({NOT_SECRET_KEY: "Check that the path contains no secret."}))
            }
            _ => error,
        };
        let error = error.at(at);
        self.errors.push(match &self.operation {
            Some(operation) => error.in_operation(operation),
            None => error,
        });
    }
}

/// Returns the suggested update for a field that looks like a secret, along with the location to
/// update. The update marks the field, or exempts it if it cannot be marked. If a field or an entry
/// refers to a named schema, the mark belongs in that schema, because the schema determines the
/// type.
fn likely_cure(components: &Value, schema: &Value, at: &str) -> (String, Value) {
    let is_text = |schema: &Value| resolve(components, schema).get("type").is_some_and(|kind| kind == "string");
    let mark = |schema: &Value, at: &str| {
        let named = schema::referenced(schema).map(|name| format!("/components/schemas/{}", escape(name)));
        (named.unwrap_or_else(|| at.to_owned()), json!({"format": "password"}))
    };
    if is_text(schema) {
        return mark(schema, at);
    }
    let entries = ["items", "additionalProperties"].into_iter().find_map(|key| Some((key, schema.get(key)?)));
    match entries.filter(|(_, entry)| is_text(entry)) {
        Some((key, entry)) => mark(entry, &format!("{at}/{key}")),
        None => (at.to_owned(), json!({NOT_SECRET_KEY: "Check that no part of the value is a secret."})),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document_with_response(properties: Value) -> Value {
        json!({"paths": {"/x": {"post": {"operationId": "x", "responses": {"200": {"content": {"application/json": {
            "schema": {"type": "object", "properties": properties}}}}}}}}})
    }

    fn message(document: &Value) -> String {
        check(document).map_or_else(|error| error.to_string(), |()| String::new())
    }

    #[test]
    fn a_name_that_looks_like_a_secret_is_found_everywhere() {
        for name in [
            "id_token",
            "refreshToken",
            "X-API-Key",
            "apikey",
            "clientSecret",
            "authCode",
            "PIN",
            "pass.code",
            "JWT",
            "secretkey",
            "privateKeys",
            "idtoken",
            "userpassword",
            "securitycode",
            "token1",
            "accessTokens2",
            "cvc",
            "x-signature",
        ] {
            for schema in [
                json!({"type": "string"}),
                json!({"type": "integer"}),
                json!({}),
                json!({"type": "array", "items": {"type": "string"}}),
                json!({"type": "object", "additionalProperties": {"type": "string"}}),
                json!({"type": "object"}),
                json!({"type": "object", "additionalProperties": true}),
                json!({"type": "object", "properties": {"value": {"type": "string"}}}),
                json!({"type": "array", "items": {"type": "object", "properties": {"value": {"type": "string"}}}}),
                json!({"oneOf": [{"type": "integer"}, {"type": "string"}]}),
            ] {
                let text = message(&document_with_response(json!({name: schema})));
                assert!(text.contains(name), "{name} {schema}: {text}");
                assert!(text.contains("operation: x (POST /x)"), "{name} {schema}: {text}");
                assert!(text.contains(&format!("['properties']['{name}']")), "{text}");
            }
        }
        let text = message(&document_with_response(
            json!({"deep": {"type": "object", "properties": {"list": {"type": "array", "items":
            {"type": "object", "properties": {"secret": {"type": "string"}}}}}}}),
        ));
        assert!(text.contains("/properties/deep/properties/list/items/properties/secret"), "{text}");
        assert!(!message(&document_with_response(json!({"a": {"type": "string", "format": "JWT"}}))).is_empty());

        let mut document = document_with_response(json!({}));
        document["paths"]["/x"]["parameters"] =
            json!([{"name": "x-key", "in": "header", "schema": {"type": "string"}}]);
        document["components"] = json!({"schemas": {"OneTimeCode": {"type": "string"}, "Login": {"properties": {"otp": {}}}},
            "parameters": {"P": {"name": "token", "in": "query", "schema": {"$ref": "#/components/schemas/OneTimeCode"}}}});
        let text = message(&document);
        assert_eq!(text.matches("looks like a secret").count(), 4, "{text}");
        // Other implementations of OpenAPI Overlay 1.0 require the parentheses.
        assert!(text.contains("['parameters'][?(@.name == 'x-key')]['schema']"), "{text}");
    }

    #[test]
    fn fields_that_are_marked_exempt_or_not_text_are_accepted() {
        let mut document = document_with_response(json!({
            "access_token": {"type": "string", "format": "password"},
            "tokens": {"type": "array", "items": {"type": "string", "format": "password"}},
            "has_password": {"type": "boolean"},
            "key": {"type": "object", "properties": {"id": {"type": "string"}, "value": {"type": "string", "format": "password"}}},
            "HttpStatusCode": {"type": "integer"},
            "tokenized": {"type": "string"}, "monkey": {"type": "string"}, "barcode": {"type": "string"}, "spin": {"type": "string"}, "postcode": {"type": "string"}, "keyboard": {"type": "string"},
            "gift_token": {"type": "string", "x-not-secret": "the name of a picture"},
            "token": {"$ref": "#/components/schemas/ColorToken"},
            "secrets": {"type": "object", "allOf": [{"properties": {"name": {"type": "string"}}}]},
        }));
        document["components"] =
            json!({"schemas": {"ColorToken": {"type": "string", "x-not-secret": "the name of a color"}}});
        assert_eq!(message(&document), "");
    }

    #[test]
    fn an_exemption_needs_a_reason_and_an_effect() {
        for (properties, part) in [
            (json!({"token": {"type": "string", "x-not-secret": " "}}), "does not give a reason"),
            (json!({"token": {"type": "string", "x-not-secret": true}}), "does not give a reason"),
            (json!({"name": {"type": "string", "x-not-secret": "why"}}), "has no effect"),
            (json!({"currency_code": {"type": "string", "x-not-secret": "why"}}), "has no effect"),
            (json!({"access_code": {"enum": ["A"], "x-not-secret": "why"}}), "has no effect"),
            (
                json!({"token": {"type": "string", "format": "password", "x-not-secret": "the given reason"}}),
                "the given reason",
            ),
        ] {
            let text = message(&document_with_response(properties));
            assert!(text.contains(part), "{text}");
        }
    }

    #[test]
    fn a_value_in_an_object_with_the_name_of_a_secret_is_found_behind_a_reference() {
        let mut document = document_with_response(json!({"access_token": {"$ref": "#/components/schemas/Text"}}));
        document["components"] =
            json!({"schemas": {"Text": {"type": "object", "properties": {"value": {"type": "string"}}}}});
        let text = message(&document);
        assert!(text.contains("`value` looks like a secret"), "{text}");
        assert!(text.contains("$['components']['schemas']['Text']['properties']['value']"), "{text}");
        let value = &mut document["components"]["schemas"]["Text"]["properties"]["value"];
        *value = json!({"type": "string", "x-not-secret": "why"});
        assert_eq!(message(&document), "");
        document["paths"]["/x"]["post"]["responses"] = json!({});
        assert!(message(&document).contains("has no effect"));
    }

    #[test]
    fn the_fields_around_a_code_and_its_place_decide() {
        let code = json!({"type": "object", "properties": {"code": {"type": "string"}}});
        let content = json!({"content": {"application/json": {"schema": code}}});
        for (status, is_found) in [("200", true), ("4XX", false), ("503", false), ("default", false)] {
            let document = json!({"paths": {"/x": {"get": {"responses": {status: content}}}}});
            assert_eq!(message(&document).contains("`code`"), is_found, "{status}");
        }
        let parameter = |name: &str| json!({"name": name, "in": "query", "schema": {"type": "string"}});
        for (other, is_found) in [("redirect_uri", true), ("message", false)] {
            let document = json!({"paths": {"/x": {"get": {"parameters": [parameter("code"), parameter(other)]}}}});
            assert_eq!(message(&document).contains("`code`"), is_found, "{other}");
        }
        let responses = json!({"ErrorResponse": content, "Login": content});
        let text = message(&json!({"components": {"responses": responses}}));
        assert_eq!(text.matches("looks like a secret").count(), 1, "{text}");
        assert!(text.contains("/components/responses/Login"), "{text}");
    }

    #[test]
    fn a_schema_that_contains_itself_is_accepted() {
        let mut document = document_with_response(json!({"keys": {"$ref": "#/components/schemas/Tree"}}));
        document["components"] =
            json!({"schemas": {"Tree": {"type": "array", "items": {"$ref": "#/components/schemas/Tree"}}}});
        assert_eq!(message(&document), "");
    }

    #[test]
    fn a_field_that_refers_to_a_text_is_marked_at_the_named_schema() {
        let mut document = document_with_response(json!({
            "card_token": {"$ref": "#/components/schemas/Text"},
            "tokens": {"items": {"$ref": "#/components/schemas/Tokens"}},
        }));
        document["components"] = json!({"schemas": {
            "Text": {"type": "string"},
            "Tokens": {"type": "object", "properties": {"access_token": {"$ref": "#/components/schemas/Text"}}},
        }});
        let errors = check(&document).unwrap_err().split();
        let cures: Vec<_> = errors.iter().map(|error| error.cure().unwrap().pointer.as_str()).collect();
        assert_eq!(cures, ["/components/schemas/Text"; 2]);
        document["components"]["schemas"]["Text"]["format"] = "password".into();
        assert_eq!(message(&document), "");
    }
}
