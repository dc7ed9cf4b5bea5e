//! `cargo xtask import`: from what Flinks publishes to `openapi/*.yaml`.
//!
//! Flinks publishes its documents in slices: a reference page has the part of a document that describes its operation, in a
//! fenced block. Slices that describe all operations of our document replace it, a single one byte for byte. Any other is
//! merged: its operations replace ours of the same method and path, or come last; what the operations share (`info`,
//! `servers`, components, …) is taken over too, and reported. A merge keeps the bytes of everything else, and removes nothing.

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
use parts::{parts, pointer, title};
use slices::{Slice, read_slices};
use which_product::product_of;

/// What to import, and how.
#[derive(Debug)]
pub struct Options {
    /// Pages in Markdown, or documents in YAML or JSON.
    pub files: Vec<PathBuf>,
    /// The product of all of them, if the files do not show it.
    pub product: Option<Product>,
    /// The day on which they were retrieved, such as `2026-11-21`.
    pub retrieved: String,
}

/// The result of an import.
#[derive(Debug, Default)]
pub struct Report {
    /// The actions, a line each.
    pub lines: Vec<String>,
    /// The products whose document is another one now.
    pub changed: Vec<Product>,
}

/// Reads slices, merges them into the documents below `root`, and puts their hashes into `sources.toml`. All of it, or
/// nothing.
///
/// # Errors
///
/// One located error: for a file that cannot be read, a slice that is not OpenAPI 3.0, a slice whose product is unknown,
/// and two that disagree.
pub fn import(root: &Path, options: &Options) -> Result<Report> {
    let mut report = Report::default();
    let mut slices: Vec<(Product, Slice)> = Vec::new();
    for file in &options.files {
        let found = read_slices(file).map_err(|error| error.in_file(file))?;
        if found.is_empty() {
            report.lines.push(format!("{}: no OpenAPI in it, so nothing to import", file.display()));
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
        let new = merge::fold(old.clone(), &own, product, &mut report.lines)?;
        if old.as_ref().is_none_or(|old| old.text != new.text) {
            report.changed.push(product);
        }
        let pages: Vec<Page<'_>> =
            own.iter().map(|slice| Page { file: &slice.file, document: &slice.document }).collect();
        for page in sources.accept(product, &new, &pages, &options.retrieved)? {
            report.lines.push(format!("{SOURCES}: put the address of the page there for `{page}`"));
        }
        texts.push((product.document(), new.text));
    }
    if !texts.is_empty() {
        texts.push((PathBuf::from(SOURCES), sources.text()));
    }
    let folder = root.join("openapi");
    std::fs::create_dir_all(&folder)
        .map_err(|error| Error::new(format!("cannot be made: {error}")).in_file(&folder))?;
    for (path, text) in texts {
        output::write(&root.join(&path), &text).map_err(|error| error.in_file(&path))?;
    }
    Ok(report)
}

/// Slices of one product that come together must not disagree: neither is older than the other.
fn check_agreement(slices: &[(Product, Slice)]) -> Result<()> {
    for (index, (product, slice)) in slices.iter().enumerate() {
        for (_, earlier) in slices.iter().take(index).filter(|(other, _)| other == product) {
            let both = [&earlier.document.value, &slice.document.value];
            let place = parts(both[1]).into_iter().find(|path| {
                let pointer = pointer(path);
                let [one, other] = both.map(|value| value.pointer(&pointer));
                one.is_some() && other.is_some() && one != other && path.as_slice() != ["tags"]
            });
            if let Some(path) = place {
                return Err(Error::new(format!(
                    "disagrees, in line {}, with {} in line {} on {}",
                    slice.line,
                    earlier.file.display(),
                    earlier.line,
                    title(&path)
                ))
                .in_file(&slice.file)
                .at(pointer(&path))
                .help("retrieve the older page again; of two files that are imported one by one, the later one wins"));
            }
        }
    }
    Ok(())
}
