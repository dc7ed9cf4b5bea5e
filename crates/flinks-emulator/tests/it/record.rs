//! Tests for recorded HAR files.

use flinks_emulator::credentials::*;
use flinks_emulator::{Fault, Operation, When};
use serde_json::{Value, json};

use crate::{local, send};

/// A value that the emulator does not know, like a real credential that was sent by mistake.
const CANARY: &str = "canary0sk1live2";

#[tokio::test]
async fn a_recording_contains_requests_and_responses_without_secrets() {
    let local = local().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("recording.har");
    std::fs::write(&file, "an old file that is longer than the first entries of the new recording").unwrap();
    let read = || {
        let text = std::fs::read_to_string(&file).unwrap();
        let entries = serde_json::from_str::<Value>(&text).unwrap()["log"]["entries"].take();
        (text, entries.as_array().unwrap().clone())
    };
    send(local.get("/before-the-recording")).await;
    local.emulator.record(&file).unwrap();
    let (_, entries) = read();
    assert_eq!(entries.len(), 0);

    let token = local.session_token().await;
    // The file is a complete document after each request.
    assert_eq!(read().1.len(), 1);
    send(local.initiate_session(&token)).await;
    send(local.connect("GenerateAuthorizeToken", CANARY).header("content-type", "application/json")).await;
    local.emulator.fail_next(Operation::PayAuthorize, Fault::Reset { when: When::After });
    assert!(local.pay_authorize().send().await.is_err());
    local.emulator.fail_next(Operation::PayAuthorize, Fault::reply(503, json!({"error": CANARY}).to_string()));
    send(local.pay_authorize()).await;
    send(local.get("/v2/").query(&[("authorizeToken", CANARY), ("redirectUrl", "https://app.example/")])).await;
    send(local.exchange_code(OUTBOUND_CODE, OUTBOUND_REDIRECT_URI)).await;

    let (text, entries) = read();
    assert_eq!(entries.len(), 7);
    let secrets = [
        &*token,
        PAY_PASSWORD,
        OUTBOUND_CODE,
        OUTBOUND_CLIENT_SECRET,
        CONNECT_SECRET_KEY,
        "emu_",
        CANARY,
        "before-the-recording",
        "a@example.com",
        "an old file",
    ];
    for secret in secrets {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
    let first = &entries[0];
    assert_eq!(first["request"]["method"], "POST");
    assert_eq!(first["request"]["url"], format!("{}/api/v1/authorize", local.emulator.base_url()));
    let body = "grant_type=client_credentials&Username=[pay.username]&Password=[pay.password]";
    assert_eq!(first["request"]["postData"]["text"], body);
    assert_eq!(first["response"]["status"], 200);
    let reply = first["response"]["content"]["text"].as_str().unwrap();
    assert!(reply.contains("\"access_token\":\"[session token from request 2]\""), "{reply}");
    assert!(first["startedDateTime"].as_str().unwrap().ends_with('Z'));
    assert!(first["time"].is_number());
    assert_eq!(entries[3]["response"]["status"], 0, "no response was sent");
    assert!(entries[3]["comment"].as_str().unwrap().contains("fault: reset"));
    assert_eq!(entries[4]["response"]["status"], 503);
    assert_eq!(
        entries[5]["request"]["queryString"][1],
        json!({"name": "redirectUrl", "value": "https%3A%2F%2Fapp.example%2F"})
    );
    assert_eq!(entries[6]["comment"], "request 8, outbound.token");
}

#[cfg(unix)]
#[tokio::test]
async fn a_recording_is_readable_only_by_its_owner() {
    use std::os::unix::fs::PermissionsExt as _;
    let local = local().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("recording.har");
    local.emulator.record(&file).unwrap();
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(local.emulator.record(&folder.path().join("missing/recording.har")).is_err());
}
