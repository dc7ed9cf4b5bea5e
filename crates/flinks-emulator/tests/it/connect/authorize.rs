//! Tests for `/Authorize`, which logs an end user in to the bank without a page (C6).

use flinks_emulator::credentials::*;
use serde_json::{Value, json};

use crate::{Local, local, local_with, send};

fn direct(username: &str, password: &str) -> Value {
    json!({"Institution": BANK, "Username": username, "Password": password, "MostRecentCached": false, "Save": true})
}

#[tokio::test]
async fn c6_a_200_response_contains_a_login() {
    let local = local().await;
    let connected = local.authorize_with_new_token(&direct(BANK_USER_NO_MFA, BANK_PASSWORD)).await;
    let body = &connected.body;
    assert_eq!(connected.status, 200);
    assert_eq!(body["HttpStatusCode"], 200);
    assert_eq!(body["Institution"], BANK);
    assert_eq!(body["InstitutionId"], BANK_ID);
    assert_eq!(body["Login"]["Username"], BANK_USER_NO_MFA);
    let last_refresh = body["Login"]["LastRefresh"].as_str().unwrap();
    assert_eq!(last_refresh.len(), 26, "{last_refresh}");
    assert!(!last_refresh.ends_with('Z'), "{last_refresh}");
    for live in [false, true] {
        let again = json!({"LoginId": body["Login"]["Id"], "MostRecentCached": !live});
        assert_eq!(local.authorize_with_new_token(&again).await.status, 200);
    }
    let mut unsaved = direct(BANK_USER_NO_MFA, BANK_PASSWORD);
    unsaved["Save"] = json!(false);
    let id = local.authorize_with_new_token(&unsaved).await.body["Login"]["Id"].clone();
    let response = local.authorize_with_new_token(&json!({"LoginId": id, "MostRecentCached": true})).await;
    assert_eq!(response.code(), (401, "INVALID_LOGIN"));
}

#[tokio::test]
async fn c6_a_203_response_follows_until_every_question_is_answered() {
    let local = local().await;
    let mut asked = local.authorize_with_new_token(&direct(BANK_USER, BANK_PASSWORD)).await;
    let request_id = asked.text("RequestId");
    let answering = |prompt: &Value, answers: Value| {
        let prompt = prompt.as_str().unwrap();
        json!({"RequestId": request_id, "SecurityResponses": {prompt: answers}})
    };
    for (right, choices) in [("Montreal", 0), ("Canada", 0), ("Triangle", 3)] {
        assert_eq!(asked.status, 203);
        assert_eq!(asked.body["HttpStatusCode"], 203);
        let challenge = &asked.body["SecurityChallenges"][0];
        assert_eq!(challenge["Iterables"].as_array().map_or(0, Vec::len), choices);
        let prompt = challenge["Prompt"].clone();
        for (body, code) in [
            (answering(&prompt, json!(["wrong"])), "INVALID_SECURITY_RESPONSE"),
            (answering(&json!("Another?"), json!([right])), "QUESTION_NOT_FOUND"),
            (answering(&prompt, json!([])), "SECURITYRESPONSES_INCOMPLETE"),
        ] {
            assert_eq!(local.authorize_with_new_token(&body).await.code(), (401, code));
        }
        asked = local.authorize_with_new_token(&answering(&prompt, json!([right]))).await;
    }
    assert_eq!(asked.status, 200);
    assert_eq!(asked.text("RequestId"), request_id);
    let after_the_end = local.authorize_with_new_token(&answering(&json!("x"), json!(["y"]))).await;
    assert_eq!(after_the_end.code(), (400, "SESSION_NONEXISTENT"));

    let asked = local.authorize_with_new_token(&direct(BANK_USER, BANK_PASSWORD)).await;
    local.advance(1800);
    let late = json!({"RequestId": asked.body["RequestId"], "SecurityResponses": {"x": ["y"]}});
    assert_eq!(local.authorize_with_new_token(&late).await.code(), (401, "SESSION_EXPIRED"));
}

#[tokio::test]
async fn c6_errors_are_distinguished_by_their_code() {
    let local = local().await;
    for (body, expected) in [
        (direct("nobody", BANK_PASSWORD), (401, "INVALID_USERNAME")),
        (direct(BANK_USER, "wrong"), (401, "INVALID_PASSWORD")),
        (direct(BANK_USER_DISABLED, BANK_PASSWORD), (401, "DISABLED_LOGIN")),
        (direct(BANK_USER_UNAVAILABLE, BANK_PASSWORD), (401, "RETRY_LATER")),
        (json!({"LoginId": "00000000-0000-4000-8000-000000000009"}), (401, "INVALID_LOGIN")),
        (json!({"LoginId": "your-login-id"}), (400, "INVALID_REQUEST")),
        (json!({"Institution": "Another", "Username": "a", "Password": "b"}), (400, "INVALID_REQUEST")),
        (json!({"Institution": BANK, "Username": BANK_USER}), (400, "INVALID_REQUEST")),
        (json!({"LoginId": CONNECT_LOGIN_ID, "Save": "true"}), (400, "INVALID_REQUEST")),
        (json!({"LoginId": CONNECT_LOGIN_ID, "Language": "de"}), (400, "INVALID_REQUEST")),
        (json!({"RequestId": CONNECT_LOGIN_ID}), (400, "INVALID_REQUEST")),
        (json!({}), (400, "INVALID_REQUEST")),
        (json!([]), (400, "INVALID_REQUEST")),
    ] {
        let response = local.authorize_with_new_token(&body).await;
        assert_eq!(response.code(), expected, "{body}");
        assert_eq!(response.body["HttpStatusCode"], expected.0);
    }
    let details = local.authorize_with_new_token(&json!({"Save": 1, "Tag": 2})).await.body["ValidationDetails"].clone();
    assert_eq!(details.as_object().unwrap().keys().collect::<Vec<_>>(), ["Save", "Tag"]);
}

#[tokio::test]
async fn c6_validation_details_name_the_fields_but_no_value() {
    let local = local().await;
    let login_id = CONNECT_LOGIN_ID;
    for (body, fields) in [
        (json!({"LoginId": "canary"}), vec!["LoginId"]),
        (json!({"LoginId": 7, "Save": "canary", "Language": "canary"}), vec!["Language", "LoginId", "Save"]),
        (json!({"LoginId": login_id, "Institution": BANK}), vec!["Institution"]),
        (json!({"LoginId": login_id, "Username": "canary", "Password": "canary"}), vec!["Password", "Username"]),
        (json!({"Institution": BANK, "Username": "canary"}), vec!["Password"]),
        (json!({"Institution": BANK, "Username": null, "Password": "canary"}), vec!["Username"]),
        (json!({"Institution": "canary", "Username": "a", "Password": "b"}), vec!["Institution"]),
        (json!({"Save": true}), vec!["Institution", "LoginId", "Password", "Username"]),
        (json!({}), vec!["Institution", "LoginId", "Password", "Username"]),
        (json!({"RequestId": login_id}), vec!["SecurityResponses"]),
        (json!({"RequestId": login_id, "SecurityResponses": null}), vec!["SecurityResponses"]),
        (json!({"SecurityResponses": {"canary": ["canary"]}}), vec!["RequestId"]),
        (json!({"RequestId": login_id, "SecurityResponses": {"canary": null}}), vec!["SecurityResponses"]),
    ] {
        let refused = local.authorize_with_new_token(&body).await;
        assert_eq!(refused.code(), (400, "INVALID_REQUEST"), "{body}");
        let mut named: Vec<&String> = refused.body["ValidationDetails"].as_object().unwrap().keys().collect();
        named.sort();
        assert_eq!(named, fields, "{body}");
        assert!(!refused.body.to_string().contains("canary"), "{}", refused.body);
    }
    let duplicate = format!(r#"{{"LoginId": "{CONNECT_LOGIN_ID}", "LoginId": "{CONNECT_LOGIN_ID}"}}"#);
    let token = local.authorize_token().await;
    let request = local.connect("Authorize", &token).header("content-type", "application/json").body(duplicate);
    assert_eq!(send(request).await.body["ValidationDetails"], json!({"LoginId": ["must appear exactly once"]}));
}

#[tokio::test]
async fn c6_null_counts_as_absent() {
    let local = local().await;
    let nulls = json!({
        "LoginId": CONNECT_LOGIN_ID, "MostRecentCached": true, "Save": null, "Language": null, "Tag": null,
        "Institution": null, "Username": null, "Password": null, "RequestId": null, "SecurityResponses": null,
    });
    assert_eq!(local.authorize_with_new_token(&nulls).await.status, 200);
    let mut login = direct(BANK_USER_NO_MFA, BANK_PASSWORD);
    login["LoginId"] = Value::Null;
    assert_eq!(local.authorize_with_new_token(&login).await.status, 200);
}

/// Sends `body` with a token and returns whether the token is still valid afterwards.
async fn is_valid_after(local: &Local, token: &str, body: &Value) -> bool {
    send(local.authorize(token, body)).await;
    let good = json!({"LoginId": CONNECT_LOGIN_ID, "MostRecentCached": true});
    send(local.authorize(token, &good)).await.status == 200
}

#[tokio::test]
async fn whether_a_failed_authorize_spends_its_token_is_configurable() {
    for spends in [true, false] {
        let local = local_with(|config| config.connect.failed_authorize_spends_token = spends).await;
        for failing in [direct(BANK_USER, "wrong"), json!({}), json!({"LoginId": "x"})] {
            assert_eq!(is_valid_after(&local, &local.authorize_token().await, &failing).await, !spends, "{failing}");
        }
        // A challenge is not a failure.
        let asked = direct(BANK_USER, BANK_PASSWORD);
        assert!(!is_valid_after(&local, &local.authorize_token().await, &asked).await);
    }
}

#[tokio::test]
async fn whether_an_mfa_answer_spends_a_token_is_configurable() {
    for spends in [true, false] {
        let local = local_with(|config| config.connect.mfa_answer_spends_token = spends).await;
        let first = local.authorize_token().await;
        let asked = send(local.authorize(&first, &direct(BANK_USER, BANK_PASSWORD))).await.body;
        let prompt = asked["SecurityChallenges"][0]["Prompt"].as_str().unwrap();
        let answer = json!({"RequestId": asked["RequestId"], "SecurityResponses": {prompt: ["Montreal"]}});
        let with_first = send(local.authorize(&first, &answer)).await;
        assert_eq!(with_first.status, if spends { 401 } else { 203 });

        let other = local.authorize_token().await;
        let prompt = "What is the best country?";
        let next = json!({"RequestId": asked["RequestId"], "SecurityResponses": {prompt: ["Canada"]}});
        let body = if spends { &answer } else { &next };
        assert_eq!(send(local.authorize(&other, body)).await.status, 203);
        // A spent token that did not start this login is refused with either setting.
        let unrelated = local.authorize_token().await;
        assert!(
            !is_valid_after(&local, &unrelated, &json!({"LoginId": CONNECT_LOGIN_ID, "MostRecentCached": true})).await
        );
        assert_eq!(send(local.authorize(&unrelated, &next)).await.code(), (401, "ACCESS_DENIED"));
        // If answers do not spend a token, the token that started the login is accepted again, even
        // after an answer was sent with another token.
        let prompt = "What shape do you like?";
        let last = json!({"RequestId": asked["RequestId"], "SecurityResponses": {prompt: ["Triangle"]}});
        assert_eq!(send(local.authorize(&first, &last)).await.status, if spends { 401 } else { 200 });
        let good = json!({"LoginId": CONNECT_LOGIN_ID, "MostRecentCached": true});
        assert_eq!(send(local.authorize(&other, &good)).await.status == 200, !spends);
        assert_eq!(
            send(local.authorize(&first, &good)).await.status,
            401,
            "the first token is spent with either setting"
        );
    }
}
