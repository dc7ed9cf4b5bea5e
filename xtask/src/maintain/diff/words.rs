//! The words for places and values in a report.

use std::collections::{BTreeMap, BTreeSet};

use super::place::{Place, path_text};

/// How a report calls a place.
pub(super) fn subject(place: &Place, name: Option<&str>) -> String {
    match place {
        Place::PathParameter(_) => format!("path parameter `{}`", name.unwrap_or_default()),
        Place::Parameter { place, name } if place == "header" => format!("header `{name}`"),
        Place::Parameter { place, name } => format!("{place} parameter `{name}`"),
        Place::Request(path) if path.is_empty() => "request body".into(),
        Place::Request(path) => format!("request field `{}`", path_text(path)),
        Place::Reply { statuses, path } => {
            let word = match statuses.first().and_then(|status| status.chars().next()) {
                Some('4' | '5') => "error",
                _ => "reply",
            };
            let statuses = statuses.join(", ");
            match path.is_empty() {
                true => format!("{word} {statuses}"),
                false => format!("{word} {statuses} field `{}`", path_text(path)),
            }
        }
    }
}

/// A title without the names in its path, which are not on the wire.
pub(super) fn bare_path(title: &str) -> String {
    let mut parts = title.split('{');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |path, part| format!("{path}{{}}{}", part.split_once('}').map_or("", |(_, rest)| rest)))
}

/// The keys whose values differ, with both values.
pub(super) fn both<'a>(
    old: &'a BTreeMap<&'static str, String>,
    new: &'a BTreeMap<&'static str, String>,
) -> Vec<(&'static str, Option<&'a str>, Option<&'a str>)> {
    let keys: BTreeSet<&'static str> = old.keys().chain(new.keys()).copied().collect();
    let pair = |key| (key, old.get(key).map(String::as_str), new.get(key).map(String::as_str));
    keys.into_iter().map(pair).filter(|(_, old, new)| old != new).collect()
}

pub(super) fn was_and_is(before: Option<&str>, after: Option<&str>) -> String {
    let show = |value: Option<&str>| value.filter(|value| !value.is_empty()).unwrap_or("nothing").to_owned();
    format!("was {}, is {}", show(before), show(after))
}

pub(super) fn list(names: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    names.into_iter().map(|name| format!("`{}`", name.as_ref())).collect::<Vec<_>>().join(", ")
}
