//! `cargo xtask update` imports changed pages and proposes versions and changelogs.

use std::path::Path;

use super::bases::{Base, Bases, FACADE};
use super::changelog;
use super::diff::{self, Step};
use super::import::{self, Options};
use crate::Result;
use crate::generate::{Mode, Outcome, output, regenerate};
use crate::product::Product;
use crate::spec::{read, sources};

/// The result of an update.
#[derive(Debug)]
pub struct Summary {
    /// The text for a pull request, in Markdown.
    pub markdown: String,
    /// Whether code generation failed for a document. In this case, neither code nor changelogs
    /// were written.
    pub is_refused: bool,
}

/// Imports pages, regenerates the code, compares the documents with those in the last release, and
/// proposes versions and changelogs.
///
/// # Errors
///
/// Returns an error if a file cannot be read, imported or written. If code cannot be generated from
/// a document, the returned summary reports the error.
pub fn update(root: &Path, options: &Options, since: Option<&str>) -> Result<Summary> {
    // Before the first file is written, do all reading that can fail.
    let bases = Bases::read(root, since)?;
    let mut lines = Vec::new();
    if !options.files.is_empty() {
        lines = import::import(root, options)?.lines;
    }
    let mut diffs = bases.diffs(root)?;
    // `regenerate` also checks each document's hash against `sources.toml`, so a document that was
    // changed by hand is rejected.
    let outcomes: Vec<(Product, Result<Outcome>)> = regenerate(root, &Product::ALL, Mode::Write);
    let is_refused = outcomes.iter().any(|(_, outcome)| outcome.is_err());
    for (product, outcome) in outcomes {
        if let (Some(diff), Err(error)) = (diffs.iter_mut().find(|diff| diff.product == product), outcome) {
            // The report already contains the problems with the overlay, and the effect of the
            // changes is known. A document with a different hash is a separate problem.
            if diff.overlay_errors.is_empty() || read::document(root, product).is_err() {
                diff.refused.get_or_insert(error);
                diff.step = Step::None;
            }
        }
    }
    let is_changed = is_refused || diffs.iter().any(|diff| diff.step > Step::None);
    let title = if is_changed { "Flinks changed its documents" } else { "No Flinks document changed" };
    let mut markdown = format!("## {title}\n\n");
    for line in &lines {
        markdown += &format!("- {line}\n");
    }
    if !lines.is_empty() {
        markdown.push('\n');
    }
    markdown += &diff::markdown(&diffs);
    if is_refused {
        markdown += "\nNo code was generated and no changelog was written. \
            Fix the errors above, then run `cargo xtask update` without files.\n";
        return Ok(Summary { markdown, is_refused });
    }
    let proposals = bases.proposals(&diffs)?;
    let facade_proposal = proposals.iter().find(|proposal| proposal.name == FACADE);
    let facade = bases.0.iter().find(|base| base.name == FACADE);
    if let Some(proposal) = facade_proposal
        && let Some(facade) = facade
    {
        markdown += &format!(
            "\n`{FACADE}` {} → {}: it depends on the crates above. If its own public API changes, it needs a higher version.\n",
            facade.present, proposal.version
        );
    }
    let released = bases.0.iter().filter(|base| base.release.is_some());
    for Base { name, changelog: (path, text), .. } in released {
        let proposal = proposals.iter().find(|proposal| proposal.name == *name);
        let text = changelog::propose(text, proposal)?;
        output::write(&root.join(path), &text).map_err(|error| error.in_file(path))?;
    }
    Ok(Summary { markdown, is_refused })
}

/// Checks that a string is a date such as `2026-11-21`.
///
/// # Errors
///
/// Returns an error if the string is not a date.
pub fn check_day(text: &str) -> Result<()> {
    sources::day(text).map(drop)
}
