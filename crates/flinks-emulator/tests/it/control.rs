//! Tests for the control API, which makes the library's functions available as a JSON API.

use flinks_emulator::credentials::*;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{Local, local, send};

impl Local {
    async fn control(&self, method: Method, path: &str, body: Value) -> (u16, Value) {
        let request = self.request(method, &format!("/__emulator/{path}"));
        let response = send(if body.is_null() { request } else { request.json(&body) }).await;
        (response.status, response.body)
    }
}

#[tokio::test]
async fn advance_moves_the_clock() {
    let local = local().await;
    let token = local.session_token().await;
    let (_, before) = local.control(Method::GET, "", Value::Null).await;
    let (status, after) = local.control(Method::POST, "advance", json!({"seconds": 298.5})).await;
    assert_eq!(status, 200);
    assert_eq!(after["now"].as_f64().unwrap(), before["now"].as_f64().unwrap() + 298.5);
    assert_eq!(send(local.initiate_session(&token)).await.status, 200);
    for wrong in [
        json!({"seconds": -1}),
        json!({"seconds": "1"}),
        json!({"seconds": 1e300}),
        json!({}),
        json!({"seconds": 1, "x": 2}),
    ] {
        let (status, body) = local.control(Method::POST, "advance", wrong.clone()).await;
        assert_eq!(status, 400, "{wrong}");
        assert!(body["message"].is_string(), "{wrong}");
    }
}

#[tokio::test]
async fn faults_are_planned_listed_and_cleared() {
    let local = local().await;
    for fault in [
        json!({"kind": "reply", "status": 503, "headers": [["retry-after", "5"]], "body": "{}"}),
        json!({"kind": "redirect", "status": 307, "location": "https://evil.example/"}),
        json!({"kind": "delay", "when": "before", "milliseconds": 1}),
        json!({"kind": "hold", "when": "after"}),
        json!({"kind": "drop", "when": "after"}),
        json!({"kind": "reset", "when": "before"}),
        json!({"kind": "half_body"}),
        json!({"kind": "garbage", "base64": "AAEC"}),
        json!({"kind": "endless_body"}),
        json!({"kind": "slow_bytes", "milliseconds": 1}),
        json!({"kind": "duplicate_token"}),
    ] {
        let schedule = json!({"operation": "pay.authorize", "fault": fault, "times": 2});
        let scheduled = json!({"operation": "pay.authorize", "fault": fault, "times": 2, "always": false});
        assert_eq!(local.control(Method::POST, "faults", schedule).await, (200, scheduled.clone()));
        let (_, listed) = local.control(Method::GET, "faults", Value::Null).await;
        assert_eq!(listed, json!([scheduled]));
        assert_eq!(local.control(Method::DELETE, "faults", Value::Null).await.0, 200);
    }
    for wrong in [
        json!({"operation": "pay.nothing", "fault": {"kind": "half_body"}}),
        json!({"operation": "pay.authorize", "fault": {"kind": "nothing"}}),
        json!({"operation": "pay.authorize", "fault": {"kind": "drop"}}),
        json!({"operation": "pay.authorize", "fault": {"kind": "garbage", "base64": "?"}}),
        json!({"fault": {"kind": "half_body"}}),
        json!({"operation": "pay.authorize", "fault": {"kind": "half_body", "when": "after"}}),
        json!({"operation": "pay.authorize", "fault": {"kind": "half_body"}, "times": 0}),
        json!({"operation": "pay.authorize", "fault": {"kind": "half_body"}, "times": 2, "always": true}),
    ] {
        assert_eq!(local.control(Method::POST, "faults", wrong.clone()).await.0, 400, "{wrong}");
    }
    let once = json!({"operation": "pay.authorize", "fault": {"kind": "reply", "status": 503}});
    local.control(Method::POST, "faults", once).await;
    assert_eq!(send(local.pay_authorize()).await.status, 503);
    assert_eq!(send(local.pay_authorize()).await.status, 200);
}

#[tokio::test]
async fn a_config_patch_changes_all_settings_or_none() {
    let local = local().await;
    let (status, config) = local
        .control(Method::PATCH, "config", json!({"pay": {"token_seconds": 599}, "outbound": {"end_user": "agrees"}}))
        .await;
    assert_eq!(
        (status, &config["pay"]["token_seconds"], &config["outbound"]["end_user"]),
        (200, &json!(599), &json!("agrees"))
    );
    assert_eq!(send(local.pay_authorize()).await.body["expires_in"], 599);
    for wrong in [
        json!({"pay": {"token_seconds": 1}, "nothing": {}}),
        json!({"pay": {"token_seconds": 1, "nothing": 1}}),
        json!({"pay": {"token_seconds": -1}}),
        json!({"pay": 1}),
    ] {
        assert_eq!(local.control(Method::PATCH, "config", wrong.clone()).await.0, 400, "{wrong}");
    }
    assert_eq!(local.control(Method::GET, "config", Value::Null).await.1, config);
}

#[tokio::test]
async fn the_control_api_reports_requests_counts_and_tokens() {
    let local = local().await;
    let token = local.session_token().await;
    send(local.initiate_session(&token)).await;
    send(local.get("/nothing")).await;
    let (_, requests) = local.control(Method::GET, "requests", Value::Null).await;
    let requests = requests["requests"].as_array().unwrap();
    assert_eq!(requests.len(), 3, "requests to the control API are not recorded");
    assert!(requests[0]["body"].as_str().unwrap().contains("grant_type=client_credentials"));
    assert!(requests[1]["headers"].as_array().unwrap().contains(&json!(["authorization", format!("Bearer {token}")])));
    let (_, some) = local.control(Method::GET, "requests?operation=pay.initiate_session", Value::Null).await;
    assert_eq!(some["requests"].as_array().unwrap().len(), 1);
    for path in [
        "requests?operation=x",
        "requests?op=x",
        "tokens?kind=code",
        "received?operation=pay.authorize",
        "counts?a=1&a=1",
    ] {
        assert_eq!(local.control(Method::GET, path, Value::Null).await.0, 400, "{path}");
    }
    let not_utf8 = local.post("/nothing").body(vec![0xff, b'a']);
    send(not_utf8).await;
    let (_, last) = local.control(Method::GET, "requests", Value::Null).await;
    assert_eq!(last["requests"][3]["base64"], "/2E=");

    let (_, counts) = local.control(Method::GET, "counts", Value::Null).await;
    assert_eq!(counts["requests"], 4);
    assert_eq!(counts["operations"]["pay.authorize"], 1);
    assert_eq!(
        (&counts["credentials"]["pay.password"], &counts["credentials"]["connect.secret_key"]),
        (&json!(1), &json!(0))
    );

    let (_, tokens) = local.control(Method::GET, "tokens", Value::Null).await;
    let found = tokens["tokens"].as_array().unwrap().iter().find(|found| found["value"] == token).unwrap();
    assert_eq!(
        (&found["kind"], &found["issued_by"], &found["spent"]["by"]),
        (&json!("session_token"), &json!(1), &json!(2))
    );
    assert_eq!(found["requests"], 1);
    assert_eq!(found["revoked"], Value::Null);
}

#[tokio::test]
async fn received_waits_for_a_held_request_that_release_completes() {
    let local = local().await;
    let hold = json!({"operation": "pay.authorize", "fault": {"kind": "hold", "when": "before"}});
    local.control(Method::POST, "faults", hold).await;
    let held = tokio::spawn(local.pay_authorize().send());
    let received = local.control(Method::GET, "received?operation=pay.authorize&count=1", Value::Null).await;
    assert_eq!(received, (200, json!({"count": 1})));
    assert_eq!(local.control(Method::POST, "release", Value::Null).await.0, 200);
    assert_eq!(held.await.unwrap().unwrap().status(), 200);
}

#[tokio::test]
async fn the_control_api_issues_codes_and_resets_the_emulator() {
    let local = local().await;
    let (_, code) = local.control(Method::POST, "codes", json!({"redirect_uri": "https://app.example/"})).await;
    assert_eq!(send(local.exchange_code(code["code"].as_str().unwrap(), "https://app.example/")).await.status, 200);
    send(local.exchange_code(OUTBOUND_CODE, OUTBOUND_REDIRECT_URI)).await;
    assert_eq!(local.control(Method::POST, "reset", Value::Null).await.0, 200);
    assert_eq!(send(local.exchange_code(OUTBOUND_CODE, OUTBOUND_REDIRECT_URI)).await.status, 200);
    assert_eq!(local.control(Method::POST, "release", Value::Null).await.0, 200);
    for (method, path) in [(Method::GET, "nothing"), (Method::GET, "reset"), (Method::PUT, "config")] {
        assert_eq!(local.control(method, path, Value::Null).await.0, 404);
    }
}

/// Any web page that is open in a browser on this machine can send requests to the control API, so
/// the control API must refuse requests from a foreign origin.
#[tokio::test]
async fn the_control_api_refuses_foreign_hosts_and_origins() {
    let local = local().await;
    let own = local.emulator.base_url().to_owned();
    for (name, value, status) in [
        ("host", "evil.example", 403),
        ("host", "evil.example:80", 403),
        ("host", "127.0.0.1.evil.example", 403),
        ("host", "localhost", 200),
        ("host", "[::1]:8080", 200),
        ("origin", "https://evil.example", 403),
        ("origin", "null", 403),
        ("origin", &own, 200),
    ] {
        let response = send(local.post("/__emulator/release").header(name, value)).await;
        assert_eq!(response.status, status, "{name}: {value}");
    }
}
