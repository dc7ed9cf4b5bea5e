//! Determines which types are sent and which are received, and selects the derives for each type.

use std::collections::{BTreeMap, BTreeSet};

use syn::visit::Visit;
use syn::{Ident, Item};

use super::operation::Operation;
use crate::generate::normalize::form::Normalized;
use crate::spec::schema::pascal;

/// The types that are sent and the types that are received.
pub(super) struct Uses {
    pub(super) sent: BTreeSet<String>,
    received: BTreeSet<String>,
    /// The types of response bodies.
    pub(super) replies: BTreeSet<String>,
    pub(super) local: BTreeSet<String>,
}

impl Uses {
    pub(super) fn find(items: &[Item], operations: &[Operation], normalized: &Normalized) -> Self {
        let mut graph: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for item in items {
            match item {
                Item::Struct(item) => {
                    graph.insert(item.ident.to_string(), names(|visit| visit.visit_fields(&item.fields)))
                }
                Item::Enum(item) => graph.insert(item.ident.to_string(), names(|visit| visit.visit_item_enum(item))),
                _ => None,
            };
        }
        let sent = operations.iter().flat_map(Operation::argument_types);
        let sent: BTreeSet<String> = sent.flat_map(|ty| names(|visit| visit.visit_type(ty))).collect();
        let replies: BTreeSet<String> = normalized.reply_schemas().map(pascal).collect();
        let local = graph.keys().cloned().collect();
        Self { sent: reachable(&graph, sent), received: reachable(&graph, replies.clone()), replies, local }
    }

    /// Returns whether an item defines a type that no operation uses, or is an `impl` block for
    /// such a type.
    pub(super) fn is_unused(&self, item: &Item) -> bool {
        let about = match item {
            Item::Struct(item) => [item.ident.to_string()].into(),
            Item::Enum(item) => [item.ident.to_string()].into(),
            Item::Impl(item) => names(|visit| {
                visit.visit_type(&item.self_ty);
                item.trait_.iter().for_each(|(_, path, _)| visit.visit_path(path));
            }),
            _ => BTreeSet::new(),
        };
        about.iter().any(|name| self.local.contains(name) && !self.sent.contains(name) && !self.received.contains(name))
    }

    /// Returns whether an `impl` implements `Default` for a response type.
    pub(super) fn is_response_default(&self, item: &syn::ItemImpl) -> bool {
        let is_default = item
            .trait_
            .as_ref()
            .is_some_and(|(_, path, _)| path.segments.last().is_some_and(|last| last.ident == "Default"));
        is_default && !names(|visit| visit.visit_type(&item.self_ty)).iter().any(|name| self.sent.contains(name))
    }

    /// Returns whether a type keeps the given derive. Only request types keep `Serialize`, so a
    /// response cannot be serialized accidentally. Only request types keep `Default`. If response
    /// types also kept `Default`, adding a required field to a response type would remove the
    /// derive, which would be a breaking change.
    pub(super) fn keeps(&self, ident: &Ident, derive: &str) -> bool {
        let name = ident.to_string();
        match derive {
            "Serialize" | "Default" => self.sent.contains(&name),
            "Deserialize" => self.received.contains(&name),
            _ => true,
        }
    }
}

fn reachable(graph: &BTreeMap<String, BTreeSet<String>>, roots: BTreeSet<String>) -> BTreeSet<String> {
    let mut queue: Vec<String> = roots.into_iter().collect();
    let mut reached = BTreeSet::new();
    while let Some(name) = queue.pop() {
        if let Some(next) = graph.get(&name)
            && reached.insert(name)
        {
            queue.extend(next.iter().cloned());
        }
    }
    reached
}

/// Returns the identifiers of all types in part of the syntax tree.
pub(super) fn names(visit: impl FnOnce(&mut TypeNames)) -> BTreeSet<String> {
    let mut names = TypeNames(BTreeSet::new());
    visit(&mut names);
    names.0
}

pub(super) struct TypeNames(BTreeSet<String>);

impl<'ast> Visit<'ast> for TypeNames {
    fn visit_path_segment(&mut self, segment: &'ast syn::PathSegment) {
        self.0.insert(segment.ident.to_string());
        syn::visit::visit_path_segment(self, segment);
    }
}
