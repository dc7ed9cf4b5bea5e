//! Tests for several users, customers and clients in one emulator. None of them may use the tokens
//! or data of another.

use flinks_emulator::credentials::*;
use flinks_emulator::{Config, ConnectCustomer, Emulator, EndUser, OutboundClient, PayUser};
use reqwest::RequestBuilder;
use serde_json::{Value, json};

use crate::{Local, local_with, send};

const OTHER_CUSTOMER: &str = "00000000-0000-4000-8000-00000000000b";

fn add_others(config: &mut Config) {
    config.pay.users = vec![PayUser::new("other-user", "other password")];
    let mut customer = ConnectCustomer::new(OTHER_CUSTOMER, "other-key");
    customer.api_key = "other-api-key".to_owned();
    customer.redirect_origins = vec!["https://other.example".to_owned()];
    config.connect.customers = vec![customer];
    config.connect.end_user = EndUser::Agrees;
    let mut client = OutboundClient::new("other-client", "other-secret");
    client.redirect_uris = vec!["https://other.example/back".to_owned()];
    config.outbound.clients = vec![client];
    config.outbound.end_user = EndUser::Agrees;
}

async fn shared() -> Local {
    local_with(add_others).await
}

#[tokio::test]
async fn pay_users_have_separate_sessions_and_payment_requests() {
    let local = shared().await;
    let authorize = |username, password| {
        let form = [("grant_type", "client_credentials"), ("Username", username), ("Password", password)];
        local.post("/api/v1/authorize").form(&form)
    };
    assert_eq!(send(authorize("other-user", PAY_PASSWORD)).await.status, 400);
    assert_eq!(send(authorize(PAY_USERNAME, "other password")).await.status, 400);
    let main = local.session_token().await;
    let other = send(authorize("other-user", "other password")).await.text("access_token");

    let session_id = send(local.initiate_session(&other)).await.text("sessionId");
    let create =
        |token: &str| local.post("/api/v1/paymentrequests").bearer_auth(token).json(&json!({"sessionId": session_id}));
    assert_eq!(send(create(&main)).await.status, 400);
    let request_id = send(create(&other)).await.text("requestId");
    let read = |token: &str| local.get(&format!("/api/v1/paymentrequests/{request_id}")).bearer_auth(token);
    assert_eq!(send(read(&main)).await.status, 404);
    assert_eq!(send(read(&other)).await.status, 200);
}

fn connect(local: &Local, customer: &str, operation: &str) -> RequestBuilder {
    local.post(&format!("/v3/{customer}/BankingServices/{operation}"))
}

async fn authorize_token(local: &Local, customer: &str, key: &str) -> String {
    let request = connect(local, customer, "GenerateAuthorizeToken").header("flinks-auth-key", key);
    send(request.header("content-type", "application/json")).await.text("Token")
}

/// Sends a request to `/Authorize` with a new token for the customer.
async fn authorize(local: &Local, customer: &str, key: &str, body: &Value) -> (u16, Value) {
    let token = authorize_token(local, customer, key).await;
    let response = send(connect(local, customer, "Authorize").header("flinks-auth-key", token).json(body)).await;
    (response.status, response.body)
}

#[tokio::test]
async fn connect_customers_have_separate_tokens_and_logins() {
    let local = shared().await;
    let generate = |customer, key| {
        let request = connect(&local, customer, "GenerateAuthorizeToken").header("flinks-auth-key", key);
        request.header("content-type", "application/json")
    };
    assert_eq!(send(generate(CONNECT_CUSTOMER_ID, "other-key")).await.code(), (401, "UNAUTHORIZED"));
    assert_eq!(send(generate(OTHER_CUSTOMER, CONNECT_SECRET_KEY)).await.code(), (401, "UNAUTHORIZED"));

    // A token is refused under the id of another customer, and stays unspent.
    let token = authorize_token(&local, OTHER_CUSTOMER, "other-key").await;
    let log_in = json!({"Institution": BANK, "Username": BANK_USER_NO_MFA, "Password": BANK_PASSWORD, "Save": true});
    let with_token = |customer| connect(&local, customer, "Authorize").header("flinks-auth-key", &token).json(&log_in);
    assert_eq!(send(with_token(CONNECT_CUSTOMER_ID)).await.code(), (401, "ACCESS_DENIED"));
    let logged_in = send(with_token(OTHER_CUSTOMER)).await;
    assert_eq!(logged_in.status, 200, "{}", logged_in.body);

    let again = json!({"LoginId": logged_in.body["Login"]["Id"], "MostRecentCached": true});
    let (status, body) = authorize(&local, CONNECT_CUSTOMER_ID, CONNECT_SECRET_KEY, &again).await;
    assert_eq!((status, &body["FlinksCode"]), (401, &json!("INVALID_LOGIN")));
    let (status, _) = authorize(&local, OTHER_CUSTOMER, "other-key", &again).await;
    assert_eq!(status, 200);

    let data = json!({"RequestId": logged_in.body["RequestId"]});
    let detail = |customer, key| connect(&local, customer, "GetAccountsDetail").header("x-api-key", key).json(&data);
    assert_eq!(send(detail(OTHER_CUSTOMER, CONNECT_API_KEY)).await.code(), (401, "UNAUTHORIZED"));
    assert_eq!(send(detail(CONNECT_CUSTOMER_ID, CONNECT_API_KEY)).await.code(), (400, "SESSION_NONEXISTENT"));
    assert_eq!(send(detail(OTHER_CUSTOMER, "other-api-key")).await.status, 202);
}

#[tokio::test]
async fn a_question_can_be_answered_only_by_the_customer_that_received_it() {
    for mfa_answer_spends_token in [true, false] {
        let local = local_with(|config| {
            add_others(config);
            config.connect.mfa_answer_spends_token = mfa_answer_spends_token;
        })
        .await;
        let log_in = json!({"Institution": BANK, "Username": BANK_USER, "Password": BANK_PASSWORD});
        let (status, challenged) = authorize(&local, OTHER_CUSTOMER, "other-key", &log_in).await;
        assert_eq!(status, 203);
        let prompt = challenged["SecurityChallenges"][0]["Prompt"].as_str().unwrap().to_owned();
        let responses = Value::from_iter([(prompt, json!(["Montreal"]))]);
        let answer = json!({"RequestId": challenged["RequestId"], "SecurityResponses": responses});
        let (status, body) = authorize(&local, CONNECT_CUSTOMER_ID, CONNECT_SECRET_KEY, &answer).await;
        assert_eq!((status, &body["FlinksCode"]), (400, &json!("SESSION_NONEXISTENT")));
        assert_eq!(authorize(&local, OTHER_CUSTOMER, "other-key", &answer).await.0, 203);
    }
}

/// The iframe page belongs to the customer whose token opened it, and the bank's page to the
/// customer that has whitelisted the return address.
#[tokio::test]
async fn pages_for_end_users_use_the_whitelist_of_their_customer() {
    let local = shared().await;
    for (redirect_url, status) in [("https://app.example/", 400), ("https://other.example/x", 200)] {
        let token = authorize_token(&local, OTHER_CUSTOMER, "other-key").await;
        let query = [("authorizeToken", token.as_str()), ("redirectUrl", redirect_url)];
        assert_eq!(send(local.get("/v2/").query(&query)).await.status, status, "{redirect_url}");
    }
    for (redirect_uri, customer, key) in [
        ("https://other.example/x", OTHER_CUSTOMER, "other-key"),
        ("https://app.example/", CONNECT_CUSTOMER_ID, CONNECT_SECRET_KEY),
    ] {
        let query = [("institution_id", "14"), ("redirect_uri", redirect_uri), ("state", "1")];
        let redirect = send(local.get("/v3/oauth/authorize").query(&query)).await;
        let login = json!({"LoginId": redirect.parameter("loginId"), "MostRecentCached": false, "Save": true});
        assert_eq!(authorize(&local, customer, key, &login).await.0, 200, "{redirect_uri}");
    }
    local.emulator.configure(|config| config.connect.redirect_origins = vec!["https://app.example".to_owned()]);
    let query = [("institution_id", "14"), ("redirect_uri", "https://third.example/"), ("state", "1")];
    assert_eq!(send(local.get("/v3/oauth/authorize").query(&query)).await.status, 400);
}

#[tokio::test]
async fn outbound_clients_have_separate_codes_and_tokens() {
    let local = shared().await;
    let authorize = |client_id: &str, redirect_uri: &str| {
        let query = [
            ("client_id", client_id),
            ("redirect_uri", redirect_uri),
            ("response_type", "code"),
            ("scope", "ACCOUNT_BASIC"),
            ("provider_id", OUTBOUND_PROVIDER_ID),
        ];
        local.get("/api/v1/authorize").query(&query)
    };
    let other_uri = "https://other.example/back";
    assert_eq!(send(authorize("other-client", "https://app.example/")).await.status, 400);
    let code = send(authorize("other-client", other_uri)).await.parameter("code").unwrap();
    let by_other = |mut body: Value| {
        body["client_id"] = json!("other-client");
        body["client_secret"] = json!("other-secret");
        local.post("/api/v1/token").json(&body)
    };
    let exchange = json!({"grant_type": "authorization_code", "code": code, "redirect_uri": other_uri});
    assert_eq!(send(local.token(exchange.clone())).await.error(), (400, "invalid_grant"));
    let tokens = send(by_other(exchange)).await;
    let claims = tokens.text("access_token").split('.').nth(1).unwrap().to_owned();
    let claims = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, claims).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&claims).unwrap()["client_id"], "other-client");

    let refresh = json!({"grant_type": "refresh_token", "refresh_token": tokens.text("refresh_token")});
    assert_eq!(send(local.token(refresh.clone())).await.error(), (400, "invalid_grant"));
    assert_eq!(send(by_other(refresh)).await.status, 200);
    assert_eq!(send(by_other(json!({"grant_type": "client_credentials"}))).await.status, 200);
    let mixed = json!({
        "grant_type": "client_credentials", "client_id": "other-client", "client_secret": OUTBOUND_CLIENT_SECRET,
    });
    assert_eq!(send(local.post("/api/v1/token").json(&mixed)).await.error(), (400, "invalid_client"));
    assert_eq!(send(local.exchange_code(OUTBOUND_CODE, OUTBOUND_REDIRECT_URI)).await.status, 200);
}

#[tokio::test]
async fn the_control_api_shows_to_whom_a_token_belongs() {
    let local = shared().await;
    authorize_token(&local, OTHER_CUSTOMER, "other-key").await;
    let tokens = send(local.get("/__emulator/tokens")).await.body;
    let clients = |kind: &str| {
        let tokens = tokens["tokens"].as_array().unwrap().iter();
        tokens.filter(|token| token["kind"] == kind).map(|token| token["client"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(clients("authorize_token"), [json!(OTHER_CUSTOMER)]);
    assert_eq!(clients("refresh_token"), [Value::Null]);
}

#[tokio::test]
async fn ids_must_be_different_and_valid() {
    type Change = fn(&mut Config);
    let changes: [(Change, &str); 6] = [
        (|config| config.pay.users = vec![PayUser::new(PAY_USERNAME, "x")], "`pay.users`"),
        (|config| config.connect.customers = vec![ConnectCustomer::new("canary", "x")], "`connect.customers`"),
        (
            |config| config.connect.customers = vec![ConnectCustomer::new(CONNECT_CUSTOMER_ID, "x")],
            "`connect.customers`",
        ),
        (
            |config| {
                let mut customer = ConnectCustomer::new(OTHER_CUSTOMER, "x");
                customer.redirect_origins = vec!["canary".to_owned()];
                config.connect.customers = vec![customer];
            },
            "`connect.redirect_origins`",
        ),
        (|config| config.outbound.clients = vec![OutboundClient::new(OUTBOUND_CLIENT_ID, "x")], "`outbound.clients`"),
        (
            |config| {
                let mut client = OutboundClient::new("other", "x");
                client.redirect_uris = vec!["canary".to_owned()];
                config.outbound.clients = vec![client];
            },
            "`outbound.redirect_uris`",
        ),
    ];
    for (change, setting) in changes {
        let mut config = Config::default();
        change(&mut config);
        let error = Emulator::start_with(config).await.unwrap_err().to_string();
        assert!(error.starts_with(setting), "{error}");
        assert!(!error.contains("canary"), "{error}");
    }
    let debug = format!("{:?}", PayUser::new("canary", "canary"));
    assert!(!debug.contains("canary"), "{debug}");
}
