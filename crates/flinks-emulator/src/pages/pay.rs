//! The page on which a payer approves or cancels a payment.

use maud::{Markup, html};
use serde_json::json;

use super::{Document, Events, Form, Look};
use crate::bank::Bank;
use crate::state::PaymentStatus;

/// A payment as the payer sees it.
pub(crate) struct Payment<'a> {
    pub(crate) look: Look,
    /// The bank that the payer pays from.
    pub(crate) bank: Option<&'a Bank>,
    pub(crate) reference_id: &'a str,
    pub(crate) amount: String,
    pub(crate) status: PaymentStatus,
    pub(crate) is_first_visit: bool,
}

/// Returns the page for a payment. `action` is the address of its form.
pub(crate) fn payment(action: &str, payment: &Payment<'_>) -> Markup {
    let text = payment.look.text();
    let events = events(payment);
    let bank = payment.bank.map_or("", |bank| bank.name.get_ref());
    let buttons = html! {
        button type="submit" name="decision" value="approve" { (text.pay_approve.replace("{bank}", bank)) }
        button.quiet type="submit" name="decision" value="cancel" { (text.cancel) }
    };
    let form = Form { action, step: "decision" };
    let status = |message| html! { p.status role="status" { (message) } };
    let (title, step, end) = match payment.status {
        PaymentStatus::Initiated | PaymentStatus::Processing => (text.pay_title, 0, form.render(&buttons)),
        PaymentStatus::Accepted | PaymentStatus::Settled => (text.paid_title, 1, status(text.paid_lead)),
        PaymentStatus::Cancelled => (text.unpaid_title, 1, status(text.unpaid_lead)),
        PaymentStatus::Expired => (text.pay_expired_title, 1, status(text.pay_expired_lead)),
    };
    let document = Document {
        bank: payment.bank,
        progress: (&[text.step_pay, text.step_done], step),
        events: Some(&events),
        ..Document::new(payment.look, title)
    };
    let content = html! {
        dl.payment {
            dt { (text.pay_amount) }
            dd { (payment.amount) " CAD" }
            dt { (text.pay_reference) }
            dd { (payment.reference_id) }
        }
        (end)
    };
    document.render(&content, &html! {})
}

/// Returns the events for the parent page, with the names that Flinks documents.
///
/// No parameter of the page contains the parent page's origin, so parent pages from any origin
/// receive the events. The events contain no values.
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
