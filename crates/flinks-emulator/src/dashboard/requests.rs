//! The list of requests and the page for one request.

use std::time::Duration;

use maud::{Markup, html};

use super::PATH;
use super::layout::{self, date_and_time, pieces, short_pieces, time_of_day};
use super::view::View;
use crate::ledger::Request;
use crate::observer::Outcome;
use crate::operation::Operation;
use crate::record::{ReplyText, reply_text};
use crate::redaction::{Piece, Pieces, issued_label};
use crate::shared::Shared;
use crate::state::EmulatorState;

/// The maximum number of requests in the list.
pub(super) const PAGE: usize = 100;

pub(super) fn panel(shared: &Shared, state: &EmulatorState, view: &View) -> Markup {
    let older_than = |request: &&Request| view.before.is_none_or(|before| request.number < before);
    let mut found = state.ledger.requests().rev().filter(older_than).filter_map(|request| {
        let outcome = shared.observer.outcome(request.number);
        view.matches(request, outcome.is_some()).then_some((request, outcome))
    });
    let shown: Vec<_> = found.by_ref().take(PAGE).collect();
    let oldest = shown.last().map(|(request, _)| request.number);
    let has_older = found.next().is_some();
    html! {
        section.panel #requests tabindex="-1" aria-labelledby="requests-title" {
            div.title { h2 #requests-title { "Requests" } (totals(state)) }
            (filter(view))
            @if let Some(before) = view.before {
                p.notice { "Requests before " (before) ". " a href=(view.with_before(None).address("")) { "Show the newest" } }
            }
            ol.rows #rows data-live[view.before.is_none()] data-max=(PAGE) aria-label="Requests, newest first" {
                @for (request, outcome) in &shown { (row(shared, state, view, request, outcome.as_ref())) }
            }
            p.empty { "No requests yet. Send one with a command from “Try it”." }
            @if has_older {
                p { a.button.quiet #older href=(view.with_before(oldest).address("")) { "Older requests" } }
            }
        }
    }
}

/// Returns the number of requests since the start or the last reset, as HTML.
pub(super) fn totals(state: &EmulatorState) -> Markup {
    html! { p.count #totals { (state.ledger.received()) " received" } }
}

fn filter(view: &View) -> Markup {
    html! {
        form.filter method="get" action=(PATH) {
            @if view.is_revealed() { input type="hidden" name="reveal" value="true"; }
            label for="operation-filter" { "Operation" }
            select #operation-filter name="operation" data-submit {
                option value="" { "All" }
                @for operation in Operation::ALL {
                    option value=(operation) selected[view.operation == Some(operation)] { (operation) }
                }
            }
            label.check {
                input type="checkbox" name="failures" value="true" checked[view.only_failures] data-submit;
                " Only failures"
            }
            noscript { button type="submit" { "Filter" } }
        }
    }
}

/// Returns a row of the list.
pub(super) fn row(
    shared: &Shared,
    state: &EmulatorState,
    view: &View,
    request: &Request,
    outcome: Option<&Outcome>,
) -> Markup {
    let redactor = shared.observer.redactor(state);
    let number = request.number;
    html! {
        li id={ "r" (number) } {
            a href=(view.with_before(None).address(&format!("/requests/{number}"))) {
                (status(request, outcome))
                span.call {
                    span.method { (redactor.method(&request.method)) }
                    " "
                    span.path { (short_pieces(&redactor.path(path(&request.target)), view.reveal)) }
                }
                span.number { "#" (number) }
                span.operation {
                    @if let Some(operation) = request.operation { (operation) } @else { "no operation" }
                    @if let Some(fault) = &request.fault { " " span.fault { (fault.kind()) } }
                }
                span.when { (time_of_day(request.at)) @if let Some(outcome) = outcome { " · " (elapsed(outcome.elapsed)) } }
            }
        }
    }
}

fn path(target: &str) -> &str {
    target.split('?').next().unwrap_or_default()
}

fn status(request: &Request, outcome: Option<&Outcome>) -> Markup {
    let (class, text) = match (request.status, outcome) {
        (Some(status), _) if status < 300 => ("good", status.to_string()),
        (Some(status), _) if status < 400 => ("plain", status.to_string()),
        (Some(status), _) => ("bad", status.to_string()),
        (None, Some(_)) => ("bad", "none".to_owned()),
        (None, None) => ("open", "…".to_owned()),
    };
    let title = match (request.status, outcome) {
        (None, Some(_)) => Some("The connection was closed without a response"),
        (None, None) => Some("In progress"),
        _ => None,
    };
    html! { span class={ "status " (class) } title=[title] { (text) } }
}

fn elapsed(elapsed: Duration) -> String {
    match elapsed.as_millis() {
        0 => "< 1 ms".to_owned(),
        millis @ 1..10_000 => format!("{millis} ms"),
        _ => format!("{} s", elapsed.as_secs()),
    }
}

/// Returns the page for one request, or `None` if the request is not in the ledger.
pub(super) fn page(shared: &Shared, view: &View, number: u64) -> Option<Markup> {
    let state = shared.state();
    let request = state.ledger.request(number)?;
    let outcome = shared.observer.outcome(number);
    let redactor = shared.observer.redactor(&state);
    let redacted = redactor.request(request);
    let mut start_line = vec![Piece::Text(format!("{} ", redacted.method))];
    start_line.extend(redacted.target());
    let reply = outcome.as_ref().map(|outcome| reply_text(redactor, request, outcome));
    let neighbour = |number: Option<u64>| number.filter(|number| state.ledger.request(*number).is_some());
    let link = |number: u64| view.address(&format!("/requests/{number}"));
    let other = if view.is_revealed() { crate::redaction::Reveal::Names } else { crate::redaction::Reveal::Values };
    let content = html! {
        p.toolbar {
            (status(request, outcome.as_ref()))
            @if let Some(operation) = request.operation { code { (operation) } } @else { "no operation" }
            @if let Some(fault) = &request.fault { span.fault { "fault: " (fault.kind()) } }
            span.space {}
            a.button.quiet #reveal href=(view.with_reveal(other).address(&format!("/requests/{number}"))) {
                @if view.is_revealed() { "Hide values" } @else { "Reveal values" }
            }
            @if let Some(previous) = neighbour(number.checked_sub(1)) { a.button.quiet href=(link(previous)) { "← Previous" } }
            @if let Some(next) = neighbour(number.checked_add(1)) { a.button.quiet href=(link(next)) { "Next →" } }
        }
        dl.facts {
            div { dt { "Arrived" } dd { (date_and_time(request.at)) " UTC" } }
            @if let Some(outcome) = &outcome { div { dt { "Took" } dd { (elapsed(outcome.elapsed)) } } }
            div { dt { "Processed" } dd { @if request.processed { "yes" } @else { "no" } } }
            @if !request.complete { div { dt { "Body" } dd { "incomplete" } } }
            (effects(&state, number))
        }
        div.pair {
            section.panel aria-labelledby="sent" {
                h2 #sent { "Request" }
                (message(&start_line, &redacted.headers, &redacted.body, view))
            }
            section.panel aria-labelledby="answered" {
                h2 #answered { "Response" }
                @match &reply {
                    Some(reply) => (response(request, reply, view)),
                    None => p { "The request is in progress." },
                }
            }
        }
        p.hint {
            mark.known { "Marked" } " values were issued by the emulator or are configured. A "
            span.hidden { "[hidden …]" } " value is unknown to the emulator, which keeps a hash of it for this page."
        }
    };
    Some(layout::subpage(&format!("Request {number}"), &view.address(""), &content))
}

fn message(start_line: &[Piece], headers: &[(String, Pieces)], body: &[Piece], view: &View) -> Markup {
    html! {
        pre.http tabindex="0" {
            strong { (pieces(start_line, view.reveal)) } "\n"
            @for (name, value) in headers {
                span.header { (layout::visible(name, 100)) ": " } (pieces(value, view.reveal)) "\n"
            }
            @if !body.is_empty() { "\n" (pieces(body, view.reveal)) }
        }
    }
}

fn response(request: &Request, reply: &ReplyText, view: &View) -> Markup {
    let Some(status) = request.status else {
        return html! { p { "The connection was closed without a response." } };
    };
    let reason = hyper::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
    let start_line = [Piece::Text(format!("{status} {}", reason.unwrap_or_default()))];
    message(&start_line, &reply.headers, &reply.body, view)
}

/// Returns the codes and tokens that a request issued, spent or revoked, as HTML.
fn effects(state: &EmulatorState, number: u64) -> Markup {
    let effects: Vec<(&str, String)> = state
        .ledger
        .all_issued()
        .flat_map(|issued| {
            let by = |usage: Option<crate::ledger::Usage>| usage.is_some_and(|usage| usage.by == number);
            let effect = |verb, applies: bool| applies.then(|| (verb, issued_label(issued)));
            [
                effect("Issued", issued.issued_by == Some(number)),
                effect("Spent", by(issued.spent)),
                effect("Revoked", by(issued.revoked)),
            ]
        })
        .flatten()
        .take(20)
        .collect();
    html! { @for (verb, label) in effects { div { dt { (verb) } dd { (label) } } } }
}
