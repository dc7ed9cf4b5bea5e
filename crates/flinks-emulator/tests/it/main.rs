//! Tests for the emulator over plain HTTP and raw sockets, without any of the client crates.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // Test helpers may panic too.

mod clients;
mod connect;
mod control;
mod dashboard;
mod environment;
mod faults;
mod hostile;
mod ledger;
mod libraries;
mod model;
mod outbound;
mod page;
mod pages;
mod pay;
mod pay_app;
#[cfg(feature = "program")]
mod program;
mod record;
mod scenario;
mod settings;
mod start;
#[cfg(feature = "tls")]
mod tls;

use std::time::Duration;

use flinks_emulator::credentials::*;
use flinks_emulator::{Config, Emulator};
use reqwest::redirect::Policy;
use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::{Value, json};

/// An emulator with a frozen clock, and an HTTP client for it.
struct Local {
    emulator: Emulator,
    http: Client,
}

async fn local() -> Local {
    local_with(|_| {}).await
}

async fn local_with(change: impl FnOnce(&mut Config)) -> Local {
    let mut config = Config::default();
    config.frozen_clock = true;
    change(&mut config);
    Local { emulator: Emulator::start_with(config).await.unwrap(), http: client() }
}

/// Creates an HTTP client that does not follow redirects.
///
/// Installs a crypto provider, because the workspace enables `reqwest` features that need one even
/// without TLS.
fn client() -> Client {
    // This call returns an error if another test has already installed the provider.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().no_proxy().redirect(Policy::none()).build().unwrap()
}

/// A response's status, body and `Location` header.
///
/// `body` is the parsed JSON body. An empty body becomes `null`, and a body that is not JSON
/// becomes a string.
struct ParsedResponse {
    status: u16,
    body: Value,
    location: Option<String>,
}

async fn send(request: RequestBuilder) -> ParsedResponse {
    parse(request.send().await.unwrap()).await
}

async fn parse(response: Response) -> ParsedResponse {
    let status = response.status().as_u16();
    let location = response.headers().get("location").map(|value| value.to_str().unwrap().to_owned());
    let text = response.text().await.unwrap();
    let body = if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap_or(Value::String(text)) };
    ParsedResponse { status, body, location }
}

impl ParsedResponse {
    /// Returns a string field of the body. Panics if the status is 300 or higher.
    fn text(&self, field: &str) -> String {
        assert!(self.status < 300, "{}: {}", self.status, self.body);
        self.body[field].as_str().unwrap_or_else(|| panic!("{field} in {}", self.body)).to_owned()
    }

    fn code(&self) -> (u16, &str) {
        (self.status, self.body["FlinksCode"].as_str().unwrap_or_default())
    }

    fn error(&self) -> (u16, &str) {
        (self.status, self.body["error"].as_str().unwrap_or_default())
    }

    /// Returns a query parameter of the URL that the response redirects to.
    fn parameter(&self, name: &str) -> Option<String> {
        let location = url::Url::parse(self.location.as_deref().unwrap()).unwrap();
        let mut found = location.query_pairs().filter(|(key, _)| key == name).map(|(_, value)| value.into_owned());
        let value = found.next();
        assert_eq!(found.next(), None, "{name} appears twice in {location}");
        value
    }
}

const PAY_FORM: [(&str, &str); 3] =
    [("grant_type", "client_credentials"), ("Username", PAY_USERNAME), ("Password", PAY_PASSWORD)];

impl Local {
    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.emulator.base_url()))
    }

    /// Asserts that the first decision in a visit is final: any form that is submitted later is
    /// redirected to the same return URL.
    async fn assert_decision_is_final(&self, address: &str, return_url: &str, later: [&[(&str, &str)]; 2]) {
        for fields in later {
            let again = send(self.post(address).form(fields)).await;
            assert_eq!(again.status, 303);
            assert_eq!(again.location.as_deref(), Some(return_url));
        }
        let shown = send(self.get(address)).await;
        assert_eq!(shown.status, 200);
        let text = shown.body.as_str().unwrap().replace("&amp;", "&");
        assert!(text.contains(&format!("href=\"{return_url}\"")), "{text}");
        assert!(!text.contains("<form"), "{text}");
    }

    fn get(&self, path: &str) -> RequestBuilder {
        self.request(Method::GET, path)
    }

    fn post(&self, path: &str) -> RequestBuilder {
        self.request(Method::POST, path)
    }

    fn advance(&self, seconds: u64) {
        self.emulator.advance(Duration::from_secs(seconds));
    }

    fn pay_authorize(&self) -> RequestBuilder {
        self.post("/api/v1/authorize").form(&PAY_FORM)
    }

    async fn session_token(&self) -> String {
        send(self.pay_authorize()).await.text("access_token")
    }

    fn initiate_session(&self, token: &str) -> RequestBuilder {
        let session =
            json!({"referenceId": "r-1", "amount": 10.5, "customerName": "A", "customerEmail": "a@example.com"});
        self.post("/api/v1/sessions/initiate").bearer_auth(token).json(&session)
    }

    fn generate(&self) -> RequestBuilder {
        self.connect("GenerateAuthorizeToken", CONNECT_SECRET_KEY).header("content-type", "application/json")
    }

    async fn authorize_token(&self) -> String {
        send(self.generate()).await.text("Token")
    }

    fn connect(&self, operation: &str, key: &str) -> RequestBuilder {
        self.post(&format!("/v3/{CONNECT_CUSTOMER_ID}/BankingServices/{operation}")).header("flinks-auth-key", key)
    }

    fn authorize(&self, token: &str, body: &Value) -> RequestBuilder {
        self.connect("Authorize", token).json(body)
    }

    /// Sends a request to `/Authorize` with a new token.
    async fn authorize_with_new_token(&self, body: &Value) -> ParsedResponse {
        send(self.authorize(&self.authorize_token().await, body)).await
    }

    /// Creates a `POST /api/v1/token` request with the client credentials as body fields.
    fn token(&self, mut body: Value) -> RequestBuilder {
        body["client_id"] = json!(OUTBOUND_CLIENT_ID);
        body["client_secret"] = json!(OUTBOUND_CLIENT_SECRET);
        self.post("/api/v1/token").json(&body)
    }

    fn exchange_code(&self, code: &str, redirect_uri: &str) -> RequestBuilder {
        self.token(json!({"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri}))
    }

    fn refresh(&self, refresh_token: &str) -> RequestBuilder {
        self.token(json!({"grant_type": "refresh_token", "refresh_token": refresh_token}))
    }

    fn accounts(&self, access_token: &str) -> RequestBuilder {
        self.get("/api/fdx/5/accounts").bearer_auth(access_token)
    }
}
