//! Compares two models and describes each change and its effect on users of the generated code.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::change::{Change, Effect, Section};
use super::model::{Model, Operation};
use super::place::{Fact, Place, Step};
use super::reasons::Causes;
use super::tree::{Differences, Found, Versions};
use super::words::{bare_path, differing, from_to, list, subject};
use crate::generate::public_api::Difference;
use crate::spec::schema::{field, pascal, snake};

/// Compares the normal forms from which code is generated. The effect of some changes depends on
/// how the generator treats a keyword. For such a change, the differences in public items
/// (`interface`) determine the effect. If a place did not itself change in the document, `causes`
/// gives the reason for the change.
pub(super) fn effective(
    old: &Model,
    new: &Model,
    interface: &[Difference],
    causes: Option<&Causes<'_>>,
) -> Vec<Change> {
    let broken = interface.iter().filter(|item| item.is_breaking()).map(|item| item.key.as_str()).collect();
    let mut comparison = Comparison { broken, causes, is_published: false, changes: Vec::new() };
    comparison.models(old, new);
    comparison.changes
}

/// Compares the documents as Flinks publishes them. Changes that only this comparison finds have no
/// effect on the code.
pub(super) fn published(old: &Model, new: &Model) -> Vec<Change> {
    let mut comparison = Comparison { broken: HashSet::new(), causes: None, is_published: true, changes: Vec::new() };
    comparison.models(old, new);
    comparison.changes
}

struct Comparison<'a> {
    /// The keys of the public items that were changed or removed.
    broken: HashSet<&'a str>,
    causes: Option<&'a Causes<'a>>,
    is_published: bool,
    changes: Vec<Change>,
}

/// The location of a change.
struct At<'a> {
    /// The operation before and after the change.
    sides: Option<(&'a Operation, &'a Operation)>,
    place: Option<Place>,
    subject: String,
    /// The reason for the change, if the place did not itself change in the document.
    reason: Option<String>,
    /// The named types of the place itself, for example the types of a list and of its entries.
    own_types: Vec<&'a str>,
    /// The place and its parents, if the place is in a body.
    found: Option<&'a Found<'a>>,
}

impl<'a> At<'a> {
    /// Returns the location of a change to a whole operation or to the whole document.
    fn whole(sides: Option<(&'a Operation, &'a Operation)>, subject: String) -> Self {
        Self { sides, place: None, subject, reason: None, own_types: Vec::new(), found: None }
    }
}

impl Comparison<'_> {
    fn models(&mut self, old: &Model, new: &Model) {
        let whole = |subject: String| At::whole(None, subject);
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
        let bodies = pairs.iter().filter_map(|(before, after)| Some(bodies(before, (*after)?))).flatten();
        let differences = Differences::find(&old.nodes, &new.nodes, bodies.map(|(_, body)| body));
        for (before, after) in &pairs {
            match after {
                Some(after) => {
                    let start = self.changes.len();
                    self.operation(before, after, &differences);
                    let changes = self.changes.split_off(start);
                    self.changes.extend(combine_statuses(changes));
                }
                None => {
                    let subject = format!("operation `{}`", before.id);
                    let at = At::whole(Some((before, before)), subject);
                    self.push(&at, "operation", "removed".into(), Effect::BreaksCallers, Section::Removed);
                }
            }
        }
        let known: HashSet<&str> = pairs.iter().filter_map(|(_, after)| Some((*after)?.title.as_str())).collect();
        let is_new = |operation: &&Operation| !known.contains(operation.title.as_str());
        for operation in new.operations.iter().filter(is_new) {
            let subject = format!("operation `{}`", operation.id);
            let at = At::whole(Some((operation, operation)), subject);
            self.push(&at, "operation", "added".into(), Effect::Compatible, Section::Added);
        }
    }

    fn operation(&mut self, old: &Operation, new: &Operation, differences: &Differences<'_>) {
        let at = |subject: String| At::whole(Some((old, new)), subject);
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
                        // The code may still compile because the header is the same, but every call
                        // fails.
                        "credentials" => Effect::BreaksCallers,
                        "security" | "list of OAuth scopes" => Effect::Documented,
                        _ => Effect::Compatible,
                    };
                    let detail = format!("changed {}", from_to(before, after));
                    let reason = self.causes.and_then(|causes| causes.of_type(old, new, key));
                    let at = At { reason, ..at(format!("the {key}")) };
                    self.push(&at, key, detail, effect, Section::Changed);
                }
            }
        }
        let places: BTreeSet<&Place> = old.parameters.keys().chain(new.parameters.keys()).collect();
        for place in places {
            let (before, after) = (old.parameters.get(place), new.parameters.get(place));
            let name = after.or(before).and_then(|fact| fact.facets.get("name")).map(String::as_str);
            let subject = subject(place, name);
            let facts = [before, after];
            let own_types: Vec<&str> = facts.into_iter().filter_map(|fact| fact?.type_name.as_deref()).collect();
            let reason = self.reason((old, new), place, facts, &own_types);
            let at =
                At { sides: Some((old, new)), place: Some(place.clone()), subject, reason, own_types, found: None };
            self.place(&at, place, before, after);
        }
        for (place, body) in bodies(old, new) {
            let whole = Found { places: vec![(None, body)], is_covered: false, has_more: false };
            for found in [whole].into_iter().chain(differences.within(body)) {
                let place = place.within(found.steps().cloned().collect());
                let Versions { old: before, new: after } = found.versions();
                let (before, after) = (before.map(|entry| &entry.fact), after.map(|entry| &entry.fact));
                // If a parent was added or removed, or if its kind changed, that change covers all
                // places inside the parent.
                if found.is_covered && before.is_some() != after.is_some() {
                    continue;
                }
                let subject = subject(&place, None);
                let reason = self.reason((old, new), &place, [before, after], &found.types());
                let at = At {
                    sides: Some((old, new)),
                    place: Some(place.clone()),
                    subject,
                    reason,
                    own_types: found.own_types(),
                    found: Some(&found),
                };
                self.place(&at, &place, before, after);
            }
        }
    }

    /// Returns the reason for a change to a place that did not itself change in the document.
    /// `types` contains the types of the place and of its parents, starting with the innermost
    /// type.
    fn reason(
        &self,
        operations: (&Operation, &Operation),
        place: &Place,
        facts: [Option<&Fact>; 2],
        types: &[&str],
    ) -> Option<String> {
        let [Some(before), Some(after)] = facts else { return None };
        let causes = self.causes.filter(|_| before != after)?;
        let names = [before.type_name.as_deref(), after.type_name.as_deref()];
        causes.of_use(operations, place, types).or_else(|| causes.of_name(operations, place, names))
    }

    fn place(&mut self, at: &At<'_>, place: &Place, before: Option<&Fact>, after: Option<&Fact>) {
        match (before, after) {
            (None, Some(fact)) => self.added(at, place, fact),
            (Some(_), None) => {
                let is_status = matches!(place, Place::Response { path, .. } if path.is_empty());
                // If a status is removed, the operation still returns the same type, unless that
                // type is an enum with a variant for each status.
                let is_compatible = is_status && !is_by_status(at, place);
                let effect = if is_compatible { Effect::Compatible } else { breaking(place) };
                self.push(at, "place", "removed".into(), effect, Section::Removed);
            }
            (Some(before), Some(after)) => self.fact(at, place, before, after),
            (None, None) => {}
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

    /// Uses the differences in public items to determine the effect of a change. The change is
    /// breaking if a public item for exactly this place was changed or removed. Otherwise, the
    /// change is compatible.
    fn effect_on_interface(&self, at: &At<'_>, place: &Place) -> Effect {
        let Some((old, _)) = at.sides else { return Effect::Compatible };
        let id = snake(&old.id);
        let mut keys: Vec<String> = match place {
            Place::Parameter { name, .. } => {
                vec![format!("fn Client::{id}"), format!("fn operation::{}<'a>::{}", pascal(&id), snake(name))]
            }
            Place::PathParameter(_) => vec![format!("fn Client::{id}")],
            Place::Request(_) | Place::Response { .. } => at.found.map(body_keys).unwrap_or_default(),
        };
        // A named schema that is not an object is a type with one field.
        keys.extend(at.own_types.iter().map(|ty| format!("field types::{ty}.0")));
        if keys.iter().any(|key| self.broken.contains(key.as_str())) { breaking(place) } else { Effect::Compatible }
    }

    fn push(&mut self, at: &At<'_>, aspect: &str, detail: String, effect: Effect, section: Section) {
        let effect = if self.is_published { Effect::Documented } else { effect };
        self.changes.push(Change {
            operation: at.sides.map(|(_, new)| new.title.clone()),
            place: at.place.clone(),
            aspect: aspect.to_owned(),
            subject: at.subject.clone(),
            detail,
            has_more: at.found.is_some_and(|found| found.has_more),
            reason: at.reason.clone(),
            effect,
            section,
        });
    }
}

/// Returns the keys of the public items that represent a place in a body: a field, a builder
/// method, or a constructor argument. The contents of a list or map belong to the field that
/// contains the list or map.
fn body_keys(found: &Found<'_>) -> Vec<String> {
    let mut keys = Vec::new();
    let last = found.places.iter().rposition(|(step, _)| matches!(step, Some(Step::Field(_))));
    let holder = last.and_then(|last| Some((found.places.get(last)?.0?, found.places.get(last.checked_sub(1)?)?.1)));
    if let Some((Step::Field(name), holder)) = holder {
        for ty in [holder.old, holder.new].into_iter().filter_map(|entry| entry?.fact.type_name.as_ref()) {
            let name = field(name);
            keys.extend([format!("field types::{ty}.{name}"), format!("fn types::{ty}::{name}")]);
        }
    }
    let own = found.places.iter().rev().take(2).find_map(|(_, versions)| versions.old);
    let own = own.and_then(|entry| entry.fact.type_name.as_ref());
    keys.extend(own.map(|own| format!("fn types::{own}::new")));
    keys
}

/// Returns the bodies in two versions of an operation, each with its place.
fn bodies<'a>(old: &'a Operation, new: &'a Operation) -> Vec<(&'a Place, Versions<'a>)> {
    let places: BTreeSet<&Place> = old.bodies.keys().chain(new.bodies.keys()).collect();
    let versions = |place| Versions { old: old.bodies.get(place), new: new.bodies.get(place) };
    places.into_iter().map(|place| (place, versions(place))).collect()
}

/// Pairs each old operation with its new version, or with `None` if the operation was removed.
/// Operations are matched by method and path first, because an overlay can change an `operationId`.
fn pairs<'a>(old: &'a Model, new: &'a Model) -> Vec<(&'a Operation, Option<&'a Operation>)> {
    let mut by_title: HashMap<&str, &Operation> = HashMap::new();
    for operation in &new.operations {
        by_title.entry(&operation.title).or_insert(operation);
    }
    let old_titles: HashSet<&str> = old.operations.iter().map(|operation| operation.title.as_str()).collect();
    let mut by_id: HashMap<&str, &Operation> = HashMap::new();
    for operation in new.operations.iter().filter(|operation| !operation.id.is_empty()) {
        if !old_titles.contains(operation.title.as_str()) {
            by_id.entry(&operation.id).or_insert(operation);
        }
    }
    let pair = |operation: &'a Operation| {
        let new = by_title.get(operation.title.as_str()).or_else(|| by_id.get(operation.id.as_str()));
        (operation, new.copied())
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
    new.parameters.iter().any(|(place, fact)| {
        matches!(place, Place::PathParameter(_)) && fact.facets.get("name").is_some_and(|other| other == name)
    })
}

/// Combines identical changes to several statuses of one operation into one change.
fn combine_statuses(changes: Vec<Change>) -> Vec<Change> {
    let mut combined: Vec<Change> = Vec::new();
    let mut twins: HashMap<(bool, Vec<Step>, String, String), usize> = HashMap::new();
    for change in changes {
        let Some(Place::Response { statuses: new, path }) = change.place.clone() else {
            combined.push(change);
            continue;
        };
        let key = (is_success(&new), path, change.aspect.clone(), change.detail.clone());
        let index = *twins.entry(key).or_insert(combined.len());
        match combined.get_mut(index) {
            Some(twin) => {
                if let Some(Place::Response { statuses, .. }) = &mut twin.place {
                    statuses.extend(new);
                }
                twin.subject = twin.place.as_ref().map(|place| subject(place, None)).unwrap_or_default();
            }
            None => combined.push(change),
        }
    }
    combined
}

fn is_success(statuses: &[String]) -> bool {
    statuses.iter().all(|status| status.starts_with('2'))
}
