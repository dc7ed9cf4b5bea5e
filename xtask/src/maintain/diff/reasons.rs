//! Finds the reasons for changes whose cause is elsewhere in the document.
//!
//! Which traits a type implements depends on how the type is used. A type that an operation sends
//! implements `Serialize` and `Default`, and a type that an operation receives implements
//! `Deserialize`. If an operation receives a type, the type also allows more values: for example,
//! an enum becomes text. A change to one operation can therefore change a type that another
//! operation also uses.
//!
//! A schema is renamed if another schema in the document already has its name.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value;

use super::model::{Model, Operation};
use super::place::Place;
use super::tree::{Differences, EMPTY, Entry, Node, Versions};
use crate::generate::Generated;
use crate::generate::normalize::form::{self, Normalized};
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

/// Two versions of a document in which to find the reasons for changes.
pub(super) struct Causes<'a> {
    old: &'a Generated,
    new: &'a Generated,
    users: OnceCell<[Users; 2]>,
    written: OnceCell<[Written; 2]>,
}

impl<'a> Causes<'a> {
    pub(super) fn new(old: &'a Generated, new: &'a Generated) -> Self {
        Self { old, new, users: OnceCell::new(), written: OnceCell::new() }
    }

    /// For each added or removed trait implementation, adds a reason if the type exists in both
    /// versions and the type's uses have changed.
    pub(super) fn add_reasons(&self, interface: &mut [Difference]) {
        for item in interface {
            if let Some((ty, needed)) = implementation(&item.key) {
                item.reason = self.changed_use(&ty, needed, "this type");
            }
        }
    }

    /// Returns the reason for a change to a place that did not itself change in the document:
    /// another operation started or stopped receiving the place's type. A type allows more values
    /// in a response than in a request. `types` contains the types of the place and of its parents,
    /// starting with the innermost type.
    pub(super) fn of_use(&self, (old, new): (&Operation, &Operation), place: &Place, types: &[&str]) -> Option<String> {
        let reason = types.iter().find_map(|ty| self.changed_use(ty, Use::Received, &format!("the type `{ty}`")))?;
        let [before, after] = self.written();
        let (before, after) = (before.entries(&old.title, place)?, after.entries(&new.title, place)?);
        (before.last()?.fact == after.last()?.fact).then_some(reason)
    }

    /// Returns the reason for a changed type name at a place that did not itself change in the
    /// document: a schema elsewhere now has the old name or previously had the new name.
    pub(super) fn of_name(
        &self,
        (old, new): (&Operation, &Operation),
        place: &Place,
        names: [Option<&str>; 2],
    ) -> Option<String> {
        let reason = self.changed_name(names)?;
        let [before, after] = self.written();
        let (before, after) = (before.entries(&old.title, place)?, after.entries(&new.title, place)?);
        (old.id == new.id && self.is_unchanged(before, after)).then_some(reason)
    }

    /// Like [`Self::of_name`], but handles the name of the success type or the error type.
    /// `outcome` is the name of the fact that describes the type.
    pub(super) fn of_type(&self, old: &Operation, new: &Operation, outcome: &str) -> Option<String> {
        let names = [old, new].map(|operation| operation.type_names.get(outcome).map(String::as_str));
        let reason = self.changed_name(names)?;
        let [before, after] = self.written();
        let (before, after) = (before.outcome(&old.title, outcome)?, after.outcome(&new.title, outcome)?);
        let is_same_statuses = before.keys().eq(after.keys());
        let is_same =
            is_same_statuses && self.is_unchanged(before.into_values().collect(), after.into_values().collect());
        (old.id == new.id && is_same).then_some(reason)
    }

    /// Returns the reason for a changed type name if a schema elsewhere now has the old name or
    /// previously had the new name.
    fn changed_name(&self, names: [Option<&str>; 2]) -> Option<String> {
        let [Some(before), Some(after)] = names else { return None };
        if before == after {
            None
        } else if has_schema(&self.new.normalized, before) {
            Some(format!("another schema is now named `{before}`"))
        } else if has_schema(&self.old.normalized, after) {
            Some(format!("no other schema is named `{after}` any more"))
        } else {
            None
        }
    }

    /// Describes the change if the first operation started, or the last operation stopped, using a
    /// type as specified by `needed`. Returns `None` if the type itself is new or was removed,
    /// because then no change needs a reason.
    fn changed_use(&self, ty: &str, needed: Use, words: &str) -> Option<String> {
        let [old, new] = self.users.get_or_init(|| [users(&self.old.normalized), users(&self.new.normalized)]);
        let is_used =
            |users: &Users| [Use::Sent, Use::Received].iter().any(|by| users.contains_key(&(ty.to_owned(), *by)));
        if !is_used(old) || !is_used(new) {
            return None;
        }
        let key = (ty.to_owned(), needed);
        let (present, past) = match needed {
            Use::Sent => ("sends", "send"),
            Use::Received => ("receives", "receive"),
        };
        match (old.get(&key), new.get(&key)) {
            (None, Some(operations)) => operations.first().map(|first| match operations.len().saturating_sub(1) {
                0 => format!("`{first}` now {present} {words}"),
                1 => format!("`{first}` and another operation now {past} {words}"),
                others => format!("`{first}` and {others} other operations now {past} {words}"),
            }),
            (Some(_), None) => Some(format!("no operation {present} {words} any more")),
            _ => None,
        }
    }

    /// Returns whether the documents describe the same places with the same contents.
    fn is_unchanged(&self, old: Vec<&Entry>, new: Vec<&Entry>) -> bool {
        let [before, after] = self.written();
        let pairs = || old.iter().zip(&new).map(|(old, new)| Versions { old: Some(old), new: Some(new) });
        let differences = Differences::find(&before.nodes, &after.nodes, pairs());
        old.len() == new.len()
            && old.iter().zip(&new).all(|(old, new)| old.fact == new.fact)
            && !pairs().any(|versions| differences.is_inside(versions))
    }

    fn written(&self) -> &[Written; 2] {
        self.written.get_or_init(|| [Written::new(&self.old.prepared), Written::new(&self.new.prepared)])
    }
}

/// A corrected document before it was normalized. It shows whether a place itself changed.
struct Written {
    /// The parameters and bodies of each operation.
    operations: HashMap<String, BTreeMap<Place, Entry>>,
    nodes: Vec<Node>,
}

impl Written {
    fn new(document: &Value) -> Self {
        let Model { operations, nodes, .. } = Model::published(document);
        let places = |operation: Operation| {
            let parameters = operation.parameters.into_iter();
            let parameters = parameters.map(|(place, fact)| (place, Entry { fact, contents: EMPTY }));
            (operation.title, parameters.chain(operation.bodies).collect())
        };
        Self { operations: operations.into_iter().map(places).collect(), nodes }
    }

    /// Returns the body that contains a place, the places on the path to that place, and the place
    /// itself.
    fn entries(&self, title: &str, place: &Place) -> Option<Vec<&Entry>> {
        let places = self.operations.get(title)?;
        let mut entry = match place {
            Place::Response { statuses, .. } => response(places, statuses.first()?)?,
            _ => places.get(&place.within(Vec::new()))?,
        };
        let mut entries = vec![entry];
        for step in place.path().into_iter().flatten() {
            entry = self.nodes.get(entry.contents)?.children.get(step)?;
            entries.push(entry);
        }
        Some(entries)
    }

    /// Returns the bodies of an outcome.
    fn outcome(&self, title: &str, outcome: &str) -> Option<BTreeMap<&Place, &Entry>> {
        let places = self.operations.get(title)?.iter();
        Some(places.filter(|(place, _)| place.is_received() && place.outcome() == outcome).collect())
    }
}

/// Returns the response in `places` that describes a status from the normal form: the response for
/// the status itself, the response for its range, or the default response.
fn response<'a>(places: &'a BTreeMap<Place, Entry>, status: &str) -> Option<&'a Entry> {
    let range = status.chars().next().map(|first| format!("{first}XX"))?;
    [status, &range, "default"].into_iter().find_map(|wanted| {
        let is_wanted = |place: &Place| match place {
            Place::Response { statuses, .. } => statuses.iter().any(|status| status.eq_ignore_ascii_case(wanted)),
            _ => false,
        };
        places.iter().find(|(place, _)| is_wanted(place)).map(|(_, entry)| entry)
    })
}

/// Returns whether a schema in the normal form has this Rust name.
fn has_schema(normalized: &Normalized, name: &str) -> bool {
    let mut schemas = schema::object(&normalized.document, "/components/schemas").into_iter().flatten();
    schemas.any(|(other, _)| pascal(other) == name)
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

fn title(operation: &form::Operation) -> String {
    format!("{} {}", operation.method.to_uppercase(), operation.path)
}

/// Returns the schemas that the parameters and the body of a request refer to.
fn sent(normalized: &Normalized, operation: &form::Operation) -> Vec<String> {
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

fn received(operation: &form::Operation) -> Vec<String> {
    let bodies = [&operation.success, &operation.error].into_iter().flat_map(|outcome| &outcome.bodies);
    bodies.filter_map(|body| body.schema.clone()).collect()
}
