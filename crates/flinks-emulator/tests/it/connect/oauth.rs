//! Tests for custom OAuth, where the end user logs in on the bank's page (C7).

use flinks_emulator::EndUser;
use flinks_emulator::credentials::*;
use serde_json::json;

use crate::page::{action, attribute, step, submit};
use crate::{local, local_with, send};

#[tokio::test]
async fn c7_custom_oauth_returns_a_login_id_and_the_state() {
    let local = local_with(|config| config.connect.end_user = EndUser::Agrees).await;
    let authorize = |name: &str, value: &str, uri: &str| {
        local.get("/v3/oauth/authorize").query(&[(name, value), ("redirect_uri", uri), ("state", "s &=é")])
    };
    let uri = "https://app.example/back?a=1";
    for (name, value) in [("institution_id", "14"), ("institution", "14"), ("institution", BANK)] {
        let redirect = send(authorize(name, value, uri)).await;
        assert_eq!(
            (redirect.status, redirect.parameter("state").as_deref(), redirect.parameter("a").as_deref()),
            (302, Some("s &=é"), Some("1"))
        );
        let login = json!({"LoginId": redirect.parameter("loginId"), "MostRecentCached": false, "Save": true});
        assert_eq!(local.authorize_with_new_token(&login).await.status, 200);
    }
    let unknown = send(authorize("institution_id", "15", uri)).await;
    assert_eq!(unknown.parameter("error").as_deref(), Some("invalid_request"));
    assert_eq!(unknown.parameter("loginId"), None);
    for uri in ["", "/back", "javascript:1", "https://u@app.example/", "https://app.example/#"] {
        assert_eq!(send(authorize("institution_id", "14", uri)).await.status, 400, "{uri}");
    }

    local.emulator.configure(|config| config.connect.end_user = EndUser::Refuses);
    let refused = send(authorize("institution_id", "14", uri)).await;
    assert_eq!(
        (refused.parameter("error").as_deref(), refused.parameter("state").as_deref()),
        (Some("access_denied"), Some("s &=é"))
    );
    assert!(refused.parameter("error_description").is_some());
}

#[tokio::test]
async fn c7_the_end_user_logs_in_on_the_banks_page() {
    let local = local().await;
    let start = async || {
        let query = [("institution_id", "14"), ("redirect_uri", "https://app.example/back"), ("state", "s")];
        let redirect = send(local.get("/v3/oauth/authorize").query(&query)).await;
        assert_eq!(redirect.status, 302);
        redirect.location.unwrap()
    };
    let address = start().await;
    let page = send(local.get(&address)).await.body;
    assert_eq!(action(&page), address);
    let refused = submit(&local, &page, &[("username", BANK_USER), ("password", "wrong")]).await;
    assert_eq!(attribute(&refused, "role").as_deref(), Some("alert"));
    let redirect = send(local.post(&address).form(&[("username", BANK_USER), ("password", BANK_PASSWORD)])).await;
    assert_eq!(redirect.status, 303);
    assert_eq!(redirect.parameter("state").as_deref(), Some("s"));
    // The bank's page has already asked the security questions.
    let live = json!({"LoginId": redirect.parameter("loginId"), "MostRecentCached": false, "Save": true});
    assert_eq!(local.authorize_with_new_token(&live).await.status, 200);

    let cancelled = send(local.post(&start().await).form(&[("cancel", "true")])).await;
    assert_eq!(cancelled.status, 303);
    assert_eq!(cancelled.parameter("error").as_deref(), Some("access_denied"));
}

#[tokio::test]
async fn c7_back_and_reload_of_the_banks_page_repeat_nothing() {
    let local = local().await;
    let query = [("institution_id", "14"), ("redirect_uri", "https://app.example/back"), ("state", "s")];
    let address = send(local.get("/v3/oauth/authorize").query(&query)).await.location.unwrap();
    let page = send(local.get(&address)).await.body;
    assert_eq!(send(local.get(&address)).await.body, page, "a reload shows the same page");
    let step = step(&page);
    let login = [("step", &*step), ("username", BANK_USER), ("password", BANK_PASSWORD)];
    let redirect = send(local.post(&address).form(&login)).await;
    let return_url = redirect.location.unwrap();
    local.assert_decision_is_final(&address, &return_url, [&login, &[("step", &*step), ("cancel", "true")]]).await;
}

#[tokio::test]
async fn c7_redirects_go_only_to_allowed_origins() {
    let allowed = |config: &mut flinks_emulator::Config| {
        config.connect.redirect_origins = vec!["https://app.example".to_owned(), "http://127.0.0.1:8080/".to_owned()];
        config.connect.end_user = EndUser::Agrees;
    };
    let local = local_with(allowed).await;
    for (url, status) in [
        ("https://app.example/x", 302),
        ("https://APP.example:443/", 302),
        ("http://127.0.0.1:8080/", 302),
        ("https://app.example:444/", 400),
        ("http://app.example/", 400),
        ("https://app.example.evil.com/", 400),
    ] {
        let query = [("institution_id", "14"), ("redirect_uri", url)];
        assert_eq!(send(local.get("/v3/oauth/authorize").query(&query)).await.status, status, "{url}");
        let token = local.authorize_token().await;
        let page = local.get("/v2/").query(&[("authorizeToken", &*token), ("redirectUrl", url)]);
        assert_eq!(send(page).await.status, if status == 302 { 200 } else { 400 }, "{url}");
    }
}
