//! Renames properties whose names cannot all become fields of one struct.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::spec::schema::{self, RUST_NAME_KEY, field, pascal};

/// The wire names of renamed properties, keyed by the schema's Rust name and the property's name in
/// the normal form.
pub type WireNames = BTreeMap<(String, String), String>;

/// Renames each property of a named schema if the property's Rust name is set explicitly, is used
/// by the generated code, or is also the Rust name of another property. Returns the wire names of
/// the renamed properties.
pub(super) fn rename_properties(document: &mut Value) -> WireNames {
    let mut wire_names = WireNames::new();
    let schemas = document.pointer_mut("/components/schemas").and_then(Value::as_object_mut);
    for (name, schema) in schemas.into_iter().flatten() {
        for (wire, new) in rename_in(schema) {
            wire_names.insert((pascal(name), new), wire);
        }
    }
    wire_names
}

/// Renames the properties of one schema. Returns each renamed property with its new name.
fn rename_in(schema: &mut Value) -> Vec<(String, String)> {
    let is_open = schema.get("additionalProperties").is_some_and(|more| *more != Value::Bool(false));
    let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) else { return Vec::new() };
    let reserved: &[&str] = if is_open { &["new", "extra"] } else { &["new"] };
    let mut wanted: BTreeMap<String, String> = BTreeMap::new();
    for (name, property) in properties.iter_mut() {
        let own = property.as_object_mut().and_then(|property| property.shift_remove(RUST_NAME_KEY));
        let own = own.as_ref().and_then(Value::as_str).map(field);
        wanted.extend(own.or_else(|| spelled(name)).map(|own| (name.clone(), own)));
    }
    let mut taken: BTreeSet<String> = reserved.iter().map(|name| (*name).to_owned()).collect();
    let mut chosen = BTreeMap::new();
    // Explicitly chosen names come first. Otherwise, earlier properties take precedence over later
    // ones, so that adding a property at the end does not rename any other property.
    let (on_purpose, others): (Vec<&String>, Vec<&String>) =
        properties.keys().partition(|name| wanted.contains_key(*name));
    for name in on_purpose.into_iter().chain(others) {
        let plain = wanted.get(name).cloned().unwrap_or_else(|| field(name));
        let suffixed = (2_u32..).map(|number| format!("{plain}_{number}"));
        let mut candidates = [plain.clone(), format!("{plain}_field")].into_iter().chain(suffixed);
        let Some(new) = candidates.find(|new| taken.insert(new.clone())) else { continue };
        if wanted.contains_key(name) || new != plain {
            chosen.insert(name.clone(), new);
        }
    }
    let renamed = std::mem::take(properties).into_iter().map(|(name, property)| {
        let name = chosen.get(&name).cloned().unwrap_or(name);
        (name, property)
    });
    *properties = renamed.collect::<Map<_, _>>();
    for required in schema.get_mut("required").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(new) = required.as_str().and_then(|name| chosen.get(name)) {
            *required = new.as_str().into();
        }
    }
    chosen.into_iter().filter(|(wire, new)| wire != new).collect()
}

/// Spells out the sign in a name such as `+1`, because only the sign distinguishes `+1` from `-1`.
fn spelled(name: &str) -> Option<String> {
    let (sign, rest) = match (name.strip_prefix('+'), name.strip_prefix('-')) {
        (Some(rest), _) => ("plus", rest),
        (_, Some(rest)) => ("minus", rest),
        _ => return None,
    };
    rest.starts_with(|c: char| c.is_ascii_digit()).then(|| schema::field(&format!("{sign}_{rest}")))
}
