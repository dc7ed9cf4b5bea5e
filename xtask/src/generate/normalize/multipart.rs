//! Finds the files in multipart bodies.

use serde_json::{Value, json};

use crate::spec::media::RequestBody;
use crate::spec::schema::{self, Place, reference, referenced};

/// The name of the schema for `flinks_core::FilePart`.
pub(crate) const FILE_PART: &str = "FilePart";

/// The key that distinguishes the `FilePart` schema from a published schema with the same name.
pub(crate) const FILE_KEY: &str = "x-xtask-file";

/// Replaces each file property in a multipart body with a reference to the schema for
/// `flinks_core::FilePart`. If the body's schema is shared, the body gets its own copy of the
/// schema, because a JSON body cannot contain a file.
pub(super) fn mark_files(document: &mut Value, place: &Place) {
    let pointer = format!("{}/requestBody/content", place.pointer());
    let Some(content) = document.pointer(&pointer).and_then(Value::as_object) else { return };
    let Some((media_type, RequestBody::Multipart)) = RequestBody::choose(content) else { return };
    let at = format!("{pointer}/{}/schema", schema::escape(media_type));
    let Some(schema) = document.pointer(&at) else { return };
    let named = referenced(schema).and_then(|name| schema::named(document, name));
    let mut own = named.unwrap_or(schema).clone();
    let mut has_file = false;
    // Only described parts are sent.
    own.as_object_mut().map(|own| own.shift_remove("additionalProperties"));
    for (_, property) in own.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten() {
        let is_list = property.get("items").is_some_and(|items| is_file(document, items));
        let file = if is_list { property.get_mut("items") } else { Some(property) };
        if let Some(file) = file.filter(|file| is_file(document, file)) {
            *file = reference(FILE_PART);
            has_file = true;
        }
    }
    if let Some(slot) = document.pointer_mut(&at) {
        *slot = own;
    }
    if has_file && schema::named(document, FILE_PART).is_none() {
        schema::insert(document, FILE_PART, json!({"type": "string", FILE_KEY: true}));
    }
}

fn is_file(document: &Value, schema: &Value) -> bool {
    let schema = referenced(schema).and_then(|name| schema::named(document, name)).unwrap_or(schema);
    schema.get("type").is_some_and(|kind| kind == "string")
        && schema.get("format").is_some_and(|format| format == "binary")
}

/// Returns whether a schema is or contains a file.
pub(crate) fn is_file_reference(schema: &Value) -> bool {
    referenced(schema) == Some(FILE_PART)
}
