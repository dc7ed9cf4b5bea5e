//! Compares a documented operation with the generated arguments and outcomes.

use serde_json::Value;
use syn::Type;

use super::Comparison;
use crate::spec::media::RequestBody;
use crate::spec::schema::{self, escape, is_secret, json_key, pascal, resolve_ref, snake};
use crate::{Error, Result};

impl<'a> Comparison<'a> {
    pub(super) fn operation(&mut self, operation: &'a Value, place: &schema::Place) -> Result<()> {
        let at = place.pointer();
        let id = operation.get("operationId").and_then(Value::as_str).unwrap_or_default();
        let name = pascal(&snake(id));
        let code = self.code;
        let (Some(ty), Some((success, error))) =
            (code.structs.get(&format!("operation::{name}")), code.outcomes.get(&name))
        else {
            return Err(missing("the operation", &at));
        };
        let argument =
            |name: &str| ty.fields.iter().find(|field| field.ident.as_ref().is_some_and(|ident| ident == name));
        if !self.has_credentials(operation, &argument) {
            return Err(missing("the security requirement", &format!("{at}/security")));
        }
        let parameters = self.parameters(operation, place);
        for (parameter, name) in parameters.iter().zip(schema::argument_names(&parameters)) {
            if argument(&name).is_none() && !(argument("credentials").is_some() && self.is_credential(parameter)) {
                let wire = parameter.get("name").and_then(Value::as_str).unwrap_or_default();
                return Err(missing(&format!("the parameter `{wire}`"), &format!("{at}/parameters")));
            }
        }
        self.request_body(operation, argument("body"), &at)?;
        self.responses(operation, success, error, &at)
    }

    fn request_body(&mut self, operation: &'a Value, argument: Option<&syn::Field>, at: &str) -> Result<()> {
        let Some(body) = operation.get("requestBody") else { return Ok(()) };
        let (body, body_at) = self.resolved_at(body, format!("{at}/requestBody"));
        let Some(content) = body.get("content").and_then(Value::as_object).filter(|content| !content.is_empty()) else {
            return Ok(());
        };
        let argument = argument.ok_or_else(|| missing("the request body", &format!("{at}/requestBody")))?;
        if let Some((media_type, RequestBody::Json | RequestBody::Form | RequestBody::Multipart)) =
            RequestBody::choose(content)
        {
            let at = format!("{body_at}/content/{}/schema", escape(media_type));
            let schema = content.get(media_type).and_then(|media| media.get("schema")).unwrap_or(&Value::Null);
            self.schema(schema, &argument.ty, &at)?;
        }
        Ok(())
    }

    fn responses(&mut self, operation: &'a Value, success: &Type, error: &Type, at: &str) -> Result<()> {
        let responses = operation.get("responses").and_then(Value::as_object);
        let has_success =
            responses.is_some_and(|responses| responses.keys().any(|status| status.starts_with(['2', '3'])));
        let has_errors =
            responses.is_some_and(|responses| ["4XX", "5XX"].iter().all(|range| responses.contains_key(*range)));
        for (status, response) in responses.into_iter().flatten() {
            let (response, response_at) = self.resolved_at(response, format!("{at}/responses/{}", escape(status)));
            let content = response.get("content").and_then(Value::as_object);
            let Some((media_type, content)) = content.and_then(|content| Some((json_key(content)?, content))) else {
                continue;
            };
            let at = format!("{response_at}/content/{}/schema", escape(media_type));
            let schema = content.get(media_type).and_then(|media| media.get("schema")).unwrap_or(&Value::Null);
            let outcomes: &[&Type] = match status.as_str() {
                "default" if has_success && has_errors => &[],
                "default" if has_errors => &[success],
                "default" if !has_success => &[success, error],
                status if status.starts_with('2') => &[success],
                _ => &[error],
            };
            for outcome in outcomes {
                // The type is either the type of the body or a union with a variant for each body.
                let types: Vec<Type> = std::iter::once((*outcome).clone()).chain(self.variants(outcome)).collect();
                self.any_of(schema, &types, &at)?;
            }
        }
        Ok(())
    }

    /// Returns the parameters of an operation and of its path, without the headers that OpenAPI
    /// requires tools to ignore.
    fn parameters(&self, operation: &'a Value, place: &schema::Place) -> Vec<Value> {
        let list = |value: Option<&'a Value>| {
            let list = value.and_then(Value::as_array).into_iter().flatten();
            list.map(|parameter| self.resolved(parameter).clone()).collect::<Vec<Value>>()
        };
        let mut parameters = list(operation.get("parameters"));
        for shared in list(self.document.pointer(&format!("{}/parameters", place.path_pointer()))) {
            let is_same = |other: &Value| ["name", "in"].iter().all(|key| other.get(key) == shared.get(key));
            if !parameters.iter().any(is_same) {
                parameters.push(shared);
            }
        }
        parameters.retain(|parameter| {
            let components = self.document.get("components").unwrap_or(&Value::Null);
            let schema = resolve_ref(components, parameter.get("schema").unwrap_or(&Value::Null));
            !schema::is_ignored_header(parameter) || is_secret(schema)
        });
        parameters
    }

    /// Returns whether an operation has the arguments that its security requirement calls for: one
    /// for each header of an alternative, or a choice of credentials. If credentials are optional,
    /// alternatives that are not sent in a header need no argument.
    fn has_credentials<'f>(&self, operation: &Value, argument: &dyn Fn(&str) -> Option<&'f syn::Field>) -> bool {
        let requirement = operation.get("security").or_else(|| self.document.get("security")).and_then(Value::as_array);
        let alternatives = requirement.into_iter().flatten().filter_map(Value::as_object);
        let (none, alternatives): (Vec<_>, Vec<_>) = alternatives.partition(|alternative| alternative.is_empty());
        let scheme = |name: &str| {
            let scheme = self.document.pointer(&format!("/components/securitySchemes/{}", escape(name)));
            scheme.map_or(&Value::Null, |scheme| self.resolved(scheme))
        };
        let has_argument = |name: &str| {
            let header = scheme(name).get("name").and_then(Value::as_str).unwrap_or("Authorization");
            argument(&snake(header)).is_some()
        };
        let is_header = |name: &str| {
            let place = scheme(name).get("in").and_then(Value::as_str);
            !matches!(place, Some("query" | "cookie"))
        };
        alternatives.is_empty()
            || argument("credentials").is_some()
            || alternatives.iter().any(|alternative| alternative.keys().all(|scheme| has_argument(scheme)))
            || !none.is_empty()
                && !alternatives.iter().any(|alternative| alternative.keys().all(|scheme| is_header(scheme)))
    }

    /// Returns whether a parameter is the header for a security scheme.
    fn is_credential(&self, parameter: &Value) -> bool {
        let schemes = schema::object(self.document, "/components/securitySchemes").into_iter().flatten();
        let mut schemes = schemes.map(|(_, scheme)| self.resolved(scheme));
        let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_lowercase();
        text(parameter, "in") == "header" && schemes.any(|scheme| text(scheme, "name") == text(parameter, "name"))
    }
}

fn missing(what: &str, at: &str) -> Error {
    Error::new(format!("{what} is in the document but not in the generated code")).at(at)
}
