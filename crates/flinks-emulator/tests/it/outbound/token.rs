//! Codes, access tokens and refresh tokens (O3-O5, O7-O9), and their revocation (O10).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use flinks_emulator::credentials::*;
use reqwest::Method;
use serde_json::{Value, json};

use super::names;
use crate::{ask, local, local_with};

const DAY: u64 = 24 * 60 * 60;

#[tokio::test]
async fn o3_o4_an_access_token_is_used_again_until_it_expires() {
    let local = local_with(|config| config.outbound.access_token_seconds = 599).await;
    let reply = ask(local.refresh(OUTBOUND_REFRESH_TOKEN)).await;
    assert_eq!(reply.body["expires_in"], 599);
    let token = reply.text("access_token");
    for (advance, expected) in [(0, (200, "")), (598, (200, "")), (1, (401, "invalid_token"))] {
        local.advance(advance);
        assert_eq!(ask(local.accounts(&token)).await.error(), expected);
    }
    let client = ask(local.token(json!({"grant_type": "client_credentials"}))).await.text("access_token");
    assert!(client.starts_with("emu_"));
    assert_eq!(ask(local.accounts(&client)).await.error(), (403, "insufficient_scope"));
    for request in [local.get("/api/fdx/5/accounts"), local.accounts("x"), local.accounts(OUTBOUND_REFRESH_TOKEN)] {
        assert_eq!(ask(request).await.error(), (401, "invalid_token"));
    }
}

#[tokio::test]
async fn o5_a_refresh_token_does_not_change_and_idles_out_after_30_days() {
    let local = local().await;
    for _ in 0..3 {
        local.advance(30 * DAY - 1);
        let reply = ask(local.refresh(OUTBOUND_REFRESH_TOKEN)).await;
        assert_eq!((reply.status, reply.body.get("refresh_token")), (200, None));
    }
    // A failed exchange restarts no clock.
    local.advance(30 * DAY - 1);
    assert_eq!(ask(local.post("/api/v1/token").json(&json!({"grant_type": "refresh_token"}))).await.status, 400);
    local.advance(1);
    assert_eq!(ask(local.refresh(OUTBOUND_REFRESH_TOKEN)).await.error(), (400, "invalid_grant"));
}

#[tokio::test]
async fn o5_switch_rotation_of_refresh_tokens() {
    let local = local_with(|config| config.outbound.rotate_refresh_tokens = true).await;
    let next = ask(local.refresh(OUTBOUND_REFRESH_TOKEN)).await.text("refresh_token");
    assert!(next.starts_with("emu_") && next != OUTBOUND_REFRESH_TOKEN);
    assert_eq!(ask(local.refresh(OUTBOUND_REFRESH_TOKEN)).await.error(), (400, "invalid_grant"));
    assert_eq!(ask(local.refresh(&next)).await.status, 200);
}

#[tokio::test]
async fn o5_switch_the_unchanged_refresh_token_in_the_reply() {
    let local = local_with(|config| config.outbound.repeat_refresh_token = true).await;
    assert_eq!(ask(local.refresh(OUTBOUND_REFRESH_TOKEN)).await.text("refresh_token"), OUTBOUND_REFRESH_TOKEN);
    local.emulator.configure(|config| config.outbound.rotate_refresh_tokens = true);
    assert_ne!(ask(local.refresh(OUTBOUND_REFRESH_TOKEN)).await.text("refresh_token"), OUTBOUND_REFRESH_TOKEN);
}

#[tokio::test]
async fn o7_replies_carry_request_ids_and_errors_a_description() {
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
    assert_eq!((parts.len(), &header["typ"]), (3, &json!("JWT")));
    assert!(header["kid"].as_str().unwrap().starts_with("emu_") && parts[2].starts_with("emu_"));
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[1]).unwrap()).unwrap()
}

#[tokio::test]
async fn o8_an_access_token_of_an_end_user_is_a_jwt_with_three_claims() {
    let local = local().await;
    let first = claims(&ask(local.exchange_code(OUTBOUND_CODE, OUTBOUND_REDIRECT_URI)).await.text("access_token"));
    assert_eq!(names(&first), ["client_id", "exp", "sub"]);
    assert_eq!(first["client_id"], OUTBOUND_CLIENT_ID);
    assert_eq!(first["exp"], local.emulator.now().as_secs() + 299);
    local.advance(60);
    let later = claims(&ask(local.refresh(OUTBOUND_REFRESH_TOKEN)).await.text("access_token"));
    assert_eq!((&later["sub"], later["exp"].as_u64().unwrap()), (&first["sub"], first["exp"].as_u64().unwrap() + 60));
    let other = local.emulator.issue_code("https://app.example/");
    let other = claims(&ask(local.exchange_code(&other, "https://app.example/")).await.text("access_token"));
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
        assert_eq!(ask(local.exchange_code(OUTBOUND_CODE, near)).await.error(), (400, "invalid_grant"), "{near}");
    }
    let first = ask(local.exchange_code(OUTBOUND_CODE, OUTBOUND_REDIRECT_URI)).await;
    assert_eq!(ask(local.refresh(&first.text("refresh_token"))).await.status, 200);
    assert_eq!(ask(local.exchange_code(OUTBOUND_CODE, OUTBOUND_REDIRECT_URI)).await.error(), (400, "invalid_grant"));

    for (age, expected) in [(599, (200, "")), (600, (400, "invalid_grant"))] {
        let code = local.emulator.issue_code("x:y");
        local.advance(age);
        assert_eq!(ask(local.exchange_code(&code, "x:y")).await.error(), expected, "{age}");
    }
}

#[tokio::test]
async fn o9_switch_whether_a_failed_exchange_spends_the_code() {
    for spends in [false, true] {
        let local = local_with(|config| config.outbound.failed_exchange_spends_code = spends).await;
        assert_eq!(ask(local.exchange_code(OUTBOUND_CODE, "https://evil.example/")).await.status, 400);
        let status = ask(local.exchange_code(OUTBOUND_CODE, OUTBOUND_REDIRECT_URI)).await.status;
        assert_eq!(status, if spends { 400 } else { 200 });
    }
}

#[tokio::test]
async fn o10_revocation_ends_every_token_of_one_end_user() {
    let local = local().await;
    let first = ask(local.refresh(OUTBOUND_REFRESH_TOKEN)).await.text("access_token");
    let second = ask(local.refresh(OUTBOUND_REFRESH_TOKEN)).await.text("access_token");
    let code = local.emulator.issue_code("https://app.example/");
    let other = ask(local.exchange_code(&code, "https://app.example/")).await;

    let revoke = |token: &str| local.request(Method::DELETE, "/api/v1/revoke").bearer_auth(token);
    let revoked = ask(revoke(&first)).await;
    assert_eq!((revoked.status, revoked.body), (204, Value::Null));
    for token in [&first, &second] {
        assert_eq!(ask(local.accounts(token)).await.error(), (401, "invalid_token"));
        assert_eq!(ask(revoke(token)).await.error(), (401, "invalid_token"));
    }
    assert_eq!(ask(local.refresh(OUTBOUND_REFRESH_TOKEN)).await.error(), (400, "invalid_grant"));
    assert_eq!(ask(local.exchange_code(OUTBOUND_CODE, OUTBOUND_REDIRECT_URI)).await.error(), (400, "invalid_grant"));
    assert_eq!(ask(local.accounts(&other.text("access_token"))).await.status, 200);
    assert_eq!(ask(local.refresh(&other.text("refresh_token"))).await.status, 200);
}
