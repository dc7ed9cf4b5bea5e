//! Adds the lines that describe one item to the public API list.

use syn::{Fields, FnArg, ImplItem, Item, ReturnType, TraitItem};

use super::code::{is_hidden, is_public, text, unknown};
use super::conditions::is_active;
use super::list::{Entry, PublicApi};
use crate::Result;

impl PublicApi {
    /// Lists the items in a module that is defined in a single file.
    pub(super) fn items(&mut self, module: &str, items: &[Item]) -> Result<()> {
        for item in items {
            match item {
                Item::Mod(inner) if is_public(&inner.vis) => {
                    let name = format!("{module}{}::", inner.ident);
                    let items = inner.content.as_ref().map(|(_, items)| items.as_slice()).unwrap_or_default();
                    self.items(&name, items)?;
                }
                Item::Mod(_) | Item::Use(_) => {}
                Item::Impl(item) => {
                    self.implementation(&format!("{module}{}", text(&item.self_ty)), item)?;
                }
                // A call to the macro that defines a secret type.
                Item::Macro(item) => self.add_line(format!("macro {module}{}", text(&item.mac.tokens)), ""),
                item => self.item(module, None, item)?,
            }
        }
        Ok(())
    }

    /// Lists any item except a module, a re-export or an implementation. If `alias` is set, lists
    /// the item under the alias.
    pub(super) fn item(&mut self, module: &str, alias: Option<&str>, item: &Item) -> Result<()> {
        let name = |ident: &syn::Ident| format!("{module}{}", alias.map_or_else(|| ident.to_string(), str::to_owned));
        match item {
            Item::Const(item) if is_public(&item.vis) => {
                self.add_line(format!("const {}", name(&item.ident)), &text(&item.ty));
            }
            Item::Static(item) if is_public(&item.vis) => {
                self.add_line(format!("static {}", name(&item.ident)), &text(&item.ty));
            }
            Item::Type(item) if is_public(&item.vis) => {
                self.add_line(format!("type {}{}", name(&item.ident), text(&item.generics)), &text(&item.ty));
            }
            Item::Fn(item) if is_public(&item.vis) => {
                self.function(&format!("fn {}", name(&item.sig.ident)), &item.sig);
            }
            Item::Struct(item) if is_public(&item.vis) => {
                let name = name(&item.ident);
                self.attributes(format!("struct {name}{}", text(&item.generics)), &name, &item.attrs)?;
                self.fields(&name, &item.fields);
            }
            Item::Enum(item) if is_public(&item.vis) => {
                let name = name(&item.ident);
                self.attributes(format!("enum {name}{}", text(&item.generics)), &name, &item.attrs)?;
                for variant in item.variants.iter().filter(|variant| !is_hidden(&variant.attrs)) {
                    if is_active(&variant.attrs)? {
                        self.add_line(format!("variant {name}::{}", variant.ident), &text(&bare(&variant.fields)));
                    }
                }
            }
            Item::Trait(item) if is_public(&item.vis) => self.trait_definition(&name(&item.ident), item)?,
            Item::Const(_)
            | Item::Static(_)
            | Item::Type(_)
            | Item::Fn(_)
            | Item::Struct(_)
            | Item::Enum(_)
            | Item::Trait(_) => {}
            other => return Err(unknown(other)),
        }
        Ok(())
    }

    fn trait_definition(&mut self, name: &str, item: &syn::ItemTrait) -> Result<()> {
        let parents = text(&item.supertraits);
        self.add_line(format!("trait {name}{}", text(&item.generics)), &parents);
        for member in &item.items {
            match member {
                TraitItem::Fn(method) if is_hidden(&method.attrs) => {}
                TraitItem::Fn(method) => {
                    let kind = if method.default.is_some() { "provided" } else { "required" };
                    self.function(&format!("{kind} fn {name}::{}", method.sig.ident), &method.sig);
                }
                TraitItem::Type(member) => {
                    self.add_line(format!("type {name}::{}", member.ident), &text(&member.bounds));
                }
                TraitItem::Const(member) => self.add_line(format!("const {name}::{}", member.ident), &text(&member.ty)),
                other => return Err(unknown(other)),
            }
        }
        Ok(())
    }

    /// Lists a type and its derives, and notes whether the type is non-exhaustive.
    fn attributes(&mut self, key: String, of: &str, attributes: &[syn::Attribute]) -> Result<()> {
        let may_grow = attributes.iter().any(|attribute| attribute.path().is_ident("non_exhaustive"));
        self.add_line(key, if may_grow { "non_exhaustive" } else { "" });
        for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("derive")) {
            let parser = syn::punctuated::Punctuated::<syn::Path, syn::Token![,]>::parse_terminated;
            for derive in attribute.parse_args_with(parser).map_err(|_| unknown(attribute))? {
                self.add_line(format!("impl {} for {of}", text(&derive)), "");
            }
        }
        Ok(())
    }

    fn fields(&mut self, of: &str, fields: &Fields) {
        for (index, field) in fields.iter().enumerate().filter(|(_, field)| is_public(&field.vis)) {
            let name = field.ident.as_ref().map_or_else(|| index.to_string(), ToString::to_string);
            self.add_line(format!("field {of}.{name}"), &text(&field.ty));
        }
    }

    /// Lists an implementation. `of` is the public name of the implementing type.
    pub(super) fn implementation(&mut self, of: &str, item: &syn::ItemImpl) -> Result<()> {
        if let Some((_, path, _)) = &item.trait_ {
            // Only generated code uses these implementations.
            if text(path).starts_with("flinks_core::generated") {
                return Ok(());
            }
            self.add_line(format!("impl {} for {of}", text(path)), "");
            return Ok(());
        }
        for member in &item.items {
            match member {
                ImplItem::Fn(method) => {
                    if is_public(&method.vis) && !is_hidden(&method.attrs) && is_active(&method.attrs)? {
                        self.function(&format!("fn {of}::{}", method.sig.ident), &method.sig);
                    }
                }
                ImplItem::Const(member) => {
                    if is_public(&member.vis) && !is_hidden(&member.attrs) && is_active(&member.attrs)? {
                        self.add_line(format!("const {of}::{}", member.ident), &text(&member.ty));
                    }
                }
                other => return Err(unknown(other)),
            }
        }
        Ok(())
    }

    fn function(&mut self, key: &str, signature: &syn::Signature) {
        let mut arguments = Vec::new();
        let mut types = Vec::new();
        let mut texts = Vec::new();
        for input in &signature.inputs {
            match input {
                FnArg::Receiver(receiver) => {
                    // `mut self` is not part of the public API.
                    let text = text(receiver).trim_start_matches("mut ").to_owned();
                    types.push(text.clone());
                    texts.push(text);
                }
                FnArg::Typed(argument) => {
                    arguments.push(text(&argument.pat).trim_start_matches("mut ").to_owned());
                    types.push(text(&argument.ty));
                    texts.push(format!("{}: {}", text(&argument.pat).trim_start_matches("mut "), text(&argument.ty)));
                }
            }
        }
        let constness = if signature.constness.is_some() { "const " } else { "" };
        let asyncness = if signature.asyncness.is_some() { "async " } else { "" };
        let output = match &signature.output {
            ReturnType::Default => String::new(),
            ReturnType::Type(_, ty) => format!(" -> {}", text(ty)),
        };
        let bounds = signature.generics.where_clause.as_ref().map(|bounds| format!(" {}", text(bounds)));
        let bounds = bounds.unwrap_or_default();
        let generics = text(&signature.generics);
        let whole = |arguments: Vec<String>| {
            format!("{constness}{asyncness}{key}{generics}({}){output}{bounds}", arguments.join(", "))
        };
        let (signature, text) = (whole(types), whole(texts));
        self.0.insert(key.to_owned(), Entry { signature, text, arguments });
    }
}

/// Returns the fields of a variant without their attributes and documentation, which are not part of
/// the public API.
fn bare(fields: &Fields) -> Fields {
    let mut fields = fields.clone();
    fields.iter_mut().for_each(|field| field.attrs.clear());
    fields
}
