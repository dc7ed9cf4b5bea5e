//! Lists the fields that contain a secret and checks that every secret mark has an effect.

use std::collections::{BTreeMap, BTreeSet};

use syn::visit::Visit;
use syn::{Fields, Item};

use super::attributes::wire_name;
use super::uses::names;
use crate::generate::normalize::form::{Normalized, SecretPlace};
use crate::spec::schema::pascal;
use crate::{Error, Result};

/// Returns the fields that contain a secret, each as `Type.field`, where `field` is the field's
/// JSON name. A type without named fields is listed as `Type`.
pub(super) fn secret_fields(items: &[Item], normalized: &Normalized) -> BTreeSet<String> {
    let mut holders: BTreeSet<String> = normalized.secret_types.iter().map(|name| pascal(name)).collect();
    holders.extend(["Secret".to_owned(), "Authorization".to_owned()]);
    // A type without named fields is a secret if its content is a secret.
    let mut users: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for item in items {
        let (ident, contents) = match item {
            Item::Struct(item) if !matches!(item.fields, Fields::Named(_)) => {
                (&item.ident, names(|names| names.visit_fields(&item.fields)))
            }
            Item::Enum(item) => (&item.ident, names(|names| names.visit_item_enum(item))),
            _ => continue,
        };
        for name in contents {
            users.entry(name).or_default().push(ident.to_string());
        }
    }
    let mut secrets = BTreeSet::new();
    let mut queue: Vec<String> = holders.iter().cloned().collect();
    while let Some(name) = queue.pop() {
        for user in users.get(&name).into_iter().flatten() {
            holders.insert(user.clone());
            if secrets.insert(user.clone()) {
                queue.push(user.clone());
            }
        }
    }
    for item in items {
        let Item::Struct(item) = item else { continue };
        for field in &item.fields {
            let wire = field.ident.as_ref().and_then(|name| wire_name(field, name).ok());
            if let Some(wire) = wire
                && names(|names| names.visit_type(&field.ty)).iter().any(|name| holders.contains(name))
            {
                secrets.insert(format!("{}.{wire}", item.ident));
            }
        }
    }
    secrets
}

/// Checks that each marked property has a type that contains a secret (T4).
pub(super) fn check_secrets(secrets: &BTreeSet<String>, normalized: &Normalized) -> Result<()> {
    let lost = normalized
        .secrets
        .iter()
        .find(|place| matches!(place, SecretPlace::Property { .. }) && !secrets.contains(&place.to_string()));
    match lost {
        None => Ok(()),
        Some(place) => {
            Err(Error::new(format!("`{place}` is marked as a secret, but the generated code does not treat it as one"))
                .at(format!("/components/schemas/{}", place.to_string().replace('.', "/properties/")))
                .help("the mark may be in a schema where it has no effect: check the schema after normalization"))
        }
    }
}
