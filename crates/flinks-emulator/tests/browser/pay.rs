//! Tests for Pay's application, in which the payer approves a payment (P8).

use std::sync::Arc;

use flinks_emulator::credentials::*;
use flinks_emulator::{Emulator, Operation};
use serde_json::{Value, json};

use crate::driver::Browser;

/// Starts a session with a payment request and returns the payer's address.
async fn payment_link(emulator: &Emulator) -> String {
    let url = emulator.base_url();
    // This call returns an error if another test has already installed the provider.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let form = [("grant_type", "client_credentials"), ("Username", PAY_USERNAME), ("Password", PAY_PASSWORD)];
    let text = |reply: Value, field: &str| reply[field].as_str().unwrap().to_owned();
    let authorized = http.post(format!("{url}/api/v1/authorize")).form(&form).send().await.unwrap();
    let token = text(authorized.json().await.unwrap(), "access_token");
    let post = |path: &str, body: Value| http.post(format!("{url}{path}")).bearer_auth(&token).json(&body).send();
    let session =
        json!({"referenceId": "<b>r-1</b>", "amount": 10.5, "customerName": "A", "customerEmail": "a@b.example"});
    let started = post("/api/v1/sessions/initiate", session).await.unwrap();
    let session_id = text(started.json().await.unwrap(), "sessionId");
    post("/api/v1/paymentrequests", json!({"sessionId": session_id})).await.unwrap();
    format!("{url}/app/?sessionId={session_id}")
}

pub(crate) async fn back_and_reload_of_the_payment_page(browser: Arc<Browser>) {
    let emulator = Emulator::start().await.unwrap();
    let link = payment_link(&emulator).await;
    browser.open(&link).await;
    browser.wait_for("button[value=approve]").await;
    assert!(browser.text("main").await.contains("<b>r-1</b>"), "a value of the client is shown as text");
    browser.refresh().await;
    assert_eq!(browser.text("h1").await, "Approve the payment?");

    // A double click sends the decision twice.
    let twice = "const button = document.querySelector('button[value=approve]'); button.click(); button.click();";
    browser.script(twice).await;
    browser.wait_until("return document.querySelector('h1')?.textContent === 'Payment approved'").await;
    browser.refresh().await;
    assert_eq!(browser.text("h1").await, "Payment approved");
    browser.script("history.back()").await;
    browser.wait_until("return document.querySelector('h1')?.textContent === 'Payment approved'").await;
    assert_eq!(browser.script("return document.querySelector('form')").await, Value::Null);
    assert!(emulator.count(Operation::PayAppStep) >= 1);

    let link = payment_link(&emulator).await;
    browser.open(&link).await;
    browser.click("button[value=cancel]").await;
    browser.wait_until("return document.querySelector('h1')?.textContent === 'Payment cancelled'").await;
}
