//! Generates the code that builds a request's URL, query, headers and body.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use serde_json::Value;
use syn::Type;

use super::arguments::{Argument, ArgumentPlace, Arguments};
use crate::generate::normalize::form::{self, Normalized, SecretPlace};
use crate::generate::normalize::multipart::is_file_reference;
use crate::spec::media::{RequestBody, without_charset};
use crate::spec::parameter_style::ParameterStyle;
use crate::spec::schema;
use crate::{Error, Result};

/// The code that builds a request.
pub(super) struct Request {
    /// The value of the `Accept` header.
    pub(super) accept: Option<String>,
    /// The value of the `Content-Type` header, unless the body determines it.
    pub(super) content_type: Option<String>,
    /// An expression that creates the request, with its URL and its fixed headers.
    pub(super) request: TokenStream,
    /// The statements that add the query and the header arguments, and set the body.
    pub(super) parts: Vec<TokenStream>,
}

impl Request {
    pub(super) fn new(facts: &form::Operation, arguments: &Arguments, normalized: &Normalized) -> Result<Self> {
        let path = path(facts, arguments)?;
        let method = format_ident!("{}", facts.method.to_ascii_uppercase());
        let query = arguments.in_place(ArgumentPlace::Query);
        let (scalars, lists): (Vec<_>, Vec<_>) = query.partition(|argument| argument.style == ParameterStyle::Scalar);
        let mut parts: Vec<TokenStream> =
            lists.into_iter().map(add_list).chain(scalars.into_iter().map(add_scalar)).collect();
        let mut content_type = facts.content_type.clone();
        for body in arguments.in_place(ArgumentPlace::Body) {
            let body = Body::read(facts, body, normalized)?;
            content_type = content_type.or(body.content_type);
            parts.push(body.set);
        }
        parts.extend(arguments.in_place(ArgumentPlace::Credentials).map(set_credentials));
        parts.extend(arguments.in_place(ArgumentPlace::Header).map(|header| set_header(facts, header, normalized)));
        Ok(Self {
            accept: accept(facts),
            content_type,
            request: quote!(client.transport.request(&Self::OPERATION, Method::#method, #path)?),
            parts,
        })
    }
}

/// Generates the expression that creates the path from the operation's path and arguments. The
/// generated call to `encode_path` fails if an argument would change another part of the path (T9).
fn path(facts: &form::Operation, arguments: &Arguments) -> Result<TokenStream> {
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
        values.push(match style(argument.style) {
            None => quote!(encode_path(#wire, #name)?),
            Some(style) => quote!(encode_path_list(#wire, #name, #style)?),
        });
        rest = after;
    }
    format += rest;
    Ok(if values.is_empty() { quote!(#format) } else { quote!(&format!(#format, #(#values),*)) })
}

/// Returns the expression for the style of a list or an object, or `None` for a scalar.
fn style(style: ParameterStyle) -> Option<TokenStream> {
    match style {
        ParameterStyle::Scalar => None,
        ParameterStyle::Exploded => Some(quote!(Style::Exploded)),
        ParameterStyle::Joined(separator) => Some(quote!(Style::Joined(#separator))),
        ParameterStyle::JoinedPairs => Some(quote!(Style::JoinedPairs)),
        ParameterStyle::DeepObject => Some(quote!(Style::DeepObject)),
    }
}

/// Generates the statement that adds a list or an object to the query.
fn add_list(argument: &Argument) -> TokenStream {
    let Argument { name, wire, is_optional, .. } = argument;
    let style = style(argument.style);
    if *is_optional {
        quote!(if let Some(#name) = #name { request.query_list(#wire, #name, #style)?; })
    } else {
        quote!(request.query_list(#wire, #name, #style)?;)
    }
}

/// Generates the statement that adds a scalar to the query. An absent argument adds nothing.
fn add_scalar(Argument { name, wire, .. }: &Argument) -> TokenStream {
    quote!(request.query(#wire, &#name)?;)
}

/// Returns the media types of the documented responses, or `None` if no response has a body.
fn accept(facts: &form::Operation) -> Option<String> {
    let bodies = || [&facts.success, &facts.error].into_iter().flat_map(|outcome| &outcome.bodies);
    let mut media_types: Vec<String> = Vec::new();
    for body in bodies() {
        match &body.other {
            Some(form::OtherBody::Stream(documented)) => {
                media_types.extend(documented.iter().map(|media_type| without_charset(media_type)));
            }
            _ => media_types.extend(body.media_type.as_deref().map(without_charset)),
        }
    }
    let mut seen = std::collections::BTreeSet::new();
    media_types.retain(|media_type| seen.insert(media_type.clone()));
    (!media_types.is_empty()).then(|| media_types.join(", "))
}

/// The code that sets the body of a request.
struct Body {
    content_type: Option<String>,
    set: TokenStream,
}

impl Body {
    fn read(facts: &form::Operation, body: &Argument, normalized: &Normalized) -> Result<Self> {
        let at = format!("{}/requestBody/content", facts.pointer);
        let content = normalized.document.pointer(&at).and_then(Value::as_object);
        let Some((media_type, kind)) = content.and_then(RequestBody::choose) else {
            return Err(Error::new("the request body has no supported media type").at(at));
        };
        let is_reference = matches!(body.ty, Type::Reference(_));
        let value = if is_reference { quote!(body) } else { quote!(&body) };
        let schema = content.and_then(|content| content.get(media_type)?.get("schema")).unwrap_or(&Value::Null);
        let set = match kind {
            RequestBody::Json => quote!(request.json(#value)?;),
            RequestBody::Form if has_lists(schema, normalized) => quote!(request.form_with_lists(#value)?;),
            RequestBody::Form => quote!(request.form(#value)?;),
            RequestBody::Multipart => multipart(schema, normalized),
            RequestBody::Text => quote!(request.body(body.to_owned());),
            RequestBody::Bytes => quote!(request.body(body.to_vec());),
        };
        let content_type = match kind {
            RequestBody::Form => Some(FORM.to_owned()),
            // The header contains the boundary between the parts.
            RequestBody::Multipart => None,
            RequestBody::Json | RequestBody::Text | RequestBody::Bytes => Some(media_type.to_owned()),
        };
        Ok(Self { content_type, set })
    }
}

const FORM: &str = "application/x-www-form-urlencoded";

/// Returns whether any field in a form is a list.
fn has_lists(schema: &Value, normalized: &Normalized) -> bool {
    let components = normalized.document.get("components").unwrap_or(&Value::Null);
    let schema = schema::resolve_ref(components, schema);
    let own = schema.get("properties").and_then(Value::as_object).into_iter().flatten().map(|(_, property)| property);
    own.chain(schema.get("additionalProperties"))
        .map(|property| schema::resolve_ref(components, schema::without_nullable(property)))
        .any(|property| property.get("type").is_some_and(|kind| kind == "array"))
}

/// Generates the statement that adds a multipart body to a request, with one part for each
/// property.
fn multipart(schema: &Value, normalized: &Normalized) -> TokenStream {
    let name = schema::referenced(schema).unwrap_or_default();
    let schema = schema::named(&normalized.document, name).unwrap_or(schema);
    let required = schema.get("required").and_then(Value::as_array);
    let properties = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
    let parts = properties.map(|(property, schema)| {
        let wire = normalized.wire_names.get(&(schema::pascal(name), property.clone())).unwrap_or(property);
        let field = format_ident!("{}", schema::field(property));
        let is_required = required.is_some_and(|required| required.iter().any(|other| other == property));
        let is_list = schema.get("items").is_some_and(is_file_reference);
        match (is_file_reference(schema), is_list) {
            (true, _) if is_required => quote!(.files(#wire, [&body.#field])?),
            (true, _) => quote!(.files(#wire, &body.#field)?),
            (false, true) if is_required => quote!(.files(#wire, &body.#field)?),
            (false, true) => quote!(.files(#wire, body.#field.iter().flatten())?),
            (false, false) => quote!(.field(#wire, &body.#field)?),
        }
    });
    quote!(MultipartBody::new() #(#parts)* .send_with(&mut request, &client.transport)?;)
}

/// Generates the statement that adds the headers of the chosen credentials to the request.
fn set_credentials(credentials: &Argument) -> TokenStream {
    let name = &credentials.name;
    if credentials.is_optional {
        quote!(if let Some(#name) = #name { #name.set(&mut request)?; })
    } else {
        quote!(#name.set(&mut request)?;)
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
    let value = match style(header.style) {
        Some(style) => quote!(header_list(#wire, #variable, #style)?),
        None if is_secret => quote!(#variable.header_value(#wire)?),
        None => quote!(header_text(#wire, #variable)?),
    };
    let set = quote!(request.header(HeaderName::from_static(#lower), #value););
    if *is_optional { quote!(if let Some(#variable) = #name { #set }) } else { set }
}
