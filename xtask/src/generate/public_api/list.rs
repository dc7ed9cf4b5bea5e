//! Defines the list of public items and compares it with a newer list.

use std::collections::{BTreeMap, HashSet};
use std::fmt;

use super::difference::Difference;

/// The public items in a file or crate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PublicApi(pub(super) BTreeMap<String, Entry>);

/// A public item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// The declaration without argument names. If the declaration changes, dependent crates may
    /// fail to compile.
    pub(super) signature: String,
    /// The declaration with argument names, as it appears in the list.
    pub(super) text: String,
    /// The names of the arguments. Renaming an argument is not a breaking change, but swapping two
    /// arguments changes the meaning of a call.
    pub(super) arguments: Vec<String>,
}

impl PublicApi {
    /// Compares this list with a newer one. Returns the differences, sorted by name.
    pub fn differences(&self, newer: &Self) -> Vec<Difference> {
        let mut keys: Vec<&String> = self.0.keys().chain(newer.0.keys()).collect();
        keys.sort();
        keys.dedup();
        let difference = |key: &String| {
            let (old, new) = (self.0.get(key), newer.0.get(key));
            let is_same = match (old, new) {
                (Some(old), Some(new)) => {
                    old.signature == new.signature && !is_shuffled(&old.arguments, &new.arguments)
                }
                _ => false,
            };
            let text = |entry: Option<&Entry>| entry.map(|entry| entry.text.clone());
            (!is_same).then(|| Difference { key: key.clone(), old: text(old), new: text(new), reason: None })
        };
        // A type can derive a trait in one version and implement it by hand in the other.
        let (old, new) = (self.implementations(), newer.implementations());
        let is_kept = |key: &String| implementation(key).is_some_and(|own| old.contains(&own) && new.contains(&own));
        keys.into_iter().filter(|key| !is_kept(key)).filter_map(difference).collect()
    }

    fn implementations(&self) -> HashSet<(&str, &str)> {
        self.0.keys().filter_map(|key| implementation(key)).collect()
    }

    /// Adds a line that consists of `key`, followed by `rest` if `rest` is not empty.
    pub(super) fn add_line(&mut self, key: String, rest: &str) {
        let text = if rest.is_empty() { key.clone() } else { format!("{key}: {rest}") };
        self.0.insert(key, Entry { signature: text.clone(), text, arguments: Vec::new() });
    }
}

impl fmt::Display for PublicApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.values().try_for_each(|entry| writeln!(f, "{}", entry.text))
    }
}

/// Returns the trait and the type of an implementation. Some traits from the standard library are
/// written without their path, so the path is ignored.
fn implementation(key: &str) -> Option<(&str, &str)> {
    let (name, ty) = key.strip_prefix("impl ")?.split_once(" for ")?;
    let path = name.split('<').next().filter(|path| path.starts_with("std::"));
    let start = path.and_then(|path| path.rfind("::")).map_or(0, |end| end.saturating_add(2));
    Some((name.get(start..)?, ty))
}

/// Returns whether `new` contains the same arguments as `old`, but in a different order.
fn is_shuffled(old: &[String], new: &[String]) -> bool {
    let sorted = |names: &[String]| {
        let mut names = names.to_vec();
        names.sort();
        names
    };
    old != new && sorted(old) == sorted(new)
}
