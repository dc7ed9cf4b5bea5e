//! The HTML document around each page, and the rendering of redacted text.

use std::time::Duration;

use maud::{DOCTYPE, Markup, html};

use super::view::View;
use super::{PATH, control_path};
use crate::record::timestamp;
use crate::redaction::{Piece, Reveal};

fn document(title: &str, events: Option<&str>, content: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                link rel="icon" href={ (PATH) "/icon.svg" };
                link rel="stylesheet" href={ (PATH) "/style.css" };
                title { (title) " – Flinks emulator" }
                script defer src={ (PATH) "/script.js" } {}
            }
            body data-events=[events] data-control=(control_path("")) { (content) }
        }
    }
}

/// Returns the page with all panels.
pub(super) fn home(view: &View, base_url: &str, content: &Markup) -> Markup {
    let other = if view.is_revealed() { Reveal::Names } else { Reveal::Values };
    document(
        "Dashboard",
        Some(&view.address("/events")),
        &html! {
            a.skip href="#requests" { "Skip to the requests" }
            header.top {
                a.brand href=(PATH) { "Flinks emulator" }
                span.live #live role="status" { "Not live" }
                code.base #base-url { (base_url) }
                button.quiet type="button" data-copy="base-url" { "Copy" }
                span.space {}
                a.button.quiet #reveal href=(view.with_reveal(other).address("")) {
                    @if view.is_revealed() { "Hide values" } @else { "Reveal values" }
                }
                button.quiet #reset type="button" data-call="POST reset" data-done="The emulator was reset."
                    data-confirm="Remove all requests, tokens, visits and faults?" { "Reset" }
            }
            nav aria-label="Sections" {
                a href="#requests" { "Requests" }
                a href="#tokens" { "Tokens" }
                a href="#time" { "Clock" }
                a href="#end-user" { "End user" }
                a href="#faults" { "Faults" }
                a href="#try" { "Try it" }
            }
            main {
                h1.unseen { "Dashboard" }
                noscript { p.notice { "Without JavaScript, this page does not update itself, and its buttons do nothing." } }
                (content)
            }
            p.toast #message role="status" aria-live="polite" {}
        },
    )
}

/// Returns the page for one request.
pub(super) fn subpage(title: &str, back: &str, content: &Markup) -> Markup {
    document(
        title,
        None,
        &html! {
            header.top { a.brand href=(back) { "Flinks emulator" } }
            main { p { a.back href=(back) { "← All requests" } } h1 { (title) } (content) }
            p.toast #message role="status" aria-live="polite" {}
        },
    )
}

pub(super) fn message(title: &str, message: &str) -> Markup {
    document(
        title,
        None,
        &html! {
            header.top { a.brand href=(PATH) { "Flinks emulator" } }
            main.narrow { h1 { (title) } p { (message) } }
        },
    )
}

/// Returns the page for a browser that is on another machine and has not sent the access token yet.
/// The page's script reads the token from the fragment of the address.
pub(super) fn sign_in() -> Markup {
    document(
        "Sign in",
        None,
        &html! {
            header.top { span.brand { "Flinks emulator" } }
            main.narrow {
                h1 { "Sign in" }
                p { "This browser is not on the machine that runs the emulator. Open the dashboard's address with the \
                     token that the emulator printed at startup, or enter the token." }
                form #sign-in data-session={ (PATH) "/session" } {
                    label for="token" { "Access token" }
                    input #token type="password" autocomplete="off" required;
                    button type="submit" { "Sign in" }
                }
                p.toast #message role="alert" {}
            }
        },
    )
}

/// The maximum length of a piece of text on a page, in characters.
const MAX_SHOWN: usize = 2000;

/// Renders pieces of redacted text, each truncated after `limit` characters.
fn pieces_up_to(pieces: &[Piece], reveal: Reveal, limit: usize) -> Markup {
    html! {
        @for piece in pieces {
            @match (piece, reveal) {
                (Piece::Text(text), _) => (visible(text, limit)),
                (Piece::Known { value, label }, Reveal::Values) => {
                    mark.known title=(label) { (visible(value, limit)) }
                },
                (Piece::Known { label, .. }, Reveal::Names) => mark.known { (label) },
                (Piece::Hidden(marker), _) => span.hidden { (marker) },
            }
        }
    }
}

pub(super) fn pieces(pieces: &[Piece], reveal: Reveal) -> Markup {
    pieces_up_to(pieces, reveal, MAX_SHOWN)
}

/// Renders pieces on one line in a list.
pub(super) fn short_pieces(pieces: &[Piece], reveal: Reveal) -> Markup {
    pieces_up_to(pieces, reveal, 80)
}

/// Makes control characters and direction marks visible, and truncates the text after `limit`
/// characters.
pub(super) fn visible(text: &str, limit: usize) -> String {
    let mut shown = String::new();
    let mut characters = text.chars();
    for character in characters.by_ref().take(limit) {
        let is_direction_mark = matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
        if (character.is_control() && !matches!(character, '\n' | '\t')) || is_direction_mark {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    let rest = characters.count();
    if rest > 0 {
        shown.push_str(&format!("… ({rest} more characters)"));
    }
    shown
}

/// Renders a time on the emulator's clock in UTC: the time of day, with the date and time as a
/// tooltip.
pub(super) fn time_of_day(at: Duration) -> Markup {
    let full = timestamp(at);
    let time = full.get(11..19).unwrap_or(&full);
    html! { time datetime=(full) title=(date_and_time(at)) { (time) } }
}

/// Formats a time on the emulator's clock as `2026-01-31 12:00:00`.
pub(super) fn date_and_time(at: Duration) -> String {
    timestamp(at).get(..19).unwrap_or_default().replace('T', " ")
}
