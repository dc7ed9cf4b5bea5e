//! Describes stale overlay actions: actions that match nothing or change nothing.
//!
//! An action can depend on a stale action. For example, one action removes a property and the next
//! action re-adds it with a different type. If the property no longer exists in the document, the
//! second action would add a property that the API does not have. A dependent action is therefore
//! stale too.

use serde_json::{Map, Value};
use serde_json_path::JsonPath;

use super::super::schema::escape;
use super::format::Action;
use super::pointers;
use crate::Error;

/// The help text for an action that changes nothing.
pub(super) const REMOVE_ACTION: &str = "the document already contains the correction: remove the action";

/// The stale actions found so far.
#[derive(Default)]
pub(super) struct StaleActions<'a> {
    /// The actions whose target matches nothing, each with its index.
    unmatched: Vec<(usize, &'a Action)>,
    /// The pointers of the members that stale actions would have removed, each with the index of
    /// its action.
    missing: Vec<(usize, String)>,
}

impl<'a> StaleActions<'a> {
    /// Records an action whose target matches nothing, and returns the error for this action.
    pub(super) fn unmatched(&mut self, document: &Value, index: usize, action: &'a Action) -> Error {
        let base = self.unmatched.iter().find(|(_, base)| is_within(&action.target, &base.target));
        let help = match base {
            Some((base, _)) => format!(
                "the target is the target of /actions/{base}, which is stale too, or a part of it: correct or remove both actions"
            ),
            None => target_advice(document, &action.target),
        };
        if action.remove {
            self.missing.extend(missing_member(document, &action.target).map(|pointer| (index, pointer)));
        }
        self.unmatched.push((index, action));
        stale(action, "matches nothing").help(help)
    }

    /// Removes from an update each member that an earlier action would have removed if the member
    /// still existed. `at` is the pointer of the action's target. Returns an error for each removed
    /// member.
    pub(super) fn leave_out_missing(&self, action: &Action, at: &str, update: &mut Value) -> Vec<Error> {
        let mut errors = Vec::new();
        for (index, pointer) in &self.missing {
            let Some(relative) = pointer.strip_prefix(at).filter(|relative| relative.starts_with('/')) else {
                continue;
            };
            let steps: Vec<String> = relative.split('/').skip(1).map(super::super::schema::unescape).collect();
            if take(update, &steps) {
                let message = format!("adds `{pointer}`, which the document no longer contains");
                errors.push(stale(action, &message).help(format!(
                    "the action belongs to /actions/{index}, which is stale too: remove this part of the action, or the \
                     action if nothing else remains"
                )));
            }
        }
        errors
    }
}

/// Returns an error that names a stale action, states why the action is stale, and quotes its
/// description.
pub(super) fn stale(action: &Action, how: &str) -> Error {
    Error::new(format!("the action on `{}` {how}; its description is: {}", action.target, action.description.trim()))
}

/// Returns whether a target selects the place that `base` selects or a place below that place.
fn is_within(target: &str, base: &str) -> bool {
    let rest = target.trim().strip_prefix(base.trim());
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// If a target's last step is a name and only this step is missing from the document, returns the
/// pointer of the missing member.
fn missing_member(document: &Value, target: &str) -> Option<String> {
    let (parent, name) = without_last_step(target.trim())?;
    let parents = pointers(&JsonPath::parse(parent).ok()?, document);
    let [parent] = parents.as_slice() else { return None };
    document.pointer(parent)?.is_object().then(|| format!("{parent}/{}", escape(name)))
}

/// Splits off the last step of a target, such as `.name` or `['name']`.
fn without_last_step(target: &str) -> Option<(&str, &str)> {
    for (open, close) in [("['", "']"), ("[\"", "\"]")] {
        if let Some(rest) = target.strip_suffix(close) {
            let (parent, name) = rest.rsplit_once(open)?;
            return (!name.contains('\\')).then_some((parent, name));
        }
    }
    let (parent, name) = target.rsplit_once('.')?;
    name.chars().all(|c| c.is_alphanumeric() || c == '_').then_some((parent, name))
}

/// Removes the member at `steps` and each object that contained only this member. Returns whether
/// the member existed.
fn take(value: &mut Value, steps: &[String]) -> bool {
    let Value::Object(object) = value else { return false };
    match steps {
        [] => false,
        [name] => object.shift_remove(name).is_some(),
        [name, rest @ ..] => {
            let is_taken = object.get_mut(name).is_some_and(|child| take(child, rest));
            if is_taken && object.get(name).and_then(Value::as_object).is_some_and(Map::is_empty) {
                object.shift_remove(name);
            }
            is_taken
        }
    }
}

/// Returns the help text for an overlay target that matches nothing. The help text shows the
/// longest prefix of the target that still matches and lists the names at that place.
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
