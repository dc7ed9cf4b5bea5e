//! `cargo xtask import` merges the pages that Flinks publishes into `openapi/*.yaml`.
//!
//! Flinks publishes its documents in slices. Each reference page describes one operation and
//! contains, in a fenced block, the part of the document for that operation.
//!
//! - If the imported slices describe all operations in a document, the slices replace the document.
//!   If a single slice describes all operations, the new document is a byte-for-byte copy of the
//!   slice.
//! - Slices that describe only some of the operations are merged. Each operation in a slice
//!   replaces the document's operation with the same method and path. An operation that is missing
//!   from the document is appended. Parts that several operations share (`info`, `servers`,
//!   components, …) are replaced as well, and every replacement is reported. A merge keeps
//!   everything else byte for byte and removes nothing.

mod merge;
mod parts;
mod slices;
mod which_product;

use std::path::{Path, PathBuf};

use crate::generate::output;
use crate::product::Product;
use crate::spec::document::Document;
use crate::spec::read::SOURCES;
use crate::spec::sources::{Page, Sources};
use crate::{Error, Result};
use parts::{mergeable_parts, pointer, title};
use slices::{Slice, read_slices};
use which_product::product_of;

/// The files to import, and the command's options.
#[derive(Debug)]
pub struct Options {
    /// Pages in Markdown, or documents in YAML or JSON.
    pub files: Vec<PathBuf>,
    /// The product for files that do not name their product.
    pub product: Option<Product>,
    /// The date when the files were retrieved, such as `2026-11-21`.
    pub retrieved: String,
}

/// The result of an import.
#[derive(Debug, Default)]
pub struct Report {
    /// The changes, one per line.
    pub lines: Vec<String>,
    /// The products whose documents changed.
    pub changed: Vec<Product>,
}

/// Reads slices, merges them into the documents below `root`, and records the new hashes in
/// `sources.toml`.
///
/// # Errors
///
/// Returns an error with the location of the problem if a file cannot be read or written, if a
/// slice is not OpenAPI 3.0, if a slice's product is unknown, or if two slices disagree. No file is
/// changed, unless the error occurs while files are being written.
pub fn import(root: &Path, options: &Options) -> Result<Report> {
    let mut report = Report::default();
    let mut slices: Vec<(Product, Slice)> = Vec::new();
    for file in &options.files {
        let found = read_slices(file).map_err(|error| error.in_file(file))?;
        if found.is_empty() {
            report.lines.push(format!("{}: contains no OpenAPI document, so nothing was imported", file.display()));
        }
        for slice in found {
            let product = product_of(root, &slice, options.product).map_err(|error| error.in_file(file))?;
            slices.push((product, slice));
        }
    }
    check_agreement(&slices)?;
    let mut sources = Sources::read(root)?;
    let mut texts = Vec::new();
    for product in Product::ALL {
        let own: Vec<&Slice> = slices.iter().filter(|(other, _)| *other == product).map(|(_, slice)| slice).collect();
        if own.is_empty() {
            continue;
        }
        let old = Document::of_product(root, product)?;
        let new = merge::merge_slices(old.clone(), &own, product, &mut report.lines)?;
        if old.as_ref().is_none_or(|old| old.text != new.text) {
            report.changed.push(product);
        }
        let pages: Vec<Page<'_>> =
            own.iter().map(|slice| Page { file: &slice.file, document: &slice.document }).collect();
        for page in sources.accept(product, &new, &pages, &options.retrieved)? {
            report.lines.push(format!("{SOURCES}: replace `{page}` with the address of the page"));
        }
        texts.push((product.document(), new.text));
    }
    if !texts.is_empty() {
        texts.push((PathBuf::from(SOURCES), sources.text()));
    }
    let folder = root.join("openapi");
    std::fs::create_dir_all(&folder)
        .map_err(|error| Error::new(format!("failed to create the folder: {error}")).in_file(&folder))?;
    for (path, text) in texts {
        output::write(&root.join(&path), &text).map_err(|error| error.in_file(&path))?;
    }
    Ok(report)
}

/// Checks that the slices for one product agree. The slices in an import are unordered, so none of
/// them takes precedence.
fn check_agreement(slices: &[(Product, Slice)]) -> Result<()> {
    for (index, (product, slice)) in slices.iter().enumerate() {
        for (_, earlier) in slices.iter().take(index).filter(|(other, _)| other == product) {
            let both = [&earlier.document.value, &slice.document.value];
            let place = mergeable_parts(both[1]).into_iter().find(|path| {
                let pointer = pointer(path);
                let [one, other] = both.map(|value| value.pointer(&pointer));
                one.is_some() && other.is_some() && one != other && path.as_slice() != ["tags"]
            });
            if let Some(path) = place {
                return Err(Error::new(format!(
                    "line {}: {} differs from {}, line {}",
                    slice.line,
                    title(&path),
                    earlier.file.display(),
                    earlier.line
                ))
                .in_file(&slice.file)
                .at(pointer(&path))
                .help("retrieve the older page again, or import the files one by one so that the later file takes precedence"));
            }
        }
    }
    Ok(())
}
