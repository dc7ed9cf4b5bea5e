//! What a person sees. Plain HTML that works without a script, but for the events that a parent page listens to.

use maud::{DOCTYPE, Markup, html};
use serde_json::{Value, json};
use url::Url;

use crate::bank::Question;
use crate::credentials::{BANK, BANK_PASSWORD, BANK_USER, BANK_USER_NO_MFA};

/// Script and style come from here and from nowhere else.
pub(crate) const CONTENT_SECURITY_POLICY: &str =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; base-uri 'none'";

/// The files that the pages need: path, media type, text.
pub(crate) const ASSETS: [(&str, &str, &str); 2] = [
    ("/__pages/page.css", "text/css; charset=utf-8", include_str!("pages/page.css")),
    ("/__pages/page.js", "text/javascript; charset=utf-8", include_str!("pages/page.js")),
];

/// The events that a page sends to its parent, which receives them only if it is of the origin of `redirectUrl`.
pub(crate) struct Events {
    origin: String,
    events: Vec<Value>,
}

impl Events {
    pub(crate) fn to(return_url: &Url) -> Self {
        Self { origin: return_url.origin().ascii_serialization(), events: Vec::new() }
    }

    pub(crate) fn step(&mut self, step: &str) {
        self.events.push(json!({"step": step}));
    }

    pub(crate) fn step_with_institution(&mut self, step: &str) {
        self.events.push(json!({"step": step, "institution": BANK}));
    }

    pub(crate) fn redirect(&mut self, url: &Url) {
        self.events.push(json!({"step": "REDIRECT", "institution": BANK, "url": url.as_str()}));
    }

    /// The events that no page has sent yet. A page that is shown again sends none.
    pub(crate) fn take(&mut self) -> Self {
        Self { origin: self.origin.clone(), events: std::mem::take(&mut self.events) }
    }
}

/// The form of one step. It carries the name of its step, so that the form of an earlier step is recognized.
pub(crate) struct Form<'a> {
    pub(crate) action: &'a str,
    pub(crate) step: &'a str,
}

impl Form<'_> {
    fn with(&self, content: &Markup) -> Markup {
        html! {
            form method="post" action=(self.action) {
                input type="hidden" name="step" value=(self.step);
                (content)
            }
        }
    }
}

/// A page with everything around its content.
struct Document<'a> {
    title: &'a str,
    /// The address of the visit, if the page was opened at another one. The browser goes on there, so that Back and Reload
    /// show the visit and do not repeat the request that began it.
    address: Option<&'a str>,
    events: Option<&'a Events>,
    /// Where the page goes at once.
    url: Option<&'a Url>,
}

impl<'a> Document<'a> {
    fn new(title: &'a str) -> Self {
        Self { title, address: None, events: None, url: None }
    }

    fn with(self, content: &Markup) -> Markup {
        let Self { title, address, events, url } = self;
        let events = events.filter(|events| !events.events.is_empty());
        html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    link rel="icon" href="data:,";
                    link rel="stylesheet" href="/__pages/page.css";
                    title { (title) " – Flinks emulator" }
                    @if let Some(address) = address {
                        noscript { meta http-equiv="refresh" content={ "0; url=" (address) }; }
                    }
                    script defer src="/__pages/page.js" {}
                }
                body
                    data-address=[address]
                    data-origin=[events.map(|events| &events.origin)]
                    data-events=[events.map(|events| Value::from(events.events.clone()).to_string())]
                    data-url=[url.map(Url::as_str)]
                {
                    main {
                        p.mark { "Flinks emulator: nothing here is real" }
                        h1 { (title) }
                        (content)
                    }
                }
            }
        }
    }
}

fn alert(problem: Option<&str>) -> Markup {
    html! { @if let Some(problem) = problem { p.alert role="alert" { (problem) } } }
}

/// Why a page cannot be shown.
pub(crate) fn refusal(title: &str, message: &str) -> Markup {
    Document::new(title).with(&alert(Some(message)))
}

/// The page for an address whose visit is not known, or was forgotten.
pub(crate) fn unknown_visit() -> Markup {
    refusal("This page is unknown", "Start again.")
}

/// The page at the base URL.
pub(crate) fn start(content: &Markup) -> Markup {
    Document::new("A local Flinks").with(content)
}

/// The first step of the page in the iframe, which is opened at another address than the later ones.
pub(crate) fn choose_bank(form: &Form<'_>, address: Option<&str>, events: &Events) -> Markup {
    let button = html! { button type="submit" name="institution" value=(BANK) autofocus { (BANK) } };
    let document = Document { address, events: Some(events), ..Document::new("Choose your bank") };
    document.with(&form.with(&button))
}

/// The login at the bank in the iframe.
pub(crate) fn log_in(form: &Form<'_>, problem: Option<&str>, events: &Events) -> Markup {
    let title = format!("Log in at {BANK}");
    let document = Document { events: Some(events), ..Document::new(&title) };
    document.with(&html! {
        (alert(problem))
        (form.with(&login_fields()))
        p.hint {
            "Try " code { (BANK_USER_NO_MFA) } ", or " code { (BANK_USER) } " to be asked questions; the password is "
            code { (BANK_PASSWORD) } "."
        }
    })
}

/// The login on the bank's own page, where it can be cancelled.
pub(crate) fn log_in_or_cancel(form: &Form<'_>, problem: Option<&str>) -> Markup {
    let title = format!("Log in at {BANK}");
    let cancel = html! { button.quiet type="submit" name="cancel" value="true" { "Cancel" } };
    Document::new(&title).with(&html! {
        (alert(problem))
        (form.with(&login_fields()))
        (form.with(&cancel))
        p.hint { "Try " code { (BANK_USER_NO_MFA) } "; the password is " code { (BANK_PASSWORD) } "." }
    })
}

fn login_fields() -> Markup {
    html! {
        label for="username" { "User name" }
        input #username name="username" autocomplete="off" autocapitalize="none" spellcheck="false" required autofocus;
        label for="password" { "Password" }
        input #password name="password" type="password" autocomplete="off" required;
        button type="submit" { "Log in" }
    }
}

pub(crate) fn question(form: &Form<'_>, question: &Question, problem: Option<&str>, events: &Events) -> Markup {
    let fields = html! {
        @if question.choices.is_empty() {
            label for="answer" { (question.prompt) }
            input #answer name="answer" autocomplete="off" required autofocus;
        } @else {
            fieldset {
                legend { (question.prompt) }
                @for choice in question.choices {
                    label { input type="radio" name="answer" value=(choice) required; " " (choice) }
                }
            }
        }
        button type="submit" { "Answer" }
    };
    let title = format!("{BANK} asks");
    let document = Document { events: Some(events), ..Document::new(&title) };
    document.with(&html! {
        (alert(problem))
        (form.with(&fields))
        p.hint { "Born in Montreal, best country Canada, shape Triangle." }
    })
}

/// The end of the page in the iframe. When it is shown first, the parent receives the event, and
/// the page continues at the return URL. When it is shown again, it only links to it.
pub(crate) fn connected(return_url: &Url, events: &Events) -> Markup {
    let url = if events.events.is_empty() { None } else { Some(return_url) };
    let document = Document { events: Some(events), url, ..Document::new("Your account is connected") };
    document.with(&continue_to(return_url))
}

/// A visit that has ended, when it is shown again.
pub(crate) fn complete(return_url: &Url) -> Markup {
    Document::new("This is complete").with(&html! {
        p { "You have made your decision, and nothing repeats it." }
        (continue_to(return_url))
    })
}

fn continue_to(return_url: &Url) -> Markup {
    html! { p { a #continue href=(return_url.as_str()) { "Continue" } } }
}

/// The consent page of Outbound. Nothing that grants is focused, so that a stray key press does not grant.
pub(crate) fn consent(
    form: &Form<'_>,
    address: Option<&str>,
    client_id: &str,
    scopes: &[String],
    return_url: &Url,
) -> Markup {
    let host = return_url.host_str().unwrap_or_default();
    let buttons = html! {
        button type="submit" name="decision" value="agree" { "Agree" }
        button.quiet type="submit" name="decision" value="refuse" { "Refuse" }
    };
    let document = Document { address, ..Document::new("Share your data?") };
    document.with(&html! {
        p { code { (client_id) } " asks " (BANK) " for:" }
        ul { @for scope in scopes { li { code { (scope) } } } }
        p { "You will go back to " code { (host) } "." }
        (form.with(&buttons))
    })
}
