//! Reads a crate's files as a module tree, evaluates conditions and expands macros.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use syn::Item;

use super::code::unknown;
use super::conditions::is_active;
use super::macros;
use crate::{Error, Result};

/// A module's path from its crate root.
pub(super) type ModulePath = Vec<String>;

/// All modules in a crate.
#[derive(Debug, Default)]
pub(super) struct Modules(pub(super) BTreeMap<ModulePath, Module>);

/// A module in a crate.
#[derive(Debug)]
pub(super) struct Module {
    /// The file that contains the module.
    pub(super) file: PathBuf,
    pub(super) items: Vec<Item>,
}

impl Modules {
    /// Reads the crate whose root file is `file`, a path relative to the project's root.
    pub(super) fn load(root: &Path, file: &Path) -> Result<Self> {
        let mut modules = Self::default();
        let folder = file.parent().unwrap_or(Path::new("")).to_owned();
        let items = parse(root, file)?;
        let mut macros = BTreeMap::new();
        modules.add(root, file, &folder, Vec::new(), items, &mut macros)?;
        Ok(modules)
    }

    /// Adds a module and its contents. `folder` contains the source files of the child modules.
    fn add(
        &mut self,
        root: &Path,
        file: &Path,
        folder: &Path,
        path: ModulePath,
        items: Vec<Item>,
        macros: &mut BTreeMap<String, macros::Rule>,
    ) -> Result<()> {
        let mut kept = Vec::new();
        // Expanded items replace the macro call.
        let mut queue: std::collections::VecDeque<Item> = items.into();
        while let Some(item) = queue.pop_front() {
            let located = |error: Error| error.in_file(file);
            if !is_active(attributes(&item)).map_err(located)? {
                continue;
            }
            match &item {
                Item::Macro(call) if call.mac.path.is_ident("macro_rules") => {
                    if let Some(name) = &call.ident {
                        macros.insert(name.to_string(), macros::Rule::new(&call.mac.tokens));
                    }
                    kept.push(item);
                }
                Item::Macro(call) => {
                    let name = call.mac.path.segments.last().map(|last| last.ident.to_string()).unwrap_or_default();
                    // The statics that these macros define are private to the module.
                    if ["thread_local", "task_local"].contains(&name.as_str()) {
                        continue;
                    }
                    let rule = macros.get(&name).ok_or_else(|| located(unknown(call)))?;
                    let expanded = rule.expand(&call.mac.tokens).ok_or_else(|| located(unknown(call)))?;
                    let expanded: syn::File = syn::parse2(expanded).map_err(|_| located(unknown(call)))?;
                    expanded.items.into_iter().rev().for_each(|item| queue.push_front(item));
                }
                Item::Mod(module) => {
                    let name = module.ident.to_string();
                    let child: ModulePath = path.iter().cloned().chain([name.clone()]).collect();
                    if module.attrs.iter().any(|attribute| attribute.path().is_ident("path")) {
                        return Err(located(unknown(module)));
                    }
                    let below = folder.join(&name);
                    match &module.content {
                        Some((_, items)) => self.add(root, file, &below, child, items.clone(), macros)?,
                        None => {
                            let (flat, nested) = (below.with_extension("rs"), below.join("mod.rs"));
                            let file = if root.join(&flat).exists() { flat } else { nested };
                            let items = parse(root, &file)?;
                            self.add(root, &file, &below, child, items, macros)?;
                        }
                    }
                    kept.push(item);
                }
                _ => kept.push(item),
            }
        }
        self.0.insert(path, Module { file: file.to_owned(), items: kept });
        Ok(())
    }
}

fn parse(root: &Path, file: &Path) -> Result<Vec<Item>> {
    let text = std::fs::read_to_string(root.join(file))
        .map_err(|error| Error::new(format!("failed to read the file: {error}")).in_file(file))?;
    let parsed = syn::parse_file(&text).map_err(|error| Error::new(format!("invalid Rust: {error}")).in_file(file))?;
    Ok(parsed.items)
}

/// Returns the attributes of an item.
pub(super) fn attributes(item: &Item) -> &[syn::Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::ExternCrate(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Union(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}
