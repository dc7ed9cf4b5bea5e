//! Rules O1-O10.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use flinks_emulator::credentials::*;
use flinks_emulator::{ClientAuthentication, EndUser, Kind};
use reqwest::Method;
use serde_json::{Value, json};

use crate::connect::{action, attribute, step};
use crate::{Local, ask, local, local_with};

const DAY: u64 = 24 * 60 * 60;

#[tokio::test]
async fn o1_three_grants_each_with_its_own_fields() {
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
        let request = match body.is_object() {
            true => local.token(body.clone()),
            false => local.post("/api/v1/token").json(&body),
        };
        let refused = ask(request).await;
        assert_eq!(refused.error(), (400, error), "{body}");
        assert!(!refused.body["error_description"].as_str().unwrap().is_empty());
    }
    for (body, fields) in [
        (client.clone(), vec!["access_token", "expires_in", "token_type"]),
        (with(client, "scope", json!("client:admin")), vec!["access_token", "expires_in", "token_type"]),
        (code, vec!["access_token", "expires_in", "refresh_token", "token_type"]),
        (refresh, vec!["access_token", "expires_in", "token_type"]),
    ] {
        let reply = ask(local.token(body)).await;
        assert_eq!(reply.status, 200);
        assert_eq!(names(&reply.body), fields);
        assert_eq!((&reply.body["token_type"], &reply.body["expires_in"]), (&json!("Bearer"), &json!(299)));
    }
}

/// The fields of an object, sorted: their order depends on a feature that other crates of the build may switch on.
fn names(object: &Value) -> Vec<&str> {
    let mut names: Vec<&str> = object.as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}

/// The description of a refusal with the code `error`.
async fn refused(local: &Local, body: Value, error: &str) -> String {
    let refused = ask(local.token(body.clone())).await;
    assert_eq!(refused.error(), (400, error), "{body}");
    refused.body["error_description"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn o1_a_refusal_names_the_field_and_no_value() {
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
            "refresh_token belongs to the grant refresh_token, not to authorization_code.",
        ),
        (code("scope", json!("canary")), "scope belongs to the grant client_credentials, not to authorization_code."),
        (refresh("code", json!("canary")), "code belongs to the grant authorization_code, not to refresh_token."),
        (
            refresh("redirect_uri", json!("")),
            "redirect_uri belongs to the grant authorization_code, not to refresh_token.",
        ),
        (refresh("scope", json!("canary")), "scope belongs to the grant client_credentials, not to refresh_token."),
        (client("code"), "code belongs to the grant authorization_code, not to client_credentials."),
        (client("redirect_uri"), "redirect_uri belongs to the grant authorization_code, not to client_credentials."),
        (client("refresh_token"), "refresh_token belongs to the grant refresh_token, not to client_credentials."),
        (code("code", json!(["canary"])), "code must be text."),
        (code("redirect_uri", json!({"canary": 1})), "redirect_uri must be text."),
        (refresh("refresh_token", json!(7)), "refresh_token must be text."),
        (refresh("scope", json!(["canary"])), "scope must be text."),
        (refresh("grant_type", json!(true)), "grant_type must be text."),
        (code("code", Value::Null), "code is missing: the grant authorization_code needs it."),
        (code("redirect_uri", Value::Null), "redirect_uri is missing: the grant authorization_code needs it."),
        (refresh("refresh_token", Value::Null), "refresh_token is missing: the grant refresh_token needs it."),
        (refresh("grant_type", Value::Null), "grant_type is missing."),
        (json!({}), "grant_type is missing."),
    ] {
        assert_eq!(refused(&local, body, "invalid_request").await, description);
    }
    let scope = refused(&local, client("scope"), "invalid_scope").await;
    assert_eq!(scope, "scope must be client:admin, or absent.");
}

#[tokio::test]
async fn o1_a_field_that_occurs_twice_is_named() {
    let local = local().await;
    for (body, description) in [
        (r#"{"grant_type": "a", "grant_type": "canary"}"#, "grant_type occurs twice."),
        (r#"{"code": null, "code": "canary"}"#, "code occurs twice."),
        (r#"{"canary": 1, "canary": 2}"#, "A field occurs twice, and its name is unknown."),
    ] {
        let request = local.post("/api/v1/token").header("content-type", "application/json").body(body);
        let refused = ask(request).await;
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
    assert_eq!(ask(local.token(nulls)).await.status, 200);
    let nulls = json!({
        "grant_type": "authorization_code", "code": OUTBOUND_CODE, "redirect_uri": OUTBOUND_REDIRECT_URI,
        "refresh_token": null, "scope": null,
    });
    assert_eq!(ask(local.token(nulls)).await.status, 200);
    let nulls = json!({"grant_type": "client_credentials", "code": null, "refresh_token": null, "scope": null});
    assert_eq!(ask(local.token(nulls)).await.status, 200);
    let basic = json!({"grant_type": "client_credentials", "client_id": null, "client_secret": null});
    let request = local.post("/api/v1/token").json(&basic).basic_auth(OUTBOUND_CLIENT_ID, Some(OUTBOUND_CLIENT_SECRET));
    assert_eq!(ask(request).await.status, 200);
}

#[tokio::test]
async fn o1_switch_whether_a_refresh_may_carry_a_scope() {
    let local = local().await;
    let with_scope =
        |scope: &str| json!({"grant_type": "refresh_token", "refresh_token": OUTBOUND_REFRESH_TOKEN, "scope": scope});
    let by_default = refused(&local, with_scope("ACCOUNT_BASIC"), "invalid_request").await;
    assert!(by_default.contains("scope"), "{by_default}");

    local.emulator.configure(|config| config.outbound.accept_scope_on_refresh = true);
    for scope in ["ACCOUNT_BASIC", "ACCOUNT_BASIC TRANSACTIONS"] {
        assert_eq!(ask(local.token(with_scope(scope))).await.status, 200, "{scope}");
    }
    for scope in ["", "canary", "ACCOUNT_BASIC canary", "client:admin"] {
        let description = refused(&local, with_scope(scope), "invalid_scope").await;
        assert_eq!(description, "scope must hold scopes that an end user can agree to.");
    }
    // With a code, it stays refused.
    let code = json!({
        "grant_type": "authorization_code", "code": OUTBOUND_CODE, "redirect_uri": OUTBOUND_REDIRECT_URI,
        "scope": "ACCOUNT_BASIC",
    });
    refused(&local, code, "invalid_request").await;
}

#[tokio::test]
async fn o2_a_refused_client_learns_which_field_is_the_reason() {
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
            "client_id and client_secret are in the body as well as in Authorization: only one is allowed.",
        ),
    ] {
        let refused = ask(request).await;
        assert_eq!(refused.error(), (400, "invalid_client"));
        assert_eq!(refused.body["error_description"], description);
    }
}

#[tokio::test]
async fn o2_switch_how_a_client_authenticates_itself() {
    use ClientAuthentication::{Basic, Fields, FieldsOrBasic, None};
    let (id, secret) = ("dc-é:1", "s & =+%é");
    // What RFC 6749, 2.3.1 says: each is form-encoded before it goes into Basic.
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
            assert_eq!(ask(request).await.error(), expected, "{switch:?}");
        }
    }
}

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
async fn o7_switch_the_status_of_invalid_client() {
    let local = local_with(|config| config.outbound.invalid_client_status = 401).await;
    let refused = ask(local.post("/api/v1/token").json(&json!({"grant_type": "client_credentials"}))).await;
    assert_eq!(refused.error(), (401, "invalid_client"));
    assert_eq!(ask(local.token(json!({}))).await.error(), (400, "invalid_request"));
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

const AUTHORIZE: [(&str, &str); 6] = [
    ("client_id", OUTBOUND_CLIENT_ID),
    ("redirect_uri", "https://app.example/back?a=1"),
    ("state", "s &=é"),
    ("response_type", "code"),
    ("scope", "ACCOUNT_BASIC TRANSACTIONS"),
    ("provider_id", OUTBOUND_PROVIDER_ID),
];

fn authorize(local: &Local, name: &str, value: &str) -> reqwest::RequestBuilder {
    let changed = AUTHORIZE.map(|(key, old)| (key, if key == name { value } else { old }));
    local.get("/api/v1/authorize").query(&changed)
}

#[tokio::test]
async fn o10_the_end_user_is_asked_and_comes_back_with_a_code_and_the_state() {
    let local = local().await;
    for (decision, is_agreed) in [("agree", true), ("refuse", false)] {
        let page = ask(authorize(&local, "", "")).await.body;
        let text = page.as_str().unwrap();
        assert!(text.contains("TRANSACTIONS"));
        assert!(text.contains("app.example"));
        let form = action(&page);
        assert_eq!(ask(local.post(&form).form(&[("decision", "perhaps")])).await.status, 400);
        let back = ask(local.post(&form).form(&[("decision", decision)])).await;
        assert_eq!(back.status, 303);
        assert_eq!(back.parameter("state").as_deref(), Some("s &=é"));
        assert_eq!(back.parameter("a").as_deref(), Some("1"));
        assert_eq!(back.parameter("error").as_deref(), (!is_agreed).then_some("access_denied"));
        if let Some(code) = back.parameter("code") {
            assert!(is_agreed);
            assert_eq!(ask(local.exchange_code(&code, "https://app.example/back?a=1")).await.status, 200);
        }
    }
}

/// The codes that were issued, without the first one of the emulator.
fn codes(local: &Local) -> Vec<String> {
    let issued = local.emulator.issued().into_iter().filter(|issued| issued.kind == Kind::Code);
    issued.map(|issued| issued.value).filter(|code| code != OUTBOUND_CODE).collect()
}

#[tokio::test]
async fn o10_back_and_reload_of_the_consent_page_issue_no_second_code() {
    let local = local().await;
    let page = ask(authorize(&local, "", "")).await.body;
    let address = attribute(&page, "data-address").unwrap();
    assert_eq!(address, action(&page), "the browser goes on at the address of the visit");
    let reloaded = ask(local.get(&address)).await;
    assert_eq!(reloaded.status, 200);
    assert_eq!(action(&reloaded.body), address);
    assert!(reloaded.body.as_str().unwrap().contains("TRANSACTIONS"));

    let step = step(&page);
    let agree = [("step", &*step), ("decision", "agree")];
    let landing = ask(local.post(&address).form(&agree)).await.location.unwrap();
    local.decision_stands(&address, &landing, [&agree, &[("step", &*step), ("decision", "refuse")]]).await;
    assert_eq!(codes(&local).len(), 1);

    // A later visit gets another code. Its landing has exactly one, even if its redirect URI is the earlier landing.
    let page = ask(authorize(&local, "redirect_uri", &landing)).await.body;
    let next = ask(local.post(&action(&page)).form(&[("decision", "agree")])).await;
    let code = next.parameter("code");
    assert_eq!(codes(&local).last(), code.as_ref());
    assert_eq!(next.parameter("state").as_deref(), Some("s &=é"));
    assert_eq!(next.parameter("a").as_deref(), Some("1"));
    assert_eq!(codes(&local).len(), 2);
}

#[tokio::test]
async fn o10_a_refusal_stands_when_agreement_is_sent_after_it() {
    let local = local().await;
    let form = action(&ask(authorize(&local, "", "")).await.body);
    let landing = ask(local.post(&form).form(&[("decision", "refuse")])).await.location;
    assert_eq!(ask(local.post(&form).form(&[("decision", "agree")])).await.location, landing);
    assert_eq!(codes(&local), Vec::<String>::new());
}

/// A stray key press must not grant anything.
#[tokio::test]
async fn o10_nothing_is_focused_on_the_consent_page() {
    let local = local().await;
    let page = ask(authorize(&local, "", "")).await.body;
    assert!(!page.as_str().unwrap().contains("autofocus"), "{page}");
}

#[tokio::test]
async fn o10_a_mistake_goes_back_as_an_error_unless_the_address_cannot_be_trusted() {
    let local = local_with(|config| config.outbound.end_user = EndUser::Agrees).await;
    assert!(ask(authorize(&local, "", "")).await.parameter("code").is_some());
    for (name, value, error) in [
        ("response_type", "token", "unsupported_response_type"),
        ("scope", "TRANSACTIONS", "invalid_scope"),
        ("scope", "ACCOUNT_BASIC everything", "invalid_scope"),
        ("scope", "", "invalid_scope"),
        ("provider_id", "1", "invalid_request"),
    ] {
        let back = ask(authorize(&local, name, value)).await;
        assert_eq!(
            (back.parameter("error").as_deref(), back.parameter("state").as_deref()),
            (Some(error), Some("s &=é"))
        );
        assert_eq!(back.parameter("code"), None);
    }
    for (name, value) in [
        ("client_id", "another"),
        ("redirect_uri", ""),
        ("redirect_uri", "app.example"),
        ("redirect_uri", "javascript:1"),
        ("redirect_uri", "https://app.example/#x"),
    ] {
        let refused = ask(authorize(&local, name, value)).await;
        assert_eq!((refused.status, refused.location), (400, None), "{name}={value}");
        assert!(refused.body.as_str().unwrap().contains(name), "{name}={value}: {}", refused.body);
    }
    local.emulator.configure(|config| config.outbound.redirect_uris = vec!["https://app.example/other".to_owned()]);
    assert_eq!(ask(authorize(&local, "", "")).await.status, 400);
    assert_eq!(ask(authorize(&local, "redirect_uri", "https://app.example/other")).await.status, 302);
    local.emulator.configure(|config| config.outbound.end_user = EndUser::Refuses);
    let refused = ask(authorize(&local, "redirect_uri", "https://app.example/other")).await;
    assert_eq!(refused.parameter("error").as_deref(), Some("access_denied"));
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
