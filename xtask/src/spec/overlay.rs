//! The overlay stage: our corrections, as an OpenAPI Overlay 1.0 document.
//!
//! Stricter than the standard in three ways: an action must say why (`description`), must select one place, and must
//! change something. A correction dies in the open when Flinks repairs its document, each by itself.

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
/// Where the overlay is not one of version 1.0, or an action is stale: its target matches nothing, or it changes
/// nothing.
pub fn apply(mut document: Value, overlay: &Value) -> Result<Value> {
    let overlay: Overlay = serde_path_to_error::deserialize(overlay).map_err(|error| {
        Error::new(format!("is not an OpenAPI Overlay 1.0 document: {}", error.inner())).at(pointer_of(error.path()))
    })?;
    if !overlay.overlay.starts_with("1.0.") {
        return Err(Error::new(format!("is of overlay version {}, not 1.0", overlay.overlay)).at("/overlay"));
    }
    // A new document makes several actions stale: all are told.
    let mut errors = Vec::new();
    for (index, action) in overlay.actions.iter().enumerate() {
        let before = document.clone();
        let done = act(&mut document, action).and_then(|()| match document == before {
            true => Err(stale(action, "changes nothing").help(REPAIRED)),
            false => Ok(()),
        });
        errors.extend(done.err().map(|error| error.at(format!("/actions/{index}"))));
    }
    Error::all(errors).map(|()| document)
}

const REPAIRED: &str = "the document says by now what the action made it say: remove the action";

fn act(document: &mut Value, action: &Action) -> Result<()> {
    let path = JsonPath::parse(&action.target)
        .map_err(|error| Error::new(format!("the target `{}` is not a JSONPath: {error}", action.target)))?;
    let pointers = pointers(&path, document);
    let pointer = match pointers.as_slice() {
        [] => return Err(stale(action, "matches nothing").help(moved(document, &action.target))),
        [pointer] => pointer,
        several => {
            let message = format!("the target `{}` selects {} places", action.target, several.len());
            return Err(Error::new(message).help("write an action for each, so that each can become stale by itself"));
        }
    };
    if action.description.trim().is_empty() {
        return Err(Error::new("the action does not say why").help("give it a `description`"));
    }
    let target = document.pointer_mut(pointer).filter(|target| target.is_object() || target.is_array());
    let target = target.ok_or_else(|| {
        Error::new(format!("the target `{}` selects a primitive value", action.target))
            .help("Overlay 1.0 selects objects and arrays only: select what holds the value")
    })?;
    match (&action.update, action.remove) {
        (_, true) => remove(document, pointer),
        (Some(update), false) => update_target(target, update),
        (None, false) => Err(Error::new("the action has neither `update` nor `remove`")),
    }
}

fn pointers(path: &JsonPath, document: &Value) -> Vec<String> {
    path.query_located(document).iter().map(LocatedNode::location).map(|path| path.to_json_pointer()).collect()
}

fn stale(action: &Action, how: &str) -> Error {
    Error::new(format!("the action on `{}` {how}; its reason was: {}", action.target, action.description.trim()))
}

/// How far a target still leads, and what is there now.
fn moved(document: &Value, target: &str) -> String {
    let cuts =
        target.char_indices().rev().filter(|(_, c)| matches!(c, '.' | '[')).filter_map(|(end, _)| target.get(..end));
    let found = cuts.filter(|prefix| !prefix.is_empty()).find_map(|prefix| {
        let path = JsonPath::parse(prefix).ok()?;
        let place = document.pointer(pointers(&path, document).first()?)?;
        Some((prefix, place))
    });
    let what_to_do = "what is corrected has gone or has another name: remove the action, or correct its target";
    let Some((prefix, place)) = found else { return what_to_do.into() };
    let names: Vec<&str> = match place {
        Value::Object(object) => object.keys().map(String::as_str).collect(),
        Value::Array(array) => array.iter().filter_map(|entry| entry.get("name")?.as_str()).collect(),
        _ => Vec::new(),
    };
    format!("{what_to_do}; it leads as far as `{prefix}`, which now has: {}", names.join(", "))
}

/// A list takes the update as one more entry; an object is merged with it.
fn update_target(target: &mut Value, update: &Value) -> Result<()> {
    match target {
        Value::Array(target) => target.push(update.clone()),
        target if update.is_object() => merge(target, update),
        _ => return Err(Error::new("the target is an object, and the update is none, so they cannot be merged")),
    }
    Ok(())
}

/// Objects are merged, a list takes what it does not have yet, and anything else is replaced.
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
    let (parent, key) =
        pointer.rsplit_once('/').ok_or_else(|| Error::new("the target is the document itself, which cannot go"))?;
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
    fn an_action_that_hits_or_changes_nothing_is_stale() {
        for action in [
            json!({"target": "$.gone", "description": "the why", "remove": true}),
            json!({"target": "$.o", "description": "the why", "update": {"k": 1}}),
            json!({"target": "$.o", "description": "the why", "update": {"r": [2]}}),
        ] {
            let error = applied(json!({"o": {"k": 1, "r": [1, 2]}}), json!([action])).unwrap_err();
            assert_eq!(error.pointer(), Some("/actions/0"));
            assert!(error.to_string().contains("the why"), "{error}");
        }
    }

    #[test]
    fn all_stale_actions_are_told_with_the_way_out() {
        let actions = json!([
            {"target": "$.o", "description": "the first", "update": {"k": 1}},
            {"target": "$.o", "description": "holds", "update": {"k": 2}},
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
            "as far as `$.o.list`",
            "now has: here, there",
            "as far as `$.o`, which now has: k, list",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains("holds"), "{text}");
    }

    #[test]
    fn a_broken_overlay_is_located() {
        for (overlay, part) in [
            (json!([]), "not an OpenAPI Overlay"),
            (json!({"overlay": "2.0.0", "info": {"title": "t", "version": "1"}, "actions": []}), "/overlay"),
            (overlay(json!([{"target": "$.o", "update": {}}])), "/actions/0"),
            (overlay(json!([{"target": "$.o", "description": " ", "update": {"z": 1}}])), "does not say why"),
            (overlay(json!([{"target": "$.o[", "description": "d", "update": {}}])), "not a JSONPath"),
            (overlay(json!([{"target": "$.o", "description": "d"}])), "neither"),
            (overlay(json!([{"target": "$.o.k", "description": "d", "remove": true}])), "primitive"),
            (overlay(json!([{"target": "$", "description": "d", "remove": true}])), "cannot go"),
            (overlay(json!([{"target": "$['o', 'p']", "description": "d", "remove": true}])), "selects 2 places"),
            (overlay(json!([{"target": "$.o", "description": "d", "updates": {}}])), "unknown field"),
            (overlay(json!([{"target": "$.o", "description": "d", "update": [1]}])), "cannot be merged"),
        ] {
            let error = apply(json!({"o": {"k": 1}, "p": {}}), &overlay).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
