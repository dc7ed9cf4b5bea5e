//! A test of an axum service that uses Flinks Pay. Each test starts its own emulator and its own
//! service, so the tests can run in parallel.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // Test helpers may panic too.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use flinks_emulator::{Emulator, Fault, Operation, When};
use serde_json::{Value, json};

/// The service under test. `POST /payments` starts a payment and returns the address of the
/// application in which the payer approves it.
fn service(env: HashMap<&'static str, String>) -> Router {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    Router::new().route("/payments", post(start_payment)).with_state(Arc::new(Pay { env, http }))
}

struct Pay {
    env: HashMap<&'static str, String>,
    http: reqwest::Client,
}

async fn start_payment(State(pay): State<Arc<Pay>>) -> Result<Json<Value>, StatusCode> {
    pay.start().await.map(|link| Json(json!({"link": link}))).map_err(|_| StatusCode::BAD_GATEWAY)
}

impl Pay {
    async fn start(&self) -> reqwest::Result<String> {
        let url = &self.env["FLINKS_PAY_URL"];
        let form = [
            ("grant_type", "client_credentials"),
            ("Username", &self.env["FLINKS_PAY_USERNAME"]),
            ("Password", &self.env["FLINKS_PAY_PASSWORD"]),
        ];
        let post = |path: &str| self.http.post(format!("{url}{path}"));
        let token: Value = post("/api/v1/authorize").form(&form).send().await?.error_for_status()?.json().await?;
        let token = token["access_token"].as_str().unwrap_or_default();
        let body = json!({"referenceId": "1", "amount": 10.5, "customerName": "A", "customerEmail": "a@example.com"});
        // This request spends the token, so it must never be repeated with the same token.
        let initiate = post("/api/v1/sessions/initiate").bearer_auth(token).json(&body);
        let session: Value = initiate.send().await?.error_for_status()?.json().await?;
        let session_id = &session["sessionId"];
        let request = post("/api/v1/paymentrequests").bearer_auth(token).json(&json!({"sessionId": session_id}));
        request.send().await?.error_for_status()?;
        Ok(format!("{url}/app/?sessionId={}", session_id.as_str().unwrap_or_default()))
    }
}

/// Starts an emulator and the service, and returns the address of the service.
async fn start() -> (Emulator, String) {
    // This call is needed only because this repository enables several of reqwest's TLS backends.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let emulator = Emulator::start().await.unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let service = service(emulator.env().into_iter().collect());
    tokio::spawn(async move { axum::serve(listener, service).await.unwrap() });
    (emulator, address)
}

fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

#[tokio::test]
async fn the_service_starts_a_payment() {
    let (emulator, address) = start().await;
    let response = client().post(format!("{address}/payments")).send().await.unwrap();
    assert_eq!(response.status(), 200);
    let link = response.json::<Value>().await.unwrap()["link"].as_str().unwrap().to_owned();
    let page = client().get(link).send().await.unwrap().text().await.unwrap();
    assert!(page.contains("10.5 CAD"), "{page}");
    assert_eq!(emulator.count(Operation::PayCreatePaymentRequest), 1);
}

#[tokio::test]
async fn the_service_does_not_repeat_a_request_that_may_have_spent_its_token() {
    let (emulator, address) = start().await;
    emulator.fail_next(Operation::PayInitiateSession, Fault::Reset { when: When::After });
    let response = client().post(format!("{address}/payments")).send().await.unwrap();
    assert_eq!(response.status(), 502);
    assert_eq!(emulator.count(Operation::PayInitiateSession), 1);
}

/// While the emulator holds the request, the test advances the emulator's clock past the token's
/// expiry instead of waiting in real time.
#[tokio::test]
async fn the_service_reports_an_expired_token() {
    let (emulator, address) = start().await;
    emulator.fail_next(Operation::PayInitiateSession, Fault::Hold { when: When::Before });
    let response = tokio::spawn(client().post(format!("{address}/payments")).send());
    emulator.received(Operation::PayInitiateSession, 1).await;
    emulator.advance(Duration::from_secs(299));
    emulator.release();
    assert_eq!(response.await.unwrap().unwrap().status(), 502);
}
