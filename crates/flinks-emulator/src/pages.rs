//! The HTML pages. They work without JavaScript, which is required only for sending events to a
//! parent page.
//!
//! | file | contents |
//! | --- | --- |
//! | `connect` | the steps of the iframe page, and the bank's login page |
//! | `consent` | Outbound's consent page |
//! | `pay` | the page on which a payer approves or cancels a payment |
//! | `notice` | pages without a form: a refusal, an unknown visit, and the start page |
//! | `text`, `french` | the text, and the parameters that select the language and the theme |

mod connect;
mod consent;
mod french;
mod notice;
mod pay;
mod text;

use maud::{DOCTYPE, Markup, html};
use serde_json::{Value, json};
use url::Url;

pub(crate) use self::connect::{
    LogIn, Questioned, cancelled, choose_bank, complete, connected, log_in, log_in_or_cancel, question,
};
pub(crate) use self::consent::{ConsentPage, consent};
pub(crate) use self::notice::{refusal, start, unknown_visit};
pub(crate) use self::pay::{Payment, payment};
pub(crate) use self::text::Look;

use self::text::Text;
use crate::bank::Bank;
use crate::config::EventTarget;

/// A content security policy that allows scripts and styles only from the emulator.
pub(crate) const CONTENT_SECURITY_POLICY: &str =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; base-uri 'none'";

/// The files that the pages load, each with its path, media type and content.
pub(crate) const ASSETS: [(&str, &str, &str); 2] = [
    ("/__pages/page.css", "text/css; charset=utf-8", include_str!("pages/page.css")),
    ("/__pages/page.js", "text/javascript; charset=utf-8", include_str!("pages/page.js")),
];

/// The events that a page sends to its parent page. The parent page receives them only if its
/// origin is `origin`, or if `origin` is `*`.
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

    pub(crate) fn step_with_institution(&mut self, step: &str, institution: &str) {
        self.events.push(json!({"step": step, "institution": institution}));
    }

    pub(crate) fn redirect(&mut self, institution: &str, url: &Url) {
        self.events.push(json!({"step": "REDIRECT", "institution": institution, "url": url.as_str()}));
    }

    /// Removes and returns the events that have not been sent yet. A page that is shown again sends
    /// no events.
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

    /// Returns a form that consists of a button. The button is not part of another form, so
    /// pressing Enter in a field never activates it.
    fn button(&self, name: &str, label: &str) -> Markup {
        self.render(&html! { button.quiet type="submit" name=(name) value="true" { (label) } })
    }
}

/// Everything on a page except its content.
struct Document<'a> {
    look: Look,
    title: &'a str,
    /// The bank whose name and colour the page shows, or `None` for the emulator's own pages.
    bank: Option<&'a Bank>,
    /// The names of the steps, and the index of the current step. Empty if the page is not part of
    /// a sequence.
    progress: (&'a [&'a str], usize),
    /// The address of the visit, if the page was opened at a different address. The browser then
    /// switches to the visit's address, so that the Back and Reload buttons show the visit without
    /// repeating the request that started it.
    address: Option<&'a str>,
    events: Option<&'a Events>,
    /// The URL that the browser navigates to immediately.
    url: Option<&'a Url>,
}

impl<'a> Document<'a> {
    fn new(look: Look, title: &'a str) -> Self {
        Self { look, title, bank: None, progress: (&[], 0), address: None, events: None, url: None }
    }

    fn text(&self) -> &'static Text {
        self.look.text()
    }

    /// Renders a card with the bank's name, the progress and the content, and renders `below` under
    /// the card.
    fn render(self, content: &Markup, below: &Markup) -> Markup {
        let text = self.text();
        let colour = self.bank.map_or("grey", |bank| bank.colour.class());
        let name = self.bank.map_or(text.emulator, |bank| bank.name.get_ref());
        let note = if self.bank.is_some() { text.fictitious } else { text.emulator };
        let title = self.title;
        let (steps, current) = self.progress;
        self.shell(&html! {
            main class={ "card " (colour) } {
                header.brand {
                    span.logo aria-hidden="true" { (name.chars().next().unwrap_or('B')) }
                    div {
                        p.name { (name) }
                        @if note != name { p.note { (note) } }
                    }
                }
                @if !steps.is_empty() {
                    ol.progress aria-label=(text.progress) {
                        @for (index, step) in steps.iter().enumerate() {
                            li class=[(index < current).then_some("past")]
                                aria-current=[(index == current).then_some("step")]
                            { span { (step) } }
                        }
                    }
                }
                div.content { h1 { (title) } (content) }
            }
            (below)
        })
    }

    fn shell(self, body: &Markup) -> Markup {
        let Self { look, title, address, events, url, .. } = self;
        let events = events.filter(|events| !events.events.is_empty());
        html! {
            (DOCTYPE)
            html lang=(look.language.tag()) data-theme=[look.theme.name()] {
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
                { (body) }
            }
        }
    }
}

fn alert(problem: Option<&str>) -> Markup {
    html! { @if let Some(problem) = problem { p.alert role="alert" { (problem) } } }
}

/// Returns the host and the port that the end user returns to.
fn host(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

fn return_line(text: &Text, url: &Url) -> Markup {
    html! { p.return { (text.return_to) " " strong { (host(url)) } } }
}

fn continue_to(label: &str, url: &Url) -> Markup {
    html! { p.actions { a.button #continue href=(url.as_str()) { (label) } } }
}
