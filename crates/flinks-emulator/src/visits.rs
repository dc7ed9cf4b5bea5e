//! End users' visits to the emulator's pages, for the control API and the dashboard.
//!
//! To act as an end user, submit the form for the current step to the address of the visit, as a
//! browser would.

use serde_json::{Value, json};

use crate::bank::{Bank, Banks, Question};
use crate::state::{EmulatorState, Stage};

/// A visit to one of the pages for end users.
pub(crate) struct Visit<'a> {
    pub(crate) page: Page,
    pub(crate) address: String,
    pub(crate) step: Step<'a>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Page {
    /// Outbound's consent page.
    Consent,
    /// The bank's login page (custom OAuth).
    Bank,
    /// Connect's iframe page.
    Iframe,
    /// The page on which a payer approves a payment.
    Payment,
}

/// The form that a visit shows.
pub(crate) enum Step<'a> {
    Decide,
    Approve,
    ChooseBank(&'a Banks),
    LogIn(&'a Bank),
    Answer(&'a Question),
    Complete,
}

/// Returns the visits, grouped by page and newest first within each group.
pub(crate) fn visits(state: &EmulatorState) -> impl Iterator<Item = Visit<'_>> {
    let visit = |page: Page, id: &str, step| Visit { page, address: format!("/__pages/{}/{id}", page.name()), step };
    let consents = state.outbound.consents.iter().rev().map(move |(id, consent)| {
        let step = if consent.end.is_some() { Step::Complete } else { Step::Decide };
        visit(Page::Consent, id, step)
    });
    let banks = state.connect.bank_redirects.iter().rev().map(move |(id, redirect)| {
        let bank = state.banks.bank(redirect.bank).filter(|_| redirect.end.is_none());
        let step = bank.map_or(Step::Complete, Step::LogIn);
        visit(Page::Bank, id, step)
    });
    let iframes = state.connect.iframes.iter().rev().map(move |(id, iframe)| {
        let step = match &iframe.stage {
            Stage::Choosing => Step::ChooseBank(&state.banks),
            Stage::LoggingIn { bank } => state.banks.bank(*bank).map_or(Step::Complete, Step::LogIn),
            Stage::Questioned { user, question } => {
                state.banks.question(*user, *question).map_or(Step::Complete, Step::Answer)
            }
            Stage::Connected { .. } | Stage::Cancelled => Step::Complete,
        };
        visit(Page::Iframe, id, step)
    });
    let opened = state.pay.payment_requests.values().rev().filter(|request| request.is_open);
    let payments = opened.map(move |request| {
        let is_undecided = request.status(state.now(), &state.config.pay).is_undecided();
        let step = if is_undecided { Step::Approve } else { Step::Complete };
        visit(Page::Payment, &request.session_id, step)
    });
    consents.chain(banks).chain(iframes).chain(payments)
}

impl Page {
    /// Returns the name that identifies the page in an address.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Consent => "consent",
            Self::Bank => "bank",
            Self::Iframe => "connect",
            Self::Payment => "pay",
        }
    }
}

impl Step<'_> {
    const fn name(&self) -> &'static str {
        match self {
            Self::Decide | Self::Approve => "decision",
            Self::ChooseBank(_) => "institution",
            Self::LogIn(_) => "login",
            Self::Answer(_) => "question",
            Self::Complete => "complete",
        }
    }
}

/// Returns the visits as JSON, for the control API.
pub(crate) fn list(state: &EmulatorState) -> Value {
    let visit = |Visit { page, address, step }: Visit<'_>| {
        let question = match step {
            Step::Answer(question) => Some(question.prompt.as_str()),
            _ => None,
        };
        json!({"page": page.name(), "address": address, "step": step.name(), "question": question})
    };
    json!({"visits": visits(state).map(visit).collect::<Vec<_>>()})
}
