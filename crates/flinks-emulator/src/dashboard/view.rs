//! The part of the data that a page shows, as selected by the query in its address.

use url::form_urlencoded::{self, Serializer};

use super::PATH;
use crate::ledger::Request;
use crate::operation::Operation;
use crate::redaction::Reveal;

#[derive(Clone)]
pub(super) struct View {
    pub(super) reveal: Reveal,
    pub(super) operation: Option<Operation>,
    pub(super) only_failures: bool,
    /// The list shows only requests whose number is less than this one.
    pub(super) before: Option<u64>,
}

impl View {
    /// Reads a query. Unknown parameters and values are ignored.
    pub(super) fn from_query(query: &str) -> Self {
        let mut view = Self { reveal: Reveal::Names, operation: None, only_failures: false, before: None };
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "reveal" if value == "true" => view.reveal = Reveal::Values,
                "operation" => view.operation = Operation::ALL.into_iter().find(|found| found.to_string() == value),
                "failures" if value == "true" => view.only_failures = true,
                "before" => view.before = value.parse().ok(),
                _ => {}
            }
        }
        view
    }

    pub(super) fn is_revealed(&self) -> bool {
        self.reveal == Reveal::Values
    }

    pub(super) fn query(&self) -> String {
        let mut query = Serializer::new(String::new());
        if self.is_revealed() {
            query.append_pair("reveal", "true");
        }
        if let Some(operation) = self.operation {
            query.append_pair("operation", &operation.to_string());
        }
        if self.only_failures {
            query.append_pair("failures", "true");
        }
        if let Some(before) = self.before {
            query.append_pair("before", &before.to_string());
        }
        query.finish()
    }

    /// Returns an address that opens the dashboard or one of its pages in this view.
    pub(super) fn address(&self, page: &str) -> String {
        let query = self.query();
        if query.is_empty() { format!("{PATH}{page}") } else { format!("{PATH}{page}?{query}") }
    }

    pub(super) fn with_reveal(&self, reveal: Reveal) -> Self {
        Self { reveal, ..self.clone() }
    }

    pub(super) fn with_before(&self, before: Option<u64>) -> Self {
        Self { before, ..self.clone() }
    }

    /// Returns whether the list shows a request. A request in progress does not count as a failure.
    pub(super) fn matches(&self, request: &Request, is_complete: bool) -> bool {
        if self.operation.is_some() && request.operation != self.operation {
            return false;
        }
        let is_failure = is_complete && request.status.is_none_or(|status| status >= 400);
        !self.only_failures || is_failure
    }
}
