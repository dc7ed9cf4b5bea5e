//! Rewrites all secret marks to the same form and lists the secrets.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::form::{Operation, SecretPlace};
use super::relax::for_each_part;
use crate::spec::schema::{self, NOT_SECRET_KEY, is_secret, pascal, referenced};

/// Removes the exemptions (`x-not-secret`) so that schemas that differ only in the reason for an
/// exemption are equal.
pub(super) fn drop_exemptions(value: &mut Value) {
    value.as_object_mut().map(|object| object.shift_remove(NOT_SECRET_KEY));
    for_each_part(value, &mut drop_exemptions);
}

/// Makes each marked schema exactly `{type: string, format: password}` (T4). typify recognizes only
/// this exact schema, so a `maxLength` next to the mark would silently turn the secret into a plain
/// string.
pub(super) fn rewrite_secrets(value: &mut Value) {
    if is_secret(value) {
        let description = value.get("description").cloned();
        *value = json!({"type": "string", "format": "password"});
        if let (Some(object), Some(description)) = (value.as_object_mut(), description) {
            object.insert("description".into(), description);
        }
        return;
    }
    // A nullable secret becomes an optional secret.
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
    for_each_part(value, &mut rewrite_secrets);
}

pub(super) fn secret_types(document: &Value) -> BTreeSet<String> {
    let schemas = schema::object(document, "/components/schemas").into_iter().flatten();
    schemas.filter(|(_, schema)| is_secret(schema)).map(|(name, _)| name.clone()).collect()
}

/// Returns the locations of all secrets: the properties of named schemas and the header parameters.
pub(super) fn secrets(document: &Value, secret_types: &BTreeSet<String>, operations: &[Operation]) -> Vec<SecretPlace> {
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
        let operation = document.pointer(&place.pointer()).unwrap_or(&Value::Null);
        let id = operation.get("operationId").and_then(Value::as_str).unwrap_or_default();
        for parameter in operation.get("parameters").and_then(Value::as_array).into_iter().flatten() {
            if parameter.get("schema").is_some_and(&is_marked)
                && let Some(name) = parameter.get("name").and_then(Value::as_str)
            {
                secrets.push(SecretPlace::Header { operation: id.to_owned(), name: name.to_owned() });
            }
        }
    }
    for operation in operations {
        let variants = operation.credential_choice.iter().flat_map(|choice| &choice.variants);
        for header in variants.flat_map(|variant| &variant.headers) {
            secrets.push(SecretPlace::Header { operation: operation.id.clone(), name: header.name.clone() });
        }
    }
    secrets.sort();
    secrets.dedup();
    secrets
}
