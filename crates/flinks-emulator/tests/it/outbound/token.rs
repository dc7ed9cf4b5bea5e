//! Tests for codes, access tokens and refresh tokens (O3 to O5, O7 to O9), and for revocation
//! (O10).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use flinks_emulator::credentials::*;
use reqwest::Method;
use serde_json::{Value, json};

use super::names;
use crate::{local, local_with, send};

const DAY: u64 = 24 * 60 * 60;

#[tokio::test]
async fn o3_o4_an_access_token_can_be_reused_until_it_expires() {
    let local = local_with(|config| config.outbound.access_token_seconds = 599).await;
    let response = send(local.refresh(OUTBOUND_REFRESH_TOKEN)).await;
    assert_eq!(response.body["expires_in"], 599);
    let token = response.text("access_token");
    for (advance, expected) in [(0, (200, "")), (598, (200, "")), (1, (401, "invalid_token"))] {
        local.advance(advance);
        assert_eq!(send(local.accounts(&token)).await.error(), expected);
    }
    let client = send(local.token(json!({"grant_type": "client_credentials"}))).await.text("access_token");
    assert!(client.starts_with("emu_"));
    assert_eq!(send(local.accounts(&client)).await.error(), (403, "insufficient_scope"));
    for request in [local.get("/api/fdx/5/accounts"), local.accounts("x"), local.accounts(OUTBOUND_REFRESH_TOKEN)] {
        assert_eq!(send(request).await.error(), (401, "invalid_token"));
    }
}

#[tokio::test]
async fn o5_a_refresh_token_does_not_change_and_idles_out_after_30_days() {
    let local = local().await;
    for _ in 0..3 {
        local.advance(30 * DAY - 1);
        let response = send(local.refresh(OUTBOUND_REFRESH_TOKEN)).await;
        assert_eq!(response.status, 200);
        assert_eq!(response.body.get("refresh_token"), None);
    }
    // A failed request does not restart the 30-day idle time.
    local.advance(30 * DAY - 1);
    assert_eq!(send(local.post("/api/v1/token").json(&json!({"grant_type": "refresh_token"}))).await.status, 400);
    local.advance(1);
    assert_eq!(send(local.refresh(OUTBOUND_REFRESH_TOKEN)).await.error(), (400, "invalid_grant"));
}

#[tokio::test]
async fn o5_the_rotation_of_refresh_tokens_is_configurable() {
    let local = local_with(|config| config.outbound.rotate_refresh_tokens = true).await;
    let next = send(local.refresh(OUTBOUND_REFRESH_TOKEN)).await.text("refresh_token");
    assert!(next.starts_with("emu_"), "{next}");
    assert_ne!(next, OUTBOUND_REFRESH_TOKEN);
    assert_eq!(send(local.refresh(OUTBOUND_REFRESH_TOKEN)).await.error(), (400, "invalid_grant"));
    assert_eq!(send(local.refresh(&next)).await.status, 200);
}

#[tokio::test]
async fn o5_the_unchanged_refresh_token_in_the_response_is_configurable() {
    let local = local_with(|config| config.outbound.repeat_refresh_token = true).await;
    assert_eq!(send(local.refresh(OUTBOUND_REFRESH_TOKEN)).await.text("refresh_token"), OUTBOUND_REFRESH_TOKEN);
    local.emulator.configure(|config| config.outbound.rotate_refresh_tokens = true);
    assert_ne!(send(local.refresh(OUTBOUND_REFRESH_TOKEN)).await.text("refresh_token"), OUTBOUND_REFRESH_TOKEN);
}

#[tokio::test]
async fn o7_every_response_carries_request_ids() {
    let local = local().await;
    for request in [
        local.token(json!({"grant_type": "client_credentials"})),
        local.token(json!({})),
        local.accounts("x"),
        local.get("/api/v1/authorize"),
    ] {
        let headers = request.send().await.unwrap().headers().clone();
        for name in ["ob-correlation-id", "ob-trace-id"] {
            assert_eq!(headers.get_all(name).iter().count(), 1);
        }
    }
}

fn claims(jwt: &str) -> Value {
    let parts: Vec<&str> = jwt.split('.').collect();
    let header: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[0]).unwrap()).unwrap();
    assert_eq!(parts.len(), 3);
    assert_eq!(header["typ"], "JWT");
    assert!(header["kid"].as_str().unwrap().starts_with("emu_"));
    assert!(parts[2].starts_with("emu_"));
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[1]).unwrap()).unwrap()
}

#[tokio::test]
async fn o8_an_access_token_of_an_end_user_is_a_jwt_with_three_claims() {
    let local = local().await;
    let first = claims(&send(local.exchange_code(OUTBOUND_CODE, OUTBOUND_REDIRECT_URI)).await.text("access_token"));
    assert_eq!(names(&first), ["client_id", "exp", "sub"]);
    assert_eq!(first["client_id"], OUTBOUND_CLIENT_ID);
    assert_eq!(first["exp"], local.emulator.now().as_secs() + 299);
    local.advance(60);
    let later = claims(&send(local.refresh(OUTBOUND_REFRESH_TOKEN)).await.text("access_token"));
    assert_eq!(&later["sub"], &first["sub"]);
    assert_eq!(later["exp"].as_u64().unwrap(), first["exp"].as_u64().unwrap() + 60);
    let other = local.emulator.issue_code("https://app.example/");
    let other = claims(&send(local.exchange_code(&other, "https://app.example/")).await.text("access_token"));
    assert_ne!(other["sub"], first["sub"]);
}

#[tokio::test]
async fn o9_a_code_is_exchanged_once_with_its_exact_redirect_uri() {
    let local = local().await;
    for near in [
        "https://app.example/callback/",
        "https://APP.example/callback",
        "https://app.example:443/callback",
        "https://app.example/%63allback",
        "",
    ] {
        assert_eq!(send(local.exchange_code(OUTBOUND_CODE, near)).await.error(), (400, "invalid_grant"), "{near}");
    }
    let first = send(local.exchange_code(OUTBOUND_CODE, OUTBOUND_REDIRECT_URI)).await;
    assert_eq!(send(local.refresh(&first.text("refresh_token"))).await.status, 200);
    assert_eq!(send(local.exchange_code(OUTBOUND_CODE, OUTBOUND_REDIRECT_URI)).await.error(), (400, "invalid_grant"));

    for (age, expected) in [(599, (200, "")), (600, (400, "invalid_grant"))] {
        let code = local.emulator.issue_code("x:y");
        local.advance(age);
        assert_eq!(send(local.exchange_code(&code, "x:y")).await.error(), expected, "{age}");
    }
}

#[tokio::test]
async fn o9_whether_a_failed_exchange_spends_the_code_is_configurable() {
    for spends in [false, true] {
        let local = local_with(|config| config.outbound.failed_exchange_spends_code = spends).await;
        assert_eq!(send(local.exchange_code(OUTBOUND_CODE, "https://evil.example/")).await.status, 400);
        let status = send(local.exchange_code(OUTBOUND_CODE, OUTBOUND_REDIRECT_URI)).await.status;
        assert_eq!(status, if spends { 400 } else { 200 });
    }
}

#[tokio::test]
async fn o10_a_revocation_revokes_every_token_of_one_end_user() {
    let local = local().await;
    let first = send(local.refresh(OUTBOUND_REFRESH_TOKEN)).await.text("access_token");
    let second = send(local.refresh(OUTBOUND_REFRESH_TOKEN)).await.text("access_token");
    let code = local.emulator.issue_code("https://app.example/");
    let other = send(local.exchange_code(&code, "https://app.example/")).await;

    let revoke = |token: &str| local.request(Method::DELETE, "/api/v1/revoke").bearer_auth(token);
    let revoked = send(revoke(&first)).await;
    assert_eq!(revoked.status, 204);
    assert_eq!(revoked.body, Value::Null);
    for token in [&first, &second] {
        assert_eq!(send(local.accounts(token)).await.error(), (401, "invalid_token"));
        assert_eq!(send(revoke(token)).await.error(), (401, "invalid_token"));
    }
    assert_eq!(send(local.refresh(OUTBOUND_REFRESH_TOKEN)).await.error(), (400, "invalid_grant"));
    assert_eq!(send(local.exchange_code(OUTBOUND_CODE, OUTBOUND_REDIRECT_URI)).await.error(), (400, "invalid_grant"));
    assert_eq!(send(local.accounts(&other.text("access_token"))).await.status, 200);
    assert_eq!(send(local.refresh(&other.text("refresh_token"))).await.status, 200);
}
