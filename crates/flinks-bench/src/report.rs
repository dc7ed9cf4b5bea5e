//! Collects the figures and formats them as tables with ratios.

use std::fmt::Write as _;

use serde::Serialize;

/// One contender's figure: the median of several rounds. The contenders took turns.
#[derive(Serialize)]
pub struct Figure {
    pub bench: &'static str,
    /// The measured work and its conditions. Only figures for the same case can be compared.
    pub case: String,
    pub contender: String,
    pub unit: &'static str,
    pub median: f64,
    pub low: f64,
    pub high: f64,
    pub rounds: usize,
}

#[derive(Default, Serialize)]
pub struct Report {
    pub machine: String,
    pub figures: Vec<Figure>,
    pub notes: Vec<String>,
}

impl Report {
    pub fn add(&mut self, bench: &'static str, case: &str, contender: &str, unit: &'static str, mut values: Vec<f64>) {
        values.sort_by(f64::total_cmp);
        let (Some(low), Some(high)) = (values.first().copied(), values.last().copied()) else { return };
        let (case, contender) = (case.to_owned(), contender.to_owned());
        let (median, rounds) = (values[values.len() / 2], values.len());
        self.figures.push(Figure { bench, case, contender, unit, median, low, high, rounds });
    }

    /// For one benchmark, merges the figures with the same case and contender, and groups the
    /// results by case.
    pub fn merge(&mut self, bench: &str) {
        let (these, others): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.figures).into_iter().partition(|figure| figure.bench == bench);
        self.figures = others;
        let mut cases: Vec<(String, &'static str, &'static str, Vec<(String, Vec<f64>)>)> = Vec::new();
        for Figure { bench, case, contender, unit, median, .. } in these {
            let at = cases.iter().position(|(known, ..)| *known == case).unwrap_or_else(|| {
                cases.push((case, unit, bench, Vec::new()));
                cases.len() - 1
            });
            let contenders = &mut cases[at].3;
            match contenders.iter_mut().find(|(known, _)| *known == contender) {
                Some((_, values)) => values.push(median),
                None => contenders.push((contender, vec![median])),
            }
        }
        for (case, unit, bench, contenders) in cases {
            for (contender, values) in contenders {
                self.add(bench, &case, &contender, unit, values);
            }
        }
    }

    pub fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    /// Returns a Markdown table for each case. Each ratio is relative to the first row, which is
    /// always for one of this project's crates.
    pub fn markdown(&self) -> String {
        let mut text = format!("{}\n", self.machine);
        let mut last = None;
        for figure in &self.figures {
            let Figure { bench, case, contender, unit, median, low, high, .. } = figure;
            if last != Some((bench, case)) {
                last = Some((bench, case));
                let _ = writeln!(
                    text,
                    "\n| {bench}: {case} | {unit} | lowest - highest | ratio |\n| --- | ---: | ---: | ---: |"
                );
            }
            let of_case = |other: &&Figure| other.bench == *bench && other.case == *case;
            let ours = self.figures.iter().find(of_case).map_or(f64::NAN, |first| first.median);
            let (median, low, high) = (number(*median), number(*low), number(*high));
            let ratio = match ours {
                0.0 if figure.median == 0.0 => "1".to_owned(),
                0.0 => "-".to_owned(),
                ours => format!("{:.2}", figure.median / ours),
            };
            let _ = writeln!(text, "| {contender} | {median} | {low} - {high} | {ratio} |");
        }
        for note in &self.notes {
            let _ = writeln!(text, "\n{note}");
        }
        text
    }
}

/// Formats a number with spaces between the thousands. A fractional number below 100 keeps one
/// decimal place, and every other number is rounded to an integer.
fn number(value: f64) -> String {
    if value.abs() < 100.0 && value.fract() != 0.0 {
        return format!("{value:.1}");
    }
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}
