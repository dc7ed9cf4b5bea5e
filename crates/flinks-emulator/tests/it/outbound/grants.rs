//! Tests for the three grants and their fields (O1).

use flinks_emulator::credentials::*;
use serde_json::{Value, json};

use super::names;
use crate::{Local, local, send};

#[tokio::test]
async fn o1_each_of_the_three_grants_accepts_only_its_own_fields() {
    let local = local().await;
    let code =
        json!({"grant_type": "authorization_code", "code": OUTBOUND_CODE, "redirect_uri": OUTBOUND_REDIRECT_URI});
    let refresh = json!({"grant_type": "refresh_token", "refresh_token": OUTBOUND_REFRESH_TOKEN});
    let client = json!({"grant_type": "client_credentials"});
    let with = |mut body: Value, field: &str, value: Value| {
        body[field] = value;
        body
    };
    for (body, error) in [
        (json!({}), "invalid_request"),
        (json!([]), "invalid_request"),
        (json!({"grant_type": 7}), "invalid_request"),
        (json!({"grant_type": "password"}), "unsupported_grant_type"),
        (json!({"grant_type": "refresh_token"}), "invalid_request"),
        (json!({"grant_type": "authorization_code", "code": OUTBOUND_CODE}), "invalid_request"),
        (with(client.clone(), "code", json!("x")), "invalid_request"),
        (with(client.clone(), "refresh_token", json!("x")), "invalid_request"),
        (with(client.clone(), "scope", json!("everything")), "invalid_scope"),
        (with(code.clone(), "refresh_token", json!("x")), "invalid_request"),
        (with(code.clone(), "scope", json!("client:admin")), "invalid_request"),
        (with(code.clone(), "code", Value::Null), "invalid_request"),
        (with(refresh.clone(), "redirect_uri", json!("x")), "invalid_request"),
        (with(refresh.clone(), "refresh_token", json!("x")), "invalid_grant"),
        (with(code.clone(), "code", json!(OUTBOUND_REFRESH_TOKEN)), "invalid_grant"),
    ] {
        let request =
            if body.is_object() { local.token(body.clone()) } else { local.post("/api/v1/token").json(&body) };
        let refused = send(request).await;
        assert_eq!(refused.error(), (400, error), "{body}");
        assert!(!refused.body["error_description"].as_str().unwrap().is_empty());
    }
    for (body, fields) in [
        (client.clone(), vec!["access_token", "expires_in", "token_type"]),
        (with(client, "scope", json!("client:admin")), vec!["access_token", "expires_in", "token_type"]),
        (code, vec!["access_token", "expires_in", "refresh_token", "token_type"]),
        (refresh, vec!["access_token", "expires_in", "token_type"]),
    ] {
        let response = send(local.token(body)).await;
        assert_eq!(response.status, 200);
        assert_eq!(names(&response.body), fields);
        assert_eq!(response.body["token_type"], "Bearer");
        assert_eq!(response.body["expires_in"], 299);
    }
}

/// Sends a request that must be refused with the error code `error`, and returns the error
/// description.
async fn refused(local: &Local, body: Value, error: &str) -> String {
    let refused = send(local.token(body.clone())).await;
    assert_eq!(refused.error(), (400, error), "{body}");
    refused.body["error_description"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn o1_a_refusal_names_the_field_but_no_value() {
    let local = local().await;
    let code = |field: &str, value: Value| {
        let mut body = json!({"grant_type": "authorization_code", "code": "canary-1", "redirect_uri": "canary-2"});
        body[field] = value;
        body
    };
    let refresh = |field: &str, value: Value| {
        let mut body = json!({"grant_type": "refresh_token", "refresh_token": "canary-1"});
        body[field] = value;
        body
    };
    let client = |field: &str| json!({"grant_type": "client_credentials", field: "canary-1"});
    for (body, description) in [
        (
            code("refresh_token", json!("canary")),
            "refresh_token belongs to the refresh_token grant, not to the authorization_code grant.",
        ),
        (
            code("scope", json!("canary")),
            "scope belongs to the client_credentials grant, not to the authorization_code grant.",
        ),
        (
            refresh("code", json!("canary")),
            "code belongs to the authorization_code grant, not to the refresh_token grant.",
        ),
        (
            refresh("redirect_uri", json!("")),
            "redirect_uri belongs to the authorization_code grant, not to the refresh_token grant.",
        ),
        (
            refresh("scope", json!("canary")),
            "scope belongs to the client_credentials grant, not to the refresh_token grant.",
        ),
        (client("code"), "code belongs to the authorization_code grant, not to the client_credentials grant."),
        (
            client("redirect_uri"),
            "redirect_uri belongs to the authorization_code grant, not to the client_credentials grant.",
        ),
        (
            client("refresh_token"),
            "refresh_token belongs to the refresh_token grant, not to the client_credentials grant.",
        ),
        (code("code", json!(["canary"])), "code must be a string."),
        (code("redirect_uri", json!({"canary": 1})), "redirect_uri must be a string."),
        (refresh("refresh_token", json!(7)), "refresh_token must be a string."),
        (refresh("scope", json!(["canary"])), "scope must be a string."),
        (refresh("grant_type", json!(true)), "grant_type must be a string."),
        (code("code", Value::Null), "code is missing: the authorization_code grant requires it."),
        (code("redirect_uri", Value::Null), "redirect_uri is missing: the authorization_code grant requires it."),
        (refresh("refresh_token", Value::Null), "refresh_token is missing: the refresh_token grant requires it."),
        (refresh("grant_type", Value::Null), "grant_type is missing."),
        (json!({}), "grant_type is missing."),
    ] {
        assert_eq!(refused(&local, body, "invalid_request").await, description);
    }
    let scope = refused(&local, client("scope"), "invalid_scope").await;
    assert_eq!(scope, "scope must be `client:admin` or absent.");
}

#[tokio::test]
async fn o1_the_error_names_a_duplicate_field() {
    let local = local().await;
    for (body, description) in [
        (r#"{"grant_type": "a", "grant_type": "canary"}"#, "grant_type appears twice."),
        (r#"{"code": null, "code": "canary"}"#, "code appears twice."),
        (r#"{"canary": 1, "canary": 2}"#, "An unknown field appears twice."),
    ] {
        let request = local.post("/api/v1/token").header("content-type", "application/json").body(body);
        let refused = send(request).await;
        assert_eq!(refused.error(), (400, "invalid_request"));
        assert_eq!(refused.body["error_description"], description);
    }
}

#[tokio::test]
async fn o1_null_counts_as_absent() {
    let local = local().await;
    let nulls = json!({
        "grant_type": "refresh_token", "refresh_token": OUTBOUND_REFRESH_TOKEN,
        "code": null, "redirect_uri": null, "scope": null,
    });
    assert_eq!(send(local.token(nulls)).await.status, 200);
    let nulls = json!({
        "grant_type": "authorization_code", "code": OUTBOUND_CODE, "redirect_uri": OUTBOUND_REDIRECT_URI,
        "refresh_token": null, "scope": null,
    });
    assert_eq!(send(local.token(nulls)).await.status, 200);
    let nulls = json!({"grant_type": "client_credentials", "code": null, "refresh_token": null, "scope": null});
    assert_eq!(send(local.token(nulls)).await.status, 200);
    let basic = json!({"grant_type": "client_credentials", "client_id": null, "client_secret": null});
    let request = local.post("/api/v1/token").json(&basic).basic_auth(OUTBOUND_CLIENT_ID, Some(OUTBOUND_CLIENT_SECRET));
    assert_eq!(send(request).await.status, 200);
}

#[tokio::test]
async fn o1_whether_a_refresh_may_carry_a_scope_is_configurable() {
    let local = local().await;
    let with_scope =
        |scope: &str| json!({"grant_type": "refresh_token", "refresh_token": OUTBOUND_REFRESH_TOKEN, "scope": scope});
    let by_default = refused(&local, with_scope("ACCOUNT_BASIC"), "invalid_request").await;
    assert!(by_default.contains("scope"), "{by_default}");

    local.emulator.configure(|config| config.outbound.accept_scope_on_refresh = true);
    for scope in ["ACCOUNT_BASIC", "ACCOUNT_BASIC TRANSACTIONS"] {
        assert_eq!(send(local.token(with_scope(scope))).await.status, 200, "{scope}");
    }
    for scope in ["", "canary", "ACCOUNT_BASIC canary", "client:admin"] {
        let description = refused(&local, with_scope(scope), "invalid_scope").await;
        assert_eq!(description, "scope must contain only scopes that an end user can consent to.");
    }
    // `scope` is still refused when an authorization code is exchanged.
    let code = json!({
        "grant_type": "authorization_code", "code": OUTBOUND_CODE, "redirect_uri": OUTBOUND_REDIRECT_URI,
        "scope": "ACCOUNT_BASIC",
    });
    refused(&local, code, "invalid_request").await;
}
