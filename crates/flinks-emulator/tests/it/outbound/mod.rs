//! Tests of Outbound (rules O1 to O10).

mod client;
mod consent;
mod grants;
mod token;

use serde_json::Value;

/// Returns the field names of an object, sorted. Their original order depends on a feature of
/// `serde_json` that another crate of the build may enable.
fn names(object: &Value) -> Vec<&str> {
    let mut names: Vec<&str> = object.as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}
