//! Tables of figures: a row for each contender and a column for each case.

use std::fmt::Write as _;

use crate::fit;
use crate::number::format;
use crate::report::{Case, Figure, Run, Statistic};

/// A table with figures from one run.
pub struct Table<'a> {
    pub title: &'a str,
    figures: Vec<&'a Figure>,
}

/// The points for one contender in a growth table.
pub struct Series<'a> {
    pub contender: &'a str,
    pub points: Vec<(f64, f64)>,
}

/// Whether a table also shows the lowest and the highest value of all rounds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    Figures,
    Rounds,
}

/// Returns the tables for a run, in the order in which they first appear in its figures.
pub fn tables(run: &Run) -> Vec<Table<'_>> {
    let titles = distinct(run.figures.iter().map(|figure| figure.case.table.as_str()));
    let of = |title| run.figures.iter().filter(|figure| figure.case.table == title).collect();
    titles.into_iter().map(|title| Table { title, figures: of(title) }).collect()
}

impl<'a> Table<'a> {
    /// Returns the name of the horizontal axis if this is a growth table.
    pub fn axis(&self) -> Option<&'a str> {
        self.figures.first()?.case.size.as_ref().map(|size| size.axis.as_str())
    }

    /// Returns the unit of the first column.
    pub fn unit(&self) -> &'a str {
        self.figures.first().map_or("", |figure| &figure.case.unit)
    }

    /// Returns the points for each contender if this is a growth table.
    pub fn series(&self) -> Vec<Series<'a>> {
        let point = |figure: &&Figure| Some((figure.case.size.as_ref()?.value, figure.value()));
        self.contenders()
            .into_iter()
            .map(|contender| Series {
                contender,
                points: self.row(contender).filter_map(|figure| point(&figure)).collect(),
            })
            .collect()
    }

    /// Returns the table in Markdown. A ratio is relative to the first row, which is always for one
    /// of this project's crates.
    pub fn markdown(&self, detail: Detail) -> String {
        let columns = self.columns();
        let first = self.axis().map_or_else(String::new, |axis| format!("{}, by number of {axis}", self.unit()));
        let mut headings: Vec<String> =
            std::iter::once(first).chain(columns.iter().map(|case| heading(case))).collect();
        if self.axis().is_some() {
            headings.extend(["exponent".to_owned(), "of the larger half".to_owned()]);
        }
        let mut text = format!("| {} |\n| ---{} |\n", headings.join(" | "), " | ---:".repeat(headings.len() - 1));
        for series in self.series() {
            // Without the backslash, Markdown treats `<` as the start of an HTML tag.
            let mut cells = vec![series.contender.replace('<', "\\<")];
            cells.extend(columns.iter().map(|case| self.cell(case, series.contender, detail)));
            if self.axis().is_some() {
                let exponents = [fit::exponent(&series.points), fit::exponent_of_larger_half(&series.points)];
                cells
                    .extend(exponents.map(|exponent| exponent.map_or_else(String::new, |value| format!("{value:.2}"))));
            }
            let _ = writeln!(text, "| {} |", cells.join(" | "));
        }
        text
    }

    fn cell(&self, case: &Case, contender: &str, detail: Detail) -> String {
        let Some(figure) = self.row(contender).find(|figure| figure.case == *case) else { return String::new() };
        let mut text = format(figure.value());
        let first = self.figures.iter().find(|other| other.case == *case);
        if let Some(first) = first.filter(|first| first.contender != contender && first.value() > 0.0) {
            let ratio = figure.value() / first.value();
            let ratio = if ratio < 10.0 { format!("{ratio:.2}") } else { format(ratio.round()) };
            let _ = write!(text, " ({ratio}×)");
        }
        if detail == Detail::Rounds && figure.rounds > 1 {
            let _ = write!(text, " [{} - {}]", format(figure.low), format(figure.high));
        }
        text
    }

    fn row(&self, contender: &str) -> impl Iterator<Item = &'a Figure> {
        self.figures.iter().copied().filter(move |figure| figure.contender == contender)
    }

    fn contenders(&self) -> Vec<&'a str> {
        distinct(self.figures.iter().map(|figure| figure.contender.as_str()))
    }

    fn columns(&self) -> Vec<&'a Case> {
        distinct(self.figures.iter().map(|figure| &figure.case))
    }
}

fn heading(case: &Case) -> String {
    let lowest = match case.statistic {
        Statistic::Median => "",
        Statistic::Lowest => ", lowest",
    };
    if case.size.is_some() {
        return format!("{}{lowest}", case.heading());
    }
    // A column such as "requests" needs no unit with the same name.
    if case.column.starts_with(&case.unit) {
        return format!("{}{lowest}", case.column);
    }
    format!("{}, {}{lowest}", case.column, case.unit)
}

fn distinct<T: PartialEq>(all: impl Iterator<Item = T>) -> Vec<T> {
    let mut distinct = Vec::new();
    for item in all {
        if !distinct.contains(&item) {
            distinct.push(item);
        }
    }
    distinct
}
