//! Replaces the derived `Debug` implementations of the types, removes `Serialize` from response
//! types, and adds constants for response fields.

use std::collections::BTreeSet;

use proc_macro2::TokenStream;
use quote::{ToTokens as _, format_ident, quote};
use syn::visit_mut::VisitMut;
use syn::{Fields, Ident, Item, Type, parse_quote};

use super::attributes::{
    doc, docs, generic_argument, reexported, rename, serde_argument, starts_with, unknown_shape, wire_name,
};
use super::choices;
use super::constructor::constructor;
use super::operation::Operation;
use super::outcome::{is_streamed, other_type, variant_name};
use super::reply_body::reply_body;
use super::secret_fields::{check_secrets, secret_fields};
use super::uses::Uses;
use crate::Result;
use crate::generate::normalize::form::{Bodies, Normalized};
use crate::generate::progenitor::CORE_TYPES;
use crate::spec::schema::{self, pascal};

/// Hardens the `types` module. Returns the hardened module and the fields that contain a secret.
pub(super) fn harden(
    mut module: syn::ItemMod,
    normalized: &Normalized,
    operations: &[Operation],
) -> Result<(syn::ItemMod, BTreeSet<String>)> {
    let (_, mut items) = module.content.take().ok_or_else(|| unknown_shape("the `types` module is empty"))?;
    restore_wire_names(&mut items, normalized)?;
    check_secrets(&secret_fields(&items, normalized), normalized)?;
    items.extend(choices::enums(normalized));
    let uses = Uses::find(&items, operations, normalized);
    // Removes types that no operation sends or receives, such as schemas that are only merged into
    // others.
    let items = items.into_iter().filter(|item| !uses.is_unused(item));
    let choices = choices::by_type_name(normalized);
    let mut hardened: Vec<Item> = Vec::new();
    for item in items {
        match item {
            Item::Struct(item) => hardened.extend(structure(item, &uses, normalized)?),
            Item::Enum(item) => match choices.get(&item.ident.to_string()) {
                Some(choice) => {
                    let ident = item.ident.clone();
                    let (is_sent, is_received) = (uses.keeps(&ident, "Serialize"), uses.keeps(&ident, "Deserialize"));
                    hardened.push(Item::Enum(item));
                    hardened.extend(choices::implementations(normalized, &ident, choice, is_sent, is_received));
                    hardened.extend(choices::reply_body(&ident, &uses));
                }
                None => hardened.extend(enumeration(item, &uses)?),
            },
            Item::Impl(item) if uses.is_response_default(&item) => {}
            Item::Mod(mut item) if item.ident == "defaults" => {
                // typify puts its helpers here. Some of them may be unused.
                item.vis = syn::Visibility::Inherited;
                item.attrs.push(parse_quote!(#[allow(dead_code)]));
                hardened.push(Item::Mod(item));
            }
            other => hardened.push(other),
        }
    }
    for name in &normalized.secret_types {
        if !CORE_TYPES.iter().any(|(core, _)| core == name) {
            hardened.push(secret_type(name, normalized));
            let ident = format_ident!("{}", pascal(name));
            hardened.extend(reply_body(&ident, &Fields::Unit, &uses)?);
        }
    }
    hardened.extend(normalized.outcomes().filter(|bodies| bodies.union.is_some()).map(union));
    hardened.sort_by_key(|item| matches!(item, Item::Mod(_)));
    let secrets = secret_fields(&hardened, normalized);
    module.content = Some((syn::token::Brace::default(), hardened));
    // A general `allow` could hide relevant warnings.
    module.attrs.retain(|attribute| !attribute.path().is_ident("allow"));
    // progenitor writes paths from the crate root because it uses the types both inside and outside
    // this module.
    LocalPaths.visit_item_mod_mut(&mut module);
    Ok((module, secrets))
}

/// Restores the wire name of each renamed property.
fn restore_wire_names(items: &mut [Item], normalized: &Normalized) -> Result<()> {
    if normalized.wire_names.is_empty() {
        return Ok(());
    }
    for item in items {
        let Item::Struct(item) = item else { continue };
        for field in &mut item.fields {
            let Some(name) = field.ident.clone() else { continue };
            let key = (item.ident.to_string(), wire_name(field, &name)?);
            let Some(wire) = normalized.wire_names.get(&key) else { continue };
            rename(field, wire)?;
        }
    }
    Ok(())
}

fn structure(mut item: syn::ItemStruct, uses: &Uses, normalized: &Normalized) -> Result<Vec<Item>> {
    harden_attributes(&mut item.attrs, &item.ident, uses, true)?;
    let mut items = Vec::new();
    let ident = item.ident.clone();
    let debug = match &mut item.fields {
        Fields::Named(fields) => {
            let mut entries = Vec::new();
            for field in &mut fields.named {
                let name = field.ident.clone().ok_or_else(|| unknown_shape("a field has no name"))?;
                let wire = wire_name(field, &name)?;
                if docs(&field.attrs).is_empty() {
                    let text = referenced_description(&ident, &wire, normalized);
                    field.attrs.insert(0, doc(&text.unwrap_or_else(|| property_doc(&wire))));
                }
                if !uses.keeps(&ident, "Serialize") {
                    drop_serialize_arguments(field)?;
                }
                if normalized.lenient.contains(&(ident.to_string(), wire.clone())) {
                    field
                        .attrs
                        .push(parse_quote!(#[serde(default, deserialize_with = "::flinks_core::generated::lenient")]));
                }
                let (text, value) = (name.to_string(), debug_value(&field.ty, &quote!(self.#name), uses));
                entries.push(quote!(.field(#text, #value)));
            }
            let text = ident.to_string();
            if uses.sent.contains(&text) {
                items.push(constructor(&ident, fields, normalized)?);
            }
            // With this attribute, a new field in the document does not break code that constructs
            // or matches the type.
            item.attrs.push(parse_quote!(#[non_exhaustive]));
            quote!(f.debug_struct(#text) #(#entries)* .finish())
        }
        Fields::Unnamed(fields) => {
            let text = ident.to_string();
            let entries = fields.unnamed.iter().enumerate().map(|(index, field)| {
                let index = syn::Index::from(index);
                let value = debug_value(&field.ty, &quote!(self.#index), uses);
                quote!(.field(#value))
            });
            quote!(f.debug_tuple(#text) #(#entries)* .finish())
        }
        Fields::Unit => {
            let text = ident.to_string();
            quote!(f.write_str(#text))
        }
    };
    items.extend(reply_body(&ident, &item.fields, uses)?);
    items.insert(0, Item::Struct(item));
    items.insert(1, debug_impl(&ident, debug));
    Ok(items)
}

fn enumeration(mut item: syn::ItemEnum, uses: &Uses) -> Result<Vec<Item>> {
    let is_plain = item.variants.iter().all(|variant| matches!(variant.fields, Fields::Unit));
    // The variant names of a plain enum are in the document, so they are not secret.
    harden_attributes(&mut item.attrs, &item.ident, uses, !is_plain)?;
    item.attrs.push(parse_quote!(#[non_exhaustive]));
    for variant in &mut item.variants {
        if docs(&variant.attrs).is_empty() {
            let wire = serde_argument(&variant.attrs, "rename")?.unwrap_or_else(|| variant.ident.to_string());
            let kind = if is_plain { "value" } else { "variant" };
            variant.attrs.insert(0, doc(&format!("The {kind} `{wire}`.")));
        }
    }
    let reply = reply_body(&item.ident, &Fields::Unit, uses)?;
    if is_plain {
        return Ok(std::iter::once(Item::Enum(item)).chain(reply).collect());
    }
    let arms = item.variants.iter().map(|variant| {
        let (name, text) = (&variant.ident, variant.ident.to_string());
        match &variant.fields {
            Fields::Unit => quote!(Self::#name => f.write_str(#text)),
            Fields::Unnamed(fields) if fields.unnamed.iter().all(|field| is_printable(&field.ty, uses)) => {
                let values: Vec<Ident> = (0..fields.unnamed.len()).map(|index| format_ident!("value{index}")).collect();
                quote!(Self::#name(#(#values),*) => f.debug_tuple(#text) #(.field(#values))* .finish())
            }
            Fields::Unnamed(_) => quote!(Self::#name(..) => f.debug_tuple(#text).finish_non_exhaustive()),
            Fields::Named(_) => quote!(Self::#name { .. } => f.debug_struct(#text).finish_non_exhaustive()),
        }
    });
    let debug = debug_impl(&item.ident, quote!(match self { #(#arms,)* }));
    Ok([Item::Enum(item), debug].into_iter().chain(reply).collect())
}

/// Generates the expression whose value `Debug` prints for a field. Every string is redacted (A3,
/// A6).
fn debug_value(ty: &Type, place: &TokenStream, uses: &Uses) -> TokenStream {
    if is_printable(ty, uses) {
        return quote!(&#place);
    }
    match generic_argument(ty, "Option") {
        Some(_) => quote!(&#place.as_ref().map(|_| ::flinks_core::generated::Redacted)),
        None => quote!(&::flinks_core::generated::Redacted),
    }
}

fn is_printable(ty: &Type, uses: &Uses) -> bool {
    let Type::Path(path) = ty else { return false };
    let Some(last) = path.path.segments.last() else { return false };
    let name = last.ident.to_string();
    match name.as_str() {
        "bool" | "f32" | "f64" | "i8" | "i16" | "i32" | "i64" | "u8" | "u16" | "u32" | "u64" => true,
        "NonZeroU8" | "NonZeroU16" | "NonZeroU32" | "NonZeroU64" | "NonZeroI64" | "ExpiresIn" => true,
        "Option" | "Vec" | "Box" => generic_argument(ty, &name).is_some_and(|inner| is_printable(&inner, uses)),
        // A path with several segments refers to a type in another module, even if its last segment
        // is the name of a local type.
        _ => path.path.segments.len() == 1 && uses.local.contains(&name),
    }
}

fn debug_impl(ident: &Ident, body: TokenStream) -> Item {
    parse_quote! {
        impl ::std::fmt::Debug for #ident {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                #body
            }
        }
    }
}

/// Returns the documentation for a property that has no description.
pub(super) fn property_doc(wire: &str) -> String {
    format!("The property `{wire}`.")
}

/// Returns the description of a property that references a schema: the property's own description,
/// which typify ignores, or else the schema's description.
fn referenced_description(ident: &Ident, property: &str, normalized: &Normalized) -> Option<String> {
    let property = normalized.schema_of(&ident.to_string())?.get("properties")?.get(property)?;
    let property = schema::without_nullable(property);
    let name = schema::referenced(property)?;
    let target = || schema::named(&normalized.document, name)?.get("description");
    Some(property.get("description").or_else(target)?.as_str()?.to_owned())
}

fn secret_type(name: &str, normalized: &Normalized) -> Item {
    let ident = format_ident!("{}", pascal(name));
    let text = schema::named(&normalized.document, name).and_then(|schema| schema.get("description")?.as_str());
    let text = text.unwrap_or("A secret value.");
    let doc = format!(
        "{text}\n\nThis is a distinct type: it cannot be converted to another type, not even to a [`Secret`](::flinks_core::Secret)."
    );
    parse_quote! {
        ::flinks_core::secret_type! {
            #[doc = #doc]
            pub struct #ident;
        }
    }
}

/// Generates the union type for the success bodies or the error bodies of an operation. Only the
/// status distinguishes the variants (T12).
fn union(bodies: &Bodies) -> Item {
    let ident = format_ident!("{}", bodies.union.as_deref().map(pascal).unwrap_or_default());
    let mut seen = BTreeSet::new();
    let variants = bodies.bodies.iter().filter_map(|body| {
        let name = variant_name(bodies, body);
        if !seen.insert(name.clone()) {
            return None;
        }
        let doc = format!("A response with status {}.", body.status);
        let content = match (body.schema.as_deref(), &body.other) {
            (Some(schema), _) => {
                let schema = format_ident!("{}", pascal(schema));
                quote!((#schema))
            }
            (None, Some(_)) => {
                let other = other_type(body);
                quote!((#other))
            }
            (None, None) => quote!(),
        };
        Some(quote!(#[doc = #doc] #name #content))
    });
    // A stream can be read only once.
    let derives = if is_streamed(bodies) { quote!(Debug) } else { quote!(Clone, Debug) };
    parse_quote! {
        /// A response whose status determines the variant.
        #[derive(#derives)]
        #[non_exhaustive]
        #[allow(clippy::large_enum_variant)] // is matched as soon as it is decoded
        pub enum #ident {
            #(#variants),*
        }
    }
}

/// Removes the `Debug` derive and the derives that the type does not need. Also removes the copy of
/// the schema from the documentation.
fn harden_attributes(attributes: &mut Vec<syn::Attribute>, ident: &Ident, uses: &Uses, own_debug: bool) -> Result<()> {
    let text = without_schema(&docs(attributes));
    let text = if text.is_empty() || text == format!("`{ident}`") { format!("The schema `{ident}`.") } else { text };
    attributes.retain(|attribute| !attribute.path().is_ident("doc"));
    for attribute in attributes.iter_mut().filter(|attribute| attribute.path().is_ident("derive")) {
        let parser = syn::punctuated::Punctuated::<syn::Path, syn::Token![,]>::parse_terminated;
        let derives = attribute.parse_args_with(parser).map_err(|_| unknown_shape("a derive"))?;
        let derives = derives.into_iter().filter(|path| {
            let name = path.segments.last().map(|segment| segment.ident.to_string()).unwrap_or_default();
            !(own_debug && name == "Debug") && uses.keeps(ident, &name)
        });
        *attribute = parse_quote!(#[derive(#(#derives),*)]);
    }
    attributes.insert(0, doc(&text));
    Ok(())
}

/// Returns the documentation without the folded JSON schema that typify appends.
fn without_schema(docs: &str) -> String {
    let docs = docs.split("<details>").next().unwrap_or_default().trim();
    docs.to_owned()
}

/// Removes all `#[serde(…)]` arguments from a field except those that affect deserialization,
/// because the type that contains the field is never serialized.
fn drop_serialize_arguments(field: &mut syn::Field) -> Result<()> {
    let rename = serde_argument(&field.attrs, "rename")?;
    let default = serde_argument(&field.attrs, "default")?;
    for attribute in field.attrs.iter().filter(|attribute| attribute.path().is_ident("serde")) {
        let text = attribute.to_token_stream().to_string();
        if ["flatten", "with"].iter().any(|other| text.contains(other)) {
            return Ok(());
        }
    }
    field.attrs.retain(|attribute| !attribute.path().is_ident("serde"));
    let rename = rename.map(|rename| quote!(rename = #rename));
    let default = default.map(|path| if path.is_empty() { quote!(default) } else { quote!(default = #path) });
    let arguments: Vec<TokenStream> = rename.into_iter().chain(default).collect();
    if !arguments.is_empty() {
        field.attrs.push(parse_quote!(#[serde(#(#arguments),*)]));
    }
    Ok(())
}

/// Rewrites `crate::types::X` to `X`, and `serde_json` to its re-export in `flinks_core`.
struct LocalPaths;

impl VisitMut for LocalPaths {
    fn visit_path_mut(&mut self, path: &mut syn::Path) {
        let is_local = path.segments.len() == 3 && starts_with(path, &["crate", "types"]);
        if is_local {
            path.segments = path.segments.iter().skip(2).cloned().collect();
        }
        reexported(path);
        syn::visit_mut::visit_path_mut(self, path);
    }
}
