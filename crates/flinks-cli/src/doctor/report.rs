//! The outcomes of the checks, and how they are printed.

use std::fmt::Write as _;

use anstyle::Style;
use serde::Serialize;

use crate::failure::{Exit, Failure};
use crate::output::{self, BAD, GOOD, WARNING};

/// The outcome of a check. It contains no secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Passed {
        detail: String,
    },
    /// Something may fail later.
    Warning(Finding),
    /// Calls fail or would fail.
    Failed {
        finding: Finding,
        exit: Exit,
    },
    Skipped {
        because: String,
    },
}

/// A problem and its cure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) problem: String,
    pub(super) cure: String,
    /// Whether another problem may have the same symptoms.
    pub(super) is_guess: bool,
}

/// The result of a check that produces a value for the later checks: the outcome and the value, or
/// a failed outcome.
pub(super) type Step<T> = Result<(Outcome, T), Outcome>;

impl Outcome {
    pub(super) fn passed(detail: impl Into<String>) -> Self {
        Self::Passed { detail: detail.into() }
    }

    pub(super) fn warning(problem: impl Into<String>, cure: impl Into<String>) -> Self {
        Self::Warning(Finding { problem: problem.into(), cure: cure.into(), is_guess: false })
    }

    pub(super) fn failed(exit: Exit, problem: impl Into<String>, cure: impl Into<String>) -> Self {
        Self::Failed { finding: Finding { problem: problem.into(), cure: cure.into(), is_guess: false }, exit }
    }

    pub(super) fn skipped(because: impl Into<String>) -> Self {
        Self::Skipped { because: because.into() }
    }

    /// Converts a failure from a function that other commands also use.
    pub(super) fn of_failure(failure: &Failure) -> Self {
        let cure = failure.next().unwrap_or("correct the value that the message names");
        Self::failed(failure.exit(), failure.message(), cure)
    }

    /// Marks the problem as a guess: another problem may have the same symptoms.
    pub(super) fn guess(mut self) -> Self {
        if let Self::Warning(finding) | Self::Failed { finding, .. } = &mut self {
            finding.is_guess = true;
        }
        self
    }

    pub(super) fn is_failed(&self) -> bool {
        matches!(self, Self::Failed { .. })
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Passed { .. } => "passed",
            Self::Warning(_) => "warning",
            Self::Failed { .. } => "failed",
            Self::Skipped { .. } => "skipped",
        }
    }

    fn finding(&self) -> Option<&Finding> {
        match self {
            Self::Warning(finding) | Self::Failed { finding, .. } => Some(finding),
            Self::Passed { .. } | Self::Skipped { .. } => None,
        }
    }
}

/// A check that was run or skipped.
#[derive(Debug)]
struct Check {
    area: &'static str,
    name: &'static str,
    outcome: Outcome,
}

/// The checks, in order.
#[derive(Debug, Default)]
pub(super) struct Report {
    checks: Vec<Check>,
}

impl Report {
    pub(super) fn add(&mut self, area: &'static str, name: &'static str, outcome: Outcome) {
        self.checks.push(Check { area, name, outcome });
    }

    /// Starts a section with these checks.
    pub(super) fn section(&mut self, area: &'static str, names: &'static [&'static str]) -> Section<'_> {
        Section { report: self, area, names, failed: None }
    }

    /// Prints the report to standard output.
    ///
    /// # Errors
    ///
    /// Returns a failure if the report could not be written.
    pub(super) fn print(&self, json: bool) -> Result<(), Failure> {
        if json {
            return output::json(&JsonReport::of(self));
        }
        output::coloured(self.text().trim_end())
    }

    /// Returns a failure with the exit code of the first check that failed.
    ///
    /// # Errors
    ///
    /// Returns a failure if a check failed.
    pub(super) fn verdict(&self) -> Result<(), Failure> {
        let mut exits = self.checks.iter().filter_map(|check| match &check.outcome {
            Outcome::Failed { exit, .. } => Some(*exit),
            _ => None,
        });
        let Some(exit) = exits.next() else { return Ok(()) };
        let failed = exits.count().saturating_add(1);
        let message = format!("{failed} of {} checks failed", self.made());
        Err(Failure::new(message).with_exit(exit))
    }

    /// Returns the number of checks that were not skipped.
    fn made(&self) -> usize {
        self.checks.iter().filter(|check| !matches!(check.outcome, Outcome::Skipped { .. })).count()
    }

    fn count(&self, is_counted: impl Fn(&Outcome) -> bool) -> usize {
        self.checks.iter().filter(|check| is_counted(&check.outcome)).count()
    }

    /// Returns the report with colours. Writing to a `String` cannot fail.
    fn text(&self) -> String {
        let mut text = format!("flinks {} on {}\n", env!("CARGO_PKG_VERSION"), std::env::consts::OS);
        let mut area = "";
        for checks in self.checks.chunk_by(are_skipped_alike) {
            let Some(first) = checks.first() else { continue };
            if first.area != area {
                area = first.area;
                let _ = writeln!(text, "\n{area}");
            }
            match &first.outcome {
                Outcome::Skipped { because } => write_skipped(&mut text, checks, because),
                _ => write_check(&mut text, first),
            }
        }
        let failed = self.count(Outcome::is_failed);
        let warnings = self.count(|outcome| matches!(outcome, Outcome::Warning(_)));
        let _ = match (failed, warnings) {
            (0, 0) => writeln!(text, "\n{GOOD}no problems found{GOOD:#}"),
            _ => writeln!(text, "\n{} checks: {failed} failed, {warnings} with a warning", self.made()),
        };
        text
    }
}

/// Returns whether two checks were skipped for the same reason and can therefore share a line.
fn are_skipped_alike(one: &Check, other: &Check) -> bool {
    one.area == other.area && matches!(one.outcome, Outcome::Skipped { .. }) && one.outcome == other.outcome
}

fn write_skipped(text: &mut String, checks: &[Check], because: &str) {
    let names: Vec<&str> = checks.iter().map(|check| check.name).collect();
    let _ = match names.as_slice() {
        [name] => writeln!(text, "  skipped  {name:<16} {because}"),
        names => writeln!(text, "  skipped  {}: {because}", names.join(", ")),
    };
}

fn write_check(text: &mut String, Check { name, outcome, .. }: &Check) {
    let (style, word, message) = match outcome {
        Outcome::Passed { detail } => (GOOD, "ok", detail),
        Outcome::Skipped { because } => (Style::new(), "skipped", because),
        Outcome::Warning(finding) => (WARNING, "warning", &finding.problem),
        Outcome::Failed { finding, .. } => (BAD, "failed", &finding.problem),
    };
    let _ = writeln!(text, "  {style}{word:<8}{style:#} {name:<16} {message}");
    if let Some(finding) = outcome.finding() {
        let label = if finding.is_guess { "guess: " } else { "" };
        let _ = writeln!(text, "{:28}{label}{}", "", finding.cure);
    }
}

/// A part of the report. If a check fails, all later checks in the same section are skipped.
pub(super) struct Section<'a> {
    report: &'a mut Report,
    area: &'static str,
    /// The names of the checks that have no outcome yet.
    names: &'static [&'static str],
    /// The name of the check that failed.
    failed: Option<&'static str>,
}

impl Section<'_> {
    /// Adds the outcome of the next check. Returns `None` if the check failed, so that `?` skips
    /// the later checks.
    pub(super) fn record(&mut self, outcome: Outcome) -> Option<()> {
        let (name, rest) = self.names.split_first()?;
        self.names = rest;
        let is_failed = outcome.is_failed();
        self.report.add(self.area, name, outcome);
        if is_failed {
            self.failed = Some(name);
            return None;
        }
        Some(())
    }

    /// Adds the outcome of the next check, and returns its value.
    pub(super) fn take<T>(&mut self, step: Step<T>) -> Option<T> {
        match step {
            Ok((outcome, value)) => self.record(outcome).map(|()| value),
            Err(outcome) => {
                self.record(outcome);
                None
            }
        }
    }

    /// Adds the checks that were not run.
    pub(super) fn finish(self) {
        let because = match self.failed {
            Some(name) => format!("the check `{name}` failed"),
            None => "not needed".to_owned(),
        };
        for name in self.names {
            self.report.add(self.area, name, Outcome::skipped(because.as_str()));
        }
    }
}

/// The JSON form of the report.
#[derive(Serialize)]
struct JsonReport<'a> {
    version: &'static str,
    failed: usize,
    warnings: usize,
    checks: Vec<JsonCheck<'a>>,
}

#[derive(Serialize)]
struct JsonCheck<'a> {
    section: &'a str,
    name: &'a str,
    /// `passed`, `warning`, `failed` or `skipped`.
    outcome: &'static str,
    /// The result if the check passed, or the reason it was skipped.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cure: Option<&'a str>,
    is_guess: bool,
}

impl<'a> JsonReport<'a> {
    fn of(report: &'a Report) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION"),
            failed: report.count(Outcome::is_failed),
            warnings: report.count(|outcome| matches!(outcome, Outcome::Warning(_))),
            checks: report.checks.iter().map(JsonCheck::of).collect(),
        }
    }
}

impl<'a> JsonCheck<'a> {
    fn of(check: &'a Check) -> Self {
        let finding = check.outcome.finding();
        Self {
            section: check.area,
            name: check.name,
            outcome: check.outcome.name(),
            detail: match &check.outcome {
                Outcome::Passed { detail } => Some(detail),
                Outcome::Skipped { because } => Some(because),
                Outcome::Warning(_) | Outcome::Failed { .. } => None,
            },
            problem: finding.map(|finding| finding.problem.as_str()),
            cure: finding.map(|finding| finding.cure.as_str()),
            is_guess: finding.is_some_and(|finding| finding.is_guess),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: &[&str] = &["one", "two", "three"];

    fn report_with(outcomes: Vec<Outcome>) -> Report {
        let mut report = Report::default();
        let mut section = report.section("pay", NAMES);
        for outcome in outcomes {
            if section.record(outcome).is_none() {
                break;
            }
        }
        section.finish();
        report
    }

    #[test]
    fn checks_after_a_failure_are_skipped() {
        let report = report_with(vec![Outcome::passed("fine"), Outcome::failed(Exit::TryLater, "broken", "mend it")]);
        let names: Vec<_> = report.checks.iter().map(|check| (check.name, check.outcome.name())).collect();
        assert_eq!(names, [("one", "passed"), ("two", "failed"), ("three", "skipped")]);
        assert_eq!(report.checks[2].outcome, Outcome::skipped("the check `two` failed"));
    }

    #[test]
    fn the_first_failure_determines_the_exit_code() {
        let mut report = report_with(vec![Outcome::failed(Exit::TryLater, "broken", "mend it")]);
        report.add("store", "records", Outcome::failed(Exit::Configuration, "broken", "mend it"));
        let failure = report.verdict().unwrap_err();
        assert_eq!(failure.exit(), Exit::TryLater);
        assert_eq!(failure.message(), "2 of 2 checks failed");
    }

    #[test]
    fn checks_that_were_skipped_for_one_reason_share_a_line() {
        let text = report_with(vec![Outcome::failed(Exit::TryLater, "broken", "mend it")]).text();
        assert!(text.contains("  skipped  two, three: the check `one` failed\n"), "{text}");
    }

    #[test]
    fn warnings_are_not_a_failure() {
        let report = report_with(vec![Outcome::warning("odd", "look at it")]);
        assert!(report.verdict().is_ok());
        assert!(report.text().contains("0 failed, 1 with a warning"));
    }

    #[test]
    fn a_guess_is_marked_in_text_and_json() {
        let report = report_with(vec![Outcome::failed(Exit::Failed, "broken", "mend it").guess()]);
        assert!(report.text().contains("guess: mend it"));
        let json = serde_json::to_value(JsonReport::of(&report)).unwrap();
        assert_eq!(json["failed"], 1);
        assert_eq!(json["checks"][0]["is_guess"], true);
        assert_eq!(json["checks"][0]["cure"], "mend it");
    }
}
