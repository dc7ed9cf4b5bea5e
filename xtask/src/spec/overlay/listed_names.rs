//! Finds property names that an overlay lists even though the document no longer contains the
//! properties.
//!
//! An action can add property names to `required` and to `x-lenient`. If Flinks removes or renames
//! such a property, the action is stale, even though its target still exists.

use serde_json::Value;

use super::super::schema::escape;
use super::format::Action;
use super::stale::stale;
use crate::Error;

/// The schema keys whose values list some of the schema's properties.
const LISTS: [&str; 2] = ["required", "x-lenient"];

/// Removes from `document` each name that an action added to a list even though the schema has no
/// such property. `at` is the pointer of the action's target. Returns an error for each removed
/// name.
///
/// A name that is also listed in the `published` document is kept, because the action did not add
/// it.
pub(super) fn remove_unknown(document: &mut Value, published: &Value, action: &Action, at: &str) -> Vec<Error> {
    let mut errors = Vec::new();
    if let Some(update) = &action.update {
        for (list, name) in listed(update, at) {
            if take_unknown(document, published, &list, &name) {
                let list = list.key;
                errors.push(stale(action, &format!("adds `{name}` to `{list}`, but the schema has no such property")).help(
                    format!(
                        "the property no longer exists or has been renamed: correct or remove `{name}` in the action, or \
                         remove the action if nothing else remains"
                    ),
                ));
            }
        }
    }
    errors
}

/// A list of property names in a schema.
struct List {
    /// The pointer of the schema.
    schema: String,
    key: &'static str,
}

/// Returns the names that an update lists, each with its list.
fn listed(update: &Value, at: &str) -> Vec<(List, String)> {
    let mut found = Vec::new();
    for (key, child) in update.as_object().into_iter().flatten() {
        let list = LISTS.into_iter().find(|list| *list == key.as_str());
        match (list, child) {
            (Some(key), Value::Array(names)) => {
                let names = names.iter().filter_map(Value::as_str);
                found.extend(names.map(|name| (List { schema: at.to_owned(), key }, name.to_owned())));
            }
            _ => found.extend(listed(child, &format!("{at}/{}", escape(key)))),
        }
    }
    found
}

/// Removes a name from a list in a schema if the schema has no such property. Returns whether the
/// name was removed.
fn take_unknown(document: &mut Value, published: &Value, list: &List, name: &str) -> bool {
    let is_published = published
        .pointer(&list.schema)
        .and_then(|schema| schema.get(list.key)?.as_array())
        .is_some_and(|names| names.iter().any(|other| other == name));
    let schema = document.pointer_mut(&list.schema).and_then(Value::as_object_mut);
    let Some(schema) = schema.filter(|_| !is_published) else { return false };
    // A property can also come from a part of the schema.
    let has_parts = ["$ref", "allOf", "oneOf", "anyOf"].iter().any(|key| schema.contains_key(*key));
    let is_known = schema.get("properties").and_then(Value::as_object).is_none_or(|known| known.contains_key(name));
    if has_parts || is_known {
        return false;
    }
    let Some(names) = schema.get_mut(list.key).and_then(Value::as_array_mut) else { return false };
    let count = names.len();
    names.retain(|other| other != name);
    let is_taken = names.len() < count;
    // OpenAPI 3.0 does not allow an empty `required`.
    if names.is_empty() {
        schema.shift_remove(list.key);
    }
    is_taken
}
