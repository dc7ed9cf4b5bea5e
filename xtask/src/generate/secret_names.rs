//! The stage of secret names: a field whose name looks like a secret must be marked, or excused with a reason.
//!
//! A mark is `format: password`, an excuse is `x-not-secret` with the reason as its text; both come by overlay actions. So
//! a credential that Flinks adds cannot become a plain `String` because nobody looked. An excuse that excuses nothing is an
//! error too: like every correction, it dies in the open.

use heck::ToSnakeCase as _;
use serde_json::Value;

use crate::spec::schema::{self, NOT_SECRET_KEY, escape, is_secret, json_path, operation_name, resolve};
use crate::{Error, Result};

/// Words of which a name of a secret has one, in the singular, or in which it ends where its words are not set apart.
const WORDS: [&str; 7] = ["token", "secret", "password", "passphrase", "passcode", "passwd", "credential"];

/// Words that must be set apart: `monkey`, `barcode` and other names end in them.
const SHORT: [&str; 12] =
    ["passkey", "pwd", "key", "code", "pin", "otp", "jwt", "bearer", "signature", "assertion", "cvv", "cvc"];

/// What is made of these without a gap.
const COMPOUNDS: [&str; 9] =
    ["secretkey", "privatekey", "apikey", "accesskey", "authkey", "accesscode", "authcode", "securitycode", "pincode"];

/// Formats that say the same. (`password` is the mark itself.)
const FORMATS: [&str; 6] = ["token", "secret", "key", "jwt", "api-key", "credential"];

/// Checks each parameter and each property of a document behind its overlay.
///
/// # Errors
///
/// All fields that look like a secret and are neither marked nor excused, and all excuses that excuse nothing.
pub fn check(document: &Value) -> Result<()> {
    let mut errors = Vec::new();
    let mut search = Search { document, errors: &mut errors, operation: None };
    for place in schema::operations(document) {
        let operation = document.pointer(&place.pointer()).unwrap_or(&Value::Null);
        search.operation = Some(operation_name(operation, &place));
        search.holder(operation, &place.pointer());
    }
    search.operation = None;
    for (path, item) in schema::object(document, "/paths").into_iter().flatten() {
        search.parameters(item.get("parameters"), &format!("/paths/{}/parameters", escape(path)));
    }
    search.components();
    Error::all(errors)
}

struct Search<'a> {
    document: &'a Value,
    errors: &'a mut Vec<Error>,
    operation: Option<String>,
}

impl Search<'_> {
    /// An operation: its parameters and its bodies.
    fn holder(&mut self, operation: &Value, at: &str) {
        self.parameters(operation.get("parameters"), &format!("{at}/parameters"));
        self.content(operation.get("requestBody"), &format!("{at}/requestBody"));
        for (status, response) in operation.get("responses").and_then(Value::as_object).into_iter().flatten() {
            self.content(Some(response), &format!("{at}/responses/{}", escape(status)));
        }
    }

    fn components(&mut self) {
        let document = self.document;
        let named = |kind: &str| schema::object(document, &format!("/components/{kind}")).into_iter().flatten();
        for (name, schema) in named("schemas") {
            let at = format!("/components/schemas/{}", escape(name));
            self.named(name, schema, &at);
            self.properties(schema, &at);
        }
        for (name, parameter) in named("parameters") {
            self.parameter(parameter, &format!("/components/parameters/{}", escape(name)));
        }
        for kind in ["requestBodies", "responses"] {
            for (name, holder) in named(kind) {
                self.content(Some(holder), &format!("/components/{kind}/{}", escape(name)));
            }
        }
    }

    fn parameters(&mut self, parameters: Option<&Value>, at: &str) {
        for (index, parameter) in parameters.and_then(Value::as_array).into_iter().flatten().enumerate() {
            self.parameter(parameter, &format!("{at}/{index}"));
        }
    }

    fn parameter(&mut self, parameter: &Value, at: &str) {
        let name = parameter.get("name").and_then(Value::as_str).unwrap_or_default();
        if let Some(schema) = parameter.get("schema").filter(|_| !schema::is_ignored_header(parameter)) {
            self.named(name, schema, &format!("{at}/schema"));
            self.properties(schema, &format!("{at}/schema"));
        }
    }

    fn content(&mut self, holder: Option<&Value>, at: &str) {
        let content = holder.and_then(|holder| holder.get("content")?.as_object());
        for (media_type, media) in content.into_iter().flatten() {
            if let Some(schema) = media.get("schema") {
                let at = format!("{at}/content/{}/schema", escape(media_type));
                if let Some(title) =
                    schema.get("title").and_then(Value::as_str).filter(|_| schema.get("properties").is_none())
                {
                    self.named(title, schema, &at);
                }
                self.properties(schema, &at);
            }
        }
    }

    /// What lies within a schema; what it refers to is met under its own name.
    fn properties(&mut self, schema: &Value, at: &str) {
        for (step, child) in schema::children(schema) {
            let at = format!("{at}{step}");
            if let Some(name) = step.strip_prefix("/properties/") {
                self.named(&schema::unescape(name), child, &at);
            }
            self.properties(child, &at);
        }
    }

    /// A schema under the name that says what it is.
    fn named(&mut self, name: &str, schema: &Value, at: &str) {
        let components = self.document.get("components").unwrap_or(&Value::Null);
        // The excuse may stand at the schema that is referred to.
        let resolved = resolve(components, schema);
        let format = resolved.get("format").and_then(Value::as_str).unwrap_or_default().to_ascii_lowercase();
        let looks_secret = looks_secret(name) || FORMATS.contains(&format.as_str());
        let parts = within(components, &resolved, 8);
        let is_open = looks_secret && holds_text(&parts);
        // So does an excuse of a part.
        let is_excused_within = parts.iter().any(|part| *part != resolved && part.get(NOT_SECRET_KEY).is_some());
        let excuse = schema.get(NOT_SECRET_KEY).or_else(|| resolved.get(NOT_SECRET_KEY));
        let error = match excuse {
            None if is_open && !is_excused_within => Error::new(format!(
                "`{name}` looks like a secret, and is neither marked nor excused"
            ))
            .help(format!(
                "either mark it by an overlay action, as a text of format password, or excuse it:\n    - target: {}\n      description: A secret (A3).\n      update: {{type: string, format: password}}   # or: update: {{{NOT_SECRET_KEY}: the reason}}",
                json_path(self.document, at)
            )),
            Some(reason) if reason.as_str().is_none_or(|reason| reason.trim().is_empty()) => {
                Error::new(format!("`{NOT_SECRET_KEY}` of `{name}` gives no reason")).help("its text is the reason")
            }
            Some(reason) if !is_open && schema.get(NOT_SECRET_KEY).is_some() => Error::new(format!(
                "`{NOT_SECRET_KEY}` of `{name}` excuses nothing: it does not look like a secret, or is marked; the reason was: {}",
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
    // RFC 9110's word for what every reply has.
    let name = name.replace("status_code", "");
    // `tokens` and `token2` are `token`.
    let singular = |word: &str| {
        let word = word.trim_end_matches(|c: char| c.is_ascii_digit());
        word.strip_suffix('s').unwrap_or(word).to_owned()
    };
    let joined = singular(&name.replace('_', ""));
    let is_word = |word: String| WORDS.contains(&word.as_str()) || SHORT.contains(&word.as_str());
    name.split('_').map(singular).any(is_word) || WORDS.iter().chain(&COMPOUNDS).any(|ending| joined.ends_with(ending))
}

/// Whether a schema may hold text or a number (a PIN) and has no mark within. What has properties of its own is judged as a
/// whole: one mark shows that somebody looked.
fn holds_text(parts: &[Value]) -> bool {
    parts.iter().any(is_open) && !parts.iter().any(is_secret)
}

/// Text, a number, or anything at all.
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

/// A schema and all that lies in it, down to a depth beyond which no token reply goes; a schema may hold itself.
fn within(components: &Value, schema: &Value, depth: u8) -> Vec<Value> {
    let schema = resolve(components, schema);
    let children = schema::children(&schema).into_iter().filter(|_| depth > 0);
    let inner: Vec<Value> =
        children.flat_map(|(_, child)| within(components, child, depth.saturating_sub(1))).collect();
    inner.into_iter().chain([schema]).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn reply(properties: Value) -> Value {
        json!({"paths": {"/x": {"post": {"operationId": "x", "responses": {"200": {"content": {"application/json": {
            "schema": {"type": "object", "properties": properties}}}}}}}}})
    }

    fn message(document: &Value) -> String {
        check(document).map_or_else(|error| error.to_string(), |()| String::new())
    }

    #[test]
    fn what_looks_like_a_secret_is_found_wherever_it_stands() {
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
                let text = message(&reply(json!({name: schema})));
                assert!(text.contains(name) && text.contains("operation: x (POST /x)"), "{name} {schema}: {text}");
                assert!(text.contains(&format!("['properties']['{name}']")), "{text}");
            }
        }
        let text = message(&reply(json!({"deep": {"type": "object", "properties": {"list": {"type": "array", "items":
            {"type": "object", "properties": {"secret": {"type": "string"}}}}}}})));
        assert!(text.contains("/properties/deep/properties/list/items/properties/secret"), "{text}");
        assert!(!message(&reply(json!({"a": {"type": "string", "format": "JWT"}}))).is_empty());

        let mut document = reply(json!({}));
        document["paths"]["/x"]["parameters"] =
            json!([{"name": "x-key", "in": "header", "schema": {"type": "string"}}]);
        document["components"] = json!({"schemas": {"OneTimeCode": {"type": "string"}, "Login": {"properties": {"otp": {}}}},
            "parameters": {"P": {"name": "token", "in": "query", "schema": {"$ref": "#/components/schemas/OneTimeCode"}}}});
        let text = message(&document);
        assert_eq!(text.matches("looks like a secret").count(), 4, "all at once: {text}");
    }

    #[test]
    fn what_is_marked_excused_or_no_text_is_left_alone() {
        let mut document = reply(json!({
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
    fn an_excuse_needs_a_reason_and_something_to_excuse() {
        for (properties, part) in [
            (json!({"token_type": {"type": "string", "x-not-secret": " "}}), "gives no reason"),
            (json!({"token_type": {"type": "string", "x-not-secret": true}}), "gives no reason"),
            (json!({"name": {"type": "string", "x-not-secret": "why"}}), "excuses nothing"),
            (json!({"token": {"type": "string", "format": "password", "x-not-secret": "the why"}}), "the why"),
        ] {
            let text = message(&reply(properties));
            assert!(text.contains(part), "{text}");
        }
    }

    #[test]
    fn a_schema_that_holds_itself_ends() {
        let mut document = reply(json!({"keys": {"$ref": "#/components/schemas/Tree"}}));
        document["components"] =
            json!({"schemas": {"Tree": {"type": "array", "items": {"$ref": "#/components/schemas/Tree"}}}});
        assert_eq!(message(&document), "");
    }
}
