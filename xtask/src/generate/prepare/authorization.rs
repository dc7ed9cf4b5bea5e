//! Keeps credentials that a document describes as a header parameter.

use serde_json::{Value, json};

use crate::spec::schema::{self, Place, resolve_ref};

/// Marks the `Authorization` header parameter of each operation without a security requirement as a
/// secret. OpenAPI ignores such a parameter, so the credentials would be missing.
///
/// A parameter from a path or a component is copied to the operation first, because other
/// operations that use the parameter can have a security requirement.
pub(super) fn keep_credentials(document: &mut Value) {
    for place in schema::operations(document) {
        if has_requirement(document, &place) {
            continue;
        }
        let lists = [place.pointer(), place.path_pointer()].map(|owner| format!("{owner}/parameters"));
        let Some(parameter) = lists.iter().find_map(|list| authorization(document, list)) else { continue };
        let operation = document.pointer_mut(&place.pointer()).and_then(Value::as_object_mut);
        let parameters = operation.map(|operation| operation.entry("parameters").or_insert_with(|| json!([])));
        if let Some(parameters) = parameters.and_then(Value::as_array_mut) {
            parameters.retain(|other| *other != parameter.described);
            parameters.push(parameter.marked);
        }
    }
}

fn has_requirement(document: &Value, place: &Place) -> bool {
    let own = document.pointer(&format!("{}/security", place.pointer()));
    let requirement = own.or_else(|| document.get("security")).and_then(Value::as_array);
    requirement.is_some_and(|alternatives| !alternatives.is_empty())
}

/// A parameter in two forms: as it appears in the document, possibly as a reference, and as a
/// resolved parameter that is marked as a secret.
struct Parameter {
    described: Value,
    marked: Value,
}

/// Returns the `Authorization` header parameter in a list of parameters.
fn authorization(document: &Value, list: &str) -> Option<Parameter> {
    let components = document.get("components").unwrap_or(&Value::Null);
    let list = document.pointer(list)?.as_array()?;
    list.iter().find_map(|described| {
        let mut marked = resolve_ref(components, described).clone();
        let text = |key: &str| marked.get(key).and_then(Value::as_str).unwrap_or_default();
        if text("in") != "header" || !text("name").eq_ignore_ascii_case("Authorization") {
            return None;
        }
        marked.as_object_mut()?.insert("schema".into(), json!({"type": "string", "format": "password"}));
        Some(Parameter { described: described.clone(), marked })
    })
}
