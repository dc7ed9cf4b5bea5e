//! Generates the constructor and the setters for a request type.

use quote::quote;
use syn::{Ident, Item, Type, parse_quote};

use super::attributes::{docs, generic_argument, serde_argument, unknown_shape, wire_name};
use super::types::property_doc;
use crate::Result;
use crate::generate::normalize::form::Normalized;

/// Generates `new`, which takes the required fields, and a setter for each optional field. Omitting
/// a required field is a compile error, and adding an optional field is not a breaking change.
pub(super) fn constructor(ident: &Ident, fields: &syn::FieldsNamed, normalized: &Normalized) -> Result<Item> {
    let mut required = Vec::new();
    let mut values = Vec::new();
    let mut setters = Vec::new();
    for field in &fields.named {
        let Some(name) = &field.ident else { continue };
        let ty = &field.ty;
        let wire = wire_name(field, name)?;
        let inner = generic_argument(ty, "Option");
        let default = serde_argument(&field.attrs, "default")?;
        if inner.is_none() && default.is_none() {
            required.push((position(ident, &wire, normalized), name, ty));
            values.push(if is_text(ty) { quote!(#name: #name.into()) } else { quote!(#name) });
            continue;
        }
        values.push(match default.as_deref() {
            Some(path) if !path.is_empty() => {
                let path: syn::Path = syn::parse_str(path).map_err(|_| unknown_shape(path))?;
                quote!(#name: #path())
            }
            _ => quote!(#name: Default::default()),
        });
        let description = Some(docs(&field.attrs)).filter(|text| *text != property_doc(&wire)).unwrap_or_default();
        let doc = format!("Sets `{wire}`. {description}");
        let (ty, value) = match &inner {
            Some(inner) => (inner, quote!(Some(#name.into()))),
            None => (ty, quote!(#name.into())),
        };
        setters.push(quote! {
            #[doc = #doc]
            #[must_use]
            pub fn #name(mut self, #name: impl Into<#ty>) -> Self {
                self.#name = #value;
                self
            }
        });
    }
    // Restores the document order, because typify sorts the fields.
    required.sort_by_key(|(position, ..)| *position);
    let parameters = required
        .iter()
        .map(|(_, name, ty)| if is_text(ty) { quote!(#name: impl Into<#ty>) } else { quote!(#name: #ty) });
    Ok(parse_quote! {
        impl #ident {
            /// Creates a value from the required fields.
            pub fn new(#(#parameters),*) -> Self {
                Self { #(#values),* }
            }

            #(#setters)*
        }
    })
}

fn is_text(ty: &Type) -> bool {
    matches!(ty, Type::Path(path) if path.path.segments.last().is_some_and(|last| last.ident == "String"))
}

/// Returns the position of a property in the document. The position is needed because typify sorts
/// the fields.
fn position(ident: &Ident, wire: &str, normalized: &Normalized) -> Option<usize> {
    let ident = ident.to_string();
    let properties = normalized.schema_of(&ident)?.get("properties")?.as_object()?;
    properties.keys().position(|name| {
        normalized.wire_names.get(&(ident.clone(), name.clone())).map_or(name.as_str(), String::as_str) == wire
    })
}
