//! The harden stage: progenitor's types without ways to leak, and the client and its operations.
//!
//! progenitor supplies the module `types` and nothing else. Its client and its methods are not used: its error prints
//! bodies, headers and URLs (T4) and loses the status of a reply that it cannot read (T7), and its hooks can neither return
//! another error nor be written outside of the product crates (T14). URL, headers and body of a request, and the arguments
//! of an operation, come from the normalized document. The code calls `flinks_core`, and no type of progenitor is in a public
//! interface.
//!
//! | module | about |
//! | --- | --- |
//! | `operation` | the method and the type of one operation |
//! | `arguments` | its arguments: order, names and types |
//! | `request` | how its request is built |
//! | `outcome` | how its reply is read |
//! | `types` | the hardened types |
//! | `reply_body` | the fields of a reply as constants |
//! | `uses` | which types are sent and which are received |
//! | `secret_fields` | which fields hold a secret |
//! | `attributes` | parts of Rust syntax |

mod arguments;
pub(crate) mod attributes;
mod operation;
mod outcome;
mod reply_body;
mod request;
mod secret_fields;
mod types;
mod uses;

use attributes::{doc, docs};
use operation::{Operation, operations};
use proc_macro2::TokenStream;
use quote::quote;
use syn::Attribute;

use crate::generate::normalize::form::{Normalized, SecretPlace};
use crate::generate::progenitor::Types;
use crate::{Error, Result};

/// What the document tells about itself.
pub struct Constants {
    /// Its title.
    pub title: String,
    /// Its description.
    pub description: String,
    /// Its version.
    pub version: String,
    /// The sha256 of its bytes.
    pub sha256: String,
}

/// Builds the generated file: the hardened types, and the client with its operations.
///
/// # Errors
///
/// Returns an error if progenitor's types have a shape that is not known here, if an operation has a form that no client can
/// send, or if the mark of a secret had no effect.
pub fn harden(types: &Types, normalized: &Normalized, constants: &Constants) -> Result<syn::File> {
    let operations = operations(types, normalized)?;
    let (types, secrets) = types::harden(types.module.clone(), normalized, &operations)?;
    let headers = normalized.secrets.iter().filter(|place| matches!(place, SecretPlace::Header { .. }));
    let secrets: Vec<String> = secrets.into_iter().chain(headers.map(ToString::to_string)).collect();
    let file = assemble(constants, &secrets, types, &operations);
    let mut file: syn::File =
        syn::parse2(file).map_err(|error| Error::new(format!("the hardened code is not Rust: {error}")))?;
    syn::visit_mut::visit_file_mut(&mut DocLines, &mut file);
    syn::visit_mut::visit_file_mut(&mut RelativePaths, &mut file);
    Ok(file)
}

fn assemble(constants: &Constants, secrets: &[String], types: syn::ItemMod, operations: &[Operation]) -> TokenStream {
    let Constants { title, description, version, sha256 } = constants;
    let client_doc =
        format!("A client for {title}.\n\n{description}\n\nCloning is cheap; clones share their connections.");
    let methods = operations.iter().map(Operation::method);
    let builders = operations.iter().map(Operation::builder);
    quote! {
        /// The version of the document that this client was generated from.
        pub const SPEC_VERSION: &str = #version;
        /// The sha256 of the document that this client was generated from, in hexadecimal.
        pub const SPEC_SHA256: &str = #sha256;
        /// Every field and header that is a secret: a redacted type, sensitive on the wire. (`Debug` redacts every other
        /// text too.)
        pub const SECRETS: &[&str] = &[#(#secrets),*];

        #types

        #[doc = #client_doc]
        #[derive(Clone, Debug)]
        pub struct Client {
            transport: ::flinks_core::Transport,
        }

        impl Client {
            /// A client with the default limits.
            ///
            /// # Errors
            ///
            /// Where no [`Transport`](::flinks_core::Transport) can be built.
            pub fn new(base_url: ::flinks_core::BaseUrl) -> Result<Self, ::flinks_core::BuildError> {
                Ok(Self::with_transport(::flinks_core::Transport::new(base_url)?))
            }

            /// A client with limits of one's own.
            pub fn with_transport(transport: ::flinks_core::Transport) -> Self {
                Self { transport }
            }

            #(#methods)*
        }

        /// One type for each operation: it holds the required arguments, takes the optional ones, and is sent.
        pub mod operation {
            #[allow(unused_imports)]
            use super::{Client, types};
            #[allow(unused_imports)]
            use ::flinks_core::generated::{
                ACCEPT, CONTENT_TYPE, HeaderArgument as _, HeaderName, HeaderValue, Operation,
                empty_or_error_response, empty_response, encode_path, form_body, header_text, json_or_error_response, json_response, response_error, status_error, undocumented_status,
            };
            use ::flinks_core::{Error, ResponseValue};

            #(#builders)*
        }
    }
}

/// `crate::types::X` as `types::X`, so that the file may be any module.
struct RelativePaths;

impl syn::visit_mut::VisitMut for RelativePaths {
    fn visit_path_mut(&mut self, path: &mut syn::Path) {
        let is_local = path.segments.iter().map(|segment| segment.ident.to_string()).take(2).eq(["crate", "types"]);
        if is_local {
            path.segments = path.segments.iter().skip(1).cloned().collect();
        }
        syn::visit_mut::visit_path_mut(self, path);
    }
}

/// A doc comment a line, so that it prints as `///`.
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
