//! Reads an OpenAPI Overlay 1.0 document.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::super::schema::pointer_of;
use crate::{Error, Result};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Overlay {
    overlay: String,
    #[serde(rename = "info")]
    _info: Info,
    #[serde(rename = "extends")]
    _extends: Option<String>,
    pub(super) actions: Vec<Action>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Info {
    #[serde(rename = "title")]
    _title: String,
    #[serde(rename = "version")]
    _version: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Action {
    pub(super) target: String,
    pub(super) description: String,
    pub(super) update: Option<Value>,
    #[serde(default)]
    pub(super) remove: bool,
}

/// Reads an overlay and checks its version. Specification extensions are ignored.
pub(super) fn read(overlay: &Value) -> Result<Overlay> {
    let overlay = without_extensions(overlay);
    let overlay: Overlay = serde_path_to_error::deserialize(&overlay).map_err(|error| {
        Error::new(format!("invalid OpenAPI Overlay 1.0 document: {}", error.inner())).at(pointer_of(error.path()))
    })?;
    if !overlay.overlay.starts_with("1.0.") {
        return Err(
            Error::new(format!("unsupported overlay version `{}`: expected `1.0.x`", overlay.overlay)).at("/overlay")
        );
    }
    Ok(overlay)
}

/// Removes the keys that start with `x-` from the overlay, from its `info` and from its actions.
/// The standard allows extensions in these places. An update can also contain such keys, but there
/// they belong to the corrected document.
fn without_extensions(overlay: &Value) -> Value {
    let Some(overlay) = overlay.as_object() else { return overlay.clone() };
    let mut overlay = known_members(overlay);
    if let Some(Value::Object(info)) = overlay.get_mut("info") {
        *info = known_members(info);
    }
    for action in overlay.get_mut("actions").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Value::Object(action) = action {
            *action = known_members(action);
        }
    }
    Value::Object(overlay)
}

fn known_members(object: &Map<String, Value>) -> Map<String, Value> {
    let members = object.iter().filter(|(key, _)| !key.starts_with("x-"));
    members.map(|(key, value)| (key.clone(), value.clone())).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn extensions_are_ignored() {
        let overlay = read(&json!({
            "overlay": "1.0.0", "x-tool": {"any": true},
            "info": {"title": "t", "version": "1", "x-owner": "team"},
            "actions": [{"target": "$", "description": "d", "x-ticket": 7, "update": {"x-lenient": ["a"]}}],
        }));
        let overlay = overlay.map_err(|error| error.to_string()).unwrap();
        assert_eq!(overlay.actions[0].update, Some(json!({"x-lenient": ["a"]})));
    }

    #[test]
    fn other_unknown_members_are_reported_with_their_place() {
        let info = json!({"title": "t", "version": "1"});
        for (overlay, place) in [
            (json!({"overlay": "1.0.0", "info": info, "actions": [], "tool": 1}), "/tool"),
            (
                json!({"overlay": "1.0.0", "info": {"title": "t", "version": "1", "owner": 1}, "actions": []}),
                "/info/owner",
            ),
            (
                json!({"overlay": "1.0.0", "info": info, "actions": [{"target": "$", "description": "d", "xremove": true}]}),
                "/actions/0/xremove",
            ),
        ] {
            let error = read(&overlay).err().unwrap();
            assert!(error.to_string().contains("unknown field"), "{error}");
            assert_eq!(error.pointer(), Some(place));
        }
    }
}
