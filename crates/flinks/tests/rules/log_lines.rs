//! Tests the log lines for a call (A3).

use std::time::Duration;

use flinks::pay::{Client, Credentials};
use flinks::{BaseUrl, Settings};
use flinks_emulator::{Fault, Operation};

use crate::lines::Lines;
use crate::local;

#[tokio::test]
async fn retry_warning_states_the_reason() {
    let local = local().await;
    let lines = Lines::default();
    let _guard = lines.capture();
    local.emulator.fail_next(Operation::PayAuthorize, Fault::status(503));
    let _ = local.pay.authorize().await.unwrap();
    let warnings = lines.with("retrying");
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].contains("503"), "{warnings:?}");
}

#[tokio::test]
async fn call_duration_is_logged_in_microseconds() {
    let local = local().await;
    let lines = Lines::default();
    let _guard = lines.capture();
    let _ = local.pay.authorize().await.unwrap();
    let done = lines.with("took_microseconds=");
    let micros = done[0].split("took_microseconds=").nth(1).unwrap().split(' ').next().unwrap();
    // A call to a loopback address can take less time than one tick of a coarse clock. Even so, the
    // logged duration must not be zero.
    assert!(micros.parse::<u64>().unwrap() > 0, "{done:?}");
}

#[tokio::test]
async fn a1_client_for_plain_http_logs_one_warning() {
    let lines = Lines::default();
    let _guard = lines.capture();
    let base_url = BaseUrl::options().dangerous_plain_http_host("emulator").parse("http://emulator:8080").unwrap();
    let credentials = Credentials::new("canary", "canary").unwrap();
    let client = Client::builder(base_url, credentials.clone()).build().unwrap();
    let warnings = lines.with("over plain HTTP");
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("WARN"), "{warnings:?}");
    assert!(warnings[0].contains("http://emulator:8080"), "{warnings:?}");
    assert!(!warnings[0].contains("canary"), "{warnings:?}");
    // Neither a clone nor a client with another base URL logs a second warning.
    let _ = client.with_timeout(Duration::from_secs(1));
    let _ = Client::builder("http://127.0.0.1:9".parse().unwrap(), credentials).build().unwrap();
    assert_eq!(lines.with("over plain HTTP").len(), 1);
}

/// Connects to this machine's host name, which can be resolved without a network.
#[tokio::test]
async fn a1_plain_http_reaches_a_private_host() {
    let Ok(host) = std::fs::read_to_string("/proc/sys/kernel/hostname") else { return };
    let host = host.trim().to_ascii_lowercase();
    let Ok(mut addresses) = tokio::net::lookup_host((host.as_str(), 0)).await else { return };
    let Some(address) = addresses.next().filter(|address| address.ip().is_loopback()) else { return };
    let listener = tokio::net::TcpListener::bind(address).await.unwrap();
    let url = format!("http://{host}:{}", listener.local_addr().unwrap().port());
    let base_url = BaseUrl::options().dangerous_plain_http_host(host.as_str()).parse(&url).unwrap();
    let settings = Settings::new().max_attempts(1);
    let client = Client::builder(base_url.clone(), Credentials::new("u", "p").unwrap()).settings(&settings).build();
    let server = tokio::spawn(async move {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.read(&mut [0; 4096]).await.unwrap();
        let body = r#"{"access_token":"emu_a","token_type":"Bearer","expires_in":299}"#;
        let response = format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        stream.write_all(response.as_bytes()).await.unwrap();
    });
    assert!(client.unwrap().authorize().await.is_ok());
    server.await.unwrap();
    // `build` rejects `Settings::http`, because the hook could replace the check on the host's
    // addresses.
    let settings = settings.http(|http| http);
    let refused = Client::builder(base_url, Credentials::new("u", "p").unwrap()).settings(&settings).build();
    assert_eq!(refused.unwrap_err().field(), Some("base URL"));
}
