//! `cargo xtask update`: from a changed page to proposed versions and changelogs.

use std::path::Path;

use super::bases::{Base, Bases, FACADE, Proposal};
use super::changelog;
use super::diff::{self, Step};
use super::import::{self, Options};
use crate::Result;
use crate::generate::{Mode, Outcome, output, regenerate};
use crate::product::Product;
use crate::spec::sources;

/// The result of an update.
#[derive(Debug)]
pub struct Summary {
    /// For a pull request, in Markdown.
    pub markdown: String,
    /// Whether a document could not be generated: nothing was, and no changelog was written.
    pub is_refused: bool,
}

/// Imports, generates, compares with what was last released, and proposes versions and changelogs.
///
/// # Errors
///
/// Where something could not be read, imported or written. A document that cannot be generated is reported in the summary.
pub fn update(root: &Path, options: &Options, since: Option<&str>) -> Result<Summary> {
    // All that can be wrong is looked at before the first file is written.
    let bases = Bases::read(root, since)?;
    let mut lines = Vec::new();
    if !options.files.is_empty() {
        lines = import::import(root, options)?.lines;
    }
    let mut diffs = bases.diffs(root)?;
    // A document that was put in place by hand is held to its hash here.
    let outcomes: Vec<(Product, Result<Outcome>)> = regenerate(root, &Product::ALL, Mode::Write);
    let is_refused = outcomes.iter().any(|(_, outcome)| outcome.is_err());
    for (product, outcome) in outcomes {
        if let (Some(diff), Err(error)) = (diffs.iter_mut().find(|diff| diff.product == product), outcome) {
            diff.refused.get_or_insert(error);
            diff.step = Step::None;
        }
    }
    let is_changed = is_refused || diffs.iter().any(|diff| diff.step > Step::None);
    let title = if is_changed { "The documents of Flinks changed" } else { "The documents of Flinks are as they were" };
    let mut markdown = format!("## {title}\n\n");
    lines.iter().for_each(|line| markdown += &format!("- {line}\n"));
    if !lines.is_empty() {
        markdown.push('\n');
    }
    markdown += &diff::markdown(&diffs);
    if is_refused {
        markdown += "\nNothing was generated, and no changelog was written. When that is mended: `cargo xtask update`, without files.\n";
        return Ok(Summary { markdown, is_refused });
    }
    let proposals = bases.proposals(&diffs)?;
    let facade = proposals.iter().find(|proposal| proposal.name == FACADE);
    if let Some((Proposal { version, .. }, Base { present, .. })) =
        facade.zip(bases.0.iter().find(|base| base.name == FACADE))
    {
        markdown += &format!(
            "\n`{FACADE}` {present} → {version} at least, for it is built on them; more, if its own interface changes.\n"
        );
    }
    let released = bases.0.iter().filter(|base| base.release.is_some());
    for Base { name, changelog: (path, text), .. } in released {
        let proposal = proposals.iter().find(|proposal| proposal.name == *name);
        let text = changelog::propose(text, proposal.map(|proposal| (&proposal.version, proposal.entry.as_str())))?;
        output::write(&root.join(path), &text).map_err(|error| error.in_file(path))?;
    }
    Ok(Summary { markdown, is_refused })
}

/// Checks a day such as `2026-11-21`.
///
/// # Errors
///
/// Returns an error if the text is not a day.
pub fn check_day(text: &str) -> Result<()> {
    sources::day(text).map(drop)
}
