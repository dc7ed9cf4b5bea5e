//! What a person sees. Plain HTML that works without a script, but for the events that a parent page listens to.

use std::str::FromStr;

use maud::{DOCTYPE, Markup, html};
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

/// What a page tells its parent, which hears it only if it is of the origin of `redirectUrl`.
#[derive(Default)]
pub(crate) struct Events {
    origin: String,
    steps: Vec<String>,
    institution: bool,
    /// Where the page then goes.
    url: Option<String>,
}

impl Events {
    pub(crate) fn to(landing: &Url) -> Self {
        Self { origin: landing.origin().ascii_serialization(), ..Self::default() }
    }

    pub(crate) fn step(mut self, step: &str) -> Self {
        self.steps.push(step.to_owned());
        self
    }

    pub(crate) fn with_institution(self) -> Self {
        Self { institution: true, ..self }
    }

    fn going_to(self, url: &Url) -> Self {
        Self { url: Some(url.as_str().to_owned()), ..self.step("REDIRECT").with_institution() }
    }
}

fn document(title: &str, events: &Events, content: Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                link rel="icon" href="data:,";
                link rel="stylesheet" href="/__pages/page.css";
                title { (title) " – Flinks emulator" }
                script defer src="/__pages/page.js" {}
            }
            body
                data-origin=[(!events.steps.is_empty()).then_some(&events.origin)]
                data-steps=[(!events.steps.is_empty()).then(|| events.steps.join(" "))]
                data-institution=[events.institution.then_some(BANK)]
                data-url=[events.url.as_deref()]
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

fn alert(problem: Option<&str>) -> Markup {
    html! { @if let Some(problem) = problem { p.alert role="alert" { (problem) } } }
}

/// Why a page cannot be shown.
pub(crate) fn refusal(title: &str, message: &str) -> Markup {
    document(title, &Events::default(), alert(Some(message)))
}

pub(crate) fn choose_bank(id: &str, events: &Events) -> Markup {
    document(
        "Choose your bank",
        events,
        html! {
            form method="post" action={ "/__pages/connect/" (id) } {
                button type="submit" name="institution" value=(BANK) autofocus { (BANK) }
            }
        },
    )
}

/// The login at the bank: on the page in the iframe, or on the bank's own page, where it can be cancelled.
pub(crate) fn log_in(action: &str, can_cancel: bool, problem: Option<&str>, events: &Events) -> Markup {
    document(
        &format!("Log in at {BANK}"),
        events,
        html! {
            (alert(problem))
            form method="post" action=(action) {
                label for="username" { "User name" }
                input #username name="username" autocomplete="off" autocapitalize="none" spellcheck="false" required autofocus;
                label for="password" { "Password" }
                input #password name="password" type="password" autocomplete="off" required;
                button type="submit" { "Log in" }
            }
            @if can_cancel {
                form method="post" action=(action) {
                    button.quiet type="submit" name="cancel" value="true" { "Cancel" }
                }
            }
            p.hint {
                "Try " code { (BANK_USER_NO_MFA) }
                @if !can_cancel { ", or " code { (BANK_USER) } " to be asked questions" }
                "; the password is " code { (BANK_PASSWORD) } "."
            }
        },
    )
}

pub(crate) fn ask(action: &str, question: &Question, problem: Option<&str>, events: &Events) -> Markup {
    document(
        &format!("{BANK} asks"),
        events,
        html! {
            (alert(problem))
            form method="post" action=(action) {
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
            }
            p.hint { "Born in Montreal, best country Canada, shape Triangle." }
        },
    )
}

/// The end of the page in the iframe: the parent is told, and the page goes to the landing URL.
pub(crate) fn connected(url: &Url, events: Events) -> Markup {
    let link = url.as_str();
    document("Your account is connected", &events.going_to(url), html! { p { a #continue href=(link) { "Continue" } } })
}

/// The consent page of Outbound.
pub(crate) fn consent(id: &str, client_id: &str, scopes: &[&str], return_to: &Url) -> Markup {
    let host = return_to.host_str().unwrap_or_default();
    document(
        "Share your data?",
        &Events::default(),
        html! {
            p { code { (client_id) } " asks " (BANK) " for:" }
            ul { @for scope in scopes { li { code { (scope) } } } }
            p { "You will go back to " code { (host) } "." }
            form method="post" action={ "/__pages/consent/" (id) } {
                button type="submit" name="decision" value="agree" autofocus { "Agree" }
                button.quiet type="submit" name="decision" value="refuse" { "Refuse" }
            }
        },
    )
}

/// Where a person is sent back to: an absolute `http` or `https` URL, of one of the origins if there are any.
pub(crate) fn landing(text: &str, origins: &[String]) -> Result<Url, &'static str> {
    let url = match Url::from_str(text) {
        // The brief's own example has no scheme (C5).
        Err(url::ParseError::RelativeUrlWithoutBase) if !text.starts_with(['/', '\\']) => {
            Url::from_str(&format!("https://{text}"))
        }
        parsed => parsed,
    };
    let url = url.map_err(|_| "is not an absolute URL")?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("must be http or https");
    }
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return Err("must not hold user information or a fragment");
    }
    let is_of = |origin: &String| Url::parse(origin).is_ok_and(|allowed| allowed.origin() == url.origin());
    if !origins.is_empty() && !origins.iter().any(is_of) {
        return Err("has an origin that is not whitelisted");
    }
    Ok(url)
}

/// The URL with these parameters added to its query.
pub(crate) fn with_parameters(mut url: Url, parameters: &[(&str, Option<&str>)]) -> Url {
    let given = parameters.iter().filter_map(|(name, value)| Some((name, (*value)?)));
    url.query_pairs_mut().extend_pairs(given);
    url
}
