//! Writes the part of the README that contains the figures.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::Context as _;

use crate::report::{Conditions, Report};
use crate::table::{Detail, tables};
use crate::{claims, plot};

/// The line before the figures.
const START: &str = "<!-- The lines up to the end marker are written by `cargo xtask bench --write`. -->";
/// The line after the figures.
const END: &str = "<!-- end of the figures -->";

/// Returns the README with the figures from a report.
///
/// # Errors
///
/// Returns an error if the README does not contain the two markers.
pub fn with_figures(readme: &str, report: &Report) -> anyhow::Result<String> {
    let missing = || format!("the README must contain the lines {START:?} and {END:?}");
    let (before, rest) = readme.split_once(START).with_context(missing)?;
    let (_, after) = rest.split_once(END).with_context(missing)?;
    Ok(format!("{before}{START}\n\n{}\n{END}{after}", figures(report)))
}

/// Writes the figures, the README and the plots to the folder of this crate.
///
/// # Errors
///
/// Returns an error if a file cannot be read or written, or if the README has no markers.
pub fn write(report: &Report, folder: &Path) -> anyhow::Result<()> {
    let path = folder.join("README.md");
    let readme = std::fs::read_to_string(&path).with_context(|| format!("failed to read {}", path.display()))?;
    let readme = with_figures(&readme, report)?;
    report.write(&folder.join("figures.json"))?;
    write_plots(report, &folder.join("plots"))?;
    std::fs::write(&path, readme).with_context(|| format!("failed to write {}", path.display()))
}

/// Replaces all plots in a directory.
///
/// # Errors
///
/// Returns an error if a file cannot be written.
pub fn write_plots(report: &Report, directory: &Path) -> anyhow::Result<()> {
    if directory.exists() {
        std::fs::remove_dir_all(directory)?;
    }
    std::fs::create_dir_all(directory)?;
    for run in report.runs.values() {
        for table in tables(run) {
            plot::plot(&table, directory)?;
        }
    }
    Ok(())
}

fn figures(report: &Report) -> String {
    let mut text = conditions(report);
    let claims = claims::claims(report);
    if !claims.is_empty() {
        let _ = write!(text, "\n## Claims\n\n{}", claims::markdown(&claims));
    }
    let _ = write!(
        text,
        "\n## Figures\n\nA ratio in parentheses is relative to the first row. A figure is the median of all rounds, or the \
         lowest round if\nthe heading says so. In a table with a column for each size, `exponent` is the slope of the line \
         through the\nlogarithms of sizes and figures.\n"
    );
    for run in report.runs.values() {
        for table in tables(run) {
            let _ = write!(text, "\n### {}\n\n{}", table.title, table.markdown(Detail::Figures));
            if let Some(name) = plot::file_name(&table) {
                let _ = write!(text, "\n![{}](plots/{name})\n", table.title);
            }
        }
        for note in &run.notes {
            let _ = write!(text, "\n{note}\n");
        }
    }
    text
}

/// Returns a table that shows the measurement conditions of each benchmark.
fn conditions(report: &Report) -> String {
    let mut benchmarks: BTreeMap<(&str, &str), (Vec<&str>, &Conditions)> = BTreeMap::new();
    for (name, run) in &report.runs {
        let day = run.conditions.measured_at.split('T').next().unwrap_or_default();
        let entry = benchmarks.entry((day, &run.conditions.machine)).or_insert((Vec::new(), &run.conditions));
        entry.0.push(name);
    }
    let mut text = "| Benchmarks | measured on | machine | versions |\n| --- | --- | --- | --- |\n".to_owned();
    for ((day, machine), (names, conditions)) in benchmarks {
        let versions: Vec<String> =
            conditions.versions.iter().map(|(name, version)| format!("{name} {version}")).collect();
        let _ = writeln!(text, "| {} | {day} | {machine} | {} |", names.join(", "), versions.join(", "));
    }
    text
}
