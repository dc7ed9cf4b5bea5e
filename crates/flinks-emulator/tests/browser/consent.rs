//! Tests for Outbound's consent page (O10).

use std::sync::Arc;

use flinks_emulator::credentials::*;
use flinks_emulator::{Emulator, Kind, Operation};

use crate::driver::{Browser, ENTER};
use crate::parent::parent_page;

pub(crate) async fn back_and_reload_of_the_consent_page(browser: Arc<Browser>) {
    let emulator = Emulator::start().await.unwrap();
    let parent = parent_page(emulator.base_url().to_owned()).await;
    let codes = || emulator.issued().into_iter().filter(|issued| issued.kind == Kind::Code).count();
    let before = codes();
    browser.open(&consent_url(emulator.base_url(), &format!("{parent}/done"))).await;

    // No button is focused when the page loads, so a stray key press does not grant consent.
    browser.wait_for("button[value=agree]").await;
    assert_eq!(browser.script("return document.activeElement === document.body").await, true);
    browser.press(&[ENTER, " "]).await;
    assert_eq!(browser.text("h1").await, "Share your data?");
    assert_eq!(codes(), before);

    browser.refresh().await;
    assert_eq!(browser.text("h1").await, "Share your data?");
    assert_eq!(emulator.count(Operation::OutboundAuthorize), 1, "a reload must not start another visit");
    browser.click("button[value=agree]").await;
    browser.wait_until("return location.pathname === '/done'").await;
    let return_url = browser.script("return location.href").await;
    assert!(return_url.as_str().unwrap().contains("code="), "{return_url}");

    browser.assert_back_links_to(&return_url).await;
    assert_eq!(codes(), before + 1);

    // The next visit creates another code.
    browser.open(&consent_url(emulator.base_url(), &format!("{parent}/done"))).await;
    browser.click("button[value=agree]").await;
    browser.wait_until("return location.pathname === '/done'").await;
    let next = browser.script("return location.href").await;
    assert_ne!(next, return_url);
    assert_eq!(next.as_str().unwrap().matches("code=").count(), 1, "{next}");
    assert_eq!(codes(), before + 2);
}

pub(crate) fn consent_url(emulator: &str, redirect_uri: &str) -> String {
    let parameters = [
        ("client_id", OUTBOUND_CLIENT_ID),
        ("redirect_uri", redirect_uri),
        ("response_type", "code"),
        ("scope", "ACCOUNT_BASIC"),
        ("provider_id", OUTBOUND_PROVIDER_ID),
    ];
    let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
    format!("{emulator}/api/v1/authorize?{query}")
}
