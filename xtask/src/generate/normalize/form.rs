//! Defines the normal form that the later stages read.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::field_names::WireNames;
use crate::spec::schema;

/// A document in normal form, along with any information that normal form cannot express.
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
    /// The response properties that are treated as absent if they cannot be decoded, each given as
    /// a schema name and a property name.
    pub lenient: BTreeSet<(String, String)>,
    /// The choices between schemas, keyed by the name of the choice. The document has a placeholder
    /// for each choice.
    pub choices: BTreeMap<String, Choice>,
    /// The wire names of renamed properties.
    pub wire_names: WireNames,
    /// The names of all schemas, keyed by type name.
    pub schema_names: BTreeMap<String, String>,
    /// The original locations of schemas that had no name in the document.
    pub origins: BTreeMap<String, Origin>,
}

impl Normalized {
    /// Returns the success and error bodies of all operations.
    pub fn outcomes(&self) -> impl Iterator<Item = &Bodies> {
        self.operations.iter().flat_map(|operation| [&operation.success, &operation.error])
    }

    /// Returns the schema that became the type with this name.
    pub(crate) fn schema_of(&self, type_name: &str) -> Option<&Value> {
        schema::named(&self.document, self.schema_names.get(type_name)?)
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
    /// The maximum size of a JSON response in bytes, if it differs from the default.
    pub max_response_bytes: Option<u64>,
    /// The documented response headers, in lower case, excluding those that are always kept.
    pub response_headers: Vec<String>,
    /// The response fields that can contain an error code. A response with an error code is an
    /// error, regardless of its status.
    pub error_codes: Vec<String>,
    /// The description of the required credentials.
    pub credentials: String,
    /// The sets of OAuth scopes. The credentials must have all the scopes in at least one of the
    /// sets.
    pub scopes: Vec<Vec<String>>,
    /// The alternatives, if the caller chooses between several kinds of credentials.
    pub credential_choice: Option<CredentialChoice>,
    /// The servers that the document lists for this operation only.
    pub servers: Vec<String>,
    /// Whether the operation is deprecated.
    pub deprecated: bool,
    /// The bodies of successful responses.
    pub success: Bodies,
    /// The bodies of error responses.
    pub error: Bodies,
}

impl Operation {
    /// Returns the sets of scopes in words, such as "`a` and `b`, or `c`".
    pub(crate) fn scope_words(&self) -> String {
        let set = |scopes: &Vec<String>| {
            let scopes: Vec<String> = scopes.iter().map(|scope| format!("`{}`", scope.replace('`', ""))).collect();
            scopes.join(" and ")
        };
        self.scopes.iter().map(set).collect::<Vec<_>>().join(", or ")
    }
}

impl OtherBody {
    /// Describes the result in words.
    pub(crate) fn words(&self) -> &'static str {
        match self {
            Self::Stream(_) => "stream of bytes",
            Self::Redirect => "redirect",
        }
    }
}

/// A choice between several kinds of credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialChoice {
    /// The name of the type, such as `ApiKeyOrBearer`.
    pub type_name: String,
    /// The alternatives, sorted by name.
    pub variants: Vec<CredentialVariant>,
    /// Whether the operation requires credentials.
    pub is_required: bool,
}

/// An alternative of a [`CredentialChoice`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialVariant {
    /// The Rust name of the security scheme or schemes.
    pub name: String,
    /// The headers that are sent.
    pub headers: Vec<CredentialHeader>,
}

/// A header that contains a credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialHeader {
    /// The name of the header.
    pub name: String,
    /// Whether the credential is a `flinks_core::Authorization`. Any other credential is a
    /// `flinks_core::Secret`.
    pub is_authorization: bool,
    /// The description of the security scheme.
    pub description: String,
}

/// The documented bodies of one outcome.
#[derive(Debug, Default)]
pub struct Bodies {
    /// The documented bodies, one for each status.
    pub bodies: Vec<Body>,
    /// The name of the union, if the bodies have different schemas (T12).
    pub union: Option<String>,
}

/// A documented body.
#[derive(Clone, Debug)]
pub struct Body {
    /// A status such as `200`, or a range such as `4XX`.
    pub status: String,
    /// The name of the schema, or `None` if the status is documented without a JSON body.
    pub schema: Option<String>,
    /// The documented media type of a JSON body.
    pub media_type: Option<String>,
    /// The body, if it is not JSON.
    pub other: Option<OtherBody>,
}

impl Body {
    /// Creates a body without content.
    pub(crate) fn empty(status: &str) -> Self {
        Self { status: status.to_owned(), schema: None, media_type: None, other: None }
    }

    /// Creates a JSON body.
    pub(crate) fn json(status: &str, schema: &str, media_type: &str) -> Self {
        Self { schema: Some(schema.to_owned()), media_type: Some(media_type.to_owned()), ..Self::empty(status) }
    }
}

/// A documented result that is not JSON.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum OtherBody {
    /// A stream of bytes with one of these media types.
    Stream(Vec<String>),
    /// A redirect that is not followed.
    Redirect,
}

/// A schema whose values each match one of several other schemas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The alternatives, in the order in which they are tried.
    pub variants: Vec<ChoiceVariant>,
    /// The property whose value selects the alternative.
    pub discriminator: Option<Discriminator>,
    /// The base schema that all alternatives extend, if any. The base schema is used for values
    /// that match no known alternative.
    pub base: Option<String>,
}

/// An alternative of a [`Choice`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChoiceVariant {
    /// The name of the variant.
    pub name: String,
    /// The name of the schema.
    pub schema: String,
    /// The name of the schema that the document refers to. It differs from `schema` if the document
    /// describes properties alongside the choice.
    pub documented: String,
}

/// A property whose value selects the alternative of a [`Choice`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discriminator {
    /// The name of the property.
    pub property: String,
    /// The values of the property, each with the name of the schema that the value selects.
    pub tags: Vec<(String, String)>,
}

/// The location of a secret.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SecretPlace {
    /// A property of a named schema, or a value nested in such a property.
    Property {
        /// The schema.
        schema: String,
        /// The property's wire name.
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
