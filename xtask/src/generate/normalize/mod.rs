//! The normalize stage rewrites a document into the form that the later stages expect.
//!
//! The result has the same meaning as the input. Every body is a named schema, each operation has
//! one type for successes and one for errors, a secret is exactly `{type: string, format:
//! password}`, and prose is valid rustdoc. [`form`] defines the result. [`normalize()`] runs these
//! passes in this order:
//!
//! 1. `prose`: descriptions become valid rustdoc.
//! 2. `secrets`: exemptions (`x-not-secret`) are dropped.
//! 3. `tolerate`: schemas that are incomplete or slightly wrong are completed.
//! 4. `relax`: optional collections become nullable, an `allOf` with one part becomes that part, and
//!    conditions that Rust cannot express are dropped.
//! 5. `merge`: the parts of an `allOf` become one schema.
//! 6. `choices`: a schema with a discriminator becomes a choice between the schemas that extend it.
//! 7. `secrets`, `relax`: each marked schema is reduced to `type: string` and `format: password`,
//!    and `nullable` moves from named schemas to the references to them.
//! 8. `components`, `tolerate`, `multipart`, `security`: references to parameters, bodies and
//!    responses are replaced with their targets, files in multipart bodies are marked, and security
//!    requirements become header parameters or a choice of credentials.
//! 9. `relax`: enums, bounds and formats are removed from responses.
//! 10. `parameters`, `replies`, `extensions`: each operation is converted to normal form.
//! 11. `names`: nested schemas get names, and titles are removed.
//! 12. `choices`: each choice in a response is replaced with a placeholder.
//! 13. `extensions`, `secrets`, `field_names`: lenient properties and secrets are listed, and
//!     properties whose Rust names collide are renamed.

mod choices;
mod components;
mod extensions;
pub mod field_names;
pub mod form;
mod merge;
pub(crate) mod multipart;
mod names;
mod parameters;
mod prose;
mod relax;
mod replies;
mod secrets;
pub(crate) mod security;
mod tolerate;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::spec::media::RequestBody;
use crate::spec::schema::{self, Place, operation_name, pascal};
use crate::{Error, Result};
use form::{Normalized, Operation};
use names::{NameIndex, Names};
use security::Security;

pub(crate) use names::is_nullable_reference;
pub(crate) use prose::rustdoc;
pub(super) use relax::for_each_schema;

/// Converts a document to normal form.
///
/// # Errors
///
/// Returns an error that lists each security requirement, header and project-specific extension
/// that cannot be converted.
pub fn normalize(mut document: Value) -> Result<Normalized> {
    normalize_schemas(&mut document)?;
    let places = schema::operations(&document);
    let components = document.get("components").cloned().unwrap_or_default();
    let mut errors = Vec::new();
    let mut credentials = BTreeMap::new();
    for place in &places {
        components::inline_components(&mut document, &components, place);
        tolerate::complete_operation(&mut document, place);
        multipart::mark_files(&mut document, place);
        let written = security::write_out(&mut document, &components, place);
        credentials.insert(place.pointer(), written.map_err(|error| errors.push(error)).unwrap_or_default());
    }
    relax::relax_replies(&mut document, &places);
    let mut index = NameIndex::of(&document);
    let mut operations = Vec::new();
    for place in places {
        let credentials = credentials.remove(&place.pointer()).unwrap_or_default();
        match normalize_operation(&mut document, &place, &mut index, credentials) {
            Ok(operation) => operations.extend(operation),
            Err(error) => errors.push(error),
        }
    }
    security::name_choices(&mut operations);
    drop_shared_parameters(&mut document);
    names::name_nested_schemas(&mut document, &mut index);
    names::remove_titles(&mut document);
    let replies = schema::reachable(&document, reply_schemas(&operations));
    let choices = choices::take_choices(&mut document, &mut index, replies);
    let lenient = extensions::take_lenient(&mut document).map_err(|error| errors.push(error)).unwrap_or_default();
    Error::all(errors)?;
    let secret_types = secrets::secret_types(&document);
    let secrets = secrets::secrets(&document, &secret_types, &operations);
    let wire_names = field_names::rename_properties(&mut document);
    let NameIndex { taken: schema_names, origins } = index;
    Ok(Normalized { document, operations, choices, secret_types, secrets, lenient, wire_names, schema_names, origins })
}

/// Runs the passes that treat all schemas alike, wherever they are used.
fn normalize_schemas(document: &mut Value) -> Result<()> {
    prose::sanitize_prose(document);
    secrets::drop_exemptions(document);
    tolerate::complete_schemas(document);
    relax::optional_may_be_null(document);
    relax::unwrap_single_parts(document);
    relax::drop_required_alternatives(document);
    let extensions = choices::extensions(document);
    merge::merge_parts(document)?;
    choices::split_bases(document, &extensions);
    secrets::rewrite_secrets(document);
    relax::lift_nullable(document);
    Ok(())
}

/// Removes the path items' parameters, which have already been copied to the operations.
fn drop_shared_parameters(document: &mut Value) {
    let paths = document.pointer_mut("/paths").and_then(Value::as_object_mut);
    for (_, item) in paths.into_iter().flatten() {
        item.as_object_mut().map(|item| item.shift_remove("parameters"));
    }
}

/// Returns the names of all response body schemas.
fn reply_schemas(operations: &[Operation]) -> Vec<String> {
    let outcomes = operations.iter().flat_map(|operation| [&operation.success, &operation.error]);
    outcomes.flat_map(|outcome| &outcome.bodies).filter_map(|body| body.schema.clone()).collect()
}

fn normalize_operation(
    document: &mut Value,
    place: &Place,
    index: &mut NameIndex,
    credentials: Security,
) -> Result<Option<Operation>> {
    let pointer = place.pointer();
    let mut operation = document_operation(document, place);
    let Some(id) = operation.get("operationId").and_then(Value::as_str).map(str::to_owned) else { return Ok(None) };
    let mut names = Names { document, operation: Some(operation_name(&operation, place)), index };
    let content_type = parameters::drop_header_parameters(&names, &mut operation)?;
    parameters::name_parameters(&mut names, &mut operation, &id);
    if let Some(body) = operation.get_mut("requestBody") {
        let origin = schema::origin(body).to_owned();
        let content = body.get_mut("content").and_then(Value::as_object_mut);
        let chosen = content.as_ref().and_then(|content| RequestBody::choose(content));
        if let (Some((media_type, kind)), Some(content)) = (chosen.map(|(key, kind)| (key.to_owned(), kind)), content) {
            content.retain(|key, _| *key == media_type);
            let schema = content.get_mut(&media_type).and_then(|media| media.get_mut("schema"));
            match (kind, schema) {
                (RequestBody::Json | RequestBody::Form | RequestBody::Multipart, Some(schema)) => {
                    let at = format!("{origin}/content/{}/schema", schema::escape(&media_type));
                    names.name(schema, &format!("{}Request", pascal(&id)), at);
                }
                // The caller passes the text or the bytes.
                (RequestBody::Text | RequestBody::Bytes, _) => {
                    content.insert(media_type, json!({"schema": {"type": "string"}}));
                }
                (_, None) => {}
            }
        }
    }
    replies::split_default_response(&mut operation);
    let response_headers = replies::response_headers(&operation);
    let success = replies::normalize_responses(&mut names, &mut operation, &id, "Response", '2');
    let error = replies::normalize_responses(&mut names, &mut operation, &id, "Error", '4');
    let content_type = content_type.filter(|_| operation.get("requestBody").is_none());
    let max_response_bytes = extensions::number(&names, &operation, place, "x-max-response-bytes", 64 * 1024 * 1024)?;
    let timeout_seconds = extensions::number(&names, &operation, place, "x-timeout-seconds", 24 * 60 * 60)?;
    let error_codes = extensions::error_codes(&names, &operation, place)?;
    let servers = servers(document, place);
    let deprecated = operation.get("deprecated") == Some(&Value::Bool(true));
    if let Some(slot) = document.pointer_mut(&pointer) {
        *slot = operation;
    }
    Ok(Some(Operation {
        id,
        pointer,
        method: place.method,
        path: place.path.clone(),
        content_type,
        timeout_seconds,
        max_response_bytes,
        error_codes,
        response_headers,
        credentials: credentials.words,
        scopes: credentials.scopes,
        credential_choice: credentials.choice,
        servers,
        deprecated,
        success,
        error,
    }))
}

/// Returns the URLs of the servers that the document lists for this operation or its path.
fn servers(document: &Value, place: &Place) -> Vec<String> {
    let pointers = [place.pointer(), place.path_pointer()];
    let servers = pointers.iter().find_map(|pointer| document.pointer(&format!("{pointer}/servers"))?.as_array());
    let urls = servers.into_iter().flatten().filter_map(|server| server.get("url")?.as_str());
    urls.map(str::to_owned).collect()
}

fn document_operation(document: &Value, place: &Place) -> Value {
    document.pointer(&place.pointer()).cloned().unwrap_or_default()
}

#[cfg(test)]
mod tests;
