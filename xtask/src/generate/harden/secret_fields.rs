//! Lists the fields that contain a secret and checks that every secret mark has an effect.

use std::collections::BTreeSet;

use syn::visit::Visit;
use syn::{Fields, Item};

use super::attributes::wire_name;
use super::uses::{TypeNames, names};
use crate::generate::normalize::form::{Normalized, SecretPlace};
use crate::spec::schema::pascal;
use crate::{Error, Result};

/// Returns the fields that contain a secret, each as `Type.field`, where `field` is the field's
/// JSON name. A type without named fields is listed as `Type`.
pub(super) fn secret_fields(items: &[Item], normalized: &Normalized) -> BTreeSet<String> {
    let mut holders: BTreeSet<String> = normalized.secret_types.iter().map(|name| pascal(name)).collect();
    holders.extend(["Secret".to_owned(), "Authorization".to_owned()]);
    let contains_secret = |holders: &BTreeSet<String>, visit: &dyn Fn(&mut TypeNames)| {
        names(|names| visit(names)).iter().any(|name| holders.contains(name))
    };
    // A type without named fields is a secret if its content is a secret. The type of the content
    // may be defined later, so the search is repeated.
    let mut secrets = BTreeSet::new();
    for _ in items {
        for item in items {
            match item {
                Item::Struct(item)
                    if !matches!(item.fields, Fields::Named(_))
                        && contains_secret(&holders, &|names| names.visit_fields(&item.fields)) =>
                {
                    holders.insert(item.ident.to_string());
                    secrets.insert(item.ident.to_string());
                }
                Item::Enum(item) if contains_secret(&holders, &|names| names.visit_item_enum(item)) => {
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
            if let Some(wire) = wire
                && contains_secret(&holders, &|names| names.visit_type(&field.ty))
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
