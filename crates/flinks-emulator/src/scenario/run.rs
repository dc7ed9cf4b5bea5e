//! The loaded scenario: which of its steps have taken effect, and what they changed.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::Scenario;
use super::file::{Action, After, RateLimitAction, RevokeAction, Step};
use crate::bank::{BankKey, Banks, UserKey};
use crate::config::Config;
use crate::fault::{ScheduledFault, repetitions};
use crate::file_error::{Content, FileError};
use crate::operation::Operation;
use crate::state::EmulatorState;

/// The progress of a scenario. If no scenario is loaded, there are no steps.
#[derive(Default)]
pub(crate) struct ScenarioRun {
    scenario: Option<Scenario>,
    /// The configuration before the scenario changed it.
    config_before: Option<Config>,
    /// The number of steps that have taken effect.
    next: usize,
    /// The time at which the last step took effect.
    since: Duration,
    /// For each operation, the number of requests that have been completed since the last step took
    /// effect.
    completed: BTreeMap<Operation, u64>,
    /// The time until which each bank is unavailable.
    outages: BTreeMap<BankKey, Duration>,
    rate_limits: Vec<RateLimit>,
    /// The time that a live request to `/Authorize` takes.
    slow_authorize: Duration,
}

struct RateLimit {
    operation: Operation,
    requests: usize,
    time: Duration,
    /// The times of the accepted requests, oldest first.
    accepted: VecDeque<Duration>,
}

impl ScenarioRun {
    pub(crate) fn scenario(&self) -> Option<&Scenario> {
        self.scenario.as_ref()
    }

    /// Returns the number of steps that have taken effect.
    pub(crate) fn steps_done(&self) -> usize {
        self.next
    }

    pub(crate) fn slow_authorize(&self) -> Duration {
        self.slow_authorize
    }

    pub(crate) fn is_unavailable(&self, bank: BankKey, now: Duration) -> bool {
        self.outages.get(&bank).is_some_and(|until| now < *until)
    }

    /// Returns whether a request exceeds a rate limit. If it does not, the request counts towards
    /// the limit.
    pub(crate) fn exceeds_rate(&mut self, operation: Operation, now: Duration) -> bool {
        let mut limits = self.rate_limits.iter_mut().filter(|limit| limit.operation == operation);
        limits.any(|limit| {
            while limit.accepted.front().is_some_and(|at| now.saturating_sub(*at) >= limit.time) {
                limit.accepted.pop_front();
            }
            if limit.accepted.len() >= limit.requests {
                return true;
            }
            limit.accepted.push_back(now);
            false
        })
    }

    /// Restarts the same scenario from its first step.
    pub(crate) fn restarted(self, now: Duration) -> Self {
        Self { scenario: self.scenario, config_before: self.config_before, since: now, ..Self::default() }
    }

    fn due_step(&mut self, now: Duration) -> Option<usize> {
        let step = self.scenario.as_ref()?.steps.get(self.next)?;
        let due = match step.after.as_ref().map(toml::Spanned::get_ref) {
            None => Some(self.since),
            Some(After { time: Some(time), .. }) => Some(self.since.saturating_add(*time)).filter(|due| *due <= now),
            Some(After { operation, count, .. }) => {
                let completed = operation.and_then(|operation| self.completed.get(&operation)).copied();
                (completed.unwrap_or_default() >= count.unwrap_or(1)).then_some(now)
            }
        };
        self.since = due?;
        self.completed.clear();
        let index = self.next;
        self.next = self.next.saturating_add(1);
        Some(index)
    }
}

impl RevokeAction {
    pub(super) fn find(&self, banks: &Banks) -> Option<UserKey> {
        match &self.bank {
            Some(bank) => banks.user_named(banks.named(bank)?, &self.user),
            None => banks.iter().find_map(|(bank, _)| banks.user_named(bank, &self.user)),
        }
    }
}

impl EmulatorState {
    /// Loads a scenario: applies its settings, resets everything else and starts its steps.
    pub(crate) fn load_scenario(&mut self, scenario: &Scenario) -> Result<(), FileError> {
        let before = self.scenario.config_before.clone().unwrap_or_else(|| self.config.clone());
        let invalid = |reason: &str| FileError::new(Content::Scenario, reason);
        let config = before.merged(scenario.settings.clone()).map_err(|reason| invalid(&reason))?;
        if let Some(problem) = config.problem() {
            return Err(invalid(problem));
        }
        self.configure(|old| *old = config);
        self.banks = scenario.banks.clone();
        self.scenario =
            ScenarioRun { scenario: Some(scenario.clone()), config_before: Some(before), ..ScenarioRun::default() };
        self.reset();
        Ok(())
    }

    /// Counts a completed request and applies the steps that were waiting for it. Returns whether a
    /// step may have changed the clock.
    pub(crate) fn complete_request(&mut self, operation: Operation) -> bool {
        let count = self.scenario.completed.entry(operation).or_default();
        *count = count.saturating_add(1);
        self.apply_due_steps()
    }

    /// Applies the steps that are due. Returns whether a step may have changed the clock.
    pub(crate) fn apply_due_steps(&mut self) -> bool {
        let mut is_clock_changed = false;
        loop {
            let now = self.now();
            let Some(index) = self.scenario.due_step(now) else { return is_clock_changed };
            let Some(scenario) = self.scenario.scenario.clone() else { return is_clock_changed };
            let Some(Step { action, .. }) = scenario.steps.get(index) else { return is_clock_changed };
            is_clock_changed |= matches!(action.get_ref(), Action::Advance(_) | Action::Set(_));
            self.apply(action.get_ref());
        }
    }

    fn apply(&mut self, action: &Action) {
        match action {
            Action::Advance(time) => {
                self.clock.advance(*time);
                self.scenario.since = self.now();
            }
            Action::Fault(fault) => {
                // The scenario's checks have already refused invalid combinations.
                let Ok(remaining) = repetitions(fault.times, fault.always) else { return };
                let scheduled = ScheduledFault { operation: fault.operation, fault: fault.fault.clone(), remaining };
                self.faults.add(scheduled);
            }
            Action::Outage(outage) => {
                let until = self.scenario.since.saturating_add(outage.time);
                let affected: Vec<BankKey> = match &outage.bank {
                    Some(name) => self.banks.named(name).into_iter().collect(),
                    None => self.banks.iter().map(|(bank, _)| bank).collect(),
                };
                self.scenario.outages.extend(affected.into_iter().map(|bank| (bank, until)));
            }
            Action::RateLimit(RateLimitAction { operation, requests, time }) => {
                let limit =
                    RateLimit { operation: *operation, requests: *requests, time: *time, accepted: VecDeque::new() };
                self.scenario.rate_limits.retain(|old| old.operation != *operation);
                self.scenario.rate_limits.push(limit);
            }
            Action::Revoke(revoke) => {
                if let Some(user) = revoke.find(&self.banks) {
                    self.revoke_at_bank(user);
                }
            }
            Action::Set(settings) => {
                if let Ok(config) = self.config.merged(settings.clone()) {
                    self.configure(|old| *old = config);
                }
            }
            Action::SlowAuthorize(time) => self.scenario.slow_authorize = *time,
        }
    }

    /// Revokes every consent of a user, as if the user had done so at the bank.
    pub(crate) fn revoke_at_bank(&mut self, user: UserKey) {
        for subject in self.outbound.subjects_of(user) {
            self.revoke_connection(&subject);
        }
    }
}
