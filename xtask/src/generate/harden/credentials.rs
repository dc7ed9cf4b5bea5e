//! Generates the enums for choosing between several kinds of credentials.

use std::collections::BTreeMap;

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{Ident, Type, parse_quote};

use crate::generate::normalize::form::{CredentialChoice, CredentialHeader, Normalized};

/// Generates the module that contains one enum for each choice that an operation offers. Returns
/// `None` if no operation offers a choice.
pub(super) fn module(normalized: &Normalized) -> Option<TokenStream> {
    let choices = normalized.operations.iter().filter_map(|operation| operation.credential_choice.as_ref());
    let choices: BTreeMap<String, &CredentialChoice> =
        choices.map(|choice| (choice.type_name.clone(), choice)).collect();
    if choices.is_empty() {
        return None;
    }
    let enums = choices.values().map(|choice| enumeration(choice));
    Some(quote! {
        /// Credentials for operations that accept several kinds of credentials.
        pub mod credentials {
            use ::flinks_core::generated::{HeaderArgument as _, HeaderName};

            #(#enums)*
        }
    })
}

/// Returns the argument type for a choice.
pub(super) fn argument_type(choice: &CredentialChoice) -> Type {
    let name = format_ident!("{}", choice.type_name);
    parse_quote!(credentials::#name<'a>)
}

fn enumeration(choice: &CredentialChoice) -> TokenStream {
    let name = format_ident!("{}", choice.type_name);
    let variants = choice.variants.iter().map(|variant| {
        let ident = format_ident!("{}", variant.name);
        let types = variant.headers.iter().map(ty);
        let texts = variant.headers.iter().map(|header| {
            let text = if header.description.is_empty() { "A credential." } else { header.description.as_str() };
            format!("{text} Sent in the header `{}`.", header.name)
        });
        let doc = texts.collect::<Vec<_>>().join("\n\n");
        quote!(#[doc = #doc] #ident(#(&'a #types),*))
    });
    let arms = choice.variants.iter().map(|variant| {
        let ident = format_ident!("{}", variant.name);
        let values: Vec<Ident> = (0..variant.headers.len()).map(|index| format_ident!("value{index}")).collect();
        let headers = variant.headers.iter().zip(&values).map(|(CredentialHeader { name, .. }, value)| {
            let lower = name.to_ascii_lowercase();
            quote!(request.header(HeaderName::from_static(#lower), #value.header_value(#name)?);)
        });
        quote!(Self::#ident(#(#values),*) => { #(#headers)* })
    });
    let conversions = choice.variants.iter().filter_map(|variant| {
        let [header] = variant.headers.as_slice() else { return None };
        let is_single = |other: &&CredentialHeader| other.is_authorization == header.is_authorization;
        let others = choice.variants.iter().filter_map(|variant| match variant.headers.as_slice() {
            [header] => Some(header),
            _ => None,
        });
        // A type that two alternatives share does not determine the alternative.
        if others.filter(is_single).count() > 1 {
            return None;
        }
        let (ident, ty) = (format_ident!("{}", variant.name), ty(header));
        Some(quote! {
            impl<'a> From<&'a #ty> for #name<'a> {
                fn from(value: &'a #ty) -> Self {
                    Self::#ident(value)
                }
            }
        })
    });
    quote! {
        /// The credentials for an operation, one variant for each kind that the server accepts.
        #[derive(Clone, Copy, Debug)]
        #[non_exhaustive]
        pub enum #name<'a> {
            #(#variants),*
        }

        impl #name<'_> {
            pub(super) fn set(
                self,
                request: &mut ::flinks_core::generated::Request,
            ) -> Result<(), ::flinks_core::InvalidRequest> {
                match self {
                    #(#arms)*
                }
                Ok(())
            }
        }

        #(#conversions)*
    }
}

fn ty(header: &CredentialHeader) -> TokenStream {
    if header.is_authorization { quote!(::flinks_core::Authorization) } else { quote!(::flinks_core::Secret) }
}
