//! The normal form of a document: the types that the later stages read.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// A document in normal form, and what that form cannot say.
#[derive(Debug)]
pub struct Normalized {
    /// The document.
    pub document: Value,
    /// Its operations, in the order of the document. One without an `operationId` is left to the lint.
    pub operations: Vec<Operation>,
    /// Named schemas that are secrets: each becomes a separate type.
    pub secret_types: BTreeSet<String>,
    /// Everything that is marked as secret.
    pub secrets: Vec<SecretPlace>,
    /// Properties of replies that count as absent if they cannot be read: the named schema, and the property.
    pub lenient: BTreeSet<(String, String)>,
    /// Where a named schema stood in the document as it was read, if it had no name there.
    pub origins: BTreeMap<String, Origin>,
}

impl Normalized {
    /// The successes and the errors of all operations.
    pub fn outcomes(&self) -> impl Iterator<Item = &Bodies> {
        self.operations.iter().flat_map(|operation| [&operation.success, &operation.error])
    }

    /// The names of the schemas that are bodies of replies.
    pub fn reply_schemas(&self) -> impl Iterator<Item = &str> {
        self.outcomes().flat_map(|bodies| &bodies.bodies).filter_map(|body| body.schema.as_deref())
    }
}

/// Where a schema stood.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The operation that it stood in, as messages call it.
    pub operation: Option<String>,
    /// Its JSON pointer.
    pub pointer: String,
    /// The schema as it was read, before its parts got names.
    pub(super) raw: Value,
}

/// An operation, as the later stages need it.
#[derive(Debug)]
pub struct Operation {
    /// Its `operationId`.
    pub id: String,
    /// Its JSON pointer.
    pub pointer: String,
    /// Its method, in lower case.
    pub method: &'static str,
    /// Its path, with the names of its parameters in braces.
    pub path: String,
    /// The `Content-Type` that a request without a body carries all the same (T2).
    pub content_type: Option<String>,
    /// How long it may take, where the default does not do.
    pub timeout_seconds: Option<u64>,
    /// The fields of a reply that hold an error code: a success never has one.
    pub error_codes: Vec<String>,
    /// The credentials that its security requirement demands, in words.
    pub credentials: String,
    /// Whether the document advises against it.
    pub deprecated: bool,
    /// The bodies of a success.
    pub success: Bodies,
    /// The bodies of an error.
    pub error: Bodies,
}

/// The documented bodies of one outcome.
#[derive(Debug, Default)]
pub struct Bodies {
    /// The documented bodies, by status.
    pub bodies: Vec<Body>,
    /// The name of the union, where the bodies are not all of one schema (T12).
    pub union: Option<String>,
}

/// A documented body.
#[derive(Clone, Debug)]
pub struct Body {
    /// A status such as `200`, or a range such as `4XX`.
    pub status: String,
    /// The name of its schema; `None` if the status is documented without a body.
    pub schema: Option<String>,
}

/// Where a secret is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SecretPlace {
    /// A property, or a value below it, of a named schema.
    Property {
        /// The schema.
        schema: String,
        /// The property, by its name on the wire.
        property: String,
    },
    /// A header parameter.
    Header {
        /// The `operationId`.
        operation: String,
        /// The header.
        name: String,
    },
}

impl std::fmt::Display for SecretPlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Property { schema, property } => write!(f, "{schema}.{property}"),
            Self::Header { operation, name } => write!(f, "{operation} header {name}"),
        }
    }
}
