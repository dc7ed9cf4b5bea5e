//! Tests for `GetAccountsDetail` and polling for its result.

use flinks_emulator::credentials::*;
use flinks_emulator::{Config, Scenario};
use reqwest::RequestBuilder;
use serde_json::{Value, json};

use crate::{Local, ParsedResponse, local, local_with, send};

fn detail(local: &Local, request_id: &str) -> RequestBuilder {
    let path = format!("/v3/{CONNECT_CUSTOMER_ID}/BankingServices/GetAccountsDetail");
    local.post(&path).header("x-api-key", CONNECT_API_KEY).json(&json!({"RequestId": request_id}))
}

fn poll(local: &Local, request_id: &str) -> RequestBuilder {
    let path = format!("/v3/{CONNECT_CUSTOMER_ID}/BankingServices/GetAccountsDetailAsync/{request_id}");
    local.get(&path).header("x-api-key", CONNECT_API_KEY)
}

/// Starts a session and returns its `RequestId`.
async fn session(local: &Local, is_cached: bool) -> String {
    let body = json!({"LoginId": CONNECT_LOGIN_ID, "MostRecentCached": is_cached});
    local.authorize_with_new_token(&body).await.text("RequestId")
}

fn assert_has_accounts(response: &ParsedResponse, request_id: &str) {
    assert_eq!(response.status, 200, "{}", response.body);
    assert_eq!(response.body["RequestId"], request_id);
    assert_eq!(response.body["Login"]["Id"], CONNECT_LOGIN_ID);
    let accounts = response.body["Accounts"].as_array().unwrap();
    assert_eq!(accounts.len(), 2);
    assert_eq!(accounts[0]["Balance"]["Current"], 1234.56);
}

#[tokio::test]
async fn live_data_is_polled_until_it_is_ready() {
    let local = local_with(|config| config.connect.pending_replies = 3).await;
    let request_id = session(&local, false).await;
    let first = send(detail(&local, &request_id)).await;
    assert_eq!(first.status, 202);
    assert_eq!(first.body["HttpStatusCode"], 202);
    assert_eq!(first.body["FlinksCode"], "OPERATION_PENDING");
    assert_eq!(first.body["RequestId"], request_id);
    let link = first.body["Links"][0]["example"].as_str().unwrap().to_owned();
    for _ in 0..2 {
        assert_eq!(send(poll(&local, &request_id)).await.status, 202);
    }
    let ready = send(local.get(&link).header("x-api-key", CONNECT_API_KEY)).await;
    assert_has_accounts(&ready, &request_id);
    assert_has_accounts(&send(detail(&local, &request_id)).await, &request_id);
}

#[tokio::test]
async fn one_202_precedes_live_data_by_default_and_none_precedes_cached_data() {
    let local = local().await;
    let live = session(&local, false).await;
    assert_eq!(send(detail(&local, &live)).await.status, 202);
    assert_has_accounts(&send(poll(&local, &live)).await, &live);
    let cached = session(&local, true).await;
    assert_has_accounts(&send(detail(&local, &cached)).await, &cached);
}

/// The data is that of the scenario's user. Outbound returns the same data.
#[tokio::test]
async fn a_scenario_determines_the_accounts_and_the_transactions() {
    let local = local().await;
    let scenario = r#"
        [[bank]]
        name = "Example Bank"
        id = 7
        provider_id = "7"
        [[bank.user]]
        username = "someone"
        [[bank.user.account]]
        id = "a"
        type = "CREDITCARD"
        name = "Card"
        number = "42"
        balance = 100.3
        transaction = [
            { id = "old", posted = "2026-01-02T10:00:00Z", description = "Purchase", amount = -100.1 },
            { id = "new", posted = "2026-01-03T10:00:00Z", description = "Payment", amount = 50.2 },
        ]
    "#;
    local.emulator.load_scenario(&Scenario::parse(scenario).unwrap()).unwrap();
    let request_id = session(&local, true).await;
    let body = send(detail(&local, &request_id)).await.body;
    assert_eq!(body["Login"]["Username"], "someone");
    assert_eq!((&body["Institution"], &body["InstitutionId"]), (&json!("Example Bank"), &json!(7)));
    let [account] = body["Accounts"].as_array().unwrap().as_slice() else { panic!("{body}") };
    assert_eq!((&account["Type"], &account["Category"]), (&json!("CreditCard"), &json!("Credits")));
    assert_eq!(account["Balance"], json!({"Available": null, "Current": 100.3, "Limit": null}));
    let transaction = |id, date, description, debit: Option<f64>, credit: Option<f64>, balance| {
        json!({
            "Id": id, "Date": date, "Code": null, "Description": description, "Debit": debit, "Credit": credit,
            "Balance": balance,
        })
    };
    let expected = json!([
        transaction("new", "2026-01-03", "Payment", None, Some(50.2), 100.3),
        transaction("old", "2026-01-02", "Purchase", Some(100.1), None, 150.5),
    ]);
    assert_eq!(account["Transactions"], expected);
}

#[tokio::test]
async fn the_client_selects_the_parts_of_the_data() {
    let local = local().await;
    let request_id = session(&local, true).await;
    for with in [true, false] {
        let body = json!({
            "RequestId": request_id, "WithAccountIdentity": with, "WithTransactions": with, "WithKYC": with,
            "DaysOfTransactions": "Days90",
        });
        let account = send(detail(&local, &request_id).json(&body)).await.body["Accounts"][0].clone();
        assert_eq!(account["Holder"]["Name"].is_string(), with, "{account}");
        assert_eq!(account["Transactions"].is_array(), with, "{account}");
    }
    for (field, value) in [("WithTransactions", json!("canary")), ("DaysOfTransactions", json!(90))] {
        let mut body = json!({"RequestId": request_id});
        body[field] = value;
        let refused = send(detail(&local, &request_id).json(&body)).await;
        assert_eq!(refused.code(), (400, "INVALID_REQUEST"));
        assert!(refused.body["ValidationDetails"][field].is_array(), "{}", refused.body);
        assert!(!refused.body.to_string().contains("canary"), "{}", refused.body);
    }
}

#[tokio::test]
async fn only_the_api_key_opens_the_data_endpoints() {
    let local = local().await;
    let request_id = session(&local, true).await;
    let path = format!("/v3/{CONNECT_CUSTOMER_ID}/BankingServices/GetAccountsDetail");
    let body = json!({"RequestId": request_id});
    let token = local.authorize_token().await;
    for request in [
        local.post(&path).json(&body),
        local.post(&path).header("x-api-key", "wrong").json(&body),
        local.post(&path).header("x-api-key", CONNECT_SECRET_KEY).json(&body),
        local.post(&path).header("flinks-auth-key", CONNECT_API_KEY).json(&body),
        local.post(&path).header("flinks-auth-key", &token).json(&body),
        local.get(&format!("{path}Async/{request_id}")),
    ] {
        assert_eq!(send(request).await.code(), (401, "UNAUTHORIZED"));
    }
    local.emulator.configure(|config| config.connect.require_api_key = false);
    assert_eq!(send(local.post(&path).json(&body)).await.status, 200);
}

#[tokio::test]
async fn a_session_expires_and_must_exist() {
    let local = local().await;
    let request_id = session(&local, true).await;
    let unknown = uuid::Uuid::new_v4().to_string();
    assert_eq!(send(detail(&local, &unknown)).await.code(), (400, "SESSION_NONEXISTENT"));
    assert_eq!(send(poll(&local, &unknown)).await.code(), (400, "SESSION_NONEXISTENT"));
    assert_eq!(send(poll(&local, "x")).await.code(), (400, "INVALID_REQUEST"));
    assert_eq!(send(detail(&local, "x")).await.code(), (400, "INVALID_REQUEST"));
    assert_eq!(send(poll(&local, &request_id)).await.code(), (400, "INVALID_REQUEST"), "polled too early");
    local.advance(Config::default().connect.session_seconds - 1);
    assert_eq!(send(detail(&local, &request_id)).await.status, 200);
    local.advance(1);
    assert_eq!(send(detail(&local, &request_id)).await.code(), (401, "SESSION_EXPIRED"));
    assert_eq!(send(poll(&local, &request_id)).await.code(), (401, "SESSION_EXPIRED"));
}

#[tokio::test]
async fn an_unanswered_question_gives_no_access_to_the_data() {
    let local = local().await;
    let log_in = json!({
        "Institution": BANK, "Username": BANK_USER, "Password": BANK_PASSWORD, "MostRecentCached": false, "Save": true,
    });
    let challenged = local.authorize_with_new_token(&log_in).await;
    assert_eq!(challenged.status, 203);
    let request_id = challenged.body["RequestId"].as_str().unwrap().to_owned();
    assert_eq!(send(detail(&local, &request_id)).await.code(), (401, "UNAUTHORIZED"));
    let mut response = challenged;
    for answer in ["Montreal", "Canada", "Triangle"] {
        let prompt = response.body["SecurityChallenges"][0]["Prompt"].as_str().unwrap().to_owned();
        let responses = Value::from_iter([(prompt, json!([answer]))]);
        let body = json!({"RequestId": request_id, "SecurityResponses": responses});
        response = local.authorize_with_new_token(&body).await;
    }
    assert_eq!(response.status, 200, "{}", response.body);
    assert_eq!(send(detail(&local, &request_id)).await.status, 202);
    assert_eq!(send(poll(&local, &request_id)).await.status, 200);
}
