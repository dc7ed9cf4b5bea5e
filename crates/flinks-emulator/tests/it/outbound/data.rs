//! Tests for the accounts and transactions of an end user (O10).

use flinks_emulator::Scenario;
use flinks_emulator::credentials::*;
use serde_json::{Value, json};

use crate::page::action;
use crate::{Local, local, send};

/// Returns an access token for the end user who exists when the emulator starts.
async fn user_token(local: &Local) -> String {
    send(local.refresh(OUTBOUND_REFRESH_TOKEN)).await.text("access_token")
}

async fn read(local: &Local, token: &str, path: &str) -> (u16, Value) {
    let response = send(local.get(&format!("/api/fdx/5/accounts{path}")).bearer_auth(token)).await;
    (response.status, response.body)
}

/// Returns the values of a field in all items of a list, whatever their category.
fn fields<'a>(body: &'a Value, list: &str, field: &str) -> Vec<&'a Value> {
    body[list]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| &item.as_object().unwrap().values().next().unwrap()[field])
        .collect()
}

#[tokio::test]
async fn o10_accounts_have_balances_only_if_details_are_requested() {
    let local = local().await;
    let token = user_token(&local).await;
    let (status, accounts) = read(&local, &token, "").await;
    assert_eq!(status, 200);
    assert_eq!(fields(&accounts, "accounts", "accountId"), ["emu_1", "emu_2"]);
    assert_eq!(fields(&accounts, "accounts", "accountNumberDisplay"), ["0001", "0002"]);
    assert_eq!(fields(&accounts, "accounts", "currentBalance"), [&Value::Null, &Value::Null]);
    assert_eq!(read(&local, &token, "?resultType=lightweight").await.1, accounts);

    let (_, details) = read(&local, &token, "?resultType=details").await;
    assert_eq!(fields(&details, "accounts", "currentBalance"), [&json!(1234.56), &json!(7890.0)]);
    assert_eq!(fields(&details, "accounts", "routingTransitNumber"), ["77777", "77777"]);
    let (status, account) = read(&local, &token, "/emu_2").await;
    assert_eq!(status, 200);
    assert_eq!(account, details["accounts"][1]);
    let (_, chosen) = read(&local, &token, "?accountIds=emu_9,emu_2").await;
    assert_eq!(fields(&chosen, "accounts", "accountId"), ["emu_2"]);
    assert_eq!(chosen["page"], json!({"totalElements": 1}));
}

#[tokio::test]
async fn o10_pages_together_contain_each_transaction_once() {
    let local = local().await;
    let token = user_token(&local).await;
    let (_, all) = read(&local, &token, "/emu_1/transactions").await;
    let ids = fields(&all, "transactions", "transactionId");
    let times: Vec<&str> =
        fields(&all, "transactions", "postedTimestamp").iter().map(|time| time.as_str().unwrap()).collect();
    assert_eq!(ids.len(), 12);
    assert_eq!(all["page"], json!({"totalElements": 12}));
    assert!(times.is_sorted_by(|newer, older| newer > older), "{times:?}");
    for (limit, pages) in [(1, 12), (5, 3), (6, 2), (12, 1), (100, 1)] {
        let mut found = Vec::new();
        let mut next =
            Some(format!("{}/api/fdx/5/accounts/emu_1/transactions?limit={limit}", local.emulator.base_url()));
        let mut count = 0;
        while let Some(url) = next {
            let body = send(local.http.get(url).bearer_auth(&token)).await.body;
            assert_eq!(body["page"]["totalElements"], 12);
            found.extend(fields(&body, "transactions", "transactionId").into_iter().cloned());
            next = body["links"]["next"]["href"].as_str().map(str::to_owned);
            assert_eq!(next.is_some(), body["page"]["nextOffset"].is_string());
            count += 1;
        }
        assert_eq!(count, pages, "limit {limit}");
        assert_eq!(found.iter().collect::<Vec<_>>(), ids, "limit {limit}");
    }
    let (_, first) = read(&local, &token, "?limit=1").await;
    let offset = first["page"]["nextOffset"].as_str().unwrap();
    let (_, second) = read(&local, &token, &format!("?limit=1&offset={offset}")).await;
    assert_eq!(fields(&second, "accounts", "accountId"), ["emu_2"]);
    assert_eq!(second["page"], json!({"totalElements": 2}));
}

#[tokio::test]
async fn o10_times_limit_the_transactions() {
    let local = local().await;
    local.emulator.load_scenario(&Scenario::parse(DATED).unwrap()).unwrap();
    let token = user_token(&local).await;
    for (query, expected) in [
        ("", vec!["t3", "t2", "t1"]),
        ("?startTime=2026-01-02", vec!["t3", "t2"]),
        ("?endTime=2026-01-02", vec!["t2", "t1"]),
        ("?startTime=2026-01-01T12:00:00Z&endTime=2026-01-02T00:00:00Z", vec!["t2", "t1"]),
        ("?startTime=2027-01-01", vec![]),
    ] {
        let (status, body) = read(&local, &token, &format!("/a/transactions{query}")).await;
        assert_eq!(status, 200, "{query}");
        assert_eq!(fields(&body, "transactions", "transactionId"), expected, "{query}");
    }
    // The account is a credit card, and its debits have no sign.
    let (_, body) = read(&local, &token, "/a/transactions?limit=1").await;
    let transaction = &body["transactions"][0]["locTransaction"];
    assert_eq!(transaction["debitCreditMemo"], "DEBIT");
    assert_eq!(transaction["amount"], 3.5);
    assert_eq!(transaction["postedTimestamp"], "2026-01-03T00:00:00.000Z");
    let (_, account) = read(&local, &token, "/a").await;
    assert_eq!(account["locAccount"]["accountCategory"], "LOC_ACCOUNT");
}

const DATED: &str = r#"
    [[bank]]
    name = "Maple Bank"
    id = 1
    provider_id = "1000"
    [[bank.user]]
    username = "ada"
    [[bank.user.account]]
    id = "a"
    type = "CREDITCARD"
    name = "Card"
    number = "12"
    balance = -3.5
    transaction = [
        { id = "t1", posted = "2026-01-01T12:00:00Z", description = "One", amount = 1 },
        { id = "t2", posted = "2026-01-02T00:00:00Z", description = "Two", amount = 2.0 },
        { id = "t3", posted = "2026-01-03T00:00:00Z", description = "Three", amount = -3.5 },
    ]
"#;

#[tokio::test]
async fn o10_bad_reads_have_the_documented_errors() {
    let local = local().await;
    let token = user_token(&local).await;
    for (path, status, code) in [
        ("/emu_11", 404, "701"), // another user's account
        ("/emu_11/transactions", 404, "701"),
        ("/emu_1/transactions?startTime=yesterday", 400, "702"),
        ("/emu_1/transactions?endTime=2026-13-01", 400, "702"),
        ("/emu_1/transactions?startTime=2026-02-01&endTime=2026-01-01", 400, "703"),
        ("?limit=0", 400, "401"),
        ("?limit=101", 400, "401"),
        ("?limit=-1", 400, "401"),
        ("?limit=canary", 400, "401"),
        ("?offset=canary", 400, "401"),
        ("?offset=ZW11XzM", 400, "401"), // behind the last account
        ("?limit=1&limit=1", 400, "401"),
        ("?resultType=canary", 400, "401"),
    ] {
        let (found, body) = read(&local, &token, path).await;
        assert_eq!((found, body["code"].as_str()), (status, Some(code)), "{path}: {body}");
        assert!(body["message"].is_string(), "{path}");
        assert!(!body.to_string().contains("canary"), "{path}: {body}");
    }
    let response = local.get("/api/fdx/5/accounts/x").bearer_auth(&token).send().await.unwrap();
    assert!(response.headers().contains_key("ob-trace-id"));
    for path in ["", "/emu_1", "/emu_1/transactions"] {
        assert_eq!(read(&local, "another", path).await.0, 401, "{path}");
    }
}

/// The consent page determines the scopes of an access token and whose accounts it can read.
#[tokio::test]
async fn o10_a_token_reads_what_the_end_user_agreed_to_share() {
    let local = local().await;
    for (scope, user, account, status) in [
        ("ACCOUNT_BASIC", "", "emu_1", 403),
        ("ACCOUNT_BASIC TRANSACTIONS", "", "emu_1", 200),
        ("ACCOUNT_BASIC TRANSACTIONS", BANK_USER, "emu_11", 200),
    ] {
        let query = [
            ("client_id", OUTBOUND_CLIENT_ID),
            ("redirect_uri", "https://app.example/back"),
            ("response_type", "code"),
            ("scope", scope),
            ("provider_id", OUTBOUND_PROVIDER_ID),
        ];
        let page = send(local.get("/api/v1/authorize").query(&query)).await.body;
        let mut form = vec![("decision", "agree")];
        if !user.is_empty() {
            form.push(("user", user));
        }
        let code = send(local.post(&action(&page)).form(&form)).await.parameter("code").unwrap();
        let token = send(local.exchange_code(&code, "https://app.example/back")).await.text("access_token");
        let (found, body) = read(&local, &token, &format!("/{account}/transactions")).await;
        assert_eq!(found, status, "{scope} {user}: {body}");
        let (_, details) = read(&local, &token, &format!("/{account}")).await;
        assert_eq!(details["depositAccount"]["transactionsIncluded"], status == 200);
        assert_eq!(details["depositAccount"]["transactions"].as_array().unwrap().is_empty(), status != 200);
    }
    let page = send(local.get("/api/v1/authorize").query(&[
        ("client_id", OUTBOUND_CLIENT_ID),
        ("redirect_uri", "https://app.example/back"),
        ("response_type", "code"),
        ("scope", "ACCOUNT_BASIC"),
        ("provider_id", OUTBOUND_PROVIDER_ID),
    ]))
    .await
    .body;
    for user in [BANK_USER_DISABLED, "canary"] {
        let refused = send(local.post(&action(&page)).form(&[("decision", "agree"), ("user", user)])).await;
        assert_eq!(refused.status, 400, "{user}");
        assert!(!refused.body.as_str().unwrap().contains("canary"));
    }
}
