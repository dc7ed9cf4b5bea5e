//! Removes components that no operation uses.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::spec::schema::{self, METHODS};

/// Removes the components that no operation uses. Without this pass, a broken schema that nothing
/// refers to would have to be corrected.
pub(super) fn remove_unused(document: &mut Value) {
    let mut roots = BTreeSet::new();
    for (_, item) in schema::object(document, "/paths").into_iter().flatten() {
        let parts = item.as_object().into_iter().flatten();
        parts
            .filter(|(key, _)| METHODS.contains(&key.as_str()) || *key == "parameters")
            .for_each(|(_, part)| add_targets(part, &mut roots));
    }
    let used = closure(document, &children_by_base(document), roots);
    let components = document.get_mut("components").and_then(Value::as_object_mut);
    for (kind, components) in components.into_iter().flatten().filter(|(kind, _)| *kind != "securitySchemes") {
        if let Some(components) = components.as_object_mut() {
            components.retain(|name, _| used.contains(&format!("/{kind}/{}", schema::escape(name))));
        }
    }
}

/// Returns the components that each operation uses, keyed by the operation's pointer. Each
/// component is given as a pointer relative to `components`.
pub(crate) fn reach(document: &Value) -> BTreeMap<String, BTreeSet<String>> {
    let children = children_by_base(document);
    let places = schema::operations(document).into_iter();
    let reach = places.map(|place| {
        let mut roots = BTreeSet::new();
        for pointer in [place.pointer(), format!("{}/parameters", place.path_pointer())] {
            document.pointer(&pointer).into_iter().for_each(|part| add_targets(part, &mut roots));
        }
        (place.pointer(), closure(document, &children, roots))
    });
    reach.collect()
}

/// Returns the given components and all components that they use.
fn closure(
    document: &Value,
    children: &BTreeMap<String, Vec<String>>,
    mut queue: BTreeSet<String>,
) -> BTreeSet<String> {
    let mut used = BTreeSet::new();
    while let Some(pointer) = queue.pop_first() {
        if let Some(component) = document.pointer(&format!("/components{pointer}"))
            && used.insert(pointer.clone())
        {
            add_targets(component, &mut queue);
            queue.extend(children.get(&pointer).into_iter().flatten().cloned());
        }
    }
    used
}

/// Adds to `targets` the pointer of each component that a part of a document refers to. The
/// pointers are relative to `components`.
fn add_targets(value: &Value, targets: &mut BTreeSet<String>) {
    let component = |target: &str| {
        // A reference into a component, such as to one of its properties, uses the component.
        let path = target.strip_prefix("#/components/")?;
        let (kind, rest) = path.split_once('/')?;
        Some(format!("/{kind}/{}", rest.split('/').next().unwrap_or_default()))
    };
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                if key == "discriminator" {
                    let mapping = value.get("mapping").and_then(Value::as_object).into_iter().flatten();
                    for target in mapping.filter_map(|(_, target)| target.as_str()) {
                        let by_name = || Some(format!("/schemas/{}", schema::escape(target)));
                        targets.extend(component(target).or_else(by_name));
                    }
                }
                match value.as_str().filter(|_| key == "$ref") {
                    Some(target) => targets.extend(component(target)),
                    None => add_targets(value, targets),
                }
            }
        }
        Value::Array(array) => array.iter().for_each(|value| add_targets(value, targets)),
        _ => {}
    }
}

/// Returns the schemas that extend each schema with a discriminator, keyed by the extended schema.
/// All schemas are given as pointers relative to `components`. A response can contain any of the
/// extending schemas, even if nothing refers to them.
fn children_by_base(document: &Value) -> BTreeMap<String, Vec<String>> {
    let pointer = |name: &str| format!("/schemas/{}", schema::escape(name));
    let schemas = schema::object(document, "/components/schemas").into_iter().flatten();
    let bases = schemas.filter(|(_, schema)| schema.get("discriminator").is_some());
    let children = bases.map(|(name, _)| {
        let children = schema::extensions(document, name);
        (pointer(name), children.iter().map(|child| pointer(child)).collect())
    });
    children.collect()
}
