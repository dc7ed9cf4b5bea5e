//! The tokens and consents, each with its history.

use std::collections::BTreeMap;
use std::time::Duration;

use maud::{Markup, html};

use super::layout::{date_and_time, visible};
use super::view::View;
use crate::ledger::{Issued, Kind, Usage};
use crate::redaction::kind_name;
use crate::state::EmulatorState;

/// The maximum number of tokens of each kind on the page.
const SHOWN: usize = 30;

const KINDS: [Kind; 5] = [Kind::SessionToken, Kind::AuthorizeToken, Kind::Code, Kind::RefreshToken, Kind::AccessToken];

pub(super) fn panel(state: &EmulatorState, view: &View) -> Markup {
    let newest = KINDS.map(|kind| state.ledger.newest_issued(kind).take(SHOWN).collect::<Vec<_>>());
    let is_cut = newest.iter().any(|tokens| tokens.len() == SHOWN);
    let mut consents = BTreeMap::<&str, Vec<&Issued>>::new();
    let mut others = Vec::new();
    for issued in newest.into_iter().flatten() {
        match &issued.subject {
            Some(subject) => consents.entry(subject).or_default().push(issued),
            None => others.push(issued),
        }
    }
    let mut consents: Vec<_> = consents.into_iter().collect();
    consents.sort_by_key(|(_, tokens)| {
        std::cmp::Reverse(tokens.iter().map(|issued| (issued.issued_at, issued.issued_by)).max())
    });
    others.sort_by_key(|issued| std::cmp::Reverse((issued.issued_at, issued.issued_by)));
    html! {
        section.panel #tokens tabindex="-1" aria-labelledby="tokens-title" {
            h2 #tokens-title { "Tokens and consents" }
            div.pair {
                div {
                    h3 { "Outbound consents" }
                    @for (subject, tokens) in &consents { (consent(state, view, subject, tokens)) }
                    @if consents.is_empty() { p.empty { "No consents yet." } }
                }
                div {
                    h3 { "Other tokens" }
                    ul.tokens { @for issued in &others { (line(state, view, issued)) } }
                    @if others.is_empty() { p.empty { "No other tokens yet. Pay, Connect and client credentials issue them." } }
                }
            }
            @if is_cut { p.hint { "The newest " (SHOWN) " tokens of each kind. " code { "GET /__emulator/tokens" } " returns all." } }
        }
    }
}

fn consent(state: &EmulatorState, view: &View, subject: &str, tokens: &[&Issued]) -> Markup {
    let now = state.now();
    let short = subject.get(..8).unwrap_or(subject);
    let is_revoked = tokens.iter().all(|issued| issued.revoked.is_some());
    let refresh_token = tokens.iter().find(|issued| issued.kind == Kind::RefreshToken && issued.is_valid(now));
    let (class, text) = match refresh_token {
        _ if is_revoked => ("bad", "revoked"),
        Some(_) => ("good", "active"),
        None if tokens.iter().any(|issued| issued.kind == Kind::RefreshToken) => ("plain", "ended"),
        None => ("plain", "not exchanged"),
    };
    html! {
        article.consent {
            div.title {
                h4 { "Consent " (short) }
                span class={ "status " (class) } { (text) }
                span.space {}
                @if !is_revoked {
                    button.quiet.small id={ "revoke-" (subject) } type="button" data-call="POST revoke"
                        data-body=(serde_json::json!({"subject": subject}))
                        data-done="The consent was revoked at the bank." { "Revoke at the bank" }
                }
            }
            ul.tokens { @for issued in tokens { (line(state, view, issued)) } }
        }
    }
}

fn line(state: &EmulatorState, view: &View, issued: &Issued) -> Markup {
    let now = state.now();
    let (class, text) = if issued.revoked.is_some() {
        ("bad", "revoked")
    } else if issued.spent.is_some() {
        ("plain", "spent")
    } else if issued.is_expired(now) {
        ("bad", "expired")
    } else {
        ("good", "valid")
    };
    html! {
        li {
            div.title {
                strong { (kind_name(issued.kind)) }
                span class={ "status " (class) } { (text) }
            }
            ol.steps {
                li { "issued " (at(issued.issued_at)) " " (by(view, issued.issued_by)) }
                @if let Some(spent) = issued.spent { (usage(view, "spent", spent)) }
                @if let Some(revoked) = issued.revoked { (usage(view, "revoked", revoked)) }
                @if issued.spent.is_some() || issued.revoked.is_some() {}
                @else if issued.is_expired(now) { li { "expired " (at(issued.expires_at)) } }
                @else { li { "expires " (at(issued.expires_at)) } }
            }
            @if view.is_revealed() { code.value { (visible(&issued.value, 400)) } }
        }
    }
}

fn usage(view: &View, verb: &str, Usage { at: when, by: number }: Usage) -> Markup {
    let number = (number != Usage::NO_REQUEST).then_some(number);
    html! { li { (verb) " " (at(when)) " " (by(view, number)) } }
}

fn by(view: &View, number: Option<u64>) -> Markup {
    html! {
        @match number {
            Some(number) => {
                a href=(view.with_before(None).address(&format!("/requests/{number}"))) { "by request " (number) }
            },
            None => "without a request",
        }
    }
}

fn at(time: Duration) -> Markup {
    html! { time { (date_and_time(time)) } }
}
