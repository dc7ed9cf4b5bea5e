//! The tokens that the emulator has issued, and the buttons that advance its clock.

use std::time::Duration;

use flinks_emulator::{Issued, Kind};
use maud::{Markup, html};

use crate::emulated::Emulated;

/// The number of seconds by which each button advances the clock, and the button's label.
const STEPS: [(u64, &str); 5] = [
    (60, "+1 minute"),
    (299, "+299 seconds"),
    (30 * 60, "+30 minutes"),
    (29 * 24 * 60 * 60, "+29 days"),
    (30 * 24 * 60 * 60, "+30 days"),
];

/// Renders the part of the overview page that shows the tokens and the buttons.
pub(super) fn panel(emulated: &Emulated) -> Markup {
    html! {
        div.panel {
            h2 { "Tokens" }
            p { "The 20 tokens that the emulator issued most recently, newest first. Advance the clock and watch them expire." }
            form.steps method="post" action="/time" {
                @for (seconds, text) in STEPS { button.quiet name="seconds" value=(seconds) { (text) } }
            }
            div #tokens.scroll tabindex="0" role="region" aria-label="List of tokens" { (tokens(emulated)) }
        }
    }
}

/// Renders the table of tokens, which the script reloads every second.
pub(crate) fn tokens(emulated: &Emulated) -> Markup {
    const SHOWN: usize = 20;
    let now = emulated.emulator.now();
    let mut tokens = emulated.emulator.issued();
    tokens.sort_by_key(|token| std::cmp::Reverse(token.issued_at));
    html! {
        table {
            thead { tr { th { "Kind" } th { "Product" } th { "Token" } th { "State" } th { "Lifetime" } } }
            tbody { @for token in tokens.iter().take(SHOWN) { (row(token, now)) } }
        }
    }
}

fn row(token: &Issued, now: Duration) -> Markup {
    let (kind, product) = match token.kind {
        Kind::SessionToken => ("session token", "Pay"),
        Kind::AuthorizeToken => ("authorize token", "Connect"),
        Kind::Code => ("authorization code", "Outbound"),
        Kind::AccessToken => ("access token", "Outbound"),
        Kind::RefreshToken => ("refresh token", "Outbound"),
        _ => ("token", ""),
    };
    let remaining = token.expires_at.saturating_sub(now);
    let lifetime = token.expires_at.saturating_sub(token.issued_at);
    let state = if token.revoked.is_some() {
        "revoked"
    } else if token.spent.is_some() {
        "spent"
    } else if remaining.is_zero() {
        "expired"
    } else {
        "valid"
    };
    let end: String = token.value.chars().rev().take(4).collect::<Vec<_>>().into_iter().rev().collect();
    html! {
        tr.(state) {
            td { (kind) }
            td { (product) }
            td { code { "…" (end) } }
            td { span.state { (state) } }
            td {
                @if state == "valid" {
                    progress aria-label="Remaining lifetime" max=(lifetime.as_secs()) value=(remaining.as_secs()) {}
                    " " (duration(remaining)) " left"
                }
            }
        }
    }
}

/// Formats a duration in at most two units, such as `4 min 59 s`.
fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {} s", seconds % 60),
        (0, _, _) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_has_at_most_two_units() {
        for (seconds, text) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min 0 s"),
            (299, "4 min 59 s"),
            (3600, "1 h 0 min"),
            (86_399, "23 h 59 min"),
            (30 * 86_400, "30 d 0 h"),
        ] {
            assert_eq!(duration(Duration::from_secs(seconds)), text);
        }
    }
}
