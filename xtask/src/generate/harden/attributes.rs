//! Reads and writes parts of Rust syntax: doc comments, `#[serde(…)]` and generic arguments.

use quote::ToTokens as _;
use syn::{Attribute, Ident, Type, parse_quote};

use crate::{Error, Result};

pub(super) fn unknown_shape(what: &str) -> Error {
    let what: String = what.chars().take(200).collect();
    Error::new(format!("progenitor's code has an unexpected shape: {what}"))
        .help("compare xtask/src/generate/harden with the code that the linked progenitor generates")
}

/// Creates a doc comment attribute.
pub(super) fn doc(text: &str) -> Attribute {
    parse_quote!(#[doc = #text])
}

/// Returns the text of the doc comments in `attributes`.
pub(super) fn docs(attributes: &[Attribute]) -> String {
    let lines = attributes.iter().filter_map(|attribute| match &attribute.meta {
        syn::Meta::NameValue(meta) if meta.path.is_ident("doc") => match &meta.value {
            syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }) => Some(text.value()),
            _ => None,
        },
        _ => None,
    });
    let lines: Vec<String> = lines.collect();
    lines.join("\n").trim().to_owned()
}

/// Returns `T` from `outer<T>`.
pub(crate) fn generic_argument(ty: &Type, outer: &str) -> Option<Type> {
    let Type::Path(path) = ty else { return None };
    let last = path.path.segments.last().filter(|segment| segment.ident == outer)?;
    match &last.arguments {
        syn::PathArguments::AngleBracketed(arguments) => arguments.args.iter().find_map(|argument| match argument {
            syn::GenericArgument::Type(ty) => Some(ty.clone()),
            _ => None,
        }),
        _ => None,
    }
}

pub(crate) fn wire_name(field: &syn::Field, name: &Ident) -> Result<String> {
    Ok(serde_argument(&field.attrs, "rename")?.unwrap_or_else(|| name.to_string().trim_start_matches("r#").to_owned()))
}

/// Returns the value of an argument in `#[serde(…)]`, or an empty string if the argument has no
/// value.
pub(crate) fn serde_argument(attributes: &[syn::Attribute], wanted: &str) -> Result<Option<String>> {
    let mut found = None;
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("serde")) {
        let read = attribute.parse_nested_meta(|meta| {
            let value = match meta.value() {
                Ok(value) => value.parse::<syn::LitStr>()?.value(),
                Err(_) => String::new(),
            };
            if meta.path.is_ident(wanted) {
                found = Some(value);
            }
            Ok(())
        });
        read.map_err(|_| unknown_shape(&attribute.to_token_stream().to_string()))?;
    }
    Ok(found)
}
