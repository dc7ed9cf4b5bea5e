//! Tests for Pay (rules P1 to P8).

use flinks_emulator::{Config, Emulator};
use serde_json::{Value, json};

use crate::{PAY_FORM, local, local_with, send};

#[tokio::test]
async fn p1_p6_anything_but_the_three_form_fields_gets_an_empty_400() {
    let local = local().await;
    assert_eq!(send(local.pay_authorize()).await.status, 200);

    let mut wrong = PAY_FORM;
    wrong[2].1 = "wrong";
    let [grant, username, password] = PAY_FORM;
    let path = "/api/v1/authorize";
    for request in [
        local.post(path).form(&wrong),
        local.post(path).form(&[grant, username]),
        local.post(path).form(&[grant, username, password, ("scope", "x")]),
        local.post(path).form(&[grant, username, password, password]),
        local.post(path).form(&[("grant_type", "password"), username, password]),
        local.post(path).form(&[grant, ("username", username.1), ("password", password.1)]),
        local.post(path).json(&json!({"grant_type": "client_credentials"})),
        local.post(path).basic_auth(username.1, Some(password.1)).form(&[grant]),
        local.post(path).form(&PAY_FORM).header("content-type", "text/plain"),
        local.post(path),
    ] {
        let response = send(request).await;
        assert_eq!(response.status, 400);
        assert_eq!(response.body, Value::Null);
    }
}

#[tokio::test]
async fn p2_the_response_states_the_token_type_and_the_lifetime() {
    let local = local().await;
    let body = send(local.pay_authorize()).await.body;
    assert_eq!(body["token_type"], "bearer");
    assert_eq!(body["expires_in"], 299);
    assert!(body["access_token"].as_str().unwrap().starts_with("emu_"));

    local.emulator.configure(|config| config.pay.token_seconds = 599);
    assert_eq!(send(local.pay_authorize()).await.body["expires_in"], 599);
}

#[tokio::test]
async fn p3_a_token_starts_one_session() {
    let local = local().await;
    let token = local.session_token().await;
    assert_eq!(send(local.initiate_session(&token)).await.text("referenceId"), "r-1");
    for _ in 0..2 {
        assert_eq!(send(local.initiate_session(&token)).await.status, 401);
    }
    assert_eq!(send(local.initiate_session(&local.session_token().await)).await.status, 200);
}

#[tokio::test]
async fn p4_a_token_expires_after_its_lifetime() {
    for (lifetime, age, status) in [(299, 298, 200), (299, 299, 401), (599, 598, 200), (599, 599, 401)] {
        let local = local_with(|config| config.pay.token_seconds = lifetime).await;
        let token = local.session_token().await;
        local.advance(age);
        assert_eq!(send(local.initiate_session(&token)).await.status, status, "{age} of {lifetime}");
    }
}

#[tokio::test]
async fn p5_each_response_has_a_different_token() {
    let local = local().await;
    let mut tokens = Vec::new();
    for _ in 0..20 {
        tokens.push(local.session_token().await);
    }
    tokens.sort();
    tokens.dedup();
    assert_eq!(tokens.len(), 20);
}

#[tokio::test]
async fn p8_a_token_leads_to_a_session_and_a_payment_request() {
    let local = local().await;
    let token = local.session_token().await;
    let session_id = send(local.initiate_session(&token)).await.text("sessionId");
    let create = |id: &str| local.post("/api/v1/paymentrequests").bearer_auth(&token).json(&json!({"sessionId": id}));
    let request_id = send(create(&session_id)).await.text("requestId");
    let get = |id: &str| local.get(&format!("/api/v1/paymentrequests/{id}"));
    let found = send(get(&request_id).bearer_auth(&token)).await.body;
    assert_eq!(
        (&found["requestId"], &found["sessionId"], &found["referenceId"], &found["amount"]),
        (&json!(request_id), &json!(session_id), &json!("r-1"), &json!(10.5))
    );
    assert_eq!(send(create("another")).await.status, 400);
    assert_eq!(send(get("another").bearer_auth(&token)).await.status, 404);

    let connect_token = local.authorize_token().await;
    for request in [
        get(&request_id),
        get(&request_id).bearer_auth(&connect_token),
        get(&request_id).header("flinks-auth-key", &token),
        get(&request_id).bearer_auth(&token).bearer_auth(&token),
    ] {
        assert_eq!(send(request).await.status, 401);
    }
    local.advance(299);
    assert_eq!(send(get(&request_id).bearer_auth(&token)).await.status, 401);
}

#[tokio::test]
async fn p8_the_header_that_carries_the_token_is_configurable() {
    let local = local_with(|config| config.pay.token_header = "X-Flinks-Token".to_owned()).await;
    let session = json!({"referenceId": "r-1", "amount": 1, "customerName": "A", "customerEmail": "a@example.com"});
    let start = || local.post("/api/v1/sessions/initiate").json(&session);

    // In the crate `flinks`, `SessionToken::into_authorization` creates a value with the first of
    // these schemes.
    for scheme in ["Bearer ", "bearer  ", ""] {
        let token = local.session_token().await;
        let value = format!("{scheme}{token}");
        let started = send(start().header("x-flinks-token", &value)).await;
        assert_eq!(started.status, 200, "{scheme:?}");
        let again = send(start().header("x-flinks-token", &value)).await;
        assert_eq!(again.status, 401, "{scheme:?}: a token starts one session");

        let body = json!({"sessionId": started.text("sessionId")});
        let create = local.post("/api/v1/paymentrequests").header("x-flinks-token", &value).json(&body);
        let request_id = send(create).await.text("requestId");
        let get = local.get(&format!("/api/v1/paymentrequests/{request_id}")).header("x-flinks-token", &value);
        assert_eq!(send(get).await.status, 200, "{scheme:?}");
    }

    let token = local.session_token().await;
    for request in [
        start(),
        start().bearer_auth(&token),
        start().header("x-flinks-token", format!("Basic {token}")),
        start().header("x-flinks-token", &token).header("x-flinks-token", &token),
    ] {
        let refused = send(request).await;
        assert_eq!(refused.status, 401);
        assert!(!refused.body.to_string().contains(&token), "{}", refused.body);
    }
    let refused = send(start().bearer_auth(&token)).await;
    assert_eq!(
        refused.body["message"],
        "x-flinks-token must contain a Pay session token and must appear exactly once."
    );
    assert_eq!(
        send(start().header("x-flinks-token", &token)).await.status,
        200,
        "no refused request has spent the token"
    );
}

/// According to Flinks' documentation, the scheme precedes the token in `Authorization`.
#[tokio::test]
async fn p8_the_authorization_header_requires_the_bearer_scheme() {
    for name in ["authorization", "Authorization"] {
        let local = local_with(|config| config.pay.token_header = name.to_owned()).await;
        let session = json!({"referenceId": "r-1", "amount": 1, "customerName": "A", "customerEmail": "a@example.com"});
        let token = local.session_token().await;
        let bare = local.post("/api/v1/sessions/initiate").json(&session).header("authorization", &token);
        assert_eq!(send(bare).await.status, 401, "{name}");
        assert_eq!(send(local.initiate_session(&token)).await.status, 200, "{name}");
    }
}

#[tokio::test]
async fn a_token_header_that_http_uses_itself_is_rejected() {
    for name in
        ["", "two words", "x:y", "é", "host", "Content-Type", "content-length", "Transfer-Encoding", "connection"]
    {
        let mut config = Config::default();
        config.pay.token_header = name.to_owned();
        let error = Emulator::start_with(config).await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput, "{name}");
        assert!(error.to_string().starts_with("`pay.token_header` must be"), "{error}");
    }
}

#[tokio::test]
async fn a_session_that_does_not_start_spends_no_token() {
    let local = local().await;
    let token = local.session_token().await;
    let good = json!({"referenceId": "r-1", "amount": 1, "customerName": "A", "customerEmail": "a@example.com"});
    let changed = |field: &str, value: Value| {
        let mut body = good.clone();
        body[field] = value;
        body
    };
    for body in [
        changed("referenceId", Value::Null),
        changed("amount", json!("1")),
        changed("amount", json!(0)),
        changed("customerName", json!("")),
        changed("customerEmail", json!(7)),
        json!([]),
    ] {
        let response = send(local.post("/api/v1/sessions/initiate").bearer_auth(&token).json(&body)).await;
        assert_eq!(response.status, 400, "{body}");
        assert!(response.body["message"].is_string(), "{body}");
    }
    assert_eq!(send(local.initiate_session(&token)).await.status, 200);
}

#[tokio::test]
async fn p8_a_refusal_names_the_field_but_no_value() {
    let local = local().await;
    let token = local.session_token().await;
    let good = json!({"referenceId": "r-1", "amount": 1, "customerName": "A", "customerEmail": "a@example.com"});
    for (field, wrong) in [
        ("referenceId", json!({"canary": 1})),
        ("referenceId", json!("canary".repeat(100))),
        ("amount", json!("canary")),
        ("customerName", json!(["canary"])),
        ("customerName", Value::Null),
        ("customerEmail", json!("")),
        ("customerEmail", Value::Null),
    ] {
        let mut body = good.clone();
        body[field] = wrong;
        let refused = send(local.post("/api/v1/sessions/initiate").bearer_auth(&token).json(&body)).await;
        assert_eq!(refused.status, 400, "{body}");
        let message = refused.body["message"].as_str().unwrap();
        let named: Vec<&str> = good.as_object().unwrap().keys().map(String::as_str).collect();
        let named: Vec<&str> = named.into_iter().filter(|name| message.contains(name)).collect();
        assert_eq!(named, [field], "{message}");
        assert!(!message.contains("canary"), "{message}");
    }
    let duplicate = r#"{"referenceId": "canary", "referenceId": "canary"}"#;
    let request =
        local.post("/api/v1/sessions/initiate").bearer_auth(&token).header("content-type", "application/json");
    assert_eq!(send(request.body(duplicate)).await.body["message"], "referenceId appears twice.");
    let without =
        send(local.post("/api/v1/paymentrequests").bearer_auth(&token).json(&json!({"sessionId": null}))).await;
    assert_eq!(without.status, 400);
    assert_eq!(without.body["message"], "sessionId must be the id of an existing session.");
}
