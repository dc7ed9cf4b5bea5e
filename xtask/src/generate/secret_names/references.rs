//! Finds the names of the fields that refer to each named schema.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::spec::schema;

/// For each named schema, returns the names of the fields that refer to it directly or through a
/// list or an alternative.
pub(super) fn references(document: &Value) -> BTreeMap<String, Vec<String>> {
    let mut references = BTreeMap::new();
    collect_references(document, None, &mut references);
    references
}

fn collect_references(value: &Value, name: Option<&str>, references: &mut BTreeMap<String, Vec<String>>) {
    if let Some(target) = schema::referenced(value)
        && let Some(name) = name
    {
        references.entry(target.to_owned()).or_default().push(name.to_owned());
    }
    let parameter = value.get("in").and_then(|_| value.get("name")?.as_str());
    match value {
        Value::Object(object) => {
            for (key, child) in object {
                match child.as_object().filter(|_| key == "properties") {
                    Some(properties) => {
                        for (name, property) in properties {
                            collect_references(property, Some(name), references);
                        }
                    }
                    None => collect_references(child, parameter.or(name), references),
                }
            }
        }
        Value::Array(array) => array.iter().for_each(|child| collect_references(child, name, references)),
        _ => {}
    }
}
