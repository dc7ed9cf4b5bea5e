//! Generates the code that builds a request's URL, query, headers and body.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use serde_json::Value;
use syn::Type;

use super::arguments::{Argument, ArgumentPlace, Arguments};
use crate::generate::normalize::form::{self, Normalized, SecretPlace};
use crate::spec::schema::JSON;
use crate::{Error, Result};

/// The code that builds a request.
pub(super) struct Request {
    /// An expression that creates the URL.
    pub(super) url: TokenStream,
    /// An expression that creates the request, without its header arguments.
    pub(super) request: TokenStream,
    /// The statements that set the header arguments.
    pub(super) headers: Vec<TokenStream>,
}

impl Request {
    pub(super) fn new(facts: &form::Operation, arguments: &Arguments, normalized: &Normalized) -> Result<Self> {
        Ok(Self {
            url: url(facts, arguments)?,
            request: request(facts, arguments, normalized)?,
            headers: arguments
                .in_place(ArgumentPlace::Header)
                .map(|header| set_header(facts, header, normalized))
                .collect(),
        })
    }
}

/// Generates the expression that creates the URL from the operation's path and arguments. The
/// generated call to `encode_path` fails if an argument would change another part of the path (T9).
fn url(facts: &form::Operation, arguments: &Arguments) -> Result<TokenStream> {
    let mut format = String::new();
    let mut values = Vec::new();
    let mut rest = facts.path.as_str();
    while let Some((before, after)) = rest.split_once('{') {
        let (wire, after) = after.split_once('}').ok_or_else(|| Error::new("the path has an unmatched brace"))?;
        let argument = arguments
            .iter()
            .find(|argument| matches!(argument.place, ArgumentPlace::Path(_)) && argument.wire == wire)
            .ok_or_else(|| Error::new(format!("`{{{wire}}}` in the path is not declared as a path parameter")))?;
        let name = &argument.name;
        format += &format!("{before}{{}}");
        values.push(quote!(encode_path(#wire, #name)?));
        rest = after;
    }
    format += rest;
    Ok(if values.is_empty() {
        quote!(client.transport.url(#format))
    } else {
        quote!(client.transport.url(&format!(#format, #(#values),*)))
    })
}

fn request(facts: &form::Operation, arguments: &Arguments, normalized: &Normalized) -> Result<TokenStream> {
    let method = format_ident!("{}", facts.method);
    let mut request = quote!(client.transport.http().#method(url));
    // The request accepts JSON if any response has a body.
    if [&facts.success, &facts.error].iter().any(|outcome| outcome.bodies.iter().any(|body| body.schema.is_some())) {
        request = quote!(#request.header(ACCEPT, HeaderValue::from_static(#JSON)));
    }
    for body in arguments.in_place(ArgumentPlace::Body) {
        request = with_body(request, facts, body, normalized)?;
    }
    for Argument { name, wire, .. } in arguments.in_place(ArgumentPlace::Query) {
        request = quote!(#request.query(&[(#wire, &#name)]));
    }
    if let Some(content_type) = &facts.content_type {
        // If there is no body, nothing else sets this header (T2).
        request = quote!(#request.header(CONTENT_TYPE, HeaderValue::from_static(#content_type)));
    }
    Ok(request)
}

fn with_body(
    request: TokenStream,
    facts: &form::Operation,
    body: &Argument,
    normalized: &Normalized,
) -> Result<TokenStream> {
    let at = format!("{}/requestBody/content", facts.pointer);
    let content = normalized.document.pointer(&at).and_then(Value::as_object);
    let media_types: Vec<&str> = content.into_iter().flatten().map(|(media_type, _)| media_type.as_str()).collect();
    let is_reference = matches!(body.ty, Type::Reference(_));
    match (media_types.as_slice(), is_reference) {
        ([JSON], true) => Ok(quote!(#request.json(body))),
        ([JSON], false) => Ok(quote!(#request.json(&body))),
        (["application/x-www-form-urlencoded"], _) => Ok(quote!(form_body(#request, body)?)),
        _ => Err(Error::new(format!("unsupported request media type `{}`", media_types.join(", "))).at(at)),
    }
}

/// Generates the statement that adds a header to the request. A secret value is marked as sensitive
/// and exposed only when the request is sent (T15).
fn set_header(facts: &form::Operation, header: &Argument, normalized: &Normalized) -> TokenStream {
    let Argument { name, wire, is_optional, .. } = header;
    // `HeaderName::from_static` requires lower case.
    let lower = wire.to_ascii_lowercase();
    let place = SecretPlace::Header { operation: facts.id.clone(), name: wire.clone() };
    let is_secret = normalized.secrets.contains(&place);
    let variable = if *is_optional { format_ident!("value") } else { name.clone() };
    let value = if is_secret { quote!(#variable.header_value(#wire)?) } else { quote!(header_text(#wire, #variable)?) };
    let set = quote!(request.header(HeaderName::from_static(#lower), #value));
    if *is_optional {
        quote!(let request = match #name { Some(#variable) => #set, None => request, };)
    } else {
        quote!(let request = #set;)
    }
}
