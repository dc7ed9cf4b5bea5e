//! Defines the normal form that the later stages read.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// A document in normal form, with the information that this form cannot express.
#[derive(Debug)]
pub struct Normalized {
    /// The document.
    pub document: Value,
    /// The operations in document order. Operations without an `operationId` are omitted, because
    /// the lint reports them.
    pub operations: Vec<Operation>,
    /// The named schemas whose values are secrets. Each of these schemas becomes a separate type.
    pub secret_types: BTreeSet<String>,
    /// The locations of all properties and parameters that are marked as secrets.
    pub secrets: Vec<SecretPlace>,
    /// The response properties that are treated as absent if they cannot be decoded, as pairs of a
    /// named schema and a property.
    pub lenient: BTreeSet<(String, String)>,
    /// The original locations of schemas that had no name in the document.
    pub origins: BTreeMap<String, Origin>,
}

impl Normalized {
    /// Returns the success and error bodies of all operations.
    pub fn outcomes(&self) -> impl Iterator<Item = &Bodies> {
        self.operations.iter().flat_map(|operation| [&operation.success, &operation.error])
    }

    /// Returns the names of all response body schemas.
    pub fn reply_schemas(&self) -> impl Iterator<Item = &str> {
        self.outcomes().flat_map(|bodies| &bodies.bodies).filter_map(|body| body.schema.as_deref())
    }
}

/// The original location of a schema.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The name of the schema's operation, as it appears in messages.
    pub operation: Option<String>,
    /// The JSON pointer.
    pub pointer: String,
    /// The original schema, before its parts were named.
    pub(super) raw: Value,
}

/// An operation in normal form.
#[derive(Debug)]
pub struct Operation {
    /// The `operationId`.
    pub id: String,
    /// The JSON pointer.
    pub pointer: String,
    /// The HTTP method in lower case.
    pub method: &'static str,
    /// The path, with parameter names in braces.
    pub path: String,
    /// The `Content-Type` header of a request without a body, if the document requires that header
    /// (T2).
    pub content_type: Option<String>,
    /// The timeout in seconds, if it differs from the default.
    pub timeout_seconds: Option<u64>,
    /// The response fields that can contain an error code. A response with an error code is an
    /// error, regardless of its status.
    pub error_codes: Vec<String>,
    /// The description of the required credentials.
    pub credentials: String,
    /// Whether the operation is deprecated.
    pub deprecated: bool,
    /// The bodies of successful responses.
    pub success: Bodies,
    /// The bodies of error responses.
    pub error: Bodies,
}

/// The documented bodies of one outcome.
#[derive(Debug, Default)]
pub struct Bodies {
    /// The documented bodies, by status.
    pub bodies: Vec<Body>,
    /// The name of the union, if the bodies have different schemas (T12).
    pub union: Option<String>,
}

/// A documented body.
#[derive(Clone, Debug)]
pub struct Body {
    /// A status such as `200`, or a range such as `4XX`.
    pub status: String,
    /// The name of the schema, or `None` if the status is documented without a body.
    pub schema: Option<String>,
}

/// The location of a secret.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SecretPlace {
    /// A property of a named schema, or a value nested in such a property.
    Property {
        /// The schema.
        schema: String,
        /// The property's name on the wire.
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
