//! Which breaks of the interface the changes tell. What is left must be told too.

use std::collections::BTreeSet;

use super::model::{Model, Operation};
use super::place::{Place, Step};
use crate::spec::schema::{pascal, snake};

/// What the breaking changes so far account for, by names in Rust.
#[derive(Default)]
pub(super) struct Explained {
    /// Types that are still there: what is gone elsewhere is no reason for one of them to break.
    kept: BTreeSet<String>,
    types: BTreeSet<String>,
    fields: BTreeSet<(String, String)>,
    operations: BTreeSet<String>,
    /// Types that are no longer sent from a place, or received at one: what they lose with that is accounted for.
    less_sent: BTreeSet<String>,
    less_received: BTreeSet<String>,
}

impl Explained {
    pub(super) fn new(newer: &Model) -> Self {
        let facts = newer.operations.iter().flat_map(|operation| operation.places.values());
        let kept = facts.filter_map(|fact| fact.type_name.clone()).collect();
        Self { kept, ..Self::default() }
    }

    /// Takes note of a breaking change.
    pub(super) fn add(&mut self, old: &Operation, new: &Operation, place: Option<&Place>, aspect: &str) {
        match place {
            None => self.add_operation(old, new, aspect),
            Some(place) => self.add_place(old, new, place, aspect),
        }
    }

    fn add_operation(&mut self, old: &Operation, new: &Operation, aspect: &str) {
        self.operations.extend([old, new].map(|operation| pascal(&snake(&operation.id))));
        for key in ["success type", "error type"] {
            let is_gone = aspect == "operation" && outcome(old, key).is_some_and(|name| !self.kept.contains(&name));
            if is_gone || old.general.get(key) != new.general.get(key) {
                self.types.extend(outcome(old, key));
                // The bodies that it was made of, if they have other names now.
                let is_body = |place: &Place| place.outcome() == key && place.path().is_some_and(<[_]>::is_empty);
                let bodies = old.places.iter().filter(|(place, _)| is_body(place) && place.is_received());
                let names = bodies.filter_map(|(_, fact)| fact.type_name.clone());
                self.types.extend(names.filter(|name| !self.kept.contains(name)));
            }
        }
        for key in ["success type", "error type"] {
            if aspect == "operation" || old.general.get(key) != new.general.get(key) {
                self.less(old, |place| place.is_received() && place.outcome() == key);
            }
        }
        if aspect == "operation" {
            self.less(old, |place| !place.is_received());
            let gone = old.places.values().filter_map(|fact| fact.type_name.clone());
            self.types.extend(gone.filter(|name| !self.kept.contains(name)));
        }
    }

    fn add_place(&mut self, old: &Operation, new: &Operation, place: &Place, aspect: &str) {
        if place.path().is_none_or(<[_]>::is_empty) {
            self.operations.extend([old, new].map(|operation| pascal(&snake(&operation.id))));
        }
        self.fields.extend([old, new].into_iter().filter_map(|side| side.holder(place)));
        let own = old.places.get(place).and_then(|fact| fact.type_name.clone());
        match aspect {
            "kind" | "name" | "values" | "new values" | "old values" => self.types.extend(own),
            "order" => self.fields.extend(own.map(|name| (name, "new".into()))),
            _ => {}
        }
        if matches!(aspect, "place" | "kind" | "name") {
            self.less(old, |other| other == place || other.parents().contains(place));
            let within = old.places.iter().filter(|(other, _)| *other == place || other.parents().contains(place));
            let gone = within.filter_map(|(_, fact)| fact.type_name.clone());
            self.types.extend(gone.filter(|name| !self.kept.contains(name)));
            // A variant that is gone is its enum's.
            let holder = place.parents().into_iter().next().and_then(|parent| old.places.get(&parent));
            let choice = holder.filter(|fact| fact.kind == "one of several");
            self.types.extend(choice.and_then(|fact| fact.type_name.clone()));
            // What is taken beside the fields is a field too, of this name in Rust.
            let beside = holder.filter(|_| matches!(place.path(), Some([.., Step::Values])));
            self.fields.extend(beside.and_then(|fact| Some((fact.type_name.clone()?, "extra".into()))));
            if let Place::Reply { path, .. } = place
                && path.is_empty()
            {
                self.types.extend(outcome(old, place.outcome()));
            }
        }
    }

    /// The types at some places are no longer sent, or received, there.
    fn less(&mut self, old: &Operation, is_there: impl Fn(&Place) -> bool) {
        for (place, fact) in old.places.iter().filter(|(place, _)| is_there(place)) {
            let less = if place.is_received() { &mut self.less_received } else { &mut self.less_sent };
            less.extend(fact.type_name.clone());
        }
    }

    /// Whether an item of the interface is accounted for.
    pub(super) fn tells(&self, key: &str) -> bool {
        let (kind, rest) = key.split_once(' ').unwrap_or((key, ""));
        let names: Vec<&str> =
            rest.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|name| !name.is_empty()).collect();
        let is_type = |name: &&str| self.types.contains(*name);
        let has = |of: &str, name: &str| self.fields.contains(&(of.to_owned(), name.to_owned()));
        match (kind, names.as_slice()) {
            ("fn", ["Client", name, ..]) => self.operations.contains(&pascal(name)),
            (_, ["operation", name, ..]) => self.operations.contains(*name),
            // What is not sent has no constructor, and is not written; what is not received is not read.
            ("fn", ["types", of, _]) if self.less_sent.contains(*of) => true,
            ("impl", [.., "Default" | "Serialize", "for", "types", of]) if self.less_sent.contains(*of) => true,
            ("impl", [.., "Deserialize", "for", "types", of]) if self.less_received.contains(*of) => true,
            ("fn", ["types", of, "new"]) => is_type(of) || self.fields.iter().any(|(other, _)| other == of),
            ("field" | "fn", ["types", of, name]) => is_type(of) || has(of, name),
            // What can be done with a type hangs on its fields.
            ("impl", [.., of]) if self.fields.iter().any(|(other, _)| other == of) => true,
            (_, names) => names.iter().any(is_type),
        }
    }
}

/// The name in a text such as "`TokenError`, by status".
fn outcome(operation: &Operation, key: &str) -> Option<String> {
    operation.general.get(key)?.split('`').nth(1).map(str::to_owned)
}
