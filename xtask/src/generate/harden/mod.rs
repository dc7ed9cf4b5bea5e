//! The harden stage: removes from progenitor's code what no generated client may do, and adds what it lacks.
//!
//! progenitor's own runtime is left behind as a whole. Its error prints bodies, headers and URLs (T4), loses the status
//! of a reply that it cannot read (T7), and its hooks can neither return another error nor be written outside of the
//! product crates (T14). So generated code calls `flinks_core` where it called `progenitor_client`, and no type of
//! progenitor is in a public interface.

pub(crate) mod attributes;
mod operations;
mod secret_fields;
mod types;
mod uses;

use attributes::{doc, docs, unknown_shape};
use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{Attribute, Item};

use crate::generate::normalize::form::{Normalized, SecretPlace};
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

/// Makes progenitor's code safe.
///
/// # Errors
///
/// Where progenitor's code has another shape than the one that is known here, or a mark of a secret had no effect.
pub fn harden(tokens: TokenStream, normalized: &Normalized, constants: &Constants) -> Result<syn::File> {
    let file: syn::File =
        syn::parse2(tokens).map_err(|error| Error::new(format!("progenitor's code is not Rust: {error}")))?;
    let mut parts = Parts::default();
    for item in file.items {
        parts.take(item)?;
    }
    let types = parts.types.ok_or_else(|| unknown_shape("it has no module `types`"))?;
    let operations = operations::harden(parts.methods, normalized)?;
    let (types, secrets) = types::harden(types, normalized, &operations)?;
    let headers = normalized.secrets.iter().filter(|place| matches!(place, SecretPlace::Header { .. }));
    let secrets: Vec<String> = secrets.into_iter().chain(headers.map(ToString::to_string)).collect();
    let file = assemble(constants, &secrets, types, &operations);
    let mut file: syn::File =
        syn::parse2(file).map_err(|error| Error::new(format!("the hardened code is not Rust: {error}")))?;
    syn::visit_mut::visit_file_mut(&mut DocLines, &mut file);
    syn::visit_mut::visit_file_mut(&mut RelativePaths, &mut file);
    Ok(file)
}

/// progenitor's file, apart.
#[derive(Default)]
struct Parts {
    types: Option<syn::ItemMod>,
    methods: Vec<syn::ImplItemFn>,
}

impl Parts {
    fn take(&mut self, item: Item) -> Result<()> {
        match item {
            Item::Mod(module) if module.ident == "types" => self.types = Some(module),
            Item::Impl(block) if block.trait_.is_none() => {
                for item in block.items {
                    match item {
                        // The constructors: redirects, no limits, an `unwrap` (T5).
                        syn::ImplItem::Fn(method) if method.sig.ident == "new" => {}
                        syn::ImplItem::Fn(method) if method.sig.ident == "new_with_client" => {}
                        syn::ImplItem::Fn(method) => self.methods.push(method),
                        other => return Err(unknown_shape(&other.to_token_stream().to_string())),
                    }
                }
            }
            // The rest is the runtime that is left behind: imports, the client, `ClientInfo`, the check for hooks.
            Item::Use(_) | Item::Struct(_) | Item::Impl(_) | Item::Const(_) => {}
            Item::Mod(module) if module.ident == "prelude" => {}
            other => return Err(unknown_shape(&other.to_token_stream().to_string())),
        }
        Ok(())
    }
}

fn assemble(
    constants: &Constants,
    secrets: &[String],
    types: syn::ItemMod,
    operations: &[operations::Operation],
) -> TokenStream {
    let Constants { title, description, version, sha256 } = constants;
    let client_doc =
        format!("A client for {title}.\n\n{description}\n\nCloning is cheap; clones share their connections.");
    let methods = operations.iter().map(operations::Operation::method);
    let builders = operations.iter().map(operations::Operation::builder);
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
