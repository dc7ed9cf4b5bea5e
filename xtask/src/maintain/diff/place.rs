//! Places on the wire, and the facts that hold at a place.

use std::collections::{BTreeMap, BTreeSet};

/// Where something stands on the wire.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// By its place in the path rather than by its name, which is not on the wire.
    PathParameter(usize),
    Parameter {
        place: String,
        name: String,
    },
    Request(Vec<Step>),
    Reply {
        statuses: Vec<String>,
        path: Vec<Step>,
    },
}

/// A step into a body.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    Field(String),
    Items,
    Values,
    /// An alternative, by the name of its type or else by its number.
    Option(String),
}

/// A path into a body, such as `a.b[].c{}`.
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

impl Place {
    /// Whether the client reads it. What is not read is sent.
    pub(super) fn is_received(&self) -> bool {
        matches!(self, Self::Reply { .. })
    }

    /// The way into the body; `None` for a parameter.
    pub(super) fn path(&self) -> Option<&[Step]> {
        match self {
            Self::Request(path) | Self::Reply { path, .. } => Some(path),
            Self::PathParameter(_) | Self::Parameter { .. } => None,
        }
    }

    /// Under what name the operation's type of a reply is.
    pub(super) fn outcome(&self) -> &'static str {
        match self {
            Self::Reply { statuses, .. } if !statuses.iter().all(|status| status.starts_with('2')) => "error type",
            _ => "success type",
        }
    }

    /// Its parents, nearest first.
    pub(super) fn parents(&self) -> Vec<Self> {
        let ends = |path: &[Step]| {
            (0..path.len()).rev().filter_map(|end| path.get(..end).map(<[Step]>::to_vec)).collect::<Vec<_>>()
        };
        match self {
            Self::Request(path) => ends(path).into_iter().map(Self::Request).collect(),
            Self::Reply { statuses, path } => {
                ends(path).into_iter().map(|path| Self::Reply { statuses: statuses.clone(), path }).collect()
            }
            Self::PathParameter(_) | Self::Parameter { .. } => Vec::new(),
        }
    }
}

/// The fact at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fact {
    pub(super) required: bool,
    /// In words, such as `list of text`.
    pub(super) kind: String,
    /// The values of a closed list.
    pub(super) values: Option<BTreeSet<String>>,
    /// Whatever else the document says, by its keyword.
    pub(super) facets: BTreeMap<&'static str, String>,
    /// The fields that must be there, in their order, which is that of a constructor's arguments.
    pub(super) order: Vec<String>,
    /// The name of the type.
    pub(super) type_name: Option<String>,
}
