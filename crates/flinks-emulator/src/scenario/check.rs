//! The checks that involve more than one value in a scenario.

use std::collections::BTreeSet;
use std::ops::Range;
use std::time::Duration;

use serde_json::{Map, Value};
use toml::Spanned;

use super::file::{Action, After, OutageAction, RateLimitAction, RevokeAction, Step};
use crate::bank::{Account, Bank, Banks, User};
use crate::config::Config;
use crate::fault::repetitions;
use crate::operation::Operation;

/// The reason a scenario is invalid, and the byte offset of the error in the file.
pub(super) struct Problem {
    pub(super) offset: usize,
    pub(super) reason: String,
}

impl Problem {
    fn new(span: Range<usize>, reason: impl Into<String>) -> Self {
        Self { offset: span.start, reason: reason.into() }
    }
}

pub(super) fn banks(banks: &Banks) -> Result<(), Problem> {
    let all = || banks.iter().map(|(_, bank)| bank);
    unique(all().map(|bank| &bank.name), "two banks have the same name")?;
    unique(all().map(|bank| &bank.id), "two banks have the same id")?;
    unique(all().map(|bank| &bank.provider_id), "two banks have the same provider_id")?;
    all().try_for_each(bank)?;
    if banks.able_users().is_empty() {
        let offset = all().next().map_or(0, |bank| bank.name.span().start);
        let reason = "the scenario needs a user whose login is not refused".to_owned();
        return Err(Problem { offset, reason });
    }
    Ok(())
}

fn bank(bank: &Bank) -> Result<(), Problem> {
    unique(bank.users.iter().map(|user| &user.username), "two users of this bank have the same name")?;
    bank.users.iter().try_for_each(user)
}

fn user(user: &User) -> Result<(), Problem> {
    for question in &user.questions {
        let data = question.get_ref();
        if !data.choices.is_empty() && !data.choices.contains(&data.answer) {
            return Err(Problem::new(question.span(), "the answer must be one of the choices"));
        }
        if !data.choices_fr.is_empty() && data.choices_fr.len() != data.choices.len() {
            return Err(Problem::new(question.span(), "`choices_fr` must have as many items as `choices`"));
        }
    }
    let prompts: BTreeSet<_> = user.questions.iter().map(|question| &question.get_ref().prompt).collect();
    if prompts.len() != user.questions.len() {
        return Err(Problem::new(user.username.span(), "two questions for this user have the same prompt"));
    }
    unique(user.accounts.iter().map(|account| &account.id), "two accounts of this user have the same id")?;
    user.accounts.iter().try_for_each(account)
}

fn account(account: &Account) -> Result<(), Problem> {
    for transaction in &account.transactions {
        let data = transaction.get_ref();
        if data.days_ago.is_some() == data.posted.is_some() {
            let reason = "a transaction must have either `days_ago` or `posted`";
            return Err(Problem::new(transaction.span(), reason));
        }
    }
    let ids: BTreeSet<_> = account.transactions.iter().map(|transaction| &transaction.get_ref().id).collect();
    if ids.len() != account.transactions.len() {
        return Err(Problem::new(account.id.span(), "two transactions in this account have the same id"));
    }
    Ok(())
}

/// Checks that no two values are equal. The error contains the position of the second value.
fn unique<'a, T: Ord + 'a>(values: impl Iterator<Item = &'a Spanned<T>>, reason: &str) -> Result<(), Problem> {
    let mut seen = BTreeSet::new();
    for value in values {
        if !seen.insert(value.get_ref()) {
            return Err(Problem::new(value.span(), reason));
        }
    }
    Ok(())
}

pub(super) fn steps(steps: &[Step], banks: &Banks) -> Result<(), Problem> {
    // Whether an end user may have given consent before the step.
    let mut requests_have_arrived = false;
    for step in steps {
        if let Some(after) = &step.after {
            let problem = after_problem(after.get_ref());
            problem.map_or(Ok(()), |reason| Err(Problem::new(after.span(), reason)))?;
            requests_have_arrived = true;
        }
        let problem = match step.action.get_ref() {
            Action::Advance(time) | Action::SlowAuthorize(time) => zero(*time),
            Action::Fault(fault) => repetitions(fault.times, fault.always).err().map(str::to_owned),
            Action::Outage(outage) => outage_problem(outage, banks),
            Action::RateLimit(limit) => rate_limit_problem(limit),
            Action::Revoke(revoke) => revoke_problem(revoke, banks, requests_have_arrived),
            Action::Set(settings) => settings_problem(settings),
        };
        if let Some(reason) = problem {
            return Err(Problem::new(step.action.span(), reason));
        }
    }
    Ok(())
}

fn after_problem(after: &After) -> Option<String> {
    let After { operation, count, time } = after;
    let reason = match (operation, time) {
        (Some(_), Some(_)) | (None, None) => "`after` must have either `operation` or `time`",
        (Some(_), None) if *count == Some(0) => "`count` must be greater than 0",
        (None, Some(_)) if count.is_some() => "`count` needs `operation`",
        (None, Some(time)) => return zero(*time),
        (Some(_), None) => return None,
    };
    Some(reason.to_owned())
}

fn zero(time: Duration) -> Option<String> {
    time.is_zero().then(|| "the time must be greater than 0".to_owned())
}

fn outage_problem(outage: &OutageAction, banks: &Banks) -> Option<String> {
    if outage.bank.as_ref().is_some_and(|bank| banks.named(bank).is_none()) {
        return Some("the step cannot happen: the scenario has no bank with this name".to_owned());
    }
    zero(outage.time)
}

fn rate_limit_problem(limit: &RateLimitAction) -> Option<String> {
    if !is_call(limit.operation) {
        return Some("the step cannot happen: an end user's page has no rate limit".to_owned());
    }
    if limit.requests == 0 {
        return Some("`requests` must be greater than 0".to_owned());
    }
    zero(limit.time)
}

/// Returns whether the operation is called by an application rather than by an end user's browser.
fn is_call(operation: Operation) -> bool {
    !matches!(
        operation,
        Operation::ConnectIframe
            | Operation::ConnectIframeStep
            | Operation::ConnectOAuthAuthorize
            | Operation::ConnectOAuthStep
            | Operation::OutboundAuthorize
            | Operation::OutboundAuthorizeStep
            | Operation::PayApp
            | Operation::PayAppStep
    )
}

fn revoke_problem(revoke: &RevokeAction, banks: &Banks, requests_have_arrived: bool) -> Option<String> {
    let reason = match revoke.find(banks) {
        None => "the scenario has no user with this name",
        Some(user) if banks.user(user).is_some_and(|user| user.refusal.is_some()) => {
            "the bank refuses this user's login, so the user cannot have given consent"
        }
        // The refresh token that exists when the emulator starts belongs to the first user who can
        // log in.
        Some(user) if !requests_have_arrived && banks.able_users().first() != Some(&user) => {
            "this user cannot have given consent yet; add `after`"
        }
        Some(_) => return None,
    };
    Some(format!("the step cannot happen: {reason}"))
}

fn settings_problem(settings: &Map<String, Value>) -> Option<String> {
    match Config::default().merged(settings.clone()) {
        Ok(config) => config.problem().map(str::to_owned),
        Err(_) => Some("unknown setting, or a setting with a value of the wrong type".to_owned()),
    }
}
