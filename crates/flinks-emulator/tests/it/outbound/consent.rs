//! Tests for the consent page (O10).

use flinks_emulator::credentials::*;
use flinks_emulator::{EndUser, Kind};

use crate::page::{action, attribute, step};
use crate::{Local, local, local_with, send};

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
async fn o10_the_consent_page_returns_a_code_or_an_error_with_the_state() {
    let local = local().await;
    for (decision, is_agreed) in [("agree", true), ("refuse", false)] {
        let page = send(authorize(&local, "", "")).await.body;
        let text = page.as_str().unwrap();
        assert!(text.contains("TRANSACTIONS"));
        assert!(text.contains("app.example"));
        let form = action(&page);
        assert_eq!(send(local.post(&form).form(&[("decision", "perhaps")])).await.status, 400);
        let redirect = send(local.post(&form).form(&[("decision", decision)])).await;
        assert_eq!(redirect.status, 303);
        assert_eq!(redirect.parameter("state").as_deref(), Some("s &=é"));
        assert_eq!(redirect.parameter("a").as_deref(), Some("1"));
        assert_eq!(redirect.parameter("error").as_deref(), (!is_agreed).then_some("access_denied"));
        if let Some(code) = redirect.parameter("code") {
            assert!(is_agreed);
            assert_eq!(send(local.exchange_code(&code, "https://app.example/back?a=1")).await.status, 200);
        }
    }
}

/// Returns the issued codes, except the code that exists when the emulator starts.
fn codes(local: &Local) -> Vec<String> {
    let issued = local.emulator.issued().into_iter().filter(|issued| issued.kind == Kind::Code);
    issued.map(|issued| issued.value).filter(|code| code != OUTBOUND_CODE).collect()
}

#[tokio::test]
async fn o10_back_and_reload_of_the_consent_page_issue_no_second_code() {
    let local = local().await;
    let page = send(authorize(&local, "", "")).await.body;
    let address = attribute(&page, "data-address").unwrap();
    assert_eq!(address, action(&page), "the page continues at the address of the visit");
    let reloaded = send(local.get(&address)).await;
    assert_eq!(reloaded.status, 200);
    assert_eq!(action(&reloaded.body), address);
    assert!(reloaded.body.as_str().unwrap().contains("TRANSACTIONS"));

    let step = step(&page);
    let agree = [("step", &*step), ("decision", "agree")];
    let return_url = send(local.post(&address).form(&agree)).await.location.unwrap();
    local.assert_decision_is_final(&address, &return_url, [&agree, &[("step", &*step), ("decision", "refuse")]]).await;
    assert_eq!(codes(&local).len(), 1);

    // A later visit creates another code. That visit's return URL contains exactly one code, even
    // if its redirect URI is the earlier return URL.
    let page = send(authorize(&local, "redirect_uri", &return_url)).await.body;
    let next = send(local.post(&action(&page)).form(&[("decision", "agree")])).await;
    let code = next.parameter("code");
    assert_eq!(codes(&local).last(), code.as_ref());
    assert_eq!(next.parameter("state").as_deref(), Some("s &=é"));
    assert_eq!(next.parameter("a").as_deref(), Some("1"));
    assert_eq!(codes(&local).len(), 2);
}

#[tokio::test]
async fn o10_a_refusal_cannot_be_changed_into_agreement() {
    let local = local().await;
    let form = action(&send(authorize(&local, "", "")).await.body);
    let return_url = send(local.post(&form).form(&[("decision", "refuse")])).await.location;
    assert_eq!(send(local.post(&form).form(&[("decision", "agree")])).await.location, return_url);
    assert_eq!(codes(&local), Vec::<String>::new());
}

/// If a button were focused, a stray key press could grant consent.
#[tokio::test]
async fn o10_nothing_is_focused_on_the_consent_page() {
    let local = local().await;
    let page = send(authorize(&local, "", "")).await.body;
    assert!(!page.as_str().unwrap().contains("autofocus"), "{page}");
}

#[tokio::test]
async fn o10_an_error_is_redirected_only_to_a_trusted_address() {
    let local = local_with(|config| config.outbound.end_user = EndUser::Agrees).await;
    assert!(send(authorize(&local, "", "")).await.parameter("code").is_some());
    for (name, value, error) in [
        ("response_type", "token", "unsupported_response_type"),
        ("scope", "TRANSACTIONS", "invalid_scope"),
        ("scope", "ACCOUNT_BASIC everything", "invalid_scope"),
        ("scope", "", "invalid_scope"),
        ("provider_id", "1", "invalid_request"),
    ] {
        let redirect = send(authorize(&local, name, value)).await;
        assert_eq!(
            (redirect.parameter("error").as_deref(), redirect.parameter("state").as_deref()),
            (Some(error), Some("s &=é"))
        );
        assert_eq!(redirect.parameter("code"), None);
    }
    for (name, value) in [
        ("client_id", "another"),
        ("redirect_uri", ""),
        ("redirect_uri", "app.example"),
        ("redirect_uri", "javascript:1"),
        ("redirect_uri", "https://app.example/#x"),
    ] {
        let refused = send(authorize(&local, name, value)).await;
        assert_eq!(refused.status, 400, "{name}={value}");
        assert_eq!(refused.location, None, "{name}={value}");
        assert!(refused.body.as_str().unwrap().contains(name), "{name}={value}: {}", refused.body);
    }
    local.emulator.configure(|config| config.outbound.redirect_uris = vec!["https://app.example/other".to_owned()]);
    assert_eq!(send(authorize(&local, "", "")).await.status, 400);
    assert_eq!(send(authorize(&local, "redirect_uri", "https://app.example/other")).await.status, 302);
    local.emulator.configure(|config| config.outbound.end_user = EndUser::Refuses);
    let refused = send(authorize(&local, "redirect_uri", "https://app.example/other")).await;
    assert_eq!(refused.parameter("error").as_deref(), Some("access_denied"));
}
