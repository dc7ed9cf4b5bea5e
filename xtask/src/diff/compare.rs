//! Two models in, changes out: each in words, with what it means for who uses the generated code.

use std::collections::{BTreeMap, BTreeSet};

use super::model::{BOUNDS, Fact, Model, Operation, Place};

/// One change.
#[derive(Clone, Debug)]
pub struct Change {
    /// The operation, such as `POST /api/v1/token`; none, where it is about the whole document.
    pub operation: Option<String>,
    pub(super) place: Option<Place>,
    /// Which side of the place changed: two changes of one side are the same change.
    aspect: String,
    /// What is another now, with the name of the place.
    subject: String,
    detail: String,
    /// What it means.
    pub effect: Effect,
    /// Where a changelog tells it.
    pub section: Section,
}

/// What a change means for the generated code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// No code can be made of the document, so nobody knows.
    Unknown,
    /// The document says otherwise, the code does not.
    Documented,
    /// What was written before works as before.
    Compatible,
    /// Who reads what a reply holds must look again.
    BreaksReaders,
    /// Who calls it must write something else.
    BreaksCallers,
}

impl Effect {
    /// In the words of a report.
    pub fn words(self) -> &'static str {
        match self {
            Self::Unknown => "not known yet",
            Self::Documented => "documented only",
            Self::Compatible => "compatible",
            Self::BreaksReaders => "breaking for those who match on it",
            Self::BreaksCallers => "breaking for callers",
        }
    }

    /// Whether a dependant's build may fail.
    pub fn is_breaking(self) -> bool {
        self >= Self::BreaksReaders
    }
}

/// The sections of Keep a Changelog that a document's change can be in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Section {
    Added,
    Changed,
    Deprecated,
    Removed,
}

impl Change {
    /// What changed, in one line.
    pub fn text(&self) -> String {
        format!("{} {}", self.subject, self.detail)
    }

    /// A change that no line tells.
    pub(super) fn unexplained(items: &[String]) -> Self {
        Self {
            operation: None,
            place: None,
            aspect: "interface".into(),
            subject: "the interface".into(),
            detail: format!("is another, for no reason that is told above: {}", items.join("; ")),
            effect: Effect::BreaksCallers,
            section: Section::Changed,
        }
    }

    pub(super) fn is_same_as(&self, other: &Self) -> bool {
        self.operation == other.operation && self.place == other.place && self.aspect == other.aspect
    }
}

/// Compares what code is made of. `interface_breaks` says whether a dependant's build may fail: it decides where that hangs
/// on what the generator makes of a keyword.
pub(super) fn effective(old: &Model, new: &Model, interface_breaks: bool) -> Vec<Change> {
    Comparison { interface_breaks, is_published: false, changes: Vec::new() }.models(old, new)
}

/// Compares what Flinks publishes, which by itself means nothing for the code.
pub(super) fn published(old: &Model, new: &Model) -> Vec<Change> {
    Comparison { interface_breaks: false, is_published: true, changes: Vec::new() }.models(old, new)
}

struct Comparison {
    interface_breaks: bool,
    is_published: bool,
    changes: Vec<Change>,
}

/// Where a change is.
struct At<'a> {
    operation: Option<&'a str>,
    place: Option<&'a Place>,
    subject: String,
}

impl Comparison {
    fn models(mut self, old: &Model, new: &Model) -> Vec<Change> {
        let at = |subject: &str| At { operation: None, place: None, subject: subject.to_owned() };
        for (key, before, after) in both(&old.general, &new.general) {
            let detail = was_and_is(before, after);
            self.push(&at(&format!("the {key}")), key, detail, Effect::Documented, Section::Changed);
        }
        let mut matched = BTreeSet::new();
        for operation in &old.operations {
            let others = || new.operations.iter().enumerate().filter(|(index, _)| !matched.contains(index));
            // By what is on the wire first: an id is ours to give.
            let same = others()
                .find(|(_, other)| other.title == operation.title)
                .or_else(|| others().find(|(_, other)| !other.id.is_empty() && other.id == operation.id));
            match same {
                Some((index, other)) => {
                    matched.insert(index);
                    self.operation(operation, other);
                }
                None => {
                    let at = At { operation: Some(&operation.title), ..at(&format!("operation `{}`", operation.id)) };
                    self.push(&at, "operation", "removed".into(), Effect::BreaksCallers, Section::Removed);
                }
            }
        }
        for (_, operation) in new.operations.iter().enumerate().filter(|(index, _)| !matched.contains(index)) {
            let at = At { operation: Some(&operation.title), ..at(&format!("operation `{}`", operation.id)) };
            self.push(&at, "operation", "added".into(), Effect::Compatible, Section::Added);
        }
        fold(self.changes)
    }

    fn operation(&mut self, old: &Operation, new: &Operation) {
        let title = new.title.as_str();
        let at = |subject: String| At { operation: Some(title), place: None, subject };
        let whole = at(format!("operation `{}`", new.id));
        if old.id != new.id {
            self.push(&whole, "id", format!("was called `{}`", old.id), Effect::BreaksCallers, Section::Changed);
        }
        if bare_path(&old.title) != bare_path(&new.title) {
            self.push(&whole, "title", format!("was {}", old.title), Effect::Compatible, Section::Changed);
        }
        for (key, before, after) in both(&old.general, &new.general) {
            let (effect, section) = match key {
                "deprecated" if after.is_some() => (Effect::Compatible, Section::Deprecated),
                "success type" | "error type" => (Effect::BreaksReaders, Section::Changed),
                "security" => (Effect::Documented, Section::Changed),
                _ => (Effect::Compatible, Section::Changed),
            };
            match key {
                "deprecated" => {
                    let detail = if after.is_some() { "is deprecated" } else { "is no longer deprecated" };
                    self.push(&whole, key, detail.into(), effect, section);
                }
                _ => self.push(&at(format!("the {key}")), key, was_and_is(before, after), effect, section),
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
            let at = At { operation: Some(title), place: Some(place), subject: subject(place, name) };
            match (before, after) {
                (None, Some(fact)) if !is_told => self.added(&at, place, fact),
                (Some(_), None) if !is_told => {
                    let effect = match place {
                        // What the operation returns is told by its type, but for a variant of a union.
                        Place::Reply { statuses, path } if path.is_empty() => match is_by_status(old, statuses) {
                            true => Effect::BreaksReaders,
                            false => Effect::Compatible,
                        },
                        Place::Reply { .. } => Effect::BreaksReaders,
                        _ => Effect::BreaksCallers,
                    };
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
        let is_status = matches!(place, Place::Reply { path, .. } if path.is_empty());
        let is_body = matches!(place, Place::Request(path) if path.is_empty());
        // A field of an object that may itself be missing is asked for all the same, by the object's constructor.
        let effect = match (place.is_received(), fact.required || is_body) {
            (true, _) => Effect::Compatible,
            (false, true) => Effect::BreaksCallers,
            (false, false) => Effect::Compatible,
        };
        if !is_status && !is_body {
            detail += if fact.required { ", required" } else { ", optional" };
        }
        if place.is_received() && fact.required && !is_status {
            detail += ": a reply without it is refused";
        }
        self.push(at, "place", detail, effect, Section::Added);
    }

    fn fact(&mut self, at: &At<'_>, place: &Place, old: &Fact, new: &Fact) {
        let breaking = if place.is_received() { Effect::BreaksReaders } else { Effect::BreaksCallers };
        // Where the generator decides.
        let depends = if self.interface_breaks { breaking } else { Effect::Compatible };
        let is_root = place.parents().is_empty() && !matches!(place, Place::Parameter { .. } | Place::PathParameter(_));
        if old.kind != new.kind {
            self.push(at, "kind", format!("was {}, is {}", old.kind, new.kind), breaking, Section::Changed);
        }
        if old.required != new.required {
            let detail = if new.required { "is required now" } else { "is optional now" };
            // A body is always sent.
            let effect = if is_root { Effect::Documented } else { breaking };
            self.push(at, "required", detail.into(), effect, Section::Changed);
        }
        match (&old.values, &new.values) {
            (Some(old), Some(new)) => {
                let (added, gone): (BTreeSet<_>, BTreeSet<_>) =
                    (new.difference(old).collect(), old.difference(new).collect());
                if !added.is_empty() {
                    self.push(
                        at,
                        "new values",
                        format!("may be {} too", list(added)),
                        Effect::Compatible,
                        Section::Added,
                    );
                }
                if !gone.is_empty() {
                    self.push(at, "old values", format!("may no longer be {}", list(gone)), breaking, Section::Removed);
                }
            }
            (None, Some(values)) => {
                self.push(at, "values", format!("is one of {} now", list(values)), breaking, Section::Changed)
            }
            (Some(_), None) => self.push(at, "values", "may be any text now".into(), breaking, Section::Changed),
            (None, None) => {}
        }
        let (mut before, mut after) = (old.order.clone(), new.order.clone());
        let shown = list(&new.order);
        before.retain(|name| new.order.contains(name));
        after.retain(|name| old.order.contains(name));
        if before != after && !place.is_received() {
            self.push(
                at,
                "order",
                format!("asks for its fields in another order: {shown}"),
                breaking,
                Section::Changed,
            );
        }
        if let (Some(old), Some(new)) = (&old.type_name, &new.type_name)
            && old != new
            // The type of a reply is the operation's.
            && !(is_root && place.is_received())
        {
            self.push(
                at,
                "name",
                format!("has the type `{new}` now, which was called `{old}`"),
                breaking,
                Section::Changed,
            );
        }
        for (key, before, after) in both(&old.facets, &new.facets) {
            let effect = match key {
                "name" | "deprecated" => Effect::Compatible,
                key if key == "default" && before.is_some() && after.is_some() => Effect::Compatible,
                _ => depends,
            };
            let section = if key == "deprecated" && after.is_some() { Section::Deprecated } else { Section::Changed };
            let detail = match (key, before, after) {
                ("name", Some(before), _) => format!("was called `{before}`"),
                ("deprecated", ..) => if after.is_some() { "is deprecated" } else { "is no longer deprecated" }.into(),
                ("nullable", _, Some("true")) => "may be null now".into(),
                ("nullable", ..) => "may no longer be null".into(),
                _ => format!("has another `{key}`: {}", was_and_is(before, after)),
            };
            debug_assert!(
                BOUNDS.contains(&key)
                    || ["default", "nullable", "deprecated", "name", "additionalProperties"].contains(&key)
            );
            self.push(at, key, detail, effect, section);
        }
    }

    fn push(&mut self, at: &At<'_>, aspect: &str, detail: String, effect: Effect, section: Section) {
        self.changes.push(Change {
            operation: at.operation.map(str::to_owned),
            place: at.place.cloned(),
            aspect: aspect.to_owned(),
            subject: at.subject.clone(),
            detail,
            effect: if self.is_published { Effect::Documented } else { effect },
            section,
        });
    }
}

/// Whether the replies of an operation are told apart by status.
fn is_by_status(operation: &Operation, statuses: &[String]) -> bool {
    let key = if is_success(statuses) { "success type" } else { "error type" };
    operation.general.get(key).is_some_and(|ty| ty.ends_with("by status"))
}

fn is_success(statuses: &[String]) -> bool {
    statuses.iter().all(|status| status.starts_with('2'))
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

/// How a report calls a place.
fn subject(place: &Place, name: Option<&str>) -> String {
    match place {
        Place::PathParameter(_) => format!("path parameter `{}`", name.unwrap_or_default()),
        Place::Parameter { place, name } if place == "header" => format!("header `{name}`"),
        Place::Parameter { place, name } => format!("{place} parameter `{name}`"),
        Place::Request(path) if path.is_empty() => "request body".into(),
        Place::Request(path) => format!("request field `{path}`"),
        Place::Reply { statuses, path } => {
            let word = match statuses.first().and_then(|status| status.chars().next()) {
                Some('4' | '5') => "error",
                _ => "reply",
            };
            let statuses = statuses.join(", ");
            if path.is_empty() { format!("{word} {statuses}") } else { format!("{word} {statuses} field `{path}`") }
        }
    }
}

/// A title without the names in its path, which are not on the wire.
fn bare_path(title: &str) -> String {
    let mut parts = title.split('{');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |path, part| format!("{path}{{}}{}", part.split_once('}').map_or("", |(_, rest)| rest)))
}

/// The keys whose values differ, with both values.
fn both<'a>(
    old: &'a BTreeMap<&'static str, String>,
    new: &'a BTreeMap<&'static str, String>,
) -> Vec<(&'static str, Option<&'a str>, Option<&'a str>)> {
    let keys: BTreeSet<&'static str> = old.keys().chain(new.keys()).copied().collect();
    let pair = |key| (key, old.get(key).map(String::as_str), new.get(key).map(String::as_str));
    keys.into_iter().map(pair).filter(|(_, old, new)| old != new).collect()
}

fn was_and_is(before: Option<&str>, after: Option<&str>) -> String {
    let show = |value: Option<&str>| value.filter(|value| !value.is_empty()).unwrap_or("nothing").to_owned();
    format!("was {}, is {}", show(before), show(after))
}

fn list(names: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    names.into_iter().map(|name| format!("`{}`", name.as_ref())).collect::<Vec<_>>().join(", ")
}
