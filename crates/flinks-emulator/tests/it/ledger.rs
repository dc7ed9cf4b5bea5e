//! What the library tells of requests and tokens.

use std::time::Duration;

use flinks_emulator::credentials::*;
use flinks_emulator::{Config, Emulator, Fault, Kind, Operation, When};
use serde_json::json;

use crate::{PAY_FORM, ask, client, local, local_with};

#[tokio::test]
async fn requests_are_kept_as_they_were_received() {
    let local = local().await;
    ask(local.pay_authorize().header("x-one", "a").header("x-one", "b")).await;
    ask(local.get("/nothing/here?q=%20")).await;
    let requests = local.emulator.requests();
    let first = &requests[0];
    assert_eq!((first.number, first.operation, first.method.as_str()), (1, Some(Operation::PayAuthorize), "POST"));
    assert_eq!((first.target.as_str(), first.status, first.processed), ("/api/v1/authorize", Some(200), true));
    assert_eq!(first.header("x-one").collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(first.body, url::form_urlencoded::Serializer::new(String::new()).extend_pairs(PAY_FORM).finish());
    assert_eq!(first.at, local.emulator.now());
    let second = &requests[1];
    assert_eq!((second.number, second.operation, second.status, second.processed), (2, None, Some(404), false));
    assert_eq!(second.target, "/nothing/here?q=%20");
}

#[tokio::test]
async fn tokens_tell_when_and_by_which_request_they_were_spent() {
    let local = local().await;
    let token = local.session_token().await;
    let issued = local.emulator.find(&token).unwrap();
    assert_eq!((issued.kind, issued.issued_by, issued.spent), (Kind::SessionToken, Some(1), None));
    assert_eq!(issued.expires_at, issued.issued_at + Duration::from_secs(299));
    local.advance(10);
    ask(local.initiate_session("another")).await;
    ask(local.initiate_session(&token)).await;
    local.advance(10);
    ask(local.initiate_session(&token)).await;
    let spent = local.emulator.find(&token).unwrap().spent.unwrap();
    assert_eq!((spent.at, spent.by), (issued.issued_at + Duration::from_secs(10), 3));
    assert_eq!(local.emulator.find("another").map(|issued| issued.kind), None);

    ask(local.refresh(OUTBOUND_REFRESH_TOKEN)).await;
    let refresh_token = local.emulator.find(OUTBOUND_REFRESH_TOKEN).unwrap();
    assert_eq!((refresh_token.issued_by, refresh_token.spent), (None, None));
    assert_eq!(refresh_token.expires_at, local.emulator.now() + Duration::from_secs(30 * 24 * 60 * 60));
    let code = local.emulator.find(OUTBOUND_CODE).unwrap();
    assert_eq!(code.subject, refresh_token.subject);
}

#[tokio::test]
async fn requests_are_counted_by_what_they_carry() {
    let local = local().await;
    let token = local.session_token().await;
    for _ in 0..3 {
        ask(local.initiate_session(&token)).await;
    }
    ask(local.exchange_code(OUTBOUND_CODE, OUTBOUND_REDIRECT_URI)).await;
    ask(local.exchange_code(OUTBOUND_CODE, "https://evil.example/")).await;
    let authorize_token = local.authorize_token().await;
    ask(local.authorize(&authorize_token, &json!({}))).await;
    ask(local.get("/v2/").query(&[("authorizeToken", &authorize_token)])).await;
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

/// Whoever asks whether a secret was sent must not be told no because it was sent in another form.
#[tokio::test]
async fn a_value_is_found_wherever_it_is() {
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
        ask(request).await;
        assert_eq!(local.emulator.count_carrying(secret), 1, "{}", local.emulator.requests()[0].target);
        assert_eq!(local.emulator.count_carrying("s/e c+r&è"), 0);
    }
}

/// The runtime that started it may be busy, or gone.
#[test]
fn it_runs_on_a_thread_of_its_own() {
    use std::io::{Read as _, Write as _};
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let emulator = runtime.block_on(Emulator::start()).unwrap();
    drop(runtime);
    let mut stream = std::net::TcpStream::connect(emulator.base_url().strip_prefix("http://").unwrap()).unwrap();
    stream.write_all(b"GET /api/v1/token HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 405"));
}

#[tokio::test]
async fn what_is_under_way_at_a_reset_ends_and_leaves_no_trace() {
    let local = local().await;
    for when in [When::Before, When::After] {
        local.emulator.fail_next(Operation::PayAuthorize, Fault::Hold { when });
        let held = tokio::spawn(local.pay_authorize().send());
        local.emulator.received(Operation::PayAuthorize, 1).await;
        local.emulator.reset();
        assert!(held.await.unwrap().is_err());
        assert!(local.emulator.requests().is_empty() && local.emulator.count(Operation::PayAuthorize) == 0);
        assert!(local.emulator.issued().iter().all(|issued| issued.kind != Kind::SessionToken));
    }
}

#[tokio::test]
async fn memory_is_bounded() {
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
    ask(local.post("/nothing").body(vec![b'x'; 400])).await;
    ask(local.post("/nothing").body(vec![b'x'; 400])).await;
    assert_eq!(local.emulator.requests().len(), 1);
    ask(local.post("/nothing").body(vec![b'x'; 1000])).await;
    assert_eq!(local.emulator.requests().len(), 0, "the newest, too, where it alone is too large");
    assert_eq!(ask(local.initiate_session(&tokens[6])).await.status, 401);
    assert_eq!(ask(local.initiate_session(&tokens[7])).await.status, 200);
    assert!(local.emulator.find(OUTBOUND_REFRESH_TOKEN).is_some(), "tokens of other kinds are not crowded out");
}

#[tokio::test]
async fn nothing_that_debug_shows_is_a_secret() {
    let local = local().await;
    let token = local.session_token().await;
    ask(local.initiate_session(&token)).await;
    ask(local.get("/v2/").query(&[("authorizeToken", &token)])).await;
    let emulator = &local.emulator;
    let text = format!("{emulator:#?} {:#?} {:#?} {:#?}", emulator.requests(), emulator.issued(), emulator.config());
    for secret in
        [&*token, OUTBOUND_CODE, OUTBOUND_REFRESH_TOKEN, PAY_PASSWORD, CONNECT_SECRET_KEY, "emu_", "authorizeToken"]
    {
        assert!(!text.contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn time_stands_still_or_runs() {
    let frozen = local().await;
    let now = frozen.emulator.now();
    frozen.advance(30 * 24 * 60 * 60);
    assert_eq!(frozen.emulator.now(), now + Duration::from_secs(30 * 24 * 60 * 60));
    frozen.emulator.advance(Duration::MAX);
    assert_eq!((frozen.emulator.now(), ask(frozen.refresh(OUTBOUND_REFRESH_TOKEN)).await.status), (Duration::MAX, 400));
    assert_eq!(ask(frozen.pay_authorize()).await.status, 200);
    frozen.emulator.reset();
    assert_eq!(ask(frozen.generate()).await.status, 200);

    let running = Emulator::start().await.unwrap();
    let runs_from = |before: Duration| while running.now() == before {};
    let before = running.now();
    runs_from(before);
    running.configure(|config| config.frozen_clock = true);
    let frozen_at = running.now();
    assert!(frozen_at > before && running.now() == frozen_at, "it stops where it was");
    running.configure(|config| config.frozen_clock = false);
    runs_from(frozen_at);
    assert!(running.now() - frozen_at < Duration::from_secs(60), "it does not jump");
}

#[tokio::test]
async fn a_restart_keeps_everything_and_a_reset_nothing() {
    let mut local = local().await;
    let token = local.session_token().await;
    let base_url = local.emulator.base_url().to_owned();
    local.emulator.restart().await.unwrap();
    assert_eq!(local.emulator.base_url(), base_url);
    // A client of its own, which holds no connection of before.
    local.http = client();
    assert_eq!(ask(local.initiate_session(&token)).await.status, 200);

    let token = local.session_token().await;
    local.advance(60);
    let (now, number) = (local.emulator.now(), local.emulator.requests().last().unwrap().number);
    local.emulator.reset();
    assert!(local.emulator.requests().is_empty() && local.emulator.now() < now);
    assert_eq!(ask(local.initiate_session(&token)).await.status, 401);
    assert_eq!(ask(local.refresh(OUTBOUND_REFRESH_TOKEN)).await.status, 200);
    assert_eq!(local.emulator.requests()[0].number, number + 1);
}

#[tokio::test]
async fn settings_that_cannot_be_meant_are_refused() {
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
async fn dropping_it_ends_the_connections() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let local = local().await;
    let address = local.emulator.base_url().strip_prefix("http://").unwrap().to_owned();
    let mut idle = tokio::net::TcpStream::connect(&address).await.unwrap();
    idle.write_all(b"GET /api/v1/token HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut byte = [0];
    idle.read_exact(&mut byte).await.unwrap();
    drop(local.emulator);
    let mut rest = Vec::new();
    // With or without an error, it ends.
    let _ = idle.read_to_end(&mut rest).await;
    assert!(tokio::net::TcpStream::connect(&address).await.is_err());
}
