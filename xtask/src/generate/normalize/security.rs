//! Converts security requirements to arguments.
//!
//! OpenAPI describes authentication separately from parameters, and progenitor ignores
//! authentication. If an operation requires fixed credentials, this pass adds a secret header
//! parameter for each of them. If there are several alternatives, the caller uses an enum to choose
//! one.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::form::{CredentialChoice, CredentialHeader, CredentialVariant, Operation};
use crate::spec::schema::{self, Place, escape, is_secret, pascal, reference, resolve};
use crate::{Error, Result};

/// A header that a security requirement calls for.
#[derive(Clone)]
struct Credential {
    /// The kind of credential, such as `a bearer token`. Two credentials with the same kind and
    /// header are sent in the same way.
    kind: &'static str,
    name: String,
    schema: Value,
    description: String,
}

/// A security requirement: the caller sends the credentials for one of the alternatives.
struct Requirement {
    alternatives: Vec<Alternative>,
    is_required: bool,
    /// See [`Security::scopes`].
    scopes: Vec<Vec<String>>,
}

/// The credentials that are sent together.
#[derive(Clone)]
struct Alternative {
    /// The name of the security scheme for each credential.
    schemes: Vec<String>,
    credentials: Vec<Credential>,
}

impl Alternative {
    fn add(&mut self, credential: &Credential, scheme: &str) {
        self.schemes.push(scheme.to_owned());
        self.credentials.push(credential.clone());
    }

    /// Returns a copy of this alternative in which `credential` replaces another kind of credential
    /// in the same header. Returns `None` if this alternative has no other kind of credential in
    /// that header.
    fn replacing(&self, credential: &Credential, scheme: &str) -> Option<Self> {
        let is_other_kind =
            |other: &Credential| other.name.eq_ignore_ascii_case(&credential.name) && other.kind != credential.kind;
        let index = self.credentials.iter().position(is_other_kind)?;
        let mut way = self.clone();
        way.credentials.remove(index);
        way.schemes.remove(index);
        way.add(credential, scheme);
        Some(way)
    }

    /// Returns a description of how the credentials are sent, such as `a key in `X-API-Key``.
    fn words(&self) -> String {
        let words = self.credentials.iter().map(|credential| format!("{} in `{}`", credential.kind, credential.name));
        words.collect::<Vec<_>>().join(", ")
    }
}

/// The result of converting a security requirement to arguments.
#[derive(Default)]
pub(crate) struct Security {
    /// The description of the required credentials.
    pub(crate) words: String,
    /// The choice between several alternatives.
    pub(crate) choice: Option<CredentialChoice>,
    /// The sets of OAuth scopes. The credentials must have all the scopes in at least one of the
    /// sets.
    pub(crate) scopes: Vec<Vec<String>>,
}

/// Checks an operation's security requirement.
///
/// # Errors
///
/// Returns an error if the requirement cannot be converted to arguments.
pub(crate) fn check(document: &Value, place: &Place) -> Result<()> {
    requirement(document, place).map(drop)
}

/// Converts an operation's security requirement to header parameters or to a choice of credentials.
/// If there is only one alternative, adds a header parameter to the operation for each header that
/// the alternative calls for, except for headers that the operation already describes.
///
/// # Errors
///
/// Returns an error if the requirement cannot be converted to arguments.
pub(crate) fn write_out(document: &mut Value, components: &Value, place: &Place) -> Result<Security> {
    let Requirement { alternatives, is_required, scopes } = requirement(document, place)?;
    let words: Vec<String> = alternatives.iter().map(Alternative::words).collect();
    let words = words.join(", or ");
    let all = || alternatives.iter().flat_map(|alternative| &alternative.credentials);
    if all().any(|credential| schema::referenced(&credential.schema).is_some())
        && schema::named(document, AUTHORIZATION).is_none()
    {
        let text = "The credentials in the `Authorization` header, such as a bearer token.";
        schema::insert(document, AUTHORIZATION, json!({"type": "string", "format": "password", "description": text}));
    }
    let Some(operation) = document.pointer_mut(&place.pointer()).and_then(Value::as_object_mut) else {
        return Ok(Security::default());
    };
    operation.shift_remove("security");
    let parameters = operation.entry("parameters").or_insert_with(|| json!([]));
    let Some(parameters) = parameters.as_array_mut() else { return Ok(Security::default()) };
    let is_header = |parameter: &Value, name: &str| {
        let text = |key: &str| parameter.get(key).and_then(Value::as_str).unwrap_or_default();
        text("in") == "header" && text("name").eq_ignore_ascii_case(name)
    };
    let is_choice = alternatives.len() > 1;
    for Credential { name, .. } in all() {
        // An `Authorization` header parameter is ignored unless it is marked as a secret.
        parameters.retain(|parameter| !is_header(parameter, name) || !is_choice && is_marked(components, parameter));
    }
    if is_choice {
        return Ok(Security { words, choice: Some(choice(&alternatives, is_required)), scopes });
    }
    for Credential { name, schema, description, .. } in all() {
        if !parameters.iter().any(|parameter| is_header(parameter, name)) {
            parameters.push(json!({"name": name, "in": "header", "required": is_required, "description": description, "schema": schema}));
        }
    }
    Ok(Security { words, choice: None, scopes })
}

/// Returns the choice between alternatives. Operations with the same alternatives get the same
/// choice, even if the order of the alternatives differs.
fn choice(alternatives: &[Alternative], is_required: bool) -> CredentialChoice {
    let mut variants: Vec<CredentialVariant> = Vec::new();
    for alternative in alternatives {
        let name: Vec<String> = alternative.schemes.iter().map(|scheme| pascal(scheme)).collect();
        let name = name.join("And");
        let is_usable = schema::is_type_name(&name) && variants.iter().all(|other| other.name != name);
        let name = if is_usable { name } else { format!("Scheme{}", variants.len().saturating_add(1)) };
        let headers = alternative.credentials.iter().map(|credential| CredentialHeader {
            name: credential.name.clone(),
            is_authorization: schema::referenced(&credential.schema).is_some(),
            description: credential.description.clone(),
        });
        variants.push(CredentialVariant { name, headers: headers.collect() });
    }
    variants.sort_by(|one, other| one.name.cmp(&other.name));
    let names: Vec<&str> = variants.iter().map(|variant| variant.name.as_str()).collect();
    CredentialChoice { type_name: names.join("Or"), variants, is_required }
}

/// Gives different choices different type names.
pub(super) fn name_choices(operations: &mut [Operation]) {
    let mut known: Vec<(String, Vec<CredentialVariant>)> = Vec::new();
    for choice in operations.iter_mut().filter_map(|operation| operation.credential_choice.as_mut()) {
        let numbered = (2_u32..).map(|number| format!("{}{number}", choice.type_name));
        let mut names = std::iter::once(choice.type_name.clone()).chain(numbered);
        let is_other =
            |name: &String| known.iter().any(|(other, variants)| other == name && *variants != choice.variants);
        if let Some(name) = names.find(|name| !is_other(name)) {
            choice.type_name = name;
        }
        known.push((choice.type_name.clone(), choice.variants.clone()));
    }
}

/// The kind of credential whose header name comes from the security scheme.
const KEY: &str = "a key";

/// The name of the schema that `flinks_core::Authorization` replaces.
const AUTHORIZATION: &str = "Authorization";

fn is_marked(components: &Value, parameter: &Value) -> bool {
    parameter.get("schema").is_some_and(|schema| is_secret(&resolve(components, schema)))
}

/// Returns an operation's security requirement. Omits alternatives that are sent in the same way as
/// an earlier alternative or that a client cannot send.
///
/// # Errors
///
/// Returns an error if credentials are required and a client cannot send any of the alternatives.
fn requirement(document: &Value, place: &Place) -> Result<Requirement> {
    let own = format!("{}/security", place.pointer());
    let at = if document.pointer(&own).is_some() { own } else { "/security".into() };
    let alternatives = document.pointer(&at).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let is_required = !alternatives.is_empty();
    let mut requirement = Requirement { alternatives: Vec::new(), is_required, scopes: Vec::new() };
    let (mut refused, mut sent_elsewhere) = (None, None);
    let mut needs_scopes = true;
    for described in alternatives {
        let schemes: Vec<String> =
            described.as_object().into_iter().flatten().map(|(scheme, _)| scheme.clone()).collect();
        if schemes.is_empty() {
            requirement.is_required = false;
            continue;
        }
        match ways_to_send(document, &schemes) {
            Ok(ways) => {
                let scopes = scopes(described);
                needs_scopes &= !scopes.is_empty();
                if !requirement.scopes.contains(&scopes) {
                    requirement.scopes.push(scopes);
                }
                for alternative in ways {
                    let is_known = requirement.alternatives.iter().any(|other| other.words() == alternative.words());
                    if !is_known {
                        requirement.alternatives.push(alternative);
                    }
                }
            }
            Err(error) if schemes.iter().any(|scheme| is_sent_elsewhere(document, scheme)) => {
                sent_elsewhere.get_or_insert(error.at(&at));
            }
            Err(error) => drop(refused.get_or_insert(error.at(&at))),
        }
    }
    if !needs_scopes {
        requirement.scopes.clear();
    }
    // A client can omit optional credentials that belong in a cookie or a URL.
    let refused = refused.or(sent_elsewhere.filter(|_| requirement.is_required));
    match refused {
        Some(error) if requirement.alternatives.is_empty() => Err(error),
        _ => Ok(requirement),
    }
}

/// Returns whether a security scheme puts its credential into a cookie or a URL.
fn is_sent_elsewhere(document: &Value, scheme: &str) -> bool {
    let scheme = document.pointer(&format!("/components/securitySchemes/{}", escape(scheme)));
    matches!(scheme.and_then(|scheme| scheme.get("in")?.as_str()), Some("query" | "cookie"))
}

/// Returns the scopes that an alternative lists for its security schemes.
fn scopes(alternative: &Value) -> Vec<String> {
    let lists = alternative.as_object().into_iter().flatten().filter_map(|(_, scopes)| scopes.as_array());
    lists.flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Returns the ways to send the credentials for an alternative. There are several ways if the
/// alternative's schemes use the same header for different kinds of credentials, because a request
/// can contain that header only once.
fn ways_to_send(document: &Value, schemes: &[String]) -> Result<Vec<Alternative>> {
    let mut ways = vec![Alternative { schemes: Vec::new(), credentials: Vec::new() }];
    for scheme in schemes {
        let credential = credential(document, scheme)?;
        let is_same_header = |other: &Credential| other.name.eq_ignore_ascii_case(&credential.name);
        let others: Vec<Alternative> = ways.iter().filter_map(|way| way.replacing(&credential, scheme)).collect();
        for way in &mut ways {
            match way.credentials.iter().find(|other| is_same_header(other)) {
                Some(other) if other.kind == KEY && credential.kind == KEY => {
                    return Err(Error::new("two credentials would use the same header")
                        .help("keep one of them with an overlay action"));
                }
                // One token satisfies both schemes, such as OAuth and OpenID Connect. A different
                // kind of credential is added through `others`.
                Some(_) => {}
                None => way.add(&credential, scheme),
            }
        }
        ways.extend(others);
        let mut seen = BTreeSet::new();
        ways.retain(|way| seen.insert(way.words()));
    }
    Ok(ways)
}

fn credential(document: &Value, name: &str) -> Result<Credential> {
    let scheme = document.pointer(&format!("/components/securitySchemes/{}", escape(name)));
    let components = document.get("components").unwrap_or(&Value::Null);
    let scheme = scheme.map(|scheme| resolve(components, scheme)).unwrap_or_default();
    let text = |key: &str| scheme.get(key).and_then(Value::as_str).unwrap_or_default();
    let http = text("scheme").to_ascii_lowercase();
    let described = text("description");
    let authorization = |kind, form: &str| Credential {
        kind,
        name: AUTHORIZATION.into(),
        schema: reference(AUTHORIZATION),
        description: format!(
            "{described}{}The credentials for the HTTP scheme `{form}`.",
            if described.is_empty() { "" } else { " " }
        ),
    };
    match (text("type"), http.as_str(), text("in")) {
        ("http", "bearer", _) | ("oauth2" | "openIdConnect", ..) => Ok(authorization("a bearer token", "Bearer")),
        ("http", "basic", _) => Ok(authorization("a name and a password", "Basic")),
        ("apiKey", _, "header") if !schema::is_header_name(text("name")) => {
            Err(Error::new(format!("the security scheme `{name}` has the invalid header name `{}`", text("name"))))
        }
        ("apiKey", _, "header") => Ok(Credential {
            kind: KEY,
            name: text("name").into(),
            schema: json!({"type": "string", "format": "password"}),
            description: described.into(),
        }),
        ("apiKey", _, "query") => Err(Error::new(format!("the security scheme `{name}` would put a secret into a URL"))),
        ("", ..) => {
            let bearer = json!({"type": "http", "scheme": "bearer", "description": "Check the kind of credential."});
            let error = Error::new(format!("the security scheme `{name}` is not defined in this document"))
                .help("define the scheme with an overlay action");
            let schemes = json!({"securitySchemes": {name: bearer}});
            Err(match document.get("components") {
                Some(_) => error.cured_by_update("/components", schemes),
                None => error.cured_by_update("", json!({"components": schemes})),
            })
        }
        (kind, ..) => Err(Error::new(format!("the security scheme `{name}` has the unsupported type {kind} {http}{}", text("in")))),
    }
    .map_err(|error| error.or_help("use overlay actions to describe the credential as a header parameter of format `password` and to remove the requirement"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::normalize::normalize;

    fn document(security: Value, schemes: Value) -> Value {
        json!({
            "openapi": "3.0.3", "info": {"title": "t", "version": "1"}, "security": security,
            "paths": {"/x": {"get": {"operationId": "x", "responses": {"204": {"description": ""}}}}},
            "components": {"securitySchemes": schemes},
        })
    }

    fn headers(document: Value) -> Vec<(String, bool)> {
        let normalized = normalize(document).unwrap();
        let parameters =
            normalized.document["paths"]["/x"]["get"]["parameters"].as_array().cloned().unwrap_or_default();
        assert_eq!(normalized.secrets.len(), parameters.len());
        parameters
            .iter()
            .map(|parameter| (parameter["name"].as_str().unwrap().into(), parameter["required"] == true))
            .collect()
    }

    #[test]
    fn each_scheme_is_a_secret_header() {
        let basic = json!({"type": "http", "scheme": "Basic"});
        let key = json!({"type": "apiKey", "in": "header", "name": "X-API-Key"});
        for (security, scheme, expected) in [
            (json!([{"s": []}]), json!({"type": "http", "scheme": "bearer"}), vec![("Authorization", true)]),
            (json!([{"s": []}]), basic.clone(), vec![("Authorization", true)]),
            (json!([{"s": ["a:b"]}]), json!({"type": "oauth2", "flows": {}}), vec![("Authorization", true)]),
            (json!([{"s": []}, {}]), key.clone(), vec![("X-API-Key", false)]),
            (json!([{"s": [], "t": []}]), key, vec![("X-API-Key", true), ("Authorization", true)]),
            (json!([{}]), basic.clone(), vec![]),
            (json!([]), basic.clone(), vec![]),
        ] {
            let expected: Vec<(String, bool)> =
                expected.into_iter().map(|(name, required)| (name.to_owned(), required)).collect();
            assert_eq!(headers(document(security, json!({"s": scheme, "t": basic}))), expected);
        }
    }

    #[test]
    fn the_requirement_and_parameters_of_an_operation_take_precedence() {
        let schemes = json!({"s": {"type": "http", "scheme": "bearer"}});
        let mut free = document(json!([{"s": []}]), schemes.clone());
        free["paths"]["/x"]["get"]["security"] = json!([]);
        assert_eq!(headers(free), []);
        // A parameter that the document marks as a secret is kept. A plain string parameter with
        // that name is ignored.
        let mut described = document(json!([{"s": []}]), schemes);
        described["paths"]["/x"]["get"]["parameters"] =
            json!([{"name": "authorization", "in": "header", "schema": {"type": "string", "format": "password"}}]);
        assert_eq!(headers(described.clone()), [("authorization".to_owned(), false)]);
        described["components"]["schemas"] = json!({"Plain": {"type": "string"}});
        described["paths"]["/x"]["get"]["parameters"][0]["schema"] = json!({"$ref": "#/components/schemas/Plain"});
        assert_eq!(headers(described.clone()), [("Authorization".to_owned(), true)]);
        described["paths"]["/x"]["get"]["parameters"][0]["schema"] = json!({"type": "string"});
        assert_eq!(headers(described), [("Authorization".to_owned(), true)]);
    }

    #[test]
    fn alternatives_that_are_sent_in_the_same_way_are_one_alternative() {
        let basic = json!({"type": "http", "scheme": "basic"});
        let document = document(json!([{"s": []}, {"t": []}]), json!({"s": basic, "t": basic}));
        assert_eq!(normalize(document.clone()).unwrap().operations[0].credential_choice, None);
        assert_eq!(headers(document), [("Authorization".to_owned(), true)]);
    }

    #[test]
    fn an_unsupported_security_requirement_is_reported_with_its_place() {
        for (security, scheme, part) in [
            (json!([{"s": []}]), json!({"type": "apiKey", "in": "query", "name": "key"}), "into a URL"),
            (json!([{"s": []}]), json!({"type": "apiKey", "in": "cookie", "name": "key"}), "apiKey cookie"),
            (json!([{"s": []}]), json!({"type": "http", "scheme": "digest"}), "http digest"),
            (json!([{}, {"s": []}]), json!({"type": "http", "scheme": "digest"}), "http digest"),
            (json!([{"s": [], "t": []}]), json!({"type": "apiKey", "in": "header", "name": "X"}), "the same header"),
            (json!([{"gone": []}]), json!({}), "not defined"),
            (json!([{"s": []}]), json!({"$ref": "#/components/securitySchemes/s"}), "not defined"),
        ] {
            let error = normalize(document(security, json!({"s": scheme, "t": scheme}))).unwrap_err();
            assert!(error.to_string().contains(part), "{error}");
            assert_eq!(error.pointer(), Some("/security"), "{error}");
        }
    }
}
