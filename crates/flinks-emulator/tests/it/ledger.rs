//! Tests for the library: the ledger of requests and tokens, the clock, the limits, and the
//! settings.

use std::time::Duration;

use flinks_emulator::credentials::*;
use flinks_emulator::{Config, Emulator, Fault, Kind, Operation, When};
use serde_json::json;

use crate::{PAY_FORM, client, local, local_with, send};

#[tokio::test]
async fn requests_are_recorded_as_they_were_received() {
    let local = local().await;
    send(local.pay_authorize().header("x-one", "a").header("x-one", "b")).await;
    send(local.get("/nothing/here?q=%20")).await;
    let requests = local.emulator.requests();
    let first = &requests[0];
    assert_eq!(first.number, 1);
    assert_eq!(first.operation, Some(Operation::PayAuthorize));
    assert_eq!(first.method.as_str(), "POST");
    assert_eq!(first.target.as_str(), "/api/v1/authorize");
    assert_eq!(first.status, Some(200));
    assert!(first.processed);
    assert_eq!(first.header("x-one").collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(first.body, url::form_urlencoded::Serializer::new(String::new()).extend_pairs(PAY_FORM).finish());
    assert_eq!(first.at, local.emulator.now());
    let second = &requests[1];
    assert_eq!(second.number, 2);
    assert_eq!(second.operation, None);
    assert_eq!(second.status, Some(404));
    assert!(!second.processed);
    assert_eq!(second.target, "/nothing/here?q=%20");
}

#[tokio::test]
async fn a_spent_token_records_the_time_and_the_request() {
    let local = local().await;
    let token = local.session_token().await;
    let issued = local.emulator.find(&token).unwrap();
    assert_eq!(issued.kind, Kind::SessionToken);
    assert_eq!(issued.issued_by, Some(1));
    assert_eq!(issued.spent, None);
    assert_eq!(issued.expires_at, issued.issued_at + Duration::from_secs(299));
    local.advance(10);
    send(local.initiate_session("another")).await;
    send(local.initiate_session(&token)).await;
    local.advance(10);
    send(local.initiate_session(&token)).await;
    let spent = local.emulator.find(&token).unwrap().spent.unwrap();
    assert_eq!(spent.at, issued.issued_at + Duration::from_secs(10));
    assert_eq!(spent.by, 3);
    assert_eq!(local.emulator.find("another").map(|issued| issued.kind), None);

    send(local.refresh(OUTBOUND_REFRESH_TOKEN)).await;
    let refresh_token = local.emulator.find(OUTBOUND_REFRESH_TOKEN).unwrap();
    assert_eq!(refresh_token.issued_by, None);
    assert_eq!(refresh_token.spent, None);
    assert_eq!(refresh_token.expires_at, local.emulator.now() + Duration::from_secs(30 * 24 * 60 * 60));
    let code = local.emulator.find(OUTBOUND_CODE).unwrap();
    assert_eq!(code.subject, refresh_token.subject);
}

#[tokio::test]
async fn count_carrying_counts_the_requests_that_contain_a_value() {
    let local = local().await;
    let token = local.session_token().await;
    for _ in 0..3 {
        send(local.initiate_session(&token)).await;
    }
    send(local.exchange_code(OUTBOUND_CODE, OUTBOUND_REDIRECT_URI)).await;
    send(local.exchange_code(OUTBOUND_CODE, "https://evil.example/")).await;
    let authorize_token = local.authorize_token().await;
    send(local.authorize(&authorize_token, &json!({}))).await;
    send(local.get("/v2/").query(&[("authorizeToken", &authorize_token)])).await;
    for (value, count) in [
        (&*token, 3),
        (OUTBOUND_CODE, 2),
        (OUTBOUND_REDIRECT_URI, 1),
        (OUTBOUND_CLIENT_ID, 2),
        (PAY_PASSWORD, 1),
        (CONNECT_SECRET_KEY, 1),
        (CONNECT_CUSTOMER_ID, 2),
        (&*authorize_token, 2),
        ("nothing", 0),
    ] {
        assert_eq!(local.emulator.count_carrying(value), count, "{value}");
    }
    assert_eq!(local.emulator.count(Operation::PayInitiateSession), 3);
    assert_eq!(local.emulator.requests_of(Operation::OutboundToken).len(), 2);
}

/// `count_carrying` must find a secret in every encoding. Otherwise, a test for leaked secrets
/// could pass even though a secret leaked.
#[tokio::test]
async fn count_carrying_finds_a_value_in_every_part_and_encoding() {
    let local = local().await;
    let secret = "s/e c+r&é";
    let encoded: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    let nested = json!({"a": [{"b": {"c": secret}}]});
    for request in [
        local.post("/api/v1/token").basic_auth("id", Some(&encoded)),
        local.post("/api/v1/token").basic_auth(secret, Some("x")),
        local.post("/api/v1/token").bearer_auth(encoded.clone()),
        local.post("/api/v1/token").json(&nested),
        local.post("/api/v1/token").json(&json!({secret: 1})),
        local.post("/api/v1/token").body(nested.to_string().replace('/', "\\/")),
        local.post("/api/v1/token").form(&[("a", secret)]),
        local.post("/api/v1/token").body(secret),
        local.get(&format!("/x/{encoded}/y")),
        local.get("/x").query(&[("a", secret)]),
        local.get("/x").header("referer", format!("http://localhost/?k={encoded}")),
        local.get("/x").header("cookie", format!("a=b; k={encoded}")),
    ] {
        local.emulator.reset();
        send(request).await;
        assert_eq!(local.emulator.count_carrying(secret), 1, "{}", local.emulator.requests()[0].target);
        assert_eq!(local.emulator.count_carrying("s/e c+r&è"), 0);
    }
}

/// The emulator must work even if the runtime that started it is busy or has been dropped.
#[test]
fn the_emulator_outlives_the_runtime_that_started_it() {
    use std::io::{Read as _, Write as _};
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let emulator = runtime.block_on(Emulator::start()).unwrap();
    drop(runtime);
    let mut stream = std::net::TcpStream::connect(emulator.base_url().strip_prefix("http://").unwrap()).unwrap();
    stream.write_all(b"GET /api/v1/token HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    assert!(response.starts_with("HTTP/1.1 405"));
}

#[tokio::test]
async fn a_reset_aborts_requests_in_flight_and_leaves_no_trace() {
    let local = local().await;
    for when in [When::Before, When::After] {
        local.emulator.fail_next(Operation::PayAuthorize, Fault::Hold { when });
        let held = tokio::spawn(local.pay_authorize().send());
        local.emulator.received(Operation::PayAuthorize, 1).await;
        local.emulator.reset();
        assert!(held.await.unwrap().is_err());
        assert!(local.emulator.requests().is_empty());
        assert_eq!(local.emulator.count(Operation::PayAuthorize), 0);
        assert!(local.emulator.issued().iter().all(|issued| issued.kind != Kind::SessionToken));
    }
}

#[tokio::test]
async fn the_configured_limits_bound_the_memory() {
    let local = local_with(|config| {
        config.limits.requests = 5;
        config.limits.tokens = 3;
    })
    .await;
    let mut tokens = Vec::new();
    for _ in 0..10 {
        tokens.push(local.session_token().await);
    }
    let numbers: Vec<u64> = local.emulator.requests().iter().map(|request| request.number).collect();
    assert_eq!(numbers, [6, 7, 8, 9, 10]);
    assert_eq!(local.emulator.count(Operation::PayAuthorize), 10);
    local.emulator.configure(|config| config.limits.request_bytes = 800);
    send(local.post("/nothing").body(vec![b'x'; 400])).await;
    send(local.post("/nothing").body(vec![b'x'; 400])).await;
    assert_eq!(local.emulator.requests().len(), 1);
    send(local.post("/nothing").body(vec![b'x'; 1000])).await;
    assert_eq!(local.emulator.requests().len(), 0, "a request above the limit is not kept, even if it is the newest");
    assert_eq!(send(local.initiate_session(&tokens[6])).await.status, 401);
    assert_eq!(send(local.initiate_session(&tokens[7])).await.status, 200);
    assert!(
        local.emulator.find(OUTBOUND_REFRESH_TOKEN).is_some(),
        "the limit applies to each kind of token separately"
    );
}

#[tokio::test]
async fn debug_output_contains_no_secret() {
    let local = local().await;
    let token = local.session_token().await;
    send(local.initiate_session(&token)).await;
    send(local.get("/v2/").query(&[("authorizeToken", &token)])).await;
    let emulator = &local.emulator;
    let text = format!("{emulator:#?} {:#?} {:#?} {:#?}", emulator.requests(), emulator.issued(), emulator.config());
    for secret in
        [&*token, OUTBOUND_CODE, OUTBOUND_REFRESH_TOKEN, PAY_PASSWORD, CONNECT_SECRET_KEY, "emu_", "authorizeToken"]
    {
        assert!(!text.contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn the_clock_is_frozen_or_runs() {
    let frozen = local().await;
    let now = frozen.emulator.now();
    frozen.advance(30 * 24 * 60 * 60);
    assert_eq!(frozen.emulator.now(), now + Duration::from_secs(30 * 24 * 60 * 60));
    frozen.emulator.advance(Duration::MAX);
    assert_eq!(frozen.emulator.now(), Duration::MAX);
    assert_eq!(send(frozen.refresh(OUTBOUND_REFRESH_TOKEN)).await.status, 400);
    assert_eq!(send(frozen.pay_authorize()).await.status, 200);
    frozen.emulator.reset();
    assert_eq!(send(frozen.generate()).await.status, 200);

    let running = Emulator::start().await.unwrap();
    let wait_until_clock_leaves = |time: Duration| while running.now() == time {};
    let before = running.now();
    wait_until_clock_leaves(before);
    running.configure(|config| config.frozen_clock = true);
    let frozen_at = running.now();
    assert!(frozen_at > before);
    assert_eq!(running.now(), frozen_at, "the clock stops at the current time");
    running.configure(|config| config.frozen_clock = false);
    wait_until_clock_leaves(frozen_at);
    assert!(running.now() - frozen_at < Duration::from_secs(60), "the clock continues without a jump");
}

#[tokio::test]
async fn a_restart_keeps_all_state_and_a_reset_clears_it() {
    let mut local = local().await;
    let token = local.session_token().await;
    let base_url = local.emulator.base_url().to_owned();
    local.emulator.restart().await.unwrap();
    assert_eq!(local.emulator.base_url(), base_url);
    // A new client does not reuse connections from before the restart.
    local.http = client();
    assert_eq!(send(local.initiate_session(&token)).await.status, 200);

    let token = local.session_token().await;
    local.advance(60);
    let now = local.emulator.now();
    let number = local.emulator.requests().last().unwrap().number;
    local.emulator.reset();
    assert!(local.emulator.requests().is_empty());
    assert!(local.emulator.now() < now);
    assert_eq!(send(local.initiate_session(&token)).await.status, 401);
    assert_eq!(send(local.refresh(OUTBOUND_REFRESH_TOKEN)).await.status, 200);
    assert_eq!(local.emulator.requests()[0].number, number + 1);
}

#[tokio::test]
async fn invalid_settings_are_rejected() {
    let changes: [fn(&mut Config); 4] = [
        |config| config.connect.customer_id = "a b/c".to_owned(),
        |config| config.connect.redirect_origins = vec!["app.example".to_owned()],
        |config| config.outbound.redirect_uris = vec!["/callback".to_owned()],
        |config| config.outbound.invalid_client_status = 200,
    ];
    for change in changes {
        let mut config = Config::default();
        change(&mut config);
        let error = Emulator::start_with(config).await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    }
}

#[tokio::test]
async fn dropping_the_emulator_closes_its_connections() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let local = local().await;
    let address = local.emulator.base_url().strip_prefix("http://").unwrap().to_owned();
    let mut idle = tokio::net::TcpStream::connect(&address).await.unwrap();
    idle.write_all(b"GET /api/v1/token HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut byte = [0];
    idle.read_exact(&mut byte).await.unwrap();
    drop(local.emulator);
    let mut rest = Vec::new();
    // The connection closes, either with or without an error.
    let _ = idle.read_to_end(&mut rest).await;
    assert!(tokio::net::TcpStream::connect(&address).await.is_err());
}
