//! Keeps credentials that a document describes as a header parameter.

use serde_json::{Value, json};

use crate::spec::schema::{self, Place};

/// Marks the `Authorization` header parameter of each operation without a security requirement as a
/// secret. OpenAPI ignores such a parameter, so the credentials would be missing.
pub(super) fn keep_credentials(document: &mut Value) {
    for place in schema::operations(document) {
        if !has_requirement(document, &place) {
            for list in [place.pointer(), place.path_pointer()] {
                mark(document, &format!("{list}/parameters"));
            }
        }
    }
}

fn has_requirement(document: &Value, place: &Place) -> bool {
    let own = document.pointer(&format!("{}/security", place.pointer()));
    let requirement = own.or_else(|| document.get("security")).and_then(Value::as_array);
    requirement.is_some_and(|alternatives| !alternatives.is_empty())
}

fn mark(document: &mut Value, list: &str) {
    let count = document.pointer(list).and_then(Value::as_array).map_or(0, Vec::len);
    for index in 0..count {
        let mut at = format!("{list}/{index}");
        let target = document.pointer(&at).and_then(|parameter| parameter.get("$ref")?.as_str()?.strip_prefix('#'));
        if let Some(target) = target {
            at = target.to_owned();
        }
        let Some(parameter) = document.pointer_mut(&at) else { continue };
        let text = |key: &str| parameter.get(key).and_then(Value::as_str).unwrap_or_default();
        if text("in") == "header" && text("name").eq_ignore_ascii_case("Authorization") {
            parameter
                .as_object_mut()
                .map(|parameter| parameter.insert("schema".into(), json!({"type": "string", "format": "password"})));
        }
    }
}
