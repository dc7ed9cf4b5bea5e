//! Reads this project's annotations: `x-lenient` and `x-error-codes`.

use std::collections::BTreeSet;

use serde_json::Value;

use super::names::Names;
use crate::spec::schema::{self, Place, pascal};
use crate::{Error, Result};

/// The key for a list of optional properties. If a listed property cannot be decoded, it is treated
/// as absent.
const LENIENT: &str = "x-lenient";

/// Removes the `x-lenient` lists from the named schemas and returns the entries of the lists.
pub(super) fn take_lenient(document: &mut Value) -> Result<BTreeSet<(String, String)>> {
    let mut lenient = BTreeSet::new();
    let schemas = document.pointer_mut("/components/schemas").and_then(Value::as_object_mut);
    for (name, schema) in schemas.into_iter().flatten() {
        let Some(list) = schema.as_object_mut().and_then(|schema| schema.shift_remove(LENIENT)) else { continue };
        let is_required = |property: &str| {
            let required = schema.get("required").and_then(Value::as_array);
            required.is_some_and(|required| required.iter().any(|other| other == property))
        };
        let is_optional = |property: &str| {
            schema.get("properties").is_some_and(|properties| properties.get(property).is_some())
                && !is_required(property)
        };
        let properties: Option<Vec<&str>> = list.as_array().and_then(|list| list.iter().map(Value::as_str).collect());
        let Some(properties) = properties.filter(|list| list.iter().all(|property| is_optional(property))) else {
            return Err(Error::new(format!(
                "invalid `{LENIENT}` on `{name}`: expected a list of optional properties in this schema"
            ))
            .at(format!("/components/schemas/{}", schema::escape(name)))
            .help("correct the overlay action that added this list"));
        };
        lenient.extend(properties.into_iter().map(|property| (pascal(name), property.to_owned())));
    }
    Ok(lenient)
}

/// Returns the names under `x-error-codes`.
pub(super) fn error_codes(names: &Names<'_>, operation: &Value, place: &Place) -> Result<Vec<String>> {
    let Some(codes) = operation.get("x-error-codes") else { return Ok(Vec::new()) };
    let read = || codes.as_array()?.iter().map(|name| Some(name.as_str()?.to_owned())).collect();
    let list: Option<Vec<String>> = read();
    list.filter(|list| list.iter().all(|name| !name.is_empty())).ok_or_else(|| {
        let at = format!("{}/x-error-codes", place.pointer());
        names.error(at, "invalid `x-error-codes`: expected a list of field names".to_owned())
    })
}

/// Returns the number under `key`. The number must be between 1 and `max`.
pub(super) fn number(names: &Names<'_>, operation: &Value, place: &Place, key: &str, max: u64) -> Result<Option<u64>> {
    let Some(value) = operation.get(key) else { return Ok(None) };
    match value.as_u64().filter(|number| (1..=max).contains(number)) {
        Some(number) => Ok(Some(number)),
        None => {
            let message = format!("invalid `{key}`: expected a whole number between 1 and {max}");
            let error = names.error(format!("{}/{key}", place.pointer()), message);
            Err(error.help("correct the overlay action that added it"))
        }
    }
}
