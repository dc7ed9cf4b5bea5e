//! Writes documents that are derived from other documents.
//!
//! | file | content | source |
//! | --- | --- | --- |
//! | `crates/flinks-guide/pages/runbook.md` | what to do about each code and message | `topics.toml` in `flinks-cli` |
//! | `llms.txt` | a list of all documents, for tools that read the documentation | the documents |
//! | `llms-full.txt` | the text of all documents | the documents |
//!
//! [`links`] finds broken links.

mod library;
pub mod links;
mod runbook;

use std::path::{Path, PathBuf};

use crate::generate::{Mode, Outcome, write_or_compare};
use crate::{Error, Result};

pub use self::library::documents;

/// Writes the derived files, or checks whether they are up to date.
///
/// # Errors
///
/// Returns one error for each file that could not be derived or written.
pub fn write(root: &Path, mode: Mode) -> Vec<(PathBuf, Result<Outcome>)> {
    // The other files contain the text of the runbook, so the runbook is written first.
    let runbook = Path::new(runbook::PATH);
    let mut outcomes = vec![derive(root, runbook, runbook::text(root), mode)];
    outcomes.push(derive(root, Path::new("llms.txt"), library::list(root), mode));
    outcomes.push(derive(root, Path::new("llms-full.txt"), library::full_text(root), mode));
    outcomes
}

fn derive(root: &Path, path: &Path, text: Result<String>, mode: Mode) -> (PathBuf, Result<Outcome>) {
    (path.to_owned(), text.and_then(|text| write_or_compare(root, path, &text, mode)))
}

fn read(root: &Path, path: &Path) -> Result<String> {
    let text = std::fs::read_to_string(root.join(path));
    text.map_err(|error| Error::new(format!("failed to read the file: {error}")).in_file(path))
}
