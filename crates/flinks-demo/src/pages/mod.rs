//! The HTML of the pages. All of them work without JavaScript, with two exceptions: the widget's
//! landing page cannot pass its query to the next page, and the token list is not updated
//! automatically.

mod tokens;

use axum::Router;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::routing::get;
use flinks_consents::flinks::Advice;
use flinks_consents::flinks::connect::WidgetUrl;
use flinks_consents::{ConsentStanding, ConsentStatus};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde_json::Value;

use crate::emulated::Emulated;

pub(crate) use self::tokens::tokens;

/// Returns the routes for the style sheet and the script.
pub(crate) fn assets<S: Clone + Send + Sync + 'static>() -> Router<S> {
    const STYLE: &str = include_str!("style.css");
    const SCRIPT: &str = include_str!("script.js");
    let asset = |media_type, text| ([(CONTENT_TYPE, media_type), (CACHE_CONTROL, "max-age=3600")], text);
    Router::new()
        .route("/style.css", get(async move || asset("text/css; charset=utf-8", STYLE)))
        .route("/script.js", get(async move || asset("text/javascript; charset=utf-8", SCRIPT)))
}

fn document(title: &str, content: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                link rel="icon" href="data:,";
                link rel="stylesheet" href="/style.css";
                title { (title) " – Maple Money" }
                script defer src="/script.js" {}
            }
            body {
                header { a.brand href="/" { "Maple Money" } span { "A demo of the Flinks SDK for Rust" } }
                main { (content) }
            }
        }
    }
}

/// Renders the overview page, which shows the available actions and the user's logins and consents.
pub(crate) fn overview(logins: usize, consents: &[ConsentStatus], emulated: Option<&Emulated>) -> Markup {
    let content = html! {
        h1 { "Your banks in one place" }
        p.lead { "Three ways to reach a bank account with Flinks. Try each one, and watch its tokens being issued, spent and revoked." }
        div.cards {
            article {
                p.product { "Flinks Pay" }
                h2 { "Pay a bill" }
                p { "A session token starts one payment. It can be used once, within 299 seconds." }
                a.button href="/payments" { "Pay" }
            }
            article {
                p.product { "Flinks Connect" }
                h2 { "Connect a bank" }
                p { "You log in to your bank on Flinks' own page. An authorize token opens that page once." }
                @if logins > 0 { p.done { "Connected logins: " (logins) } }
                a.button href="/banks/connect" { "Connect" }
            }
            article {
                p.product { "Flinks Outbound" }
                h2 { "Share your data" }
                p { "You agree once. From then on, the application uses a refresh token to get new access tokens." }
                form method="post" action="/consents/1000" { button #consent { "Give consent" } }
            }
        }
        @if !consents.is_empty() {
            h2 { "Your consents" }
            ul.consents { @for consent in consents { li { (consent_row(consent)) } } }
        }
        @if let Some(emulated) = emulated { (tokens::panel(emulated)) }
    };
    document("Overview", &content)
}

fn consent_row(consent: &ConsentStatus) -> Markup {
    let bank = consent.label.as_deref().unwrap_or_default();
    let standing = match consent.standing {
        ConsentStanding::Active => "active",
        ConsentStanding::Suspected { .. } => "suspected",
        _ => "ended",
    };
    html! {
        strong { "Bank " (bank) } " " span.standing.(standing) { (standing) }
        div.actions {
            a.button href={ "/consents/" (bank) "/accounts" } { "Show accounts" }
            form method="post" action={ "/consents/" (bank) "/revoke" } { button.quiet { "Revoke" } }
        }
    }
}

/// Renders the form for a new payment.
pub(crate) fn new_payment(reference: &str) -> Markup {
    let content = html! {
        h1 { "Pay a bill" }
        form.fields method="post" action="/payments" {
            input type="hidden" name="reference" value=(reference);
            label for="cents" { "Amount in cents" }
            input #cents name="cents" type="number" min="1" value="1050" required;
            label for="name" { "Your name" }
            input #name name="name" autocomplete="name" value="Ada Lovelace" required;
            label for="email" { "Your email address" }
            input #email name="email" type="email" autocomplete="email" value="ada@example.com" required;
            button { "Start the payment" }
        }
    };
    document("Pay a bill", &content)
}

// ANCHOR: pages
/// Renders the page that is shown after a payment session has started.
pub(crate) fn payment_started(reference: &str, url: &str) -> Markup {
    let content = html! {
        h1 { "Your payment has started" }
        p { "The session token is spent. The payment has the reference " code { (reference) } "." }
        p { "Flinks Pay shows the payment at this address after the application has created a payment request:" }
        p { code.url { (url) } }
        a.button href="/" { "Back to the overview" }
    };
    document("Payment started", &content)
}

/// Renders the page with the widget.
pub(crate) fn widget(url: &WidgetUrl) -> Markup {
    let content = html! {
        h1 { "Connect a bank" }
        iframe src=(PreEscaped(url.to_html_attribute())) title="Log in to your bank" width="100%" height="640" {}
        p { a href="/" { "Cancel" } }
    };
    document("Connect a bank", &content)
}

/// Renders the widget's landing page, which the browser shows in the iframe. The link on the
/// landing page opens the next page, with the same query, in the top-level window instead of the
/// iframe. The browser then sends the session cookie, which it might not do in an iframe.
pub(crate) fn landing() -> Markup {
    document("Connecting", &html! { p { a #finish href="/banks/finish" target="_top" { "Continue" } } })
}

/// Renders the accounts at one bank.
pub(crate) fn accounts(bank: &str, accounts: &Value) -> Markup {
    let accounts = accounts["accounts"].as_array().map(Vec::as_slice).unwrap_or_default();
    let text = |account: &Value, field: &str| account[field].as_str().unwrap_or_default().to_owned();
    let content = html! {
        h1 { "Accounts at bank " (bank) }
        div.scroll tabindex="0" role="region" aria-label="Accounts" {
            table {
                thead { tr { th { "Type" } th { "Number" } th { "Status" } th.number { "Balance" } } }
                tbody {
                    @for account in accounts.iter().map(|account| &account["depositAccount"]) {
                        tr {
                            td { (text(account, "accountType")) }
                            td { "•••• " (text(account, "accountNumberDisplay")) }
                            td { (text(account, "status")) }
                            td.number { (format!("{:.2}", account["currentBalance"].as_f64().unwrap_or_default())) " CAD" }
                        }
                    }
                }
            }
        }
        a.button href="/" { "Back to the overview" }
    };
    document("Accounts", &content)
}

/// Renders a page that shows an error and what the user can do about it.
pub(crate) fn failure(text: &str) -> Markup {
    let content = html! {
        h1 { "That did not work" }
        p role="alert" { (text) }
        a.button href="/" { "Back to the overview" }
    };
    document("Error", &content)
}

/// Returns a message that explains what the user can do after an error.
pub(crate) fn text(advice: Advice) -> &'static str {
    match advice {
        Advice::FixInput => "Please correct your input.",
        Advice::AskUser | Advice::StartOver | Advice::WaitOrStartOver => "Please connect your bank again.",
        Advice::RetryLater | Advice::NewToken => "Please try again later.",
        _ => "Something went wrong on our side.",
    }
}
// ANCHOR_END: pages
