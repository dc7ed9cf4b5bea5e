//! The HTML pages, which work without JavaScript, except that sending events to a parent page
//! requires it.

mod pay;

use maud::{DOCTYPE, Markup, html};
use serde_json::{Value, json};
use url::Url;

pub(crate) use self::pay::{Payment, payment};
use crate::bank::Question;
use crate::config::EventTarget;
use crate::credentials::{BANK, BANK_PASSWORD, BANK_USER, BANK_USER_NO_MFA};

/// A content security policy that allows scripts and styles only from the emulator.
pub(crate) const CONTENT_SECURITY_POLICY: &str =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; base-uri 'none'";

/// The files that the pages load, each with its path, media type and content.
pub(crate) const ASSETS: [(&str, &str, &str); 2] = [
    ("/__pages/page.css", "text/css; charset=utf-8", include_str!("pages/page.css")),
    ("/__pages/page.js", "text/javascript; charset=utf-8", include_str!("pages/page.js")),
];

/// The events that a page sends to its parent page. The parent page receives them only if it has
/// the same origin as `redirectUrl`.
pub(crate) struct Events {
    origin: String,
    events: Vec<Value>,
}

impl Events {
    pub(crate) fn new(return_url: &Url, target: EventTarget) -> Self {
        let origin = match target {
            EventTarget::RedirectOrigin => return_url.origin().ascii_serialization(),
            EventTarget::Any => "*".to_owned(),
        };
        Self { origin, events: Vec::new() }
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

    /// Removes and returns the events that have not been sent yet. A page that is shown again sends
    /// none.
    pub(crate) fn take(&mut self) -> Self {
        Self { origin: self.origin.clone(), events: std::mem::take(&mut self.events) }
    }
}

/// The form for one step. It contains the name of the step, so that the emulator can recognize an
/// outdated form.
pub(crate) struct Form<'a> {
    pub(crate) action: &'a str,
    pub(crate) step: &'a str,
}

impl Form<'_> {
    fn render(&self, content: &Markup) -> Markup {
        html! {
            form method="post" action=(self.action) {
                input type="hidden" name="step" value=(self.step);
                (content)
            }
        }
    }
}

/// Everything on a page except its content.
struct Document<'a> {
    title: &'a str,
    /// The address of the visit, if the page was opened at another one. The browser switches to it,
    /// so that the Back and Reload buttons show the visit without repeating the request that
    /// started it.
    address: Option<&'a str>,
    events: Option<&'a Events>,
    /// The URL that the browser navigates to immediately.
    url: Option<&'a Url>,
}

impl<'a> Document<'a> {
    fn new(title: &'a str) -> Self {
        Self { title, address: None, events: None, url: None }
    }

    fn render(self, content: &Markup) -> Markup {
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
                        p.mark { "Flinks emulator, for testing only" }
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

/// A page with an error message.
pub(crate) fn refusal(title: &str, message: &str) -> Markup {
    Document::new(title).render(&alert(Some(message)))
}

/// The page for a visit that does not exist or was removed.
pub(crate) fn unknown_visit() -> Markup {
    refusal("Page not found", "This visit does not exist or is too old. Start again.")
}

/// The start page at the base URL.
pub(crate) fn start(content: &Markup) -> Markup {
    Document::new("Start page").render(content)
}

/// The first step of the iframe page. Its address differs from that of the later steps.
pub(crate) fn choose_bank(form: &Form<'_>, address: Option<&str>, events: &Events) -> Markup {
    let button = html! { button type="submit" name="institution" value=(BANK) autofocus { (BANK) } };
    let document = Document { address, events: Some(events), ..Document::new("Choose your bank") };
    document.render(&form.render(&button))
}

/// The bank login on the iframe page.
pub(crate) fn log_in(form: &Form<'_>, problem: Option<&str>, events: &Events) -> Markup {
    let title = format!("Log in to {BANK}");
    let document = Document { events: Some(events), ..Document::new(&title) };
    document.render(&html! {
        (alert(problem))
        (form.render(&login_fields()))
        p.hint {
            "Log in as " code { (BANK_USER_NO_MFA) } ", or as " code { (BANK_USER) } " to see security questions. "
            "The password is " code { (BANK_PASSWORD) } "."
        }
    })
}

/// The login form on the bank's own page. The end user can cancel this login.
pub(crate) fn log_in_or_cancel(form: &Form<'_>, problem: Option<&str>) -> Markup {
    let title = format!("Log in to {BANK}");
    let cancel = html! { button.quiet type="submit" name="cancel" value="true" { "Cancel" } };
    Document::new(&title).render(&html! {
        (alert(problem))
        (form.render(&login_fields()))
        (form.render(&cancel))
        p.hint { "Log in as " code { (BANK_USER_NO_MFA) } ". The password is " code { (BANK_PASSWORD) } "." }
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
    let title = format!("Security question from {BANK}");
    let document = Document { events: Some(events), ..Document::new(&title) };
    document.render(&html! {
        (alert(problem))
        (form.render(&fields))
        p.hint { "The answers to the three questions are Montreal, Canada and Triangle." }
    })
}

/// The last step of the iframe page. When it is shown for the first time, it sends the remaining
/// events to the parent page, and the browser navigates to the return URL. When it is shown again,
/// it only links to the return URL.
pub(crate) fn connected(return_url: &Url, events: &Events) -> Markup {
    let url = if events.events.is_empty() { None } else { Some(return_url) };
    let document = Document { events: Some(events), url, ..Document::new("Your account is connected") };
    document.render(&continue_to(return_url))
}

/// The page for a completed visit.
pub(crate) fn complete(return_url: &Url) -> Markup {
    Document::new("Already completed").render(&html! {
        p { "You have already completed this step. Use the link to return to the application." }
        (continue_to(return_url))
    })
}

fn continue_to(return_url: &Url) -> Markup {
    html! { p { a #continue href=(return_url.as_str()) { "Continue" } } }
}

/// Outbound's consent page. The button that grants consent is not focused, so a stray key press
/// does not grant it.
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
    document.render(&html! {
        p { code { (client_id) } " asks for access to this data at " (BANK) ":" }
        ul { @for scope in scopes { li { code { (scope) } } } }
        p { "Afterwards, you will return to " code { (host) } "." }
        (form.render(&buttons))
    })
}
