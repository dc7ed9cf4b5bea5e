//! Finds the reasons for traits that a type gains or loses.
//!
//! The traits of a type depend on its uses. A type that an operation sends implements `Serialize`
//! and `Default`, and a type that an operation receives implements `Deserialize`. A change to one
//! operation can therefore change a type that another operation also uses.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::generate::normalize::form::{Normalized, Operation};
use crate::generate::public_api::Difference;
use crate::spec::schema::{self, pascal};

/// How an operation uses a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Use {
    Sent,
    Received,
}

/// The operations that use each type.
type Users = BTreeMap<(String, Use), Vec<String>>;

/// Adds a reason to each trait implementation that was added to an existing type or removed from a
/// type that still exists, if the type's uses have changed.
pub(super) fn add_reasons(interface: &mut [Difference], old: &Normalized, new: &Normalized) {
    if !interface.iter().any(|item| implementation(&item.key).is_some()) {
        return;
    }
    let (old, new) = (users(old), users(new));
    for item in interface {
        let Some((ty, needed)) = implementation(&item.key) else { continue };
        let is_used =
            |users: &Users| [Use::Sent, Use::Received].iter().any(|by| users.contains_key(&(ty.clone(), *by)));
        if !is_used(&old) || !is_used(&new) {
            continue;
        }
        let key = (ty.clone(), needed);
        let (present, past) = match needed {
            Use::Sent => ("sends", "send"),
            Use::Received => ("receives", "receive"),
        };
        item.reason = match (old.get(&key), new.get(&key)) {
            (None, Some(operations)) => operations.first().map(|first| match operations.len().saturating_sub(1) {
                0 => format!("`{first}` now {present} this type"),
                1 => format!("`{first}` and another operation now {past} this type"),
                others => format!("`{first}` and {others} other operations now {past} this type"),
            }),
            (Some(_), None) => Some(format!("no operation {present} this type any more")),
            _ => None,
        };
    }
}

/// Returns the type in the key of a trait implementation, and the use that the trait depends on.
fn implementation(key: &str) -> Option<(String, Use)> {
    let (name, ty) = key.strip_prefix("impl ")?.split_once(" for types::")?;
    let name = name.split('<').next()?.rsplit("::").next()?;
    match name {
        "Serialize" | "Default" => Some((ty.to_owned(), Use::Sent)),
        "Deserialize" => Some((ty.to_owned(), Use::Received)),
        _ => None,
    }
}

fn users(normalized: &Normalized) -> Users {
    let mut users = Users::new();
    for operation in &normalized.operations {
        let title = title(operation);
        for (by, roots) in [(Use::Sent, sent(normalized, operation)), (Use::Received, received(operation))] {
            let types: BTreeSet<String> =
                schema::reachable(&normalized.document, roots).iter().map(|name| pascal(name)).collect();
            for ty in types {
                users.entry((ty, by)).or_default().push(title.clone());
            }
        }
    }
    users
}

fn title(operation: &Operation) -> String {
    format!("{} {}", operation.method.to_uppercase(), operation.path)
}

/// Returns the schemas that the parameters and the body of a request refer to.
fn sent(normalized: &Normalized, operation: &Operation) -> Vec<String> {
    let described = normalized.document.pointer(&operation.pointer).unwrap_or(&Value::Null);
    let parameters = described.get("parameters").and_then(Value::as_array).into_iter().flatten();
    let content = described.pointer("/requestBody/content").and_then(Value::as_object).into_iter().flatten();
    let mut names = Vec::new();
    for holder in parameters.chain(content.map(|(_, media)| media)) {
        if let Some(schema) = holder.get("schema") {
            schema::references(schema, &mut names);
        }
    }
    names
}

fn received(operation: &Operation) -> Vec<String> {
    let bodies = [&operation.success, &operation.error].into_iter().flat_map(|outcome| &outcome.bodies);
    bodies.filter_map(|body| body.schema.clone()).collect()
}
