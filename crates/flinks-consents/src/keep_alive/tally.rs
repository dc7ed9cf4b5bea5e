//! Counts the outcomes of a run and decides whether to stop it early.

use crate::error::ConsentError;
use crate::store::ConsentId;

use super::summary::{GIVE_UP, Progress, StopReason, Stopped};

/// The outcome for one listed consent.
pub(super) enum Outcome {
    /// The run is stopping, so the consent was not refreshed.
    NotTried,
    /// The current phase does not include the consent.
    Skipped,
    /// The consent is suspected, so a later phase refreshes it.
    Deferred,
    Unreadable,
    Refreshed,
    RefreshedElsewhere,
    Ended(ConsentId),
    Suspected(ConsentError),
    Failed(ConsentError),
}

/// A run's counts.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) progress: Progress,
    /// The number of deferred consents.
    pub(super) deferred: u64,
    /// The number of consecutive refreshes that failed or were refused, possibly by a gateway.
    in_a_row: u64,
}

impl Tally {
    pub(super) fn add(&mut self, outcome: &Outcome) {
        let Progress { examined, summary, .. } = &mut self.progress;
        let increment = |count: &mut u64| *count = count.saturating_add(1);
        match outcome {
            Outcome::NotTried | Outcome::Skipped => return,
            Outcome::Deferred => return increment(&mut self.deferred),
            _ => increment(examined),
        }
        match outcome {
            Outcome::NotTried | Outcome::Skipped | Outcome::Deferred => {}
            // These outcomes involve no request, so they neither end nor extend a series of
            // failures.
            Outcome::Unreadable => increment(&mut summary.unreadable),
            Outcome::RefreshedElsewhere => increment(&mut summary.refreshed_elsewhere),
            Outcome::Refreshed => {
                increment(&mut summary.refreshed);
                self.in_a_row = 0;
            }
            // `Summary::ended` counts the consent when it is reported.
            Outcome::Ended(_) => self.in_a_row = 0,
            Outcome::Failed(error) => {
                increment(&mut summary.failed);
                increment(&mut self.in_a_row);
                if self.in_a_row >= GIVE_UP {
                    self.stop(StopReason::Failed(error.clone()));
                }
            }
            Outcome::Suspected(error) => {
                increment(&mut summary.suspected);
                increment(&mut self.in_a_row);
                let suspected = summary.suspected;
                let is_more_than_a_tenth = suspected >= GIVE_UP && suspected.saturating_mul(10) > *examined;
                if self.in_a_row >= GIVE_UP || is_more_than_a_tenth {
                    self.stop(StopReason::Suspected(error.clone()));
                }
            }
        }
    }

    pub(super) fn stop(&mut self, reason: StopReason) {
        self.progress.summary.stopped.get_or_insert(Stopped { reason });
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.progress.summary.stopped.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::super::summary::Summary;
    use super::*;

    fn error() -> ConsentError {
        "".parse::<ConsentId>().unwrap_err().into()
    }

    fn failed() -> Outcome {
        Outcome::Failed(error())
    }

    fn suspected() -> Outcome {
        Outcome::Suspected(error())
    }

    fn refreshed() -> Outcome {
        Outcome::Refreshed
    }

    fn counted(outcomes: impl IntoIterator<Item = Outcome>) -> Summary {
        let mut tally = Tally::default();
        outcomes.into_iter().for_each(|outcome| tally.add(&outcome));
        tally.progress.summary
    }

    fn several(count: usize, outcome: fn() -> Outcome) -> impl Iterator<Item = Outcome> {
        std::iter::repeat_with(outcome).take(count)
    }

    #[test]
    fn twenty_failures_in_a_row_stop_a_run() {
        let with_success = several(19, failed).chain([Outcome::Refreshed]).chain(several(19, failed));
        let summary = counted(with_success);
        assert!(summary.stopped.is_none());
        assert_eq!(summary.failed, 38);
        let stopped = counted(several(20, failed)).stopped.unwrap();
        assert!(matches!(stopped.reason, StopReason::Failed(_)));
    }

    #[test]
    fn o6_twenty_suspected_refusals_in_a_row_stop_a_run() {
        let many = || several(1000, refreshed);
        assert!(counted(many().chain(several(19, suspected))).stopped.is_none());
        let stopped = counted(many().chain(several(20, suspected))).stopped.unwrap();
        assert!(matches!(stopped.reason, StopReason::Suspected(_)));
        // A refresh by another process does not end the series.
        let with_others = several(10, suspected).chain([Outcome::RefreshedElsewhere]).chain(several(10, suspected));
        assert!(counted(many().chain(with_others)).stopped.is_some());
    }

    #[test]
    fn o6_suspected_refusals_of_over_a_tenth_stop_a_run() {
        let one_in = |count: usize| {
            let round = move || several(count - 1, refreshed).chain([suspected()]);
            std::iter::repeat_with(round).take(30).flatten()
        };
        assert!(counted(one_in(10)).stopped.is_none());
        assert!(counted(one_in(9)).stopped.is_some());
        // Fewer than twenty refusals never stop a run.
        assert!(counted(one_in(2).take(38)).stopped.is_none());
    }

    #[test]
    fn o6_ended_consents_do_not_stop_a_run() {
        let summary = counted(several(1000, || Outcome::Ended("user-7".parse().unwrap())));
        assert!(summary.stopped.is_none());
    }

    #[test]
    fn consents_that_were_not_tried_are_not_examined() {
        let mut tally = Tally::default();
        for outcome in [Outcome::NotTried, Outcome::Skipped, Outcome::Deferred, Outcome::Unreadable] {
            tally.add(&outcome);
        }
        assert_eq!(tally.progress.examined, 1);
        assert_eq!(tally.deferred, 1);
    }
}
