//! The consent page (O10).

use flinks_emulator::credentials::*;
use flinks_emulator::{EndUser, Kind};

use crate::page::{action, attribute, step};
use crate::{Local, ask, local, local_with};

const AUTHORIZE: [(&str, &str); 6] = [
    ("client_id", OUTBOUND_CLIENT_ID),
    ("redirect_uri", "https://app.example/back?a=1"),
    ("state", "s &=é"),
    ("response_type", "code"),
    ("scope", "ACCOUNT_BASIC TRANSACTIONS"),
    ("provider_id", OUTBOUND_PROVIDER_ID),
];

fn authorize(local: &Local, name: &str, value: &str) -> reqwest::RequestBuilder {
    let changed = AUTHORIZE.map(|(key, old)| (key, if key == name { value } else { old }));
    local.get("/api/v1/authorize").query(&changed)
}

#[tokio::test]
async fn o10_the_end_user_is_asked_and_comes_back_with_a_code_and_the_state() {
    let local = local().await;
    for (decision, is_agreed) in [("agree", true), ("refuse", false)] {
        let page = ask(authorize(&local, "", "")).await.body;
        let text = page.as_str().unwrap();
        assert!(text.contains("TRANSACTIONS"));
        assert!(text.contains("app.example"));
        let form = action(&page);
        assert_eq!(ask(local.post(&form).form(&[("decision", "perhaps")])).await.status, 400);
        let back = ask(local.post(&form).form(&[("decision", decision)])).await;
        assert_eq!(back.status, 303);
        assert_eq!(back.parameter("state").as_deref(), Some("s &=é"));
        assert_eq!(back.parameter("a").as_deref(), Some("1"));
        assert_eq!(back.parameter("error").as_deref(), (!is_agreed).then_some("access_denied"));
        if let Some(code) = back.parameter("code") {
            assert!(is_agreed);
            assert_eq!(ask(local.exchange_code(&code, "https://app.example/back?a=1")).await.status, 200);
        }
    }
}

/// The codes that were issued, without the first one of the emulator.
fn codes(local: &Local) -> Vec<String> {
    let issued = local.emulator.issued().into_iter().filter(|issued| issued.kind == Kind::Code);
    issued.map(|issued| issued.value).filter(|code| code != OUTBOUND_CODE).collect()
}

#[tokio::test]
async fn o10_back_and_reload_of_the_consent_page_issue_no_second_code() {
    let local = local().await;
    let page = ask(authorize(&local, "", "")).await.body;
    let address = attribute(&page, "data-address").unwrap();
    assert_eq!(address, action(&page), "the browser goes on at the address of the visit");
    let reloaded = ask(local.get(&address)).await;
    assert_eq!(reloaded.status, 200);
    assert_eq!(action(&reloaded.body), address);
    assert!(reloaded.body.as_str().unwrap().contains("TRANSACTIONS"));

    let step = step(&page);
    let agree = [("step", &*step), ("decision", "agree")];
    let return_url = ask(local.post(&address).form(&agree)).await.location.unwrap();
    local.decision_stands(&address, &return_url, [&agree, &[("step", &*step), ("decision", "refuse")]]).await;
    assert_eq!(codes(&local).len(), 1);

    // A later visit gets another code. Its return URL has exactly one, even if its redirect URI is
    // the earlier return URL.
    let page = ask(authorize(&local, "redirect_uri", &return_url)).await.body;
    let next = ask(local.post(&action(&page)).form(&[("decision", "agree")])).await;
    let code = next.parameter("code");
    assert_eq!(codes(&local).last(), code.as_ref());
    assert_eq!(next.parameter("state").as_deref(), Some("s &=é"));
    assert_eq!(next.parameter("a").as_deref(), Some("1"));
    assert_eq!(codes(&local).len(), 2);
}

#[tokio::test]
async fn o10_a_refusal_stands_when_agreement_is_sent_after_it() {
    let local = local().await;
    let form = action(&ask(authorize(&local, "", "")).await.body);
    let return_url = ask(local.post(&form).form(&[("decision", "refuse")])).await.location;
    assert_eq!(ask(local.post(&form).form(&[("decision", "agree")])).await.location, return_url);
    assert_eq!(codes(&local), Vec::<String>::new());
}

/// A stray key press must not grant anything.
#[tokio::test]
async fn o10_nothing_is_focused_on_the_consent_page() {
    let local = local().await;
    let page = ask(authorize(&local, "", "")).await.body;
    assert!(!page.as_str().unwrap().contains("autofocus"), "{page}");
}

#[tokio::test]
async fn o10_a_mistake_goes_back_as_an_error_unless_the_address_cannot_be_trusted() {
    let local = local_with(|config| config.outbound.end_user = EndUser::Agrees).await;
    assert!(ask(authorize(&local, "", "")).await.parameter("code").is_some());
    for (name, value, error) in [
        ("response_type", "token", "unsupported_response_type"),
        ("scope", "TRANSACTIONS", "invalid_scope"),
        ("scope", "ACCOUNT_BASIC everything", "invalid_scope"),
        ("scope", "", "invalid_scope"),
        ("provider_id", "1", "invalid_request"),
    ] {
        let back = ask(authorize(&local, name, value)).await;
        assert_eq!(
            (back.parameter("error").as_deref(), back.parameter("state").as_deref()),
            (Some(error), Some("s &=é"))
        );
        assert_eq!(back.parameter("code"), None);
    }
    for (name, value) in [
        ("client_id", "another"),
        ("redirect_uri", ""),
        ("redirect_uri", "app.example"),
        ("redirect_uri", "javascript:1"),
        ("redirect_uri", "https://app.example/#x"),
    ] {
        let refused = ask(authorize(&local, name, value)).await;
        assert_eq!((refused.status, refused.location), (400, None), "{name}={value}");
        assert!(refused.body.as_str().unwrap().contains(name), "{name}={value}: {}", refused.body);
    }
    local.emulator.configure(|config| config.outbound.redirect_uris = vec!["https://app.example/other".to_owned()]);
    assert_eq!(ask(authorize(&local, "", "")).await.status, 400);
    assert_eq!(ask(authorize(&local, "redirect_uri", "https://app.example/other")).await.status, 302);
    local.emulator.configure(|config| config.outbound.end_user = EndUser::Refuses);
    let refused = ask(authorize(&local, "redirect_uri", "https://app.example/other")).await;
    assert_eq!(refused.parameter("error").as_deref(), Some("access_denied"));
}
