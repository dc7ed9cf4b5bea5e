//! Finds the public items of a crate and their names.

use std::collections::{BTreeMap, BTreeSet};

use syn::visit::Visit;
use syn::{Item, UseTree};

use super::code::{is_hidden, is_public, text};
use super::list::PublicApi;
use super::modules::{ModulePath, Modules, attributes};
use crate::{Error, Result};

/// Lists all public items of a crate.
pub(super) fn list(modules: &Modules) -> Result<PublicApi> {
    let mut reach = Reach { modules, api: PublicApi::default(), names: BTreeMap::new(), listed: BTreeSet::new() };
    reach.module(&Vec::new(), "")?;
    reach.implementations()?;
    reach.macros();
    Ok(reach.api)
}

struct Reach<'a> {
    modules: &'a Modules,
    api: PublicApi,
    /// The first public name of each public type and trait, keyed by the defining module and the
    /// name in that module.
    names: BTreeMap<(ModulePath, String), String>,
    /// The listed modules, each with the prefix under which the module was listed.
    listed: BTreeSet<(ModulePath, String)>,
}

/// The target of a path.
enum Target {
    Item(ModulePath, String),
    Module(ModulePath),
    /// An item from another crate, or an item that no module defines.
    Elsewhere(String),
}

/// A name that a `use` declaration imports.
struct Import {
    /// The imported name, or `None` if all names in a module are imported.
    name: Option<String>,
    path: Vec<String>,
}

/// The maximum length of a chain of re-exports. A longer chain is treated as a loop.
const LONGEST_CHAIN: usize = 16;

impl Reach<'_> {
    /// Lists a module whose items are public under `prefix`.
    fn module(&mut self, path: &ModulePath, prefix: &str) -> Result<()> {
        if !self.listed.insert((path.clone(), prefix.to_owned())) {
            return Ok(());
        }
        let modules = self.modules;
        let Some(module) = modules.0.get(path) else { return Ok(()) };
        for item in module.items.iter().filter(|item| !is_hidden(attributes(item))) {
            let located = |error: Error| error.in_file(&module.file);
            match item {
                Item::Mod(child) if is_public(&child.vis) => {
                    let name = child.ident.to_string();
                    let inner: ModulePath = path.iter().cloned().chain([name.clone()]).collect();
                    self.module(&inner, &format!("{prefix}{name}::"))?;
                }
                Item::Use(item) if is_public(&item.vis) => {
                    for import in imports(&item.tree) {
                        self.import(path, prefix, &import).map_err(located)?;
                    }
                }
                Item::Mod(_) | Item::Use(_) | Item::Impl(_) | Item::Macro(_) => {}
                Item::ExternCrate(item) if !is_public(&item.vis) => {}
                item => self.item(path, prefix, None, item).map_err(located)?,
            }
        }
        Ok(())
    }

    fn import(&mut self, path: &ModulePath, prefix: &str, import: &Import) -> Result<()> {
        match (self.resolve(path, &import.path, 0), &import.name) {
            (Target::Item(module, name), Some(alias)) => {
                let modules = self.modules;
                let items = modules.0.get(&module).map(|module| module.items.as_slice()).unwrap_or_default();
                for item in items.iter().filter(|item| name_of(item).as_deref() == Some(name.as_str())) {
                    if !is_hidden(attributes(item)) {
                        self.item(&module, prefix, Some(alias), item)?;
                    }
                }
                Ok(())
            }
            (Target::Module(module), Some(alias)) => self.module(&module, &format!("{prefix}{alias}::")),
            (Target::Module(module), None) => self.module(&module, prefix),
            (Target::Elsewhere(target), Some(alias)) => {
                self.api.add_line(format!("use {prefix}{alias}"), &target);
                Ok(())
            }
            (Target::Elsewhere(target), None) => {
                self.api.add_line(format!("use {prefix}*"), &target);
                Ok(())
            }
            (Target::Item(_, name), None) => {
                Err(Error::new(format!("re-exporting the variants of `{name}` is not supported")))
            }
        }
    }

    fn item(&mut self, module: &ModulePath, prefix: &str, alias: Option<&str>, item: &Item) -> Result<()> {
        self.api.item(prefix, alias, item)?;
        let visibility = match item {
            Item::Struct(item) => &item.vis,
            Item::Enum(item) => &item.vis,
            Item::Trait(item) => &item.vis,
            _ => return Ok(()),
        };
        if is_public(visibility)
            && let Some(name) = name_of(item)
        {
            let public = format!("{prefix}{}", alias.unwrap_or(&name));
            self.names.entry((module.clone(), name)).or_insert(public);
        }
        Ok(())
    }

    /// Searches all modules and lists the implementations that are visible to dependent crates.
    fn implementations(&mut self) -> Result<()> {
        let modules = self.modules;
        for (path, module) in &modules.0 {
            for item in &module.items {
                let Item::Impl(item) = item else { continue };
                if is_hidden(&item.attrs) || !self.is_visible(path, item) {
                    continue;
                }
                if let Some(of) = self.public_type(path, &item.self_ty) {
                    self.api.implementation(&of, item).map_err(|error| error.in_file(&module.file))?;
                }
            }
        }
        Ok(())
    }

    /// Lists the exported macros, which always belong to the crate root.
    fn macros(&mut self) {
        for item in self.modules.0.values().flat_map(|module| &module.items) {
            let Item::Macro(item) = item else { continue };
            let is_exported = item.attrs.iter().any(|attribute| attribute.path().is_ident("macro_export"));
            if is_exported
                && !is_hidden(&item.attrs)
                && let Some(name) = &item.ident
            {
                self.api.add_line(format!("macro {name}!"), "");
            }
        }
    }

    /// Returns whether the header of an implementation names at least one type or trait from this
    /// crate, and whether all of these types and traits are public.
    fn is_visible(&self, path: &ModulePath, item: &syn::ItemImpl) -> bool {
        let mut paths = Paths(Vec::new());
        item.trait_.iter().for_each(|(_, path, _)| paths.visit_path(path));
        let has_local_trait = item
            .trait_
            .as_ref()
            .is_some_and(|(_, of_trait, _)| matches!(self.resolve(path, &segments(of_trait), 0), Target::Item(..)));
        paths.visit_type(&item.self_ty);
        let mut has_local = has_local_trait;
        for named in &paths.0 {
            if let Target::Item(module, name) = self.resolve(path, named, 0) {
                let is_type = self.is_type(&module, &name);
                has_local |= is_type;
                if is_type && !self.names.contains_key(&(module, name)) {
                    return false;
                }
            }
        }
        has_local
    }

    fn is_type(&self, module: &ModulePath, name: &str) -> bool {
        let items = self.modules.0.get(module).map(|module| module.items.as_slice()).unwrap_or_default();
        items.iter().any(|item| {
            matches!(item, Item::Struct(_) | Item::Enum(_) | Item::Trait(_) | Item::Type(_) | Item::Union(_))
                && name_of(item).as_deref() == Some(name)
        })
    }

    /// Formats a type with its public name. A type from another crate keeps its name.
    fn public_type(&self, path: &ModulePath, ty: &syn::Type) -> Option<String> {
        let syn::Type::Path(named) = ty else { return Some(text(ty)) };
        match self.resolve(path, &segments(&named.path), 0) {
            Target::Item(module, name) => {
                let public = self.names.get(&(module, name))?;
                let arguments = named.path.segments.last().map(|last| text(&last.arguments)).unwrap_or_default();
                Some(format!("{public}{arguments}"))
            }
            _ => Some(text(ty)),
        }
    }

    /// Resolves a path that is used in the `from` module.
    fn resolve(&self, from: &ModulePath, path: &[String], depth: usize) -> Target {
        let elsewhere = || Target::Elsewhere(path.join("::"));
        let Some((first, mut rest)) = path.split_first() else { return elsewhere() };
        if depth > LONGEST_CHAIN {
            return elsewhere();
        }
        let mut here = match first.as_str() {
            "crate" => Target::Module(Vec::new()),
            "self" => Target::Module(from.clone()),
            "super" => Target::Module(from.split_last().map(|(_, parent)| parent.to_vec()).unwrap_or_default()),
            name => match self.lookup(from, name, depth) {
                Some(target) => target,
                None => return elsewhere(),
            },
        };
        while let Some((step, after)) = rest.split_first() {
            here = match here {
                Target::Module(module) if step == "super" => {
                    Target::Module(module.split_last().map(|(_, parent)| parent.to_vec()).unwrap_or_default())
                }
                Target::Module(module) => match self.lookup(&module, step, depth) {
                    Some(target) => target,
                    None => return elsewhere(),
                },
                // A variant or an associated item belongs to its type.
                Target::Item(module, name) => return Target::Item(module, name),
                Target::Elsewhere(target) => Target::Elsewhere(format!("{target}::{step}")),
            };
            rest = after;
        }
        here
    }

    /// Looks up a name in a module and returns the target of the name.
    fn lookup(&self, path: &ModulePath, name: &str, depth: usize) -> Option<Target> {
        let child: ModulePath = path.iter().cloned().chain([name.to_owned()]).collect();
        if self.modules.0.contains_key(&child) {
            return Some(Target::Module(child));
        }
        let module = self.modules.0.get(path)?;
        if module.items.iter().any(|item| name_of(item).as_deref() == Some(name)) {
            return Some(Target::Item(path.clone(), name.to_owned()));
        }
        let uses = module.items.iter().filter_map(|item| match item {
            Item::Use(item) => Some(imports(&item.tree)),
            _ => None,
        });
        let (named, globs): (Vec<Import>, Vec<Import>) = uses.flatten().partition(|import| import.name.is_some());
        let next = depth.saturating_add(1);
        if let Some(import) = named.iter().find(|import| import.name.as_deref() == Some(name)) {
            // Looking up `use name::…` again would recurse forever.
            let is_itself = import.path.first().is_some_and(|first| first == name);
            return Some(if is_itself {
                Target::Elsewhere(import.path.join("::"))
            } else {
                self.resolve(path, &import.path, next)
            });
        }
        if depth > LONGEST_CHAIN {
            return None;
        }
        globs.iter().find_map(|import| match self.resolve(path, &import.path, next) {
            Target::Module(module) if module != *path => self.lookup(&module, name, next),
            _ => None,
        })
    }
}

/// Returns all names that a `use` declaration imports.
fn imports(tree: &UseTree) -> Vec<Import> {
    fn walk(tree: &UseTree, path: &[String], found: &mut Vec<Import>) {
        let with = |name: &syn::Ident| path.iter().cloned().chain([name.to_string()]).collect::<Vec<_>>();
        match tree {
            UseTree::Path(part) => walk(&part.tree, &with(&part.ident), found),
            UseTree::Name(name) if name.ident == "self" => {
                found.push(Import { name: path.last().cloned(), path: path.to_vec() });
            }
            UseTree::Name(name) => found.push(Import { name: Some(name.ident.to_string()), path: with(&name.ident) }),
            UseTree::Rename(name) => {
                found.push(Import { name: Some(name.rename.to_string()), path: with(&name.ident) });
            }
            UseTree::Glob(_) => found.push(Import { name: None, path: path.to_vec() }),
            UseTree::Group(group) => group.items.iter().for_each(|tree| walk(tree, path, found)),
        }
    }
    let mut found = Vec::new();
    walk(tree, &[], &mut found);
    found
}

/// Returns the name that an item defines.
fn name_of(item: &Item) -> Option<String> {
    let ident = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        _ => return None,
    };
    Some(ident.to_string())
}

fn segments(path: &syn::Path) -> Vec<String> {
    path.segments.iter().map(|segment| segment.ident.to_string()).collect()
}

/// All paths in a part of the syntax tree.
struct Paths(Vec<Vec<String>>);

impl<'ast> Visit<'ast> for Paths {
    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.0.push(segments(path));
        syn::visit::visit_path(self, path);
    }
}
