//! The operations: a method that asks for what is required, a type that takes what is optional, and one way to send.

use std::collections::BTreeSet;

use heck::ToPascalCase as _;
use proc_macro2::TokenStream;
use quote::{ToTokens as _, format_ident, quote};
use syn::visit_mut::VisitMut;
use syn::{Expr, Ident, Stmt, Type, parse_quote};

use super::attributes::{docs, generic_argument, unknown_shape};
use crate::generate::normalize::form::{self, Bodies, Normalized, SecretPlace};
use crate::spec::schema::{is_type_name, pascal, snake};
use crate::{Error, Result};

/// An operation, read from progenitor's method.
pub(super) struct Operation {
    name: Ident,
    docs: String,
    arguments: Vec<Argument>,
    id: String,
    timeout_seconds: Option<u64>,
    deprecated: bool,
    url: Expr,
    headers: Vec<TokenStream>,
    request: Expr,
    success: Outcome,
    error: Outcome,
}

struct Argument {
    name: Ident,
    ty: Type,
    is_optional: bool,
    docs: String,
}

/// The type of success or error, and the arms that read it.
struct Outcome {
    ty: TokenStream,
    arms: Vec<TokenStream>,
}

/// Reads progenitor's methods.
pub(super) fn harden(methods: Vec<syn::ImplItemFn>, normalized: &Normalized) -> Result<Vec<Operation>> {
    let operations = methods.into_iter().map(|method| {
        let name = method.sig.ident.clone();
        let facts = normalized.operations.iter().find(|facts| name == snake(&facts.id));
        let facts = facts.ok_or_else(|| unknown_shape(&format!("the method `{name}` has no operation")))?;
        Operation::read(method, facts, normalized).map_err(|error| error.in_operation(&facts.id).at(&facts.pointer))
    });
    let operations: Vec<Operation> = operations.collect::<Result<_>>()?;
    match operations.len() == normalized.operations.len() {
        true => Ok(operations),
        false => Err(unknown_shape("an operation is missing")),
    }
}

impl Operation {
    fn read(method: syn::ImplItemFn, facts: &form::Operation, normalized: &Normalized) -> Result<Self> {
        let arguments = arguments(&method, normalized, facts)?;
        // A number is passed by value, and everything else by reference.
        let by_value =
            arguments.iter().any(|argument| argument.name == "body" && !matches!(argument.ty, Type::Reference(_)));
        let mut body = Body { facts, normalized, by_value, url: None, headers: Vec::new(), request: None };
        for statement in method.block.stmts {
            body.read(statement)?;
        }
        let url = body.url.ok_or_else(|| unknown_shape("no URL is built"))?;
        let request = body.request.ok_or_else(|| unknown_shape("no request is built"))?;
        Ok(Self {
            name: method.sig.ident,
            docs: summary(&docs(&method.attrs), &arguments),
            arguments,
            id: facts.id.clone(),
            timeout_seconds: facts.timeout_seconds,
            deprecated: facts.deprecated,
            url,
            headers: body.headers,
            request,
            success: success(&facts.success, &facts.error, &facts.error_codes)?,
            error: error(&facts.error)?,
        })
    }

    fn type_name(&self) -> Ident {
        format_ident!("{}", self.name.to_string().to_pascal_case())
    }

    /// The types in the signature, by which others are reached.
    pub(super) fn argument_types(&self) -> impl Iterator<Item = &Type> {
        self.arguments.iter().map(|argument| &argument.ty)
    }

    /// The method of the client.
    pub(super) fn method(&self) -> TokenStream {
        let (name, ty, docs) = (&self.name, self.type_name(), &self.docs);
        let required = self.required();
        let parameters = required.iter().map(|argument| argument.declaration());
        let names = required.iter().map(|argument| &argument.name);
        let optional = self.optional();
        let nothing = optional.iter().map(|argument| &argument.name);
        let deprecated = self.deprecated.then(|| quote!(#[deprecated = "the document of the API advises against it"]));
        quote! {
            #[doc = #docs]
            #deprecated
            pub fn #name<'a>(&'a self, #(#parameters),*) -> operation::#ty<'a> {
                operation::#ty { client: self, #(#names,)* #(#nothing: None,)* }
            }
        }
    }

    /// The type of the operation.
    pub(super) fn builder(&self) -> TokenStream {
        let Self { id, url, headers, request, success, error, .. } = self;
        let ty = self.type_name();
        let ty_doc = format!("The operation `{id}`: see [`Client::{}`].", self.name);
        let must_use = "nothing is sent before `send` is called and awaited";
        let fields = self.arguments.iter().map(|argument| {
            let (name, ty) = (&argument.name, &argument.ty);
            if argument.is_optional { quote!(pub(super) #name: Option<#ty>) } else { quote!(pub(super) #name: #ty) }
        });
        let optional = self.optional();
        let setters = optional.iter().map(|argument| {
            let (name, declaration) = (&argument.name, argument.declaration());
            let doc = format!("Sets the optional argument `{name}`. {}", argument.docs);
            quote! {
                #[doc = #doc]
                pub fn #name(mut self, #declaration) -> Self {
                    self.#name = Some(#name);
                    self
                }
            }
        });
        let names = self.arguments.iter().map(|argument| &argument.name);
        let timeout = match self.timeout_seconds {
            Some(seconds) => quote!(Some(::std::time::Duration::from_secs(#seconds))),
            None => quote!(None),
        };
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
                const OPERATION: Operation = Operation { id: #id, timeout: #timeout };

                #(#setters)*

                /// Sends the request, once, and reads the reply.
                ///
                /// # Errors
                ///
                /// An [`Error`] that names the operation and tells whether the request may have been received.
                pub async fn send(self) -> Result<ResponseValue<#success_ty>, Error<#error_ty>> {
                    self.exchange().await.map_err(|error| error.in_operation(Self::OPERATION.id))
                }

                async fn exchange(self) -> Result<ResponseValue<#success_ty>, Error<#error_ty>> {
                    let Self { client, #(#names,)* } = self;
                    let url = #url;
                    let request = #request;
                    #(#headers)*
                    let response = client.transport.execute(request, &Self::OPERATION).await?;
                    match response.status().as_u16() {
                        #(#success_arms)*
                        #(#error_arms)*
                    }
                }
            }
        }
    }

    fn required(&self) -> Vec<&Argument> {
        self.arguments.iter().filter(|argument| !argument.is_optional).collect()
    }

    fn optional(&self) -> Vec<&Argument> {
        self.arguments.iter().filter(|argument| argument.is_optional).collect()
    }
}

impl Argument {
    fn declaration(&self) -> TokenStream {
        let (name, ty) = (&self.name, &self.ty);
        quote!(#name: #ty)
    }
}

fn arguments(method: &syn::ImplItemFn, normalized: &Normalized, facts: &form::Operation) -> Result<Vec<Argument>> {
    let described: Vec<(String, String)> = parameters(normalized, facts)
        .map(|parameter| {
            let text = |key: &str| parameter.get(key).and_then(serde_json::Value::as_str).unwrap_or_default();
            (snake(text("name")), text("description").to_owned())
        })
        .collect();
    let inputs = method.sig.inputs.iter().filter_map(|input| match input {
        syn::FnArg::Typed(input) => Some(input),
        syn::FnArg::Receiver(_) => None,
    });
    let arguments = inputs.map(|input| {
        let syn::Pat::Ident(pattern) = &*input.pat else { return Err(unknown_shape("an argument has no name")) };
        let name = pattern.ident.clone();
        let inner = generic_argument(&input.ty, "Option");
        let docs = described.iter().find(|(other, _)| name == other).map(|(_, docs)| docs.clone());
        Ok(Argument {
            is_optional: inner.is_some(),
            ty: inner.unwrap_or_else(|| (*input.ty).clone()),
            docs: docs.unwrap_or_default(),
            name,
        })
    });
    arguments.collect()
}

fn parameters<'a>(normalized: &'a Normalized, facts: &form::Operation) -> impl Iterator<Item = &'a serde_json::Value> {
    let parameters = normalized.document.pointer(&format!("{}/parameters", facts.pointer));
    parameters.and_then(serde_json::Value::as_array).into_iter().flatten()
}

/// progenitor's text, with its list of arguments below a heading and without those that are methods of the operation.
fn summary(docs: &str, arguments: &[Argument]) -> String {
    let (text, list) = docs.split_once("\nArguments:\n").unwrap_or((docs, ""));
    let is_optional = |entry: &str| {
        arguments.iter().any(|argument| argument.is_optional && entry.starts_with(&format!("- `{}`", argument.name)))
    };
    // An entry may have several lines.
    let mut entries: Vec<String> = Vec::new();
    for line in list.lines() {
        match entries.last_mut() {
            Some(entry) if !line.starts_with("- `") => *entry += &format!("\n{line}"),
            _ => entries.push(line.to_owned()),
        }
    }
    entries.retain(|entry| !is_optional(entry));
    match entries.is_empty() {
        true => text.trim_end().to_owned(),
        false => format!("{}\n\n# Arguments\n\n{}", text.trim_end(), entries.join("\n").trim_end()),
    }
}

/// The body of progenitor's method, statement by statement. A statement that is not known here is an error.
struct Body<'a> {
    facts: &'a form::Operation,
    normalized: &'a Normalized,
    by_value: bool,
    url: Option<Expr>,
    headers: Vec<TokenStream>,
    request: Option<Expr>,
}

impl Body<'_> {
    fn read(&mut self, statement: Stmt) -> Result<()> {
        let text = statement.to_token_stream().to_string();
        let unknown = || unknown_shape(&text);
        match statement {
            Stmt::Local(local) => {
                let name = binding(&local.pat).ok_or_else(unknown)?;
                let value = *local.init.ok_or_else(unknown)?.expr;
                match name.trim_start_matches('_') {
                    "url" => self.url = Some(self.url(value)?),
                    "request" => self.request = Some(self.request(value)),
                    // `info` and `result` are the hooks', `response` is what we read in a way of our own.
                    "header_map" | "info" | "result" | "response" => {}
                    _ => return Err(unknown()),
                }
            }
            Stmt::Expr(Expr::MethodCall(call), Some(_)) if call.method == "append" => self.append(&call, None)?,
            // An optional header.
            Stmt::Expr(Expr::If(branch), _) => {
                let Expr::Let(condition) = &*branch.cond else { return Err(unknown()) };
                let argument = condition.expr.to_token_stream();
                for statement in &branch.then_branch.stmts {
                    match statement {
                        Stmt::Expr(Expr::MethodCall(call), _) if call.method == "append" => {
                            self.append(call, Some(&argument))?;
                        }
                        _ => return Err(unknown()),
                    }
                }
            }
            // The hooks before and after (T14), and the reading of the reply.
            Stmt::Expr(Expr::Try(_), Some(_)) if text.starts_with("self . pre") || text.starts_with("self . post") => {}
            Stmt::Expr(Expr::Match(_), None) => {}
            _ => return Err(unknown()),
        }
        Ok(())
    }

    /// `header_map.append(name, argument.to_string().try_into()?)`.
    fn append(&mut self, call: &syn::ExprMethodCall, optional: Option<&TokenStream>) -> Result<()> {
        let mut arguments = call.args.iter();
        let (Some(name), Some(value)) = (arguments.next(), arguments.next()) else {
            return Err(unknown_shape(&call.to_token_stream().to_string()));
        };
        let Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(name), .. }) = name else {
            // `api-version`, which Flinks never asked for (T3), is the one whose name is not a literal.
            return match name.to_token_stream().to_string().contains("api-version") {
                true => Ok(()),
                false => Err(unknown_shape(&call.to_token_stream().to_string())),
            };
        };
        let argument = root(value).ok_or_else(|| unknown_shape(&value.to_token_stream().to_string()))?;
        // On the wire in lower case, like every header name.
        let wire = name.value().to_ascii_lowercase();
        let is_secret = self
            .normalized
            .secrets
            .contains(&SecretPlace::Header { operation: self.facts.id.clone(), name: name.value() });
        let value = match is_secret {
            // Marked sensitive, and text only where it is sent (T15).
            true => quote!(#argument.header_value(#name)?),
            false => quote!(header_text(#name, #argument)?),
        };
        self.headers.push(match optional {
            None => quote!(let request = request.header(HeaderName::from_static(#wire), #value);),
            Some(option) => quote! {
                let request = match #option {
                    Some(#argument) => request.header(HeaderName::from_static(#wire), #value),
                    None => request,
                };
            },
        });
        Ok(())
    }

    /// `format!("{}/path/{}", self.baseurl, encode_path(&argument.to_string()))`, on our own client.
    fn url(&self, expr: Expr) -> Result<Expr> {
        let unknown = || unknown_shape(&expr.to_token_stream().to_string());
        let Expr::Macro(call) = &expr else { return Err(unknown()) };
        let parser = syn::punctuated::Punctuated::<Expr, syn::Token![,]>::parse_terminated;
        let arguments = syn::parse::Parser::parse2(parser, call.mac.tokens.clone()).map_err(|_| unknown())?;
        let mut arguments = arguments.into_iter();
        let (Some(Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(template), .. })), Some(Expr::Field(_))) =
            (arguments.next(), arguments.next())
        else {
            return Err(unknown());
        };
        let template = template.value();
        let path = template.strip_prefix("{}").ok_or_else(unknown)?;
        let arguments = arguments.map(|argument| {
            let Expr::Call(call) = &argument else { return Err(unknown()) };
            let name = call.args.first().and_then(root).ok_or_else(unknown)?;
            let text = self.parameter_name(&name).ok_or_else(unknown)?;
            // Fails where the argument would leave its segment (T9).
            Ok(parse_quote!(encode_path(#text, #name)?))
        });
        let arguments: Vec<Expr> = arguments.collect::<Result<_>>()?;
        Ok(match arguments.as_slice() {
            [] => parse_quote!(client.transport.url(#path)),
            arguments => parse_quote!(client.transport.url(&format!(#path, #(#arguments),*))),
        })
    }

    /// The name in the document of a parameter that has this name in Rust.
    fn parameter_name(&self, argument: &Ident) -> Option<&str> {
        let names = parameters(self.normalized, self.facts).filter_map(|parameter| parameter.get("name")?.as_str());
        names.into_iter().find(|name| *argument == snake(name))
    }

    /// The chain that builds the request, on our own client.
    fn request(&self, mut request: Expr) -> Expr {
        RequestChain { by_value: self.by_value }.visit_expr_mut(&mut request);
        if let Some(content_type) = &self.facts.content_type {
            // Without a body nothing else would set it (T2).
            request = parse_quote!(#request.header(CONTENT_TYPE, HeaderValue::from_static(#content_type)));
        }
        request
    }
}

fn binding(pattern: &syn::Pat) -> Option<String> {
    match pattern {
        syn::Pat::Ident(pattern) => Some(pattern.ident.to_string()),
        _ => None,
    }
}

/// The variable at the root of a chain of calls.
fn root(expr: &Expr) -> Option<Ident> {
    match expr {
        Expr::Path(path) => path.path.get_ident().cloned(),
        Expr::MethodCall(call) => root(&call.receiver),
        Expr::Try(inner) => root(&inner.expr),
        Expr::Reference(inner) => root(&inner.expr),
        _ => None,
    }
}

/// `self.client.post(url)….build()?` on our own client, without the headers, each of which is added by itself, and not
/// built yet: the transport does that.
struct RequestChain {
    by_value: bool,
}

impl VisitMut for RequestChain {
    fn visit_expr_mut(&mut self, expr: &mut Expr) {
        syn::visit_mut::visit_expr_mut(self, expr);
        match expr {
            Expr::Field(field) if field.to_token_stream().to_string() == "self . client" => {
                *expr = parse_quote!(client.transport.http());
            }
            Expr::MethodCall(call) if call.method == "headers" => {
                *expr = (*call.receiver).clone();
            }
            Expr::MethodCall(call) if call.method == "json" => {
                let receiver = &call.receiver;
                *expr = if self.by_value {
                    parse_quote!(#receiver.json(&body))
                } else {
                    parse_quote!(#receiver.json(body))
                };
            }
            // `request.form_urlencoded(&body)?`, whose error would be progenitor's.
            Expr::Try(inner) => match &*inner.expr {
                Expr::MethodCall(call) if call.method == "form_urlencoded" => {
                    let receiver = &call.receiver;
                    *expr = parse_quote!(form_body(#receiver, body)?);
                }
                Expr::MethodCall(call) if call.method == "build" => *expr = (*call.receiver).clone(),
                _ => {}
            },
            Expr::Call(call) if call.func.to_token_stream().to_string().ends_with("QueryParam :: new") => {
                let arguments = &call.args;
                *expr = parse_quote!([(#arguments)]);
            }
            _ => {}
        }
    }

    fn visit_path_mut(&mut self, path: &mut syn::Path) {
        let text = path.to_token_stream().to_string();
        if let Some(rest) = text.strip_prefix(":: reqwest :: header :: ")
            && let Ok(short) = syn::parse_str(rest)
        {
            *path = short;
        }
        syn::visit_mut::visit_path_mut(self, path);
    }
}

/// The arms of success. If there is one body, each 2xx is read as that body. If there is none, 200, 204 and the documented
/// statuses are read as empty replies, and another 2xx is an error. If the status tells bodies apart, a 2xx that is not
/// documented is an error. If there is one error body, a 2xx may hold that body instead (C2).
fn success(bodies: &Bodies, errors: &Bodies, error_codes: &[String]) -> Result<Outcome> {
    let has_error_body = errors.union.is_none() && errors.bodies.iter().any(|body| body.schema.is_some());
    let json = if has_error_body { quote!(json_or_error_response) } else { quote!(json_response) };
    let empty = if has_error_body { quote!(empty_or_error_response) } else { quote!(empty_response) };
    let read = |union: Option<&TokenStream>, body: Option<&Ident>| match (union, body) {
        (None, None) => quote!(#empty(response).await),
        (None, Some(_)) => quote!(#json(response, &[#(#error_codes),*]).await),
        (Some(variant), None) => quote!(Ok(#empty(response).await?.map(|()| #variant))),
        (Some(variant), Some(schema)) => {
            quote!(Ok(#json::<types::#schema, _>(response, &[#(#error_codes),*]).await?.map(#variant)))
        }
    };
    if bodies.union.is_none() {
        if let Some(schema) = bodies.bodies.iter().find_map(|body| body.schema.clone()) {
            let body = form::Body { status: "2XX".into(), schema: Some(schema) };
            return outcome(&Bodies { bodies: vec![body], union: None }, read);
        }
        let pattern = empty_pattern(bodies)?;
        let read = read(None, None);
        return Ok(Outcome { ty: quote!(()), arms: vec![quote!(#pattern => #read,)] });
    }
    let mut outcome = outcome(bodies, read)?;
    if !bodies.bodies.iter().any(|body| body.status == "2XX") {
        let pattern = pattern("2XX", &exact(bodies))?;
        outcome.arms.push(quote!(#pattern => Err(undocumented_status(&response)),));
    }
    Ok(outcome)
}

/// The statuses that an operation without a documented body succeeds with.
fn empty_pattern(bodies: &Bodies) -> Result<TokenStream> {
    if bodies.bodies.iter().any(|body| body.status == "2XX") {
        return pattern("2XX", &[]);
    }
    let statuses: BTreeSet<u16> = exact(bodies).into_iter().chain([200, 204]).collect();
    let statuses = statuses.into_iter().map(number);
    Ok(quote!(#(#statuses)|*))
}

/// The arms of the errors. What is not documented is tried as the documented error (A6).
fn error(bodies: &Bodies) -> Result<Outcome> {
    if let Bodies { bodies, union: None } = bodies {
        return Ok(match bodies.iter().find_map(|body| body.schema.as_deref()) {
            Some(schema) => {
                let ty = format_ident!("{}", pascal(schema));
                Outcome { ty: quote!(types::#ty), arms: vec![quote!(_ => Err(response_error(response).await),)] }
            }
            None => {
                let ranges: Vec<TokenStream> = bodies.iter().map(|body| range(&body.status)).collect::<Result<_>>()?;
                Outcome { ty: quote!(()), arms: vec![quote!(_ => Err(status_error(&response, &[#(#ranges),*])),)] }
            }
        });
    }
    let mut outcome = outcome(bodies, |variant, schema| {
        let read = quote!(response_error::<types::#schema>(response).await);
        quote!(Err(#read.map_body(#variant)))
    })?;
    // An undocumented status of several error bodies fits none of them.
    outcome.arms.push(quote!(_ => Err(undocumented_status(&response)),));
    Ok(outcome)
}

fn outcome(bodies: &Bodies, read: impl Fn(Option<&TokenStream>, Option<&Ident>) -> TokenStream) -> Result<Outcome> {
    let union = bodies.union.as_deref().map(|union| format_ident!("{}", pascal(union)));
    let mut arms = Vec::new();
    let mut ty = quote!(());
    let exact = exact(bodies);
    for body in &bodies.bodies {
        let schema = body.schema.as_deref().map(|schema| format_ident!("{}", pascal(schema)));
        let variant = union.as_ref().map(|union| {
            let variant = variant_name(bodies, body);
            quote!(types::#union::#variant)
        });
        let pattern = pattern(&body.status, &exact)?;
        let read = read(variant.as_ref(), schema.as_ref());
        arms.push(quote!(#pattern => #read,));
        ty = match (&union, &schema) {
            (Some(union), _) => quote!(types::#union),
            (None, Some(schema)) => quote!(types::#schema),
            (None, None) => quote!(()),
        };
    }
    Ok(Outcome { ty, arms })
}

/// The statuses that have an arm of their own.
fn exact(bodies: &Bodies) -> Vec<u16> {
    bodies.bodies.iter().filter_map(|body| body.status.parse().ok()).collect()
}

/// The variant of a union for one body: the schema's name without the operation's, or the status.
pub(super) fn variant_name(bodies: &Bodies, body: &form::Body) -> Ident {
    let short = |body: &form::Body| {
        let union = bodies.union.as_deref().map(pascal).unwrap_or_default();
        let operation = union.strip_suffix("Response").or_else(|| union.strip_suffix("Error")).unwrap_or(&union);
        let name = body.schema.as_deref().map(pascal).unwrap_or_default();
        let short = name.strip_prefix(operation).unwrap_or(&name).to_owned();
        let is_generic = short.is_empty() || short.starts_with("Response") || short.starts_with("Error");
        Some(short).filter(|short| !is_generic && is_type_name(short))
    };
    let own = short(body);
    let is_taken = bodies.bodies.iter().any(|other| other.schema != body.schema && short(other) == own);
    match own.filter(|_| !is_taken) {
        Some(short) => format_ident!("{short}"),
        None => format_ident!("Status{}", body.status),
    }
}

fn bounds(status: &str) -> Result<(u16, u16)> {
    let class =
        status.strip_suffix("XX").and_then(|class| class.parse::<u16>().ok()).and_then(|class| class.checked_mul(100));
    match (class, status.parse()) {
        (Some(low), _) => Ok((low, low.saturating_add(99))),
        (None, Ok(status)) => Ok((status, status)),
        (None, Err(_)) => Err(Error::new(format!("`{status}` is not a status"))),
    }
}

/// The pattern of a status or a range, without the statuses that have an arm of their own.
fn pattern(status: &str, exact: &[u16]) -> Result<TokenStream> {
    let (mut low, high) = bounds(status)?;
    if low == high {
        return Ok(number(low));
    }
    let mut parts = Vec::new();
    for own in exact.iter().copied().filter(|own| (low..=high).contains(own)).collect::<BTreeSet<u16>>() {
        if low < own {
            parts.push(between(low, own.saturating_sub(1)));
        }
        low = own.saturating_add(1);
    }
    if low <= high {
        parts.push(between(low, high));
    }
    Ok(quote!(#(#parts)|*))
}

fn between(low: u16, high: u16) -> TokenStream {
    let (first, last) = (number(low), number(high));
    if low == high { first } else { quote!(#first..=#last) }
}

fn range(status: &str) -> Result<TokenStream> {
    let (low, high) = bounds(status)?;
    let (low, high) = (number(low), number(high));
    Ok(quote!(#low..=#high))
}

fn number(status: u16) -> TokenStream {
    proc_macro2::Literal::u16_unsuffixed(status).to_token_stream()
}
