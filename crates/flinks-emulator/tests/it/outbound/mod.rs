//! Tests for Outbound (rules O1 to O10).

mod client;
mod consent;
mod data;
mod grants;
mod pkce;
mod token;

use serde_json::Value;

/// Returns an object's field names in sorted order. The order of fields in a `Value` depends on a
/// `serde_json` feature that another crate in the build may enable.
fn names(object: &Value) -> Vec<&str> {
    let mut names: Vec<&str> = object.as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}
