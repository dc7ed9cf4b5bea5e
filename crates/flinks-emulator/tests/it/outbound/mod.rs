//! Outbound: rules O1-O10.

mod client;
mod consent;
mod grants;
mod token;

use serde_json::Value;

/// The fields of an object, sorted: their order depends on a feature that other crates of the build
/// may switch on.
fn names(object: &Value) -> Vec<&str> {
    let mut names: Vec<&str> = object.as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}
