//! The figures from all benchmarks and the conditions under which they were measured.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

/// The last run of each benchmark, keyed by the benchmark's name.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Report {
    pub runs: BTreeMap<String, Run>,
}

/// The figures from one run of one benchmark. All contenders in a run took turns, so their figures
/// can be compared. Figures from different runs cannot be compared.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Run {
    pub conditions: Conditions,
    pub figures: Vec<Figure>,
    pub notes: Vec<String>,
}

/// The conditions of a run.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Conditions {
    /// The time in UTC, in RFC 3339 format.
    pub measured_at: String,
    pub machine: String,
    /// The names and the versions of the compiler and of the compared crates.
    pub versions: Vec<(String, String)>,
}

/// The measured work. Only figures for the same case can be compared.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Case {
    /// The title of the table that contains the figure.
    pub table: String,
    /// The heading of the column. Empty if the column is a size.
    pub column: String,
    pub size: Option<Size>,
    pub unit: String,
    pub statistic: Statistic,
}

/// A size on the horizontal axis of a plot, such as a number of consents.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Size {
    pub axis: String,
    pub value: f64,
}

/// The figure that is shown and compared.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub enum Statistic {
    Median,
    /// The lowest value of all rounds, for work that takes only nanoseconds and that other programs
    /// may interrupt.
    Lowest,
}

/// The figures for one contender from several rounds.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Figure {
    #[serde(flatten)]
    pub case: Case,
    pub contender: String,
    pub median: f64,
    pub low: f64,
    pub high: f64,
    pub rounds: usize,
}

impl Case {
    /// Creates a case in a column of a table.
    pub fn new(table: impl Into<String>, column: impl Into<String>, unit: &str) -> Self {
        let (table, column, unit) = (table.into(), column.into(), unit.to_owned());
        Self { table, column, size: None, unit, statistic: Statistic::Median }
    }

    /// Creates a case in a growth table, which has a column for each size.
    pub fn sized(table: impl Into<String>, axis: &str, size: usize, unit: &str) -> Self {
        let size = Size { axis: axis.to_owned(), value: size as f64 };
        Self { size: Some(size), ..Self::new(table, "", unit) }
    }

    /// Shows the lowest value of all rounds instead of the median.
    #[must_use]
    pub fn lowest(self) -> Self {
        Self { statistic: Statistic::Lowest, ..self }
    }
}

impl Figure {
    /// Returns the figure that is shown and compared.
    pub fn value(&self) -> f64 {
        match self.case.statistic {
            Statistic::Median => self.median,
            Statistic::Lowest => self.low,
        }
    }
}

impl Run {
    /// Adds the figures for a contender. Does nothing if `values` is empty.
    pub fn add(&mut self, case: Case, contender: &str, mut values: Vec<f64>) {
        values.sort_by(f64::total_cmp);
        let (Some(low), Some(high)) = (values.first().copied(), values.last().copied()) else { return };
        let (median, rounds) = (values[values.len() / 2], values.len());
        self.figures.push(Figure { case, contender: contender.to_owned(), median, low, high, rounds });
    }

    pub fn note(&mut self, note: String) {
        self.notes.push(note);
    }
}

impl Report {
    /// Reads a report. Returns an empty report if the file is missing.
    ///
    /// # Errors
    ///
    /// Returns an error if the file is not a report.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let Ok(text) = fs::read(path) else { return Ok(Self::default()) };
        let hint = || format!("{} is not a report of this version of the benchmarks: remove it", path.display());
        serde_json::from_slice(&text).with_context(hint)
    }

    /// Writes the report.
    ///
    /// # Errors
    ///
    /// Returns an error if the file cannot be written.
    pub fn write(&self, path: &Path) -> anyhow::Result<()> {
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        fs::write(path, text).with_context(|| format!("failed to write {}", path.display()))
    }

    /// Combines two reports, keeping the newer run of each benchmark.
    #[must_use]
    pub fn merge(mut self, other: Self) -> Self {
        for (name, run) in other.runs {
            let is_older = |known: &Run| run.conditions.measured_at < known.conditions.measured_at;
            if !self.runs.get(&name).is_some_and(is_older) {
                self.runs.insert(name, run);
            }
        }
        self
    }

    /// Returns the figure for a contender. In a growth table, `column` is the size.
    pub fn find(&self, table: &str, column: &str, contender: &str) -> Option<&Figure> {
        self.figures().find(|figure| {
            figure.case.table == table && figure.case.heading() == column && figure.contender == contender
        })
    }

    /// Returns the figures from all runs.
    pub fn figures(&self) -> impl Iterator<Item = &Figure> {
        self.runs.values().flat_map(|run| &run.figures)
    }
}

impl Case {
    /// Returns the heading of the column, which is the size in a growth table.
    pub fn heading(&self) -> String {
        self.size.as_ref().map_or_else(|| self.column.clone(), |size| crate::number::format(size.value))
    }
}
