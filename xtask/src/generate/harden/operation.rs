//! Generates an operation: a client method that takes the required arguments, and a builder that
//! takes the optional arguments and sends the request.

use heck::ToPascalCase as _;
use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use serde_json::Value;
use syn::{Ident, Type};

use super::arguments::{Argument, Arguments};
use super::outcome::{self, Outcome};
use super::request::Request;
use crate::Result;
use crate::generate::normalize::form::{self, Normalized};
use crate::generate::progenitor::Types;
use crate::spec::schema::snake;

/// An operation, read from the normalized document.
pub(super) struct Operation {
    name: Ident,
    docs: String,
    arguments: Arguments,
    id: String,
    timeout_seconds: Option<u64>,
    max_response_bytes: Option<u64>,
    response_headers: Vec<String>,
    redirects: Vec<u16>,
    is_streamed: bool,
    deprecated: bool,
    request: Request,
    success: Outcome,
    error: Outcome,
}

/// Reads all operations in a document.
pub(super) fn operations(types: &Types, normalized: &Normalized) -> Result<Vec<Operation>> {
    let mut operations = Vec::new();
    for facts in &normalized.operations {
        let operation = Operation::read(facts, types, normalized);
        operations.push(operation.map_err(|error| error.in_operation(&facts.id).or_at(&facts.pointer))?);
    }
    Ok(operations)
}

impl Operation {
    fn read(facts: &form::Operation, types: &Types, normalized: &Normalized) -> Result<Self> {
        let described = normalized.document.pointer(&facts.pointer).unwrap_or(&Value::Null);
        let arguments = Arguments::read(facts, &normalized.document, types)?;
        Ok(Self {
            name: format_ident!("{}", snake(&facts.id)),
            docs: summary(facts, described, &arguments),
            id: facts.id.clone(),
            timeout_seconds: facts.timeout_seconds,
            max_response_bytes: facts.max_response_bytes,
            response_headers: facts.response_headers.clone(),
            redirects: outcome::redirects(&facts.success),
            is_streamed: outcome::is_streamed(&facts.success),
            deprecated: facts.deprecated,
            request: Request::new(facts, &arguments, normalized)?,
            arguments,
            success: outcome::success(&facts.success, &facts.error, &facts.error_codes)?,
            error: outcome::error(&facts.error)?,
        })
    }

    fn type_name(&self) -> Ident {
        format_ident!("{}", self.name.to_string().to_pascal_case())
    }

    /// Returns the types of the operation's arguments. A request contains values of the argument
    /// types and of the types nested in the argument types.
    pub(super) fn argument_types(&self) -> impl Iterator<Item = &Type> {
        self.arguments.iter().map(|argument| &argument.ty)
    }

    /// Generates the operation's client method.
    pub(super) fn method(&self) -> TokenStream {
        let (name, ty, docs) = (&self.name, self.type_name(), &self.docs);
        let required = self.arguments.required();
        let parameters = required.iter().map(|argument| argument.declaration());
        let names = required.iter().map(|argument| &argument.name);
        let optional = self.arguments.optional();
        let unset = optional.iter().map(|argument| &argument.name);
        let deprecated =
            self.deprecated.then(|| quote!(#[deprecated = "the OpenAPI document marks this operation as deprecated"]));
        quote! {
            #[doc = #docs]
            #deprecated
            pub fn #name<'a>(&'a self, #(#parameters),*) -> operation::#ty<'a> {
                operation::#ty { client: self, #(#names,)* #(#unset: None,)* }
            }
        }
    }

    /// Generates the operation's builder.
    pub(super) fn builder(&self) -> TokenStream {
        let Self { id, request: Request { accept, content_type, request, parts }, success, error, .. } = self;
        let ty = self.type_name();
        let ty_doc = format!("A request builder for the operation `{id}`, created by [`Client::{}`].", self.name);
        let must_use = "the request is not sent until `send` is called and awaited";
        let fields = self.arguments.iter().map(|argument| {
            let (name, ty) = (&argument.name, &argument.ty);
            if argument.is_optional { quote!(pub(super) #name: Option<#ty>) } else { quote!(pub(super) #name: #ty) }
        });
        let optional = self.arguments.optional();
        let setters = optional.iter().map(|argument| {
            let (name, declaration) = (&argument.name, argument.declaration());
            let doc = format!("Sets the optional argument `{name}`. {}", argument.docs.as_deref().unwrap_or_default());
            quote! {
                #[doc = #doc]
                pub fn #name(mut self, #declaration) -> Self {
                    self.#name = Some(#name);
                    self
                }
            }
        });
        let accept = accept.as_ref().map(|media_types| quote!(.accept(#media_types)));
        let content_type = content_type.as_ref().map(|media_type| quote!(.content_type(#media_type)));
        let timeout = self.timeout_seconds.map(proc_macro2::Literal::u64_unsuffixed);
        let timeout = timeout.map(|seconds| quote!(.timeout_seconds(#seconds)));
        let bytes = self.max_response_bytes.map(proc_macro2::Literal::u64_unsuffixed);
        let max_response_bytes = bytes.map(|bytes| quote!(.max_response_bytes(#bytes)));
        let names = self.response_headers.as_slice();
        let response_headers = (!names.is_empty()).then(|| quote!(.response_headers(&[#(#names),*])));
        let statuses = self.redirects.iter().copied().map(proc_macro2::Literal::u16_unsuffixed);
        let redirects = (!self.redirects.is_empty()).then(|| quote!(.redirects(&[#(#statuses),*])));
        let mutable = (!parts.is_empty()).then(|| quote!(mut));
        let streamed = self.is_streamed.then(|| quote!(.streamed()));
        let names = self.arguments.iter().map(|argument| &argument.name);
        let (success_ty, success_arms) = (&success.ty, &success.arms);
        let (error_ty, error_arms) = (&error.ty, &error.arms);
        quote! {
            #[doc = #ty_doc]
            #[must_use = #must_use]
            pub struct #ty<'a> {
                pub(super) client: &'a Client,
                #(#fields,)*
            }

            impl<'a> #ty<'a> {
                const OPERATION: Operation = Operation::new(#id)
                    #accept #content_type #timeout #max_response_bytes #response_headers #redirects #streamed;

                #(#setters)*

                /// Sends the request once and decodes the response.
                ///
                /// # Errors
                ///
                /// Returns an error if the request cannot be sent, if the server responds with an
                /// error, or if the response cannot be decoded. The [`Error`] names the operation
                /// and reports whether the server may have received the request.
                ///
                /// # Cancel safety
                ///
                /// If the future is dropped, the server may still have received the request.
                pub async fn send(self) -> Result<ResponseValue<#success_ty>, Error<#error_ty>> {
                    self.exchange().await.map_err(|error| error.in_operation(Self::OPERATION.id))
                }

                async fn exchange(self) -> Result<ResponseValue<#success_ty>, Error<#error_ty>> {
                    let Self { client, #(#names,)* } = self;
                    let #mutable request = #request;
                    #(#parts)*
                    let timer = ::std::pin::pin!(Timer::None);
                    let response = client.transport.execute(request, timer).await?;
                    match response.status().as_u16() {
                        #(#success_arms)*
                        #(#error_arms)*
                    }
                }
            }
        }
    }
}

/// Returns the method's documentation: the description, the request line and the required
/// arguments.
fn summary(facts: &form::Operation, described: &Value, arguments: &Arguments) -> String {
    let text = |key: &str| described.get(key).and_then(Value::as_str);
    let mut docs = String::new();
    if let Some(summary) = text("summary") {
        docs += &format!("{}\n\n", summary.trim_end_matches(['.', ',']));
    }
    if let Some(description) = text("description") {
        docs += &format!("{description}\n\n");
    }
    docs += &format!("Sends a `{}` request to `{}`.", facts.method.to_ascii_uppercase(), facts.path);
    if !facts.response_headers.is_empty() {
        let headers: Vec<String> = facts.response_headers.iter().map(|name| format!("`{name}`")).collect();
        docs += &format!(
            "\n\nThe response can contain these headers, which [`ResponseHead::header`](::flinks_core::ResponseHead::header) returns: {}.",
            headers.join(", ")
        );
    }
    if !facts.scopes.is_empty() {
        docs += &format!("\n\nThe credentials need these OAuth scopes: {}.", facts.scope_words());
    }
    if !facts.servers.is_empty() {
        let servers: Vec<String> = facts.servers.iter().map(|url| format!("`{}`", url.replace('`', ""))).collect();
        docs += &format!(
            "\n\nThe document lists separate servers for this operation: {}. The base URL of the client must be one of them.",
            servers.join(", ")
        );
    }
    let required = arguments.required();
    if arguments.iter().any(|argument| argument.docs.is_some()) && !required.is_empty() {
        docs += "\n\n# Arguments\n\n";
        for Argument { name, docs: about, .. } in required {
            let about = about.as_ref().map(|about| format!(": {about}")).unwrap_or_default();
            docs += &format!("- `{name}`{about}\n");
        }
    }
    docs.trim().to_owned()
}
