//! Formats differences for a terminal, for a pull request and for a changelog.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};

use super::{Change, Effect, ProductDiff, Section, Step};
use crate::generate::public_api::Difference;

const BOLD: Style = Style::new().bold();

/// Formats differences for a terminal, with colours.
pub fn terminal(diffs: &[ProductDiff]) -> String {
    let mut text = String::new();
    for diff in diffs {
        let name = diff.product.crate_name();
        let style = match diff.step {
            Step::Major => AnsiColor::Red.on_default().bold(),
            Step::Minor => AnsiColor::Yellow.on_default().bold(),
            Step::Patch | Step::None => AnsiColor::Green.on_default().bold(),
        };
        line(&mut text, &format!("{BOLD}{name}{BOLD:#}  {style}{}{style:#}", headline(diff)));
        for (operations, changes) in diff.by_operation() {
            let operations = operations_in_words(&operations, "").unwrap_or_else(|| "the document".into());
            line(&mut text, &format!("  {operations}"));
            for change in changes {
                let style = match change.effect {
                    effect if effect.is_breaking() => AnsiColor::Red.on_default(),
                    Effect::Compatible => AnsiColor::Yellow.on_default(),
                    _ => Style::new().dimmed(),
                };
                line(&mut text, &format!("    {}  {style}[{}]{style:#}", change.text(), change.effect.words()));
            }
        }
        if let Some(note) = reworded(diff.reworded) {
            line(&mut text, &format!("  {note}"));
        }
        if diff.is_older_overlay_stale {
            line(&mut text, &format!("  {OLDER_OVERLAY}"));
        }
        if !diff.overlay_errors.is_empty() {
            line(&mut text, &format!("  {CORRECT_OVERLAY}\n{}", overlay_errors(diff)));
        }
        if let Some(error) = &diff.refused {
            line(&mut text, &format!("  code generation failed, so the effect of the changes is unknown:\n{error}"));
        }
        if !diff.interface.is_empty() {
            line(&mut text, "  public API");
            for item in &diff.interface {
                for part in item.lines() {
                    let style =
                        if part.starts_with('-') { AnsiColor::Red.on_default() } else { AnsiColor::Green.on_default() };
                    line(&mut text, &format!("    {style}{part}{style:#}"));
                }
            }
        }
    }
    text
}

/// Formats differences as Markdown for a pull request. The text lists the next version of each
/// crate, and all changes with their effects.
pub fn markdown(diffs: &[ProductDiff]) -> String {
    let mut text = String::from("| crate | step | version |\n| --- | --- | --- |\n");
    for diff in diffs {
        let next = diff.next();
        let versions = if !diff.is_released {
            format!("{}, not released yet", diff.version)
        } else if next == diff.version {
            diff.version.to_string()
        } else {
            format!("{} → {next}", diff.version)
        };
        let step = step_words(diff);
        line(&mut text, &format!("| `{}` | {step} | {versions} |", diff.product.crate_name()));
    }
    for diff in diffs.iter().filter(|diff| diff.step > Step::None || diff.is_blocked()) {
        line(&mut text, &format!("\n### {}\n", diff.product.crate_name()));
        if let [Some(old), Some(new)] = &diff.sha256
            && old != new
        {
            line(&mut text, &format!("Document: sha256 `{old}` → `{new}`"));
        }
        if diff.is_older_overlay_stale {
            line(&mut text, &format!("\n{OLDER_OVERLAY}"));
        }
        if !diff.overlay_errors.is_empty() {
            line(&mut text, &format!("\n{CORRECT_OVERLAY}\n\n```text\n{}\n```", overlay_errors(diff)));
        }
        if let Some(error) = &diff.refused {
            line(
                &mut text,
                &format!("\nCode generation failed, so the effect of the changes is unknown:\n\n```text\n{error}\n```"),
            );
        }
        if !diff.changes.is_empty() {
            line(&mut text, "\n| operation | change | effect |\n| --- | --- | --- |");
            for (operations, changes) in diff.by_operation() {
                let operation = operations_in_words(&operations, "`").unwrap_or_else(|| "the document".into());
                for change in changes {
                    let cell = change.text().replace('|', "\\|");
                    line(&mut text, &format!("| {operation} | {cell} | {} |", change.effect.words()));
                }
            }
        }
        if let Some(note) = reworded(diff.reworded) {
            line(&mut text, &format!("\n{note}"));
        }
        if !diff.interface.is_empty() {
            line(&mut text, "\n```diff");
            diff.interface.iter().flat_map(Difference::lines).for_each(|part| line(&mut text, &part));
            line(&mut text, "```");
        }
    }
    text
}

/// Returns the changelog entry in the Keep a Changelog format. The entry is empty if nothing
/// changed.
pub fn changelog(diff: &ProductDiff) -> String {
    let mut text = String::new();
    if diff.step == Step::None {
        return text;
    }
    if let [_, Some(sha256)] = &diff.sha256 {
        line(&mut text, &format!("Generated from the document with sha256 `{sha256}`."));
    }
    let listed = diff.listed();
    for (section, title) in [
        (Section::Added, "Added"),
        (Section::Changed, "Changed"),
        (Section::Deprecated, "Deprecated"),
        (Section::Removed, "Removed"),
    ] {
        let mut changes: Vec<&Listed<'_>> = listed.iter().filter(|listed| listed.change.section == section).collect();
        let prose = if section == Section::Changed { reworded(diff.reworded) } else { None };
        if changes.is_empty() && prose.is_none() {
            continue;
        }
        // List breaking changes first.
        changes.sort_by_key(|listed| std::cmp::Reverse(listed.change.effect));
        line(&mut text, &format!("\n### {title}\n"));
        for Listed { operations, change } in changes {
            let mark = if change.effect.is_breaking() { "**Breaking:** " } else { "" };
            let operation = operations_in_words(operations, "`").map_or_else(String::new, |words| format!("{words}: "));
            let note = if change.effect == Effect::Documented { " (documentation only)" } else { "" };
            line(&mut text, &format!("- {mark}{operation}{}{note}.", change.text()));
        }
        if let Some(note) = &prose {
            line(&mut text, &format!("- {note}"));
        }
    }
    let broken: Vec<&Difference> = diff.interface.iter().filter(|item| item.is_breaking()).collect();
    if !broken.is_empty() {
        line(&mut text, "\n### Breaking changes in Rust\n");
        for item in &broken {
            line(&mut text, &format!("- {}.", item.text()));
        }
    }
    text
}

impl ProductDiff {
    /// Returns the next version.
    pub fn next(&self) -> semver::Version {
        if self.is_released { self.step.next(&self.version) } else { self.version.clone() }
    }

    /// Returns whether code cannot be generated from the newer version.
    fn is_blocked(&self) -> bool {
        self.refused.is_some() || !self.overlay_errors.is_empty()
    }

    /// Returns the changes in the order in which they were found. A change that many operations share
    /// is listed once.
    fn listed(&self) -> Vec<Listed<'_>> {
        let mut listed: Vec<Listed<'_>> = Vec::new();
        let mut known: HashMap<(String, Effect, Section), Vec<usize>> = HashMap::new();
        for change in &self.changes {
            let key = (change.text(), change.effect, change.section);
            known.entry(key).or_default().push(listed.len());
            listed.push(Listed { operations: change.operation.as_deref().into_iter().collect(), change });
        }
        let mut repeated = HashSet::new();
        for indexes in known.into_values().filter(|indexes| indexes.len() >= MANY) {
            let operations =
                indexes.iter().filter_map(|index| listed.get(*index)?.operations.first().copied()).collect();
            if let Some(first) = indexes.first().and_then(|first| listed.get_mut(*first)) {
                first.operations = operations;
            }
            repeated.extend(indexes.into_iter().skip(1));
        }
        let listed = listed.into_iter().enumerate().filter(|(index, _)| !repeated.contains(index));
        listed.map(|(_, listed)| listed).collect()
    }

    /// Returns the changes grouped by operation, in the order in which they were found. Changes to
    /// the whole document come first.
    fn by_operation(&self) -> Vec<(Vec<&str>, Vec<&Change>)> {
        let mut groups: Vec<(Vec<&str>, Vec<&Change>)> = Vec::new();
        let mut known: HashMap<Vec<&str>, usize> = HashMap::new();
        for Listed { operations, change } in self.listed() {
            let index = *known.entry(operations.clone()).or_insert(groups.len());
            match groups.get_mut(index) {
                Some((_, changes)) => changes.push(change),
                None => groups.push((operations, vec![change])),
            }
        }
        groups.sort_by_key(|(operations, _)| !operations.is_empty());
        groups
    }
}

/// A change is listed only once if at least this many operations share it.
const MANY: usize = 10;

/// A change, and the operations that it concerns.
struct Listed<'a> {
    operations: Vec<&'a str>,
    change: &'a Change,
}

/// Returns the operations in words, with `quote` around each name, or `None` if there are no
/// operations.
fn operations_in_words(operations: &[&str], quote: &str) -> Option<String> {
    match operations {
        [] => None,
        [only] => Some(format!("{quote}{only}{quote}")),
        [first, ..] => Some(format!("{} operations, such as {quote}{first}{quote}", operations.len())),
    }
}

fn headline(diff: &ProductDiff) -> String {
    match (&diff.refused, diff.step) {
        (Some(_), _) => step_words(diff),
        (None, Step::None) => format!("{}  {}", diff.version, step_words(diff)),
        (None, _) => format!("{} -> {}  {}", diff.version, diff.next(), step_words(diff)),
    }
}

/// Describes the required version increment and any problem that prevents code generation.
fn step_words(diff: &ProductDiff) -> String {
    if diff.refused.is_some() {
        "cannot be generated".into()
    } else if diff.overlay_errors.is_empty() {
        diff.step.word().into()
    } else {
        format!("{}, overlay must be corrected", diff.step.word())
    }
}

const CORRECT_OVERLAY: &str =
    "Correct the overlay before you generate code. This report shows the changes without the stale actions.";

const OLDER_OVERLAY: &str =
    "The overlay of the older version has stale actions. This report shows the changes without these actions.";

/// Returns the problems with the overlay, separated by empty lines.
fn overlay_errors(diff: &ProductDiff) -> String {
    diff.overlay_errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n\n")
}

fn reworded(count: usize) -> Option<String> {
    match count {
        0 => None,
        1 => Some("One description changed.".into()),
        count => Some(format!("{count} descriptions changed.")),
    }
}

fn line(text: &mut String, line: &str) {
    // Writing to a string never fails.
    let _ = writeln!(text, "{line}");
}
