//! `openapi/sources.toml`: which documents were accepted, and the published slices that each is made of.

use std::path::Path;

use toml_edit::{Array, ArrayOfTables, DocumentMut, Item, Table, value};

use super::document::Document;
use super::read::SOURCES;
use crate::product::Product;
use crate::{Error, Result};

/// The head of a new file.
const HEAD: &str = "\
# Where each document comes from. The documents are what Flinks publishes, byte for byte; our corrections are in
# overlays/. `cargo xtask import` writes this file; `cargo xtask regenerate` refuses a document whose sha256 is not the one
# below. A slice is what one page says of a document; its sha256 is that of the fenced block.

";

/// The part of a document that one page has.
pub(crate) struct Page<'a> {
    /// The file that was retrieved.
    pub(crate) file: &'a Path,
    pub(crate) document: &'a Document,
}

/// The file, for changes that keep the rest of it as it is.
pub(crate) struct Sources {
    head: &'static str,
    document: DocumentMut,
}

impl Sources {
    /// Reads the file; one that is not there is new.
    pub(crate) fn read(root: &Path) -> Result<Self> {
        let path = Path::new(SOURCES);
        let (head, text) = match std::fs::read_to_string(root.join(path)) {
            Ok(text) => ("", text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => (HEAD, String::new()),
            Err(error) => return Err(Error::new(format!("cannot be read: {error}")).in_file(path)),
        };
        let document = text.parse().map_err(|error| Error::new(format!("is not TOML: {error}")).in_file(path))?;
        Ok(Self { head, document })
    }

    /// Puts a document on record, with the slices that arrived. Returns the names of the pages whose address is not known.
    pub(crate) fn accept(
        &mut self,
        product: Product,
        document: &Document,
        pages: &[Page<'_>],
        retrieved: &str,
    ) -> Result<Vec<String>> {
        let unknown = || {
            Error::new(format!("`{}` is not the table that it should be", product.crate_name()))
                .in_file(Path::new(SOURCES))
        };
        let table = self.document.entry(product.crate_name()).or_insert_with(|| Item::Table(Table::new()));
        let table = table.as_table_mut().ok_or_else(unknown)?;
        if let Some(version) = document.value.pointer("/info/version").and_then(serde_json::Value::as_str) {
            put(table, "version", version);
        }
        put(table, "sha256", &document.sha256());
        let entries = table.entry("slices").or_insert_with(|| Item::ArrayOfTables(ArrayOfTables::new()));
        let entries = entries.as_array_of_tables_mut().ok_or_else(unknown)?;
        let mut unknown_pages = Vec::new();
        for page in pages {
            let sha256 = page.document.sha256();
            let operations = page.document.operations();
            let is_known = |entry: &Table| {
                entry.get("sha256").and_then(Item::as_str) == Some(&sha256)
                    && operations_of(entry).into_iter().eq(operations.iter().map(String::as_str))
            };
            if entries.iter().any(is_known) {
                continue;
            }
            let known = entries
                .iter()
                .position(|entry| operations_of(entry) == operations.iter().map(String::as_str).collect::<Vec<_>>());
            let index = match known {
                Some(index) => index,
                None => {
                    // What an earlier slice said of these operations no longer stands.
                    entries.iter_mut().for_each(|entry| forget(entry, &|operation| operations.contains(operation)));
                    entries.retain(|entry| !operations_of(entry).is_empty());
                    let mut entry = Table::new();
                    let name = page.file.file_name().unwrap_or_default().to_string_lossy().into_owned();
                    entry.insert("operations", value(operations.iter().collect::<Array>()));
                    put(&mut entry, "page", &name);
                    unknown_pages.push(name);
                    entries.push(entry);
                    entries.len().saturating_sub(1)
                }
            };
            let entry = entries.get_mut(index).ok_or_else(unknown)?;
            let day = day(retrieved)?;
            entry.insert("retrieved", value(day));
            put(entry, "sha256", &sha256);
        }
        // What the document no longer describes.
        let described = document.operations();
        entries.iter_mut().for_each(|entry| forget(entry, &|operation| !described.contains(operation)));
        entries.retain(|entry| !operations_of(entry).is_empty());
        Ok(unknown_pages)
    }

    pub(crate) fn text(&self) -> String {
        format!("{}{}", self.head, self.document)
    }
}

/// A day such as `2026-11-21`.
pub(crate) fn day(text: &str) -> Result<toml_edit::Datetime> {
    let day = text.parse::<toml_edit::Datetime>().ok().filter(|day| day.time.is_none() && day.offset.is_none());
    day.ok_or_else(|| Error::new(format!("`{text}` is not a day such as 2026-11-21")))
}

fn put(table: &mut Table, key: &str, text: &str) {
    if table.get(key).and_then(Item::as_str) != Some(text) {
        table.insert(key, value(text));
    }
}

fn operations_of(entry: &Table) -> Vec<&str> {
    entry
        .get("operations")
        .and_then(Item::as_array)
        .into_iter()
        .flatten()
        .filter_map(toml_edit::Value::as_str)
        .collect()
}

fn forget(entry: &mut Table, is_gone: &dyn Fn(&str) -> bool) {
    if let Some(operations) = entry.get_mut("operations").and_then(Item::as_array_mut) {
        operations.retain(|operation| !operation.as_str().is_some_and(is_gone));
    }
}
