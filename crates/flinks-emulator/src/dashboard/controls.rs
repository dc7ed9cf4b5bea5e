//! The clock, the end user and the faults. The buttons send requests to the control API.

use maud::{Markup, html};
use serde_json::{Value, json};

use super::layout::date_and_time;
use crate::bank::{Bank, User};
use crate::config::EndUser;
use crate::credentials::OUTBOUND_REDIRECT_URI;
use crate::fault::{Fault, When};
use crate::operation::Operation;
use crate::record::timestamp;
use crate::state::EmulatorState;
use crate::visits::{Page, Step, Visit, visits};

/// The steps by which the buttons advance the clock, each with its label and its length in seconds.
const STEPS: [(&str, u64); 5] = [
    ("+1 minute", 60),
    ("+299 s", 299),
    ("+30 minutes", 30 * 60),
    ("+29 days", 29 * 24 * 60 * 60),
    ("+30 days", 30 * 24 * 60 * 60),
];

pub(super) fn clock(state: &EmulatorState) -> Markup {
    let now = state.now();
    let is_frozen = state.config.frozen_clock;
    html! {
        section.panel #time tabindex="-1" aria-labelledby="time-title" {
            div.title {
                h2 #time-title { "Clock" }
                span class={ "status " (if is_frozen { "plain" } else { "good" }) } {
                    @if is_frozen { "frozen" } @else { "running" }
                }
            }
            p.clock { time #clock datetime=(timestamp(now)) data-now=(now.as_secs_f64()) data-frozen[is_frozen] { (date_and_time(now)) } " UTC" }
            div.buttons {
                @for (label, seconds) in STEPS {
                    button id={ "advance-" (seconds) } type="button" data-call="POST advance"
                        data-body=(json!({"seconds": seconds})) data-done={ "The clock moved: " (label) "." } { (label) }
                }
            }
            form.line #to-date {
                label for="date" { "Advance to (UTC)" }
                input #date type="datetime-local" step="1" required;
                button type="submit" { "Go" }
            }
            button.quiet #freeze type="button" data-call="PATCH config" data-body=(json!({"frozen_clock": !is_frozen}))
                data-done={ "The clock is " (if is_frozen { "running." } else { "frozen." }) } {
                @if is_frozen { "Let the clock run" } @else { "Freeze the clock" }
            }
            p.hint { "The clock never moves backwards. “Reset” sets it to the machine's time." }
        }
    }
}

/// The maximum number of open visits in the panel.
const VISITS: usize = 8;

pub(super) fn end_user(state: &EmulatorState) -> Markup {
    let is_open = |visit: &Visit<'_>| !matches!(visit.step, Step::Complete);
    let open: Vec<Visit<'_>> = visits(state).filter(is_open).take(VISITS).collect();
    let code =
        json!({"redirect_uri": state.config.outbound.redirect_uris.first().map_or(OUTBOUND_REDIRECT_URI, |uri| uri)});
    html! {
        section.panel #end-user tabindex="-1" aria-labelledby="end-user-title" {
            h2 #end-user-title { "Act as the end user" }
            @for visit in &open { (open_visit(visit)) }
            @if open.is_empty() {
                p.empty { "No open page. A visit appears here when your application sends an end user to a page." }
            }
            h3 { "On the next pages, the end user …" }
            (decision("Outbound", ("outbound", "end_user"), state.config.outbound.end_user))
            (decision("Connect OAuth", ("connect", "end_user"), state.config.connect.end_user))
            (decision("Pay", ("pay", "payer"), state.config.pay.payer))
            button.quiet #issue-code type="button" data-call="POST codes" data-body=(code)
                data-done="A new end user gave consent: the code is under “Tokens and consents”." {
                "Give consent without a page"
            }
            p.hint { "To revoke a consent at the bank, use the button of the consent." }
        }
    }
}

fn open_visit(visit: &Visit<'_>) -> Markup {
    let Visit { page, address, step } = visit;
    let title = match page {
        Page::Consent => "Outbound consent page",
        Page::Bank => "Bank login (Connect OAuth)",
        Page::Iframe => "Connect iframe",
        Page::Payment => "Payment page",
    };
    html! {
        article.visit {
            div.title { h3 { (title) } a href=(address) target="_blank" rel="noopener" { "Open the page" } }
            @match step {
                Step::Decide => div.buttons {
                    (act(address, "Agree", &[("decision", "agree")]))
                    (act(address, "Refuse", &[("decision", "refuse")]))
                },
                Step::Approve => div.buttons {
                    (act(address, "Approve", &[("decision", "approve")]))
                    (act(address, "Cancel", &[("decision", "cancel")]))
                },
                Step::ChooseBank(banks) => div.buttons {
                    @for (_, bank) in banks.iter() {
                        (act(address, &format!("Choose {}", bank.name.get_ref()), &[("institution", bank.name.get_ref())]))
                    }
                },
                Step::LogIn(bank) => div.buttons {
                    (log_in(address, "Log in", bank, |user| user.questions.is_empty()))
                    @if *page == Page::Iframe {
                        (log_in(address, "Log in with questions", bank, |user| !user.questions.is_empty()))
                    }
                    @if let Some(user) = bank.users.first() {
                        (act(address, "Wrong password", &[("username", user.username.get_ref()), ("password", "wrong")]))
                    }
                    (act(address, "Cancel", &[("cancel", "true")]))
                },
                Step::Answer(question) => {
                    p { (question.prompt) }
                    div.buttons {
                        (act(address, "Right answer", &[("answer", &question.answer)]))
                        (act(address, "Wrong answer", &[("answer", "wrong")]))
                    }
                },
                Step::Complete => {},
            }
        }
    }
}

/// Returns a button that logs in the first user at the bank who can log in and meets a condition.
/// Returns empty markup if there is no such user.
fn log_in(address: &str, label: &str, bank: &Bank, is_wanted: impl Fn(&User) -> bool) -> Markup {
    let user = bank.users.iter().find(|user| user.refusal.is_none() && is_wanted(user));
    html! {
        @if let Some(user) = user {
            (act(address, label, &[("username", user.username.get_ref()), ("password", &user.password)]))
        }
    }
}

/// Returns a button that submits a form to a page for end users.
fn act(address: &str, label: &str, fields: &[(&str, &str)]) -> Markup {
    let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    html! {
        button id={ (address) "-" (label) } type="button" data-page=(address) data-form=(form) data-done={ (label) ": sent." } { (label) }
    }
}

/// Returns the buttons that set the end user's decision on a page. The decision is a setting in a
/// section of the configuration.
fn decision(label: &str, (section, setting): (&str, &str), current: EndUser) -> Markup {
    let options = [(EndUser::Asked, "asked"), (EndUser::Agrees, "agrees"), (EndUser::Refuses, "refuses")];
    html! {
        div.decision role="group" aria-label={ "End user of " (label) } {
            span { (label) }
            div.choices {
            @for (value, text) in options {
                button.quiet.small id={ "end-user-" (section) "-" (text) } type="button" aria-pressed=(value == current)
                    data-call="PATCH config" data-body=(json!({(section): {(setting): value}}))
                    data-done={ (label) ": the end user " (if value == EndUser::Asked { "decides on a page" } else { text }) "." } {
                    @if value == EndUser::Asked { "decides" } @else { (text) }
                }
            }
            }
        }
    }
}

/// Returns the faults that can be scheduled with one click, each with its label and its JSON
/// object.
fn presets() -> [(&'static str, Value); 11] {
    let body = |error: &str| json!({"error": error}).to_string();
    [
        (
            "503, retry after 5 s",
            json!({"kind": "reply", "status": 503, "headers": [["retry-after", "5"]], "body": body("temporarily_unavailable")}),
        ),
        ("500", json!({"kind": "reply", "status": 500, "headers": [], "body": body("server_error")})),
        ("429", json!({"kind": "reply", "status": 429, "headers": [["retry-after", "1"]], "body": ""})),
        ("Reset before", json!({"kind": "reset", "when": "before"})),
        ("Lost reply", json!({"kind": "reset", "when": "after"})),
        ("Close after", json!({"kind": "drop", "when": "after"})),
        ("5 s delay", json!({"kind": "delay", "when": "before", "milliseconds": 5000})),
        ("Hold", json!({"kind": "hold", "when": "before"})),
        ("Half a body", json!({"kind": "half_body"})),
        ("Endless body", json!({"kind": "endless_body"})),
        ("Repeat a token", json!({"kind": "duplicate_token"})),
    ]
}

pub(super) fn faults(state: &EmulatorState) -> Markup {
    html! {
        section.panel #faults tabindex="-1" aria-labelledby="faults-title" {
            h2 #faults-title { "Faults" }
            div.fields {
                label for="fault-operation" { "Operation" }
                label for="fault-times" { "Times" }
                select #fault-operation {
                    @for operation in Operation::ALL { option value=(operation) { (operation) } }
                }
                select #fault-times { option { "1" } option { "2" } option { "3" } option { "10" } option value="always" { "always" } }
            }
            div.buttons {
                @for (label, fault) in presets() {
                    button.small id={ "fault-" (label) } type="button" data-fault=(fault) { (label) }
                }
            }
            (armed(state))
        }
    }
}

/// Returns the list of faults that are still scheduled. The list is updated separately, because
/// replacing the rest of the panel would discard the user's selections.
pub(super) fn armed(state: &EmulatorState) -> Markup {
    let faults: Vec<_> = state.faults.iter().collect();
    let plural = |remaining: u64| if remaining == 1 { "request" } else { "requests" };
    html! {
        div #armed {
            @if faults.is_empty() {
                p.empty { "No fault is armed." }
            } @else {
                ul.armed {
                    @for scheduled in &faults {
                        li {
                            code { (scheduled.operation) } " " span.fault { (describe(&scheduled.fault)) } " "
                            @match scheduled.remaining {
                                Some(remaining) => { strong { (remaining) } " more " (plural(remaining)) },
                                None => "every request",
                            }
                        }
                    }
                }
            }
            div.buttons {
                button.quiet.small #clear-faults type="button" data-call="DELETE faults" data-done="All faults were removed." { "Remove all" }
                button.quiet.small #release type="button" data-call="POST release" data-done="The held requests continue." { "Release held requests" }
            }
        }
    }
}

/// Describes a fault in a few words, such as `reset after`. The text of a scheduled response is
/// omitted, because it may contain a real token.
fn describe(fault: &Fault) -> String {
    let kind = fault.kind().replace('_', " ");
    match fault {
        Fault::Reply { status, .. } | Fault::Redirect { status, .. } => format!("{kind} {status}"),
        Fault::Delay { when, milliseconds } => format!("{kind} {milliseconds} ms {}", moment(*when)),
        Fault::Hold { when } | Fault::Drop { when } | Fault::Reset { when } => format!("{kind} {}", moment(*when)),
        Fault::SlowBytes { milliseconds } => format!("{kind}, {milliseconds} ms each"),
        Fault::HalfBody | Fault::Garbage { .. } | Fault::EndlessBody | Fault::DuplicateToken => kind,
    }
}

fn moment(when: When) -> &'static str {
    match when {
        When::Before => "before processing",
        When::After => "after processing",
    }
}
