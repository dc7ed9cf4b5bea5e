//! The harden stage rewrites progenitor's types so that they cannot leak secrets, and generates
//! the client and its operations.
//!
//! Only the `types` module comes from progenitor. The client and methods that progenitor generates
//! are not used, for two reasons. Errors from progenitor's client expose bodies, headers and
//! URLs when printed (T4), and they lack the status of a response that cannot be decoded (T7). The
//! hooks in progenitor's client cannot return a different error and cannot be implemented outside
//! the product crates (T14). An operation's URL, headers, body and arguments come from the
//! normalized document. The generated code calls `flinks_core`, and its public API contains no
//! progenitor types.
//!
//! | module | contents |
//! | --- | --- |
//! | `operation` | the client method and the builder for one operation |
//! | `arguments` | an operation's arguments: order, names and types |
//! | `credentials` | the choice between several kinds of credentials |
//! | `request` | the code that builds a request |
//! | `outcome` | the code that decodes a response |
//! | `types` | the hardened types |
//! | `constructor` | the constructor and the setters for a request type |
//! | `choices` | the enums for choices between schemas |
//! | `reply_body` | constants for the fields of a response body |
//! | `uses` | the types that are sent and the types that are received |
//! | `secret_fields` | the fields that contain a secret |
//! | `attributes` | helpers for Rust syntax |

mod arguments;
pub(crate) mod attributes;
mod choices;
mod constructor;
mod credentials;
mod operation;
mod outcome;
mod reply_body;
mod request;
mod secret_fields;
mod types;
mod uses;

use attributes::{doc, docs, starts_with};
use operation::{Operation, operations};
use proc_macro2::TokenStream;
use quote::quote;
use syn::Attribute;

use crate::generate::normalize::form::{Normalized, SecretPlace};
use crate::generate::progenitor::Types;
use crate::{Error, Result};

/// A document's metadata.
pub struct Constants {
    /// The title.
    pub title: String,
    /// The description.
    pub description: String,
    /// The version.
    pub version: String,
    /// The SHA-256 hash of the document's bytes.
    pub sha256: String,
    /// The URLs of the servers.
    pub servers: Vec<String>,
}

/// Builds the generated file: the hardened types and the client with its operations.
///
/// # Errors
///
/// Returns an error if progenitor's types have an unexpected shape, if the generated client could
/// not send the request for an operation, or if a field is marked as a secret but the generated
/// code does not treat it as one.
pub fn harden(types: Types, normalized: &Normalized, constants: &Constants) -> Result<syn::File> {
    let operations = operations(&types, normalized)?;
    let (types, secrets) = types::harden(types.module, normalized, &operations)?;
    let headers = normalized.secrets.iter().filter(|place| matches!(place, SecretPlace::Header { .. }));
    let secrets: Vec<String> = secrets.into_iter().chain(headers.map(ToString::to_string)).collect();
    let mut file = assemble(constants, &secrets, types, &operations, credentials::module(normalized))?;
    syn::visit_mut::visit_file_mut(&mut DocLines, &mut file);
    syn::visit_mut::visit_file_mut(&mut RelativePaths, &mut file);
    Ok(file)
}

/// Combines the parts of the generated file. The `types` module is already a syntax tree and is not
/// parsed again.
fn assemble(
    constants: &Constants,
    secrets: &[String],
    types: syn::ItemMod,
    operations: &[Operation],
    credentials: Option<TokenStream>,
) -> Result<syn::File> {
    let Constants { title, description, version, sha256, servers } = constants;
    let uses = if credentials.is_some() { quote!(Client, credentials, types) } else { quote!(Client, types) };
    let client_doc = format!("A client for {title}.\n\n{description}\n\nClones are cheap and share their connections.");
    let methods = operations.iter().map(Operation::method);
    let builders = operations.iter().map(Operation::builder);
    let constants = quote! {
        /// The version of the OpenAPI document that this client was generated from.
        pub const SPEC_VERSION: &str = #version;
        /// The SHA-256 hash, in hexadecimal, of the OpenAPI document that this client was generated
        /// from.
        pub const SPEC_SHA256: &str = #sha256;
        /// The fields and headers that contain secrets. `Debug` output redacts these fields and all
        /// other strings. The headers are marked as sensitive.
        pub const SECRETS: &[&str] = &[#(#secrets),*];

        /// The servers that the document lists. If a server has a path, the base URL of a client
        /// must include that path.
        pub const SERVERS: &[&str] = &[#(#servers),*];
    };
    let client = quote! {
        #[doc = #client_doc]
        #[derive(Clone, Debug)]
        pub struct Client {
            transport: ::flinks_core::Transport,
        }

        impl Client {
            /// Creates a client with the default limits.
            ///
            /// # Errors
            ///
            /// Returns an error if the [`Transport`](::flinks_core::Transport) cannot be built.
            pub fn new(base_url: ::flinks_core::BaseUrl) -> Result<Self, ::flinks_core::BuildError> {
                Ok(Self::with_transport(::flinks_core::Transport::new(base_url)?))
            }

            /// Creates a client with a custom transport.
            pub fn with_transport(transport: ::flinks_core::Transport) -> Self {
                Self { transport }
            }

            #(#methods)*
        }

        #credentials

        /// Request builders, one for each operation.
        ///
        /// Each operation method of [`Client`] creates a builder from the required arguments. A
        /// builder has one method for each optional argument and a `send` method that sends the
        /// request.
        pub mod operation {
            #[allow(unused_imports)]
            use super::{#uses};
            #[allow(unused_imports)]
            use ::flinks_core::generated::*;
            use ::flinks_core::{Error, ResponseValue};

            #(#builders)*
        }
    };
    let parse = |code: TokenStream| {
        syn::parse2::<syn::File>(code)
            .map_err(|error| Error::new(format!("failed to parse the hardened code: {error}")))
    };
    let mut file = parse(constants)?;
    file.items.push(syn::Item::Mod(types));
    file.items.extend(parse(client)?.items);
    Ok(file)
}

/// Rewrites `crate::types::X` to `types::X` so that the file can be placed in any module of a
/// crate.
struct RelativePaths;

impl syn::visit_mut::VisitMut for RelativePaths {
    fn visit_path_mut(&mut self, path: &mut syn::Path) {
        let is_local = starts_with(path, &["crate", "types"]);
        if is_local {
            path.segments = path.segments.iter().skip(1).cloned().collect();
        }
        syn::visit_mut::visit_path_mut(self, path);
    }
}

/// Splits doc comments into lines so that each line is printed as a `///` comment.
struct DocLines;

impl syn::visit_mut::VisitMut for DocLines {
    fn visit_attributes_mut(&mut self, attributes: &mut Vec<Attribute>) {
        *attributes = std::mem::take(attributes)
            .into_iter()
            .flat_map(|attribute| {
                let text = docs(std::slice::from_ref(&attribute));
                if !attribute.path().is_ident("doc") || text.is_empty() {
                    return vec![attribute];
                }
                let line = |line: &str| if line.is_empty() { doc("") } else { doc(&format!(" {line}")) };
                text.lines().map(line).collect()
            })
            .collect();
    }
}
