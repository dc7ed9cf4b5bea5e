//! Tests for Connect's iframe page with a parent page on another origin (C5), and for the bank's
//! page (C7).

use std::sync::Arc;

use flinks_emulator::credentials::*;
use flinks_emulator::{Emulator, Kind, Operation};
use reqwest::Client;
use serde_json::json;

use crate::driver::{Browser, ENTER, TAB};
use crate::parent::parent_page;

pub(crate) async fn a_person_connects_an_account(browser: Arc<Browser>) {
    let emulator = Emulator::start().await.unwrap();
    let parent = parent_page(emulator.base_url().to_owned()).await;

    let token = authorize_token(&browser.http, &emulator).await;
    browser.open(&format!("{parent}/?token={token}")).await;
    browser.frame("iframe").await;

    // The steps up to the wrong password use only the keyboard. The later steps use the mouse.
    browser.wait_for("button").await;
    browser.press(&[TAB, ENTER]).await;
    browser.wait_for("#username").await;
    assert_eq!(browser.text("h1").await, "Log in to FlinksCapital");
    browser.press(&[TAB, BANK_USER_NO_MFA, TAB, "wrong", ENTER]).await;
    browser.wait_for("[role=alert]").await;
    browser.type_into("#username", BANK_USER).await;
    browser.type_into("#password", BANK_PASSWORD).await;
    browser.click("button").await;
    for answer in ["Montreal", "Canada"] {
        browser.wait_for("#answer").await;
        browser.type_into("#answer", &format!("{answer}{ENTER}")).await;
        // The next question is on a new page with an empty field or with choices.
        browser.wait_until("return !document.querySelector('#answer')?.value").await;
        browser.wait_until("return document.readyState === 'complete'").await;
    }
    browser.wait_for("input[value=Triangle]").await;
    browser.click("input[value=Triangle]").await;
    browser.click("button").await;

    // The iframe is redirected to `redirectUrl` on the parent's origin. The parent page has
    // received an event for each step.
    browser.wait_until("return location.pathname === '/done'").await;
    let landed = browser.script("return location.href").await;
    let landed = url::Url::parse(landed.as_str().unwrap()).unwrap();
    let parameters: Vec<(String, String)> = landed.query_pairs().into_owned().collect();
    assert_eq!(parameters[0].0, "loginId");
    assert_eq!(parameters[1].1, BANK);
    browser.parent().await;
    let events = browser.script("return events").await;
    let steps: Vec<&str> =
        events.as_array().unwrap().iter().map(|event| event["data"]["step"].as_str().unwrap()).collect();
    assert_eq!(steps, ["APP_MOUNTED", "INSTITUTION_SELECTED", "INVALID_PASSWORD", "REDIRECT"]);
    let redirect = &events[3];
    assert_eq!(redirect["data"], json!({"step": "REDIRECT", "institution": BANK, "url": landed.as_str()}));
    assert_eq!(redirect["origin"], emulator.base_url());

    // The request that showed the iframe page has spent the token. The new login is valid.
    let shown = emulator.requests_of(Operation::ConnectIframe);
    let spent = emulator.find(&token).unwrap().spent.unwrap();
    assert_eq!(shown.len(), 1);
    assert_eq!(spent.by, shown[0].number);
    let fresh = authorize_token(&browser.http, &emulator).await;
    let url = format!("{}/v3/{CONNECT_CUSTOMER_ID}/BankingServices/Authorize", emulator.base_url());
    let by_login = json!({"LoginId": parameters[0].1, "MostRecentCached": true});
    let response = browser.http.post(url).header("flinks-auth-key", &fresh).json(&by_login).send().await.unwrap();
    assert_eq!(response.status(), 200);

    // A second page load with the same token is refused, and the parent page receives no event.
    browser.open(&format!("{parent}/?token={token}")).await;
    browser.frame("iframe").await;
    browser.wait_for("[role=alert]").await;
    assert!(browser.text("[role=alert]").await.contains("valid authorize token"));
    browser.assert_parent_received_no_event().await;

    // A parent page whose origin is not that of `redirectUrl` receives no event, even if the token
    // is valid.
    let other = parent.replace("127.0.0.1", "localhost");
    let valid = authorize_token(&browser.http, &emulator).await;
    browser.open(&format!("{other}/?token={valid}&returnUrl={parent}/done")).await;
    browser.frame("iframe").await;
    browser.wait_for("button").await;
    browser.assert_parent_received_no_event().await;

    // The page fits the width of a phone screen.
    browser.resize(360, 640).await;
    let phone = authorize_token(&browser.http, &emulator).await;
    browser.open(&format!("{}/v2/?authorizeToken={phone}&redirectUrl={parent}/done", emulator.base_url())).await;
    let fits = "return document.documentElement.scrollWidth <= document.documentElement.clientWidth";
    assert_eq!(browser.script(fits).await, true);
}

pub(crate) async fn back_and_reload_in_the_iframe(browser: Arc<Browser>) {
    let emulator = Emulator::start().await.unwrap();
    let parent = parent_page(emulator.base_url().to_owned()).await;
    let token = authorize_token(&browser.http, &emulator).await;
    browser.open(&format!("{parent}/?token={token}")).await;
    browser.frame("iframe").await;

    browser.wait_for("button[name=institution]").await;
    browser.in_frame("location.reload()").await;
    browser.click("button[name=institution]").await;
    browser.wait_for("#username").await;
    browser.in_frame("location.reload()").await;
    browser.type_into("#username", BANK_USER).await;
    browser.type_into("#password", "wrong").await;
    browser.click("button").await;
    browser.wait_for("[role=alert]").await;
    // Reloading the page with the error message does not send the password again.
    browser.in_frame("location.reload()").await;
    browser.wait_for("[role=alert]").await;
    browser.type_into("#username", BANK_USER).await;
    browser.type_into("#password", BANK_PASSWORD).await;
    browser.click("button").await;
    browser.wait_for("#answer").await;
    // Back shows the current step, because the password was accepted.
    browser.in_frame("history.back()").await;
    browser.wait_for("#answer").await;
    assert_eq!(browser.text("label").await, "What city were you born in?");
    browser.type_into("#answer", &format!("Montreal{ENTER}")).await;
    browser.wait_until("return document.querySelector('label')?.innerText === 'What is the best country?'").await;
    browser.type_into("#answer", &format!("Canada{ENTER}")).await;
    browser.click("input[value=Triangle]").await;
    browser.click("button").await;
    browser.wait_until("return location.pathname === '/done'").await;
    let return_url = browser.script("return location.href").await;

    // Going back from the return URL shows a page that says that the visit is complete and links to
    // the same return URL.
    browser.script("history.back()").await;
    browser.wait_for("#continue").await;
    assert_eq!(browser.text("h1").await, "Your account is connected");
    browser.in_frame("location.reload()").await;
    browser.click("#continue").await;
    browser.wait_until("return location.pathname === '/done'").await;
    assert_eq!(browser.script("return location.href").await, return_url);

    browser.parent().await;
    let steps = browser.script("return events.map((event) => event.data.step)").await;
    assert_eq!(steps, json!(["APP_MOUNTED", "INSTITUTION_SELECTED", "INVALID_PASSWORD", "REDIRECT"]));
    assert_eq!(emulator.count(Operation::ConnectIframe), 1);
}

pub(crate) async fn back_and_reload_of_the_banks_page(browser: Arc<Browser>) {
    let emulator = Emulator::start().await.unwrap();
    let parent = parent_page(emulator.base_url().to_owned()).await;
    let start = format!("{}/v3/oauth/authorize?institution_id=14&redirect_uri={parent}/done", emulator.base_url());
    browser.open(&start).await;
    browser.type_into("#username", BANK_USER).await;
    browser.type_into("#password", &format!("wrong{ENTER}")).await;
    browser.wait_for("[role=alert]").await;
    browser.refresh().await;
    browser.wait_for("[role=alert]").await;
    browser.type_into("#username", BANK_USER).await;
    browser.type_into("#password", &format!("{BANK_PASSWORD}{ENTER}")).await;
    browser.wait_until("return location.pathname === '/done'").await;
    let return_url = browser.script("return location.href").await;
    assert!(return_url.as_str().unwrap().contains("loginId="), "{return_url}");

    browser.assert_back_links_to(&return_url).await;
    assert_eq!(emulator.count(Operation::ConnectOAuthAuthorize), 1);
}

pub(crate) async fn authorize_token(http: &Client, emulator: &Emulator) -> String {
    let url = format!("{}/v3/{CONNECT_CUSTOMER_ID}/BankingServices/GenerateAuthorizeToken", emulator.base_url());
    let request =
        http.post(url).header("flinks-auth-key", CONNECT_SECRET_KEY).header("content-type", "application/json");
    request.send().await.unwrap();
    let newest = emulator.issued().into_iter().rfind(|issued| issued.kind == Kind::AuthorizeToken);
    newest.unwrap().value
}
