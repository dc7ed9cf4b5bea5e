//! Tests for scenario files, their steps, and how they are loaded.

use std::time::Duration;

use flinks_emulator::credentials::*;
use flinks_emulator::{Emulator, Operation, Scenario};
use serde_json::{Value, json};

use crate::page::{action, submit};
use crate::{Local, local, send};

fn error(text: &str) -> (Option<usize>, String) {
    let error = Scenario::parse(text).unwrap_err();
    (error.line(), error.to_string())
}

const BANK_LINES: &str = "[[bank]]\nname = \"A\"\nid = 1\nprovider_id = \"1\"\n";
const USER_LINES: &str = "[[bank.user]]\nusername = \"ada\"\n";

#[test]
fn an_invalid_file_names_the_line_and_the_reason() {
    let user = format!("{BANK_LINES}{USER_LINES}");
    let step = |text: &str| format!("description = \"A\"\n\n[[step]]\ndo = {text}\n");
    let account = "[[bank.user.account]]\nid = \"a\"\ntype = \"SAVINGS\"\nname = \"S\"\nnumber = \"1\"\nbalance = 1\n";
    for (text, line, reason) in [
        ("canary = 1".to_owned(), 1, "unknown field, expected one of `description`, `config`, `bank`, `step`"),
        (format!("{user}canary = 1"), 7, "unknown field, expected one of `username`"),
        ("\n[config]\ncanary = 1".to_owned(), 3, "unknown field"),
        ("[config.pay]\ntoken_seconds = \"canary\"".to_owned(), 2, "invalid type: string"),
        ("[config.pay]\ntoken_header = \"can ary\"".to_owned(), 1, "`pay.token_header` must be a header name"),
        (format!("{user}{USER_LINES}"), 8, "two users of this bank have the same name"),
        (format!("{user}{user}"), 8, "two banks have the same name"),
        (format!("{user}{account}{account}"), 14, "two accounts of this user have the same id"),
        (format!("{BANK_LINES}[[step]]\n"), 1, "missing field"),
        (format!("{user}refusal = \"canary\""), 7, "unknown variant, expected one of `ALREADY_AUTHORIZED`"),
        (format!("{user}refusal = \"NEW_ACCOUNT\""), 2, "needs a user whose login is not refused"),
        (
            format!("{user}question = [{{ prompt = \"p\", choices = [\"a\"], answer = \"b\" }}]"),
            7,
            "one of the choices",
        ),
        (format!("{user}{account}balance = nan"), 13, "duplicate key"),
        (format!("{user}{}", account.replace("balance = 1", "balance = nan")), 12, "finite number"),
        (
            format!("{user}{account}transaction = [{{ id = \"t\", description = \"d\", amount = 1 }}]"),
            13,
            "either `days_ago`",
        ),
        (step("{ canary = 1 }"), 4, "unknown variant, expected one of `advance`, `fault`"),
        (step("{ advance = \"canary\" }"), 4, "a number with a unit"),
        (step("{ advance = \"0s\" }"), 4, "greater than 0"),
        (step("{ advance = \"1s\", outage = { time = \"1s\" } }"), 4, "wanted exactly 1 element"),
        (step("{ revoke = { user = \"canary\" } }"), 4, "cannot happen: the scenario has no user with this name"),
        (step("{ revoke = { user = \"test_disabled_account\" } }"), 4, "cannot happen: the bank refuses"),
        (step("{ revoke = { user = \"Greatday\" } }"), 4, "cannot happen: this user cannot have given consent yet"),
        (step("{ outage = { time = \"1m\", bank = \"canary\" } }"), 4, "cannot happen: the scenario has no bank"),
        (step("{ outage = { time = \"0s\" } }"), 4, "greater than 0"),
        (
            step("{ rate_limit = { operation = \"connect.iframe\", requests = 1, time = \"1m\" } }"),
            4,
            "has no rate limit",
        ),
        (step("{ rate_limit = { operation = \"pay.authorize\", requests = 0, time = \"1m\" } }"), 4, "`requests`"),
        (step("{ rate_limit = { operation = \"canary\", requests = 1, time = \"1m\" } }"), 4, "unknown variant"),
        (
            step("{ fault = { operation = \"pay.authorize\", fault = { kind = \"half_body\" }, times = 0 } }"),
            4,
            "`times`",
        ),
        (step("{ set = { canary = { a = 1 } } }"), 4, "unknown setting"),
        (step("{ set = { outbound = { invalid_client_status = 500 } } }"), 4, "must be 400 or 401"),
        (format!("{}after = {{ count = 1 }}", step("{ advance = \"1s\" }")), 5, "either `operation` or `time`"),
        (
            format!("{}after = {{ operation = \"pay.authorize\", count = 0 }}", step("{ advance = \"1s\" }")),
            5,
            "`count`",
        ),
        (format!("{}after = {{ time = \"1m\", count = 1 }}", step("{ advance = \"1s\" }")), 5, "`count` needs"),
        ("a = [".to_owned(), 1, ""),
    ] {
        let (found, message) = error(&text);
        assert_eq!(found, Some(line), "{text}\n{message}");
        assert!(message.contains(reason), "{text}\n{message}");
        assert!(message.starts_with("invalid scenario: line "), "{message}");
        assert!(!message.contains("canary"), "{message}");
        assert!(!message.contains('\n'), "{message}");
    }
    let unknown = Scenario::built_in("canary").unwrap_err();
    assert_eq!(unknown.line(), None);
    assert!(unknown.to_string().contains("bank-outage, consent-revoked"), "{unknown}");
    let secret = Scenario::parse("[config.pay]\npassword = \"canary\"").unwrap();
    assert!(!format!("{secret:?}").contains("canary"));
}

#[test]
fn the_documented_example_is_valid() {
    let documentation = include_str!("../../SCENARIOS.md");
    let examples: Vec<&str> =
        documentation.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert_eq!(examples.len(), 1);
    assert_eq!(Scenario::parse(examples[0]).unwrap().step_count(), 2);
    for name in Scenario::built_in_names() {
        assert!(documentation.contains(&format!("| `{name}` |")), "{name}");
    }
}

async fn load(local: &Local, text: &str) {
    local.emulator.load_scenario(&Scenario::parse(text).unwrap()).unwrap();
}

#[tokio::test]
async fn steps_happen_in_their_order_and_again_after_a_reset() {
    let local = local().await;
    load(
        &local,
        r#"
        [[step]]
        after = { operation = "pay.authorize", count = 2 }
        do = { fault = { operation = "pay.authorize", fault = { kind = "reply", status = 503 } } }

        [[step]]
        after = { time = "1m" }
        do = { set = { pay = { token_seconds = 7 } } }

        [[step]]
        after = { operation = "pay.authorize", count = 2 }
        do = { set = { pay = { token_seconds = 8 } } }
        "#,
    )
    .await;
    for _ in 0..2 {
        assert_eq!(send(local.pay_authorize()).await.status, 200);
        local.advance(60);
        assert_eq!(send(local.pay_authorize()).await.body["expires_in"], 299, "the first step is not done");
        assert_eq!(send(local.pay_authorize()).await.status, 503);
        local.advance(59);
        assert_eq!(send(local.pay_authorize()).await.body["expires_in"], 299);
        local.advance(1);
        // The requests before a step do not count towards the next step.
        for seconds in [7, 7, 8] {
            assert_eq!(send(local.pay_authorize()).await.body["expires_in"], seconds);
        }
        local.emulator.configure(|config| config.pay.token_seconds = 299);
        local.emulator.reset();
    }
}

#[tokio::test]
async fn a_scenario_replaces_the_settings_and_the_data_of_the_one_before() {
    let local = local().await;
    let before = local.emulator.config();
    assert!(local.emulator.scenario().is_none());
    local.emulator.load_scenario(&Scenario::built_in("rotation").unwrap()).unwrap();
    assert!(local.emulator.config().outbound.rotate_refresh_tokens);
    assert_eq!(local.emulator.scenario().unwrap().name(), Some("rotation"));
    load(&local, TWO_BANKS).await;
    assert!(local.emulator.config() == before);
    let body = json!({"Institution": BANK, "Username": BANK_USER_NO_MFA, "Password": BANK_PASSWORD});
    assert_eq!(local.authorize_with_new_token(&body).await.code(), (400, "INVALID_REQUEST"));
    local.emulator.reset();
    assert_eq!(local.emulator.scenario().unwrap().step_count(), 0);
    let body = json!({"Institution": "Birch Bank", "Username": "bo", "Password": "pw"});
    let response = local.authorize_with_new_token(&body).await;
    assert_eq!(response.status, 200);
    assert_eq!(response.body["InstitutionId"], 2);
    assert_eq!(response.body["Login"]["Username"], "bo");
}

/// Two banks that each have a user with the same name, which is allowed.
const TWO_BANKS: &str = r#"
    [[bank]]
    name = "Maple Bank"
    id = 1
    provider_id = "m"
    [[bank.user]]
    username = "bo"
    refusal = "CARD_IN_USE"
    [[bank.user]]
    username = "ada"

    [[bank]]
    name = "Birch Bank"
    id = 2
    provider_id = "b"
    colour = "green"
    [[bank.user]]
    username = "bo"
    password = "pw"
    [[bank.user.account]]
    id = "b1"
    type = "SAVINGS"
    name = "Savings"
    number = "1"
    balance = 5
"#;

#[tokio::test]
async fn every_page_knows_every_bank() {
    let local = local().await;
    load(&local, TWO_BANKS).await;
    let token = local.authorize_token().await;
    let query = [("authorizeToken", &*token), ("redirectUrl", "https://app.example/")];
    let page = send(local.get("/v2/").query(&query)).await.body;
    assert!(page.as_str().unwrap().contains("value=\"Maple Bank\""));
    let page = submit(&local, &page, &[("institution", "Birch Bank")]).await;
    assert!(page.as_str().unwrap().contains("Log in to Birch Bank"));
    let page = submit(&local, &page, &[("username", "bo"), ("password", "pw")]).await;
    assert!(page.as_str().unwrap().contains("institution=Birch+Bank"), "{page}");

    let query = [("institution_id", "1"), ("redirect_uri", "https://app.example/")];
    let address = send(local.get("/v3/oauth/authorize").query(&query)).await.location.unwrap();
    let page = send(local.get(&address)).await.body;
    let page = submit(&local, &page, &[("username", "bo"), ("password", BANK_PASSWORD)]).await;
    assert!(page.as_str().unwrap().contains("This login is in use at the moment"));

    let query = [
        ("client_id", OUTBOUND_CLIENT_ID),
        ("redirect_uri", "https://app.example/"),
        ("response_type", "code"),
        ("scope", "ACCOUNT_BASIC"),
        ("provider_id", "b"),
    ];
    let page = send(local.get("/api/v1/authorize").query(&query)).await.body;
    let code = send(local.post(&action(&page)).form(&[("decision", "agree")])).await.parameter("code").unwrap();
    let token = send(local.exchange_code(&code, "https://app.example/")).await.text("access_token");
    assert_eq!(send(local.accounts(&token)).await.body["accounts"][0]["depositAccount"]["accountId"], "b1");
}

#[tokio::test]
async fn an_outage_reaches_the_pages_and_the_data_and_ends() {
    let local = local().await;
    local.emulator.load_scenario(&Scenario::built_in("bank-outage").unwrap()).unwrap();
    let user_token = send(local.refresh(OUTBOUND_REFRESH_TOKEN)).await.text("access_token");
    assert_eq!(send(local.accounts(&user_token)).await.status, 503);
    let token = local.authorize_token().await;
    let query = [("authorizeToken", &*token), ("redirectUrl", "https://app.example/")];
    let page = send(local.get("/v2/").query(&query)).await.body;
    let page = submit(&local, &page, &[("institution", BANK)]).await;
    let login = [("username", BANK_USER_NO_MFA), ("password", BANK_PASSWORD)];
    let page = submit(&local, &page, &login).await;
    assert!(page.as_str().unwrap().contains("The bank is unavailable at the moment"));
    let query = [
        ("client_id", OUTBOUND_CLIENT_ID),
        ("redirect_uri", "https://app.example/"),
        ("response_type", "code"),
        ("scope", "ACCOUNT_BASIC"),
        ("provider_id", OUTBOUND_PROVIDER_ID),
    ];
    let consent = send(local.get("/api/v1/authorize").query(&query)).await.body;
    let agree = || local.post(&action(&consent)).form(&[("decision", "agree")]);
    assert_eq!(send(agree()).await.location, Some(action(&consent)), "the end user can agree later");
    local.emulator.configure(|config| config.outbound.end_user = flinks_emulator::EndUser::Agrees);
    let refused = send(local.get("/api/v1/authorize").query(&query)).await;
    assert_eq!(refused.parameter("error").as_deref(), Some("temporarily_unavailable"));

    local.advance(600);
    assert!(send(agree()).await.parameter("code").is_some());
    let page = submit(&local, &page, &login).await;
    assert!(page.as_str().unwrap().contains("Your account is connected"), "{page}");
    let user_token = send(local.refresh(OUTBOUND_REFRESH_TOKEN)).await.text("access_token");
    assert_eq!(send(local.accounts(&user_token)).await.status, 200);
}

#[tokio::test]
async fn a_rate_limit_answers_each_product_in_its_own_format() {
    let local = local().await;
    for (operation, status, code) in [
        ("pay.authorize", 429, json!({"error": "Too Many Requests"})),
        ("connect.generate_authorize_token", 401, json!({"FlinksCode": "TOO_MANY_REQUESTS"})),
        ("outbound.token", 429, json!({"error": "TOO_MANY_REQUESTS"})),
        ("outbound.accounts", 429, json!({"code": "1207"})),
    ] {
        let limit = format!("{{ operation = \"{operation}\", requests = 1, time = \"1m\" }}");
        load(&local, &format!("[[step]]\ndo = {{ rate_limit = {limit} }}")).await;
        for expected in [None, Some(&code)] {
            let response = match operation {
                "pay.authorize" => send(local.pay_authorize()).await,
                "connect.generate_authorize_token" => send(local.generate()).await,
                "outbound.token" => send(local.refresh(OUTBOUND_REFRESH_TOKEN)).await,
                _ => send(local.accounts("none")).await,
            };
            let Some(expected) = expected else { continue };
            assert_eq!(response.status, status, "{operation}");
            for (name, value) in expected.as_object().unwrap() {
                assert_eq!(&response.body[name], value, "{operation}");
            }
        }
    }
}

#[tokio::test]
async fn the_control_api_loads_scenarios() {
    let local = local().await;
    let path = "/__emulator/scenario";
    let none = send(local.get(path)).await.body;
    assert_eq!(none["loaded"], Value::Null);
    assert_eq!(none["built_in"].as_array().unwrap().len(), 8);
    let loaded = send(local.post(path).json(&json!({"name": "consent-revoked"}))).await;
    assert_eq!(loaded.status, 200);
    assert_eq!(loaded.body["loaded"]["steps"], 1);
    assert_eq!(loaded.body["loaded"]["steps_done"], 0);
    let text = "[[step]]\ndo = { advance = \"1h\" }";
    let before = local.emulator.now();
    let loaded = send(local.post(path).json(&json!({"toml": text}))).await;
    assert_eq!(loaded.body["loaded"]["steps_done"], 1);
    assert_eq!(loaded.body["loaded"]["name"], Value::Null);
    assert!(local.emulator.now() >= before + Duration::from_secs(3600));
    for (body, reason) in [
        (json!({"name": "canary"}), "expected one of bank-outage"),
        (json!({"toml": "\ncanary = 1"}), "line 2"),
        (json!({}), "`name` or `toml`"),
        (json!({"name": "mfa", "toml": ""}), "`name` or `toml`"),
    ] {
        let refused = send(local.post(path).json(&body)).await;
        assert_eq!(refused.status, 400, "{body}");
        let message = refused.body["message"].as_str().unwrap();
        assert!(message.contains(reason), "{message}");
        assert!(!message.contains("canary"), "{message}");
    }
}

/// The slow response waits on the emulator's clock, even if the clock is not frozen.
#[tokio::test]
async fn a_slow_response_follows_the_clock() {
    let emulator = Emulator::start().await.unwrap();
    let local = Local { emulator, http: crate::client() };
    local.emulator.load_scenario(&Scenario::built_in("slow-authorize").unwrap()).unwrap();
    let token = local.authorize_token().await;
    let live = json!({"LoginId": CONNECT_LOGIN_ID, "MostRecentCached": false});
    let call = tokio::spawn(local.authorize(&token, &live).send());
    local.emulator.received(Operation::ConnectAuthorize, 1).await;
    // The server has one thread, so it has done everything that it can for the first request before it
    // responds to the second.
    local.authorize_token().await;
    assert_eq!(local.emulator.requests_of(Operation::ConnectAuthorize)[0].status, None);
    local.advance(210);
    assert_eq!(call.await.unwrap().unwrap().status(), 200);
}
