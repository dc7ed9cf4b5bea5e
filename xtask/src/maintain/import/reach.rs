//! Which operations use which components.

use std::collections::BTreeSet;

use serde_json::Value;

use super::parts::pointer;
use crate::spec::schema;

/// Which operations use which components.
pub(super) struct Reach(Vec<(String, BTreeSet<(String, String)>)>);

impl Reach {
    /// That of all operations; of none, where no component changes.
    pub(super) fn of(document: &Value, changes: &[Vec<String>]) -> Self {
        let is_asked = changes.iter().any(|path| path.first().is_some_and(|key| key == "components"));
        let places = schema::operations(document).into_iter().filter(|_| is_asked);
        let reach = |place: schema::Place| {
            let mut queue = vec![document.pointer(&place.pointer()), document.pointer(&place.path_pointer())];
            let mut seen = BTreeSet::new();
            while let Some(value) = queue.pop() {
                let mut names = Vec::new();
                value.into_iter().for_each(|value| component_names(value, &mut names));
                for (kind, name) in names {
                    let component = document.pointer(&pointer(&["components", &kind, &name]));
                    if seen.insert((kind, name)) {
                        queue.push(component);
                    }
                }
            }
            (place.title(), seen)
        };
        Self(places.map(reach).collect())
    }

    /// The operations of earlier imports that a part describes too.
    pub(super) fn others(&self, path: &[String], arrived: &BTreeSet<String>) -> String {
        let [_, kind, name] = path else { return String::new() };
        let key = (kind.clone(), name.clone());
        let others = self.0.iter().filter(|(title, seen)| seen.contains(&key) && !arrived.contains(title));
        let others: Vec<&str> = others.map(|(title, _)| title.as_str()).collect();
        match others.is_empty() {
            true => String::new(),
            false => format!(", which describes {} too: look at its page", others.join(", ")),
        }
    }
}

/// The components that a value refers to, by kind and name.
fn component_names(value: &Value, names: &mut Vec<(String, String)>) {
    match value {
        Value::Object(object) => {
            let target = object.get("$ref").and_then(Value::as_str).and_then(|text| text.strip_prefix("#/components/"));
            if let Some((kind, name)) = target.and_then(|target| target.split_once('/')) {
                names.push((schema::unescape(kind), schema::unescape(name)));
            }
            object.values().for_each(|value| component_names(value, names));
        }
        Value::Array(array) => array.iter().for_each(|value| component_names(value, names)),
        _ => {}
    }
}
