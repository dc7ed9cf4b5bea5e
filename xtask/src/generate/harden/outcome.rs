//! Generates the code that decodes a response: the success and error types, and the arms of the
//! `match` on the status.

use std::collections::BTreeSet;

use proc_macro2::TokenStream;
use quote::{ToTokens as _, format_ident, quote};
use syn::Ident;

use crate::generate::normalize::form::{Bodies, Body, OtherBody};
use crate::spec::schema::{is_type_name, pascal};
use crate::{Error, Result};

/// The success type or the error type of an operation, and the `match` arms that decode a value of
/// this type.
pub(super) struct Outcome {
    pub(super) ty: TokenStream,
    pub(super) arms: Vec<TokenStream>,
}

/// Generates the `match` arms for successes:
///
/// - If exactly one body is documented, every 2xx response is decoded as that body.
/// - If no body is documented, a response with status 200, 204 or a documented status is treated as
///   empty, and any other 2xx status is an error.
/// - If several bodies are documented, the status selects the body, and an undocumented 2xx status
///   is an error.
///
/// If a single error body is documented, a 2xx response may contain the error body instead (C2).
pub(super) fn success(bodies: &Bodies, errors: &Bodies, error_codes: &[String]) -> Result<Outcome> {
    let has_error_body = errors.union.is_none() && errors.bodies.iter().any(|body| body.schema.is_some());
    let json = if has_error_body { quote!(json_or_error_response) } else { quote!(json_response) };
    let empty = if has_error_body { quote!(empty_or_error_response) } else { quote!(empty_response) };
    let read = |union: Option<&TokenStream>, body: &Body, schema: Option<&Ident>| {
        let (result, variant) = match (schema, &body.other) {
            (Some(schema), _) => (quote!(#json::<types::#schema, _>(response, &[#(#error_codes),*]).await), quote!()),
            (None, Some(OtherBody::Redirect)) => (quote!(redirect_response(&response)), quote!()),
            (None, Some(OtherBody::Stream(media_types))) => {
                (quote!(stream_response(response, &[#(#media_types),*])), quote!())
            }
            (None, None) if body.status.starts_with('3') => (quote!(head_response(&response)), quote!(|()|)),
            (None, None) => (quote!(#empty(response).await), quote!(|()|)),
        };
        match (union, schema) {
            (Some(union), _) => quote!(Ok(#result?.map(#variant #union))),
            (None, Some(_)) => quote!(#json(response, &[#(#error_codes),*]).await),
            (None, None) => result,
        }
    };
    if bodies.union.is_none()
        && let Some(body) = bodies.bodies.iter().find(|body| body.other.is_some())
    {
        // All documented statuses have this kind of body.
        return match &body.other {
            Some(OtherBody::Redirect) => outcome(bodies, read),
            _ => {
                let body = Body { status: "2XX".into(), ..body.clone() };
                outcome(&Bodies { bodies: vec![body], union: None }, read)
            }
        };
    }
    if bodies.union.is_none() {
        if let Some(body) = bodies.bodies.iter().find(|body| body.schema.is_some()) {
            let body = Body { status: "2XX".into(), ..body.clone() };
            return outcome(&Bodies { bodies: vec![body], union: None }, read);
        }
        let pattern = empty_pattern(bodies)?;
        let read = read(None, &Body::empty("2XX"), None);
        return Ok(Outcome { ty: quote!(()), arms: vec![quote!(#pattern => #read,)] });
    }
    let mut outcome = outcome(bodies, read)?;
    if !bodies.bodies.iter().any(|body| body.status == "2XX") {
        let pattern = pattern("2XX", &exact(bodies))?;
        outcome.arms.push(quote!(#pattern => Err(undocumented_status(&response)),));
    }
    Ok(outcome)
}

/// Returns the pattern for the success statuses if no success body is documented.
fn empty_pattern(bodies: &Bodies) -> Result<TokenStream> {
    if bodies.bodies.iter().any(|body| body.status == "2XX") {
        return pattern("2XX", &[]);
    }
    let statuses: BTreeSet<u16> = exact(bodies).into_iter().chain([200, 204]).collect();
    let statuses = statuses.into_iter().map(number);
    Ok(quote!(#(#statuses)|*))
}

/// Generates the `match` arms for errors. A response with an undocumented status is decoded as the
/// documented error, if possible (A6).
pub(super) fn error(bodies: &Bodies) -> Result<Outcome> {
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
    let mut outcome = outcome(bodies, |variant, _, schema| {
        let read = quote!(response_error::<types::#schema>(response).await);
        quote!(Err(#read.map_body(#variant)))
    })?;
    // If there are several error bodies, an undocumented status matches none of them.
    outcome.arms.push(quote!(_ => Err(undocumented_status(&response)),));
    Ok(outcome)
}

fn outcome(
    bodies: &Bodies,
    read: impl Fn(Option<&TokenStream>, &Body, Option<&Ident>) -> TokenStream,
) -> Result<Outcome> {
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
        let read = read(variant.as_ref(), body, schema.as_ref());
        arms.push(quote!(#pattern => #read,));
        ty = match (&union, &schema) {
            (Some(union), _) => quote!(types::#union),
            (None, Some(schema)) => quote!(types::#schema),
            (None, None) => other_type(body),
        };
    }
    Ok(Outcome { ty, arms })
}

/// Returns the type of a body that is not JSON.
pub(super) fn other_type(body: &Body) -> TokenStream {
    match &body.other {
        Some(OtherBody::Stream(_)) => quote!(::flinks_core::ByteStream),
        Some(OtherBody::Redirect) => quote!(::flinks_core::Redirect),
        None => quote!(()),
    }
}

/// Returns the documented redirects.
pub(super) fn redirects(bodies: &Bodies) -> Vec<u16> {
    let statuses = bodies.bodies.iter().map(|body| body.status.as_str());
    let redirects = statuses.filter(|status| status.starts_with('3'));
    redirects.flat_map(|status| status.parse().map_or_else(|_| (300..=308).collect(), |status| vec![status])).collect()
}

/// Returns whether a response can be a stream of bytes.
pub(super) fn is_streamed(bodies: &Bodies) -> bool {
    bodies.bodies.iter().any(|body| matches!(body.other, Some(OtherBody::Stream(_))))
}

/// Returns the statuses that have their own `match` arm.
fn exact(bodies: &Bodies) -> Vec<u16> {
    bodies.bodies.iter().filter_map(|body| body.status.parse().ok()).collect()
}

/// Returns the name of the union variant for a body. The variant is named after the schema, without
/// the name of the operation. If the schema's name cannot be used, the variant is named after the
/// status.
pub(super) fn variant_name(bodies: &Bodies, body: &Body) -> Ident {
    let short = |body: &Body| {
        let union = bodies.union.as_deref().map(pascal).unwrap_or_default();
        let operation = union.strip_suffix("Response").or_else(|| union.strip_suffix("Error")).unwrap_or(&union);
        let name = body.schema.as_deref().map(pascal).unwrap_or_default();
        let short = name.strip_prefix(operation).unwrap_or(&name).to_owned();
        let is_generic = short.is_empty() || short.starts_with("Response") || short.starts_with("Error");
        Some(short).filter(|short| !is_generic && is_type_name(short))
    };
    let own = short(body);
    let is_taken = bodies
        .bodies
        .iter()
        .any(|other| (&other.schema, &other.other) != (&body.schema, &body.other) && short(other) == own);
    match own {
        Some(short) if !is_taken => format_ident!("{short}"),
        _ => format_ident!("Status{}", body.status),
    }
}

fn bounds(status: &str) -> Result<(u16, u16)> {
    let class =
        status.strip_suffix("XX").and_then(|class| class.parse::<u16>().ok()).and_then(|class| class.checked_mul(100));
    match (class, status.parse()) {
        (Some(low), _) => Ok((low, low.saturating_add(99))),
        (None, Ok(status)) => Ok((status, status)),
        (None, Err(_)) => Err(Error::new(format!("invalid status `{status}`"))),
    }
}

/// Returns the pattern for a status or a status range, excluding the statuses that have their own
/// arm.
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
