//! The overlay stage applies the corrections in an OpenAPI Overlay 1.0 document.
//!
//! This stage is stricter than the standard: an action must have a reason (`description`), select
//! exactly one place, and change that place. Once Flinks has corrected the document, this stage
//! reports the action as an error until the action is removed.

use serde::Deserialize;
use serde_json::Value;
use serde_json_path::{JsonPath, LocatedNode};

use super::schema::{pointer_of, unescape};
use crate::{Error, Result};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Overlay {
    overlay: String,
    #[serde(rename = "info")]
    _info: Info,
    #[serde(rename = "extends")]
    _extends: Option<String>,
    actions: Vec<Action>,
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
struct Action {
    target: String,
    description: String,
    update: Option<Value>,
    #[serde(default)]
    remove: bool,
}

/// Applies the actions of `overlay` to `document`, in order.
///
/// # Errors
///
/// Returns an error if the overlay is not valid, if its version is not 1.0, or if an action is
/// invalid or stale. An action is stale if its target matches nothing or if the action changes
/// nothing.
pub fn apply(mut document: Value, overlay: &Value) -> Result<Value> {
    let overlay: Overlay = serde_path_to_error::deserialize(overlay).map_err(|error| {
        Error::new(format!("invalid OpenAPI Overlay 1.0 document: {}", error.inner())).at(pointer_of(error.path()))
    })?;
    if !overlay.overlay.starts_with("1.0.") {
        return Err(
            Error::new(format!("unsupported overlay version `{}`: expected `1.0.x`", overlay.overlay)).at("/overlay")
        );
    }
    // A new document can make several actions stale, so all errors are reported.
    let mut errors = Vec::new();
    for (index, action) in overlay.actions.iter().enumerate() {
        let before = document.clone();
        let error = match apply_action(&mut document, action) {
            Ok(()) if document == before => stale(action, "changes nothing").help(REMOVE_ACTION),
            Ok(()) => continue,
            Err(error) => error,
        };
        errors.push(error.at(format!("/actions/{index}")));
    }
    Error::all(errors).map(|()| document)
}

const REMOVE_ACTION: &str = "the document already contains the correction: remove the action";

fn apply_action(document: &mut Value, action: &Action) -> Result<()> {
    let path = JsonPath::parse(&action.target)
        .map_err(|error| Error::new(format!("invalid JSONPath in the target `{}`: {error}", action.target)))?;
    let pointers = pointers(&path, document);
    let pointer = match pointers.as_slice() {
        [] => return Err(stale(action, "matches nothing").help(target_advice(document, &action.target))),
        [pointer] => pointer,
        several => {
            let message = format!("the target `{}` selects {} places: expected one", action.target, several.len());
            return Err(Error::new(message)
                .help("write a separate action for each place, so that each action can become stale independently"));
        }
    };
    if action.description.trim().is_empty() {
        return Err(Error::new("the action does not give a reason").help("add a `description` that states the reason"));
    }
    let target = document.pointer_mut(pointer).filter(|target| target.is_object() || target.is_array());
    let target = target.ok_or_else(|| {
        Error::new(format!("the target `{}` selects a primitive value", action.target))
            .help("an action can only select an object or a list: select the object or list that contains the value")
    })?;
    match (&action.update, action.remove) {
        (_, true) => remove(document, pointer),
        (Some(update), false) => update_target(target, update),
        (None, false) => Err(Error::new("the action has neither `update` nor `remove`")),
    }
}

fn pointers(path: &JsonPath, document: &Value) -> Vec<String> {
    path.query_located(document)
        .iter()
        .map(LocatedNode::location)
        .map(serde_json_path::NormalizedPath::to_json_pointer)
        .collect()
}

fn stale(action: &Action, how: &str) -> Error {
    Error::new(format!("the action on `{}` {how}; its description is: {}", action.target, action.description.trim()))
}

/// Returns the help text for an overlay target that matches nothing. The help text names the
/// longest prefix that still matches and lists the members at that place.
fn target_advice(document: &Value, target: &str) -> String {
    let prefixes =
        target.char_indices().rev().filter(|(_, c)| matches!(c, '.' | '[')).filter_map(|(end, _)| target.get(..end));
    let found = prefixes.filter(|prefix| !prefix.is_empty()).find_map(|prefix| {
        let path = JsonPath::parse(prefix).ok()?;
        let place = document.pointer(pointers(&path, document).first()?)?;
        Some((prefix, place))
    });
    let what_to_do = "the target no longer exists or has been renamed: remove the action or correct its target";
    let Some((prefix, place)) = found else { return what_to_do.into() };
    let names: Vec<&str> = match place {
        Value::Object(object) => object.keys().map(String::as_str).collect(),
        Value::Array(array) => array.iter().filter_map(|entry| entry.get("name")?.as_str()).collect(),
        _ => Vec::new(),
    };
    format!("{what_to_do}; the longest part that still matches is `{prefix}`, which contains: {}", names.join(", "))
}

/// Appends the update if the target is a list, or merges the update if the target is an object.
fn update_target(target: &mut Value, update: &Value) -> Result<()> {
    match target {
        Value::Array(target) => target.push(update.clone()),
        target if update.is_object() => merge(target, update),
        _ => return Err(Error::new("failed to merge the update: the target is an object, but the update is not")),
    }
    Ok(())
}

/// Merges objects, adds missing entries to lists, and replaces all other values.
fn merge(target: &mut Value, update: &Value) {
    match (target, update) {
        (Value::Object(target), Value::Object(update)) => {
            for (key, update) in update {
                match target.get_mut(key) {
                    Some(target) => merge(target, update),
                    None => {
                        target.insert(key.clone(), update.clone());
                    }
                }
            }
        }
        (Value::Array(target), Value::Array(update)) => {
            for entry in update {
                if !target.contains(entry) {
                    target.push(entry.clone());
                }
            }
        }
        (target, update) => *target = update.clone(),
    }
}

fn remove(document: &mut Value, pointer: &str) -> Result<()> {
    let (parent, key) = pointer
        .rsplit_once('/')
        .ok_or_else(|| Error::new("the target is the whole document, which cannot be removed"))?;
    match document.pointer_mut(parent) {
        Some(Value::Object(parent)) => {
            parent.shift_remove(&unescape(key));
        }
        Some(Value::Array(parent)) => {
            if let Some(index) = key.parse().ok().filter(|index: &usize| *index < parent.len()) {
                parent.remove(index);
            }
        }
        _ => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn overlay(actions: Value) -> Value {
        json!({"overlay": "1.0.0", "info": {"title": "t", "version": "1"}, "actions": actions})
    }

    fn applied(document: Value, actions: Value) -> Result<Value> {
        apply(document, &overlay(actions))
    }

    #[test]
    fn update_merges_and_remove_removes() {
        let document = json!({"a/b": [{"n": 1, "x": {}}, {"n": 2}], "o": {"k": 1, "r": [1]}});
        let actions = json!([
            {"target": "$['a/b'][?@.n == 1].x", "description": "d", "remove": true},
            {"target": "$['a/b'][?@.n == 2]", "description": "d", "remove": true},
            {"target": "$['a/b']", "description": "d", "update": {"n": 3}},
            {"target": "$.o", "description": "d", "update": {"k": 2, "l": {"m": 3}, "r": [1, 2]}},
        ]);
        assert_eq!(
            applied(document, actions).unwrap(),
            json!({"a/b": [{"n": 1}, {"n": 3}], "o": {"k": 2, "r": [1, 2], "l": {"m": 3}}})
        );
    }

    #[test]
    fn an_action_that_matches_or_changes_nothing_is_stale() {
        for action in [
            json!({"target": "$.gone", "description": "the reason", "remove": true}),
            json!({"target": "$.o", "description": "the reason", "update": {"k": 1}}),
            json!({"target": "$.o", "description": "the reason", "update": {"r": [2]}}),
        ] {
            let error = applied(json!({"o": {"k": 1, "r": [1, 2]}}), json!([action])).unwrap_err();
            assert_eq!(error.pointer(), Some("/actions/0"));
            assert!(error.to_string().contains("the reason"), "{error}");
        }
    }

    #[test]
    fn all_stale_actions_are_reported_with_advice() {
        let actions = json!([
            {"target": "$.o", "description": "the first", "update": {"k": 1}},
            {"target": "$.o", "description": "still needed", "update": {"k": 2}},
            {"target": "$.o.list[?@.name == 'gone'].schema", "description": "the third", "remove": true},
            {"target": "$.o['a.b'].c", "description": "the fourth", "remove": true},
        ]);
        let document = json!({"o": {"k": 1, "list": [{"name": "here"}, {"name": "there"}]}});
        let text = applied(document, actions).unwrap_err().to_string();
        for part in [
            "/actions/0",
            "the first",
            "remove the action",
            "/actions/2",
            "matches is `$.o.list`",
            "which contains: here, there",
            "matches is `$.o`, which contains: k, list",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains("still needed"), "{text}");
    }

    #[test]
    fn an_invalid_overlay_is_reported_with_its_place() {
        for (overlay, part) in [
            (json!([]), "invalid OpenAPI Overlay"),
            (json!({"overlay": "2.0.0", "info": {"title": "t", "version": "1"}, "actions": []}), "/overlay"),
            (overlay(json!([{"target": "$.o", "update": {}}])), "/actions/0"),
            (overlay(json!([{"target": "$.o", "description": " ", "update": {"z": 1}}])), "does not give a reason"),
            (overlay(json!([{"target": "$.o[", "description": "d", "update": {}}])), "invalid JSONPath"),
            (overlay(json!([{"target": "$.o", "description": "d"}])), "neither"),
            (overlay(json!([{"target": "$.o.k", "description": "d", "remove": true}])), "primitive"),
            (overlay(json!([{"target": "$", "description": "d", "remove": true}])), "cannot be removed"),
            (overlay(json!([{"target": "$['o', 'p']", "description": "d", "remove": true}])), "selects 2 places"),
            (overlay(json!([{"target": "$.o", "description": "d", "updates": {}}])), "unknown field"),
            (overlay(json!([{"target": "$.o", "description": "d", "update": [1]}])), "failed to merge"),
        ] {
            let error = apply(json!({"o": {"k": 1}, "p": {}}), &overlay).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
