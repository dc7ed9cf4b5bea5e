//! Formats differences for a terminal, for a pull request and for a changelog.

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
        for (operation, changes) in diff.by_operation() {
            line(&mut text, &format!("  {}", operation.unwrap_or("the document")));
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
        let step = if diff.refused.is_some() { "cannot be generated" } else { diff.step.word() };
        line(&mut text, &format!("| `{}` | {step} | {versions} |", diff.product.crate_name()));
    }
    for diff in diffs.iter().filter(|diff| diff.step > Step::None || diff.refused.is_some()) {
        line(&mut text, &format!("\n### {}\n", diff.product.crate_name()));
        if let [Some(old), Some(new)] = &diff.sha256
            && old != new
        {
            line(&mut text, &format!("Document: sha256 `{old}` → `{new}`"));
        }
        if let Some(error) = &diff.refused {
            line(
                &mut text,
                &format!("\nCode generation failed, so the effect of the changes is unknown:\n\n```text\n{error}\n```"),
            );
        }
        if !diff.changes.is_empty() {
            line(&mut text, "\n| operation | change | effect |\n| --- | --- | --- |");
            for (operation, changes) in diff.by_operation() {
                for change in changes {
                    let operation =
                        operation.map_or_else(|| "the document".into(), |operation| format!("`{operation}`"));
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
    for (section, title) in [
        (Section::Added, "Added"),
        (Section::Changed, "Changed"),
        (Section::Deprecated, "Deprecated"),
        (Section::Removed, "Removed"),
    ] {
        let mut changes: Vec<&Change> = diff.changes.iter().filter(|change| change.section == section).collect();
        let prose = if section == Section::Changed { reworded(diff.reworded) } else { None };
        if changes.is_empty() && prose.is_none() {
            continue;
        }
        // List breaking changes first.
        changes.sort_by_key(|change| std::cmp::Reverse(change.effect));
        line(&mut text, &format!("\n### {title}\n"));
        for change in changes {
            let mark = if change.effect.is_breaking() { "**Breaking:** " } else { "" };
            let operation = change.operation.as_ref().map_or_else(String::new, |operation| format!("`{operation}`: "));
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

    /// Returns the changes grouped by operation, in the order in which they were found. Changes to
    /// the whole document come first.
    fn by_operation(&self) -> Vec<(Option<&str>, Vec<&Change>)> {
        let mut groups: Vec<(Option<&str>, Vec<&Change>)> = Vec::new();
        for change in &self.changes {
            let operation = change.operation.as_deref();
            match groups.iter_mut().find(|(other, _)| *other == operation) {
                Some((_, changes)) => changes.push(change),
                None => groups.push((operation, vec![change])),
            }
        }
        groups.sort_by_key(|(operation, _)| operation.is_some());
        groups
    }
}

fn headline(diff: &ProductDiff) -> String {
    match (&diff.refused, diff.step) {
        (Some(_), _) => "cannot be generated".into(),
        (None, Step::None) => format!("{}  unchanged", diff.version),
        (None, step) => format!("{} -> {}  {}", diff.version, diff.next(), step.word()),
    }
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
