//! A change: its place, its kind and its effect.

use super::place::Place;

/// A change.
#[derive(Clone, Debug)]
pub struct Change {
    /// The operation, such as `POST /api/v1/token`; `None` if it concerns the whole document.
    pub operation: Option<String>,
    pub(super) place: Option<Place>,
    /// Which side of the place changed: two changes of one side are the same change.
    pub(super) aspect: String,
    /// What is another now, with the name of the place.
    pub(super) subject: String,
    pub(super) detail: String,
    /// Its effect.
    pub effect: Effect,
    /// The section of a changelog that lists it.
    pub section: Section,
}

/// The effect of a change on the generated code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// No code can be made of the document, so nobody knows.
    Unknown,
    /// The document says otherwise, the code does not.
    Documented,
    /// Existing code works as before.
    Compatible,
    /// Code that reads a reply may have to change.
    BreaksReaders,
    /// Code that calls the operation has to change.
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
    /// The change in one line.
    pub fn text(&self) -> String {
        format!("{} {}", self.subject, self.detail)
    }

    /// Whether this change covers a change of the published document.
    pub(super) fn covers(&self, published: &Self) -> bool {
        let (is_place, is_default) = match (&self.place, &published.place) {
            (Some(Place::Reply { statuses, path }), Some(Place::Reply { statuses: others, path: other })) => {
                // `default` stands for the statuses of the errors, or for all.
                let is_default = others.iter().any(|status| status == "default");
                (path == other && (is_default || others.iter().any(|status| statuses.contains(status))), is_default)
            }
            (one, other) => (one == other, false),
        };
        let is_whole = self.place.is_some() && self.aspect == "place";
        self.operation == published.operation && is_place && (is_default || is_whole || self.aspect == published.aspect)
    }
}
