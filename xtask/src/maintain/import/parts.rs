//! The parts of a document that are merged as wholes: operations, components and top-level keys.

use serde_json::Value;

use crate::spec::schema::{METHODS, escape};

/// The parts of a document that are merged as wholes, each by the keys that lead to it.
pub(super) fn parts(document: &Value) -> Vec<Vec<String>> {
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

/// The parts that a slice has, and the document has not or has otherwise.
pub(super) fn changes(old: &Value, new: &Value) -> Vec<Vec<String>> {
    let differs = |path: &Vec<String>| {
        let pointer = pointer(path);
        let (old, new) = (old.pointer(&pointer), new.pointer(&pointer));
        match path.as_slice() {
            // A slice may have the tags of its operation only.
            [key] if key == "tags" => old.is_none_or(|old| new.is_some_and(|new| united(old, new) != *old)),
            _ => old.map(Value::to_string) != new.map(Value::to_string),
        }
    };
    parts(new).into_iter().filter(differs).collect()
}

/// Two lists of tags as one, in which the newer description holds.
pub(super) fn united(old: &Value, new: &Value) -> Value {
    let mut tags = old.as_array().cloned().unwrap_or_default();
    for tag in new.as_array().into_iter().flatten() {
        match tags.iter_mut().find(|other| other.get("name") == tag.get("name")) {
            Some(other) => *other = tag.clone(),
            None => tags.push(tag.clone()),
        }
    }
    Value::Array(tags)
}

pub(super) fn pointer(path: &[impl AsRef<str>]) -> String {
    path.iter().map(|key| format!("/{}", escape(key.as_ref()))).collect()
}

/// How a report calls a part.
pub(super) fn title(path: &[String]) -> String {
    match path {
        [paths, path, method] if paths == "paths" && METHODS.contains(&method.as_str()) => {
            format!("{} {path}", method.to_uppercase())
        }
        path => format!("`{}`", path.join("/")),
    }
}
