//! Renames schemas whose names cannot be used in Rust.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::generate::lint::fits_core_type;
use crate::generate::progenitor::CORE_TYPES;
use crate::spec::schema::{self, RUST_NAME_KEY, SCHEMAS, escape, is_type_name, pascal};

/// Renames each schema whose Rust name is set, whose name cannot become a Rust type name, or whose
/// name becomes the same type name as the name of an earlier schema. Returns the original names of
/// the renamed schemas, keyed by their new names.
pub(super) fn rename_schemas(document: &mut Value) -> BTreeMap<String, String> {
    let names = new_names(document);
    if names.is_empty() {
        return BTreeMap::new();
    }
    if let Some(schemas) = document.pointer_mut("/components/schemas").and_then(Value::as_object_mut) {
        let renamed = std::mem::take(schemas).into_iter().map(|(name, schema)| {
            let name = names.get(&name).cloned().unwrap_or(name);
            (name, schema)
        });
        *schemas = renamed.collect::<Map<_, _>>();
    }
    rewrite_references(document, &names);
    names.into_iter().map(|(original, name)| (name, original)).collect()
}

/// Returns the new name of each schema that is renamed.
fn new_names(document: &Value) -> BTreeMap<String, String> {
    let schemas: Vec<(&String, &Value)> =
        schema::object(document, "/components/schemas").into_iter().flatten().collect();
    // Unchanged names take precedence, so that adding a schema does not rename any other schema.
    let mut taken: BTreeSet<String> = BTreeSet::new();
    let mut unusable = Vec::new();
    let mut names = BTreeMap::new();
    for (name, schema) in schemas {
        let own = schema.get(RUST_NAME_KEY).and_then(Value::as_str).filter(|own| is_type_name(own));
        match own {
            Some(own) if taken.insert(pascal(own)) => drop(names.insert(name.clone(), pascal(own))),
            None if is_usable(name) && fits_core_type(name, schema) && taken.insert(pascal(name)) => {}
            _ => unusable.push(name),
        }
    }
    for name in unusable {
        let base = [pascal(name), format!("{}Schema", pascal(name)), format!("Schema{}", pascal(name))];
        let mut numbered = (2_u32..).map(|number| format!("Schema{}{number}", pascal(name)));
        let is_free = |new: &String| is_type_name(new) && !taken.contains(new) && !is_core_type(new);
        let new = base.into_iter().find(is_free);
        if let Some(new) = new.or_else(|| numbered.find(|new| !taken.contains(new))) {
            taken.insert(new.clone());
            names.insert(name.clone(), new);
        }
    }
    names
}

/// Returns whether a schema's name can be used for a Rust type and needs no escaping in a
/// reference.
fn is_usable(name: &str) -> bool {
    is_type_name(name) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

/// Returns whether a schema with this name is replaced by a `flinks-core` type.
fn is_core_type(name: &str) -> bool {
    CORE_TYPES.iter().any(|(core, _)| *core == name)
}

/// Rewrites all references to renamed schemas.
fn rewrite_references(value: &mut Value, names: &BTreeMap<String, String>) {
    let rewritten = |target: &str| {
        let rest = target.strip_prefix(SCHEMAS)?;
        let (name, rest) = rest.find('/').map_or((rest, ""), |end| rest.split_at(end));
        Some(format!("{SCHEMAS}{}{rest}", escape(names.get(&schema::unescape(name))?)))
    };
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                if key == "discriminator" {
                    for (_, target) in value.get_mut("mapping").and_then(Value::as_object_mut).into_iter().flatten() {
                        let new = target.as_str().and_then(|text| rewritten(text).or_else(|| names.get(text).cloned()));
                        if let Some(new) = new {
                            *target = new.into();
                        }
                    }
                }
                match value.as_str().filter(|_| key == "$ref") {
                    Some(target) => {
                        if let Some(new) = rewritten(target) {
                            *value = new.into();
                        }
                    }
                    None => rewrite_references(value, names),
                }
            }
        }
        Value::Array(array) => array.iter_mut().for_each(|value| rewrite_references(value, names)),
        _ => {}
    }
}
