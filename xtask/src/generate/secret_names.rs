//! The secret-names stage checks that every field with a secret-looking name is marked as a secret
//! or exempted with a reason.
//!
//! An overlay action marks a field (`format: password`) or exempts it (`x-not-secret` with the
//! reason). This check prevents a new credential from becoming a plain `String` unnoticed. An
//! exemption that has no effect is an error, so that maintainers remove obsolete exemptions.

use heck::ToSnakeCase as _;
use serde_json::Value;

use crate::spec::schema::{self, NOT_SECRET_KEY, escape, is_secret, json_path, operation_name, resolve};
use crate::{Error, Result};

/// Words that identify a secret, in the singular. A name matches if it contains one of these words
/// as a separate word or ends with one of them.
const WORDS: [&str; 7] = ["token", "secret", "password", "passphrase", "passcode", "passwd", "credential"];

/// Words that identify a secret only as separate words, because names such as `monkey` and
/// `barcode` merely end with `key` and `code`.
const SHORT: [&str; 12] =
    ["passkey", "pwd", "key", "code", "pin", "otp", "jwt", "bearer", "signature", "assertion", "cvv", "cvc"];

/// Compound words that identify a secret and may be written without a separator.
const COMPOUNDS: [&str; 9] =
    ["secretkey", "privatekey", "apikey", "accesskey", "authkey", "accesscode", "authcode", "securitycode", "pincode"];

/// Formats that indicate a secret. The `password` format is not in the list because it is the
/// secret mark itself.
const FORMATS: [&str; 6] = ["token", "secret", "key", "jwt", "api-key", "credential"];

/// Checks each parameter and each property of a corrected document.
///
/// # Errors
///
/// Returns an error that lists all secret-looking fields that are neither marked nor exempted, and
/// all exemptions that have no reason or no effect.
pub fn check(document: &Value) -> Result<()> {
    let mut errors = Vec::new();
    let mut search = Search { document, errors: &mut errors, operation: None };
    for place in schema::operations(document) {
        let operation = document.pointer(&place.pointer()).unwrap_or(&Value::Null);
        search.operation = Some(operation_name(operation, &place));
        search.check_operation(operation, &place.pointer());
    }
    search.operation = None;
    for (path, item) in schema::object(document, "/paths").into_iter().flatten() {
        search.check_parameters(item.get("parameters"), &format!("/paths/{}/parameters", escape(path)));
    }
    search.check_components();
    Error::all(errors)
}

struct Search<'a> {
    document: &'a Value,
    errors: &'a mut Vec<Error>,
    operation: Option<String>,
}

impl Search<'_> {
    /// Checks the parameters and bodies of an operation.
    fn check_operation(&mut self, operation: &Value, at: &str) {
        self.check_parameters(operation.get("parameters"), &format!("{at}/parameters"));
        self.check_content(operation.get("requestBody"), &format!("{at}/requestBody"));
        for (status, response) in operation.get("responses").and_then(Value::as_object).into_iter().flatten() {
            self.check_content(Some(response), &format!("{at}/responses/{}", escape(status)));
        }
    }

    fn check_components(&mut self) {
        let document = self.document;
        let named = |kind: &str| schema::object(document, &format!("/components/{kind}")).into_iter().flatten();
        for (name, schema) in named("schemas") {
            let at = format!("/components/schemas/{}", escape(name));
            self.check_named(name, schema, &at);
            self.check_children(schema, &at);
        }
        for (name, parameter) in named("parameters") {
            self.check_parameter(parameter, &format!("/components/parameters/{}", escape(name)));
        }
        for kind in ["requestBodies", "responses"] {
            for (name, holder) in named(kind) {
                self.check_content(Some(holder), &format!("/components/{kind}/{}", escape(name)));
            }
        }
    }

    fn check_parameters(&mut self, parameters: Option<&Value>, at: &str) {
        for (index, parameter) in parameters.and_then(Value::as_array).into_iter().flatten().enumerate() {
            self.check_parameter(parameter, &format!("{at}/{index}"));
        }
    }

    fn check_parameter(&mut self, parameter: &Value, at: &str) {
        let name = parameter.get("name").and_then(Value::as_str).unwrap_or_default();
        if let Some(schema) = parameter.get("schema")
            && !schema::is_ignored_header(parameter)
        {
            self.check_named(name, schema, &format!("{at}/schema"));
            self.check_children(schema, &format!("{at}/schema"));
        }
    }

    fn check_content(&mut self, holder: Option<&Value>, at: &str) {
        let content = holder.and_then(|holder| holder.get("content")?.as_object());
        for (media_type, media) in content.into_iter().flatten() {
            if let Some(schema) = media.get("schema") {
                let at = format!("{at}/content/{}/schema", escape(media_type));
                if let Some(title) = schema.get("title").and_then(Value::as_str)
                    && schema.get("properties").is_none()
                {
                    self.check_named(title, schema, &at);
                }
                self.check_children(schema, &at);
            }
        }
    }

    /// Checks the schemas inside a schema. Referenced schemas are checked separately, under their
    /// own names.
    fn check_children(&mut self, schema: &Value, at: &str) {
        for (step, child) in schema::children(schema) {
            let at = format!("{at}{step}");
            if let Some(name) = step.strip_prefix("/properties/") {
                self.check_named(&schema::unescape(name), child, &at);
            }
            self.check_children(child, &at);
        }
    }

    /// Checks a schema under `name`, the name of either the schema itself or a field with this
    /// schema.
    fn check_named(&mut self, name: &str, schema: &Value, at: &str) {
        let components = self.document.get("components").unwrap_or(&Value::Null);
        // The exemption may be in the referenced schema.
        let resolved = resolve(components, schema);
        let format = resolved.get("format").and_then(Value::as_str).unwrap_or_default().to_ascii_lowercase();
        let looks_secret = looks_secret(name) || FORMATS.contains(&format.as_str());
        let parts = within(components, &resolved, 8);
        let is_open = looks_secret && is_unmarked(&parts);
        // The exemption may also be in a part of the schema.
        let is_part_exempt = parts.iter().any(|part| *part != resolved && part.get(NOT_SECRET_KEY).is_some());
        let exemption = schema.get(NOT_SECRET_KEY).or_else(|| resolved.get(NOT_SECRET_KEY));
        let error = match exemption {
            None if is_open && !is_part_exempt => Error::new(format!(
                "`{name}` looks like a secret, but is neither marked as a secret nor exempted"
            ))
            .help(format!(
                "mark `{name}` as a secret or exempt it with an overlay action:\n    - target: {}\n      description: A secret.\n      update: {{type: string, format: password}}   # or: update: {{{NOT_SECRET_KEY}: the reason}}",
                json_path(self.document, at)
            )),
            Some(reason) if reason.as_str().is_none_or(|reason| reason.trim().is_empty()) => {
                Error::new(format!("`{NOT_SECRET_KEY}` of `{name}` does not give a reason")).help("set the value of the `x-not-secret` key to the reason for the exemption")
            }
            Some(reason) if !is_open && schema.get(NOT_SECRET_KEY).is_some() => Error::new(format!(
                "`{NOT_SECRET_KEY}` of `{name}` has no effect, because the field does not look like a secret or is already marked as a secret (stated reason: {})",
                reason.as_str().unwrap_or_default()
            ))
            .help("remove the overlay action"),
            _ => return,
        };
        let error = error.at(at);
        self.errors.push(match &self.operation {
            Some(operation) => error.in_operation(operation),
            None => error,
        });
    }
}

fn looks_secret(name: &str) -> bool {
    let name = name.replace(|c: char| !c.is_alphanumeric(), "_").to_snake_case();
    // Every response has a status code (RFC 9110), which is not a secret.
    let name = name.replace("status_code", "");
    // `tokens` and `token2` are treated as `token`.
    let singular = |word: &str| {
        let word = word.trim_end_matches(|c: char| c.is_ascii_digit());
        word.strip_suffix('s').unwrap_or(word).to_owned()
    };
    let joined = singular(&name.replace('_', ""));
    let is_word = |word: String| WORDS.contains(&word.as_str()) || SHORT.contains(&word.as_str());
    name.split('_').map(singular).any(is_word) || WORDS.iter().chain(&COMPOUNDS).any(|ending| joined.ends_with(ending))
}

/// Returns whether a schema can contain a string or a number (such as a PIN) and has no part that
/// is marked as a secret. One marked field is enough for an object, because the mark shows that
/// someone reviewed the object.
fn is_unmarked(parts: &[Value]) -> bool {
    parts.iter().any(is_open) && !parts.iter().any(is_secret)
}

/// Returns whether a schema allows a string or a number.
fn is_open(schema: &Value) -> bool {
    match schema.get("type").and_then(Value::as_str) {
        Some("string" | "integer" | "number") => true,
        Some("object") => {
            !schema.get("properties").is_some_and(Value::is_object)
                && !schema.get("additionalProperties").is_some_and(Value::is_object)
        }
        Some(_) => false,
        None => !["properties", "oneOf", "anyOf", "allOf", "additionalProperties"]
            .iter()
            .any(|key| schema.get(key).is_some()),
    }
}

/// Returns a schema and all schemas inside it. A schema can contain itself, so the depth is
/// limited.
fn within(components: &Value, schema: &Value, depth: u8) -> Vec<Value> {
    let schema = resolve(components, schema);
    let mut all = Vec::new();
    if let Some(depth) = depth.checked_sub(1) {
        for (_, child) in schema::children(&schema) {
            all.extend(within(components, child, depth));
        }
    }
    all.push(schema);
    all
}

#[cfg(test)]
mod tests {
    use serde_json::json;

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
    }

    #[test]
    fn fields_that_are_marked_exempt_or_not_text_are_accepted() {
        let mut document = document_with_response(json!({
            "token": {"type": "string", "format": "password"},
            "tokens": {"type": "array", "items": {"type": "string", "format": "password"}},
            "has_password": {"type": "boolean"},
            "key": {"type": "object", "properties": {"id": {"type": "string"}, "value": {"type": "string", "format": "password"}}},
            "HttpStatusCode": {"type": "integer"},
            "tokenized": {"type": "string"}, "monkey": {"type": "string"}, "barcode": {"type": "string"}, "spin": {"type": "string"}, "postcode": {"type": "string"}, "keyboard": {"type": "string"},
            "token_type": {"type": "string", "x-not-secret": "the word Bearer"},
            "code": {"$ref": "#/components/schemas/ErrorCode"},
        }));
        document["components"] =
            json!({"schemas": {"ErrorCode": {"type": "string", "x-not-secret": "a word from a list"}}});
        assert_eq!(message(&document), "");
    }

    #[test]
    fn an_exemption_needs_a_reason_and_an_effect() {
        for (properties, part) in [
            (json!({"token_type": {"type": "string", "x-not-secret": " "}}), "does not give a reason"),
            (json!({"token_type": {"type": "string", "x-not-secret": true}}), "does not give a reason"),
            (json!({"name": {"type": "string", "x-not-secret": "why"}}), "has no effect"),
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
    fn a_schema_that_contains_itself_is_accepted() {
        let mut document = document_with_response(json!({"keys": {"$ref": "#/components/schemas/Tree"}}));
        document["components"] =
            json!({"schemas": {"Tree": {"type": "array", "items": {"$ref": "#/components/schemas/Tree"}}}});
        assert_eq!(message(&document), "");
    }
}
