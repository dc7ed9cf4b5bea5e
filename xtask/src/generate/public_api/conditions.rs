//! Evaluates `#[cfg]` for a Linux build with all features.

use syn::punctuated::Punctuated;
use syn::{Attribute, Meta, Token};

use super::code::unknown;
use crate::Result;

/// Returns whether all `#[cfg]` conditions on an item are true.
pub(super) fn is_active(attributes: &[Attribute]) -> Result<bool> {
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("cfg")) {
        let condition: Meta = attribute.parse_args().map_err(|_| unknown(attribute))?;
        if !is_true(&condition)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn is_true(condition: &Meta) -> Result<bool> {
    let name = condition.path().get_ident().map(ToString::to_string).unwrap_or_default();
    match (name.as_str(), condition) {
        ("unix", Meta::Path(_)) | ("feature", Meta::NameValue(_)) => Ok(true),
        ("test" | "doctest" | "doc" | "docsrs" | "windows" | "miri" | "loom" | "debug_assertions", Meta::Path(_)) => {
            Ok(false)
        }
        ("target_os", Meta::NameValue(value)) => {
            Ok(quote::ToTokens::to_token_stream(&value.value).to_string() == "\"linux\"")
        }
        ("all" | "any" | "not", Meta::List(list)) => {
            let parts = list.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated);
            let parts = parts.map_err(|_| unknown(condition))?;
            let parts: Vec<bool> = parts.iter().map(is_true).collect::<Result<_>>()?;
            Ok(match name.as_str() {
                "all" => parts.iter().all(|part| *part),
                "any" => parts.iter().any(|part| *part),
                _ => !parts.iter().any(|part| *part),
            })
        }
        _ => Err(unknown(condition)),
    }
}
