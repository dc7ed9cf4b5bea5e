//! Tests for the settings: each of them is listed in `SETTINGS.md`, and each changes the behaviour.

use std::collections::BTreeMap;

use flinks_emulator::credentials::*;
use flinks_emulator::{Config, Emulator, EventTarget, PayAuthentication};
use serde_json::{Value, json};

use crate::page::attribute;
use crate::{Local, PAY_FORM, local_with, send};

#[test]
fn the_table_lists_each_setting_with_its_default_and_a_reason() {
    let mut listed = BTreeMap::new();
    for row in include_str!("../../SETTINGS.md").lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let [setting, default, effect, reason] = cells[..] else { panic!("{row}") };
        assert!(!effect.is_empty(), "{row}");
        assert!(!reason.is_empty(), "{row}");
        let default: Value = serde_json::from_str(default.trim_matches('`')).unwrap();
        assert_eq!(listed.insert(setting.trim_matches('`').to_owned(), default), None, "{row}");
    }
    let mut settings = BTreeMap::new();
    for (section, value) in json!(Config::default()).as_object().unwrap() {
        match value {
            Value::Object(fields) => {
                settings.extend(fields.iter().map(|(name, value)| (format!("{section}.{name}"), value.clone())));
            }
            value => drop(settings.insert(section.clone(), value.clone())),
        }
    }
    assert_eq!(listed, settings);
}

#[tokio::test]
async fn a_status_that_flinks_does_not_document_is_rejected() {
    type Change = fn(&mut Config);
    let changes: [(Change, &str); 5] = [
        (|config| config.connect.rejected_token_status = 200, "`connect.rejected_token_status`"),
        (|config| config.connect.invalid_request_status = 500, "`connect.invalid_request_status`"),
        (|config| config.connect.invalid_login_status = 403, "`connect.invalid_login_status`"),
        (|config| config.outbound.expired_token_status = 400, "`outbound.expired_token_status`"),
        (|config| config.outbound.invalid_client_status = 403, "`outbound.invalid_client_status`"),
    ];
    for (change, setting) in changes {
        let mut config = Config::default();
        change(&mut config);
        let error = Emulator::start_with(config).await.unwrap_err().to_string();
        assert!(error.starts_with(setting), "{error}");
    }
}

#[tokio::test]
async fn pay_credentials_can_be_sent_as_a_form_or_with_basic() {
    use PayAuthentication::{Basic, Form, FormOrBasic};
    let [grant, username, password] = PAY_FORM;
    for (authentication, by_form, by_basic) in [(Form, 200, 400), (Basic, 400, 200), (FormOrBasic, 200, 200)] {
        let local = local_with(|config| config.pay.authentication = authentication).await;
        let basic = |password| local.post("/api/v1/authorize").basic_auth(username.1, Some(password));
        assert_eq!(send(local.pay_authorize()).await.status, by_form, "{authentication:?}");
        assert_eq!(send(basic(password.1).form(&[grant])).await.status, by_basic, "{authentication:?}");
        assert_eq!(send(basic("wrong").form(&[grant])).await.status, 400, "{authentication:?}");
        if authentication != Form {
            assert_eq!(send(basic(password.1).form(&PAY_FORM)).await.status, 400, "{authentication:?}");
        }
    }
}

#[tokio::test]
async fn a_session_token_can_be_reusable() {
    let local = local_with(|config| config.pay.token_starts_one_session = false).await;
    let token = local.session_token().await;
    for _ in 0..3 {
        assert_eq!(send(local.initiate_session(&token)).await.status, 200);
    }
    local.advance(299);
    assert_eq!(send(local.initiate_session(&token)).await.status, 401);
}

#[tokio::test]
async fn payment_requests_can_refuse_a_spent_token() {
    let local = local_with(|config| config.pay.accept_spent_token = false).await;
    let spent = local.session_token().await;
    let session_id = send(local.initiate_session(&spent)).await.text("sessionId");
    let create =
        |token: &str| local.post("/api/v1/paymentrequests").bearer_auth(token).json(&json!({"sessionId": session_id}));
    assert_eq!(send(create(&spent)).await.status, 401);
    let unspent = local.session_token().await;
    let request_id = send(create(&unspent)).await.text("requestId");
    let read = |token: &str| local.get(&format!("/api/v1/paymentrequests/{request_id}")).bearer_auth(token);
    assert_eq!(send(read(&spent)).await.status, 401);
    assert_eq!(send(read(&unspent)).await.status, 200);
}

#[tokio::test]
async fn a_refused_session_can_spend_its_token() {
    for (spends, status) in [(true, 401), (false, 200)] {
        let local = local_with(|config| config.pay.failed_initiate_spends_token = spends).await;
        let token = local.session_token().await;
        let refused = local.post("/api/v1/sessions/initiate").bearer_auth(&token).json(&json!({}));
        assert_eq!(send(refused).await.status, 400);
        assert_eq!(send(local.initiate_session(&token)).await.status, status);
    }
}

/// The requests to `/Authorize` in this test send a token that is not valid.
#[tokio::test]
async fn the_refusal_of_an_authorize_token_is_configurable() {
    let local = local_with(|config| {
        config.connect.rejected_token_status = 403;
        config.connect.rejected_token_code = "UNAUTHORIZED".to_owned();
    })
    .await;
    let body = json!({"LoginId": CONNECT_LOGIN_ID, "MostRecentCached": true});
    let token = local.authorize_token().await;
    assert_eq!(send(local.authorize(&token, &body)).await.status, 200);
    for wrong in [token.as_str(), "unknown", CONNECT_SECRET_KEY] {
        let refused = send(local.authorize(wrong, &body)).await;
        assert_eq!(refused.code(), (403, "UNAUTHORIZED"));
        assert_eq!(refused.body["HttpStatusCode"], 403);
    }
}

#[tokio::test]
async fn connect_errors_with_two_documented_statuses_use_the_configured_one() {
    let local = local_with(|config| {
        config.connect.invalid_request_status = 401;
        config.connect.invalid_login_status = 400;
    })
    .await;
    let unknown = json!({"LoginId": "00000000-0000-4000-8000-00000000000c"});
    assert_eq!(local.authorize_with_new_token(&unknown).await.code(), (400, "INVALID_LOGIN"));
    assert_eq!(local.authorize_with_new_token(&json!({})).await.code(), (401, "INVALID_REQUEST"));
}

async fn open_iframe(local: &Local, token: &str, redirect_url: &str) -> crate::ParsedResponse {
    send(local.get("/v2/").query(&[("authorizeToken", token), ("redirectUrl", redirect_url)])).await
}

#[tokio::test]
async fn a_refused_iframe_can_spend_its_token() {
    for (spends, status) in [(true, 401), (false, 200)] {
        let local = local_with(|config| config.connect.failed_iframe_spends_token = spends).await;
        let token = local.authorize_token().await;
        assert_eq!(open_iframe(&local, &token, "javascript:1").await.status, 400);
        assert_eq!(open_iframe(&local, &token, "https://app.example/").await.status, status);
    }
}

#[tokio::test]
async fn a_return_url_can_contain_a_fragment_if_configured() {
    for (accepts, iframe, bank) in [(true, 200, 302), (false, 400, 400)] {
        let local = local_with(|config| config.connect.accept_redirect_fragment = accepts).await;
        let url = "https://app.example/#route";
        assert_eq!(open_iframe(&local, &local.authorize_token().await, url).await.status, iframe);
        let query = [("institution_id", "14"), ("redirect_uri", url)];
        assert_eq!(send(local.get("/v3/oauth/authorize").query(&query)).await.status, bank);
    }
}

#[tokio::test]
async fn the_target_of_events_is_configurable() {
    for (target, origin) in [(EventTarget::RedirectOrigin, "https://app.example"), (EventTarget::Any, "*")] {
        let local = local_with(|config| config.connect.event_target = target).await;
        let page = open_iframe(&local, &local.authorize_token().await, "https://app.example/x").await;
        assert_eq!(attribute(&page.body, "data-origin").as_deref(), Some(origin));
    }
}

#[tokio::test]
async fn the_status_of_an_expired_or_revoked_access_token_is_configurable() {
    for status in [401, 403] {
        let local = local_with(|config| config.outbound.expired_token_status = status).await;
        let expired = send(local.refresh(OUTBOUND_REFRESH_TOKEN)).await.text("access_token");
        local.advance(299);
        assert_eq!(send(local.accounts(&expired)).await.error(), (status, "invalid_token"));
        let revoked = send(local.refresh(OUTBOUND_REFRESH_TOKEN)).await.text("access_token");
        let revoke = || local.request(reqwest::Method::DELETE, "/api/v1/revoke").bearer_auth(&revoked);
        assert_eq!(send(revoke()).await.status, 204);
        assert_eq!(send(revoke()).await.error(), (status, "invalid_token"));
        assert_eq!(send(local.accounts("unknown")).await.error(), (401, "invalid_token"));
    }
}
