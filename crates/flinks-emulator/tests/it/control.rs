//! The control API: what the library can do, as JSON.

use flinks_emulator::credentials::*;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{Local, ask, local};

impl Local {
    async fn control(&self, method: Method, path: &str, body: Value) -> (u16, Value) {
        let request = self.request(method, &format!("/__emulator/{path}"));
        let answer = ask(if body.is_null() { request } else { request.json(&body) }).await;
        (answer.status, answer.body)
    }
}

#[tokio::test]
async fn time_is_advanced() {
    let local = local().await;
    let token = local.session_token().await;
    let (_, before) = local.control(Method::GET, "", Value::Null).await;
    let (status, after) = local.control(Method::POST, "advance", json!({"seconds": 298.5})).await;
    assert_eq!((status, after["now"].as_f64().unwrap()), (200, before["now"].as_f64().unwrap() + 298.5));
    assert_eq!(ask(local.initiate_session(&token)).await.status, 200);
    for wrong in [
        json!({"seconds": -1}),
        json!({"seconds": "1"}),
        json!({"seconds": 1e300}),
        json!({}),
        json!({"seconds": 1, "x": 2}),
    ] {
        let (status, body) = local.control(Method::POST, "advance", wrong.clone()).await;
        assert!(status == 400 && body["message"].is_string(), "{wrong}");
    }
}

#[tokio::test]
async fn faults_are_planned_listed_and_taken_back() {
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
        let plan = json!({"operation": "pay.authorize", "fault": fault, "times": 2});
        let planned = json!({"operation": "pay.authorize", "fault": fault, "times": 2, "always": false});
        assert_eq!(local.control(Method::POST, "faults", plan).await, (200, planned.clone()));
        let (_, listed) = local.control(Method::GET, "faults", Value::Null).await;
        assert_eq!(listed, json!([planned]));
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
    assert_eq!(ask(local.pay_authorize()).await.status, 503);
    assert_eq!(ask(local.pay_authorize()).await.status, 200);
}

#[tokio::test]
async fn settings_are_changed_all_or_none() {
    let local = local().await;
    let (status, config) = local
        .control(Method::PATCH, "config", json!({"pay": {"token_seconds": 599}, "outbound": {"end_user": "agrees"}}))
        .await;
    assert_eq!(
        (status, &config["pay"]["token_seconds"], &config["outbound"]["end_user"]),
        (200, &json!(599), &json!("agrees"))
    );
    assert_eq!(ask(local.pay_authorize()).await.body["expires_in"], 599);
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
async fn the_ledger_is_told() {
    let local = local().await;
    let token = local.session_token().await;
    ask(local.initiate_session(&token)).await;
    ask(local.get("/nothing")).await;
    let (_, requests) = local.control(Method::GET, "requests", Value::Null).await;
    let requests = requests["requests"].as_array().unwrap();
    assert_eq!(requests.len(), 3, "the control API is not in the ledger");
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
    let odd = local.post("/nothing").body(vec![0xff, b'a']);
    ask(odd).await;
    let (_, last) = local.control(Method::GET, "requests", Value::Null).await;
    assert_eq!(last["requests"][3]["base64"], "/2E=");

    let (_, counts) = local.control(Method::GET, "counts", Value::Null).await;
    assert_eq!((&counts["requests"], &counts["operations"]["pay.authorize"]), (&json!(4), &json!(1)));
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
    assert_eq!((&found["requests"], &found["revoked"]), (&json!(1), &Value::Null));
}

#[tokio::test]
async fn a_hold_is_waited_for_and_released() {
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
async fn codes_are_issued_and_everything_is_reset() {
    let local = local().await;
    let (_, code) = local.control(Method::POST, "codes", json!({"redirect_uri": "https://app.example/"})).await;
    assert_eq!(ask(local.exchange_code(code["code"].as_str().unwrap(), "https://app.example/")).await.status, 200);
    ask(local.exchange_code(OUTBOUND_CODE, OUTBOUND_REDIRECT_URI)).await;
    assert_eq!(local.control(Method::POST, "reset", Value::Null).await.0, 200);
    assert_eq!(ask(local.exchange_code(OUTBOUND_CODE, OUTBOUND_REDIRECT_URI)).await.status, 200);
    assert_eq!(local.control(Method::POST, "release", Value::Null).await.0, 200);
    for (method, path) in [(Method::GET, "nothing"), (Method::GET, "reset"), (Method::PUT, "config")] {
        assert_eq!(local.control(method, path, Value::Null).await.0, 404);
    }
}

/// A page of a stranger's, in a browser on this machine, can send requests here; it must learn nothing and change nothing.
#[tokio::test]
async fn strangers_pages_are_refused() {
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
        let answer = ask(local.post("/__emulator/release").header(name, value)).await;
        assert_eq!(answer.status, status, "{name}: {value}");
    }
}
