//! Fuzz targets: one function for each parser of untrusted input.
//!
//! A target must not panic or hang on any input. Each target also checks what the parser guarantees
//! about the parsed value. In every test run, `tests/replay.rs` runs all targets on the corpus and
//! on inputs from proptest. To fuzz a single target with libFuzzer, run:
//!
//! ```console
//! $ cd crates/flinks-fuzz && RUSTC_BOOTSTRAP=1 cargo fuzz run --sanitizer none TARGET corpus/TARGET -- -max_total_time=120
//! ```
//!
//! To install `cargo fuzz`, run `cargo install cargo-fuzz`. `RUSTC_BOOTSTRAP=1` lets a stable
//! toolchain accept the unstable compiler flags that the fuzzer needs. `TARGET` is one of the names
//! in [`TARGETS`]. Add a failing input to `corpus/TARGET/` to make it a regression test.

#![allow(clippy::panic, clippy::unwrap_used)] // the whole crate is test code

use std::cell::RefCell;
use std::path::Path;
use std::pin::pin;
use std::time::{Duration, SystemTime};

use flinks::connect::{CustomerId, Instance};
use flinks::outbound::{Client, ClientAuthentication, PendingAuthorization};
use flinks::{BaseUrl, RedirectUrl};
use flinks_consents::store::{ConsentId, Record, StoreError};
use flinks_core::generated::{Operation, Response, json_or_error_response, response_error};
use tokio::runtime::Runtime;
use xtask::Product;
use xtask::generate::output::Header;
use xtask::generate::{SecretNames, generate};
use xtask::spec::{overlay, read};

/// A function that takes arbitrary input.
pub type Target = fn(&[u8]);

/// All targets and their names.
pub const TARGETS: [(&str, Target); 8] = [
    ("token_reply", token_reply),
    ("error_reply", error_reply),
    ("callback", callback),
    ("retry_after", retry_after),
    ("claims", claims),
    ("store_file", store_file),
    ("addresses", addresses),
    ("generator", generator),
];

thread_local! {
    static RUNTIME: Runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
}

static OPERATION: Operation = Operation::new("fuzzed");

/// Creates a response with this status and body.
fn reply(status: u16, bytes: &[u8]) -> reqwest::Response {
    let builder = http::Response::builder().status(status).header("content-type", "application/json");
    builder.body(reqwest::Body::from(bytes.to_vec())).unwrap().into()
}

/// Decodes the input as the 200 response to each operation. A 200 response may also contain an
/// error.
pub fn token_reply(data: &[u8]) {
    RUNTIME.with(|runtime| {
        runtime.block_on(async {
            macro_rules! read {
                ($success:ty, $error:ty) => {
                    let codes = &["error", "FlinksCode"];
                    let timer = pin!(None);
                    let response = Response::new(&OPERATION, reply(200, data), timer);
                    match json_or_error_response::<$success, $error>(response, codes).await {
                        Ok(reply) => drop(format!("{reply:?}")),
                        Err(error) => has_no_text_of(data, &error.to_string()),
                    }
                };
            }
            read!(flinks_pay::types::AuthorizeResponse, flinks_pay::types::SessionError);
            read!(flinks_pay::types::SessionResponse, flinks_pay::types::SessionError);
            read!(flinks_connect::types::GenerateAuthorizeTokenResponse, flinks_connect::types::ErrorResponse);
            read!(flinks_connect::types::AuthorizeSession, flinks_connect::types::ErrorResponse);
            read!(flinks_connect::types::AuthorizeChallenge, flinks_connect::types::ErrorResponse);
            read!(flinks_outbound::types::TokenResponse, flinks_outbound::types::ErrorResponse);
        });
    });
}

/// Decodes the input as an error response to each operation.
pub fn error_reply(data: &[u8]) {
    RUNTIME.with(|runtime| {
        runtime.block_on(async {
            macro_rules! read {
                ($error:ty) => {
                    let timer = pin!(None);
                    let response = Response::new(&OPERATION, reply(418, data), timer);
                    let error = response_error::<$error>(response).await;
                    assert_eq!(error.status().map(|status| status.as_u16()), Some(418));
                    has_no_text_of(data, &format!("{error} {error:?}"));
                };
            }
            read!(flinks_pay::types::SessionError);
            read!(flinks_connect::types::ErrorResponse);
            read!(flinks_outbound::types::ErrorResponse);
        });
    });
}

/// Asserts that a message contains no long number from the response. Words are not checked, because
/// the message may contain the same words as the response.
fn has_no_text_of(data: &[u8], text: &str) {
    let Ok(data) = std::str::from_utf8(data) else { return };
    for word in data.split(|char: char| !char.is_ascii_digit()).filter(|word| word.len() >= 8) {
        assert!(!text.contains(word), "the error contains text from the response");
    }
}

/// Verifies an end user's callback URL.
pub fn callback(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    thread_local! {
        static OUTBOUND: (Client, RefCell<Option<String>>) = {
            let authentication = ClientAuthentication::None { client_id: "id".to_owned() };
            (Client::builder("http://127.0.0.1:9".parse().unwrap(), authentication).build().unwrap(), RefCell::default())
        };
    }
    OUTBOUND.with(|(client, stored)| {
        let mut stored = stored.borrow_mut();
        let stored = stored.get_or_insert_with(|| {
            let redirect_uri = "https://app.example/back".parse().unwrap();
            let flinks::Started { pending, .. } = client.authorization("1000", &redirect_uri).unwrap().start();
            let mut value = serde_json::to_value(&pending).unwrap();
            // Use a state that a fuzzer can guess.
            *value.pointer_mut("/state/state").unwrap() = "s".into();
            value.to_string()
        });
        let pending: PendingAuthorization = serde_json::from_str(stored).unwrap();
        // After 10 minutes, the client rejects every callback. The last arm accepts that error.
        match client.verify(pending, text) {
            // The callback contains a code and a state, in any encoding.
            Ok(_) => assert!(text.matches('=').count() >= 2),
            Err(error) => assert!(!error.may_have_been_sent()),
        }
    });
}

/// Parses the `Retry-After` header.
pub fn retry_after(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Some(wait) = flinks::fuzzing::retry_after(text) {
        assert!(wait == Duration::ZERO || text.contains(|char: char| char.is_ascii_digit()));
    }
}

/// Reads the claims of an access token, which may or may not be a JWT.
pub fn claims(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Some(claims) = flinks::fuzzing::claims(text) {
        assert!(text.contains('.'));
        drop(format!("{claims:?}"));
    }
}

/// Decodes a stored record.
pub fn store_file(data: &[u8]) {
    let id: ConsentId = "user-7".parse().unwrap();
    match Record::decode(&id, data) {
        Ok(record) => {
            assert_eq!(record.id(), &id);
            let _ = record.idle_deadline().duration_since(SystemTime::UNIX_EPOCH);
            // Encoding the record and decoding it again changes nothing.
            let written = record.encode().unwrap();
            let again = Record::decode(&id, written.expose_secret().as_bytes()).unwrap();
            assert_eq!(again.encode().unwrap().expose_secret(), written.expose_secret());
        }
        Err(error) => assert!(matches!(error, StoreError::Damaged(_) | StoreError::Misconfigured(_))),
    }
}

/// Parses an instance, a customer id, a base URL and a redirect URL.
pub fn addresses(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(instance) = text.parse::<Instance>() {
        assert!(
            instance.as_str().bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        );
    }
    if text.parse::<CustomerId>().is_ok() {
        assert_eq!(text.len(), 36);
        assert!(text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-'));
    }
    if let Ok(base_url) = text.parse::<BaseUrl>() {
        check_address(base_url.as_str());
        // The normalized URL is also a base URL, and normalizing it again does not change it.
        assert_eq!(base_url.as_str().parse::<BaseUrl>().unwrap().as_str(), base_url.as_str());
    }
    if let Ok(redirect_url) = text.parse::<RedirectUrl>() {
        assert_eq!(redirect_url.as_str(), text, "parsing must not change a redirect URL");
        check_address(text);
    }
}

fn check_address(text: &str) {
    let url = url::Url::parse(text).unwrap();
    assert!(url.username().is_empty());
    assert!(url.password().is_none());
    assert!(url.fragment().is_none());
    let is_local = match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => panic!("the URL has no host"),
    };
    assert!(url.scheme() == "https" || (url.scheme() == "http" && is_local), "plain HTTP is allowed for a remote host");
}

/// Applies an overlay to an OpenAPI document and generates code. The input is an overlay,
/// optionally followed by a `---` line and a document. If the input contains no document, the
/// target uses the Outbound document.
pub fn generator(data: &[u8]) {
    thread_local! {
        static DOCUMENT: serde_json::Value = {
            let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
            read::document(&root, Product::Outbound).unwrap().value
        };
    }
    let (overlay, document) = match data.windows(5).position(|window| window == b"\n---\n") {
        Some(at) => data.split_at(at),
        None => (data, &[][..]),
    };
    let document = match read::yaml(document.get(5..).unwrap_or_default()) {
        Ok(document) if document.is_object() => document,
        _ => DOCUMENT.with(Clone::clone),
    };
    let Ok(overlay) = read::yaml(overlay) else { return };
    let corrected = if overlay.is_object() { overlay::apply(document, &overlay) } else { Ok(document) };
    let Ok(corrected) = corrected else { return };
    let header = Header { document: "d".into(), overlay: "o".into(), sha256: "0" };
    if let Ok(text) = generate(corrected, &header, SecretNames::Checked).map(|generated| generated.text) {
        assert!(!text.is_empty());
    }
}
