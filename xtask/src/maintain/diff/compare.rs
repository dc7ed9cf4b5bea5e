//! Two models in, changes out: each in words, with what it means for who uses the generated code.

use std::collections::BTreeSet;

use super::change::{Change, Effect, Section};
use super::model::{Model, Operation};
use super::place::{Fact, Place, Step};
use super::words::{bare_path, both, list, subject, was_and_is};
use crate::generate::public_api::Difference;
use crate::spec::schema::{pascal, snake};

/// Compares what code is made of. Where the effect of a change depends on what the generator makes of a keyword, the
/// interface of the generated code decides.
pub(super) fn effective(old: &Model, new: &Model, interface: &[Difference]) -> Vec<Change> {
    let mut comparison = Comparison { interface, is_published: false, changes: Vec::new() };
    comparison.models(old, new);
    fold(comparison.changes)
}

/// Compares what Flinks publishes, which by itself means nothing for the code.
pub(super) fn published(old: &Model, new: &Model) -> Vec<Change> {
    let mut comparison = Comparison { interface: &[], is_published: true, changes: Vec::new() };
    comparison.models(old, new);
    fold(comparison.changes)
}

struct Comparison<'a> {
    interface: &'a [Difference],
    is_published: bool,
    changes: Vec<Change>,
}

/// Where a change is.
struct At<'a> {
    /// The operation before and after.
    sides: Option<(&'a Operation, &'a Operation)>,
    place: Option<&'a Place>,
    subject: String,
}

impl Comparison<'_> {
    fn models(&mut self, old: &Model, new: &Model) {
        let whole = |subject: String| At { sides: None, place: None, subject };
        for (key, before, after) in both(&old.general, &new.general) {
            let detail = was_and_is(before, after);
            self.push(&whole(format!("the {key}")), key, detail, Effect::Documented, Section::Changed);
        }
        for (name, before) in &old.schemes {
            if let Some(after) = new.schemes.get(name).filter(|after| *after != before) {
                let detail = was_and_is(Some(before), Some(after));
                let at = whole(format!("the security scheme `{name}`"));
                // What it means is told with each operation that asks for it.
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
            self.push(&whole, "id", format!("was called `{}`", old.id), Effect::BreaksCallers, Section::Changed);
        }
        if bare_path(&old.title) != bare_path(&new.title) {
            self.push(&whole, "title", format!("was {}", old.title), Effect::Compatible, Section::Changed);
        }
        for (key, before, after) in both(&old.general, &new.general) {
            match key {
                "deprecated" if after.is_some() => {
                    self.push(&whole, key, "is deprecated".into(), Effect::Compatible, Section::Deprecated);
                }
                "deprecated" => {
                    self.push(&whole, key, "is no longer deprecated".into(), Effect::Compatible, Section::Changed);
                }
                _ => {
                    let effect = match key {
                        "success type" | "error type" => Effect::BreaksReaders,
                        // No build breaks where the header stays, and every call does.
                        "credentials" => Effect::BreaksCallers,
                        "security" => Effect::Documented,
                        _ => Effect::Compatible,
                    };
                    self.push(&at(format!("the {key}")), key, was_and_is(before, after), effect, Section::Changed);
                }
            }
        }
        let places: BTreeSet<&Place> = old.places.keys().chain(new.places.keys()).collect();
        for place in places {
            // What is within what is new, gone or of another kind goes without saying.
            let is_told = place.parents().iter().any(|parent| {
                old.places.get(parent).map(|fact| &fact.kind) != new.places.get(parent).map(|fact| &fact.kind)
            });
            let (before, after) = (old.places.get(place), new.places.get(place));
            let name = after.or(before).and_then(|fact| fact.facets.get("name")).map(String::as_str);
            let at = At { sides: Some((old, new)), place: Some(place), subject: subject(place, name) };
            match (before, after) {
                (None, Some(fact)) if !is_told => self.added(&at, place, fact),
                (Some(_), None) if !is_told => {
                    let is_status = matches!(place, Place::Reply { path, .. } if path.is_empty());
                    let is_by_status = is_by_status(&at, place);
                    // What the operation returns is told by its type, but for a variant of a union.
                    let effect = if is_status && !is_by_status { Effect::Compatible } else { breaking(place) };
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
        // A body, an alternative, or what a list or map holds, is neither required nor optional.
        let is_field = place.path().is_none_or(|path| matches!(path.last(), Some(Step::Field(_))));
        if is_field {
            detail += if fact.required { ", required" } else { ", optional" };
        }
        if is_field && fact.required && place.is_received() {
            detail += ": a reply without it is refused";
        }
        let is_request_body = matches!(place, Place::Request(path) if path.is_empty());
        let effect = match place.is_received() {
            true => Effect::Compatible,
            false if is_field && fact.required || is_request_body => Effect::BreaksCallers,
            false if is_field => Effect::Compatible,
            false => self.depends(at, place),
        };
        self.push(at, "place", detail, effect, Section::Added);
    }

    fn fact(&mut self, at: &At<'_>, place: &Place, old: &Fact, new: &Fact) {
        let breaking = breaking(place);
        let is_root = place.path().is_some_and(<[Step]>::is_empty);
        if old.kind != new.kind {
            self.push(at, "kind", format!("was {}, is {}", old.kind, new.kind), breaking, Section::Changed);
        }
        if old.required != new.required {
            let detail = if new.required { "is required now" } else { "is optional now" };
            // A body is always sent.
            let effect = if is_root { Effect::Documented } else { breaking };
            self.push(at, "required", detail.into(), effect, Section::Changed);
        }
        self.values(at, breaking, old.values.as_ref(), new.values.as_ref());
        let (mut before, mut after) = (old.order.clone(), new.order.clone());
        before.retain(|name| new.order.contains(name));
        after.retain(|name| old.order.contains(name));
        if before != after && !place.is_received() {
            let detail = format!("takes its fields in another order: {}", list(&new.order));
            self.push(at, "order", detail, breaking, Section::Changed);
        }
        if let (Some(old), Some(new)) = (&old.type_name, &new.type_name)
            && old != new
            // The type of a reply is the operation's, unless its statuses tell several apart.
            && !(is_root && place.is_received() && !is_by_status(at, place))
        {
            let detail = format!("has the type `{new}` now, which was called `{old}`");
            self.push(at, "name", detail, breaking, Section::Changed);
        }
        for (key, before, after) in both(&old.facets, &new.facets) {
            let mut section = Section::Changed;
            let (effect, detail) = match (key, before, after) {
                // Two names that change places are two arguments that do.
                ("name", Some(before), _) if is_path_parameter(at, before) => {
                    (Effect::BreaksCallers, format!("stands where `{before}` stood"))
                }
                ("name", Some(before), _) => (Effect::Compatible, format!("was called `{before}`")),
                ("deprecated", _, Some(_)) => {
                    section = Section::Deprecated;
                    (Effect::Compatible, "is deprecated".into())
                }
                ("deprecated", ..) => (Effect::Compatible, "is no longer deprecated".into()),
                ("nullable", _, Some("true")) => (self.depends(at, place), "may be null now".into()),
                ("nullable", ..) => (self.depends(at, place), "may no longer be null".into()),
                _ => (self.depends(at, place), format!("has another `{key}`: {}", was_and_is(before, after))),
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
                let gone: BTreeSet<_> = old.difference(new).collect();
                if !added.is_empty() {
                    let detail = format!("may be {} too", list(added));
                    self.push(at, "new values", detail, Effect::Compatible, Section::Added);
                }
                if !gone.is_empty() {
                    self.push(at, "old values", format!("may no longer be {}", list(gone)), breaking, Section::Removed);
                }
            }
            (None, Some(values)) => {
                self.push(at, "values", format!("is one of {} now", list(values)), breaking, Section::Changed);
            }
            (Some(_), None) => self.push(at, "values", "may be any text now".into(), breaking, Section::Changed),
            (None, None) => {}
        }
    }

    /// What a change means that hangs on what the generator makes of it: whether the interface breaks at this very place.
    fn depends(&self, at: &At<'_>, place: &Place) -> Effect {
        let Some((old, new)) = at.sides else { return Effect::Compatible };
        let id = snake(&old.id);
        let keys: Vec<String> = match place {
            Place::Parameter { name, .. } => {
                vec![format!("fn Client::{id}"), format!("fn operation::{}<'a>::{}", pascal(&id), snake(name))]
            }
            Place::PathParameter(_) => vec![format!("fn Client::{id}")],
            // A field is in its type, and an argument of the constructor; so is what a map takes beside the fields.
            Place::Request(_) | Place::Reply { .. } => {
                let holders = [old, new].into_iter().filter_map(|side| side.holder(place));
                let fields = holders
                    .flat_map(|(of, name)| [format!("field types::{of}.{name}"), format!("fn types::{of}::{name}")]);
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

/// Each operation with what became of it. By what is on the wire first, for an id is ours to give.
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

/// What a break means at a place.
fn breaking(place: &Place) -> Effect {
    if place.is_received() { Effect::BreaksReaders } else { Effect::BreaksCallers }
}

/// Whether replies of this kind were told apart by status.
fn is_by_status(at: &At<'_>, place: &Place) -> bool {
    let ty = at.sides.and_then(|(old, _)| old.general.get(place.outcome()));
    ty.is_some_and(|ty| ty.ends_with("by status"))
}

/// Whether a name is one of a path parameter by now.
fn is_path_parameter(at: &At<'_>, name: &str) -> bool {
    let Some((_, new)) = at.sides else { return false };
    new.places.iter().any(|(place, fact)| {
        matches!(place, Place::PathParameter(_)) && fact.facets.get("name").is_some_and(|other| other == name)
    })
}

/// One line for a change that is the same for several statuses.
fn fold(changes: Vec<Change>) -> Vec<Change> {
    let mut folded: Vec<Change> = Vec::new();
    for change in changes {
        let is_twin = |other: &Change| match (&other.place, &change.place) {
            (Some(Place::Reply { statuses, path }), Some(Place::Reply { statuses: new, path: own })) => {
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
        let twin = folded.iter_mut().find(|other| is_same(other));
        match (twin, change.place.clone()) {
            (Some(twin), Some(Place::Reply { statuses: new, .. })) => {
                if let Some(Place::Reply { statuses, .. }) = &mut twin.place {
                    statuses.extend(new);
                }
                twin.subject = twin.place.as_ref().map(|place| subject(place, None)).unwrap_or_default();
            }
            _ => folded.push(change),
        }
    }
    folded
}

fn is_success(statuses: &[String]) -> bool {
    statuses.iter().all(|status| status.starts_with('2'))
}
