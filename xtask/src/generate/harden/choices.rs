//! Generates the enums for choices between schemas.

use std::collections::BTreeMap;

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{Item, parse_quote};

use super::uses::Uses;
use crate::generate::normalize::form::{Choice, ChoiceVariant, Normalized};
use crate::spec::schema::{self, pascal};

/// Generates the enums for all choices. Their implementations are generated separately, because the
/// implementations depend on whether an enum is sent or received.
pub(super) fn enums(normalized: &Normalized) -> Vec<Item> {
    normalized.choices.iter().map(|(name, choice)| enumeration(normalized, name, choice)).collect()
}

/// Returns the choices, keyed by the name of the enum.
pub(super) fn by_type_name(normalized: &Normalized) -> BTreeMap<String, &Choice> {
    normalized.choices.iter().map(|(name, choice)| (pascal(name), choice)).collect()
}

fn enumeration(normalized: &Normalized, name: &str, choice: &Choice) -> Item {
    let ident = format_ident!("{}", pascal(name));
    let description = schema::named(&normalized.document, name).and_then(|schema| schema.get("description")?.as_str());
    let doc = description.map_or_else(|| format!("The schema `{ident}`: one of several alternatives."), str::to_owned);
    let variants = choice.variants.iter().map(|variant| {
        let (name, ty) = names(variant);
        let doc = match &choice.base {
            Some(base) if *base == variant.schema => {
                String::from("A value of another kind, with the common properties.")
            }
            _ => format!("The alternative `{}`.", variant.schema),
        };
        // An alternative can contain the choice itself.
        quote!(#[doc = #doc] #name(Box<#ty>))
    });
    parse_quote! {
        #[doc = #doc]
        #[derive(Clone)]
        #[non_exhaustive]
        pub enum #ident {
            #(#variants,)*
            /// A value that matches no documented alternative.
            Other(::flinks_core::RawJson),
        }
    }
}

/// Generates the implementations for a choice's enum.
pub(super) fn implementations(
    normalized: &Normalized,
    ident: &syn::Ident,
    choice: &Choice,
    is_sent: bool,
    is_received: bool,
) -> Vec<Item> {
    let text = ident.to_string();
    let arms = |arm: &dyn Fn(&ChoiceVariant) -> TokenStream| choice.variants.iter().map(arm).collect::<Vec<_>>();
    let debug = arms(&|variant| {
        let (name, _) = names(variant);
        quote!(Self::#name(value) => f.debug_tuple(#text).field(value).finish())
    });
    let mut items: Vec<Item> = vec![parse_quote! {
        impl ::std::fmt::Debug for #ident {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                match self {
                    #(#debug,)*
                    Self::Other(value) => f.debug_tuple(#text).field(value).finish(),
                }
            }
        }
    }];
    if is_received {
        let read = read(normalized, choice);
        items.push(parse_quote! {
            impl<'de> ::serde::Deserialize<'de> for #ident {
                fn deserialize<D: ::serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                    let raw = <::flinks_core::RawJson as ::serde::Deserialize>::deserialize(deserializer)?;
                    #read
                    Ok(Self::Other(raw))
                }
            }
        });
    }
    if is_sent {
        let serialize = arms(&|variant| {
            let (name, _) = names(variant);
            quote!(Self::#name(value) => ::serde::Serialize::serialize(value, serializer))
        });
        items.push(parse_quote! {
            impl ::serde::Serialize for #ident {
                fn serialize<S: ::serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                    match self {
                        #(#serialize,)*
                        Self::Other(value) => ::serde::Serialize::serialize(value, serializer),
                    }
                }
            }
        });
        for variant in &choice.variants {
            let (name, ty) = names(variant);
            items.push(parse_quote! {
                impl From<#ty> for #ident {
                    fn from(value: #ty) -> Self {
                        Self::#name(Box::new(value))
                    }
                }
            });
        }
    }
    items
}

/// Generates the implementation of `ReplyBody` if the choice is a response body.
pub(super) fn reply_body(ident: &syn::Ident, uses: &Uses) -> Option<Item> {
    uses.replies.contains(&ident.to_string()).then(|| {
        parse_quote! {
            impl ::flinks_core::generated::ReplyBody for #ident {
                fn is_documented(&self) -> bool {
                    !matches!(self, Self::Other(_))
                }
            }
        }
    })
}

/// Generates the statements that find and return the alternative for a value.
fn read(normalized: &Normalized, choice: &Choice) -> TokenStream {
    let attempt = |variant: &ChoiceVariant| {
        let (name, _) = names(variant);
        quote!(if let Ok(value) = raw.read() { return Ok(Self::#name(value)); })
    };
    let known = choice.discriminator.as_ref().filter(|discriminator| !discriminator.tags.is_empty());
    let Some(discriminator) = known else {
        let fields = choice.variants.iter().map(|variant| fields(normalized, variant));
        let attempts = choice.variants.iter().enumerate().map(|(index, variant)| {
            let attempt = attempt(variant);
            quote!(#index => #attempt)
        });
        return quote! {
            for index in raw.by_fields(&[#(#fields),*]) {
                match index {
                    #(#attempts)*
                    _ => {}
                }
            }
        };
    };
    let property = &discriminator.property;
    let arms = discriminator.tags.iter().filter_map(|(tag, schema)| {
        let variant = choice.variants.iter().find(|variant| variant.schema == *schema)?;
        let attempt = attempt(variant);
        Some(quote!(Some(#tag) => #attempt))
    });
    let base = choice.variants.iter().find(|variant| Some(&variant.schema) == choice.base.as_ref()).map(|variant| {
        let (name, _) = names(variant);
        quote!(if raw.is_object() && let Ok(value) = raw.read() { return Ok(Self::#name(value)); })
    });
    quote! {
        match raw.tag(#property) {
            #(#arms)*
            _ => {}
        }
        #base
    }
}

/// Generates the list of an alternative's fields. The list is `None` if the alternative is not a
/// struct.
fn fields(normalized: &Normalized, variant: &ChoiceVariant) -> TokenStream {
    let schema = schema::named(&normalized.document, &variant.schema);
    let Some(properties) = schema.and_then(|schema| schema.get("properties")?.as_object()) else {
        return quote!(None);
    };
    let type_name = pascal(&variant.schema);
    let wire = properties.keys().map(|name| {
        normalized.wire_names.get(&(type_name.clone(), name.clone())).map_or(name.as_str(), String::as_str)
    });
    quote!(Some(&[#(#wire),*]))
}

fn names(variant: &ChoiceVariant) -> (syn::Ident, syn::Ident) {
    (format_ident!("{}", variant.name), format_ident!("{}", pascal(&variant.schema)))
}
