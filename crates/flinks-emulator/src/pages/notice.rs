//! The pages without a form: a refusal, an unknown visit, and the emulator's start page.

use maud::{Markup, html};

use super::{Document, Look};

/// Returns a page with an error message for a developer and advice for the end user.
pub(crate) fn refusal(look: Look, message: &str) -> Markup {
    let text = look.text();
    let content = html! {
        p { (text.refused_lead) }
        (next_steps(look))
        h2 { (text.next_developer) }
        p.status role="alert" lang="en" { (message) }
    };
    Document::new(look, text.refused_title).render(&content, &html! {})
}

/// Returns the page for a visit that is no longer stored or never existed.
pub(crate) fn unknown_visit(look: Look) -> Markup {
    let text = look.text();
    let content = html! {
        p role="alert" { (text.unknown_lead) }
        (next_steps(look))
    };
    Document::new(look, text.unknown_title).render(&content, &html! {})
}

fn next_steps(look: Look) -> Markup {
    let text = look.text();
    html! {
        h2 { (text.next_title) }
        ol.next { li { (text.next_application) } li { (text.next_window) } }
    }
}

/// Returns the start page of the emulator.
pub(crate) fn start(content: &Markup) -> Markup {
    let document = Document::new(Look::default(), "Flinks emulator");
    document.shell(&html! {
        main.card.wide.grey { div.content { h1 { "Flinks emulator" } (content) } }
    })
}
