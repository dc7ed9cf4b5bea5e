//! Uses the emulator to test the metrics and the span for a call.
//!
//! This test is a separate binary, because it captures the log of the whole process.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)] // test helpers are tests too

#[path = "shared/log.rs"]
mod log;
#[path = "shared/recorder.rs"]
mod recorder;

use flinks::connect::{CustomerId, SecretKey};
use flinks::outbound::{ClientCredentials, RefreshToken};
use flinks::pay::Credentials;
use flinks::pool::{PoolSize, TokenPool};
use flinks::{BaseUrl, ManualClock, Settings, connect, outbound, pay};
use flinks_emulator::credentials::*;
use flinks_emulator::{Emulator, Fault, Operation, When};

use crate::log::Log;
use crate::recorder::Recorder;

const CALLS: &str = "flinks_call_duration_seconds_count";
const RETRIES: &str = "flinks_retries_total";
const POOL_TOKENS: &str = "flinks_pool_tokens_total";

/// An emulator and the clients that connect to it. The waits between attempts take no real time.
struct Local {
    emulator: Emulator,
    pay: pay::Client,
    connect: connect::Client,
    outbound: outbound::Client,
}

async fn start() -> Local {
    let emulator = Emulator::start().await.unwrap();
    let clock = ManualClock::auto_advancing(std::time::Duration::from_secs(8));
    let settings = Settings::new().clock(clock).timeout(std::time::Duration::from_secs(1000));
    let base_url: BaseUrl = emulator.base_url().parse().unwrap();
    let credentials = Credentials::new(PAY_USERNAME, PAY_PASSWORD).unwrap();
    let pay = pay::Client::builder(base_url.clone(), credentials).settings(&settings).build().unwrap();
    let customer_id: CustomerId = CONNECT_CUSTOMER_ID.parse().unwrap();
    let secret_key = SecretKey::new(CONNECT_SECRET_KEY).unwrap();
    let connect = connect::Client::builder(base_url.clone(), customer_id, secret_key);
    let connect = connect.settings(&settings).build().unwrap();
    let credentials = ClientCredentials::new(OUTBOUND_CLIENT_ID, OUTBOUND_CLIENT_SECRET).unwrap();
    let outbound = outbound::Client::builder(base_url, credentials).settings(&settings).build().unwrap();
    Local { emulator, pay, connect, outbound }
}

/// Starts a call, waits until the emulator has received the request and is holding it, and then
/// drops the call.
async fn cancel_call(local: &Local) {
    local.emulator.fail_next(Operation::PayAuthorize, Fault::Hold { when: When::Before });
    let before = local.emulator.count(Operation::PayAuthorize);
    tokio::select! {
        _ = local.pay.authorize() => panic!("the emulator did not hold the request"),
        () = local.emulator.received(Operation::PayAuthorize, before + 1) => {}
    }
    local.emulator.release();
}

#[tokio::test]
async fn call_is_counted_with_its_outcome() {
    let recorder = Recorder::new();
    let _guard = recorder.record();
    let local = start().await;
    let authorize = |outcome| [("product", "pay"), ("operation", "authorize"), ("outcome", outcome)];

    let _ = local.pay.authorize().await.unwrap();
    assert_eq!(recorder.sum(CALLS, &authorize("ok")), 1.0);
    assert_eq!(recorder.sum(RETRIES, &[]), 0.0);

    local.emulator.fail_times(Operation::PayAuthorize, Fault::status(503), 2);
    let _ = local.pay.authorize().await.unwrap();
    assert_eq!(recorder.sum(CALLS, &authorize("ok")), 2.0);
    assert_eq!(recorder.sum(RETRIES, &[("product", "pay"), ("operation", "authorize")]), 2.0);

    local.emulator.fail_next(Operation::PayAuthorize, Fault::status(401));
    assert!(local.pay.authorize().await.is_err());
    assert_eq!(recorder.sum(CALLS, &authorize("refused")), 1.0);

    cancel_call(&local).await;
    assert_eq!(recorder.sum(CALLS, &authorize("cancelled")), 1.0);
    assert_eq!(recorder.sum(CALLS, &[]), 4.0);
}

#[tokio::test]
async fn duration_is_measured_in_seconds() {
    let recorder = Recorder::new();
    let _guard = recorder.record();
    let local = start().await;
    let started = std::time::Instant::now();
    let _ = local.pay.authorize().await.unwrap();
    let elapsed = started.elapsed().as_secs_f64();
    let recorded = recorder.sum("flinks_call_duration_seconds_sum", &[]);
    assert!(recorded > 0.0);
    assert!(recorded <= elapsed, "{recorded} seconds were recorded, but only {elapsed} seconds passed");
}

#[tokio::test]
async fn pool_counts_hits_and_misses() {
    let recorder = Recorder::new();
    let _guard = recorder.record();
    let local = start().await;
    let pool = TokenPool::new(local.connect.clone(), PoolSize::new(1).unwrap());
    let _ = pool.token().await.unwrap();
    assert_eq!(recorder.sum(POOL_TOKENS, &[("product", "connect"), ("source", "request")]), 1.0);
    while !format!("{pool:?}").contains("ready: 1,") {
        tokio::task::yield_now().await;
    }
    let _ = pool.token().await.unwrap();
    assert_eq!(recorder.sum(POOL_TOKENS, &[("product", "connect"), ("source", "pool")]), 1.0);
    assert_eq!(recorder.sum(POOL_TOKENS, &[]), 2.0);
}

#[tokio::test]
async fn a3_a6_metrics_contain_no_secret_and_no_text_of_the_server() {
    let recorder = Recorder::new();
    let _guard = recorder.record();
    let local = start().await;
    let refresh_token = RefreshToken::new("canary-refresh-token").unwrap();
    let body = r#"{"error":"canary_error","error_description":"canary","FlinksCode":"CANARY","Message":"canary"}"#;
    for operation in [Operation::PayAuthorize, Operation::ConnectGenerateAuthorizeToken, Operation::OutboundToken] {
        local.emulator.fail_next(operation, Fault::reply(400, body));
    }
    assert!(local.pay.authorize().await.is_err());
    assert!(local.connect.generate_authorize_token().await.is_err());
    assert!(local.outbound.refresh(&refresh_token).await.is_err());
    // The emulator does not know this refresh token.
    assert!(local.outbound.refresh(&refresh_token).await.is_err());
    let _ = local.pay.authorize().await.unwrap();
    let issued = local.emulator.issued();
    assert!(!issued.is_empty());
    let text = recorder.text();
    assert_eq!(recorder.sum(CALLS, &[("outcome", "refused")]), 4.0, "{text}");
    assert!(!text.to_lowercase().contains("canary"), "{text}");
    let secrets = [PAY_PASSWORD, CONNECT_SECRET_KEY, OUTBOUND_CLIENT_SECRET, CONNECT_CUSTOMER_ID];
    for secret in secrets.into_iter().chain(issued.iter().map(|issued| issued.value.as_str())) {
        assert!(!text.contains(secret), "{text}");
    }
    // Neither the server's host nor its port is a label.
    assert!(!text.contains("127.0.0.1"), "{text}");
}

#[tokio::test]
async fn span_has_the_fields_of_an_http_client() {
    let log = Log::capture();
    let local = start().await;
    let port = local.emulator.base_url().rsplit_once(':').unwrap().1.to_owned();
    let closed = |operation: &str| -> String {
        let text = log.text();
        let is_wanted = |line: &&str| {
            line.contains("flinks{product=")
                && line.contains(": close")
                && line.contains(&format!("operation=\"{operation}\""))
                && line.contains(&format!("server.port={port}"))
        };
        text.lines().rfind(is_wanted).unwrap_or_else(|| panic!("no span of {operation} was closed")).to_owned()
    };

    local.emulator.fail_next(Operation::PayAuthorize, Fault::status(503));
    let _ = local.pay.authorize().await.unwrap();
    let line = closed("authorize");
    for field in [
        "product=Pay",
        "otel.kind=\"client\"",
        "http.request.method=\"POST\"",
        "server.address=\"127.0.0.1\"",
        "http.response.status_code=200",
        "http.request.resend_count=1",
    ] {
        assert!(line.contains(field), "{field}: {line}");
    }
    assert!(!line.contains("error.type"), "{line}");

    let token = local.outbound.client_credentials(None).await.unwrap();
    local.outbound.revoke(&token).await.unwrap_err();
    let line = closed("revoke");
    assert!(line.contains("http.request.method=\"DELETE\""), "{line}");
    assert!(line.contains("error.type=\"refused\""), "{line}");
    assert!(!line.contains("resend_count"), "{line}");
    assert_eq!(line.matches("http.response.status_code=").count(), 1, "{line}");

    cancel_call(&local).await;
    let line = closed("authorize");
    assert!(line.contains("error.type=\"cancelled\""), "{line}");
    assert!(!line.contains("http.response.status_code"), "{line}");
}
