//! Reads and updates `openapi/sources.toml`, which lists the accepted documents and the published
//! pages from which each document was imported.

use std::path::Path;

use toml_edit::{Array, ArrayOfTables, DocumentMut, Item, Table, value};

use super::document::Document;
use super::read::SOURCES;
use crate::product::Product;
use crate::{Error, Result};

/// The comment at the start of a new `sources.toml` file.
const HEAD: &str = "\
# The origin of each document. The documents are exactly what Flinks publishes; our corrections are in overlays/.
# `cargo xtask import` writes this file. `cargo xtask regenerate` rejects a document whose sha256 differs from the value
# below. A slice is the part of a document that one page contains; its sha256 is the hash of the page's fenced block.

";

/// The part of a document that one page contains.
pub(crate) struct Page<'a> {
    /// The file that contains the retrieved page.
    pub(crate) file: &'a Path,
    pub(crate) document: &'a Document,
}

/// The parsed `sources.toml` file. Writing the file preserves everything that was not changed.
pub(crate) struct Sources {
    head: &'static str,
    document: DocumentMut,
}

impl Sources {
    /// Reads the file. If the file does not exist, returns the content of a new file.
    pub(crate) fn read(root: &Path) -> Result<Self> {
        let path = Path::new(SOURCES);
        let (head, text) = match std::fs::read_to_string(root.join(path)) {
            Ok(text) => ("", text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => (HEAD, String::new()),
            Err(error) => return Err(Error::new(format!("failed to read the file: {error}")).in_file(path)),
        };
        let document = text.parse().map_err(|error| Error::new(format!("invalid TOML: {error}")).in_file(path))?;
        Ok(Self { head, document })
    }

    /// Records a document and its imported slices. Returns the file names of new pages, whose
    /// addresses are unknown.
    pub(crate) fn accept(
        &mut self,
        product: Product,
        document: &Document,
        pages: &[Page<'_>],
        retrieved: &str,
    ) -> Result<Vec<String>> {
        let invalid = || {
            Error::new(format!(
                "invalid entry [{}]: expected a table that contains `slices`, a list of tables",
                product.crate_name()
            ))
            .in_file(Path::new(SOURCES))
        };
        let table = self.document.entry(product.crate_name()).or_insert_with(|| Item::Table(Table::new()));
        let table = table.as_table_mut().ok_or_else(invalid)?;
        if let Some(version) = document.value.pointer("/info/version").and_then(serde_json::Value::as_str) {
            set(table, "version", version);
        }
        set(table, "sha256", &document.sha256());
        let entries = table.entry("slices").or_insert_with(|| Item::ArrayOfTables(ArrayOfTables::new()));
        let entries = entries.as_array_of_tables_mut().ok_or_else(invalid)?;
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
                    // Earlier slices no longer describe these operations.
                    entries
                        .iter_mut()
                        .for_each(|entry| remove_operations(entry, &|operation| operations.contains(operation)));
                    entries.retain(|entry| !operations_of(entry).is_empty());
                    let mut entry = Table::new();
                    let name = page.file.file_name().unwrap_or_default().to_string_lossy().into_owned();
                    entry.insert("operations", value(operations.iter().collect::<Array>()));
                    set(&mut entry, "page", &name);
                    unknown_pages.push(name);
                    entries.push(entry);
                    entries.len().saturating_sub(1)
                }
            };
            let entry = entries.get_mut(index).ok_or_else(invalid)?;
            let day = day(retrieved)?;
            entry.insert("retrieved", value(day));
            set(entry, "sha256", &sha256);
        }
        // Remove the operations that the document no longer describes.
        let described = document.operations();
        entries.iter_mut().for_each(|entry| remove_operations(entry, &|operation| !described.contains(operation)));
        entries.retain(|entry| !operations_of(entry).is_empty());
        Ok(unknown_pages)
    }

    pub(crate) fn text(&self) -> String {
        format!("{}{}", self.head, self.document)
    }
}

/// Parses a date such as `2026-11-21`.
pub(crate) fn day(text: &str) -> Result<toml_edit::Datetime> {
    let day = text.parse::<toml_edit::Datetime>().ok().filter(|day| day.time.is_none() && day.offset.is_none());
    day.ok_or_else(|| Error::new(format!("invalid day `{text}`: expected a day such as 2026-11-21")))
}

fn set(table: &mut Table, key: &str, text: &str) {
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

fn remove_operations(entry: &mut Table, is_removed: &dyn Fn(&str) -> bool) {
    if let Some(operations) = entry.get_mut("operations").and_then(Item::as_array_mut) {
        operations.retain(|operation| !operation.as_str().is_some_and(is_removed));
    }
}
