//! The wording for places and values in reports.

use std::collections::{BTreeMap, BTreeSet};

use super::place::{Place, path_text};

/// Returns the name that reports use for a place.
pub(super) fn subject(place: &Place, name: Option<&str>) -> String {
    match place {
        Place::PathParameter(_) => format!("path parameter `{}`", name.unwrap_or_default()),
        Place::Parameter { place, name } if place == "header" => format!("header `{name}`"),
        Place::Parameter { place, name } => format!("{place} parameter `{name}`"),
        Place::Request(path) if path.is_empty() => "request body".into(),
        Place::Request(path) => format!("request field `{}`", path_text(path)),
        Place::Response { statuses, path } => {
            let word = match statuses.first().and_then(|status| status.chars().next()) {
                Some('4' | '5') => "error",
                _ => "response",
            };
            let statuses = statuses.join(", ");
            if path.is_empty() {
                format!("{word} {statuses}")
            } else {
                format!("{word} {statuses} field `{}`", path_text(path))
            }
        }
    }
}

/// Returns a title without the names of its path parameters, because these names are not
/// transmitted.
pub(super) fn bare_path(title: &str) -> String {
    let mut parts = title.split('{');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |path, part| format!("{path}{{}}{}", part.split_once('}').map_or("", |(_, rest)| rest)))
}

/// Returns the keys whose values differ, each with the old and the new value.
pub(super) fn differing<'a>(
    old: &'a BTreeMap<&'static str, String>,
    new: &'a BTreeMap<&'static str, String>,
) -> Vec<(&'static str, Option<&'a str>, Option<&'a str>)> {
    let keys: BTreeSet<&'static str> = old.keys().chain(new.keys()).copied().collect();
    let pair = |key| (key, old.get(key).map(String::as_str), new.get(key).map(String::as_str));
    keys.into_iter().map(pair).filter(|(_, old, new)| old != new).collect()
}

/// Formats two values as `from … to …`. A missing or empty value is shown as `none`.
pub(super) fn from_to(before: Option<&str>, after: Option<&str>) -> String {
    let show = |value: Option<&str>| value.filter(|value| !value.is_empty()).unwrap_or("none").to_owned();
    format!("from {} to {}", show(before), show(after))
}

pub(super) fn list(names: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    names.into_iter().map(|name| format!("`{}`", name.as_ref())).collect::<Vec<_>>().join(", ")
}
