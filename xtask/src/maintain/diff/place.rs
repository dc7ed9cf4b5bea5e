//! Places in a request or response, and the facts about each place.

use std::collections::{BTreeMap, BTreeSet};

/// A place in a request or response.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// A path parameter, identified by its position in the path because its name is not
    /// transmitted.
    PathParameter(usize),
    Parameter {
        place: String,
        name: String,
    },
    Request(Vec<Step>),
    Response {
        statuses: Vec<String>,
        path: Vec<Step>,
    },
}

/// One step on the path into a body.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Step {
    Field(String),
    Items,
    Values,
    /// An alternative of `oneOf` or `anyOf`, identified by its type name. A number is appended if
    /// the name is not unique.
    Option(String),
}

/// Returns a path into a body as text, such as `a.b[].c{}`.
pub(super) fn path_text(path: &[Step]) -> String {
    let mut text = String::new();
    for step in path {
        match step {
            Step::Field(name) if text.is_empty() => text.push_str(name),
            Step::Field(name) => text.push_str(&format!(".{name}")),
            Step::Items => text.push_str("[]"),
            Step::Values => text.push_str("{}"),
            Step::Option(name) => text.push_str(&format!("({name})")),
        }
    }
    text
}

/// Returns the steps of a path that do not select an alternative.
fn without_alternatives(path: &[Step]) -> impl Iterator<Item = &Step> {
    path.iter().filter(|step| !matches!(step, Step::Option(_)))
}

impl Place {
    /// Returns whether the client receives the value at this place. The client sends the values at
    /// all other places.
    pub(super) fn is_received(&self) -> bool {
        matches!(self, Self::Response { .. })
    }

    /// Returns the path into the body, or `None` for a parameter.
    pub(super) fn path(&self) -> Option<&[Step]> {
        match self {
            Self::Request(path) | Self::Response { path, .. } => Some(path),
            Self::PathParameter(_) | Self::Parameter { .. } => None,
        }
    }

    /// Returns whether two places are both sent or both received and have the same path, ignoring
    /// the alternatives of `oneOf` and `anyOf`. The normal form names the alternatives differently,
    /// and it can have alternatives where the published document has subtypes.
    pub(super) fn is_same_without_alternatives(&self, other: &Self) -> bool {
        let steps = |place: &Self| place.path().map(|path| without_alternatives(path).cloned().collect::<Vec<_>>());
        self.is_received() == other.is_received() && steps(self).is_some() && steps(self) == steps(other)
    }

    /// Returns the name of the fact that describes the type of this response.
    pub(super) fn outcome(&self) -> &'static str {
        match self {
            Self::Response { statuses, .. } if !statuses.iter().all(|status| status.starts_with('2')) => "error type",
            _ => "success type",
        }
    }

    /// Returns the place at `path` in the same body. Returns a parameter unchanged.
    pub(super) fn within(&self, path: Vec<Step>) -> Self {
        match self {
            Self::Request(_) => Self::Request(path),
            Self::Response { statuses, .. } => Self::Response { statuses: statuses.clone(), path },
            Self::PathParameter(_) | Self::Parameter { .. } => self.clone(),
        }
    }
}

/// The facts about a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fact {
    pub(super) required: bool,
    /// The kind of the value in words, such as `list of text`.
    pub(super) kind: String,
    /// The allowed values, if the document lists them.
    pub(super) values: Option<BTreeSet<String>>,
    /// All other facts, keyed by the keyword in the document.
    pub(super) facets: BTreeMap<&'static str, String>,
    /// The required fields in document order. The constructor's arguments are in the same order.
    pub(super) order: Vec<String>,
    /// The name of the Rust type, if the schema references a named schema.
    pub(super) type_name: Option<String>,
    /// The `title` and the `x-rust-name` of the schema. They are not reported, because the type that
    /// they name is reported.
    pub(super) names: [Option<String>; 2],
}
