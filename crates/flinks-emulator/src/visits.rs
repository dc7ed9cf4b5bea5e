//! The visits of end users to the emulator's pages, for the control API and the dashboard.
//!
//! To act as an end user, submit the form of the current step to the address of the visit, as a
//! browser would.

use serde_json::{Value, json};

use crate::bank::{self, Question};
use crate::state::{EmulatorState, Stage};

/// A visit to one of the pages for end users.
pub(crate) struct Visit {
    pub(crate) page: Page,
    pub(crate) address: String,
    pub(crate) step: Step,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Page {
    /// Outbound's consent page.
    Consent,
    /// The bank's login page (custom OAuth).
    Bank,
    /// Connect's iframe page.
    Iframe,
}

/// The form that a visit shows.
pub(crate) enum Step {
    Decide,
    ChooseBank,
    LogIn,
    Answer(&'static Question),
    Complete,
}

/// Returns the visits, newest first within each page.
pub(crate) fn visits(state: &EmulatorState) -> impl Iterator<Item = Visit> {
    let visit = |page: Page, id: &str, step| Visit { page, address: format!("/__pages/{}/{id}", page.name()), step };
    let consents = state.outbound.consents.iter().rev().map(move |(id, consent)| {
        let step = if consent.end.is_some() { Step::Complete } else { Step::Decide };
        visit(Page::Consent, id, step)
    });
    let banks = state.connect.bank_redirects.iter().rev().map(move |(id, redirect)| {
        let step = if redirect.end.is_some() { Step::Complete } else { Step::LogIn };
        visit(Page::Bank, id, step)
    });
    let iframes = state.connect.iframes.iter().rev().map(move |(id, iframe)| {
        let step = match &iframe.stage {
            Stage::Choosing => Step::ChooseBank,
            Stage::LoggingIn => Step::LogIn,
            Stage::Questioned { question, .. } => bank::question(*question).map_or(Step::Complete, Step::Answer),
            Stage::Connected { .. } => Step::Complete,
        };
        visit(Page::Iframe, id, step)
    });
    consents.chain(banks).chain(iframes)
}

impl Page {
    /// Returns the name of the page in its address.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Consent => "consent",
            Self::Bank => "bank",
            Self::Iframe => "connect",
        }
    }
}

impl Step {
    const fn name(&self) -> &'static str {
        match self {
            Self::Decide => "decision",
            Self::ChooseBank => "institution",
            Self::LogIn => "login",
            Self::Answer(_) => "question",
            Self::Complete => "complete",
        }
    }
}

/// Returns the visits as JSON, for the control API.
pub(crate) fn list(state: &EmulatorState) -> Value {
    let visit = |Visit { page, address, step }: Visit| {
        let question = match step {
            Step::Answer(question) => Some(question.prompt),
            _ => None,
        };
        json!({"page": page.name(), "address": address, "step": step.name(), "question": question})
    };
    json!({"visits": visits(state).map(visit).collect::<Vec<_>>()})
}
