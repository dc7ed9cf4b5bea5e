//! Tests for authorize tokens and for the credentials that a client needs to request them (C1 to
//! C4, C8).

use flinks_emulator::credentials::*;
use serde_json::json;

use super::{WRONG_KEY, WRONG_TOKEN};
use crate::{Local, local, local_with, send};

#[tokio::test]
async fn c1_the_request_needs_one_key_one_content_type_and_no_body() {
    let local = local().await;
    let body = send(local.generate()).await.body;
    assert_eq!(body["HttpStatusCode"], 200);
    assert!(body["Token"].as_str().unwrap().starts_with("emu_"));

    let bare = || local.connect("GenerateAuthorizeToken", CONNECT_SECRET_KEY);
    for request in [
        bare(),
        bare().header("content-type", "text/plain"),
        local.generate().header("content-type", "application/json"),
        local.generate().body("{}"),
    ] {
        assert_eq!(send(request).await.code(), (401, "INVALID_REQUEST"));
    }
}

/// Sends a request with exactly these `Accept` headers and returns the status and the whole
/// response. This function does not use reqwest, because reqwest would add `Accept: */*` if the
/// list were empty.
async fn generate_with(local: &Local, accept: &[&str]) -> (u16, String) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let address = local.emulator.base_url().strip_prefix("http://").unwrap();
    let lines: String = accept.iter().map(|value| format!("Accept: {value}\r\n")).collect();
    let request = format!(
        "POST /v3/{CONNECT_CUSTOMER_ID}/BankingServices/GenerateAuthorizeToken HTTP/1.1\r\nHost: {address}\r\n\
         Connection: close\r\nContent-Type: application/json\r\nflinks-auth-key: {CONNECT_SECRET_KEY}\r\n{lines}\r\n"
    );
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).await.unwrap();
    let status = response.split(' ').nth(1).unwrap().parse().unwrap();
    (status, response)
}

#[tokio::test]
async fn c1_a_missing_accept_header_accepts_every_media_type() {
    let local = local().await;
    let (status, response) = generate_with(&local, &[]).await;
    assert_eq!(status, 200, "{response}");
}

#[tokio::test]
async fn c1_an_accept_header_that_includes_json_is_accepted() {
    let local = local().await;
    for accept in [
        vec!["application/json"],
        vec!["text/html, application/json;q=0.5"],
        vec!["Application/*"],
        vec!["*/*"],
        vec!["text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2"],
        vec!["application/json; charset=utf-8"],
        vec!["application/json;q=0.001"],
        vec!["application/*;q=0, application/json"],
        // An empty list does not exclude any media type.
        vec![""],
        // Several header lines form one list (RFC 9110, section 5.3).
        vec!["*/*", "application/json"],
        vec!["text/html", "application/json"],
        vec!["application/json", "text/html;q=0"],
    ] {
        let (status, response) = generate_with(&local, &accept).await;
        assert_eq!(status, 200, "{accept:?}: {response}");
    }
}

#[tokio::test]
async fn c1_an_accept_header_that_excludes_json_is_refused() {
    let local = local().await;
    for accept in [
        vec!["text/html"],
        vec!["application/jsonx, application/json-patch+json"],
        vec!["text/html;q=1, application/json;q=0"],
        vec!["application/json;q=0.000"],
        vec!["text/html", "text/plain"],
        // The most specific media range takes precedence (RFC 9110, section 12.5.1).
        vec!["*/*, application/json;q=0"],
        vec!["application/*;q=0, */*"],
        vec!["*/*", "application/json; q=0"],
    ] {
        let (status, response) = generate_with(&local, &accept).await;
        assert_eq!(status, 401, "{accept:?}: {response}");
        assert!(response.contains("INVALID_REQUEST"), "{accept:?}: {response}");
        assert!(response.contains("Accept must include application/json"), "{accept:?}: {response}");
    }
}

#[tokio::test]
async fn c2_a_refusal_has_a_status_a_message_and_a_code() {
    let local = local().await;
    let refused = send(local.connect("GenerateAuthorizeToken", "wrong")).await;
    let body = json!({"HttpStatusCode": 401, "Message": WRONG_KEY, "FlinksCode": "UNAUTHORIZED"});
    assert_eq!(refused.status, 401);
    assert_eq!(refused.body, body);
}

#[tokio::test]
async fn c3_a_token_is_single_use_and_expires_after_30_minutes() {
    let local = local().await;
    let by_login = json!({"LoginId": CONNECT_LOGIN_ID, "MostRecentCached": true});
    let token = local.authorize_token().await;
    assert_eq!(send(local.authorize(&token, &by_login)).await.status, 200);
    let again = send(local.authorize(&token, &by_login)).await;
    assert_eq!(again.code(), (401, "ACCESS_DENIED"));
    assert_eq!(again.body["Message"], WRONG_TOKEN);

    for (age, status) in [(1799, 200), (1800, 401)] {
        let token = local.authorize_token().await;
        local.advance(age);
        assert_eq!(send(local.authorize(&token, &by_login)).await.status, status, "{age}");
    }
}

#[tokio::test]
async fn c4_key_and_token_are_not_interchangeable() {
    let local = local().await;
    let by_login = json!({"LoginId": CONNECT_LOGIN_ID, "MostRecentCached": true});
    let token = local.authorize_token().await;
    let json = |request: reqwest::RequestBuilder| request.header("content-type", "application/json");
    for request in [
        json(local.connect("GenerateAuthorizeToken", &token)),
        json(local.connect("GenerateAuthorizeToken", CONNECT_SECRET_KEY).header("flinks-auth-key", &token)),
        json(local.connect("GenerateAuthorizeToken", "").bearer_auth(CONNECT_SECRET_KEY)),
    ] {
        let refused = send(request).await;
        assert_eq!(refused.code(), (401, "UNAUTHORIZED"));
        assert_eq!(refused.body["Message"], WRONG_KEY);
    }
    for request in [
        local.authorize(CONNECT_SECRET_KEY, &by_login),
        local.authorize(&token, &by_login).header("flinks-auth-key", CONNECT_SECRET_KEY),
        local.authorize(&local.session_token().await, &by_login),
        local.authorize("", &by_login).bearer_auth(&token),
    ] {
        let refused = send(request).await;
        assert_eq!(refused.code(), (401, "ACCESS_DENIED"));
        assert_eq!(refused.body["Message"], WRONG_TOKEN);
    }
    assert_eq!(
        send(local.authorize(&token, &by_login)).await.status,
        200,
        "none of these requests has spent the token"
    );
}

#[tokio::test]
async fn c8_another_customer_id_is_refused() {
    let local = local().await;
    for customer_id in ["00000000-0000-4000-8000-000000000009", "..", "%2e%2e", CONNECT_SECRET_KEY] {
        let path = format!("/v3/{customer_id}/BankingServices/GenerateAuthorizeToken");
        let request = local.post(&path).header("flinks-auth-key", CONNECT_SECRET_KEY);
        let response = send(request.header("content-type", "application/json")).await;
        assert!([401, 404].contains(&response.status), "{customer_id}");
    }
    let token = local.authorize_token().await;
    let path = "/v3/00000000-0000-4000-8000-000000000009/BankingServices/Authorize";
    let body = json!({"LoginId": CONNECT_LOGIN_ID, "MostRecentCached": true});
    let response = send(local.post(path).header("flinks-auth-key", &token).json(&body)).await;
    assert_eq!(response.code(), (401, "ACCESS_DENIED"));
}

#[tokio::test]
async fn c8_guids_are_compared_without_case() {
    let id = "0000000A-0000-4000-8000-00000000000A";
    let local = local_with(|config| config.connect.customer_id = id.to_owned()).await;
    let path = format!("/v3/{}/BankingServices/", id.to_lowercase());
    let request = local.post(&format!("{path}GenerateAuthorizeToken")).header("content-type", "application/json");
    let token = send(request.header("flinks-auth-key", CONNECT_SECRET_KEY)).await.text("Token");
    let body = json!({"Institution": BANK, "Username": BANK_USER, "Password": BANK_PASSWORD});
    let request = local.post(&format!("{path}Authorize")).header("flinks-auth-key", token);
    let asked = send(request.json(&body)).await.text("RequestId");
    let request = local.post(&format!("{path}GenerateAuthorizeToken")).header("content-type", "application/json");
    let token = send(request.header("flinks-auth-key", CONNECT_SECRET_KEY)).await.text("Token");
    let answer =
        json!({"RequestId": asked.to_uppercase(), "SecurityResponses": {"What city were you born in?": ["Montreal"]}});
    let request = local.post(&format!("{path}Authorize")).header("flinks-auth-key", token);
    assert_eq!(send(request.json(&answer)).await.status, 203);
}
