//! Splits a document into its mergeable parts, which are operations, components and top-level keys.
//! Each part is merged as a whole.

use serde_json::Value;

use crate::spec::schema::{METHODS, escape};

/// Returns the mergeable parts of a document. Each part is represented by the keys that lead to it.
pub(super) fn mergeable_parts(document: &Value) -> Vec<Vec<String>> {
    let mut parts = Vec::new();
    for (key, value) in document.as_object().into_iter().flatten() {
        match (key.as_str(), value.as_object()) {
            ("paths", Some(paths)) => {
                for (path, item) in paths {
                    let keys = item.as_object().into_iter().flatten();
                    parts.extend(keys.map(|(method, _)| vec![key.clone(), path.clone(), method.clone()]));
                }
            }
            ("components", Some(kinds)) => {
                for (kind, named) in kinds {
                    let names = named.as_object().into_iter().flatten();
                    parts.extend(names.map(|(name, _)| vec![key.clone(), kind.clone(), name.clone()]));
                }
            }
            _ => parts.push(vec![key.clone()]),
        }
    }
    parts
}

/// Returns the parts of a slice that are missing from the document or differ from the corresponding
/// parts of the document.
pub(super) fn changes(old: &Value, new: &Value) -> Vec<Vec<String>> {
    let differs = |path: &Vec<String>| {
        let pointer = pointer(path);
        let (old, new) = (old.pointer(&pointer), new.pointer(&pointer));
        match path.as_slice() {
            // A slice may list only its own operation's tags, so a missing tag is not a change.
            [key] if key == "tags" => old.is_none_or(|old| new.is_some_and(|new| merge_tags(old, new) != *old)),
            _ => old.map(Value::to_string) != new.map(Value::to_string),
        }
    };
    mergeable_parts(new).into_iter().filter(differs).collect()
}

/// Merges two lists of tags. If both lists contain a tag, the result contains the version from
/// `new`.
pub(super) fn merge_tags(old: &Value, new: &Value) -> Value {
    let mut tags = old.as_array().cloned().unwrap_or_default();
    for tag in new.as_array().into_iter().flatten() {
        match tags.iter_mut().find(|other| other.get("name") == tag.get("name")) {
            Some(other) => *other = tag.clone(),
            None => tags.push(tag.clone()),
        }
    }
    Value::Array(tags)
}

/// Returns the JSON Pointer to a part.
pub(super) fn pointer(path: &[impl AsRef<str>]) -> String {
    path.iter().map(|key| format!("/{}", escape(key.as_ref()))).collect()
}

/// Returns the name that reports use for a part: either the operation or the path of keys that
/// leads to the part.
pub(super) fn title(path: &[String]) -> String {
    match path {
        [paths, path, method] if paths == "paths" && METHODS.contains(&method.as_str()) => {
            format!("{} {path}", method.to_uppercase())
        }
        path => format!("`{}`", path.join("/")),
    }
}
