//! Finds everything in a document that prevents code generation.
//!
//! [`generate`] reports the problems from the first stage that fails. This module sets aside the
//! operations with these problems and continues with the other operations until code can be
//! generated from the rest of the document.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::output::Header;
use super::{SecretNames, generate, prepare, secret_names};
use crate::Error;
use crate::spec::schema::{self, Place, operation_name};

/// Everything in a document that prevents code generation.
#[derive(Debug)]
pub struct Refusals {
    /// The number of operations in the document.
    pub operations: usize,
    /// The number of operations for which code can be generated.
    pub accepted: usize,
    /// The problems, ordered by stage.
    pub errors: Vec<Error>,
    /// The fields that look like secrets.
    pub suspects: Vec<Error>,
}

/// Finds all problems in a document.
pub fn refusals(document: &Value, header: &Header<'_>) -> Refusals {
    let operations = schema::operations(document).len();
    let suspects = suspects(document);
    let mut errors: Vec<Error> = Vec::new();
    let mut rest = document.clone();
    while let Err(error) = generate(rest.clone(), header, SecretNames::Unchecked) {
        let found = error.split();
        let refused = refused_operations(&rest, &found);
        errors.extend(found);
        if refused.is_empty() {
            return Refusals { operations, accepted: 0, errors, suspects };
        }
        for place in &refused {
            remove(&mut rest, place);
        }
        if schema::operations(&rest).is_empty() {
            break;
        }
    }
    Refusals { operations, accepted: schema::operations(&rest).len(), errors, suspects }
}

/// Returns the fields that look like secrets, and the exemptions that have no effect.
pub(crate) fn suspects(document: &Value) -> Vec<Error> {
    let prepared = prepare::prepare(document.clone());
    let errors = secret_names::check(&prepared.document).err().map(Error::split).unwrap_or_default();
    errors.into_iter().map(|error| prepared.original(error)).collect()
}

/// Returns the operations that the errors concern.
fn refused_operations(document: &Value, errors: &[Error]) -> Vec<Place> {
    let scope = Scope::of(document);
    let places = schema::operations(document).into_iter();
    places.filter(|place| errors.iter().any(|error| scope.contains(place, error))).collect()
}

/// The parts of a document that belong to each operation.
pub(crate) struct Scope<'a> {
    document: &'a Value,
    /// The components that each operation uses, keyed by the operation's pointer.
    components: BTreeMap<String, BTreeSet<String>>,
}

impl<'a> Scope<'a> {
    pub(crate) fn of(document: &'a Value) -> Self {
        Self { document, components: prepare::reach(document) }
    }

    /// Returns whether an error concerns an operation, a part that the operation shares with the
    /// other operations on its path, or a component that the operation uses.
    pub(crate) fn contains(&self, place: &Place, error: &Error) -> bool {
        let pointer = error.pointer().unwrap_or_default();
        let own = place.pointer();
        let operation = self.document.pointer(&own).unwrap_or(&Value::Null);
        let is_inside = |outer: &str| pointer == outer || pointer.starts_with(&format!("{outer}/"));
        if is_inside(&own) || error.operation() == Some(operation_name(operation, place).as_str()) {
            return true;
        }
        if is_inside(&place.path_pointer()) {
            let step = pointer.get(place.path_pointer().len().saturating_add(1)..).unwrap_or_default();
            return !schema::METHODS.contains(&step.split('/').next().unwrap_or_default());
        }
        let mut components = self.components.get(&own).into_iter().flatten();
        error.operation().is_none() && components.any(|component| is_inside(&format!("/components{component}")))
    }
}

fn remove(document: &mut Value, place: &Place) {
    let item = document.pointer_mut(&place.path_pointer()).and_then(Value::as_object_mut);
    if let Some(item) = item {
        item.shift_remove(place.method);
    }
}
