//! The page on which a payer approves or cancels a payment.

use maud::{Markup, html};
use serde_json::json;

use super::{Document, Events, Form, refusal};
use crate::credentials::BANK;
use crate::state::PaymentStatus;

/// A payment as the payer sees it.
pub(crate) struct Payment<'a> {
    pub(crate) reference_id: &'a str,
    pub(crate) amount: String,
    pub(crate) status: PaymentStatus,
    pub(crate) is_first_visit: bool,
}

/// Returns the page for a payment. `action` is the address of its form.
pub(crate) fn payment(action: &str, payment: &Payment<'_>) -> Markup {
    let events = events(payment);
    let details = html! {
        dl {
            dt { "Amount" }
            dd { (payment.amount) " CAD" }
            dt { "Reference" }
            dd { (payment.reference_id) }
        }
    };
    let page = |title, message| {
        let document = Document { events: Some(&events), ..Document::new(title) };
        document.render(&html! { (details) p role="status" { (message) } })
    };
    match payment.status {
        PaymentStatus::Initiated | PaymentStatus::Processing => {
            let buttons = html! {
                button type="submit" name="decision" value="approve" { "Pay from " (BANK) }
                button.quiet type="submit" name="decision" value="cancel" { "Cancel" }
            };
            let form = Form { action, step: "decision" };
            let document = Document { events: Some(&events), ..Document::new("Approve the payment?") };
            document.render(&html! { (details) (form.render(&buttons)) })
        }
        PaymentStatus::Accepted | PaymentStatus::Settled => {
            page("Payment approved", "You have approved the payment. You can close this page.")
        }
        PaymentStatus::Cancelled => {
            page("Payment cancelled", "You have cancelled the payment. You can close this page.")
        }
        PaymentStatus::Expired => refusal("Payment expired", "The payment request has expired. Ask for a new one."),
    }
}

/// Returns the events for the parent page, with the names that Flinks documents.
///
/// No parameter of the page contains the parent page's origin, so every origin receives them. They
/// contain no values.
fn events(payment: &Payment<'_>) -> Events {
    let steps: &[&str] = match payment.status {
        PaymentStatus::Initiated | PaymentStatus::Processing if payment.is_first_visit => {
            &["APP_MOUNTED", "APP_INITIATED", "CONFIRMATION"]
        }
        PaymentStatus::Accepted => &["SUCCESS"],
        PaymentStatus::Cancelled => &["CLOSE"],
        _ => &[],
    };
    Events { origin: "*".to_owned(), events: steps.iter().map(|step| json!({"step": step})).collect() }
}
