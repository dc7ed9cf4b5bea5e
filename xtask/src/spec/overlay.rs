//! The overlay stage applies the corrections in an OpenAPI Overlay 1.0 document.
//!
//! This stage is stricter than the standard: an action must have a reason (`description`), select
//! exactly one place, and change that place. Once Flinks has corrected the document, the action
//! becomes stale. [`apply`] returns an error if any action is stale. [`correct`] skips stale
//! actions and returns them, so that two versions of a document can be compared.

mod format;
mod listed_names;
mod stale;

use serde_json::Value;
use serde_json_path::{JsonPath, LocatedNode};

use super::schema::unescape;
use crate::{Error, Result};
use format::Action;
use stale::{REMOVE_ACTION, StaleActions, stale};

/// A document to which an overlay's actions have been applied.
#[derive(Debug)]
pub struct Corrected {
    /// The document, without the corrections from stale actions.
    pub document: Value,
    /// The errors for the stale actions. An action is stale if its target matches nothing, if it
    /// changes nothing, if it depends on a stale action, or if it lists a property that does not
    /// exist. In the last two cases, only the affected part of the action is skipped.
    pub stale: Vec<Error>,
}

/// Applies the actions of `overlay` to `document`, in order.
///
/// # Errors
///
/// Returns an error if the overlay is not valid, if its version is not 1.0, or if an action is
/// invalid or stale. [`Corrected::stale`] explains when an action is stale.
pub fn apply(document: Value, overlay: &Value) -> Result<Value> {
    let Corrected { document, stale } = correct(document, overlay)?;
    Error::all(stale).map(|()| document)
}

/// Applies the actions of `overlay` to `document`, in order, and skips stale actions.
///
/// # Errors
///
/// Returns an error if the overlay is not valid, if its version is not 1.0, or if an action is
/// invalid.
pub fn correct(mut document: Value, overlay: &Value) -> Result<Corrected> {
    let overlay = format::read(overlay)?;
    let published = document.clone();
    // A new document can make several actions stale, so all errors are reported.
    let mut invalid = Vec::new();
    let mut stale = Vec::new();
    let mut stale_actions = StaleActions::default();
    let mut applied = Vec::new();
    for (index, action) in overlay.actions.iter().enumerate() {
        match apply_action(&mut document, index, action, &mut stale_actions) {
            Ok(Outcome::Applied { target }) => applied.push((index, action, target)),
            Ok(Outcome::Stale(errors)) => stale.extend(errors.into_iter().map(|error| (index, error))),
            Err(error) => invalid.push((index, error)),
        }
    }
    // A later action can add the properties that an earlier action lists.
    for (index, action, target) in applied {
        let errors = listed_names::remove_unknown(&mut document, &published, action, &target);
        stale.extend(errors.into_iter().map(|error| (index, error)));
    }
    stale.sort_by_key(|(index, _)| *index);
    let located = |(index, error): (usize, Error)| error.at(format!("/actions/{index}"));
    let mut invalid: Vec<Error> = invalid.into_iter().map(located).collect();
    let stale: Vec<Error> = stale.into_iter().map(located).collect();
    if invalid.is_empty() {
        return Ok(Corrected { document, stale });
    }
    invalid.extend(stale);
    Error::all(invalid).map(|()| Corrected { document, stale: Vec::new() })
}

/// The outcome of a valid action.
enum Outcome {
    /// The action changed the place at this pointer.
    Applied { target: String },
    /// The action is stale. Contains the reasons.
    Stale(Vec<Error>),
}

/// Applies an action, unless the action is stale.
fn apply_action<'a>(
    document: &mut Value,
    index: usize,
    action: &'a Action,
    stale_actions: &mut StaleActions<'a>,
) -> Result<Outcome> {
    let path = JsonPath::parse(&action.target)
        .map_err(|error| Error::new(format!("invalid JSONPath in the target `{}`: {error}", action.target)))?;
    if action.description.trim().is_empty() {
        return Err(Error::new("the action does not give a reason").help("add a `description` that states the reason"));
    }
    if action.update.is_none() && !action.remove {
        return Err(Error::new("the action has neither `update` nor `remove`"));
    }
    let pointers = pointers(&path, document);
    let pointer = match pointers.as_slice() {
        [] => return Ok(Outcome::Stale(vec![stale_actions.unmatched(document, index, action)])),
        [pointer] => pointer,
        several => {
            let message = format!("the target `{}` selects {} places: expected one", action.target, several.len());
            return Err(Error::new(message)
                .help("write a separate action for each place, so that each action can become stale independently"));
        }
    };
    let target = document.pointer_mut(pointer).filter(|target| target.is_object() || target.is_array());
    let target = target.ok_or_else(|| {
        Error::new(format!("the target `{}` selects a primitive value", action.target))
            .help("an action can only select an object or a list: select the object or list that contains the value")
    })?;
    let mut errors = Vec::new();
    match &action.update {
        Some(update) if !action.remove => {
            let before = target.clone();
            let mut update = update.clone();
            errors = stale_actions.leave_out_missing(action, pointer, &mut update);
            update_target(target, &update)?;
            if errors.is_empty() && *target == before {
                errors.push(stale(action, "changes nothing").help(REMOVE_ACTION));
            }
        }
        _ => remove(document, pointer)?,
    }
    if errors.is_empty() { Ok(Outcome::Applied { target: pointer.clone() }) } else { Ok(Outcome::Stale(errors)) }
}

fn pointers(path: &JsonPath, document: &Value) -> Vec<String> {
    path.query_located(document)
        .iter()
        .map(LocatedNode::location)
        .map(serde_json_path::NormalizedPath::to_json_pointer)
        .collect()
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
pub(crate) fn merge(target: &mut Value, update: &Value) {
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
    fn stale_actions_are_skipped_and_returned() {
        let actions = json!([
            {"target": "$.o", "description": "adopted", "update": {"k": 1}},
            {"target": "$.o", "description": "still needed", "update": {"k": 2}},
            {"target": "$.gone", "description": "moved", "update": {"x": {"y": 1}}},
            {"target": "$.gone.x", "description": "a part of it", "update": {"y": 2}},
        ]);
        let Corrected { document, stale } = correct(json!({"o": {"k": 1}}), &overlay(actions)).unwrap();
        assert_eq!(document, json!({"o": {"k": 2}}));
        let places: Vec<_> = stale.iter().map(|error| error.pointer().unwrap()).collect();
        assert_eq!(places, ["/actions/0", "/actions/2", "/actions/3"]);
        assert!(stale[2].to_string().contains("the target of /actions/2, which is stale too"), "{}", stale[2]);
    }

    #[test]
    fn an_action_that_adds_a_removed_member_again_depends_on_the_removal() {
        let actions = json!([
            {"target": "$.o['a/b']", "description": "replaced below", "remove": true},
            {"target": "$", "description": "replaces", "update": {"o": {"a/b": {"n": 1}}, "p": 1}},
            {"target": "$.o", "description": "replaces again", "update": {"a/b": {"n": 2}}},
        ]);
        let Corrected { document, stale } = correct(json!({"o": {"a/b": {}}}), &overlay(actions.clone())).unwrap();
        assert_eq!(document, json!({"o": {"a/b": {"n": 2}}, "p": 1}));
        assert_eq!(stale.len(), 0);
        let Corrected { document, stale } = correct(json!({"o": {"c": 1}}), &overlay(actions)).unwrap();
        assert_eq!(document, json!({"o": {"c": 1}, "p": 1}));
        assert_eq!(stale.len(), 3);
        for error in &stale[1..] {
            let text = error.to_string();
            assert!(text.contains("adds `/o/a~1b`, which the document no longer contains"), "{text}");
            assert!(text.contains("belongs to /actions/0, which is stale too"), "{text}");
        }
    }

    #[test]
    fn a_listed_property_that_does_not_exist_makes_its_action_stale() {
        let actions = json!([
            {"target": "$.s", "description": "lists", "update": {"required": ["a", "gone"], "x-lenient": ["c"]}},
            {"target": "$.s.properties", "description": "adds", "update": {"c": {}}},
            {"target": "$", "description": "lists", "update": {"t": {"required": ["gone"]}, "u": {"required": ["b"]}}},
        ]);
        let document = json!({
            "s": {"required": ["p"], "properties": {"a": {}}},
            "t": {"properties": {"a": {}}},
            "u": {"properties": {}, "allOf": []},
        });
        let Corrected { document, stale } = correct(document, &overlay(actions)).unwrap();
        assert_eq!(
            document["s"],
            json!({"required": ["p", "a"], "properties": {"a": {}, "c": {}}, "x-lenient": ["c"]})
        );
        assert_eq!(document["t"], json!({"properties": {"a": {}}}));
        assert_eq!(document["u"], json!({"properties": {}, "allOf": [], "required": ["b"]}));
        let places: Vec<_> = stale.iter().map(|error| error.pointer().unwrap()).collect();
        assert_eq!(places, ["/actions/0", "/actions/2"]);
        assert!(stale[0].to_string().contains("adds `gone` to `required`"), "{}", stale[0]);
    }

    #[test]
    fn an_invalid_action_is_an_error_even_if_it_would_be_stale() {
        for (action, part) in [
            (json!({"target": "$.gone[", "description": "d", "remove": true}), "invalid JSONPath"),
            (json!({"target": "$.gone", "description": "", "remove": true}), "does not give a reason"),
            (json!({"target": "$.gone", "description": "d"}), "neither `update` nor `remove`"),
            (json!({"target": "$.*", "description": "d", "remove": true}), "selects 2 places"),
        ] {
            let actions = json!([{"target": "$.other", "description": "stale", "remove": true}, action]);
            let error = correct(json!({"o": {}, "p": {}}), &overlay(actions)).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
            assert!(error.contains("`$.other` matches nothing"), "{error}");
        }
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
