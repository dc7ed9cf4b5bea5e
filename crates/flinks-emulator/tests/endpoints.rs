//! The three endpoints with their documented answers, asked with plain HTTP.

#![allow(clippy::unwrap_used)] // helpers of tests are tests too

use flinks_emulator::Emulator;
use flinks_emulator::credentials::*;
use reqwest::{RequestBuilder, StatusCode};
use serde_json::{Value, json};

/// A client of nobody's: the workspace's features of reqwest need a TLS provider, though nothing here speaks TLS.
fn client() -> reqwest::Client {
    // An error says that another test was first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::new()
}

async fn answer(request: RequestBuilder) -> (StatusCode, String) {
    let response = request.send().await.unwrap();
    (response.status(), response.text().await.unwrap())
}

async fn json_answer(request: RequestBuilder) -> (u16, Value) {
    let (status, body) = answer(request).await;
    (status.as_u16(), serde_json::from_str(&body).unwrap())
}

#[tokio::test]
async fn p1_p2_p6_pay_authorize() {
    let emulator = Emulator::start().await.unwrap();
    let url = format!("{}/api/v1/authorize", emulator.base_url());
    let good = [("grant_type", "client_credentials"), ("Username", PAY_USERNAME), ("Password", PAY_PASSWORD)];
    let (status, body) = json_answer(client().post(&url).form(&good)).await;
    assert_eq!((status, &body["token_type"], &body["expires_in"]), (200, &json!("bearer"), &json!(299)));
    assert_eq!(body["access_token"].as_str().unwrap().len(), 36);

    let mut wrong = good;
    wrong[2].1 = "wrong";
    for request in [
        client().post(&url).form(&wrong),
        client().post(&url).form(&good[..2]),
        client().post(&url).form(&[good[0], good[1], good[2], ("scope", "x")]),
        client().post(&url).json(&json!({"grant_type": "client_credentials"})),
        client().post(&url),
    ] {
        assert_eq!(answer(request).await, (StatusCode::BAD_REQUEST, String::new()));
    }
}

#[tokio::test]
async fn c1_c2_generate_authorize_token() {
    let emulator = Emulator::start().await.unwrap();
    let url = |id: &str| format!("{}/v3/{id}/BankingServices/GenerateAuthorizeToken", emulator.base_url());
    let post = |id: &str, key: &str| client().post(url(id)).header("flinks-auth-key", key);
    let (status, body) = json_answer(post(CONNECT_CUSTOMER_ID, CONNECT_SECRET_KEY)).await;
    assert_eq!((status, &body["HttpStatusCode"]), (200, &json!(200)));
    assert_eq!(body["Token"].as_str().unwrap().len(), 36);

    let refusal =
        json!({"HttpStatusCode": 401, "Message": "You must provide a valid auth key", "FlinksCode": "UNAUTHORIZED"});
    for request in [
        post(CONNECT_CUSTOMER_ID, "wrong"),
        post("00000000-0000-4000-8000-000000000002", CONNECT_SECRET_KEY),
        post(CONNECT_CUSTOMER_ID, CONNECT_SECRET_KEY).header("flinks-auth-key", "another"),
        client().post(url(CONNECT_CUSTOMER_ID)),
    ] {
        assert_eq!(json_answer(request).await, (401, refusal.clone()));
    }
}

#[tokio::test]
async fn o1_o2_o7_token() {
    let emulator = Emulator::start().await.unwrap();
    let url = format!("{}/api/v1/token", emulator.base_url());
    let with = |mut body: Value| {
        body["client_id"] = json!(OUTBOUND_CLIENT_ID);
        body["client_secret"] = json!(OUTBOUND_CLIENT_SECRET);
        client().post(&url).json(&body)
    };
    let code =
        json!({"grant_type": "authorization_code", "code": OUTBOUND_CODE, "redirect_uri": OUTBOUND_REDIRECT_URI});
    let refresh = json!({"grant_type": "refresh_token", "refresh_token": OUTBOUND_REFRESH_TOKEN});
    for (body, refresh_token) in [
        (json!({"grant_type": "client_credentials"}), Value::Null),
        (code.clone(), json!(OUTBOUND_REFRESH_TOKEN)),
        (refresh.clone(), Value::Null),
    ] {
        let (status, reply) = json_answer(with(body)).await;
        assert_eq!((status, &reply["token_type"], &reply["expires_in"]), (200, &json!("Bearer"), &json!(299)));
        assert_eq!(reply.get("refresh_token").cloned().unwrap_or_default(), refresh_token);
    }

    let changed = |mut body: Value, key: &str, value: &str| {
        body[key] = json!(value);
        body
    };
    for (request, error) in [
        (with(changed(refresh.clone(), "refresh_token", "x")), "invalid_grant"),
        (with(changed(code.clone(), "code", "x")), "invalid_grant"),
        (with(changed(code, "redirect_uri", "https://app.example/callback/")), "invalid_grant"),
        (with(json!({"grant_type": "password"})), "unsupported_grant_type"),
        (with(json!({})), "invalid_request"),
        (with(json!({"grant_type": "refresh_token"})), "invalid_request"),
        (client().post(&url).json(&refresh), "invalid_client"),
        (with(refresh.clone()).basic_auth(OUTBOUND_CLIENT_ID, Some(OUTBOUND_CLIENT_SECRET)), "invalid_client"),
        (client().post(&url).body("{"), "invalid_request"),
    ] {
        let (status, reply) = json_answer(request).await;
        assert_eq!((status, reply["error"].as_str()), (400, Some(error)));
        assert!(!reply["error_description"].as_str().unwrap().is_empty());
    }

    let basic = client().post(&url).json(&refresh).basic_auth(OUTBOUND_CLIENT_ID, Some(OUTBOUND_CLIENT_SECRET));
    let response = basic.send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert!(response.headers().contains_key("ob-correlation-id") && response.headers().contains_key("ob-trace-id"));
}

#[tokio::test]
async fn only_loopback() {
    let error = Emulator::listen("0.0.0.0:0".parse().unwrap()).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
}

#[tokio::test]
async fn the_program_prints_its_base_url_first() {
    use std::io::BufRead as _;
    use std::process::{Command, Stdio};

    let mut command = Command::new(env!("CARGO_BIN_EXE_flinks-emulator"));
    let mut child = command.args(["--listen", "127.0.0.1:0"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    std::io::BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let answer = client().post(format!("{}/api/v1/authorize", line.trim_end())).send().await;
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(answer.unwrap().status(), StatusCode::BAD_REQUEST, "{line}");
}
