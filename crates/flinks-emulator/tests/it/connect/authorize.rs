//! `/Authorize`: a token for a login without a page (C6).

use flinks_emulator::credentials::*;
use serde_json::{Value, json};

use crate::{Local, ask, local, local_with};

fn direct(username: &str, password: &str) -> Value {
    json!({"Institution": BANK, "Username": username, "Password": password, "MostRecentCached": false, "Save": true})
}

#[tokio::test]
async fn c6_200_with_a_login() {
    let local = local().await;
    let connected = local.authorize_afresh(&direct(BANK_USER_NO_MFA, BANK_PASSWORD)).await;
    let body = &connected.body;
    assert_eq!((connected.status, &body["HttpStatusCode"], &body["Institution"]), (200, &json!(200), &json!(BANK)));
    assert_eq!((&body["InstitutionId"], &body["Login"]["Username"]), (&json!(BANK_ID), &json!(BANK_USER_NO_MFA)));
    let last_refresh = body["Login"]["LastRefresh"].as_str().unwrap();
    assert!(last_refresh.len() == 26 && !last_refresh.ends_with('Z'), "{last_refresh}");
    for live in [false, true] {
        let again = json!({"LoginId": body["Login"]["Id"], "MostRecentCached": !live});
        assert_eq!(local.authorize_afresh(&again).await.status, 200);
    }
    let mut unsaved = direct(BANK_USER_NO_MFA, BANK_PASSWORD);
    unsaved["Save"] = json!(false);
    let id = local.authorize_afresh(&unsaved).await.body["Login"]["Id"].clone();
    let answer = local.authorize_afresh(&json!({"LoginId": id, "MostRecentCached": true})).await;
    assert_eq!(answer.code(), (401, "INVALID_LOGIN"));
}

#[tokio::test]
async fn c6_203_asks_and_each_answer_leads_on() {
    let local = local().await;
    let mut asked = local.authorize_afresh(&direct(BANK_USER, BANK_PASSWORD)).await;
    let request_id = asked.text("RequestId");
    let answering = |prompt: &Value, answers: Value| {
        let prompt = prompt.as_str().unwrap();
        json!({"RequestId": request_id, "SecurityResponses": {prompt: answers}})
    };
    for (right, choices) in [("Montreal", 0), ("Canada", 0), ("Triangle", 3)] {
        assert_eq!((asked.status, &asked.body["HttpStatusCode"]), (203, &json!(203)));
        let challenge = &asked.body["SecurityChallenges"][0];
        assert_eq!(challenge["Iterables"].as_array().map_or(0, Vec::len), choices);
        let prompt = challenge["Prompt"].clone();
        for (body, code) in [
            (answering(&prompt, json!(["wrong"])), "INVALID_SECURITY_RESPONSE"),
            (answering(&json!("Another?"), json!([right])), "QUESTION_NOT_FOUND"),
            (answering(&prompt, json!([])), "SECURITYRESPONSES_INCOMPLETE"),
        ] {
            assert_eq!(local.authorize_afresh(&body).await.code(), (401, code));
        }
        asked = local.authorize_afresh(&answering(&prompt, json!([right]))).await;
    }
    assert_eq!((asked.status, asked.text("RequestId")), (200, request_id.clone()));
    let over = local.authorize_afresh(&answering(&json!("x"), json!(["y"]))).await;
    assert_eq!(over.code(), (400, "SESSION_NONEXISTENT"));

    let asked = local.authorize_afresh(&direct(BANK_USER, BANK_PASSWORD)).await;
    local.advance(1800);
    let late = json!({"RequestId": asked.body["RequestId"], "SecurityResponses": {"x": ["y"]}});
    assert_eq!(local.authorize_afresh(&late).await.code(), (401, "SESSION_EXPIRED"));
}

#[tokio::test]
async fn c6_errors_are_told_apart_by_their_code() {
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
        let answer = local.authorize_afresh(&body).await;
        assert_eq!(answer.code(), expected, "{body}");
        assert_eq!(answer.body["HttpStatusCode"], expected.0);
    }
    let details = local.authorize_afresh(&json!({"Save": 1, "Tag": 2})).await.body["ValidationDetails"].clone();
    assert_eq!(details.as_object().unwrap().keys().collect::<Vec<_>>(), ["Save", "Tag"]);
}

#[tokio::test]
async fn c6_validation_details_name_the_fields_and_no_value() {
    let local = local().await;
    let mine = CONNECT_LOGIN_ID;
    for (body, fields) in [
        (json!({"LoginId": "canary"}), vec!["LoginId"]),
        (json!({"LoginId": 7, "Save": "canary", "Language": "canary"}), vec!["Language", "LoginId", "Save"]),
        (json!({"LoginId": mine, "Institution": BANK}), vec!["Institution"]),
        (json!({"LoginId": mine, "Username": "canary", "Password": "canary"}), vec!["Password", "Username"]),
        (json!({"Institution": BANK, "Username": "canary"}), vec!["Password"]),
        (json!({"Institution": BANK, "Username": null, "Password": "canary"}), vec!["Username"]),
        (json!({"Institution": "canary", "Username": "a", "Password": "b"}), vec!["Institution"]),
        (json!({"Save": true}), vec!["Institution", "LoginId", "Password", "Username"]),
        (json!({}), vec!["Institution", "LoginId", "Password", "Username"]),
        (json!({"RequestId": mine}), vec!["SecurityResponses"]),
        (json!({"RequestId": mine, "SecurityResponses": null}), vec!["SecurityResponses"]),
        (json!({"SecurityResponses": {"canary": ["canary"]}}), vec!["RequestId"]),
        (json!({"RequestId": mine, "SecurityResponses": {"canary": null}}), vec!["SecurityResponses"]),
    ] {
        let refused = local.authorize_afresh(&body).await;
        assert_eq!(refused.code(), (400, "INVALID_REQUEST"), "{body}");
        let mut named: Vec<&String> = refused.body["ValidationDetails"].as_object().unwrap().keys().collect();
        named.sort();
        assert_eq!(named, fields, "{body}");
        assert!(!refused.body.to_string().contains("canary"), "{}", refused.body);
    }
    let twice = format!(r#"{{"LoginId": "{CONNECT_LOGIN_ID}", "LoginId": "{CONNECT_LOGIN_ID}"}}"#);
    let token = local.authorize_token().await;
    let request = local.connect("Authorize", &token).header("content-type", "application/json").body(twice);
    assert_eq!(ask(request).await.body["ValidationDetails"], json!({"LoginId": ["must occur once"]}));
}

#[tokio::test]
async fn c6_null_counts_as_absent() {
    let local = local().await;
    let nulls = json!({
        "LoginId": CONNECT_LOGIN_ID, "MostRecentCached": true, "Save": null, "Language": null, "Tag": null,
        "Institution": null, "Username": null, "Password": null, "RequestId": null, "SecurityResponses": null,
    });
    assert_eq!(local.authorize_afresh(&nulls).await.status, 200);
    let mut login = direct(BANK_USER_NO_MFA, BANK_PASSWORD);
    login["LoginId"] = Value::Null;
    assert_eq!(local.authorize_afresh(&login).await.status, 200);
}

/// Whether a token is still good after `body` was sent with it.
async fn survives(local: &Local, token: &str, body: &Value) -> bool {
    ask(local.authorize(token, body)).await;
    let good = json!({"LoginId": CONNECT_LOGIN_ID, "MostRecentCached": true});
    ask(local.authorize(token, &good)).await.status == 200
}

#[tokio::test]
async fn switch_whether_a_failed_authorize_spends_its_token() {
    for spends in [true, false] {
        let local = local_with(|config| config.connect.failed_authorize_spends_token = spends).await;
        for failing in [direct(BANK_USER, "wrong"), json!({}), json!({"LoginId": "x"})] {
            assert_eq!(survives(&local, &local.authorize_token().await, &failing).await, !spends, "{failing}");
        }
        // A challenge is not a failure.
        let asked = direct(BANK_USER, BANK_PASSWORD);
        assert!(!survives(&local, &local.authorize_token().await, &asked).await);
    }
}

#[tokio::test]
async fn switch_whether_an_mfa_answer_spends_a_token() {
    for spends in [true, false] {
        let local = local_with(|config| config.connect.mfa_answer_spends_token = spends).await;
        let first = local.authorize_token().await;
        let asked = ask(local.authorize(&first, &direct(BANK_USER, BANK_PASSWORD))).await.body;
        let prompt = asked["SecurityChallenges"][0]["Prompt"].as_str().unwrap();
        let answer = json!({"RequestId": asked["RequestId"], "SecurityResponses": {prompt: ["Montreal"]}});
        let with_first = ask(local.authorize(&first, &answer)).await;
        assert_eq!(with_first.status, if spends { 401 } else { 203 });

        let other = local.authorize_token().await;
        let prompt = "What is the best country?";
        let next = json!({"RequestId": asked["RequestId"], "SecurityResponses": {prompt: ["Canada"]}});
        let body = if spends { &answer } else { &next };
        assert_eq!(ask(local.authorize(&other, body)).await.status, 203);
        // A spent token that did not begin it is refused either way.
        let stranger = local.authorize_token().await;
        assert!(!survives(&local, &stranger, &json!({"LoginId": CONNECT_LOGIN_ID, "MostRecentCached": true})).await);
        assert_eq!(ask(local.authorize(&stranger, &next)).await.code(), (401, "ACCESS_DENIED"));
        // The token that began the session is accepted again, even after another token has
        // answered.
        let prompt = "What shape do you like?";
        let last = json!({"RequestId": asked["RequestId"], "SecurityResponses": {prompt: ["Triangle"]}});
        assert_eq!(ask(local.authorize(&first, &last)).await.status, if spends { 401 } else { 200 });
        let good = json!({"LoginId": CONNECT_LOGIN_ID, "MostRecentCached": true});
        assert_eq!(ask(local.authorize(&other, &good)).await.status == 200, !spends);
        assert_eq!(ask(local.authorize(&first, &good)).await.status, 401, "the first is spent either way");
    }
}
