//! Compares two models and describes each change and its effect on users of the generated code.

use std::collections::BTreeSet;

use super::change::{Change, Effect, Section};
use super::model::{Model, Operation};
use super::place::{Fact, Place, Step};
use super::words::{bare_path, differing, from_to, list, subject};
use crate::generate::public_api::Difference;
use crate::spec::schema::{pascal, snake};

/// Compares the normal forms from which code is generated. The effect of some changes depends on
/// how the generator treats a keyword. For such a change, the differences in public items
/// (`interface`) determine the effect.
pub(super) fn effective(old: &Model, new: &Model, interface: &[Difference]) -> Vec<Change> {
    let mut comparison = Comparison { interface, is_published: false, changes: Vec::new() };
    comparison.models(old, new);
    combine_statuses(comparison.changes)
}

/// Compares the documents as Flinks publishes them. Changes that only this comparison finds have no
/// effect on the code.
pub(super) fn published(old: &Model, new: &Model) -> Vec<Change> {
    let mut comparison = Comparison { interface: &[], is_published: true, changes: Vec::new() };
    comparison.models(old, new);
    combine_statuses(comparison.changes)
}

struct Comparison<'a> {
    interface: &'a [Difference],
    is_published: bool,
    changes: Vec<Change>,
}

/// The location of a change.
struct At<'a> {
    /// The operation before and after the change.
    sides: Option<(&'a Operation, &'a Operation)>,
    place: Option<&'a Place>,
    subject: String,
}

impl Comparison<'_> {
    fn models(&mut self, old: &Model, new: &Model) {
        let whole = |subject: String| At { sides: None, place: None, subject };
        for (key, before, after) in differing(&old.general, &new.general) {
            let detail = format!("changed {}", from_to(before, after));
            self.push(&whole(format!("the {key}")), key, detail, Effect::Documented, Section::Changed);
        }
        for (name, before) in &old.schemes {
            if let Some(after) = new.schemes.get(name).filter(|after| *after != before) {
                let detail = format!("changed {}", from_to(Some(before), Some(after)));
                let at = whole(format!("the security scheme `{name}`"));
                // The effect is reported for each operation that requires the scheme.
                self.push(&at, name, detail, Effect::Documented, Section::Changed);
            }
        }
        let pairs = pairs(old, new);
        for (before, after) in &pairs {
            match after {
                Some(after) => self.operation(before, after),
                None => {
                    let subject = format!("operation `{}`", before.id);
                    let at = At { sides: Some((before, before)), place: None, subject };
                    self.push(&at, "operation", "removed".into(), Effect::BreaksCallers, Section::Removed);
                }
            }
        }
        let is_new = |operation: &&Operation| {
            !pairs.iter().any(|(_, after)| after.is_some_and(|after| after.title == operation.title))
        };
        for operation in new.operations.iter().filter(is_new) {
            let subject = format!("operation `{}`", operation.id);
            let at = At { sides: Some((operation, operation)), place: None, subject };
            self.push(&at, "operation", "added".into(), Effect::Compatible, Section::Added);
        }
    }

    fn operation(&mut self, old: &Operation, new: &Operation) {
        let at = |subject: String| At { sides: Some((old, new)), place: None, subject };
        let whole = at(format!("operation `{}`", new.id));
        if snake(&old.id) != snake(&new.id) {
            self.push(
                &whole,
                "id",
                format!("was previously named `{}`", old.id),
                Effect::BreaksCallers,
                Section::Changed,
            );
        }
        if bare_path(&old.title) != bare_path(&new.title) {
            self.push(&whole, "title", format!("moved from {}", old.title), Effect::Compatible, Section::Changed);
        }
        for (key, before, after) in differing(&old.general, &new.general) {
            match key {
                "deprecated" if after.is_some() => {
                    self.push(&whole, key, "is now deprecated".into(), Effect::Compatible, Section::Deprecated);
                }
                "deprecated" => {
                    self.push(&whole, key, "is no longer deprecated".into(), Effect::Compatible, Section::Changed);
                }
                _ => {
                    let effect = match key {
                        "success type" | "error type" => Effect::BreaksReaders,
                        // Every call fails, even though the code still compiles if the header stays
                        // the same.
                        "credentials" => Effect::BreaksCallers,
                        "security" => Effect::Documented,
                        _ => Effect::Compatible,
                    };
                    let detail = format!("changed {}", from_to(before, after));
                    self.push(&at(format!("the {key}")), key, detail, effect, Section::Changed);
                }
            }
        }
        let places: BTreeSet<&Place> = old.places.keys().chain(new.places.keys()).collect();
        for place in places {
            // If a parent was added or removed, or if its kind changed, that change covers all
            // places inside the parent.
            let is_covered = place.parents().iter().any(|parent| {
                old.places.get(parent).map(|fact| &fact.kind) != new.places.get(parent).map(|fact| &fact.kind)
            });
            let (before, after) = (old.places.get(place), new.places.get(place));
            let name = after.or(before).and_then(|fact| fact.facets.get("name")).map(String::as_str);
            let at = At { sides: Some((old, new)), place: Some(place), subject: subject(place, name) };
            match (before, after) {
                (None, Some(fact)) if !is_covered => self.added(&at, place, fact),
                (Some(_), None) if !is_covered => {
                    let is_status = matches!(place, Place::Response { path, .. } if path.is_empty());
                    // Without a status, the operation still returns the same type, unless that type
                    // is an enum with a variant for each status.
                    let is_compatible = is_status && !is_by_status(&at, place);
                    let effect = if is_compatible { Effect::Compatible } else { breaking(place) };
                    self.push(&at, "place", "removed".into(), effect, Section::Removed);
                }
                (Some(before), Some(after)) => self.fact(&at, place, before, after),
                _ => {}
            }
        }
    }

    fn added(&mut self, at: &At<'_>, place: &Place, fact: &Fact) {
        let mut detail = format!("added: {}", fact.kind);
        if let Some(values) = &fact.values {
            detail += &format!(" ({})", list(values));
        }
        // Only parameters and fields can be required or optional. Bodies, alternatives and the
        // contents of lists and maps cannot.
        let is_field = place.path().is_none_or(|path| matches!(path.last(), Some(Step::Field(_))));
        if is_field {
            detail += if fact.required { ", required" } else { ", optional" };
        }
        if is_field && fact.required && place.is_received() {
            detail += " (a response without it is rejected)";
        }
        let is_request_body = matches!(place, Place::Request(path) if path.is_empty());
        let effect = if place.is_received() {
            Effect::Compatible
        } else if is_field && fact.required || is_request_body {
            Effect::BreaksCallers
        } else if is_field {
            Effect::Compatible
        } else {
            self.effect_on_interface(at, place)
        };
        self.push(at, "place", detail, effect, Section::Added);
    }

    fn fact(&mut self, at: &At<'_>, place: &Place, old: &Fact, new: &Fact) {
        let breaking = breaking(place);
        let is_root = place.path().is_some_and(<[Step]>::is_empty);
        if old.kind != new.kind {
            self.push(at, "kind", format!("changed from {} to {}", old.kind, new.kind), breaking, Section::Changed);
        }
        if old.required != new.required {
            let detail = if new.required { "is now required" } else { "is now optional" };
            // The generated client always sends a body.
            let effect = if is_root { Effect::Documented } else { breaking };
            self.push(at, "required", detail.into(), effect, Section::Changed);
        }
        self.values(at, breaking, old.values.as_ref(), new.values.as_ref());
        let mut before = old.order.clone();
        let mut after = new.order.clone();
        before.retain(|name| new.order.contains(name));
        after.retain(|name| old.order.contains(name));
        if before != after && !place.is_received() {
            let detail = format!("takes its fields in a different order: {}", list(&new.order));
            self.push(at, "order", detail, breaking, Section::Changed);
        }
        if let (Some(old), Some(new)) = (&old.type_name, &new.type_name)
            && old != new
            // The type of a response is reported once for the operation, unless it depends on the
            // status.
            && !(is_root && place.is_received() && !is_by_status(at, place))
        {
            let detail = format!("now has the type `{new}`, previously `{old}`");
            self.push(at, "name", detail, breaking, Section::Changed);
        }
        for (key, before, after) in differing(&old.facets, &new.facets) {
            let mut section = Section::Changed;
            let (effect, detail) = match (key, before, after) {
                // If two path parameters swap names, two arguments of the method swap places.
                ("name", Some(before), _) if is_path_parameter(at, before) => {
                    (Effect::BreaksCallers, format!("takes the position of `{before}`"))
                }
                ("name", Some(before), _) => (Effect::Compatible, format!("was previously named `{before}`")),
                ("deprecated", _, Some(_)) => {
                    section = Section::Deprecated;
                    (Effect::Compatible, "is now deprecated".into())
                }
                ("deprecated", ..) => (Effect::Compatible, "is no longer deprecated".into()),
                ("nullable", _, Some("true")) => (self.effect_on_interface(at, place), "can now be null".into()),
                ("nullable", ..) => (self.effect_on_interface(at, place), "can no longer be null".into()),
                _ => (self.effect_on_interface(at, place), format!("changed its `{key}` {}", from_to(before, after))),
            };
            self.push(at, key, detail, effect, section);
        }
    }

    fn values(
        &mut self,
        at: &At<'_>,
        breaking: Effect,
        old: Option<&BTreeSet<String>>,
        new: Option<&BTreeSet<String>>,
    ) {
        match (old, new) {
            (Some(old), Some(new)) => {
                let added: BTreeSet<_> = new.difference(old).collect();
                let removed: BTreeSet<_> = old.difference(new).collect();
                if !added.is_empty() {
                    let detail = format!("now also allows {}", list(added));
                    self.push(at, "new values", detail, Effect::Compatible, Section::Added);
                }
                if !removed.is_empty() {
                    let detail = format!("no longer allows {}", list(removed));
                    self.push(at, "old values", detail, breaking, Section::Removed);
                }
            }
            (None, Some(values)) => {
                self.push(at, "values", format!("now allows only {}", list(values)), breaking, Section::Changed);
            }
            (Some(_), None) => self.push(at, "values", "now allows any text".into(), breaking, Section::Changed),
            (None, None) => {}
        }
    }

    /// Determines the effect of a change from the differences in public items. The change is
    /// breaking if a public item for exactly this place was changed or removed. Otherwise, the
    /// change is compatible.
    fn effect_on_interface(&self, at: &At<'_>, place: &Place) -> Effect {
        let Some((old, new)) = at.sides else { return Effect::Compatible };
        let id = snake(&old.id);
        let keys: Vec<String> = match place {
            Place::Parameter { name, .. } => {
                vec![format!("fn Client::{id}"), format!("fn operation::{}<'a>::{}", pascal(&id), snake(name))]
            }
            Place::PathParameter(_) => vec![format!("fn Client::{id}")],
            // A place can be a field, a builder method, or an argument of the constructor.
            Place::Request(_) | Place::Response { .. } => {
                let holders = [old, new].into_iter().filter_map(|side| side.holder(place));
                let fields = holders.flat_map(|(holder, name)| {
                    [format!("field types::{holder}.{name}"), format!("fn types::{holder}::{name}")]
                });
                let own = old.places.get(place).or_else(|| old.places.get(place.parents().first()?));
                let own = own.and_then(|fact| fact.type_name.as_ref());
                fields.chain(own.map(|own| format!("fn types::{own}::new"))).collect()
            }
        };
        let breaks = |item: &&Difference| item.is_breaking() && keys.contains(&item.key);
        if self.interface.iter().any(|item| breaks(&item)) { breaking(place) } else { Effect::Compatible }
    }

    fn push(&mut self, at: &At<'_>, aspect: &str, detail: String, effect: Effect, section: Section) {
        let effect = if self.is_published { Effect::Documented } else { effect };
        self.changes.push(Change {
            operation: at.sides.map(|(_, new)| new.title.clone()),
            place: at.place.cloned(),
            aspect: aspect.to_owned(),
            subject: at.subject.clone(),
            detail,
            effect,
            section,
        });
    }
}

/// Pairs each old operation with its new version, or with `None` if the operation was removed.
/// Operations are matched by method and path first, because an overlay can change an `operationId`.
fn pairs<'a>(old: &'a Model, new: &'a Model) -> Vec<(&'a Operation, Option<&'a Operation>)> {
    let by_title = |operation: &Operation| new.operations.iter().find(|other| other.title == operation.title);
    let is_free = |other: &&Operation| !old.operations.iter().any(|operation| operation.title == other.title);
    let pair = |operation: &'a Operation| {
        let by_id = || {
            let mut others = new.operations.iter().filter(is_free);
            others.find(|other| !other.id.is_empty() && other.id == operation.id)
        };
        (operation, by_title(operation).or_else(by_id))
    };
    old.operations.iter().map(pair).collect()
}

/// Returns the effect of a breaking change at a place.
fn breaking(place: &Place) -> Effect {
    if place.is_received() { Effect::BreaksReaders } else { Effect::BreaksCallers }
}

/// Returns whether the old type of this outcome was an enum with a variant for each status.
fn is_by_status(at: &At<'_>, place: &Place) -> bool {
    let ty = at.sides.and_then(|(old, _)| old.general.get(place.outcome()));
    ty.is_some_and(|ty| ty.ends_with("by status"))
}

/// Returns whether a path parameter of the new operation has this name.
fn is_path_parameter(at: &At<'_>, name: &str) -> bool {
    let Some((_, new)) = at.sides else { return false };
    new.places.iter().any(|(place, fact)| {
        matches!(place, Place::PathParameter(_)) && fact.facets.get("name").is_some_and(|other| other == name)
    })
}

/// Combines identical changes to several statuses into one change.
fn combine_statuses(changes: Vec<Change>) -> Vec<Change> {
    let mut combined: Vec<Change> = Vec::new();
    for change in changes {
        let is_twin = |other: &Change| match (&other.place, &change.place) {
            (Some(Place::Response { statuses, path }), Some(Place::Response { statuses: new, path: own })) => {
                path == own && is_success(statuses) == is_success(new)
            }
            _ => false,
        };
        let is_same = |other: &Change| {
            is_twin(other)
                && other.operation == change.operation
                && other.aspect == change.aspect
                && other.detail == change.detail
        };
        let twin = combined.iter_mut().find(|other| is_same(other));
        match (twin, change.place.clone()) {
            (Some(twin), Some(Place::Response { statuses: new, .. })) => {
                if let Some(Place::Response { statuses, .. }) = &mut twin.place {
                    statuses.extend(new);
                }
                twin.subject = twin.place.as_ref().map(|place| subject(place, None)).unwrap_or_default();
            }
            _ => combined.push(change),
        }
    }
    combined
}

fn is_success(statuses: &[String]) -> bool {
    statuses.iter().all(|status| status.starts_with('2'))
}
