//! Gives every operation an `operationId`.

use serde_json::Value;

use crate::spec::schema::{self, RUST_NAME_KEY};

/// Sets the `operationId` of each operation that has none or whose Rust name is set. Unless the
/// Rust name is set, the id is derived from the method and the path, so the id does not change if
/// another operation is added.
pub(super) fn add_operation_ids(document: &mut Value) {
    for place in schema::operations(document) {
        let Some(operation) = document.pointer_mut(&place.pointer()).and_then(Value::as_object_mut) else { continue };
        let own = operation.get(RUST_NAME_KEY).and_then(Value::as_str).map(str::to_owned);
        let has_id = operation.get("operationId").is_some_and(|id| id.as_str() != Some(""));
        if own.is_some() || !has_id {
            operation.insert("operationId".into(), own.unwrap_or_else(|| schema::derived_operation_id(&place)).into());
        }
    }
}
