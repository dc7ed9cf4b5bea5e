//! Tests for client authentication (O2) and for the response status of a refused request.

use flinks_emulator::ClientAuthentication;
use flinks_emulator::credentials::*;
use serde_json::json;

use crate::{local, local_with, send};

#[tokio::test]
async fn o2_the_error_of_a_refused_client_names_the_wrong_field() {
    let local = local().await;
    let grant = |id: Option<&str>, secret: Option<&str>| {
        let body = json!({"grant_type": "client_credentials", "client_id": id, "client_secret": secret});
        local.post("/api/v1/token").json(&body)
    };
    let (id, secret) = (Some(OUTBOUND_CLIENT_ID), Some(OUTBOUND_CLIENT_SECRET));
    for (request, description) in [
        (grant(id, None), "client_secret is missing."),
        (grant(None, secret), "client_id is missing."),
        (grant(None, None), "client_id and client_secret are missing."),
        (grant(id, Some("canary")), "client_id or client_secret is wrong."),
        (grant(Some("canary"), secret), "client_id or client_secret is wrong."),
        (grant(None, None).basic_auth("canary", secret), "client_id or client_secret is wrong."),
        (
            grant(id, secret).basic_auth(OUTBOUND_CLIENT_ID, secret),
            "The client credentials must be either in the body or in Authorization, but not in both.",
        ),
    ] {
        let refused = send(request).await;
        assert_eq!(refused.error(), (400, "invalid_client"));
        assert_eq!(refused.body["error_description"], description);
    }
}

#[tokio::test]
async fn o2_client_authentication_is_configurable() {
    use ClientAuthentication::{Basic, Fields, FieldsOrBasic, None};
    let (id, secret) = ("dc-é:1", "s & =+%é");
    // According to RFC 6749, section 2.3.1, each value is form-encoded before it becomes part of
    // the Basic credentials.
    let encoded = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    for (switch, fields, basic, none) in [
        (FieldsOrBasic, true, true, false),
        (Fields, true, false, false),
        (Basic, false, true, false),
        (None, false, false, true),
    ] {
        let local = local_with(|config| {
            config.outbound.client_id = id.into();
            config.outbound.client_secret = secret.into();
            config.outbound.client_authentication = switch;
        })
        .await;
        let grant = json!({"grant_type": "client_credentials"});
        let in_fields = json!({"grant_type": "client_credentials", "client_id": id, "client_secret": secret});
        let bare = || local.post("/api/v1/token").json(&grant);
        let both = local.post("/api/v1/token").json(&in_fields).basic_auth(encoded(id), Some(encoded(secret)));
        for (request, is_accepted) in [
            (local.post("/api/v1/token").json(&in_fields), fields),
            (bare().basic_auth(encoded(id), Some(encoded(secret))), basic),
            (bare(), none),
            (both, false),
            (bare().basic_auth(encoded(id), Some("wrong")), false),
            (bare().basic_auth(encoded(id), Some(format!("{}&x", encoded(secret)))), false),
            (bare().bearer_auth("x"), false),
            (local.post("/api/v1/token").json(&json!({"grant_type": "client_credentials", "client_id": id})), false),
        ] {
            let expected = if is_accepted { (200, "") } else { (400, "invalid_client") };
            assert_eq!(send(request).await.error(), expected, "{switch:?}");
        }
    }
}

#[tokio::test]
async fn o7_the_status_of_invalid_client_is_configurable() {
    let local = local_with(|config| config.outbound.invalid_client_status = 401).await;
    let refused = send(local.post("/api/v1/token").json(&json!({"grant_type": "client_credentials"}))).await;
    assert_eq!(refused.error(), (401, "invalid_client"));
    assert_eq!(send(local.token(json!({}))).await.error(), (400, "invalid_request"));
}
