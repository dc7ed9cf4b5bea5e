//! Describes a change to a document by its place, wording and effect.

use super::place::Place;

/// A change to a document.
#[derive(Clone, Debug)]
pub struct Change {
    /// The operation, such as `POST /api/v1/token`, or `None` if the change affects the whole
    /// document.
    pub operation: Option<String>,
    pub(super) place: Option<Place>,
    /// The changed aspect of the place, such as `required`. Two changes with the same place and
    /// aspect count as one change.
    pub(super) aspect: String,
    /// The subject of the sentence that describes the change, such as `request body`.
    pub(super) subject: String,
    /// The rest of the sentence that describes the change.
    pub(super) detail: String,
    /// Whether the body also contains the changed schema at other places, for which the change is
    /// not reported.
    pub(super) has_more: bool,
    /// The reason for the change, if the place did not itself change in the document.
    pub(super) reason: Option<String>,
    /// The effect on the generated code and its users.
    pub effect: Effect,
    /// The changelog section that lists the change.
    pub section: Section,
}

/// The effect of a change on the generated code and its users.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Effect {
    /// The effect is unknown because code generation failed for the document.
    Unknown,
    /// Only the document changes. The generated code behaves as before.
    Documented,
    /// Existing code needs no change.
    Compatible,
    /// Code that reads a response may have to change.
    BreaksReaders,
    /// Code that calls the operation has to change.
    BreaksCallers,
}

impl Effect {
    /// Returns the words that reports use for this effect.
    pub fn words(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Documented => "documentation only",
            Self::Compatible => "compatible",
            Self::BreaksReaders => "breaking for code that reads it",
            Self::BreaksCallers => "breaking for callers",
        }
    }

    /// Returns whether the code in dependent crates may have to change.
    pub fn is_breaking(self) -> bool {
        self >= Self::BreaksReaders
    }
}

/// The Keep a Changelog sections for changes to a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)]
pub enum Section {
    Added,
    Changed,
    Deprecated,
    Removed,
}

impl Change {
    /// Describes the change in one line.
    pub fn text(&self) -> String {
        let more = if self.has_more { ", like further fields of the same type" } else { "" };
        let reason = self.reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
        format!("{} {}{more}{reason}", self.subject, self.detail)
    }

    /// Returns whether this change already covers a change to the published document.
    pub(super) fn covers(&self, published: &Self) -> bool {
        let (is_place, is_default) = match (&self.place, &published.place) {
            (
                Some(one @ Place::Response { statuses, path }),
                Some(another @ Place::Response { statuses: others, path: other }),
            ) => {
                // `default` stands for the error statuses, or for all statuses.
                let is_default = others.iter().any(|status| status == "default");
                let is_path = path == other || one.is_same_without_alternatives(another);
                (is_path && (is_default || others.iter().any(|status| statuses.contains(status))), is_default)
            }
            (Some(one), Some(other)) => (one == other || one.is_same_without_alternatives(other), false),
            (one, other) => (one == other, false),
        };
        let is_place = is_place || self.has_more && self.is_elsewhere(published);
        let is_whole = self.place.is_some() && self.aspect == "place";
        self.operation == published.operation && is_place && (is_default || is_whole || self.aspect == published.aspect)
    }

    /// Returns whether another change concerns the same field, possibly at another place in the
    /// same body.
    fn is_elsewhere(&self, other: &Self) -> bool {
        let last = |change: &Self| change.place.as_ref().and_then(|place| place.path()?.last().cloned());
        let is_received = |change: &Self| change.place.as_ref().is_some_and(Place::is_received);
        is_received(self) == is_received(other) && last(self).is_some() && last(self) == last(other)
    }
}
