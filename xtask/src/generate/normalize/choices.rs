//! Finds the choices in responses. A choice is a schema whose values each match one of several
//! other schemas.
//!
//! typify represents a choice as an untagged enum, which fails on a new alternative. The enum in
//! the generated code keeps a value that matches no known alternative.

use std::collections::{BTreeMap, BTreeSet};

use heck::{ToKebabCase as _, ToLowerCamelCase as _, ToShoutySnakeCase as _, ToSnakeCase as _};
use serde_json::{Value, json};

use super::form::{Choice, ChoiceVariant, Discriminator};
use super::merge::TARGET_KEY;
use super::names::{NameIndex, Names};
use crate::spec::schema::{self, CHOICE_KEY, SCHEMAS, is_type_name, pascal, reference};

/// The key under which a choice names the schema for values that match no known alternative.
const BASE_KEY: &str = "x-xtask-base";

/// Converts each named schema with a discriminator to a choice between the schemas that extend it,
/// if there are any. Without this conversion, the properties of the extending schemas would be
/// lost.
pub(super) fn split_bases(document: &mut Value, extensions: &BTreeMap<String, Vec<String>>) {
    for (base, extensions) in extensions {
        let Some(schema) = schema::named(document, base).cloned() else { continue };
        let Some(discriminator) = schema.get("discriminator").cloned() else { continue };
        let mut own = schema;
        own.as_object_mut().map(|own| own.shift_remove("discriminator"));
        let taken = |name: &String| schema::named(document, name).is_some();
        let mut names = std::iter::once(format!("{base}Base")).chain((2_u32..).map(|n| format!("{base}Base{n}")));
        let Some(base_name) = names.find(|name| !taken(name)) else { continue };
        let mut targets: Vec<String> = mapping(&discriminator).into_iter().map(|(_, target)| target).collect();
        targets.extend(extensions.iter().cloned());
        let mut seen = BTreeSet::from([base.clone()]);
        targets.retain(|target| taken(target) && seen.insert(target.clone()));
        let alternatives: Vec<Value> = targets.iter().map(|target| reference(target)).collect();
        let description = own.get("description").cloned();
        let mut choice = json!({"oneOf": alternatives, "discriminator": discriminator, BASE_KEY: base_name});
        if let (Some(choice), Some(description)) = (choice.as_object_mut(), description) {
            choice.insert("description".into(), description);
        }
        // An extension that adds nothing is a reference to the base. After the replacement, that
        // reference would lead to the choice itself.
        for target in &targets {
            if schema::named(document, target).and_then(schema::referenced) == Some(base) {
                schema::insert(document, target, own.clone());
            }
        }
        schema::insert(document, &base_name, own);
        schema::insert(document, base, choice);
    }
}

/// Returns the schemas that extend each schema with a discriminator, keyed by the name of the
/// extended schema. Must be called before the parts of an `allOf` are merged.
pub(super) fn extensions(document: &Value) -> BTreeMap<String, Vec<String>> {
    let is_base = |schema: &Value| schema.get("discriminator").is_some() && !schema::is_choice(schema);
    let schemas = schema::object(document, "/components/schemas").into_iter().flatten();
    let bases = schemas.filter(|(_, schema)| is_base(schema));
    let extensions = bases.map(|(name, _)| (name.clone(), schema::extensions(document, name)));
    extensions.filter(|(_, extensions)| !extensions.is_empty()).collect()
}

/// Replaces each choice that a response contains, and each choice that [`split_bases`] created,
/// with a placeholder. Returns the choices, keyed by schema name.
pub(super) fn take_choices(
    document: &mut Value,
    index: &mut NameIndex,
    replies: BTreeSet<String>,
) -> BTreeMap<String, Choice> {
    let schemas = schema::object(document, "/components/schemas").into_iter().flatten();
    let names = schemas.filter(|(name, schema)| {
        schema::is_choice(schema) && (replies.contains(*name) || schema.get(BASE_KEY).is_some())
    });
    let names: Vec<String> = names.map(|(name, _)| name.clone()).collect();
    let mut choices = BTreeMap::new();
    for name in names {
        if let Some(choice) = take_choice(document, index, &name) {
            choices.insert(name, choice);
        }
    }
    choices
}

fn take_choice(document: &mut Value, index: &mut NameIndex, name: &str) -> Option<Choice> {
    let schema = schema::named(document, name)?.clone();
    let other = ["allOf", "additionalProperties", "enum", "items", "properties", "required"];
    if schema.as_object()?.keys().any(|key| other.contains(&key.as_str())) {
        return None; // The lint reports it.
    }
    let origin = index.origins.get(name);
    let at =
        origin.map_or_else(|| format!("/components/schemas/{}", schema::escape(name)), |origin| origin.pointer.clone());
    let operation = origin.and_then(|origin| origin.operation.clone());
    let mut names = Names { document, operation, index };
    let mut variants: Vec<ChoiceVariant> = Vec::new();
    let mut references = Vec::new();
    for key in ["oneOf", "anyOf"] {
        let parts = schema.get(key).and_then(Value::as_array);
        for (number, part) in parts.into_iter().flatten().enumerate() {
            let mut part = part.clone();
            let wanted = format!("{}Option{}", pascal(name), number.saturating_add(1));
            let target = names.name(&mut part, &wanted, format!("{at}/{key}/{number}"));
            // The variant is named after the schema that the document refers to.
            let documented = take_target(names.document, &target).unwrap_or_else(|| target.clone());
            if variants.iter().all(|other| other.schema != target) {
                let variant = variant_name(&variants, name, &documented);
                variants.push(ChoiceVariant { name: variant, schema: target, documented });
                references.push(part);
            }
        }
    }
    let discriminator = schema.get("discriminator").and_then(|discriminator| {
        let property = discriminator.get("propertyName")?.as_str()?.to_owned();
        let mapped = mapping(discriminator);
        let is_mapped = |name: &String| mapped.iter().any(|(_, target)| target == name);
        // Without a mapping, the discriminator's value is the schema name. Servers often write the
        // name in a different letter case.
        let implicit = variants.iter().map(|variant| &variant.documented).filter(|name| !is_mapped(name));
        let implicit = implicit.flat_map(|name| spellings(name).map(|tag| (tag, name.clone())));
        let mut seen = BTreeSet::new();
        let tags = mapped.iter().cloned().chain(implicit).filter_map(|(tag, target)| {
            let variant = variants.iter().find(|variant| variant.documented == target)?;
            Some((tag, variant.schema.clone()))
        });
        Some(Discriminator { property, tags: tags.filter(|(tag, _)| seen.insert(tag.clone())).collect() })
    });
    let base = schema.get(BASE_KEY).and_then(Value::as_str).map(str::to_owned);
    if let Some(base) = &base {
        references.push(reference(base));
        let variant = variant_name(&variants, "", "Base");
        variants.push(ChoiceVariant { name: variant, schema: base.clone(), documented: base.clone() });
    }
    // The references keep the alternatives reachable. `harden` generates the type.
    let mut placeholder = json!({"type": "object", CHOICE_KEY: references});
    if let (Some(placeholder), Some(description)) = (placeholder.as_object_mut(), schema.get("description")) {
        placeholder.insert("description".into(), description.clone());
    }
    schema::insert(document, name, placeholder);
    Some(Choice { variants, discriminator, base })
}

/// Removes and returns the name of the schema that an alternative referred to.
fn take_target(document: &mut Value, name: &str) -> Option<String> {
    let schema = document.pointer_mut("/components/schemas")?.get_mut(name)?.as_object_mut()?;
    schema.shift_remove(TARGET_KEY)?.as_str().map(str::to_owned)
}

/// Returns the name of the variant for a schema, without the name of the choice.
fn variant_name(variants: &[ChoiceVariant], choice: &str, schema: &str) -> String {
    let name = pascal(schema);
    let short = name.strip_prefix(&pascal(choice)).filter(|short| is_type_name(short)).unwrap_or(&name);
    let is_free = |name: &String| name != "Other" && variants.iter().all(|variant| variant.name != *name);
    let mut names = std::iter::once(short.to_owned()).chain((2_u32..).map(|number| format!("{short}{number}")));
    names.find(is_free).unwrap_or_else(|| short.to_owned())
}

/// Returns a schema's name in each common letter case.
fn spellings(name: &str) -> [String; 6] {
    [
        name.to_owned(),
        name.to_snake_case(),
        name.to_kebab_case(),
        name.to_lower_camel_case(),
        name.to_shouty_snake_case(),
        name.to_lowercase(),
    ]
}

/// Returns the values of a discriminator, each with the name of the schema that the value selects.
fn mapping(discriminator: &Value) -> Vec<(String, String)> {
    let mapping = discriminator.get("mapping").and_then(Value::as_object).into_iter().flatten();
    let pairs = mapping.filter_map(|(value, target)| {
        let target = target.as_str()?;
        Some((value.clone(), target.strip_prefix(SCHEMAS).unwrap_or(target).to_owned()))
    });
    pairs.collect()
}
