//! Generates constants for the fields of a response body so that `flinks_core` errors can name the
//! fields.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Fields, Ident, Item, parse_quote};

use super::attributes::{generic_argument, serde_argument, wire_name};
use super::uses::Uses;
use crate::Result;

/// Generates the list of fields in a response body so that a `flinks_core` error can name the field
/// that is missing or invalid. Returns `None` if the type is not a response body.
pub(super) fn reply_body(ident: &Ident, fields: &Fields, uses: &Uses) -> Result<Option<Item>> {
    if !uses.replies.contains(&ident.to_string()) {
        return Ok(None);
    }
    let mut constants = Vec::new();
    for field in fields {
        constants.extend(reply_field(field)?);
    }
    // A flattened field accepts members with any name.
    let is_closed = matches!(fields, Fields::Named(_)) && constants.len() == fields.len();
    let fields = is_closed.then(|| {
        quote! {
            const FIELDS: ::flinks_core::generated::Fields = Some(&[#(#constants),*]);
        }
    });
    Ok(Some(parse_quote!(impl ::flinks_core::generated::ReplyBody for #ident { #fields })))
}

/// Returns the constant for a field, or `None` if the field has no name or is flattened.
fn reply_field(field: &syn::Field) -> Result<Option<TokenStream>> {
    let Some(name) = &field.ident else { return Ok(None) };
    if serde_argument(&field.attrs, "flatten")?.is_some() {
        return Ok(None);
    }
    let name = wire_name(field, name)?;
    // typify sets a `deserialize_with` function for a required property that can be null.
    let is_required_or_null = serde_argument(&field.attrs, "deserialize_with")?.is_some();
    let is_optional = generic_argument(&field.ty, "Option").is_some() && !is_required_or_null
        || serde_argument(&field.attrs, "default")?.is_some();
    let kind = if is_optional { quote!(optional) } else { quote!(required) };
    Ok(Some(quote!(::flinks_core::generated::Field::#kind(#name))))
}
