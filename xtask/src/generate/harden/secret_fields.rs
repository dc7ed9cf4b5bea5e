//! The fields that hold a secret, and the check that every mark had its effect.

use std::collections::BTreeSet;

use syn::visit::Visit;
use syn::{Fields, Item};

use super::attributes::wire_name;
use super::uses::{TypeNames, names};
use crate::generate::normalize::form::{Normalized, SecretPlace};
use crate::spec::schema::pascal;
use crate::{Error, Result};

/// Every field that holds a secret, as `Type.field` with the field's name on the wire; `Type` alone where it has no
/// fields with names.
pub(super) fn secret_fields(items: &[Item], normalized: &Normalized) -> BTreeSet<String> {
    let mut holders: BTreeSet<String> = normalized.secret_types.iter().map(|name| pascal(name)).collect();
    holders.extend(["Secret".to_owned(), "Authorization".to_owned()]);
    let holds = |holders: &BTreeSet<String>, visit: &dyn Fn(&mut TypeNames)| {
        names(|names| visit(names)).iter().any(|name| holders.contains(name))
    };
    // Types without field names pass on what they hold; what they hold may come later.
    let mut secrets = BTreeSet::new();
    for _ in items {
        for item in items {
            match item {
                Item::Struct(item)
                    if !matches!(item.fields, Fields::Named(_))
                        && holds(&holders, &|names| names.visit_fields(&item.fields)) =>
                {
                    holders.insert(item.ident.to_string());
                    secrets.insert(item.ident.to_string());
                }
                Item::Enum(item) if holds(&holders, &|names| names.visit_item_enum(item)) => {
                    holders.insert(item.ident.to_string());
                    secrets.insert(item.ident.to_string());
                }
                _ => {}
            }
        }
    }
    for item in items {
        let Item::Struct(item) = item else { continue };
        for field in &item.fields {
            let wire = field.ident.as_ref().and_then(|name| wire_name(field, name).ok());
            if let Some(wire) = wire.filter(|_| holds(&holders, &|names| names.visit_type(&field.ty))) {
                secrets.insert(format!("{}.{wire}", item.ident));
            }
        }
    }
    secrets
}

/// Every mark must have had its effect: a property that is marked has a type that holds a secret (T4).
pub(super) fn check_secrets(secrets: &BTreeSet<String>, normalized: &Normalized) -> Result<()> {
    let lost = normalized
        .secrets
        .iter()
        .find(|place| matches!(place, SecretPlace::Property { .. }) && !secrets.contains(&place.to_string()));
    match lost {
        None => Ok(()),
        Some(place) => {
            Err(Error::new(format!("`{place}` is marked as a secret, but is not a secret in the generated code"))
                .at(format!("/components/schemas/{}", place.to_string().replace('.', "/properties/")))
                .help("the schema may be one that the mark cannot stand in: look at it after normalization"))
        }
    }
}
